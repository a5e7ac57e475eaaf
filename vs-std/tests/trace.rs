//! What a trace file holds while its writer still lives.

use vs_core::Time;
use vs_core::ident::{GroupName, Incarnation, ProcessId};
use vs_core::trace::{Event, Header, Tracer};
use vs_core::trace_json::parse_trace;
use vs_std::clock::Clock;
use vs_std::trace::TraceFile;

fn header() -> Header {
    Header { process: ProcessId(7), incarnation: Incarnation(1), runtime: "std".into() }
}

#[test]
fn each_line_is_there_at_once_and_old_ones_are_gone() {
    let dir = std::env::temp_dir().join(format!("vs-std-trace-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("7.jsonl");
    std::fs::write(&path, "x".repeat(10_000)).unwrap();
    let group = GroupName::new("g").unwrap();
    let mut file = TraceFile::create(&path, &header(), 1000).unwrap();
    file.record(Time(5), ProcessId(7), &group, Event::Start { incarnation: Incarnation(1) });
    file.record(Time(6), ProcessId(7), &group, Event::Block);
    let trace = parse_trace(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(trace.header, header());
    let times: Vec<_> = trace.lines.iter().map(|line| line.record.ts).collect();
    assert_eq!(times, [Time(1005), Time(1006)]);
    assert!(file.error().is_none());
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn the_clock_starts_at_zero_and_never_goes_back() {
    let clock = Clock::new();
    let (a, b) = (clock.now(), clock.now());
    assert!(a <= b && b.as_millis() < 60_000);
    assert!(clock.unix_start_ms() > 1_700_000_000_000);
}
