//! What a member measured, and the summary over all.

use core::time::Duration;

use serde_json::{Map, Value, json};
use vs_core::ident::ProcessId;

use super::args::{Load, name_of};
use super::latency::Latencies;

/// What one member measured. Rates are of what it delivered, own messages included.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) process: ProcessId,
    /// Messages delivered within `time`.
    pub(super) messages: u64,
    pub(super) time: Duration,
    /// CPU time of the process meanwhile.
    pub(super) cpu: Duration,
    /// Of messages of others.
    pub(super) latencies: Latencies,
    /// Counters of the view and of the sockets.
    pub(super) counters: Value,
}

impl Measured {
    /// What the others are told.
    pub(super) fn to_json(&self, size: usize) -> Value {
        let seconds = self.time.as_secs_f64();
        let rate = self.messages as f64 / seconds;
        let cpu = self.cpu.as_secs_f64();
        let per_million = if self.messages > 0 { cpu * 1e6 / self.messages as f64 } else { 0.0 };
        json!({
            "member": self.process.0,
            "msgs_per_s": rate.round(),
            "mb_per_s": round(rate * size as f64 / 1e6, 2),
            "cpu_s_per_mmsg": round(per_million, 4),
            "cpu_percent": round(100.0 * cpu / seconds, 2),
            "latency_us": self.latencies.summary(),
            "counters": self.counters,
            "histogram": self.latencies.to_json(),
        })
    }
}

fn round(value: f64, digits: i32) -> f64 {
    let factor = 10_f64.powi(digits);
    (value * factor).round() / factor
}

/// The line of a member: all but its histogram.
pub(super) fn line(mut result: Value, as_json: bool) -> String {
    if let Some(fields) = result.as_object_mut() {
        fields.remove("histogram");
    }
    if as_json {
        return result.to_string();
    }
    format!(
        "member {}: {}, {}",
        result["member"],
        rates(&result),
        latency_text(&result["latency_us"])
    )
}

fn rates(value: &Value) -> String {
    format!(
        "{} messages/s, {} MB/s, {} CPU s per million",
        value["msgs_per_s"], value["mb_per_s"], value["cpu_s_per_mmsg"]
    )
}

fn latency_text(latency: &Value) -> String {
    if latency.is_null() {
        return "no latency measured".into();
    }
    format!("latency µs p50 {} p99 {} max {}", latency["p50"], latency["p99"], latency["max"])
}

/// The summary over the results of all members: medians of rates, and all latencies together.
pub(super) fn summary(load: &Load, results: &[Value]) -> Value {
    let median = |field: &str| {
        let mut values: Vec<f64> = results.iter().filter_map(|r| r[field].as_f64()).collect();
        values.sort_by(f64::total_cmp);
        let upper = values.get(values.len() / 2).copied().unwrap_or_default();
        let lower = values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or_default();
        f64::midpoint(lower, upper)
    };
    let mut latencies = Latencies::new();
    results.iter().for_each(|result| latencies.add_json(&result["histogram"]));
    let mut all = Map::new();
    let mut put = |name: &str, value: Value| drop(all.insert(name.to_owned(), value));
    put("summary", true.into());
    put("members", load.members.into());
    put("senders", load.senders.into());
    put("highest", load.highest.into());
    put("size", load.size.into());
    put("seconds", load.seconds.as_secs_f64().into());
    put("runtime", name_of(load.runtime).into());
    put("order", load.order.name().into());
    put("rate", load.rate.into());
    put("ping", load.ping.into());
    put("loss_percent", (f64::from(load.loss.0) / 10.0).into());
    put("busy", load.busy.into());
    put("msgs_per_s", median("msgs_per_s").into());
    put("mb_per_s", round(median("mb_per_s"), 2).into());
    put("cpu_s_per_mmsg", round(median("cpu_s_per_mmsg"), 4).into());
    put("cpu_percent", round(median("cpu_percent"), 2).into());
    put("latency_us", latencies.summary().unwrap_or_default());
    Value::Object(all)
}

/// The last line.
pub(super) fn summary_line(summary: &Value, as_json: bool) -> String {
    if as_json {
        return summary.to_string();
    }
    format!(
        "{} of {} members send {} B: {} (medians of the members), {}",
        summary["senders"],
        summary["members"],
        summary["size"],
        rates(summary),
        latency_text(&summary["latency_us"])
    )
}
