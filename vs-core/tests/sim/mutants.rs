//! Rules of the algorithm taken out one by one: each has to be missed, by the checker or by a group
//! that hangs.
//!
//! Most are missed in random worlds. Some cases are too seldom there and are built by hand below.
//! D2, D3 and `max_n` of the servers are missed in `member::server::tests::moshe`, where proposals
//! can be put in any order.

use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::panic::catch_unwind;

use vs_core::GroupConfig;
use vs_core::ident::{ProcessId, ServerId};
use vs_core::order::Order;
use vs_core::rule::{Rule, Rules};
use vs_core::sim::{Profile, Scenario, Site};
use vs_core::trace::Event;

use crate::sites::{FAR_MS, Sites, group, group_config};

/// Seeds that are tried for each rule.
const SEEDS: u64 = 600;

/// Runs worlds without `rule` until one fails that does not fail with the rule.
fn assert_missed(rule: Rule, profile: Profile) {
    for seed in 0..SEEDS {
        let scenario = Scenario::with_profile(profile, seed);
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
    panic!("nothing was noticed without {rule:?} in {SEEDS} {profile} worlds");
}

#[test]
fn cut_of_deliveries_is_noticed() {
    assert_missed(Rule::CutReceived, Profile::Busy);
}

#[test]
fn sending_after_the_sync_is_noticed() {
    assert_missed(Rule::Blocking, Profile::Busy);
}

#[test]
fn other_sync_than_the_named_is_noticed() {
    assert_missed(Rule::ExactSync, Profile::Cascade);
}

#[test]
fn missing_rule_d1_is_noticed() {
    assert_missed(Rule::ServerD1, Profile::Servers);
}

#[test]
fn primary_view_of_half_is_noticed() {
    assert_missed(Rule::PrimaryMajority, Profile::Servers);
}

#[test]
fn primary_view_before_installation_is_noticed() {
    assert_missed(Rule::PrimaryInstalled, Profile::Servers);
}

/// Runs worlds of `order` without `rule` until the checker names `property`.
fn assert_order_missed(rule: Rule, order: Order, property: &str, seeds: core::ops::Range<u64>) {
    let missed = seeds.clone().find(|&seed| {
        let scenario = Scenario::random(seed).with_order(order).leaving_out(rule);
        let failure = scenario.run().failure.map(|failure| failure.to_string());
        failure.is_some_and(|failure| failure.contains(property))
    });
    let seed =
        missed.unwrap_or_else(|| panic!("nothing was noticed without {rule:?} in {seeds:?}"));
    let intact = Scenario::random(seed).with_order(order).run().failure;
    assert!(intact.is_none(), "fails with the rule, too: {}", intact.unwrap());
    println!("{rule:?}: seed {seed}");
}

#[test]
fn message_that_follows_from_a_hole_is_noticed() {
    assert_order_missed(Rule::OrderHole, Order::Total, "T3", 0..3000);
}

#[test]
fn acknowledgement_beyond_the_own_cut_is_noticed() {
    assert_order_missed(Rule::OrderAckCap, Order::Safe, "T4", 1000..5000);
}

#[test]
fn safe_delivery_after_the_own_sync_is_noticed() {
    assert_order_missed(Rule::OrderFreeze, Order::Safe, "T2", 0..3000);
}

#[test]
fn safe_delivery_of_only_what_is_known_here_is_noticed() {
    assert_order_missed(Rule::OrderSafeMax, Order::Safe, "T2", 0..3000);
}

#[test]
fn slots_that_are_counted_anew_are_noticed() {
    assert_order_missed(Rule::OrderSlotsGoOn, Order::Total, "T3", 0..3000);
    assert_order_missed(Rule::OrderSlotsGoOn, Order::Safe, "T2", 0..3000);
}

#[test]
fn lead_that_begins_anew_is_noticed() {
    assert_order_missed(Rule::OrderLeadFromSlots, Order::Total, "did not settle", 0..300);
}

#[test]
fn causal_delivery_without_waiting_is_noticed() {
    assert_order_missed(Rule::CausalWait, Order::Causal, "T3", 0..300);
}

#[test]
fn causal_cut_that_leaves_nothing_out_is_noticed() {
    assert_order_missed(Rule::CausalCut, Order::Causal, "T3", 0..3000);
}

/// A configuration in which a group that hangs does so to the end: no accusation may hide it.
fn patient() -> GroupConfig {
    group_config().with_peer(Duration::from_secs(60))
}

/// The processes that have delivered a message of `sender`. The checker judges all traces.
fn deliveries(sites: &mut Sites, sender: ProcessId) -> Vec<ProcessId> {
    let delivers = |event: &Event| matches!(event, Event::Deliver { from, .. } if *from == sender);
    let mut traces = sites.clean_traces();
    traces.retain(|(_, records)| records.iter().any(|record| delivers(&record.event)));
    traces.into_iter().map(|(p, _)| p).collect()
}

/// 3 sends a message that only 1 receives, and its host loses power. Returns whether 2 gets the
/// message, so that the others come together again: also with 3, if it comes back before it was
/// missed.
fn outlives_a_sender(rules: Rules, back: bool) -> bool {
    let mut sites = Sites::new(1, &patient(), rules);
    sites.start(&[1, 2, 3]);
    sites.await_view(&[1, 2, 3]);
    let [two, three] = [2, 3].map(ProcessId);
    sites.world.cut(Site::Process(three), Site::Process(two));
    sites.world.send(three, group().key(), b"last words").unwrap();
    sites.world.run_for_ms(1).unwrap();
    sites.world.power_off(three);
    sites.world.heal_all();
    if back {
        sites.start(&[3]);
    }
    let met = sites.meet(if back { &[1, 2, 3] } else { &[1, 2] }).is_some();
    let heard = deliveries(&mut sites, three);
    assert_eq!(heard.contains(&two), met, "once it has the message");
    met
}

#[test]
fn missing_forwarding_is_noticed() {
    assert!(outlives_a_sender(Rules::default(), false));
    assert!(!outlives_a_sender(Rules::without(Rule::Forwarding), false));
}

#[test]
fn forwarding_only_for_absent_members_is_noticed() {
    assert!(outlives_a_sender(Rules::default(), true));
    assert!(!outlives_a_sender(Rules::without(Rule::ForwardOutsideT), true));
    assert!(
        outlives_a_sender(Rules::without(Rule::ForwardOutsideT), false),
        "3 is not in the view"
    );
}

/// A change at 1 excludes 3, which has lost the server and still lacks a message of 1. The change
/// lasts, since 2, which is in it, sleeps. Returns whether 3 gets the message from 1 meanwhile;
/// later nobody has it any more.
fn is_served_by_a_change_without_it(rules: Rules) -> bool {
    let mut sites = Sites::new(1, &patient(), rules);
    let [one, two, three] = [1, 2, 3].map(ProcessId);
    sites.start(&[1, 2, 3]);
    sites.await_view(&[1, 2, 3]);
    let world = &mut sites.world;
    let server = Site::Server(ServerId(1));
    for (from, to) in [(Site::Process(three), server), (server, Site::Process(three))] {
        world.cut(from, to);
    }
    world.run_for_ms(800).unwrap();
    world.cut(Site::Process(one), Site::Process(three));
    world.send(one, group().key(), b"once").unwrap();
    world.run_for_ms(50).unwrap();
    world.pause(Site::Process(two));
    // The server misses 3 after a second of silence.
    world.run_for_ms(350).unwrap();
    world.heal(Site::Process(one), Site::Process(three));
    world.run_for_ms(200).unwrap();
    assert_eq!(world.view(one, group().key()).unwrap().len(), 3, "the change is not over");
    world.heal_all();
    world.resume(Site::Process(two));
    sites.await_view(&[1, 2, 3]);
    let heard = deliveries(&mut sites, one);
    assert!(heard.contains(&two), "nothing was lost on the way to 2");
    heard.contains(&three)
}

/// No property breaks without this rule, since packets are repaired as long as their sender has
/// them. A live member of the old view goes without a message that it could have had.
#[test]
fn unserved_old_view_is_noticed() {
    assert!(is_served_by_a_change_without_it(Rules::default()));
    assert!(!is_served_by_a_change_without_it(Rules::without(Rule::ReliableUnion)));
}

/// 13 and then 12 crash at the far site. Server 1 hears of the first alone and decides; server 2,
/// which has heard of both by then, does not, and gives 11 no new cid, since the set has only
/// shrunk. So 1 and 2 come through a view that 11 is never told of, and the next one names the same
/// sync message of 11 once more.
fn counts_a_sync_twice(rules: Rules) -> bool {
    let mut sites = Sites::new(1, &patient(), rules);
    sites.start(&[1, 2, 11, 12, 13]);
    sites.await_view(&[1, 2, 11, 12, 13]);
    sites.world.kill(ProcessId(13));
    sites.world.run_for_ms(FAR_MS / 2).unwrap();
    sites.world.kill(ProcessId(12));
    let passed = sites.world.run_while_ms(5 * FAR_MS, |world| {
        world.view(ProcessId(1), group().key()).is_none_or(|view| view.len() != 4)
    });
    assert!(passed.unwrap(), "1 is in the view that 11 passes over");
    let met = sites.meet(&[1, 2, 11]).is_some();
    sites.clean_traces();
    met
}

#[test]
fn sync_dropped_too_early_is_noticed() {
    assert!(counts_a_sync_twice(Rules::default()));
    assert!(!counts_a_sync_twice(Rules::without(Rule::CollectBelow)));
}
