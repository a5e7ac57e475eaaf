//! Each property of the specification, broken alone in a run that is as small as can be.

use vs_core::ident::{Cid, GroupName, Incarnation, ProcessId, ViewId};
use vs_core::order::Stage;
use vs_core::spec::Property::*;
use vs_core::spec::{self, Component, Options, Property, Report, Stability};
use vs_core::trace::{Event, Header, Record, Trace};
use vs_core::{Members, Time, View};

fn set(members: &[u64]) -> Members {
    members.iter().map(|p| ProcessId(*p)).collect()
}

fn view(id: u64, members: &[u64], start: &[u64]) -> Box<View> {
    let start: Vec<Cid> = start.iter().map(|c| Cid(*c)).collect();
    Box::new(View::new(ViewId { major: id, minor: 0 }, &set(members), &start).unwrap())
}

/// The two views through which [`pair`] goes.
fn first() -> Box<View> {
    view(1, &[1, 2], &[1, 1])
}
fn second() -> Box<View> {
    view(2, &[1, 2], &[2, 2])
}

fn start(incarnation: u64) -> Event {
    Event::Start { incarnation: Incarnation::new(incarnation) }
}
fn start_change(cid: u64, members: &[u64]) -> Event {
    Event::StartChange { cid: Cid(cid), set: set(members) }
}
fn mbr_view(view: Box<View>) -> Event {
    Event::MbrView { view }
}
fn installs(view: Box<View>, transitional: &[u64]) -> Event {
    Event::View { view, transitional: set(transitional), clusters: None }
}
fn send(n: u64) -> Event {
    Event::Send { n, hash: n, len: 1 }
}
fn deliver(from: u64, n: u64) -> Event {
    Event::Deliver { from: ProcessId(from), n, hash: n, len: 1, stage: Stage::Regular }
}
fn sync() -> Event {
    Event::Sync { cid: Cid(2), view: first(), cut: [].as_slice().into(), safe: 0 }
}

/// Processes 1 and 2 come together, 1 sends two messages and 2 one, they go on together.
fn pair() -> Vec<Vec<Event>> {
    let common = |p: u64, sent: &[Event]| {
        let mut events = vec![start_change(1, &[1, 2]), mbr_view(first()), installs(first(), &[p])];
        events.extend_from_slice(sent);
        events.extend([deliver(1, 1), deliver(1, 2), deliver(2, 1)]);
        events.extend([start_change(2, &[1, 2]), Event::Block, Event::BlockOk, sync()]);
        events.extend([mbr_view(second()), installs(second(), &[1, 2])]);
        events
    };
    vec![common(1, &[send(1), send(2)]), common(2, &[send(1)])]
}

/// Where `event` stands in the trace of `p`.
fn at(run: &[Vec<Event>], p: u64, event: &Event) -> usize {
    run[p as usize - 1].iter().position(|e| e == event).expect("the event is in the run")
}

fn without(mut run: Vec<Vec<Event>>, p: u64, event: &Event) -> Vec<Vec<Event>> {
    let i = at(&run, p, event);
    run[p as usize - 1].remove(i);
    run
}

fn replace(mut run: Vec<Vec<Event>>, p: u64, event: &Event, by: &[Event]) -> Vec<Vec<Event>> {
    let i = at(&run, p, event);
    run[p as usize - 1].splice(i..=i, by.iter().cloned());
    run
}

/// What a second process under the id of 2 was told, in a trace of its own that begins before that
/// of 2 has ended, or, if it is its next life, thereafter.
fn under_the_id_of_two(events: Vec<Event>, is_next_incarnation: bool) -> Vec<Trace> {
    let mut run = pair();
    run.push(events);
    let mut traces = traces(run);
    for (trace, ts) in [(1, [1, 3]), (2, if is_next_incarnation { [3, 4] } else { [2, 4] })] {
        traces[trace].header.process = ProcessId(2);
        let last = traces[trace].lines.len() - 1;
        for (at, line) in traces[trace].lines.iter_mut().enumerate() {
            line.record.process = ProcessId(2);
            line.record.ts = Time(ts[usize::from(at == last)]);
        }
    }
    traces
}

