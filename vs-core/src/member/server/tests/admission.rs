//! Who is let in, who has to wait, and who has a say about others.

use alloc::vec;
use alloc::vec::Vec;

use super::super::ServerConfig;
use super::super::group::FORGIVEN_MS;
use super::bench::{Bench, group, hello, peer, processes, set, story, usual_profile};
use crate::ident::{Cid, Incarnation, ProcessId, ServerId, ViewId};
use crate::member::DetachReason;
use crate::member::attached::{Attached, Attachment};
use crate::member::message::{PeerWord, Reply, Request};
use crate::member::past::Past;
use crate::view::{VIEW_MEMBERS_MAX, View};

/// Two connections of one incarnation: the one that was left may be read last.
#[test]
fn late_request_leaves_client_where_it_is() {
    let mut bench = Bench::together(ServerConfig::default(), 2);
    bench.open(12);
    bench.say(12, &hello(peer(2, 2)));
    bench.attach(12, 9);
    bench.attach(2, 5);
    bench.mute.push(2);
    bench.pass(510);
    bench.told(1);
    bench.attach(2, 6);
    assert!(bench.detached(2).is_some(), "if it is there, it learns why");
    bench.close(2);
    bench.pass(10);
    assert!(bench.told(1).is_empty(), "it is attached over the other one");
}

/// Its host got another address. It was refused as a second process under its own id.
#[test]
fn client_that_moves_keeps_its_place() {
    let mut bench = Bench::new(ServerConfig::default());
    let at = |port: u16, nonce| {
        let mut peer = peer(2, 2);
        peer.addr.set_port(port);
        peer.incarnation = peer.incarnation.with_nonce(nonce);
        peer
    };
    bench.join(1, 1);
    bench.open(2);
    bench.say(2, &hello(at(20, 7)));
    bench.attach(2, 1);
    bench.pass(10);
    bench.told(1);
    bench.open(12);
    bench.say(12, &hello(at(21, 7)));
    bench.attach(12, 2);
    bench.mute.push(2);
    bench.pass(510);
    let addrs: Vec<_> = bench
        .told(1)
        .into_iter()
        .filter_map(|reply| match reply {
            Reply::StartChange { peers, .. } => Some(peers[1].addr.port()),
            _ => None,
        })
        .collect();
    assert_eq!(addrs, [21], "the others learn the new address");
    // Without a nonce it could be another process that began in the same millisecond.
    bench.open(3);
    bench.say(3, &hello(at(22, 0)));
    bench.attach(3, 3);
    assert!(matches!(bench.detached(3), Some((DetachReason::DuplicateId, _))));
}

#[test]
fn readmission_pause_ends_when_announced() {
    let config = ServerConfig { readmit_ms: 100, ..ServerConfig::default() };
    let mut bench = Bench::together(config.clone(), 3);
    bench.accuse(1, &[3]);
    bench.accuse(2, &[3]);
    bench.pass(config.accuse_ms);
    assert!(matches!(bench.detached(3), Some((DetachReason::Accused { .. }, 100))));
    bench.pass(100);
    bench.attach(3, 2);
    bench.pass(10);
    assert_eq!(bench.views(3).last().map(set), Some(vec![1, 2, 3]));
}

#[test]
fn each_waiting_for_an_id_answered_once() {
    let mut bench = Bench::together(ServerConfig::default(), 2);
    bench.join(12, 2);
    bench.join(13, 2);
    bench.attach(13, 2);
    bench.pass(1001);
    for conn in [12, 13] {
        assert_eq!(bench.told(conn).len(), 1, "over {conn}");
    }
}

