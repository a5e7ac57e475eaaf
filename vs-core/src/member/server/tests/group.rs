//! A whole server, as its clients and peers see it.

use alloc::vec;
use alloc::vec::Vec;

use super::super::group::FORGIVEN_MS;
use super::super::{ConnId, Note, ServerConfig};
use super::bench::{
    Bench, greeting, group, hello, links, peer, processes, set, story, usual_profile,
};
use crate::ident::{
    CLAIMED_MAX, Cid, GroupName, INCARNATION_MAX, Incarnation, NUMBER_MAX, ProcessId, ServerId,
    ViewId,
};
use crate::member::DetachReason;
use crate::member::attached::ReportId;
use crate::member::attached::{Attached, Attachment};
use crate::member::message::{PeerWord, Request};
use crate::member::past::Past;
use crate::member::proposal::{Mode, Proposal};
use crate::view::View;
use crate::wire::frame;

#[test]
fn arrivals_within_gathering_time_share_a_view() {
    let mut bench = Bench::new(ServerConfig::default());
    bench.join(1, 1);
    assert_eq!(story(&bench.told(1)), [(false, vec![1])], "start_change at once");
    bench.pass(2);
    bench.join(2, 2);
    bench.pass(10);
    assert_eq!(story(&bench.told(1)), [(false, vec![1, 2]), (true, vec![1, 2])]);
    assert_eq!(story(&bench.told(2)), [(false, vec![1, 2]), (true, vec![1, 2])]);
    assert_eq!(bench.server.counters().views_fast, 1);
    // The first arrival's time counts, whoever comes after.
    let mut bench = Bench::new(ServerConfig::default());
    for conn in 1..=3 {
        bench.join(conn, conn);
        bench.pass(2);
    }
    assert_eq!(bench.views(1).iter().map(set).collect::<Vec<_>>(), [[1, 2]], "3 ms are over");
}

#[test]
fn burst_of_arrivals_two_start_changes_at_most() {
    let mut bench = Bench::new(ServerConfig { announce_max: 1, ..ServerConfig::default() });
    let all: Vec<u64> = (1..=14).collect();
    for conn in &all {
        bench.join(*conn, *conn);
    }
    assert_eq!(story(&bench.told(1)), [(false, vec![1])], "of the first at once");
    assert!(bench.told(2).is_empty(), "of the others when the time is over");
    bench.pass(3);
    for conn in &all {
        assert_eq!(story(&bench.told(*conn)), [(false, all.clone()), (true, all.clone())]);
    }
    // An arrival that is gone again before its time is no change.
    bench.join(15, 15);
    bench.told(1);
    bench.join(16, 16);
    bench.close(16);
    assert!(bench.told(1).is_empty());
    bench.pass(3);
    assert_eq!(bench.views(1).last().map(View::len), Some(15));
}

#[test]
fn departure_ends_gathering() {
    let mut bench = Bench::together(ServerConfig::default(), 3);
    bench.close(3);
    assert_eq!(story(&bench.told(1)), [(false, vec![1, 2]), (true, vec![1, 2])]);
    bench.told(2);
    bench.say(2, &Request::Leave { group: group() });
    assert_eq!(story(&bench.told(1)), [(false, vec![1]), (true, vec![1])]);
    assert!(bench.told(2).is_empty());
    bench.join(4, 4);
    bench.attach(2, 2);
    bench.close(4);
    let told = bench.told(1);
    assert_eq!(story(&told).last(), Some(&(true, vec![1, 2])), "{told:?}");
}

#[test]
fn duplicate_id_waits_for_first_to_show_life() {
    let mut bench = Bench::together(ServerConfig::default(), 2);
    bench.join(12, 2);
    assert!(bench.told(12).is_empty());
    bench.pass(1001);
    assert_eq!(bench.detached(12), Some((DetachReason::DuplicateId, 0)), "2 is alive");
    assert!(bench.told(1).is_empty() && bench.told(2).is_empty(), "and nobody was disturbed");
    // An older incarnation never takes the place of a later one.
    bench.open(11);
    bench.say(11, &hello(peer(2, 1)));
    bench.attach(11, 9);
    assert_eq!(bench.detached(11), Some((DetachReason::DuplicateId, 0)));
    // It falls silent: the newcomer is its next incarnation, and takes its place in one change.
    bench.join(13, 2);
    bench.mute.push(2);
    bench.pass(1010);
    assert!(bench.closed.contains(&2));
    assert_eq!(story(&bench.told(13)), [(false, vec![1, 2]), (true, vec![1, 2])]);
    assert_eq!(story(&bench.told(1)), [(false, vec![1, 2]), (true, vec![1, 2])]);
}

