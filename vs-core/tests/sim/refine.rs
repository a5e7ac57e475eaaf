//! The specification stepped beside whole simulated groups, and beside groups that leave out a
//! rule.

use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use vs_core::order::Order;
use vs_core::rule::Rule;
use vs_core::sim::{Defect, Scenario, Stats, Why};

/// Seeds that are run.
const SEEDS: u64 = 300;

/// Seeds among which one has to show that a rule is missing, though no property does.
const MUTANT_SEEDS: u64 = 1000;

#[test]
fn every_step_is_a_step_of_the_specification() {
    let mut stats = Stats::default();
    for seed in 0..SEEDS {
        let outcome = Scenario::random(seed).refined().run();
        assert!(outcome.failure.is_none(), "{}", outcome.failure.unwrap());
        stats.add(&outcome.stats);
    }
    // It looked at them, then.
    assert!(stats.refined_steps > stats.sent + stats.delivered + 4 * stats.views, "{stats}");
}

/// Groups of each order, whose messages follow from each other and may be left out.
#[test]
fn steps_of_every_order_are_steps_of_the_specification() {
    for &order in &Order::ALL[1..] {
        let mut stats = Stats::default();
        for seed in 0..SEEDS / 6 {
            let outcome = Scenario::random(seed).with_order(order).refined().run();
            assert!(outcome.failure.is_none(), "{order}: {}", outcome.failure.unwrap());
            stats.add(&outcome.stats);
        }
        assert!(stats.refined_steps > stats.sent + stats.delivered, "{order}: {stats}");
    }
}

/// An earlier incarnation was in the group again after a later one under its id, at a server that
/// had not heard of the later one, with lower ids (M2, M6). The specification took both for one
/// process. It says nothing of two.
#[test]
fn duplicates_are_not_taken_for_incarnations_of_one_process() {
    for seed in [1_000_930, 1_001_391, 1_003_751, 1_007_208] {
        let outcome = Scenario::random(seed).refined().run();
        assert!(outcome.failure.is_none(), "{}", outcome.failure.unwrap());
        assert!(outcome.stats.refined_steps > 0);
    }
}

/// What the specification says of the first step of a run that it does not allow.
fn refuted(scenario: &Scenario) -> Option<String> {
    match scenario.clone().refined().run().failure {
        Some(failure) => match &failure.why {
            Why::Defect(Defect::Refuted { .. }) => Some(failure.to_string()),
            _ => None,
        },
        None => None,
    }
}

/// A run without `rule` in which no property is violated and everybody settles, and which the
/// refinement check refutes all the same: by the precondition `because`.
fn assert_refuted(rule: Rule, because: &str) {
    for seed in 0..MUTANT_SEEDS {
        let mutant = Scenario::random(seed).leaving_out(rule);
        let clean = catch_unwind(AssertUnwindSafe(|| mutant.run().failure.is_none()));
        if !clean.unwrap_or(false) {
            continue;
        }
        if let Some(why) = refuted(&mutant).filter(|why| why.contains(because)) {
            assert!(why.contains(&format!("seed {seed}: ")), "it names the seed: {why}");
            println!("{why}\n");
            return;
        }
    }
    panic!("nothing was refuted without {rule:?} where all properties hold");
}

#[test]
fn cut_of_deliveries_is_refuted() {
    assert_refuted(Rule::CutReceived, "cut = what was received gap-free");
}

#[test]
fn delivery_beyond_own_cut_is_refuted() {
    assert_refuted(Rule::OwnCut, "no delivery beyond the bound");
}

#[test]
fn obsolete_view_is_refuted() {
    assert_refuted(Rule::NoObsoleteView, "no delivery beyond the bound");
}

#[test]
fn installation_without_named_syncs_is_refuted() {
    assert_refuted(Rule::ExactSync, "a sync message of each who may come along");
}

#[test]
fn missing_forward_is_refuted() {
    assert_refuted(Rule::Forwarding, "what is due is forwarded");
    assert_refuted(Rule::ForwardOutsideT, "what is due is forwarded");
}

#[test]
fn sync_dropped_too_early_is_refuted() {
    assert_refuted(Rule::CollectBelow, "a sync message that may count is kept");
}

/// Where the guard that is missing shows at once in a property, the properties speak first.
#[test]
fn broken_property_is_reported_before_refinement() {
    let scenario = |seed| Scenario::random(seed).leaving_out(Rule::Blocking).refined();
    let failure = (0..SEEDS).find_map(|seed| scenario(seed).run().failure);
    assert!(matches!(failure.unwrap().why, Why::Violations(_)));
}