/// The one that came last goes where components meet that are too large together. A joiner is no
/// component.
#[test]
fn old_incarnation_joins_nobody_loses_place() {
    let mut bench = Bench::new(ServerConfig::default());
    for p in 1..=16 {
        bench.join(20 + p, p);
    }
    bench.pass(10);
    for p in 1..=16 {
        assert_eq!(bench.views(20 + p).last().map(View::len), Some(16));
    }
    bench.join(3, 17);
    bench.pass(10);
    assert_eq!(bench.detached(3), Some((DetachReason::ServerFull, 500)));
    assert!((21..=36).all(|conn| bench.told(conn).is_empty()));
    // Who is in has a place.
    bench.attach(21, 2);
    bench.pass(10);
    assert_eq!(bench.views(21).last().map(View::len), Some(16));
}

#[test]
fn waiting_for_an_id_takes_room() {
    let mut bench = Bench::together(ServerConfig::default(), 15);
    bench.join(40, 15);
    bench.join(16, 16);
    assert_eq!(bench.detached(16), Some((DetachReason::ServerFull, 500)));
    bench.pass(1001);
    bench.attach(16, 2);
    bench.pass(10);
    assert_eq!(bench.views(16).last().map(View::len), Some(16), "it waits no more");
}

/// It threw all others out who came later, at both servers, so that it had room for those who were
/// left.
#[test]
fn components_meet_small_member_shrinks_nobody() {
    let config = ServerConfig::default();
    let mut bench = Bench::together(config.clone(), 5);
    bench.with_peer_of(&[(21, 0, 2), (22, 9, 16)]);
    bench.pass(10);
    for conn in 1..=5 {
        assert_eq!(bench.detached(conn), None, "{conn}");
    }
    let sets = |bench: &Bench| bench.server.status().groups.first[0].members.first.len();
    assert_eq!(sets(&bench), 6, "all but 21");
    // The same, seen by the server of the one that goes.
    let mut bench = Bench::new(config);
    bench.open(1);
    bench.say(1, &hello(peer(1, 0)));
    bench.attach_with(1, 1, 2, Past::default());
    bench.join(2, 2);
    bench.pass(10);
    assert_eq!(bench.views(1).last().map(set), Some(vec![1, 2]));
    bench.told(2);
    bench.with_peer_of(&[(21, 7, 16), (22, 8, 16)]);
    assert_eq!(bench.detached(1), Some((DetachReason::ServerFull, 500)));
    assert_eq!(story(&bench.told(2)).last(), Some(&(false, vec![2, 21, 22])));
}

#[test]
fn joiner_without_room_for_members_turned_away() {
    let mut bench = Bench::together(ServerConfig::default(), 3);
    for (conn, room) in [(8, 3), (9, 4)] {
        bench.open(conn);
        bench.say(conn, &hello(peer(conn, 0)));
        bench.attach_with(conn, 1, room, Past::default());
    }
    assert_eq!(bench.detached(8), Some((DetachReason::ServerFull, 500)));
    bench.pass(10);
    assert_eq!(bench.views(9).last().map(set), Some(vec![1, 2, 3, 9]));
}

/// Arrivals are put off while another server is about to have clients: more were let in than there
/// was room for, and those who came last in place of the joiner turned away.
#[test]
fn unreported_clients_take_room() {
    let mut bench = Bench::together(ServerConfig::default(), 1);
    bench.with_peer_of(&[]);
    let about = PeerWord::About { embeds: None, gathering: true, listen: None };
    bench.say(99, &Request::Peer(about));
    for conn in 2..=4 {
        bench.open(conn);
        bench.say(conn, &hello(peer(conn, 9 - conn)));
        bench.attach_with(conn, 1, 3, Past::default());
    }
    assert!(bench.told(1).is_empty() && bench.told(2).is_empty(), "they are put off");
    assert_eq!(bench.detached(4), Some((DetachReason::ServerFull, 500)));
    assert_eq!(bench.detached(3), None);
}