#[test]
fn same_incarnation_moves_to_another_connection() {
    let mut bench = Bench::together(ServerConfig::default(), 2);
    bench.open(12);
    bench.say(12, &hello(peer(2, 2)));
    bench.attach(12, 2);
    bench.mute.push(2);
    bench.pass(499);
    assert!(bench.told(12).is_empty(), "the other one has time to show life");
    bench.pass(4);
    assert_eq!(story(&bench.told(12)).last(), Some(&(true, vec![1, 2])));
    assert_eq!(bench.detached(2), Some((DetachReason::IdClaimed { at: ServerId(1) }, 500)));
    bench.told(1);
    bench.close(2);
    assert!(bench.told(1).is_empty(), "what it left behind is nobody's end");
    bench.close(12);
    assert_eq!(story(&bench.told(1)), [(false, vec![1]), (true, vec![1])]);
}

#[test]
fn accused_returns_after_growing_pause() {
    let config = ServerConfig { readmit_ms: 100, ..ServerConfig::default() };
    let mut bench = Bench::together(config.clone(), 3);
    for (round, pause) in [100, 200, 400, 800, 1600, 1600].into_iter().enumerate() {
        bench.accuse(1, &[3]);
        bench.pass(config.accuse_ms / 2);
        bench.accuse(2, &[3]);
        assert_eq!(bench.detached(3), None, "others have time to accuse, too");
        bench.pass(config.accuse_ms / 2);
        let by = processes(&[1, 2]);
        assert_eq!(bench.detached(3), Some((DetachReason::Accused { by }, pause)), "{round}");
        assert_eq!(bench.views(1).last().map(set), Some(vec![1, 2]));
        bench.pass(pause - 10);
        bench.attach(3, 2 + 2 * round as u64);
        let refused = bench.detached(3);
        assert!(
            matches!(refused, Some((DetachReason::Accused { .. }, 11))),
            "it was told when: {refused:?}"
        );
        bench.pass(11);
        bench.attach(3, 3 + 2 * round as u64);
        bench.pass(10);
        assert_eq!(bench.views(3).last().map(set), Some(vec![1, 2, 3]));
    }
    // After a long good time it is as the first time.
    bench.pass(FORGIVEN_MS);
    bench.accuse(1, &[3]);
    bench.accuse(2, &[3]);
    bench.pass(config.accuse_ms);
    assert_eq!(bench.detached(3).map(|(_, pause)| pause), Some(100));
}

#[test]
fn withdrawn_accusation_excludes_nobody() {
    let config = ServerConfig::default();
    let mut bench = Bench::together(config.clone(), 3);
    bench.accuse(1, &[3]);
    bench.pass(config.accuse_ms - 1);
    bench.accuse(1, &[]);
    bench.pass(config.accuse_ms);
    // Nor do those who are no members have a say, or whoever accuses a stranger.
    bench.open(8);
    bench.say(8, &hello(peer(8, 8)));
    bench.accuse(8, &[1, 2, 3]);
    bench.accuse(2, &[77]);
    bench.pass(2 * config.accuse_ms);
    for conn in 1..=3 {
        assert!(bench.told(conn).is_empty());
    }
}

#[test]
fn clients_of_lost_server_stay_for_grace() {
    let mut bench = Bench::new(ServerConfig::default());
    bench.join(1, 1);
    bench.pass(10);
    bench.told(1);
    bench.with_peer();
    assert_eq!(story(&bench.told(1)), [(false, vec![1, 21])]);
    bench.close(99);
    bench.pass(999);
    assert!(bench.told(1).is_empty(), "21 may come over");
    bench.pass(1);
    assert_eq!(story(&bench.told(1)), [(true, vec![1])], "the set only shrank: the cid stays");
}

#[test]
fn client_of_lost_server_attaches_elsewhere_without_change() {
    let mut bench = Bench::new(ServerConfig::default());
    bench.join(1, 1);
    bench.pass(10);
    bench.told(1);
    bench.with_peer();
    bench.close(99);
    bench.open(21);
    bench.say(21, &hello(peer(21, 7)));
    let past = Past { last_cid: Cid(70_000), ..Past::default() };
    bench.say(21, &Request::Attach { group: group(), counter: 2, members_max: 16, past });
    bench.pass(10);
    let views = bench.views(21);
    assert_eq!(views.iter().map(set).collect::<Vec<_>>(), [[1, 21]]);
    assert!(views[0].start(ProcessId(21)) > Some(Cid(70_000)), "above what it was given there");
    let one = bench.views(1);
    assert_eq!(one, views, "and 1 went there without a view of its own");
    bench.pass(2000);
    assert!(bench.told(1).is_empty(), "the end of the grace changes nothing");
}

