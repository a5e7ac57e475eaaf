//! Each property of replicated states, broken alone in a run that is as small as can be.

use vs_core::ident::{Cid, GroupName, Incarnation, ProcessId, ViewId};
use vs_core::order::{Order, Stage};
use vs_core::spec::Property::{self, *};
use vs_core::spec::{self, Component, Options, Report, Stability};
use vs_core::trace::StateEvent::{self, *};
use vs_core::trace::{CallKind, CallResult, Event, Header, Record, ReplyResult, Trace};
use vs_core::{Members, Time, View};

/// The session of the process with this id.
const fn client(p: u64) -> u64 {
    100 * p
}

const fn apply(at: u64, client: u64, no: u64) -> StateEvent {
    Apply { client, no, at, hash: 10 * client + no, stage: Stage::Regular }
}

const fn late(at: u64, client: u64, no: u64) -> StateEvent {
    Apply { client, no, at, hash: 10 * client + no, stage: Stage::Tail }
}

const fn pass(at: u64, client: u64, no: u64) -> StateEvent {
    Pass { client, no, at, hash: 10 * client + no, stage: Stage::Regular }
}

const fn open(at: u64, client: u64) -> StateEvent {
    Open { client, at, stage: Stage::Regular }
}

const fn serve(view: u64) -> StateEvent {
    Serve { epoch: ViewId { major: view, minor: 0 } }
}

const fn call(client: u64, no: u64) -> StateEvent {
    Call { client, no, kind: CallKind::Call, hash: 10 * client + no }
}

const fn read(client: u64, no: u64) -> StateEvent {
    Call { client, no, kind: CallKind::Read, hash: 0 }
}

const fn answered(client: u64, no: u64) -> StateEvent {
    Reply { client, no, kind: CallKind::Call, result: CallResult::Ok, hash: 0 }
}

const fn has_read(client: u64, no: u64) -> StateEvent {
    Reply { client, no, kind: CallKind::Read, result: CallResult::Ok, hash: 0 }
}

const fn collect(want: u64) -> StateEvent {
    Collect { client: client(1), no: 1, want }
}

const fn heard(from: u64, result: ReplyResult, hash: u64) -> StateEvent {
    Heard { client: client(1), no: 1, from: ProcessId(from), result, hash }
}

const fn collected(is_enough: bool) -> StateEvent {
    Collected { client: client(1), no: 1, is_enough }
}

const fn snapshot(to: u64, at: u64, hash: u64) -> StateEvent {
    Snapshot { to: ProcessId(to), at, hash }
}

const fn restore(from: u64, at: u64, hash: u64) -> StateEvent {
    Restore { from: ProcessId(from), at, hash }
}

const MADE: [StateEvent; 3] = [Create, Settled, serve(1)];
const GOES_ON: [StateEvent; 2] = [Settled, serve(2)];

