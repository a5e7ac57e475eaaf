//! The checker on the traces of the model: every good run passes, every broken one is rejected for
//! what is broken.

use std::fs;
use std::path::{Path, PathBuf};

use vs_core::ident::GroupName;
use vs_core::spec::{self, Property, Report};
use vs_core::trace::{Event, Trace};
use vs_core::trace_json::{Reader, encode_trace, parse_trace};

/// The directories of `tests/traces` whose names begin with `prefix`, in order.
fn runs(prefix: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces");
    let entries = fs::read_dir(&root).expect("the traces are part of the sources");
    let mut runs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    runs.retain(|run| run.file_name().unwrap().to_str().unwrap().starts_with(prefix));
    runs.sort();
    runs
}

fn files(run: &Path) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> = fs::read_dir(run).unwrap().map(|f| f.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "jsonl"));
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn traces(run: &Path) -> Vec<Trace> {
    files(run).iter().map(|bytes| parse_trace(bytes).unwrap()).collect()
}

fn show(report: &Report) -> String {
    let lines: Vec<String> = report.violations.iter().map(ToString::to_string).collect();
    format!("{report}\n{}", lines.join("\n"))
}

#[test]
fn good_traces_pass() {
    let runs = runs("good-");
    assert_eq!(runs.len(), 4);
    for run in runs {
        let report = spec::check(&traces(&run));
        assert!(report.is_clean(), "{}: {}", run.display(), show(&report));
        assert!(report.counts.delivered > 0 && report.counts.unjudged == 0);
    }
}

#[test]
fn bad_traces_are_rejected_for_the_broken_property() {
    let runs = runs("bad-");
    assert_eq!(runs.len(), 12);
    for run in runs {
        let expected = fs::read_to_string(run.join("EXPECT")).unwrap();
        let expected = Property::from_name(expected.trim()).expect("a property that is judged");
        let report = spec::check(&traces(&run));
        println!("{}: {}", run.display(), show(&report));
        assert!(report.total(expected) > 0, "{}: not {expected}: {report}", run.display());
    }
}

#[test]
fn missing_trace_is_counted_and_accuses_nobody() {
    for run in runs("good-") {
        for left_out in 0..5 {
            let mut traces = traces(&run);
            traces.remove(left_out);
            let report = spec::check(&traces);
            assert!(report.is_clean(), "{}: {}", run.display(), show(&report));
        }
    }
}

/// A process may be killed at any time: its trace just ends, those of the others go on.
#[test]
fn trace_may_end_anywhere() {
    for run in runs("good-") {
        let whole = traces(&run);
        let last = |t: &Trace| t.lines.last().map(|line| line.record.ts);
        let end = whole.iter().filter_map(last).max().unwrap();
        for part in 1..20 {
            let cut = end.0 * part / 20;
            let mut traces = whole.clone();
            traces.iter_mut().for_each(|t| t.lines.retain(|line| line.record.ts.0 <= cut));
            let report = spec::check(&traces);
            assert!(report.is_clean(), "{} to {cut}: {}", run.display(), show(&report));
        }
    }
}

#[test]
fn files_of_one_process_are_put_in_order() {
    for run in runs("good-") {
        let mut split = Vec::new();
        for trace in traces(&run) {
            let start = |line: &vs_core::trace::Line| {
                matches!(line.record.event, vs_core::trace::Event::Start { .. })
            };
            for part in trace.lines.chunk_by(|_, next| !start(next)) {
                let mut header = trace.header.clone();
                if let vs_core::trace::Event::Start { incarnation } = part[0].record.event {
                    header.incarnation = incarnation;
                }
                split.push(Trace { header, lines: part[1..].to_vec() });
            }
        }
        split.reverse();
        let report = spec::check(&split);
        assert!(report.is_clean(), "{}: {}", run.display(), show(&report));
    }
}

#[test]
fn traces_survive_a_round_trip() {
    for run in runs("") {
        if !run.is_dir() {
            continue;
        }
        for bytes in files(&run) {
            let trace = parse_trace(&bytes).unwrap();
            let mut out = Vec::new();
            encode_trace(&trace, &mut out);
            assert_eq!(parse_trace(&out).unwrap(), trace);
        }
    }
}

#[test]
fn reader_and_collector_need_no_whole_trace() {
    for run in runs("bad-") {
        let mut collector = spec::Collector::new();
        for bytes in files(&run) {
            let mut reader = Reader::new();
            let mut lines = bytes.split_inclusive(|b| *b == b'\n');
            reader.read(lines.next().unwrap()).unwrap();
            let index = collector.trace(reader.header().unwrap());
            for line in lines {
                let line = reader.read(line).unwrap().unwrap();
                collector.record(index, line.number, &line.record);
            }
        }
        let report = collector.finish(&spec::Options::default());
        assert_eq!(report, spec::check(&traces(&run)));
    }
}

/// A disk that was full made the checker accuse the receivers of messages that nobody had sent.
#[test]
fn a_trace_that_broke_off_accuses_nobody() {
    let mut accused = 0;
    for run in runs("good-") {
        let whole: Vec<Trace> = traces(&run).into_iter().map(in_two_groups).collect();
        for at in 0..whole.len() {
            for kept in (1..whole[at].lines.len()).step_by(13) {
                let mut cut = whole.clone();
                let lines = &mut cut[at].lines;
                lines.truncate(kept);
                accused += usize::from(!spec::check(&cut).is_clean());
                let lines = &mut cut[at].lines;
                let mut end = lines[kept - 1].clone();
                end.number += 1;
                end.record.event = Event::BrokenOff;
                lines.push(end);
                let report = spec::check(&cut);
                assert!(report.is_clean(), "{} {at} {kept}: {}", run.display(), show(&report));
                assert_eq!(report.counts.broken_off, 1);
            }
        }
    }
    assert!(accused > 0, "without a word of it the end of a trace is that of its process");
}

/// A process that did the same in another group, too.
fn in_two_groups(trace: Trace) -> Trace {
    let other = GroupName::new("other").unwrap();
    let twice = trace.lines.into_iter().flat_map(|line| {
        let mut again = line.record.clone();
        again.group = other.clone();
        [line.record, again]
    });
    Trace::from_records(trace.header, twice.collect())
}