#[test]
fn new_peer_hears_clients_and_last_proposal() {
    let mut bench = Bench::together(ServerConfig::default(), 2);
    bench.with_peer();
    bench.pass(10);
    bench.close(99);
    bench.open(98);
    bench.say(98, &greeting(2, 1));
    let words: Vec<Request> = bench.read(98);
    assert!(
        matches!(words[0], Request::Server { server: ServerId(1), boot: 1000, .. }),
        "it names itself first"
    );
    let clients = words.iter().find_map(|word| match word {
        Request::Peer(PeerWord::Clients { clients, .. }) => Some(clients),
        _ => None,
    });
    let clients: Vec<u64> = clients.unwrap().iter().map(|(c, _)| c.process.0).collect();
    assert_eq!(clients, [1, 2]);
    let proposed = words.iter().find_map(|word| match word {
        Request::Peer(PeerWord::Proposal { proposal, .. }) => Some(proposal),
        _ => None,
    });
    let mine = bench.server.groups.get(&group()).unwrap().proposal();
    assert!(mine.is_some_and(|mine| mine.cids.len() == 2), "21 has no cid yet");
    assert_eq!(proposed, mine, "what was under way may be lost");
}

#[test]
fn peer_speaks_for_itself_only() {
    let mut bench = Bench::together(ServerConfig::default(), 1);
    bench.with_peer();
    bench.pass(10);
    bench.told(1);
    let attachment = Attachment { incarnation: Incarnation::new(7), counter: 1 };
    let of = |p, home| {
        let client = Attached {
            process: ProcessId(p),
            attachment,
            home: ServerId(home),
            members_max: 16,
            settled: None,
            profile: usual_profile(),
        };
        (client, peer(p, 7).addr)
    };
    // Clients of others, old news, and a proposal in another's name.
    let clients = vec![of(21, 2), of(31, 3), of(1, 1)];
    bench.say(
        99,
        &Request::Peer(PeerWord::Clients { version: 5, group: group(), clients, held: None }),
    );
    let clients = vec![];
    bench.say(
        99,
        &Request::Peer(PeerWord::Clients { version: 4, group: group(), clients, held: None }),
    );
    bench.pass(10);
    assert!(bench.told(1).is_empty(), "nothing changed");
    assert!(bench.closed.is_empty());
}

#[test]
fn broken_protocol_order_is_refused() {
    let attach =
        Request::Attach { group: group(), counter: 1, members_max: 16, past: Past::default() };
    let known = || hello(peer(5, 5));
    let too_far = Past { last_cid: Cid(CLAIMED_MAX + 1), ..Past::default() };
    let claim = Request::Attach { group: group(), counter: 1, members_max: 16, past: too_far };
    let start = [Cid(NUMBER_MAX), Cid(1)];
    let view = View::new(ViewId { major: 1, minor: 1 }, &processes(&[1, 5]), &start).unwrap();
    let of_others = Past { mbr_view: Some(view), ..Past::default() };
    let claim_of_others =
        Request::Attach { group: group(), counter: 1, members_max: 16, past: of_others };
    for requests in [
        vec![attach.clone()],
        vec![Request::Leave { group: group() }],
        vec![known(), known()],
        vec![known(), greeting(2, 1)],
        vec![known(), links(2, 1, &[])],
        vec![known(), claim],
        vec![known(), claim_of_others],
        vec![greeting(1, 1)],
        vec![greeting(2, 1), attach],
        vec![hello(peer(NUMBER_MAX + 1, 1))],
        vec![hello(peer(5, INCARNATION_MAX + 1))],
    ] {
        let mut bench = Bench::together(ServerConfig::default(), 1);
        bench.open(7);
        for request in &requests {
            assert!(bench.closed.is_empty(), "{requests:?}");
            bench.say(7, request);
        }
        assert_eq!(bench.closed, [7], "{requests:?}");
        let refused = core::iter::from_fn(|| bench.server.poll_note())
            .any(|note| matches!(note, Note::Refused { conn: ConnId(7), .. }));
        assert!(refused);
        let farewell = bench.server.output(ConnId(7));
        assert!(farewell.starts_with(&frame::preamble()), "it learns which version is spoken");
        bench.pass(10);
        assert!(bench.told(1).is_empty(), "nobody else notices");
    }
}

/// A crowd that finds no room would else fill the log.
#[test]
fn missing_room_is_noted_once_a_second() {
    let config = ServerConfig { connections_max: 2, ..ServerConfig::default() };
    let mut bench = Bench::together(config, 1);
    bench.open(7);
    bench.say(7, &hello(peer(7, 7)));
    let noted = |bench: &mut Bench, conn| {
        bench.server.handle_accepted(bench.now, ConnId(conn));
        core::iter::from_fn(|| bench.server.poll_note())
            .filter(|note| *note == Note::NoRoom { connections_max: 2 })
            .count()
    };
    assert_eq!([8, 9, 10].map(|conn| noted(&mut bench, conn)), [1, 0, 0]);
    bench.pass(1000);
    assert_eq!([11, 12].map(|conn| noted(&mut bench, conn)), [1, 0]);
}

