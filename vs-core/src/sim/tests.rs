//! Whole groups beside the specification, few enough to run with the unit tests: what a wrong step
//! anywhere in the core comes to, minutes before the large simulations say so.

use crate::seal::Suite;
use crate::sim::{Profile, Scenario};

fn play(scenarios: impl Iterator<Item = Scenario>) {
    for scenario in scenarios {
        let outcome = scenario.refined().run();
        assert!(outcome.failure.is_none(), "{}", outcome.failure.unwrap());
    }
}

#[test]
fn swarms_keep_to_the_specification() {
    play((1_000..1_060).map(Scenario::random));
}

#[test]
fn each_profile_keeps_to_the_specification() {
    play((0..6).flat_map(|seed| Profile::ALL.map(|profile| Scenario::with_profile(profile, seed))));
}

/// What is sealed is told apart from nothing that is not: sealed worlds go as others do.
#[test]
fn sealed_worlds_keep_to_the_specification() {
    let suites = Suite::ALL.into_iter().cycle();
    play(
        (2_000..2_040).map(Scenario::random).zip(suites).map(|(world, suite)| world.sealed(suite)),
    );
}
