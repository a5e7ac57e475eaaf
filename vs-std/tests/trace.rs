//! What a trace file holds while its writer still lives.

use std::os::unix::fs::{MetadataExt, lchown, symlink};
use std::path::PathBuf;

use vs_core::Time;
use vs_core::ident::{GroupName, Incarnation, ProcessId};
use vs_core::trace::{Event, Header, Tracer};
use vs_core::trace_json::parse_trace;
use vs_std::clock::Clock;
use vs_std::trace::{TraceError, TraceFile};

fn header(incarnation: u64) -> Header {
    let incarnation = Incarnation::new(incarnation);
    Header { process: ProcessId(7), incarnation, runtime: "std".into() }
}

fn group() -> GroupName {
    GroupName::new("g").unwrap()
}

/// A path of its own for each test; the directory goes with it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("vs-std-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn file(&self) -> PathBuf {
        self.0.join("7.jsonl")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn each_line_is_there_at_once() {
    let place = Place::new("lines");
    let mut file = TraceFile::open(&place.file(), &header(1), 1000).unwrap();
    file.record(Time(5), ProcessId(7), &group(), Event::Start { incarnation: Incarnation::new(1) });
    file.record(Time(6), ProcessId(7), &group(), Event::Block);
    let trace = parse_trace(&std::fs::read(place.file()).unwrap()).unwrap();
    assert_eq!(trace.header, header(1));
    let times: Vec<_> = trace.lines.iter().map(|line| line.record.ts).collect();
    assert_eq!(times, [Time(1005), Time(1006)]);
    assert!(file.error().is_none());
}

#[test]
fn a_recovered_process_appends_to_its_trace() {
    let place = Place::new("lives");
    for life in 1..=3 {
        let mut file = TraceFile::open(&place.file(), &header(life), 0).unwrap();
        let incarnation = Incarnation::new(life);
        file.record(Time(life), ProcessId(7), &group(), Event::Start { incarnation });
        drop(file);
        // What a kill may leave, longer than what is looked at at once.
        let mut torn = std::fs::read(place.file()).unwrap();
        torn.extend_from_slice(br#"{"ts":"#);
        torn.resize(torn.len() + 100_000, b'1');
        std::fs::write(place.file(), torn).unwrap();
    }
    drop(TraceFile::open(&place.file(), &header(4), 0).unwrap());
    let bytes = std::fs::read(place.file()).unwrap();
    assert!(bytes.ends_with(b"\n"));
    let trace = parse_trace(&bytes).unwrap();
    assert_eq!(trace.header, header(1), "one header for all lives");
    let times: Vec<_> = trace.lines.iter().map(|line| line.record.ts).collect();
    assert_eq!(times, [Time(1), Time(2), Time(3)]);
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let place = Place::new("foreign");
    for content in ["x".repeat(10_000), "notes\n".into(), r#"{"vs_trace":1,"p":7"#.into()] {
        std::fs::write(place.file(), &content).unwrap();
        let refused = TraceFile::open(&place.file(), &header(1), 0);
        assert!(matches!(refused, Err(TraceError::NotATrace)), "{content}");
        assert_eq!(std::fs::read_to_string(place.file()).unwrap(), content);
    }
    std::fs::remove_file(place.file()).unwrap();
    drop(TraceFile::open(&place.file(), &header(1), 0).unwrap());
    let other = Header { process: ProcessId(8), ..header(2) };
    let refused = TraceFile::open(&place.file(), &other, 0);
    assert!(matches!(refused, Err(TraceError::OfAnother(ProcessId(7)))));
}

#[test]
#[cfg(unix)]
fn one_process_at_a_time_writes_a_trace() {
    let place = Place::new("lock");
    let first = TraceFile::open(&place.file(), &header(1), 0).unwrap();
    let second = TraceFile::open(&place.file(), &header(2), 0);
    assert!(matches!(second, Err(TraceError::InUse)));
    drop(first);
    assert!(TraceFile::open(&place.file(), &header(2), 0).is_ok());
}

#[test]
fn the_clock_starts_at_zero_and_grows() {
    let clock = Clock::new();
    let (a, b) = (clock.now(), clock.now());
    assert!(a <= b && b.as_millis() < 60_000);
    assert!(clock.unix_start_ms() > 1_700_000_000_000);
}

/// Everybody could read it.
#[test]
fn trace_is_for_its_user_alone() {
    let place = Place::new("mode");
    drop(TraceFile::open(&place.file(), &header(1), 0).unwrap());
    let mode = std::fs::metadata(place.file()).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");
}

/// A link that somebody put where the trace was to be led to any file that the user may write.
#[test]
fn link_of_another_user_is_not_followed() {
    let place = Place::new("link");
    let elsewhere = place.0.join("elsewhere");
    symlink(&elsewhere, place.file()).unwrap();
    let open = || TraceFile::open(&place.file(), &header(1), 0);
    // Only root can give a link away.
    if lchown(place.file(), Some(12_345), None).is_ok() {
        let error = open().unwrap_err();
        assert_eq!(error.to_string(), "it is a symbolic link of another user");
        assert!(!elsewhere.exists());
        lchown(place.file(), Some(0), None).unwrap();
    }
    drop(open().unwrap());
    assert!(elsewhere.exists(), "an own link leads where the user wants it to");
}