#[test]
fn hostile_bytes_close_their_connection_only() {
    let mut long = frame::preamble().to_vec();
    long.extend_from_slice(&u32::MAX.to_le_bytes());
    let mut odd = frame::preamble().to_vec();
    odd.extend_from_slice(&[1, 0, 0, 0, 100]);
    for bytes in [b"GET / HTTP/1.1".to_vec(), b"VSM\0\x63\0".to_vec(), long, odd] {
        let mut bench = Bench::together(ServerConfig::default(), 1);
        bench.server.handle_accepted(bench.now, ConnId(7));
        bench.bytes(7, &bytes);
        assert_eq!(bench.closed, [7]);
        bench.pass(10);
        assert!(bench.told(1).is_empty());
    }
}

#[test]
fn silent_client_missed_unless_server_slept() {
    let mut bench = Bench::together(ServerConfig::default(), 2);
    bench.mute.push(2);
    bench.pass(900);
    assert!(bench.closed.is_empty());
    bench.pass(110);
    assert_eq!(bench.closed, [2]);
    assert_eq!(bench.views(1).last().map(set), Some(vec![1]));
    // It was suspended: what its clients said lies unread.
    let mut bench = Bench::together(ServerConfig::default(), 2);
    bench.now = bench.now.plus_ms(60_000);
    bench.pass(500);
    assert!(bench.closed.is_empty());
}

#[test]
fn connections_and_groups_beyond_bounds_refused() {
    let config = ServerConfig { connections_max: 2, groups_max: 1, ..ServerConfig::default() };
    let mut bench = Bench::together(config, 2);
    bench.server.handle_accepted(bench.now, ConnId(3));
    assert_eq!(bench.server.poll_close(), Some(ConnId(3)));
    let other = GroupName::new("other").unwrap();
    let attach = Request::Attach {
        group: other.clone(),
        counter: 5,
        members_max: 16,
        past: Past::default(),
    };
    bench.say(1, &attach);
    assert_eq!(bench.detached(1), Some((DetachReason::ServerFull, 500)));
    // A group that nobody is in any more makes room.
    for conn in [1, 2] {
        bench.say(conn, &Request::Leave { group: group() });
    }
    bench.say(1, &attach);
    bench.pass(10);
    assert_eq!(bench.views(1).iter().map(set).collect::<Vec<_>>(), [[1]]);
}

#[test]
fn client_that_does_not_read_is_closed() {
    let config = ServerConfig { output_bytes_max: 4096, ..ServerConfig::default() };
    let mut bench = Bench::together(config, 2);
    for counter in 2..200 {
        // 1 comes and goes and reads all about it; 2 does not.
        bench.say(1, &Request::Leave { group: group() });
        bench.attach(1, counter);
        bench.pass(5);
        bench.told(1);
    }
    assert_eq!(bench.closed, [2]);
    assert!(bench.server.output(ConnId(2)).len() < 2 * 4096, "no more is kept for it");
}

/// One joiner too many once ended the membership of everybody.
#[test]
fn members_without_room_joiner_is_turned_away() {
    let mut bench = Bench::together(ServerConfig::default(), 16);
    bench.join(17, 17);
    bench.pass(10);
    assert_eq!(bench.detached(17), Some((DetachReason::ServerFull, 500)));
    for conn in 1..=16 {
        assert!(bench.told(conn).is_empty(), "{conn} stays where it is");
    }
    bench.close(5);
    bench.attach(17, 2);
    bench.pass(10);
    assert_eq!(bench.views(17).last().map(View::len), Some(16));
}

/// What servers said that are gone was once kept for ever.
#[test]
fn proposals_of_lost_servers_are_forgotten() {
    let mut bench = Bench::together(ServerConfig::default(), 1);
    for s in 100..200 {
        bench.open(s);
        bench.say(s, &greeting(s, 5));
        let proposal = Proposal {
            from: ServerId(s),
            set: ReportId::default(),
            cids: Vec::new(),
            vnum: 1,
            mode: Mode::Fast,
            n: 0,
            max_n: 0,
            pn: 9,
            used: Vec::new(),
            share: None,
        };
        bench.say(s, &Request::Peer(PeerWord::Proposal { group: group(), proposal }));
        bench.close(s);
    }
    bench.pass(5000);
    assert_eq!(bench.server.groups.get(&group()).unwrap().servers_remembered(), 0);
}
