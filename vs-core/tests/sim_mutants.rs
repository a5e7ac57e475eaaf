//! Rules of the algorithm taken out one by one: each has to be missed by the checker or by a group that hangs.

use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use vs_core::rule::Rule;
use vs_core::sim::{Profile, Scenario};

/// Seeds that are tried for each rule and profile.
const SEEDS: u64 = 3000;

/// Runs worlds without `rule` until one fails in a way that it does not fail with the rule.
fn assert_missed(rule: Rule, profiles: &[Profile]) {
    for seed in 0..SEEDS {
        for profile in profiles {
            let scenario = Scenario::with_profile(*profile, seed);
            let mutant = scenario.clone().leaving_out(rule);
            let why = match catch_unwind(AssertUnwindSafe(|| mutant.run())) {
                Ok(outcome) => match outcome.failure {
                    Some(failure) => failure.to_string(),
                    None => continue,
                },
                Err(_) => format!("seed {seed}: panicked"),
            };
            let intact = scenario.run().failure;
            assert!(intact.is_none(), "fails with the rule, too: {}", intact.unwrap());
            println!("{rule:?} after {} {profile} worlds: {why}", seed + 1);
            return;
        }
    }
    panic!("nothing was noticed without {rule:?} in {SEEDS} worlds of {profiles:?}");
}

#[test]
fn the_cut_is_what_was_received() {
    assert_missed(Rule::CutReceived, &[Profile::Busy]);
}

#[test]
fn nothing_is_sent_between_sync_and_view() {
    assert_missed(Rule::Blocking, &[Profile::Busy]);
}

#[test]
fn the_sync_that_counts_is_the_one_that_the_view_names() {
    assert_missed(Rule::ExactSync, &[Profile::Cascade, Profile::Servers]);
}

#[test]
fn packets_are_forwarded_for_all_outside_the_transitional_set() {
    assert_missed(Rule::ForwardOutsideT, &[Profile::QuickRecovery]);
}

#[test]
fn packets_are_forwarded_at_all() {
    assert_missed(Rule::Forwarding, &[Profile::Lossy]);
}

#[test]
fn the_old_view_is_served_until_the_new_one() {
    assert_missed(Rule::ReliableUnion, &[Profile::Cascade, Profile::Servers, Profile::Lossy]);
}

#[test]
fn the_own_sync_outlives_the_installation() {
    assert_missed(Rule::CollectBelow, &[Profile::Lossy, Profile::Cascade]);
}

#[test]
fn a_change_after_a_used_proposal_is_answered() {
    assert_missed(Rule::ServerD1, &[Profile::Servers]);
}

#[test]
fn a_consumed_pending_proposal_is_answered() {
    assert_missed(Rule::ServerD2, &[Profile::Servers]);
}

#[test]
fn a_number_that_was_passed_is_answered() {
    assert_missed(Rule::ServerD3, &[Profile::Servers]);
}

#[test]
fn proposals_carry_the_highest_number() {
    assert_missed(Rule::ServerMaxN, &[Profile::Servers]);
}