/// What it said of others was taken for true.
#[test]
fn turned_away_client_teaches_nothing() {
    let mut bench = Bench::together(ServerConfig::default(), 16);
    let view = View::new(ViewId { major: 9, minor: 1 }, &processes(&[1, 17]), &[Cid(900_000); 2]);
    bench.open(17);
    bench.say(17, &hello(peer(17, 17)));
    let past = Past { mbr_view: Some(view.unwrap()), ..Past::default() };
    bench.attach_with(17, 1, 16, past);
    assert_eq!(bench.detached(17), Some((DetachReason::ServerFull, 500)));
    bench.close(16);
    let view = bench.views(1).pop().unwrap();
    assert!(view.len() == 15 && view.start(ProcessId(1)) < Some(Cid(900_000)), "{view}");
}

/// A server that forgot what it gave to 2 hears of it from 1.
#[test]
fn client_reports_view_cids_continue_above_it() {
    let mut bench = Bench::new(ServerConfig::default());
    let (id, start) = (ViewId { major: 9, minor: 1 }, [Cid(70_000), Cid(90_000)]);
    let view = View::new(id, &processes(&[1, 2]), &start).unwrap();
    bench.open(1);
    bench.say(1, &hello(peer(1, 1)));
    let past = Past { mbr_view: Some(view), ..Past::default() };
    bench.say(1, &Request::Attach { group: group(), counter: 1, members_max: 16, past });
    bench.join(2, 2);
    bench.pass(10);
    let view = bench.views(1).pop().unwrap();
    assert!(view.start(ProcessId(1)) > Some(Cid(70_000)));
    assert_eq!(view.start(ProcessId(2)), Some(Cid(90_001)));
}

/// A verdict answers the accusations that led to it.
#[test]
fn accusation_excludes_once() {
    let config = ServerConfig { readmit_ms: 100, ..ServerConfig::default() };
    let mut bench = Bench::together(config.clone(), 4);
    bench.accuse(1, &[3]);
    bench.pass(config.accuse_ms);
    assert!(bench.detached(3).is_some());
    bench.pass(100);
    bench.attach(3, 2);
    bench.pass(10);
    assert_eq!(bench.views(3).last().map(View::len), Some(4));
    bench.accuse(2, &[4]);
    bench.pass(config.accuse_ms);
    assert_eq!((bench.detached(4).is_some(), bench.detached(3)), (true, None));
}

#[test]
fn exclusion_counts_one_minute_after_its_pause() {
    let config = ServerConfig { readmit_ms: 100, ..ServerConfig::default() };
    for (ms, pause) in [(FORGIVEN_MS - 1, 200), (FORGIVEN_MS, 100)] {
        let mut bench = Bench::together(config.clone(), 2);
        bench.accuse(1, &[2]);
        bench.pass(config.accuse_ms);
        assert_eq!(bench.detached(2).map(|(_, pause)| pause), Some(100));
        bench.pass(100);
        bench.attach(2, 2);
        bench.pass(ms - config.accuse_ms);
        bench.told(2);
        bench.accuse(1, &[2]);
        bench.pass(config.accuse_ms);
        assert_eq!(bench.detached(2).map(|(_, pause)| pause), Some(pause), "after {ms} ms");
    }
}

#[test]
fn accusation_of_too_many_is_ignored() {
    for (extra, excluded) in [(1, false), (0, true)] {
        let config = ServerConfig::default();
        let mut bench = Bench::together(config.clone(), 3);
        let accused: Vec<u64> = (3..3 + VIEW_MEMBERS_MAX as u64 + extra).collect();
        bench.accuse(1, &accused);
        bench.accuse(2, &[3]);
        bench.accuse(2, &[]);
        bench.pass(config.accuse_ms);
        assert_eq!(bench.detached(3).is_some(), excluded, "{} accused", accused.len());
    }
}

