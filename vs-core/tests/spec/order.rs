//! Each property of one order for all members, broken alone in a run that is as small as can be.

use vs_core::Members;
use vs_core::View;
use vs_core::ident::{Cid, GroupName, Incarnation, ProcessId, ViewId};
use vs_core::order::{Order, Stage};
use vs_core::spec::Property::{self, *};
use vs_core::spec::{self, Report};
use vs_core::trace::{Event, Header, Record, Trace};

/// What a member does between the two views of a run.
#[derive(Clone, Copy)]
enum Does {
    Send(u64),
    Deliver(u64, u64),
    Recorded(u64, u64),
    Tail(u64, u64),
    Signal(&'static [u64]),
}
use Does::{Deliver, Recorded, Send, Signal, Tail};

const BOTH: Does = Signal(&[1, 2]);

fn set(members: &[u64]) -> Members {
    members.iter().map(|p| ProcessId(*p)).collect()
}

fn event(does: Does) -> Event {
    let deliver = |from, n, stage| Event::Deliver {
        from: ProcessId(from),
        n,
        hash: 10 * from + n,
        len: 1,
        stage,
    };
    match does {
        Send(hash) => Event::Send { n: hash % 10, hash, len: 1 },
        Deliver(from, n) => deliver(from, n, Stage::Regular),
        Recorded(from, n) => deliver(from, n, Stage::Recorded),
        Tail(from, n) => deliver(from, n, Stage::Tail),
        Signal(members) => Event::Signal { transitional: set(members) },
    }
}

/// Processes 1 and 2 come to a view, do something there, and go on together.
fn run(order: Order, does: [&[Does]; 2]) -> Report {
    let view = |id: u64| {
        let view = View::new(ViewId { major: id, minor: 0 }, &set(&[1, 2]), &[Cid(id); 2]);
        Box::new(view.unwrap())
    };
    let changes = |id: u64| {
        let change = Event::StartChange { cid: Cid(id), set: set(&[1, 2]) };
        [change, Event::Block, Event::BlockOk, Event::MbrView { view: view(id) }]
    };
    let events = |p: u64, does: &[Does]| {
        let mut events = vec![
            Event::Join { order, clusters: false },
            Event::Start { incarnation: Incarnation::new(1) },
        ];
        events.extend(changes(1));
        if order.is_one_for_all() {
            events.push(event(Signal(if p == 1 { &[1] } else { &[2] })));
        }
        events.push(Event::View { view: view(1), transitional: set(&[p]), clusters: None });
        events.extend(does.iter().filter(|d| matches!(d, Send(_))).map(|d| event(*d)));
        // Sends come first: nobody sends once it has stopped.
        events.extend(changes(2));
        events.extend(does.iter().filter(|d| !matches!(d, Send(_))).map(|d| event(*d)));
        events.push(Event::View { view: view(2), transitional: set(&[1, 2]), clusters: None });
        events
    };
    let trace = |(p, does): (u64, &[Does])| {
        let (process, group) = (ProcessId(p), GroupName::new("g").unwrap());
        let record = |event| Record { ts: vs_core::Time(0), process, group: group.clone(), event };
        let header = Header { process, incarnation: Incarnation::new(0), runtime: "test".into() };
        Trace::from_records(header, events(p, does).into_iter().map(record).collect())
    };
    let traces: Vec<Trace> = (1..).zip(does).map(trace).collect();
    spec::check(&traces)
}

#[track_caller]
fn judged(does: [&[Does]; 2], expected: &[Property]) {
    let report = run(Order::Total, does);
    assert_eq!(report.violated().collect::<Vec<_>>(), expected, "{:#?}", report.violations);
}

#[test]
fn one_order_with_its_signal_is_clean() {
    let order = [Deliver(1, 1), Deliver(2, 1), BOTH, Recorded(1, 2), Tail(2, 2)];
    let [one, two] = [[11, 12], [21, 22]].map(|sent| [&sent.map(Send)[..], &order[..]].concat());
    judged([&one, &two], &[]);
}

#[test]
fn regular_deliveries_in_two_orders_break_t1() {
    let one = [Send(11), Deliver(1, 1), Deliver(2, 1), BOTH];
    let two = [Send(21), Deliver(2, 1), Deliver(1, 1), BOTH];
    judged([&one, &two], &[T1, T2]);
    assert_eq!(run(Order::Fifo, [&one, &two]).violated().count(), 0, "FIFO groups have no order");
}

#[test]
fn same_order_with_another_place_of_the_signal_breaks_t2() {
    let one = [Send(11), Deliver(1, 1), Deliver(2, 1), BOTH];
    let two = [Send(21), Deliver(1, 1), BOTH, Recorded(2, 1)];
    judged([&one, &two], &[T2]);
}

#[test]
fn second_signal_and_regular_delivery_after_one_break_t6() {
    let all = [Deliver(1, 1), Deliver(2, 1)];
    let twice = |sent| [&[Send(sent)][..], &all, &[BOTH, BOTH]].concat();
    judged([&twice(11), &twice(21)], &[T6]);
    let late = |sent| [&[Send(sent), BOTH][..], &all].concat();
    judged([&late(11), &late(21)], &[T6]);
    let none = |sent| [&[Send(sent)][..], &all].concat();
    judged([&none(11), &none(21)], &[T6]);
    let other = |sent| [&[Send(sent)][..], &all, &[Signal(&[1])]].concat();
    judged([&other(11), &other(21)], &[T6]);
}

/// Process 2 sends after it has delivered a message of 1. In a causal group this is all that
/// counts.
#[test]
fn answer_before_its_question_breaks_t3() {
    assert_eq!(answer_before_question(Order::Total), [T1, T3]);
    assert_eq!(answer_before_question(Order::Causal), [T3]);
    assert_eq!(answer_before_question(Order::Fifo), []);
}

/// Both go on with what each has delivered in an order of its own.
#[test]
fn causal_group_has_many_orders_and_no_signal() {
    let one = [Send(11), Deliver(1, 1), Deliver(2, 1)];
    let two = [Send(21), Deliver(2, 1), Deliver(1, 1)];
    let violated = |does| run(Order::Causal, does).violated().collect::<Vec<_>>();
    assert_eq!(violated([&one, &two]), []);
    let signalled = [&one[..], &[BOTH]].concat();
    assert_eq!(violated([&signalled, &two]), [T6]);
    let late = [Send(11), Deliver(1, 1), Tail(2, 1)];
    assert_eq!(violated([&late, &two]), [T6]);
}

/// What breaks if 1 delivers an answer before its question.
fn answer_before_question(order: Order) -> Vec<Property> {
    let [one, two] = [ProcessId(1), ProcessId(2)];
    let view = View::new(ViewId { major: 1, minor: 0 }, &set(&[1, 2]), &[Cid(1); 2]).unwrap();
    let enter = |p| {
        let mut events = vec![
            Event::Join { order, clusters: false },
            Event::StartChange { cid: Cid(1), set: set(&[1, 2]) },
            Event::MbrView { view: Box::new(view.clone()) },
            Event::View {
                view: Box::new(view.clone()),
                transitional: Members::from_slice(&[p]),
                clusters: None,
            },
        ];
        if order.is_one_for_all() {
            events.insert(3, event(Signal(if p == one { &[1] } else { &[2] })));
        }
        events
    };
    let trace = |p: ProcessId, does: &[Does]| {
        let group = GroupName::new("g").unwrap();
        let events = enter(p).into_iter().chain(does.iter().map(|d| event(*d)));
        let record =
            |event| Record { ts: vs_core::Time(0), process: p, group: group.clone(), event };
        let header =
            Header { process: p, incarnation: Incarnation::new(0), runtime: "test".into() };
        Trace::from_records(header, events.map(record).collect())
    };
    let asks = trace(one, &[Send(11), Deliver(2, 1), Deliver(1, 1)]);
    let answers = trace(two, &[Deliver(1, 1), Send(21), Deliver(2, 1)]);
    spec::check(&[asks, answers]).violated().collect()
}
