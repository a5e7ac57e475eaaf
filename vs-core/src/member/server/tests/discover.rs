//! Servers without any set-up, each with a client in the same process.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use super::super::{ConnId, Note, ServerConfig};
use super::lan::{Lan, addr};
use crate::ident::{Deployment, ServerId};
use crate::member::DetachReason;
use crate::member::UselessBeacon;
use crate::rng::Rng;

#[test]
fn thirty_start_together_one_view_each() {
    let mut lan = Lan::new();
    for id in 1..=30 {
        lan.start(id, id, "default");
        lan.pass(5);
    }
    lan.pass(1000);
    for id in 1..=30 {
        assert_eq!(lan.views(id), Lan::all(1..=30), "of {id}");
    }
    assert_eq!(lan.connections(), 30 * 29 / 2, "one for each two");
    let quick = lan.beacons;
    assert!(quick < 30 * 30, "{quick} beacons");
    lan.pass(20_000);
    assert!(lan.beacons - quick < 30 * 20, "{} beacons in 20 s", lan.beacons - quick);
    assert_eq!(lan.views(1).len(), 0);
}

#[test]
fn newcomer_looking_around_blocks_nobody() {
    let mut lan = Lan::new();
    lan.start(7, 7, "default");
    lan.pass(300);
    assert_eq!(lan.views(7), [[7]]);
    assert!(lan.notes(7).contains(&Note::Settled { servers: 0 }));
    lan.start(3, 3, "default");
    lan.pass(150);
    assert_eq!((lan.connections(), lan.told(7)), (1, vec![]), "connected, but not yet there");
    lan.pass(300);
    let told = lan.told(7);
    let [(change, false, _), (view, true, set)] = &told[..] else { panic!("{told:?}") };
    assert!(*set == [3, 7] && view - change <= 5, "{told:?}");
    assert!(lan.notes(3).contains(&Note::Settled { servers: 1 }));
}

#[test]
fn embedded_client_dies_with_its_server() {
    let mut lan = Lan::new();
    lan.start_plain(9);
    lan.server(9).add_peer(crate::Time::from_millis(5000), addr(1));
    for id in 1..=3 {
        lan.start(id, id, "default");
        let now = lan.now;
        lan.server(id).add_peer(now, addr(9));
    }
    lan.pass(1000);
    assert_eq!(lan.views(1), [[1, 2, 3, 9]]);
    lan.kill(2);
    assert_eq!(lan.views(1), [[1, 3, 9]], "at once");
    lan.views(9);
    lan.kill(9);
    lan.pass(900);
    assert_eq!(lan.views(1).len(), 0, "it has its grace");
    lan.pass(200);
    assert_eq!(lan.views(1), [[1, 3]]);
    // It comes back before its beacons have been missed, and waits for nobody.
    lan.start(2, 2, "default");
    lan.pass(600);
    assert_eq!(lan.views(2), [[1, 2, 3]]);
}

/// What those that had not missed the dead server yet said of their links used to make the others
/// of a higher id believe that they were cut off with nobody, for an instant, which is enough for a
/// view.
#[test]
fn server_dies_nobody_believes_to_be_alone() {
    let mut lan = Lan::new();
    for id in 1..=9 {
        lan.start(id, id, "default");
    }
    lan.pass(1000);
    for id in 1..=9 {
        assert_eq!(lan.views(id), Lan::all(1..=9));
    }
    lan.kill(3);
    lan.pass(3000);
    for id in [1, 2, 4, 5, 6, 7, 8, 9] {
        assert_eq!(lan.views(id), [[1, 2, 4, 5, 6, 7, 8, 9]], "of {id}");
    }
}

#[test]
fn two_deployments_stay_apart_and_are_noted() {
    let mut lan = Lan::new();
    lan.start(1, 1, "default");
    lan.start(2, 2, "test");
    lan.pass(3000);
    assert_eq!((lan.views(1), lan.views(2)), (vec![vec![1]], vec![vec![2]]));
    assert_eq!(lan.connections(), 0);
    let other = Note::UselessBeacon(UselessBeacon::Deployment(Deployment::new("test").unwrap()));
    assert_eq!(lan.notes(1).iter().filter(|note| **note == other).count(), 1);
}

