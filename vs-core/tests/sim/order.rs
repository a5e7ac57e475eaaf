//! Groups with one order for all members, in random worlds and in situations built by hand.

use crate::seeds::seeds;
use vs_core::ident::{ProcessId, ServerId};
use vs_core::order::{Order, Stage};
use vs_core::sim::{Moment, Outcome, Scenario, Site, Stats, Step, Trigger};
use vs_core::trace::{Event, Mark};

/// Runs a world of each seed with groups of `order`.
fn random_worlds(order: Order) {
    let (mut failures, mut stats) = (Vec::new(), Stats::default());
    for seed in seeds(0..300) {
        let outcome = Scenario::random(seed).with_order(order).run();
        stats.add(&outcome.stats);
        failures.extend(outcome.failure.map(|failure| failure.to_string()));
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
    let (mark, least) = match order {
        Order::Causal => (Mark::LeftOut, stats.runs / 100),
        _ => (Mark::LeadTaken, stats.runs / 2),
    };
    let count = stats.marks.count(mark);
    assert!(count >= least, "only {count} times: {}", mark.what());
}

#[test]
fn random_worlds_of_causal_order_hold_every_property() {
    random_worlds(Order::Causal);
}

#[test]
fn random_worlds_of_one_order_hold_every_property() {
    random_worlds(Order::Total);
}

#[test]
fn random_worlds_of_safe_order_hold_every_property() {
    random_worlds(Order::Safe);
}

/// Five members that all send, all the time.
fn busy(seed: u64, order: Order) -> Scenario {
    let mut scenario = Scenario::calm(seed, 5).with_order(order);
    for at in (100_000..400_000).step_by(1_000) {
        let sends = scenario.processes.iter().map(|plan| (at, Step::Send(plan.id, 2)));
        scenario.steps.extend(sends.collect::<Vec<_>>());
    }
    scenario.heal_us = 500_000;
    scenario
}

fn clean(mut scenario: Scenario) -> Outcome {
    scenario.steps.sort_by_key(|(at, _)| *at);
    let outcome = scenario.run();
    if let Some(failure) = &outcome.failure {
        panic!("{failure}");
    }
    outcome
}

/// How many deliveries of all traces are of this stage.
fn count(outcome: &Outcome, wanted: Stage) -> usize {
    let lines = outcome.traces.iter().flat_map(|trace| &trace.lines);
    let is_of = |event: &Event| matches!(event, Event::Deliver { stage, .. } if *stage == wanted);
    lines.filter(|line| is_of(&line.record.event)).count()
}

#[test]
fn quiet_view_delivers_everything_as_regular() {
    for order in [Order::Total, Order::Safe] {
        let outcome = clean(busy(1, order));
        assert_eq!(count(&outcome, Stage::Recorded) + count(&outcome, Stage::Tail), 0);
        assert!(count(&outcome, Stage::Regular) >= 5 * 5 * 2 * 300);
    }
}

/// The leader dies while all send, at each moment of a change that another's end began; its
/// successor dies, too.
#[test]
fn dying_leaders_leave_one_order_behind() {
    let (mut recorded, mut tail) = (0, 0);
    for (seed, moment) in (0..).zip(Moment::ALL.iter().cycle().take(3 * Moment::ALL.len())) {
        let mut scenario = busy(seed, if seed % 2 == 0 { Order::Total } else { Order::Safe });
        let [leader, next, other] = [1, 2, 5].map(ProcessId);
        let dies = |process| (seed * 100, Step::Kill(process));
        let when = |process| Trigger {
            process: Some(process),
            moment: *moment,
            nth: 1,
            steps: vec![dies(process)],
        };
        scenario.steps.extend([
            (150_000, Step::Kill(other)),
            (150_000, Step::When(when(leader))),
            (250_000, Step::Kill(ProcessId(3))),
            (250_000, Step::When(when(next))),
        ]);
        let outcome = clean(scenario);
        recorded += count(&outcome, Stage::Recorded);
        tail += count(&outcome, Stage::Tail);
    }
    assert!(recorded + tail > 100, "{recorded} recorded, {tail} in no slot");
}

/// A member whose application does not read when the view ends holds up nobody for longer than it
/// is waited for.
#[test]
fn member_that_does_not_read_is_left_behind() {
    let mut scenario = busy(3, Order::Safe);
    let [sleeper, victim] = [4, 5].map(ProcessId);
    scenario.steps.extend([
        (200_000, Step::StopReading(sleeper)),
        (220_000, Step::Kill(victim)),
        (450_000, Step::Read(sleeper)),
    ]);
    clean(scenario);
}

/// A timer fires, its view ends with what the application takes, and the next change has waited for
/// that.
#[test]
fn deferred_change_leaves_no_timer_due() {
    for order in [Order::Total, Order::Safe] {
        clean(Scenario::random(2842).with_order(order));
    }
}

/// Five members, of which one that does not lead sends nearly everything. The lead passes to it
/// after a few packets, unless `faults` come between.
fn lopsided(seed: u64, order: Order, faults: Vec<(u64, Step)>) -> Outcome {
    let mut scenario = Scenario::calm(seed, 5).with_order(order);
    for at in (100_000..130_000).step_by(500) {
        scenario.steps.push((at, Step::Send(SENDER, 2)));
        if at % 5_000 == 0 {
            let others = [LEADER, ProcessId(2), ProcessId(4), ProcessId(5)];
            scenario.steps.extend(others.map(|p| (at, Step::Send(p, 1))));
        }
    }
    scenario.steps.extend(faults);
    scenario.heal_us = 500_000;
    clean(scenario)
}

const LEADER: ProcessId = ProcessId(1);
const SENDER: ProcessId = ProcessId(3);

#[test]
fn lead_passes_to_the_only_sender_and_stays_there() {
    for order in [Order::Total, Order::Safe] {
        let outcome = lopsided(1, order, Vec::new());
        assert_eq!(outcome.stats.marks.count(Mark::LeadTaken), 1);
        assert_eq!(count(&outcome, Stage::Recorded) + count(&outcome, Stage::Tail), 0);
    }
}

/// Runs the faults of each moment around the one in which the lead passes. It does in some of the
/// runs, and in others it does not come to that in this view.
fn while_the_lead_passes(faults: impl Fn(u64) -> Vec<(u64, Step)>) {
    for (seed, at) in (0..).zip((100_000..104_000).step_by(50)) {
        let order = if seed % 2 == 0 { Order::Total } else { Order::Safe };
        lopsided(seed / 2, order, faults(at));
    }
}

#[test]
fn leader_that_dies_while_it_hands_over_leaves_one_order() {
    while_the_lead_passes(|at| vec![(at, Step::Kill(LEADER))]);
}

#[test]
fn new_leader_that_dies_at_once_leaves_one_order() {
    while_the_lead_passes(|at| vec![(at, Step::Kill(SENDER))]);
}

#[test]
fn both_leaders_that_die_leave_one_order() {
    while_the_lead_passes(|at| vec![(at, Step::Kill(LEADER)), (at + 400, Step::Kill(SENDER))]);
}

#[test]
fn partition_between_two_leaders_leaves_one_order() {
    let [one, two, three, four, five] = [1, 2, 3, 4, 5].map(|p| Site::Process(ProcessId(p)));
    let server = Site::Server(ServerId(1));
    for parts in [
        vec![vec![one, two, server], vec![three, four, five]],
        vec![vec![one, two], vec![three, four, five, server]],
    ] {
        while_the_lead_passes(|at| vec![(at, Step::Partition(parts.clone()))]);
    }
}
