//! Rules of replicated states taken out one by one: the checker has to find each out.

use core::ops::Range;

use crate::ledger::{Keeper, play};
use vs_core::ident::{ProcessId, ServerId};
use vs_core::order::Order;
use vs_core::replica::ReplicaConfig;
use vs_core::rule::Rule;
use vs_core::sim::{Scenario, Site, Step};

type Configure = fn(ReplicaConfig) -> ReplicaConfig;

fn random(seed: u64) -> Scenario {
    Scenario::random(seed).plain().with_order(Order::Safe)
}

/// Plays scenarios in which the replicas are configured so until the checker names `property`. With
/// all rules the same scenario is clean.
fn assert_missed(
    configure: Configure,
    property: &str,
    seeds: Range<u64>,
    scenario: impl Fn(u64) -> Scenario,
) {
    let set = |configure: Configure| move |keeper: &mut Keeper| keeper.config = configure;
    for seed in seeds.clone() {
        let scenario = scenario(seed);
        match play(&scenario, set(configure)) {
            Err(why) if why.contains(property) => println!("seed {seed}: {why}"),
            _ => continue,
        }
        let intact = play(&scenario, set(|config| config));
        assert!(intact.is_ok(), "fails with the rule, too: {}", intact.unwrap_err());
        return;
    }
    panic!("no run of {seeds:?} breaks {property}");
}

#[test]
fn forgotten_sessions_are_noticed() {
    let configure: Configure = |config| config.leaving_out(Rule::ReplicaSessions);
    assert_missed(configure, "T8 ", 0..60, random);
}

#[test]
fn answer_after_the_signal_is_noticed() {
    let configure: Configure = |config| config.leaving_out(Rule::ReplicaRegular);
    assert_missed(configure, "T10 ", 0..60, random);
}

#[test]
fn answer_of_a_view_served_late_is_noticed() {
    let configure: Configure = |config| config.leaving_out(Rule::ReplicaPromised);
    assert_missed(configure, "T10 ", 20..200, random);
}

#[test]
fn read_without_a_mark_is_noticed() {
    let configure: Configure = |config| config.leaving_out(Rule::ReplicaReadMark);
    assert_missed(configure, "T10 ", 0..60, random);
}

/// 2 misses what 1 and 3 carry out; then 1 restarts, and meets 2 while 3 is cut off.
fn a_restart_beside_an_old_copy(seed: u64) -> Scenario {
    let [one, two, three] = [1, 2, 3].map(|p| Site::Process(ProcessId(p)));
    let server = Site::Server(ServerId(1));
    let mut scenario = Scenario::calm(seed, 3).with_order(Order::Safe);
    scenario.heal_us = 9_000_000;
    for plan in &mut scenario.processes {
        plan.load.interval_us = 2_000;
        plan.load.until = scenario.world.start.plus_us(scenario.heal_us);
    }
    let alone = |p| {
        let others = [one, two, three, server].into_iter().filter(|site| *site != p);
        Step::Partition(vec![others.collect(), vec![p]])
    };
    let steps = [
        (100_000, alone(two)),
        (3_000_000, Step::Kill(ProcessId(1))),
        (3_000_100, alone(three)),
        (3_001_000, Step::Start(ProcessId(1))),
    ];
    scenario.steps.extend(steps);
    scenario
}

#[test]
fn vote_of_a_restarted_process_is_noticed() {
    let configure: Configure = |config| config.leaving_out(Rule::ReplicaVotes);
    assert_missed(configure, "T10 ", 0..5, a_restart_beside_an_old_copy);
}