/// Trace `i` is that of process `i + 1`.
fn traces(run: Vec<Vec<Event>>) -> Vec<Trace> {
    let trace = |(p, events): (u64, Vec<Event>)| {
        let (process, group) = (ProcessId(p), GroupName::new("g").unwrap());
        let record = |event| Record { ts: Time(0), process, group: group.clone(), event };
        let header = Header { process, incarnation: Incarnation::new(0), runtime: "test".into() };
        Trace::from_records(header, events.into_iter().map(record).collect())
    };
    (1..).zip(run).map(trace).collect()
}

#[track_caller]
fn judged(report: &Report, expected: &[Property]) {
    let violated: Vec<Property> = report.violated().collect();
    assert_eq!(violated, expected, "{:#?}", report.violations);
    // Every violation can be shown: whose trace, which line.
    for violation in &report.violations {
        for event in [Some(violation.event), violation.other].into_iter().flatten() {
            assert_eq!(event.process.0, event.trace as u64 + 1);
            assert!(event.line >= 1);
        }
    }
}

#[track_caller]
fn broken(run: Vec<Vec<Event>>, expected: &[Property]) -> Report {
    let report = spec::check(&traces(run));
    judged(&report, expected);
    report
}

/// The lines of the first violation.
fn lines(report: &Report) -> (u64, Option<u64>) {
    (report.violations[0].event.line, report.violations[0].other.map(|e| e.line))
}

fn settled(run: Vec<Vec<Event>>, components: &[&[u64]]) -> Report {
    let group = GroupName::new("g").unwrap();
    let component = |c: &&[u64]| Component { group: group.clone(), members: set(c) };
    let components = components.iter().map(component).collect();
    spec::check_with(&traces(run), &Options::settled(Stability { components }))
}

#[test]
fn run_without_fault_is_clean() {
    judged(&spec::check(&traces(pair())), &[]);
    judged(&settled(pair(), &[]), &[]);
    let report = settled(pair(), &[&[1, 2]]);
    judged(&report, &[]);
    let counts = report.counts;
    assert_eq!((counts.traces, counts.groups, counts.processes), (2, 1, 2));
    assert_eq!((counts.views, counts.installations), (2, 4));
    assert_eq!((counts.sent, counts.delivered, counts.unjudged), (3, 6, 0));
    assert!(report.to_string().starts_with("every property holds; 2 traces, "));
}

#[test]
fn m1_self_in_start_change_and_view() {
    broken(vec![vec![start_change(1, &[2])]], &[M1]);
    let others = mbr_view(view(1, &[2], &[1]));
    broken(vec![vec![start_change(1, &[1, 2]), others]], &[M1]);
}

#[test]
fn m2_local_ids_increase() {
    let report = broken(vec![vec![start_change(3, &[1]), start(1), start_change(3, &[1])]], &[M2]);
    assert_eq!(lines(&report), (4, Some(2)));
}

#[test]
fn m3_view_within_start_change() {
    let report = broken(vec![vec![start_change(1, &[1]), mbr_view(first())]], &[M3]);
    assert_eq!(lines(&report), (3, Some(2)));
}

#[test]
fn m4_view_carries_last_local_id() {
    broken(vec![vec![start_change(2, &[1, 2]), mbr_view(first())]], &[M4]);
}

#[test]
fn m5_own_start_change_before_each_view() {
    broken(vec![vec![mbr_view(first())]], &[M5]);
    broken(vec![vec![start_change(1, &[1, 2]), start(1), mbr_view(first())]], &[M5]);
    let again = mbr_view(view(2, &[1, 2], &[1, 1]));
    broken(vec![vec![start_change(1, &[1, 2]), mbr_view(first()), again]], &[M5]);
}

#[test]
fn m6_view_ids_increase() {
    let same_id = mbr_view(view(1, &[1], &[2]));
    let before = [start_change(1, &[1, 2]), mbr_view(first()), Event::Leave];
    broken(vec![[&before[..], &[start_change(2, &[1]), same_id]].concat()], &[M6]);
}

#[test]
fn s1_self_inclusion() {
    // A view without the process cannot be announced rightly either (M1).
    let others = view(1, &[2], &[1]);
    let events = vec![start_change(1, &[1, 2]), mbr_view(others.clone()), installs(others, &[1])];
    let report = spec::check(&traces(vec![events]));
    assert_eq!(report.total(S1), 1);
}

#[test]
fn s2_local_monotonicity() {
    let run = vec![vec![
        start_change(1, &[1]),
        mbr_view(view(1, &[1], &[1])),
        installs(view(1, &[1], &[1]), &[1]),
        installs(view(1, &[1], &[1]), &[1]),
    ]];
    let report = broken(run, &[S2]);
    assert_eq!(lines(&report), (5, Some(4)));
}