#[test]
fn duplicate_id_refused_before_membership() {
    let mut lan = Lan::new();
    lan.start(1, 5, "default");
    lan.pass(500);
    assert_eq!(lan.views(1), [[5]]);
    lan.start(2, 5, "default");
    lan.pass(3000);
    assert_eq!(lan.detached(2), Some(DetachReason::IdClaimed { at: ServerId(1) }));
    assert_eq!(lan.told(1), []);
}

#[test]
fn unsettled_server_delays_others_bounded_time() {
    let mut lan = Lan::new();
    lan.start(1, 1, "default");
    lan.pass(500);
    lan.start_restless(2);
    lan.pass(100);
    lan.start(3, 3, "default");
    lan.pass(1000);
    assert_eq!(lan.views(1), [[1]]);
    lan.pass(1000);
    assert_eq!((lan.views(1), lan.views(3)), (vec![vec![1, 3]], vec![vec![1, 3]]));
    // From then on it counts for nothing.
    lan.start(4, 4, "default");
    lan.pass(400);
    assert_eq!(lan.views(4), [[1, 3, 4]]);
}

#[test]
fn crash_while_others_start_announced_at_once() {
    let mut lan = Lan::new();
    for id in 1..=3 {
        lan.start(id, id, "default");
    }
    lan.pass(500);
    assert_eq!(lan.views(1), Lan::all(1..=3));
    lan.start_restless(9);
    lan.pass(50);
    lan.start(4, 4, "default");
    lan.pass(400);
    assert!(lan.server(4).is_settled());
    assert_eq!(lan.told(1), [], "4 has settled, but 9 has not");
    lan.kill(3);
    assert_eq!(lan.views(1), [[1, 2, 4]], "with who waited");
    assert_eq!(lan.views(4), [[1, 2, 4]]);
}

/// Nothing but the address of one is known, and that one dies when all know one another.
#[test]
fn one_named_server_leads_to_all() {
    let mut lan = Lan::new();
    lan.unheard = (1..=9).collect();
    lan.start(5, 5, "default");
    lan.pass(400);
    assert_eq!(lan.views(5), [[5]]);
    for id in [1, 2, 3, 7, 8, 9] {
        lan.start(id, id, "default");
        let now = lan.now;
        lan.server(id).add_peer(now, addr(5));
    }
    lan.pass(2000);
    for id in [1, 2, 3, 5, 7, 8, 9] {
        assert_eq!(lan.views(id), [[1, 2, 3, 5, 7, 8, 9]], "of {id}");
    }
    assert_eq!(lan.connections(), 7 * 6 / 2);
    lan.kill(5);
    lan.pass(50);
    assert_eq!(lan.views(9), [[1, 2, 3, 7, 8, 9]]);
}

/// A plain server is found by who is connected to one that has dialled it.
#[test]
fn servers_without_discovery_are_found() {
    let mut lan = Lan::new();
    lan.unheard = vec![3, 4];
    for id in 1..=2 {
        lan.start_plain(id);
    }
    let now = lan.now;
    lan.server(1).add_peer(now, addr(2));
    lan.start(3, 3, "default");
    lan.start(4, 4, "default");
    lan.server(3).add_peer(now, addr(1));
    lan.server(4).add_peer(now, addr(1));
    lan.pass(2000);
    for id in 1..=4 {
        assert_eq!(lan.views(id).last().unwrap(), &[1, 2, 3, 4], "of {id}");
    }
    assert_eq!(lan.connections(), 6);
}

