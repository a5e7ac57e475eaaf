//! Traces: what was read is the same after it is written and read again, and the checker judges it.

use vs_core::ident::{Cid, GroupName, Incarnation, ProcessId, ViewId};
use vs_core::order::{Order, Stage};
use vs_core::spec::{self, Component, Options, Report, Stability};
use vs_core::trace::{
    CallKind, CallResult, Event, Header, Record, ReplyResult, StateEvent, ToldCluster, Trace,
};
use vs_core::trace_json::{Reader, encode_header, encode_record, parse_trace};
use vs_core::{Members, Time, View};

use crate::{Bytes, Seeds};

/// Ends one trace of several in an input of text.
const END: u8 = 0;

/// Reads the traces that `input` is, or takes those that it describes, and judges them.
pub fn run(input: &[u8]) {
    let traces: Vec<Trace> = match input.split_first() {
        Some((b'{', _)) => input.split(|b| *b == END).filter_map(read).collect(),
        Some((_, rest)) => described(&mut Bytes::new(rest)),
        None => return,
    };
    traces.iter().for_each(again);
    judge(&traces);
}

/// A reader that is given the lines one by one reads the same, up to the first line that is
/// malformed.
fn read(text: &[u8]) -> Option<Trace> {
    let whole = parse_trace(text);
    let mut reader = Reader::new();
    let mut lines = Vec::new();
    let mut wrong = None;
    for line in text.split_inclusive(|b| *b == b'\n') {
        match reader.read(line) {
            Ok(record) => lines.extend(record),
            Err(error) => {
                wrong.get_or_insert((error, line.ends_with(b"\n")));
            }
        }
    }
    match (&whole, wrong) {
        (Ok(trace), None) => assert_eq!(trace.lines, lines),
        (Ok(trace), Some((_, whole_line))) => {
            assert!(!whole_line, "a broken line in the middle");
            assert_eq!(trace.lines, lines);
        }
        (Err(error), Some((first, _))) => assert_eq!(error, &first),
        (Err(error), None) => assert!(reader.header().is_none(), "{error}"),
    }
    whole.ok()
}

/// What is written is read as the same.
pub(crate) fn again(trace: &Trace) {
    let mut out = Vec::new();
    encode_header(&trace.header, &mut out);
    trace.lines.iter().for_each(|line| encode_record(&line.record, &mut out));
    let read = parse_trace(&out).expect("what was written can be read");
    assert_eq!(read.header, trace.header);
    // Empty lines, and those of unknown events, were not written.
    assert!(read.lines.iter().map(|l| &l.record).eq(trace.lines.iter().map(|l| &l.record)));
    assert!(read.lines.iter().map(|l| l.number).eq(2..2 + read.lines.len() as u64));
}

fn judge(traces: &[Trace]) {
    let report = spec::check(traces);
    plausible(traces, &report);
    let groups = traces.iter().flat_map(|t| &t.lines).map(|line| line.record.group.clone());
    let mut groups: Vec<GroupName> = groups.collect();
    groups.sort_unstable();
    groups.dedup();
    let members: Members = traces.iter().map(|trace| trace.header.process).take(3).collect();
    let component = |group: GroupName| Component { group, members: members.clone() };
    let stability = Stability { components: groups.into_iter().map(component).collect() };
    for stability in [stability, Stability::default()] {
        let options = Options::settled(stability).with_violations_max(2);
        plausible(traces, &spec::check_with(traces, &options));
    }
}

/// A verdict names lines that are there, and can be shown.
fn plausible(traces: &[Trace], report: &Report) {
    assert_eq!(report.is_clean(), report.violations.is_empty());
    for violation in &report.violations {
        assert!(report.total(violation.property) > 0);
        for evidence in [Some(violation.event), violation.other].into_iter().flatten() {
            let trace = traces.get(evidence.trace).expect("the trace that it names");
            let named = |line: &vs_core::trace::Line| line.number == evidence.line;
            assert!(evidence.line == 1 || trace.lines.iter().any(named), "{violation}");
        }
        assert!(!violation.to_string().is_empty());
    }
    assert!(!report.to_string().is_empty());
}

