//! Whole groups beside the specification, few enough to run with the unit tests: what a wrong step
//! anywhere in the core comes to, minutes before the large simulations say so.

use crate::seal::Suite;
use crate::sim::{Profile, Scenario, Step, Traffic};

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

/// Somebody without a key sends old datagrams again, changes some and makes others up.
#[test]
fn nobody_without_a_key_does_harm() {
    let mut harm = 0;
    for seed in 3_000..3_030 {
        let scenario = Scenario::random(seed).sealed(Suite::Aes256Gcm).with_harm(300).refined();
        let outcome = scenario.run_with(
            |plan| Traffic::of(plan, seed),
            |world| {
                harm += world.harm();
                Ok(())
            },
        );
        assert!(outcome.failure.is_none(), "{}", outcome.failure.unwrap());
    }
    assert!(harm > 10_000, "{harm}");
}

/// A member says in sync messages and acknowledgements that it has what nobody has sent. Its views
/// end late, and nothing that is promised is broken for anybody.
#[test]
fn member_that_lies_about_what_it_has_breaks_nothing() {
    let mut lies = 0;
    let worlds = (4_000..4_040).map(Scenario::random).filter(|world| world.suite.is_none());
    for mut scenario in worlds {
        let liar = scenario.processes[0].id;
        scenario.steps.insert(0, (0, Step::Lie(liar)));
        let outcome = scenario.run();
        assert!(outcome.failure.is_none(), "{}", outcome.failure.unwrap());
        lies += outcome.stats.lies;
    }
    assert!(lies > 1_000, "{lies}");
}

/// What the adversary does breaks promises where nothing is sealed: the judges do notice.
#[test]
fn harm_is_noticed_without_keys() {
    let harmed = |seed| Scenario::random(seed).with_harm(300).run().failure.is_some();
    assert!((3_000..3_030).any(harmed));
}
