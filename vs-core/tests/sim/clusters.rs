//! Groups whose views tell who came with whom, in random worlds and in situations built by hand.
//! The applications hand in notes, and compare what they are told of those of others.

use crate::seeds::seeds;
use vs_core::ident::{ProcessId, ServerId};
use vs_core::rule::Rule;
use vs_core::sim::{Moment, Outcome, Scenario, Site, Step, Trigger};
use vs_core::trace::{Event, ToldCluster};

#[test]
fn random_worlds_with_clusters_hold_every_property() {
    let mut failures = Vec::new();
    for seed in seeds(0..200) {
        let outcome = Scenario::random(seed).with_clusters(true).run();
        failures.extend(outcome.failure.map(|failure| failure.to_string()));
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

fn clean(mut scenario: Scenario) -> Outcome {
    scenario.steps.sort_by_key(|(at, _)| *at);
    let outcome = scenario.run();
    if let Some(failure) = &outcome.failure {
        panic!("{failure}");
    }
    outcome
}

/// The clusters of each view that `p` installed, as lists of members and whether they are fresh.
fn told(outcome: &Outcome, p: u64) -> Vec<Vec<(Vec<u64>, bool)>> {
    let of_p = outcome.traces.iter().filter(|trace| trace.header.process == ProcessId(p));
    let shown =
        |cluster: &ToldCluster| (cluster.members.iter().map(|q| q.0).collect(), cluster.fresh);
    let clusters = |event: &Event| match event {
        Event::View { clusters: Some(clusters), .. } => {
            Some(clusters.iter().map(shown).collect::<Vec<(Vec<u64>, bool)>>())
        }
        _ => None,
    };
    of_p.flat_map(|trace| &trace.lines).filter_map(|line| clusters(&line.record.event)).collect()
}

/// Processes 1 to 3 at one server, 4 to 6 at another; 6 is not started.
fn two_sides(seed: u64) -> Scenario {
    let mut scenario = Scenario::calm(seed, 6).with_clusters(true);
    scenario.servers = [1, 2].map(|s| (ServerId(s), 0)).into();
    for plan in &mut scenario.processes {
        plan.servers = vec![ServerId(1 + u64::from(plan.id.0 > 3))];
    }
    scenario.steps.retain(|(_, step)| *step != Step::Start(ProcessId(6)));
    scenario.heal_us = 3_000_000;
    scenario
}

/// The two sides part at 0.5 s and meet again at 2 s. When the change in which they meet has come
/// to `moment` at process 4, process 6 does `step`.
fn meeting(seed: u64, moment: Moment, step: Step) -> Scenario {
    let mut scenario = two_sides(seed);
    let side = |server, processes: [u64; 3]| {
        let all = processes.into_iter().map(|p| Site::Process(ProcessId(p)));
        all.chain([Site::Server(ServerId(server))]).collect::<Vec<_>>()
    };
    let when = Trigger { process: Some(ProcessId(4)), moment, nth: 1, steps: vec![(0, step)] };
    scenario.steps.extend([
        (500_000, Step::Partition(vec![side(1, [1, 2, 3]), side(2, [4, 5, 6])])),
        (2_000_000, Step::HealAll),
        (2_000_000, Step::When(when)),
    ]);
    scenario
}

/// Two sides that were apart meet, and a process joins in the same change: one view with three
/// clusters.
#[test]
fn merge_and_joiner_are_three_clusters() {
    let expected = [(vec![1, 2, 3], false), (vec![4, 5], false), (vec![6], true)];
    let mut seen = 0;
    for seed in 0..20 {
        let outcome = clean(meeting(seed, Moment::StartChange, Step::Start(ProcessId(6))));
        seen += usize::from((1..=6).all(|p| told(&outcome, p).last().unwrap() == &expected));
        // All come to the first view from their initial ones.
        assert!(told(&outcome, 1)[0].iter().all(|(members, fresh)| *fresh && members.len() == 1));
    }
    assert!(seen >= 10, "{seen} of 20 changes took up both");
}

/// A joiner dies before its sync message is known to all: nobody waits for it for longer than the
/// membership service needs to notice.
#[test]
fn joiner_that_dies_in_the_change_is_left_out() {
    // Who joins has nothing to hand on.
    let moments = Moment::ALL.into_iter().filter(|moment| *moment != Moment::Forward);
    for (seed, moment) in (0..).zip(moments) {
        let six = ProcessId(6);
        let mut scenario = two_sides(seed);
        scenario.processes[5].stays_down = true;
        let dies =
            Trigger { process: Some(six), moment, nth: 1, steps: vec![(0, Step::PowerOff(six))] };
        scenario.steps.extend([(1_000_000, Step::Start(six)), (1_000_000, Step::When(dies))]);
        let outcome = clean(scenario);
        let last = told(&outcome, 1).pop().unwrap();
        assert!(last.iter().all(|(members, _)| !members.contains(&6)), "{moment:?}: {last:?}");
    }
}

/// A view that does not wait for the sync messages of those who come from elsewhere tells its
/// members different clusters.
#[test]
fn clusters_without_all_sync_messages_are_noticed() {
    let missed = seeds(0..200).find(|&seed| {
        let scenario = Scenario::random(seed).with_clusters(true).leaving_out(Rule::ClusterSyncs);
        let failure = scenario.run().failure.map(|failure| failure.to_string());
        failure.is_some_and(|failure| failure.contains("T7"))
    });
    println!("seed {}", missed.expect("a world in which it is noticed"));
}

/// When a process joins `n` others at 0.5 s, and when all have the view with it, in µs.
fn join(n: u64, clusters: bool) -> (u64, u64) {
    let mut scenario = Scenario::calm(1, n + 1).with_clusters(clusters);
    let joiner = ProcessId(n + 1);
    scenario.steps.retain(|(_, step)| *step != Step::Start(joiner));
    scenario.steps.push((500_000, Step::Start(joiner)));
    scenario.heal_us = 1_000_000;
    let outcome = clean(scenario);
    let lines = || outcome.traces.iter().flat_map(|trace| &trace.lines);
    let is_last =
        |event: &Event| matches!(event, Event::View { view, .. } if view.contains(joiner));
    let views = lines().filter(|line| is_last(&line.record.event));
    (outcome.stats.net.datagrams, views.map(|line| line.record.ts.0 / 1000).max().unwrap())
}

/// The sync messages of joiners leave at the start_change, too: nobody waits for them for longer.
#[test]
fn clusters_cost_no_round_and_no_datagram() {
    for n in [3, 24] {
        assert_eq!(join(n, true), join(n, false), "{n} members");
    }
}