/// Numbers below this are drawn most of the time: what is to meet has to be close.
const NEAR: u8 = 5;

fn number(bytes: &mut Bytes<'_>) -> u64 {
    match bytes.u8() {
        0xff => bytes.u64() & (vs_core::ident::NUMBER_MAX >> 1),
        n => u64::from(n % NEAR),
    }
}

/// Some traces of a few processes in a few views. They make sense far more often than random text.
fn described(bytes: &mut Bytes<'_>) -> Vec<Trace> {
    let views: Vec<View> = (0..4).map(|_| view(bytes)).collect();
    let groups = ["a", "b"].map(|name| GroupName::new(name).expect("a name"));
    let headers = (0..3).map(|_| Header {
        process: ProcessId(1 + number(bytes)),
        incarnation: Incarnation::new(number(bytes)),
        runtime: "fuzz".into(),
    });
    let headers: Vec<Header> = headers.collect();
    let mut traces: Vec<(Header, Vec<Record>)> =
        headers.into_iter().map(|header| (header, Vec::new())).collect();
    let mut ts = 0;
    while !bytes.is_empty() {
        let at = bytes.u8();
        let (header, records) = &mut traces[usize::from(at & 3) % 3];
        let process = if at & 0x70 == 0x70 { ProcessId(number(bytes)) } else { header.process };
        let group = groups[usize::from(at >> 7)].clone();
        ts += u64::from(at & 4);
        records.push(Record { ts: Time(ts), process, group, event: event(bytes, &views) });
    }
    traces.into_iter().map(|(header, records)| Trace::from_records(header, records)).collect()
}

fn set(bytes: &mut Bytes<'_>) -> Members {
    let bits = bytes.u8();
    (0..6).filter(|bit| bits >> bit & 1 == 1).map(ProcessId).collect()
}

fn view(bytes: &mut Bytes<'_>) -> View {
    let id = ViewId { major: number(bytes), minor: number(bytes) };
    let mut members = set(bytes);
    if members.is_empty() {
        members.push(ProcessId(1));
    }
    let start: Vec<Cid> = members.iter().map(|_| Cid(number(bytes))).collect();
    View::new(id, &members, &start).expect("small numbers, ascending members")
}

fn event(bytes: &mut Bytes<'_>, views: &[View]) -> Event {
    let pick = bytes.u8();
    let view = Box::new(views[usize::from(pick >> 4) % views.len()].clone());
    let message = |bytes: &mut Bytes<'_>| (1 + number(bytes), number(bytes), number(bytes));
    match pick & 15 {
        0 => Event::Start { incarnation: Incarnation::new(number(bytes)) },
        1 => Event::StartChange { cid: Cid(number(bytes)), set: set(bytes) },
        2 => Event::MbrView { view },
        3 => Event::Block,
        4 => Event::BlockOk,
        5 | 12 => {
            let (n, hash, len) = message(bytes);
            Event::Send { n, hash, len }
        }
        6 | 13 => {
            let (from, (n, hash, len)) = (ProcessId(number(bytes)), message(bytes));
            let stage = [Stage::Regular, Stage::Recorded, Stage::Tail][bytes.below(3) as usize];
            Event::Deliver { from, n, hash, len, stage }
        }
        7 => {
            let cut = (0..bytes.below(4)).map(|_| (ProcessId(number(bytes)), number(bytes)));
            let cut = cut.collect();
            Event::Sync { cut, cid: Cid(number(bytes)), view, safe: number(bytes) }
        }
        8 => {
            let (to, from) = (ProcessId(number(bytes)), ProcessId(number(bytes)));
            Event::Forward { to, from, packet: number(bytes), view }
        }
        9 | 14 => {
            let transitional = set(bytes);
            let clusters = (pick & 0x80 != 0).then(|| {
                let cluster = |bits: u8| ToldCluster { members: set(bytes), fresh: bits & 1 == 1 };
                (0..pick >> 4 & 3).map(cluster).collect()
            });
            Event::View { view, transitional, clusters }
        }
        10 if pick & 16 != 0 => Event::Signal { transitional: set(bytes) },
        10 if pick & 32 != 0 => {
            let order = Order::ALL[usize::from(bytes.below(Order::ALL.len() as u8))];
            Event::Join { order, clusters: pick & 64 != 0 }
        }
        10 if pick & 64 != 0 => Event::State(state_event(bytes)),
        10 => Event::Leave,
        11 if pick & 16 != 0 => Event::BrokenOff,
        11 => Event::Crash,
        15 if pick & 64 != 0 => Event::Gap { messages: number(bytes) },
        15 if pick & 32 != 0 => Event::Restored,
        15 if pick & 16 != 0 => Event::Lapsed,
        15 => Event::Primary,
        _ => Event::StartChange { cid: Cid(number(bytes)), set: view.members().into() },
    }
}

