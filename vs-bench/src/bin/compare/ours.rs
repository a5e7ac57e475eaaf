//! This library: runs of `vs perf`, with one membership server each.

use core::time::Duration;

use serde_json::Value;

use vs_bench::process::{PATIENCE, Process};

use crate::lab::{Lab, SERVER, addr};

/// What goes before a measurement, in s.
const WARM_UP: &str = "0.5";

/// A run of `vs perf`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Perf<'a> {
    pub(crate) members: usize,
    pub(crate) senders: usize,
    pub(crate) bytes: usize,
    pub(crate) seconds: f64,
    pub(crate) runtime: &'a str,
    /// Options of each participant besides.
    pub(crate) options: &'a [&'a str],
    /// Options of the server besides.
    pub(crate) server: &'a [&'a str],
}

/// Starts the membership server.
pub(crate) fn serve(lab: &Lab, options: &[&str]) -> Result<Process, String> {
    let words = ["server", "--listen", SERVER];
    let server = lab.start(0, &lab.vs, words.iter().chain(clear(options)).chain(options))?;
    server.wait_for("listening", PATIENCE)?;
    Ok(server)
}

/// What else is to be said where `options` name no key.
fn clear(options: &[&str]) -> &'static [&'static str] {
    if options.contains(&"--key-file") { &[] } else { &["--insecure"] }
}

/// Runs it; the summary.
pub(crate) fn perf(lab: &Lab, run: &Perf<'_>) -> Result<Value, String> {
    let _server = serve(lab, run.server)?;
    let mut participants = Vec::new();
    for k in 1..=run.members {
        participants.push(participant(lab, run, k)?);
    }
    let patience = Duration::from_secs_f64(run.seconds) + PATIENCE;
    let mut summary = Value::Null;
    for participant in participants {
        let lines = participant.finish(patience)?;
        let last = lines.last().ok_or("vs perf printed nothing")?;
        summary = serde_json::from_str(last).map_err(|e| format!("vs perf said {last:?}: {e}"))?;
    }
    Ok(summary)
}

fn participant(lab: &Lab, run: &Perf<'_>, k: usize) -> Result<Process, String> {
    let words = ["perf", "--attach", "--json", "--warm-up", WARM_UP];
    let words = words.iter().chain(clear(run.options));
    let mut words: Vec<String> = words.map(|word| (*word).to_owned()).collect();
    for (option, value) in [
        ("--server", SERVER.to_owned()),
        ("--id", k.to_string()),
        ("--bind", addr(k)),
        ("--members", run.members.to_string()),
        ("--senders", run.senders.to_string()),
        ("--size", run.bytes.to_string()),
        ("--seconds", run.seconds.to_string()),
        ("--runtime", run.runtime.to_owned()),
        ("--order", lab.order.name().to_owned()),
    ] {
        words.extend([option.to_owned(), value]);
    }
    words.extend(run.options.iter().map(|option| (*option).to_owned()));
    lab.start(k, &lab.vs, words)
}

/// A number in a summary.
pub(crate) fn number(summary: &Value, pointer: &str) -> Result<f64, String> {
    let value = summary.pointer(pointer).and_then(Value::as_f64);
    value.ok_or_else(|| format!("the summary of vs perf has no {pointer}: {summary}"))
}