#[test]
fn s3_initial_view_event() {
    broken(vec![vec![start(0), send(1), send(2), deliver(1, 1)]], &[]);
    broken(vec![vec![start(0), Event::Crash, send(1)]], &[S3]);
    broken(vec![vec![start(0), send(1), send(3)]], &[S3]);
}

/// `p` is told of a view and installs it.
fn comes_to(view: &View, p: u64) -> Vec<Event> {
    let cid = view.start(ProcessId(p)).unwrap();
    let members: Vec<u64> = view.members().iter().map(|q| q.0).collect();
    let view = Box::new(view.clone());
    vec![start_change(cid.0, &members), mbr_view(view.clone()), installs(view, &[p])]
}

#[test]
fn s4_primary_views_form_one_sequence() {
    let (a, b) = (view(1, &[1, 3], &[1, 1]), view(3, &[2, 3], &[1, 2]));
    let primary = |view: &View, p| [comes_to(view, p), vec![Event::Primary]].concat();
    // 3 goes from the one to the other, through a view that is not primary.
    let alone = view(2, &[3], &[2]);
    let through =
        [comes_to(&a, 3), comes_to(&alone, 3), comes_to(&view(3, &[2, 3], &[1, 3]), 3)].concat();
    let second = view(3, &[2, 3], &[1, 3]);
    broken(vec![primary(&a, 1), primary(&second, 2), through], &[]);
    // It never came to the first one.
    let report = broken(vec![primary(&a, 1), primary(&b, 2), comes_to(&b, 3)], &[S4]);
    assert_eq!(lines(&report), (5, Some(5)));
    assert_eq!(report.violations[0].processes.as_slice(), [2, 1].map(ProcessId));
    // What it did is not known.
    broken(vec![primary(&a, 1), primary(&b, 2)], &[]);
    // Its trace broke off between the two: it may have come to the second one.
    let broke_off = |view: &View| [comes_to(view, 3), vec![Event::BrokenOff]].concat();
    broken(vec![primary(&a, 1), primary(&b, 2), broke_off(&a)], &[]);
    // It broke off in the second one: it cannot have come to the first one thereafter.
    broken(vec![primary(&a, 1), primary(&b, 2), broke_off(&b)], &[S4]);
    // Two parts that both are primary.
    let (left, right) = (view(1, &[1], &[1]), view(1, &[2], &[1]));
    broken(vec![primary(&left, 1), primary(&right, 2)], &[S4]);
    broken(vec![primary(&left, 1), comes_to(&right, 2)], &[]);
    broken(vec![vec![start(0), Event::Primary]], &[S4]);
}

#[test]
fn s5_delivery_integrity() {
    let other =
        |hash, len| Event::Deliver { from: ProcessId(2), n: 1, hash, len, stage: Stage::Regular };
    let report = broken(replace(pair(), 1, &deliver(2, 1), &[other(9, 1)]), &[S5]);
    assert_eq!(lines(&report), (9, Some(5)));
    broken(replace(pair(), 1, &deliver(2, 1), &[other(1, 2)]), &[S5]);
    broken(vec![vec![deliver(1, 1)]], &[S5]);
    broken(vec![vec![deliver(2, 1)]], &[S5]);
}

#[test]
fn s5_without_the_senders_trace() {
    let mut three = traces(pair());
    three.remove(0);
    let report = spec::check(&three);
    assert!(report.is_clean());
    assert_eq!(report.counts.unjudged, 2);
    // Two receivers that heard different things of a third.
    let v = view(1, &[1, 2, 3], &[1, 1, 1]);
    let heard = |p: u64, hash| {
        let from = ProcessId(3);
        let delivers = Event::Deliver { from, n: 1, hash, len: 1, stage: Stage::Regular };
        let change = start_change(1, &[1, 2, 3]);
        vec![change, mbr_view(v.clone()), installs(v.clone(), &[p]), delivers]
    };
    broken(vec![heard(1, 7), heard(2, 7)], &[]);
    broken(vec![heard(1, 7), heard(2, 8)], &[S5]);
}

#[test]
fn s6_no_duplication() {
    let twice = [deliver(2, 1), deliver(2, 1)];
    let report = broken(replace(pair(), 1, &deliver(2, 1), &twice), &[S6]);
    assert_eq!(lines(&report), (10, Some(9)));
}