/// What a replica does. Places and numbers are close to each other.
fn state_event(bytes: &mut Bytes<'_>) -> StateEvent {
    let pick = bytes.u8();
    let (from, at, hash) = (ProcessId(number(bytes)), number(bytes), number(bytes));
    let (client, no) = (u64::from(pick >> 6), u64::from(pick >> 4 & 3));
    let kind = CallKind::ALL[usize::from(bytes.below(2))];
    let stage = if pick & 0x80 == 0 { Stage::Regular } else { Stage::Tail };
    match pick & 15 {
        0 if pick & 32 != 0 => StateEvent::Collect { client, no, want: at },
        1 if pick & 32 != 0 => {
            let result = ReplyResult::ALL[usize::from(bytes.below(5))];
            StateEvent::Heard { client, no, from, result, hash }
        }
        4 if pick & 32 != 0 => StateEvent::Collected { client, no, is_enough: hash & 1 == 0 },
        0 => StateEvent::Create,
        1 => StateEvent::Recover { from },
        2 => StateEvent::Snapshot { to: from, at, hash },
        3 => StateEvent::Restore { from, at, hash },
        4 => StateEvent::Settled,
        5 | 6 => StateEvent::Serve { epoch: ViewId { major: at, minor: hash } },
        7 => StateEvent::Open { client, at, stage },
        8..=11 => StateEvent::Apply { client, no, at, hash, stage },
        12 => StateEvent::Pass { client, no, at, hash, stage },
        13 => StateEvent::Call { client, no, kind, hash },
        _ => {
            let result = CallResult::ALL[usize::from(bytes.below(3))];
            StateEvent::Reply { client, no, kind, result, hash }
        }
    }
}

/// Initial inputs: the traces of a short simulated run, some of them broken.
#[must_use]
pub fn seeds() -> Seeds {
    let mut seeds = Seeds::new();
    for (name, seed) in [("run-1", 3_u64), ("run-2", 4)] {
        let outcome = vs_core::sim::Scenario::random(seed).run();
        let texts = outcome.traces.iter().take(3).map(|trace| {
            let mut out = Vec::new();
            encode_header(&trace.header, &mut out);
            trace.lines.iter().take(12).for_each(|line| encode_record(&line.record, &mut out));
            out
        });
        seeds.push((name.into(), texts.collect::<Vec<_>>().join(&END)));
    }
    let header = r#"{"vs_trace":1,"p":1,"inc":7,"runtime":"std"}"#;
    let broken = r#"{"ts":1,"p":1,"g":"a","ev":"send","n":0,"h":"00","len":1}"#;
    seeds.push(("broken".into(), format!("{header}\n\n{broken}\n").into_bytes()));
    seeds.push(("later-version".into(), br#"{"vs_trace":2,"p":1}"#.to_vec()));
    let unknown = r#"{"ts":1,"p":1,"g":"\u00e9","ev":"later","more":{"a":[1,{}]}}"#;
    seeds.push(("unknown".into(), format!("{header}\n{unknown}").into_bytes()));
    for seed in 1..=6_u64 {
        let mut rng = vs_core::rng::Rng::new(seed);
        let drawn = (0..120 * seed).map(|_| rng.next_u64() as u8);
        seeds.push((format!("drawn-{seed}"), std::iter::once(0).chain(drawn).collect()));
    }
    seeds
}