#[test]
fn accusation_before_membership_is_ignored() {
    let config = ServerConfig::default();
    let mut bench = Bench::together(config.clone(), 2);
    bench.with_peer();
    let attachment = Attachment { incarnation: Incarnation::new(7), counter: 1 };
    let client = |p| {
        let home = ServerId(2);
        let attached = Attached {
            process: ProcessId(p),
            attachment,
            home,
            members_max: 16,
            settled: None,
            profile: usual_profile(),
        };
        (attached, peer(p, 7).addr)
    };
    let accused = processes(&[1]);
    let word = PeerWord::Accuse { group: group(), by: ProcessId(22), accused };
    bench.say(99, &Request::Peer(word));
    let clients = vec![client(21), client(22)];
    bench.say(
        99,
        &Request::Peer(PeerWord::Clients { version: 3, group: group(), clients, held: None }),
    );
    assert_eq!(story(&bench.told(1)).last(), Some(&(false, vec![1, 2, 21, 22])));
    bench.pass(config.accuse_ms + 1);
    assert_eq!(bench.detached(1), None);
}

/// Another server accused in the name of whomever it liked.
#[test]
fn accusation_through_another_server_is_ignored() {
    for (by, excluded) in [(1, false), (21, true)] {
        let config = ServerConfig::default();
        let mut bench = Bench::together(config.clone(), 3);
        bench.with_peer();
        bench.pass(10);
        let (by, accused) = (ProcessId(by), processes(&[2]));
        bench.say(99, &Request::Peer(PeerWord::Accuse { group: group(), by, accused }));
        bench.pass(config.accuse_ms);
        assert_eq!(bench.detached(2).is_some(), excluded, "by {by}");
    }
}

/// One member threw out the others one by one, or one of them for ever.
#[test]
fn accuser_alone_again_goes_itself() {
    for (again, ms, gone) in
        [(3, 0, 1), (4, 0, 1), (3, FORGIVEN_MS - 1000, 1), (3, FORGIVEN_MS, 3), (4, FORGIVEN_MS, 4)]
    {
        let config = ServerConfig { readmit_ms: 100, ..ServerConfig::default() };
        let mut bench = Bench::together(config.clone(), 4);
        bench.accuse(1, &[3]);
        bench.pass(config.accuse_ms);
        assert!(bench.detached(3).is_some(), "once it is believed");
        bench.pass(100);
        bench.attach(3, 2);
        bench.pass(ms);
        for p in 1..=4 {
            bench.told(p);
        }
        bench.accuse(1, &[again]);
        bench.pass(config.accuse_ms);
        for p in 1..=4 {
            let reason = bench.detached(p).map(|(reason, _)| reason);
            let by = if gone == 1 { Vec::new() } else { processes(&[1]) };
            let expected = (p == gone).then_some(DetachReason::Accused { by });
            assert_eq!(reason, expected, "{p}, accused {again} after {ms} ms");
        }
    }
}

/// In a group of two nobody else could agree, and others do agree where there are more.
#[test]
fn accuser_with_reason_stays_again() {
    for (n, others) in [(2, &[][..]), (4, &[2])] {
        let config = ServerConfig { readmit_ms: 100, ..ServerConfig::default() };
        let mut bench = Bench::together(config.clone(), n);
        for round in 1..4 {
            for by in [1].iter().chain(others) {
                bench.accuse(*by, &[n]);
            }
            bench.pass(config.accuse_ms);
            assert!(bench.detached(n).is_some(), "{n} members");
            bench.pass(400);
            bench.attach(n, 1 + round);
            bench.pass(10);
            bench.told(n);
        }
    }
}

/// It asked twice a second, for ever.
#[test]
fn joiner_without_room_asks_less_often() {
    let config = ServerConfig { readmit_ms: 100, ..ServerConfig::default() };
    let mut bench = Bench::together(config, 2);
    bench.open(3);
    bench.say(3, &hello(peer(3, 3)));
    let pauses = (1..=7).map(|counter| {
        bench.attach_with(3, counter, 2, Past::default());
        let (reason, retry_ms) = bench.detached(3).expect("there is no room");
        assert_eq!(reason, DetachReason::ServerFull);
        bench.pass(retry_ms);
        retry_ms
    });
    assert_eq!(pauses.collect::<Vec<_>>(), [100, 200, 400, 800, 1600, 1600, 1600]);
}