#[test]
fn s7_sending_view_delivery() {
    let late = [installs(second(), &[1, 2]), deliver(2, 1)];
    let report = broken(replace(pair(), 1, &installs(second(), &[1, 2]), &late), &[S7]);
    assert_eq!(report.violations[0].other.map(|e| (e.process, e.line)), Some((ProcessId(2), 5)));
}

#[test]
fn s7_also_where_the_number_was_used_again() {
    let again = [installs(second(), &[1, 2]), Event::Send { n: 1, hash: 9, len: 1 }];
    let run = replace(pair(), 1, &installs(second(), &[1, 2]), &again);
    let late = [installs(second(), &[1, 2]), deliver(1, 1)];
    let report = broken(replace(run, 2, &installs(second(), &[1, 2]), &late), &[S7]);
    assert_eq!(report.violations[0].other.map(|e| (e.process, e.line)), Some((ProcessId(1), 5)));
}

#[test]
fn s7_messages_of_an_earlier_incarnation() {
    broken(vec![vec![start(0), send(1), start(1), deliver(1, 1)]], &[S7]);
}

#[test]
fn s8_virtual_synchrony() {
    let report = broken(without(pair(), 2, &deliver(1, 2)), &[S8]);
    let violation = &report.violations[0];
    assert_eq!(violation.processes.as_slice(), [2, 1].map(ProcessId));
    assert!(violation.what.contains("only 1 delivered message 2 of 1"), "{}", violation.what);
}

#[test]
fn s8_binds_only_who_go_on_together() {
    // 2 leaves before the second view: nothing is demanded of it.
    let mut run = without(pair(), 2, &deliver(1, 2));
    let gone = at(&run, 2, &start_change(2, &[1, 2]));
    run[1].truncate(gone);
    run[1].push(Event::Leave);
    broken(run, &[]);
}

#[test]
fn s9_transitional_set_within_both_views() {
    let run = replace(pair(), 1, &installs(first(), &[1]), &[installs(first(), &[1, 3])]);
    broken(run, &[S9]);
}

#[test]
fn s10_transitional_set_is_who_came_along() {
    let wide = installs(second(), &[1, 2]);
    broken(replace(pair(), 1, &wide, &[installs(second(), &[1])]), &[S10]);
    broken(replace(pair(), 1, &wide, &[installs(second(), &[2])]), &[S10]);
    // Who came from elsewhere is not in it: 2 skips the first view.
    let mut run = pair();
    let (from, to) =
        (at(&run, 2, &installs(first(), &[2])), at(&run, 2, &start_change(2, &[1, 2])));
    run[1].drain(from..to);
    let run = without(run, 1, &deliver(2, 1));
    let run = replace(run, 2, &wide, &[installs(second(), &[2])]);
    broken(run, &[S10]);
}

#[test]
fn s12_fifo() {
    // Out of order is also no prefix (S13).
    let run = without(pair(), 2, &deliver(1, 1));
    let report =
        broken(replace(run, 2, &deliver(1, 2), &[deliver(1, 2), deliver(1, 1)]), &[S12, S13]);
    assert_eq!(report.total(S12), 1);
}

#[test]
fn s13_reliable_fifo() {
    let mut run = without(pair(), 2, &deliver(1, 1));
    // It crashes, so that it owes nothing to those who go on.
    let gone = at(&run, 2, &start_change(2, &[1, 2]));
    run[1].truncate(gone);
    let report = broken(run, &[S13]);
    assert_eq!(report.violations[0].other.map(|e| (e.process, e.line)), Some((ProcessId(1), 5)));
}

#[test]
fn s14_self_delivery() {
    let run = without(without(pair(), 1, &deliver(2, 1)), 2, &deliver(2, 1));
    let report = broken(run, &[S14]);
    assert_eq!(report.violations[0].processes.as_slice(), [ProcessId(2)]);
}

#[test]
fn s14_binds_only_before_a_further_view() {
    broken(vec![vec![send(1), start(1), send(1), Event::Leave, send(1), Event::Crash]], &[]);
}

