//! Latencies, in histograms of high dynamic range.

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Longest latency that is told apart from longer ones, in ns: ten minutes.
const NANOS_MAX: u64 = 600_000_000_000;
/// Digits that are kept of each value.
const DIGITS: u8 = 3;

/// How long messages took.
#[derive(Debug)]
pub(super) struct Latencies(Option<Histogram<u64>>);

impl Latencies {
    pub(super) fn new() -> Self {
        // The bounds are in order.
        Self(Histogram::new_with_bounds(1, NANOS_MAX, DIGITS).ok())
    }

    pub(super) fn record(&mut self, nanos: u64) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(nanos);
        }
    }

    /// Pairs of a value and how often it came.
    pub(super) fn to_json(&self) -> Value {
        let Some(histogram) = &self.0 else { return Value::Null };
        let pairs = histogram.iter_recorded();
        pairs.map(|step| json!([step.value_iterated_to(), step.count_at_value()])).collect()
    }

    /// Adds what [`Latencies::to_json`] said.
    pub(super) fn add_json(&mut self, pairs: &Value) {
        let Some(histogram) = &mut self.0 else { return };
        for pair in pairs.as_array().into_iter().flatten() {
            let number = |at: usize| pair.get(at).and_then(Value::as_u64).unwrap_or_default();
            histogram.saturating_record_n(number(0), number(1));
        }
    }

    /// What is told of them, in µs; `None` if there were none.
    pub(super) fn summary(&self) -> Option<Value> {
        let histogram = self.0.as_ref().filter(|histogram| !histogram.is_empty())?;
        let micros = |nanos: u64| (nanos as f64 / 10.0).round() / 100.0;
        let at = |share: f64| micros(histogram.value_at_quantile(share));
        Some(json!({
            "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "p999": at(0.999),
            "max": micros(histogram.max()), "count": histogram.len(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_of_several_members_become_one() {
        let (mut a, mut b) = (Latencies::new(), Latencies::new());
        (1..=100).for_each(|n| a.record(n * 1000));
        b.record(1_000_000);
        let mut all = Latencies::new();
        assert_eq!(all.summary(), None);
        all.add_json(&a.to_json());
        all.add_json(&b.to_json());
        let summary = all.summary().unwrap();
        assert_eq!(summary["count"], 101);
        assert!((summary["p50"].as_f64().unwrap() - 51.0).abs() < 0.1, "{summary}");
        assert!((summary["max"].as_f64().unwrap() - 1000.0).abs() < 1.0, "{summary}");
    }
}
