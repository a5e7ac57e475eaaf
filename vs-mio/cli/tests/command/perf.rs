//! `vs perf`: every message is verified, whatever carries it; what it says of speed is printed, and
//! judged by nobody.

use serde_json::Value;

use crate::world::{directory, vs};

/// Runs `vs perf` with `args`, and reads the line of each member and the summary.
fn perf(args: &[&str]) -> (Vec<Value>, Value) {
    let short = ["perf", "--json", "--seconds", "0.2", "--warm-up", "0.1"];
    let output = vs(&[&short, args].concat());
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{args:?}:\n{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success());
    let mut lines: Vec<Value> =
        said.lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect();
    let summary = lines.pop().expect("a summary");
    (lines, summary)
}

fn has_numbers(value: &Value, fields: &[&str]) {
    for field in fields {
        assert!(value[field].as_f64().is_some_and(|n| n > 0.0), "{field} of {value}");
    }
}

#[test]
fn throughput_is_told_per_member_and_total() {
    for runtime in ["std", "mio"] {
        let (members, summary) = perf(&["--members", "3", "--senders", "2", "--runtime", runtime]);
        assert_eq!(members.len(), 3);
        for (id, member) in (1..).zip(&members) {
            assert_eq!(member["member"], id);
            has_numbers(member, &["msgs_per_s", "mb_per_s", "cpu_s_per_mmsg"]);
        }
        has_numbers(&summary, &["msgs_per_s", "mb_per_s", "cpu_s_per_mmsg"]);
        let of = |field: &str| summary[field].as_u64();
        assert_eq!((of("members"), of("senders"), of("size")), (Some(3), Some(2), Some(64)));
        assert_eq!((&summary["runtime"], &summary["order"]), (&runtime.into(), &"fifo".into()));
        has_numbers(&summary["latency_us"], &["p50", "p99", "max"]);
    }
}

/// With large messages, which come in fragments, some of them lost, and a trace that the checker
/// judges.
#[test]
fn lossy_runs_leave_clean_traces() {
    let dir = directory("perf");
    let path = dir.display().to_string();
    let (_, summary) =
        perf(&["--size", "20000", "--loss", "2", "--senders", "3", "--trace", &path]);
    assert_eq!(summary["loss_percent"], 2.0);
    let verdict = vs(&["check", &path]);
    println!("{}", String::from_utf8_lossy(&verdict.stdout));
    assert!(verdict.status.success(), "the checker refuses the traces in {path}");
    std::fs::remove_dir_all(&dir).expect("a directory of our own");
}

#[test]
fn latency_is_told_by_rate_and_ping_pong() {
    for args in [&["--rate", "500"][..], &["--ping"], &["--ping", "--busy", "--runtime", "mio"]] {
        let (_, summary) = perf(&[&["--members", "2"], args].concat());
        let latency = &summary["latency_us"];
        has_numbers(latency, &["p50", "p99", "max", "count"]);
        let of = |field: &str| latency[field].as_f64();
        assert!(of("p50") <= of("p99") && of("p99") <= of("max"), "{latency}");
    }
}