#[test]
fn s21_block_contract() {
    let (block, ok) = (Event::Block, Event::BlockOk);
    let run = |events: &[Event]| vec![events.to_vec()];
    broken(run(&[block.clone(), send(1), ok.clone(), sync(), sync()]), &[]);
    broken(run(&[block.clone(), ok.clone(), start(1), send(1)]), &[]);
    broken(run(&[block.clone(), block.clone()]), &[S21]);
    broken(run(&[block.clone(), ok.clone(), block.clone()]), &[S21]);
    broken(run(core::slice::from_ref(&ok)), &[S21]);
    broken(run(&[block.clone(), ok.clone(), ok.clone()]), &[S21]);
    broken(run(&[sync()]), &[S21]);
    broken(run(&[block.clone(), sync()]), &[S21]);
    let report = broken(run(&[block.clone(), ok.clone(), send(1)]), &[S21]);
    assert_eq!(lines(&report), (4, Some(3)));
    // The view ends it.
    let alone = view(1, &[1], &[1]);
    let before = [start_change(1, &[1]), block, ok, sync(), mbr_view(alone.clone())];
    broken(run(&[&before[..], &[installs(alone, &[1]), send(1)]].concat()), &[]);
}

#[test]
fn s23_no_obsolete_view() {
    let alone = view(1, &[1], &[1]);
    let before = [start_change(1, &[1]), mbr_view(alone.clone()), start_change(2, &[1])];
    let report = broken(vec![[&before[..], &[installs(alone, &[1])]].concat()], &[S23]);
    assert_eq!(lines(&report), (5, Some(4)));
}

#[test]
fn s24_announced() {
    let (alone, shared) = (view(1, &[1], &[1]), view(1, &[1], &[2]));
    broken(vec![vec![start_change(1, &[1]), installs(alone.clone(), &[1])]], &[S24]);
    // All three components count.
    let announced = [start_change(1, &[1]), mbr_view(alone.clone())];
    broken(vec![[&announced[..], &[installs(shared, &[1])]].concat()], &[S24]);
    // An earlier incarnation's does not.
    broken(vec![[&announced[..], &[start(1), installs(alone, &[1])]].concat()], &[S24]);
}

/// What a process did after its trace broke off is not known; all else is judged as ever.
#[test]
fn a_trace_that_broke_off_hides_no_more_than_it_lacks() {
    // 2 broke off in the first view and may have sent anything there, and be in any later view.
    let mut run = pair();
    let end = at(&run, 2, &send(1));
    run[1].truncate(end);
    run[1].push(Event::BrokenOff);
    judged(&settled(run.clone(), &[&[1, 2]]), &[]);
    let more = replace(run.clone(), 1, &deliver(2, 1), &[deliver(2, 1), deliver(2, 2)]);
    broken(more, &[]);
    run[0].push(deliver(2, 1));
    broken(run.clone(), &[]);
    // It was restarted, and the next view of it is the second one: what it sent there is known.
    run[1].extend([start(1), start_change(3, &[1, 2]), mbr_view(second())]);
    run[1].push(installs(second(), &[2]));
    assert!(spec::check(&traces(run)).total(S5) > 0);
    // It broke off in the second view: what it sent in the first one is known.
    let mut run = pair();
    run[1].push(Event::BrokenOff);
    let more = replace(run, 1, &deliver(2, 1), &[deliver(2, 1), deliver(2, 2)]);
    assert!(spec::check(&traces(more)).total(S5) > 0);
}

#[test]
fn l1_membership_precision() {
    // 3 stayed, but is in nobody's view.
    let mut run = pair();
    run.push(vec![start(0)]);
    judged(&settled(run.clone(), &[&[1, 2], &[3]]), &[L1]);
    judged(&settled(run.clone(), &[&[1, 2]]), &[]);
    assert_eq!(settled(run, &[&[1, 2, 3]]).total(L1), 3);
    // One member never came to the last view, of which it was not told either.
    let mut run = pair();
    let told = at(&run, 2, &mbr_view(second()));
    run[1].truncate(told);
    judged(&settled(run.clone(), &[&[1, 2]]), &[L1]);
    broken(run, &[]);
    // Told of a change after the last view, and of nothing since.
    let mut run = pair();
    run[0].push(start_change(3, &[1, 2]));
    judged(&settled(run.clone(), &[&[1, 2]]), &[L1]);
    judged(&settled(run, &[]), &[]);
}

#[test]
fn l2_multicast_liveness() {
    let mut run = pair();
    run[0].extend([send(1), deliver(1, 1)]);
    broken(run.clone(), &[]);
    let report = settled(run.clone(), &[]);
    judged(&report, &[L2]);
    assert_eq!(report.violations[0].processes.as_slice(), [1, 2].map(ProcessId));
    run[1].push(deliver(1, 1));
    judged(&settled(run, &[&[1, 2]]), &[]);
}

