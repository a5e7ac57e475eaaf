//! Two processes under one id, at one server and at two.

use alloc::vec;

use super::super::ServerConfig;
use super::bench::{Bench, group, hello, peer, story, usual_profile};
use crate::ident::{Incarnation, ProcessId, ServerId};
use crate::member::DetachReason;
use crate::member::attached::{Attached, Attachment};
use crate::member::message::{Peer, PeerWord, Request};

const REFUSED: Option<(DetachReason, u64)> = Some((DetachReason::DuplicateId, 0));

/// What who asks for an id is told that another connection has, at server `at`; for the `nth` time.
fn claimed(at: u64, nth: u32) -> Option<(DetachReason, u64)> {
    let pause_ms = ServerConfig::default().readmit_ms * 2_u64.pow(nth - 1).min(16);
    Some((DetachReason::IdClaimed { at: ServerId(at) }, pause_ms))
}

/// Process `p` of the incarnation `incarnation`, on a host of its own.
fn elsewhere(p: u64, incarnation: u64) -> Peer {
    Peer { addr: ([127, 0, 0, 2], 1).into(), ..peer(p, incarnation) }
}

/// `who` asks for membership over `conn`.
fn ask(bench: &mut Bench, conn: u64, who: Peer) {
    bench.open(conn);
    bench.say(conn, &hello(who));
    bench.attach(conn, 1);
}

/// Server 2, over connection 99, has process 2 of the incarnation `incarnation`, if any.
fn has_two(bench: &mut Bench, version: u64, incarnation: Option<u64>) {
    let attached = |life| {
        let attachment = Attachment { incarnation: Incarnation::new(life), counter: 1 };
        let home = ServerId(2);
        let client = Attached {
            process: ProcessId(2),
            attachment,
            home,
            members_max: 16,
            settled: None,
            profile: usual_profile(),
        };
        (client, elsewhere(2, life).addr)
    };
    let clients = incarnation.map(attached).into_iter().collect();
    bench.say(
        99,
        &Request::Peer(PeerWord::Clients { version, group: group(), clients, held: None }),
    );
}

/// They could not be told apart, the later one took the place of the first, and the first heard
/// nothing any more.
#[test]
fn two_processes_of_one_millisecond_differ() {
    let mut bench = Bench::together(ServerConfig::default(), 2);
    ask(&mut bench, 12, elsewhere(2, 2));
    assert_eq!(bench.detached(12), REFUSED);
    assert!(bench.told(1).is_empty() && bench.told(2).is_empty(), "and nobody was disturbed");
    bench.close(12);
    assert!(bench.told(1).is_empty(), "it was nobody's end");
}

/// It took the place of the first, which was then given a view that it had no start_change for.
#[test]
fn duplicate_id_at_another_server_waits() {
    let mut bench = Bench::together(ServerConfig::default(), 1);
    bench.with_peer();
    has_two(&mut bench, 3, Some(7));
    bench.pass(10);
    bench.told(1);
    ask(&mut bench, 12, peer(2, 12));
    bench.pass(1999);
    assert_eq!(bench.detached(12), None, "2 might be dead, and its server, too");
    bench.pass(1);
    assert_eq!(bench.detached(12), claimed(2, 1), "it may be wrong");
    assert!(bench.told(1).is_empty(), "and nobody was disturbed");
    for nth in 2..8 {
        ask(&mut bench, 13, peer(2, 6));
        assert_eq!(bench.detached(13), claimed(2, nth), "an earlier life, at once");
        bench.close(13);
    }
    // Its server misses it: the newcomer was its next incarnation.
    ask(&mut bench, 14, peer(2, 14));
    bench.pass(100);
    has_two(&mut bench, 4, None);
    assert_eq!(story(&bench.told(14))[0], (false, vec![1, 2]));
}

/// Both were admitted when the earlier incarnation was missed, the one that the process had left
/// last: its end was the end of the process, which waited for its first view for ever (`vs sim
/// --seed 1027018`).
#[test]
fn waiting_incarnation_later_connection_counts() {
    for order in [[(12, 1), (13, 2)], [(13, 2), (12, 1)]] {
        let mut bench = Bench::together(ServerConfig::default(), 2);
        for (conn, counter) in order {
            bench.open(conn);
            bench.say(conn, &hello(peer(2, 12)));
            bench.attach(conn, counter);
        }
        bench.pass(100);
        bench.close(2);
        assert_eq!(story(&bench.told(13))[0], (false, vec![1, 2]));
        assert_eq!(bench.detached(12), claimed(1, 1), "it hears nothing more if it was left");
        bench.pass(10);
        bench.told(1);
        bench.close(12);
        assert!(bench.told(1).is_empty(), "it was nobody's end");
    }
}

