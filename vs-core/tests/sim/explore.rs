//! Every interleaving of the smallest worlds. With all rules nothing is wrong; without a rule its
//! absence shows. The other worlds are explored by `vs explore`.

use vs_core::explore::{Explored, Limits, PLANS, Plan, Wrong, explore};
use vs_core::rule::{Rule, Rules};
use vs_core::spec::Property;

fn plan(name: &str) -> &'static Plan {
    PLANS.iter().find(|plan| plan.name == name).unwrap()
}

fn without(name: &str, rule: Rule) -> Explored {
    assert!(plan(name).shows.contains(&rule), "it is said to show there");
    explore(plan(name), Rules::without(rule), Limits::default())
}

#[test]
fn every_state_is_right() {
    for name in ["outsider", "servers", "last-words"] {
        let all = explore(plan(name), Rules::default(), Limits::default());
        assert!(all.found.is_none(), "{name}: {}", all.found.unwrap());
        assert!(all.is_whole && all.ends > 0 && all.states > 1000, "{name}: {all:?}");
    }
}

#[test]
fn every_state_of_other_orders_is_right() {
    for name in ["causal", "causal-loss", "total", "total-loss"] {
        let all = explore(plan(name), Rules::default(), Limits::default());
        assert!(all.found.is_none(), "{name}: {}", all.found.unwrap());
        assert!(all.is_whole && all.ends > 0 && all.states > 100, "{name}: {all:?}");
        println!("{name}: {} states", all.states);
    }
}

#[test]
fn rules_of_orders_that_are_left_out_show() {
    for (name, rule) in [
        ("causal", Rule::CausalWait),
        ("causal-loss", Rule::CausalCut),
        ("total-loss", Rule::OrderHole),
    ] {
        let found = without(name, rule).found.unwrap();
        assert_eq!(found.report.violated().collect::<Vec<_>>(), [Property::T3], "{found}");
    }
}

/// The run is as short as any, shows the property in its traces, and is told step by step.
#[test]
fn a_delivery_beyond_the_own_cut_breaks_virtual_synchrony() {
    let found = without("outsider", Rule::OwnCut).found.unwrap();
    assert_eq!(found.report.violated().collect::<Vec<_>>(), [Property::S8]);
    assert_eq!(found.steps.len() - 1, 12);
    let told = found.to_string();
    assert!(told.contains(" 3 sends a message\n       3: send(1)\n"), "{told}");
    assert!(told.contains("S8: "), "{told}");
}

#[test]
fn group_without_forwarding_hangs() {
    let found = without("last-words", Rule::Forwarding).found.unwrap();
    assert!(matches!(found.wrong, Wrong::Stuck(_)), "{found}");
    assert_eq!(found.settled().len(), 2);
    assert!(found.report.violated().any(|p| p == Property::L5), "{found}");
}

#[test]
fn servers_without_d1_hang() {
    let found = without("servers", Rule::ServerD1).found.unwrap();
    assert!(found.report.violated().any(|p| p == Property::L1), "{found}");
}

#[test]
fn states_max_ends_the_search() {
    let some = explore(plan("outsider"), Rules::default(), Limits::default().with_states_max(100));
    assert!(!some.is_whole && some.states >= 100 && some.states < 200, "{some:?}");
}