#[test]
fn l3_self_delivery() {
    let mut run = pair();
    run[0].push(send(1));
    run[1].push(deliver(1, 1));
    broken(run.clone(), &[]);
    judged(&settled(run.clone(), &[]), &[L3]);
    // Who crashed owes nothing.
    run[0].push(Event::Crash);
    judged(&settled(run, &[]), &[]);
}

#[test]
fn l5_last_view_is_installed() {
    let run = without(pair(), 2, &installs(second(), &[1, 2]));
    broken(run.clone(), &[]);
    judged(&settled(run.clone(), &[]), &[L5]);
    // A killed process is in no component; a view that one member was not told of is not the last
    // word.
    judged(&settled(run.clone(), &[&[1]]), &[L1]);
    // Nobody is left, whatever the traces end in.
    judged(&settled(run.clone(), &[&[]]), &[]);
    judged(&settled(without(run, 1, &mbr_view(second())), &[]), &[S24]);
    let mut run = pair();
    run[1].truncate(at(&pair(), 2, &installs(second(), &[1, 2])));
    run[0].push(start_change(3, &[1]));
    judged(&settled(run, &[]), &[]);
}

/// Who has no files looks for the life.
#[test]
fn evidence_names_the_incarnation() {
    let report = broken(vec![vec![start(5), Event::Leave, start(9), send(2)]], &[S3]);
    let violation = &report.violations[0];
    assert_eq!(violation.event.to_string(), "process 1, incarnation 2, line 5 of its trace");
    let told = violation.told(|evidence| format!("{}.jsonl:{}", evidence.process, evidence.line));
    assert!(told.ends_with(" (1.jsonl:5)"), "{told}");
    assert!(violation.to_string().ends_with(" (process 1, incarnation 2, line 5 of its trace)"));
}

#[test]
fn duplicates_are_judged_apart() {
    let found = |traces: &[Trace], members: &[&[u64]]| {
        let group = GroupName::new("g").unwrap();
        let component = |c: &&[u64]| Component { group: group.clone(), members: set(c) };
        let stability = Stability { components: members.iter().map(component).collect() };
        let report = spec::check_with(traces, &Options::settled(stability));
        (report.violated().collect::<Vec<Property>>(), report.counts.processes)
    };
    // It was given ids of its own, but none that go on from those of the other.
    let apart = view(1, &[2, 3], &[1, 1]);
    let mut alone = vec![start(0), start_change(1, &[2, 3]), mbr_view(apart.clone())];
    alone.extend([installs(apart, &[2]), send(1), Event::Leave]);
    assert_eq!(found(&under_the_id_of_two(alone.clone(), true), &[&[1]]).0, [M2, M6, S2, L1]);
    let mut traces = under_the_id_of_two(alone, false);
    assert_eq!(found(&traces, &[&[1, 2]]), (vec![], 3));
    // Whichever is first: what is heard of 2 in a view was said by the one that was in it, and in
    // the end the one counts that is there.
    traces.swap(1, 2);
    assert_eq!(found(&traces, &[&[1, 2]]), (vec![], 3));
    // A view cannot mean both of them.
    let both = vec![start(0), start_change(1, &[1, 2]), mbr_view(first()), Event::Leave];
    assert_eq!(found(&under_the_id_of_two(both, false), &[&[1, 2]]).0, [M2]);
}

#[test]
fn groups_are_judged_apart() {
    let mut both = traces(pair());
    let mut other = traces(pair());
    for line in other.iter_mut().flat_map(|trace| &mut trace.lines) {
        line.record.group = GroupName::new("other").unwrap();
    }
    both.extend(other);
    let report = spec::check(&both);
    assert!(report.is_clean(), "{:#?}", report.violations);
    assert_eq!((report.counts.groups, report.counts.processes), (2, 4));
}

#[test]
fn violations_max_bounds_the_list() {
    let run = vec![(0..100).map(|_| start_change(1, &[1])).collect()];
    let options = Options::default().with_violations_max(3);
    let report = spec::check_with(&traces(run), &options);
    assert_eq!((report.violations.len(), report.total(M2)), (3, 99));
}

#[test]
fn properties_have_names_and_statements() {
    for property in Property::ALL {
        assert_eq!(Property::from_name(&property.to_string()), Some(*property));
        assert!(!property.statement().is_empty());
    }
    assert_eq!(Property::ALL.len(), 38);
}