/// What a process does, and when.
#[derive(Clone)]
enum Does {
    At(u64),
    View(u64, &'static [u64]),
    Signal(&'static [u64]),
    Line(StateEvent),
    Other(Event),
}
use Does::{At, Line, Other, Signal};

fn set(members: &[u64]) -> Members {
    members.iter().map(|p| ProcessId(*p)).collect()
}

/// What one process does: by default it comes to the view 1 of the processes 1 and 2.
#[derive(Clone, Default)]
struct Tale(Vec<Does>);

impl Tale {
    fn new() -> Self {
        Self::default().view(1, &[1, 2])
    }

    fn view(mut self, id: u64, members: &'static [u64]) -> Self {
        self.0.push(Does::View(id, members));
        self
    }

    fn with(mut self, does: impl IntoIterator<Item = Does>) -> Self {
        self.0.extend(does);
        self
    }

    fn says(self, lines: impl IntoIterator<Item = StateEvent>) -> Self {
        self.with(lines.into_iter().map(Line))
    }

    fn at(self, ts: u64) -> Self {
        self.with([At(ts)])
    }

    fn trace(&self, p: u64, runtime: &str) -> Trace {
        let (process, group) = (ProcessId(p), GroupName::new("g").unwrap());
        let (mut records, mut ts) = (Vec::new(), 0);
        let mut came_from: Option<&[u64]> = None;
        let mut push = |ts, event| {
            let group = group.clone();
            records.push(Record { ts: Time(ts), process, group, event });
        };
        push(0, Event::Join { order: Order::Safe, clusters: false });
        push(0, Event::Start { incarnation: Incarnation::new(1) });
        for does in &self.0 {
            match does {
                At(at) => ts = *at,
                Line(event) => push(ts, Event::State(*event)),
                Other(event) => {
                    came_from = came_from.filter(|_| *event != Event::Crash);
                    push(ts, event.clone());
                }
                Signal(with) => push(ts, Event::Signal { transitional: set(with) }),
                Does::View(id, members) => {
                    let starts: Vec<Cid> = members.iter().map(|_| Cid(*id)).collect();
                    let id = ViewId { major: *id, minor: 0 };
                    let view = Box::new(View::new(id, &set(members), &starts).unwrap());
                    push(ts, Event::StartChange { cid: starts[0], set: set(members) });
                    push(ts, Event::MbrView { view: view.clone() });
                    let alone = [p];
                    let before = came_from.unwrap_or(&alone).iter().filter(|q| members.contains(q));
                    let transitional: Members = before.map(|q| ProcessId(*q)).collect();
                    if !matches!(self.last_before(id.major), Some(Signal(_))) {
                        push(ts, Event::Signal { transitional: transitional.clone() });
                    }
                    push(ts, Event::View { view, transitional, clusters: None });
                    came_from = Some(members);
                }
            }
        }
        let runtime = runtime.into();
        let header = Header { process, incarnation: Incarnation::new(0), runtime };
        Trace::from_records(header, records)
    }

    /// What is done last before a view, and is no line of the state.
    fn last_before(&self, view: u64) -> Option<&Does> {
        let end = self.0.iter().position(|d| matches!(d, Does::View(id, _) if *id == view))?;
        self.0[..end].iter().rev().find(|d| matches!(d, Signal(_) | Does::View(..)))
    }
}

fn report_of(runtime: &str, tales: &[Tale]) -> Report {
    let traces: Vec<Trace> = (1..).zip(tales).map(|(p, tale)| tale.trace(p, runtime)).collect();
    spec::check(&traces)
}

#[track_caller]
fn judged(tales: &[Tale], expected: &[(Property, &str)]) {
    let report = report_of("sim", tales);
    let found: Vec<_> = report.violations.iter().map(|v| (v.property, v.what.as_str())).collect();
    assert_eq!(found, expected);
}

/// A process of its own that comes to the view 2 of the processes 1, 2, and 3.
fn joiner() -> Tale {
    Tale::default().view(2, &[1, 2, 3])
}

/// Two operations are applied at both, and what is done after that.
fn both(one: &[StateEvent], two: &[StateEvent]) -> [Tale; 2] {
    let common = [open(1, client(1)), apply(2, client(1), 1)];
    let tale = |more: &[StateEvent]| Tale::new().says(MADE).says(common).says(more.iter().copied());
    [tale(one), tale(two)]
}

#[test]
fn one_state_through_a_transfer_is_clean() {
    let more = [apply(3, client(1), 2)];
    let [one, two] = both(&[], &[]).map(|tale| tale.view(2, &[1, 2, 3]).says(GOES_ON));
    let one = one.says([snapshot(3, 2, 77)]).says(more).says([answered(client(1), 2)]);
    let two = two.says(more).says([pass(4, client(1), 2)]);
    let three = joiner().says([restore(1, 2, 77), more[0], Settled, serve(2)]);
    judged(&[one, two, three], &[]);
}

#[test]
fn restored_state_that_nobody_offered_breaks_t8() {
    let [one, two] = both(&[], &[]).map(|tale| tale.view(2, &[1, 2, 3]).says(GOES_ON));
    let three = |hash| joiner().says([restore(1, 2, hash), Settled]);
    let never = [(T8, "3 restored the state of 1 at place 2, which 1 never offered to it")];
    judged(&[one.clone(), two.clone(), three(77)], &never);
    let other = one.clone().says([snapshot(2, 2, 77)]);
    judged(&[other, two.clone(), three(77)], &never);
    let changed = [(T8, "3 restored another state than 1 had at place 2")];
    let one = one.says([snapshot(3, 2, 78)]);
    judged(&[one, two.clone(), three(77)], &changed);
    // Of a process without a trace nothing is known.
    let absent = report_of("sim", &[Tale::default(), two, joiner().says([restore(9, 2, 1)])]);
    assert!(absent.is_clean(), "{absent}");
}

#[test]
fn snapshot_of_a_place_ahead_breaks_t8() {
    let [one, two] = both(&[snapshot(2, 3, 7)], &[]);
    judged(&[one, two], &[(T8, "1 offered a state of place 3, to which it had not come")]);
}

#[test]
fn place_left_out_or_taken_twice_breaks_t8() {
    let [one, two] = both(&[apply(4, client(1), 3)], &[]);
    judged(&[one, two], &[(T8, "1 applied place 4 after place 2")]);
    let three = joiner().says([restore(1, 2, 77), apply(2, client(1), 1)]);
    let [one, two] = both(&[], &[]).map(|tale| tale.view(2, &[1, 2, 3]).says(GOES_ON));
    let one = one.says([snapshot(3, 2, 77)]);
    judged(&[one, two, three], &[(T8, "3 applied place 2 after place 2")]);
    judged(&[Tale::new().says([apply(1, 1, 1)])], &[(T8, "1 applied place 1 without a state")]);
}

#[test]
fn another_operation_or_state_at_one_place_breaks_t8() {
    let [one, two] = both(&[apply(3, client(1), 2)], &[apply(3, client(2), 1)]);
    let what = [(T8, "2 did another thing at place 3 than 1")];
    judged(&[one, two], &what);
    judged(&both(&[apply(3, client(1), 2)], &[pass(3, client(1), 2)]), &what);
    let states = both(&[snapshot(8, 2, 7)], &[snapshot(9, 2, 8)]);
    judged(&states, &[(T8, "the state of 2 at place 2 is not that of 1")]);
}

#[test]
fn branches_after_the_signal_may_differ() {
    let alone = |p: u64, members: &'static [u64]| {
        let [tale, _] = both(&[], &[]);
        tale.with([Signal(members)])
            .says([late(3, client(p), 9)])
            .view(1 + p, members)
            .says([Settled])
    };
    // 2 goes on alone with a branch that does not count, and takes the state of 1 later.
    let one = alone(1, &[1]).says([serve(2), snapshot(2, 3, 7)]);
    let two = alone(2, &[2]).says([restore(1, 3, 7), Settled]);
    judged(&[one, two], &[]);
}

#[test]
fn answer_that_is_not_promised_breaks_t10() {
    let [one, two] = both(&[answered(client(1), 2)], &[]);
    let what = [(T10, "1 was answered operation 2, which is not promised")];
    judged(&[one, two], &what);
    // After the signal others may go on without it.
    let [one, two] = both(&[], &[]).map(|tale| tale.with([Signal(&[1, 2])]));
    let one = one.says([late(3, client(1), 2), answered(client(1), 2)]);
    judged(&[one.clone(), two], &what);
    let alone = report_of("sim", &[one]);
    assert!(alone.is_clean(), "2 may know more: {alone}");
}

#[test]
fn operation_applied_twice_breaks_t10() {
    let twice = [apply(3, client(1), 1)];
    let what = [(T10, "1 applied operation 1 at place 3, and at 2")];
    judged(&both(&twice, &twice), &what);
}

#[test]
fn another_operation_than_was_asked_for_breaks_t10() {
    let asked = Call { client: client(1), no: 2, kind: CallKind::Call, hash: 5 };
    let [one, two] = both(&[asked, apply(3, client(1), 2)], &[]);
    judged(&[one, two], &[(T10, "1 applied another operation 2 than 1 asked for")]);
}

#[test]
fn view_served_without_what_was_promised_breaks_t10() {
    let [one, two] = both(&[apply(3, client(1), 2)], &[]);
    let two = two.view(2, &[2]).says(GOES_ON);
    let what = "2 serves a view from place 2 on, and places up to 3 were promised";
    judged(&[one.clone(), two], &[(T10, what)]);
    // Unless an operator decided that.
    let [_, two] = both(&[], &[]);
    let decided = [Recover { from: ProcessId(2) }, Settled, serve(2), apply(3, client(2), 1)];
    let two = two.view(2, &[2]).says(decided);
    judged(&[one.clone(), two], &[]);
    // Or nobody knows any more, and a new state is made.
    let two = Tale::new().with([Other(Event::Crash)]).with([Other(restart())]);
    let two = two.view(2, &[2]).says([Create, Settled, serve(2), apply(1, client(2), 1)]);
    judged(&[one, two], &[]);
}

fn restart() -> Event {
    Event::Start { incarnation: Incarnation::new(2) }
}

#[test]
fn operation_before_an_earlier_answer_breaks_t10() {
    let done = [apply(3, client(2), 1), apply(4, client(1), 2)];
    let tales = |asked: u64, heard: u64| {
        let [one, two] = both(&done, &done);
        let one = one.at(heard).says([answered(client(1), 2)]);
        [one, two.at(asked).says([call(client(2), 1)])]
    };
    let what = "a call of 2 came to place 3, after place 4 was answered to 1";
    judged(&tales(6, 5), &[(T10, what)]);
    judged(&tales(5, 5), &[]);
    let real = report_of("std", &tales(6, 5));
    assert!(real.is_clean(), "two clocks cannot be compared: {real}");
}

#[test]
fn read_of_an_old_state_breaks_t10() {
    let more = [apply(3, client(1), 2)];
    let tales = |asked: u64| {
        let [one, two] = both(&[], &[]);
        let one = one.at(4).says(more).says([answered(client(1), 2)]);
        let two = two.at(asked).says([read(client(2), 1), has_read(client(2), 1)]);
        [one, two.at(9).says(more)]
    };
    judged(&tales(5), &[(T10, "a read of 2 came to place 2, after place 3 was answered to 1")]);
    judged(&tales(4), &[]);
}

#[test]
fn own_answers_are_held_against_each_other() {
    // A read of 1 sees less than its read before; the lines of one trace are in order.
    let more = [apply(3, client(1), 2)];
    let reads = |no| [read(client(1), no), has_read(client(1), no)];
    let [one, two] = both(&more, &more);
    let one = one.says(reads(1)).view(2, &[1]);
    let one = one.with([Other(Event::Crash), Other(restart())]);
    let one = one.view(3, &[1]).says([restore(2, 2, 7)]).says(reads(2));
    let two = two.says([snapshot(1, 2, 7)]);
    let what = "a read of 1 came to place 2, after place 3 was answered to 1";
    assert_eq!(
        report_of("std", &[one, two]).violations.iter().map(|v| &*v.what).collect::<Vec<_>>(),
        [what]
    );
}

fn settled(tales: &[Tale]) -> Vec<Property> {
    let traces: Vec<Trace> = (1..).zip(tales).map(|(p, tale)| tale.trace(p, "sim")).collect();
    let component = Component { group: GroupName::new("g").unwrap(), members: set(&[1, 2]) };
    let options = Options::settled(Stability { components: vec![component] });
    spec::check_with(&traces, &options).violated().collect()
}

#[test]
fn member_that_never_settles_breaks_l7() {
    let tale = || Tale::new().says(MADE);
    assert_eq!(settled(&[tale(), tale()]), []);
    assert_eq!(settled(&[tale(), Tale::new()]), [L7]);
    assert_eq!(settled(&[tale().view(2, &[1, 2]), Tale::new().view(2, &[1, 2])]), []);
}

#[test]
fn message_that_never_becomes_safe_breaks_l4() {
    let send = Other(Event::Send { n: 1, hash: 3, len: 1 });
    let deliver =
        |stage| Other(Event::Deliver { from: ProcessId(1), n: 1, hash: 3, len: 1, stage });
    let regular = || [deliver(Stage::Regular)];
    let one = Tale::new().with([send]).with(regular());
    assert_eq!(settled(&[one.clone(), Tale::new().with(regular())]), []);
    let recorded = Tale::new().with([Signal(&[1, 2]), deliver(Stage::Recorded)]);
    assert_eq!(settled(&[one.clone(), recorded]), [L4]);
    assert_eq!(settled(&[one, Tale::new()]), [L2, L4]);
}

#[test]
fn what_is_carried_out_in_the_next_view_counts_in_its_own() {
    // 2 has lent its state to a snapshot while the view ended.
    let more = [apply(3, client(1), 2), answered(client(1), 2)];
    let [one, two] = both(&more, &[]);
    let one = one.view(2, &[1, 2]).says(GOES_ON);
    let two = two.view(2, &[1, 2]).says([Settled, more[0], serve(2)]);
    judged(&[one.clone(), two], &[]);
    let [_, other] = both(&[], &[]);
    let other = other.view(2, &[1, 2]).says([Settled, apply(3, client(2), 1), serve(2)]);
    judged(&[one, other], &[(T8, "2 did another thing at place 3 than 1")]);
}

#[test]
fn last_place_of_all_is_judged() {
    let tale = Tale::new().says([Create, Settled, apply(u64::MAX, client(1), 1), serve(1)]);
    judged(&[tale], &[(T8, "1 applied place 18446744073709551615 after place 0")]);
}

/// Process 1 makes a group call in the view 1 of the processes 1 and 2; what it does then.
#[track_caller]
fn calls_the_group(lines: &[StateEvent], expected: &[&str]) {
    let [one, two] = both(&[], &[]);
    let one = one.says([collect(2)]).says(lines.iter().copied());
    let expected: Vec<_> = expected.iter().map(|what| (T9, *what)).collect();
    judged(&[one, two], &expected);
}

#[test]
fn group_call_that_is_short_of_replies_breaks_t9() {
    let own = heard(1, ReplyResult::Ok, 7);
    calls_the_group(&[own, heard(2, ReplyResult::Ok, 7), collected(true)], &[]);
    calls_the_group(&[own, heard(2, ReplyResult::Timeout, 0), collected(false)], &[]);
    let few = "1 says that 1 replies are enough where 2 are wanted";
    calls_the_group(&[own, collected(true)], &[few]);
    let failed = heard(2, ReplyResult::Refused, 0);
    calls_the_group(&[own, failed, collected(true)], &[few]);
    calls_the_group(&[own, collected(false)], &["1 ends a call without a word on 2"]);
}

#[test]
fn group_call_that_hears_what_cannot_be_breaks_t9() {
    let own = heard(1, ReplyResult::Ok, 7);
    let other = "1 heard another answer of 2 than of 1";
    calls_the_group(&[own, heard(2, ReplyResult::Ok, 8)], &[other]);
    calls_the_group(&[own, own], &["1 heard 1 twice for one call"]);
    let outside = "1 heard 3, which was no member when it was asked";
    calls_the_group(&[heard(3, ReplyResult::Ok, 7)], &[outside]);
    let left = heard(2, ReplyResult::Left, 0);
    let stays = "1 says that 2 left, which is a member in each view since";
    calls_the_group(&[left], &[stays]);
    let [one, _] = both(&[], &[]);
    let alone = one.says([collect(2)]).view(2, &[1]).says([left]);
    judged(&[alone], &[]);
}

#[test]
fn state_made_anew_in_a_view_that_is_not_served_is_clean() {
    let again = [Other(Event::Crash), Other(Event::Start { incarnation: Incarnation::new(2) })];
    let tales = both(&[], &[]).map(|tale| {
        let tale = tale.with(again.clone()).view(2, &[1, 2]).says([Create, Settled]);
        tale.view(3, &[1, 2]).says([Settled, serve(3)])
    });
    judged(&tales, &[]);
}
