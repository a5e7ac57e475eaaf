//! Groups with one order for all members, in random worlds and in situations built by hand.

use vs_core::ident::ProcessId;
use vs_core::order::{Order, Stage};
use vs_core::sim::{Moment, Outcome, Scenario, Step, Trigger};
use vs_core::trace::Event;

/// Seeds, unless `VS_SIM_SEEDS=100..200` gives others.
fn seeds() -> core::ops::Range<u64> {
    let Ok(text) = std::env::var("VS_SIM_SEEDS") else { return 0..300 };
    let range = text.split_once("..").and_then(|(a, b)| a.parse().ok().zip(b.parse().ok()));
    let (from, to) = range.expect("VS_SIM_SEEDS is a range like 100..200");
    from..to
}

/// Runs a world of each seed with groups of `order`.
fn random_worlds(order: Order) {
    let mut failures = Vec::new();
    for seed in seeds() {
        let outcome = Scenario::random(seed).with_order(order).run();
        failures.extend(outcome.failure.map(|failure| failure.to_string()));
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
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