/// 2 and 3 have lost each other, and 1 has neither: they do not go on together.
#[test]
fn server_reached_by_others_returns_soon() {
    let mut lan = Lan::new();
    for id in 1..=3 {
        lan.start(id, id, "default");
    }
    lan.pass(500);
    for id in 1..=3 {
        assert_eq!(lan.views(id), Lan::all(1..=3));
    }
    lan.part(2, 3);
    lan.pass(990);
    assert_eq!(lan.views(2).len(), 0, "it may come back");
    lan.pass(110);
    assert_eq!((lan.views(1), lan.views(2)), (vec![vec![1, 2]], vec![vec![1, 2]]));
    assert_eq!(lan.views(3).len(), 0, "1 may be about to miss 2, too");
    lan.pass(1000);
    assert_eq!(lan.views(3), [[3]]);
}

#[test]
fn held_requests_are_released_and_bounded() {
    let mut lan = Lan::new();
    lan.start_restless(1);
    let mut attach = |p: u64| lan.attach_over(1, 1000 + p, p);
    (1..=256).for_each(&mut attach);
    assert_eq!(lan.reply_over(1, 1256), None, "it waits");
    lan.attach_over(1, 1257, 1257);
    assert_eq!(lan.reply_over(1, 1257), Some(DetachReason::ServerFull));
    let now = lan.now;
    lan.server(1).handle_closed(now, ConnId(1001));
    lan.attach_over(1, 1258, 1258);
    assert_eq!(lan.reply_over(1, 1258), None, "there is room again");
}

/// Starts, deaths and lost links in any order: those that are left have one view, the same one, of
/// all of them.
#[test]
fn any_history_survivors_share_a_view() {
    for seed in 0..20 {
        let mut rng = Rng::new(seed);
        let mut lan = Lan::new();
        let mut alive = BTreeSet::new();
        for _ in 0..30 {
            let id = 1 + rng.below(8);
            if alive.insert(id) {
                lan.start(id, id, "default");
            } else if rng.percent(60) {
                alive.remove(&id);
                lan.kill(id);
            } else {
                let other = alive.iter().copied().find(|other| *other != id);
                other.into_iter().for_each(|other| lan.part(id, other));
                lan.pass(rng.below(1500));
                lan.mend();
            }
            lan.unheard = if rng.percent(20) { vec![1 + rng.below(8)] } else { vec![] };
            lan.pass(rng.below(400));
        }
        lan.unheard.clear();
        lan.pass(12_000);
        let all: Vec<u64> = alive.iter().copied().collect();
        for &id in &alive {
            assert_eq!(lan.views(id).last(), Some(&all), "seed {seed}, {id}");
        }
        assert_eq!(lan.connections(), all.len() * all.len().saturating_sub(1) / 2, "seed {seed}");
    }
}

/// While they were apart they forgot each other, and dialled no more. What the one that dials says
/// of itself is not heard.
#[test]
fn long_partition_heals_within_two_timeouts() {
    let soon = [3_000, 9_900, 10_300, 40_000, 590_000];
    for apart_ms in soon.into_iter().chain((13_000..23_000).step_by(330)) {
        let mut lan = Lan::new();
        for id in 1..=2 {
            lan.start(id, id, "default");
        }
        lan.pass(500);
        lan.unheard = vec![1, 2];
        lan.part(1, 2);
        lan.pass(apart_ms);
        assert_eq!((lan.connections(), lan.views(1).last()), (0, Some(&vec![1])));
        lan.views(2);
        lan.unheard = vec![2];
        lan.mend();
        lan.pass(2 * ServerConfig::default().silence_ms);
        assert_eq!(lan.views(2), [[1, 2]], "apart for {apart_ms} ms");
    }
}

#[test]
fn one_way_beacons_suffice() {
    let mut lan = Lan::new();
    lan.unheard = vec![1];
    lan.start(1, 1, "default");
    lan.start(2, 2, "default");
    lan.pass(1500);
    assert_eq!(lan.connections(), 1);
    assert_eq!(lan.views(1).last().unwrap(), &[1, 2]);
    let lost = Note::Peer { server: ServerId(2), connected: false };
    assert!(!lan.notes(1).contains(&lost));
}