#[test]
fn client_of_lost_server_holds_its_id() {
    let config = ServerConfig { silence_ms: 200, ..ServerConfig::default() };
    let reattach_ms = config.reattach_ms;
    let mut bench = Bench::together(config, 1);
    bench.with_peer();
    has_two(&mut bench, 3, Some(7));
    bench.pass(10);
    bench.close(99);
    ask(&mut bench, 12, peer(2, 12));
    bench.pass(reattach_ms - 10);
    assert!(bench.told(12).is_empty(), "neither refused nor let in");
    ask(&mut bench, 2, elsewhere(2, 7));
    bench.told(2);
    bench.pass(401);
    assert_eq!(bench.detached(12), REFUSED, "it came over");
    assert_eq!(bench.detached(2), None);
    // Another one does not come over.
    bench.close(2);
    bench.with_peer();
    has_two(&mut bench, 3, Some(7));
    bench.close(99);
    ask(&mut bench, 13, peer(2, 13));
    bench.pass(reattach_ms - 1);
    assert!(bench.told(13).is_empty());
    bench.pass(2);
    assert_eq!(story(&bench.told(13))[0], (false, vec![1, 2]));
}

/// Servers that did not know of each other let one in each.
#[test]
fn both_admitted_later_incarnation_stays() {
    let mut bench = Bench::together(ServerConfig::default(), 2);
    bench.with_peer();
    has_two(&mut bench, 3, Some(1));
    assert_eq!(bench.detached(2), None, "an earlier life");
    has_two(&mut bench, 4, Some(7));
    assert_eq!(bench.detached(2), claimed(2, 1), "a later one");
    bench.pass(10);
    bench.told(1);
    bench.close(2);
    assert!(bench.told(1).is_empty(), "what was left behind is nobody's end");
    // The same incarnation has moved: nobody is refused.
    ask(&mut bench, 3, elsewhere(3, 9));
    bench.pass(10);
    bench.told(3);
    let attachment = Attachment { incarnation: Incarnation::new(9), counter: 2 };
    let (process, home) = (ProcessId(3), ServerId(2));
    let moved = (
        Attached {
            process,
            attachment,
            home,
            members_max: 16,
            settled: None,
            profile: usual_profile(),
        },
        elsewhere(3, 9).addr,
    );
    let clients = vec![moved];
    bench.say(
        99,
        &Request::Peer(PeerWord::Clients { version: 5, group: group(), clients, held: None }),
    );
    assert_eq!(bench.detached(3), claimed(2, 1), "if it has not moved, it asks again");
}

/// Whoever knew the incarnation of a member took its place, and it sat in its old view for ever:
/// nobody told it.
#[test]
fn impostor_of_living_member_is_refused() {
    let mut bench = Bench::together(ServerConfig::default(), 2);
    bench.open(12);
    bench.say(12, &hello(peer(2, 2)));
    bench.attach(12, u64::MAX);
    bench.pass(500);
    assert_eq!(bench.detached(12), claimed(1, 1));
    assert!(bench.told(1).is_empty() && bench.told(2).is_empty(), "and nobody was disturbed");
    bench.close(2);
    assert_eq!(story(&bench.told(1)), [(false, vec![1]), (true, vec![1])], "nobody waits");
}

/// What the process said before it lost the connection is no sign of life.
#[test]
fn words_before_request_show_no_life() {
    let mut bench = Bench::together(ServerConfig::default(), 2);
    bench.mute.push(2);
    bench.open(12);
    bench.say(12, &hello(peer(2, 2)));
    bench.attach(12, 2);
    bench.pass(100);
    bench.say(2, &Request::Ping);
    bench.pass(410);
    assert_eq!(story(&bench.told(12)).last(), Some(&(true, vec![1, 2])));
    // It is alive, and was only slow: it asks again, in vain as long as the other one is there.
    assert_eq!(bench.detached(2), claimed(1, 1));
    bench.attach(2, 3);
    bench.pass(500);
    assert_eq!(bench.detached(2), claimed(1, 2));
    bench.attach(2, 4);
    bench.told(1);
    bench.close(12);
    assert_eq!(story(&bench.told(2))[0], (false, vec![1, 2]));
}
