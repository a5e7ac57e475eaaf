//! Links between servers that come and go, and what operators and clients are told of who went, and
//! why.

use alloc::vec;
use alloc::vec::Vec;

use super::super::{ConnId, LeftOut, Note, Server, ServerConfig};
use super::bench::{Bench, greeting, group, hello, links, peer, processes, set, story};
use crate::ident::{ProcessId, ServerId};
use crate::member::message::{PeerWord, Reply, Request};
use crate::member::{Departure, DetachReason};
use crate::wire::frame::{self, Decoder};

fn notes(bench: &mut Bench) -> Vec<Note> {
    core::iter::from_fn(|| bench.server.poll_note()).collect()
}

/// Who went from where, and why.
fn departures(bench: &mut Bench) -> Vec<(u64, u64, Departure)> {
    let gone = |note| match note {
        Note::Detached { process, server, why, .. } => Some((process.0, server.0, why)),
        _ => None,
    };
    notes(bench).into_iter().filter_map(gone).collect()
}

/// Client 1 here, and server 2 with its client.
fn pair(config: ServerConfig) -> Bench {
    let mut bench = Bench::together(config, 1);
    bench.with_peer();
    bench.pass(10);
    assert_eq!(story(&bench.told(1)), [(false, vec![1, 21])], "the first time it counts at once");
    notes(&mut bench);
    bench
}

/// The link is lost for so long, and comes back.
fn flap(bench: &mut Bench, ms: u64) {
    bench.close(99);
    bench.pass(ms);
    bench.with_peer();
}

/// After how many ms client 1 is told of a change with 21.
fn taken_in_after(bench: &mut Bench, ms_max: u64) -> Option<u64> {
    bench.told(1);
    (1..=ms_max).find(|_| {
        bench.pass(1);
        story(&bench.told(1)).iter().any(|(_, set)| set.contains(&21))
    })
}

#[test]
fn short_link_loss_costs_no_view() {
    let config = ServerConfig::default();
    let mut bench = pair(config.clone());
    for _ in 0..10 {
        flap(&mut bench, config.reattach_ms - 1);
    }
    bench.pass(10);
    assert!(bench.told(1).is_empty());
    assert!(!notes(&mut bench).iter().any(|note| matches!(note, Note::LeftOut { .. })));
}

#[test]
fn returned_link_holds_longer_each_time() {
    let config = ServerConfig { link_hold_max_ms: 1000, ..ServerConfig::default() };
    let mut bench = pair(config.clone());
    for hold_ms in [250, 500, 1000, 1000] {
        flap(&mut bench, config.reattach_ms);
        assert_eq!(taken_in_after(&mut bench, 2000), Some(hold_ms));
        let server = ServerId(2);
        let told: Vec<Note> = notes(&mut bench)
            .into_iter()
            .filter(|note| matches!(note, Note::LeftOut { .. } | Note::TakenIn { .. }))
            .collect();
        let why = LeftOut::Returned { hold_ms };
        assert_eq!(told, [Note::LeftOut { server, why }, Note::TakenIn { server }]);
    }
    // It did well for long.
    bench.pass(config.link_forgive_ms);
    flap(&mut bench, config.reattach_ms);
    assert_eq!(taken_in_after(&mut bench, 2000), Some(250));
}

/// However often: who never holds is in no view, and costs none.
#[test]
fn fast_flapping_link_costs_no_views() {
    let config = ServerConfig::default();
    let mut bench = pair(config.clone());
    bench.close(99);
    bench.pass(config.reattach_ms);
    bench.told(1);
    for _ in 0..50 {
        bench.with_peer();
        bench.pass(249);
        bench.close(99);
        bench.pass(20);
    }
    assert!(bench.told(1).is_empty(), "1 is where it was");
    bench.with_peer();
    assert_eq!(taken_in_after(&mut bench, 2000), Some(250), "no longer than at first");
}

#[test]
fn no_hold_time_returned_link_counts_at_once() {
    let config = ServerConfig { link_hold_ms: 0, link_hold_max_ms: 0, ..ServerConfig::default() };
    let mut bench = pair(config.clone());
    bench.close(99);
    bench.pass(config.reattach_ms);
    bench.told(1);
    bench.with_peer();
    assert_eq!(story(&bench.told(1)), [(false, vec![1, 21])]);
    let wrong = ServerConfig { link_hold_ms: 1, ..config };
    assert!(Server::new(wrong, ServerId(1), 1).is_err());
}

/// 2 and 3 do not reach each other: 1 cannot be with both.
#[test]
fn left_out_server_noted_once_with_reason() {
    let mut bench = pair(ServerConfig::default());
    bench.open(98);
    bench.say(98, &greeting(3, 1));
    let mut say = |conn, version, list: &[u64]| {
        bench.say(conn, &links(101 - conn, version, list));
        let mut told = notes(&mut bench);
        told.retain(|note| matches!(note, Note::LeftOut { .. } | Note::TakenIn { .. }));
        told
    };
    let (server, why) = (ServerId(3), LeftOut::Unlinked { from: ServerId(2) });
    assert_eq!(say(98, 1, &[1]), [Note::LeftOut { server, why }]);
    assert_eq!(say(98, 2, &[1]), []);
    assert_eq!(say(98, 3, &[1, 2]), [], "2 does not say so");
    assert_eq!(say(99, 10, &[1, 3]), [Note::TakenIn { server }]);
}

/// A third server still reaches one that this one has lost, and is not left out for that.
#[test]
fn lost_link_keeps_third_server_together() {
    let config = ServerConfig::default();
    let mut bench = pair(config.clone());
    bench.open(98);
    bench.say(98, &greeting(3, 1));
    bench.say(98, &links(3, 1, &[1, 2]));
    bench.say(99, &links(2, 9, &[1, 3]));
    bench.pass(10);
    bench.told(1);
    bench.read::<Request>(99);
    bench.close(98);
    bench.pass(config.reattach_ms - 1);
    assert!(bench.told(1).is_empty());
    let words = |bench: &mut Bench| {
        let links = |request| match request {
            Request::Peer(PeerWord::Links { server: ServerId(1), servers, .. }) => Some(servers),
            _ => None,
        };
        bench.read(99).into_iter().filter_map(links).collect::<Vec<_>>()
    };
    assert!(words(&mut bench).iter().all(|servers| servers.contains(&ServerId(3))));
    bench.pass(1);
    assert_eq!(words(&mut bench).last(), Some(&vec![ServerId(2)]));
}

#[test]
fn departure_noted_with_reason() {
    let config = ServerConfig::default();
    let mut bench = Bench::together(config.clone(), 6);
    notes(&mut bench);
    bench.say(2, &Request::Leave { group: group() });
    assert_eq!(departures(&mut bench), [(2, 1, Departure::Left)]);
    bench.close(3);
    assert_eq!(departures(&mut bench), [(3, 1, Departure::Ended)]);
    bench.mute.push(4);
    bench.pass(config.silence_ms + 10);
    assert_eq!(departures(&mut bench), [(4, 1, Departure::Told(DetachReason::Silent))]);
    bench.accuse(1, &[5]);
    bench.accuse(6, &[5]);
    bench.pass(config.accuse_ms);
    let by = processes(&[1, 6]);
    let why = Departure::Told(DetachReason::Accused { by });
    assert_eq!(departures(&mut bench), [(5, 1, why.clone())]);
    // It asks too early, and is told once more by whom it is accused.
    bench.told(5);
    bench.attach(5, 2);
    let refused = bench.detached(5).map(|(reason, _)| Departure::Told(reason));
    assert_eq!(refused, Some(why));
}

#[test]
fn departure_noted_at_other_servers_too() {
    let mut bench = pair(ServerConfig::default());
    let gone = |bench: &mut Bench, p, why: Departure| {
        let process = ProcessId(p);
        bench.say(99, &Request::Peer(PeerWord::Gone { group: group(), process, why }));
        departures(bench)
    };
    assert_eq!(gone(&mut bench, 21, Departure::Left), [(21, 2, Departure::Left)]);
    assert_eq!(gone(&mut bench, 1, Departure::Left), [], "it is no client of server 2");
    let lie = DetachReason::Contract("of any length".into());
    assert_eq!(gone(&mut bench, 21, Departure::Told(lie)), []);
    assert!(bench.told(1).is_empty(), "nothing follows from such words");
    bench.close(99);
    bench.pass(ServerConfig::default().reattach_ms);
    assert_eq!(departures(&mut bench), [(21, 2, Departure::ServerLost)]);
    // And those here are told of to others.
    bench.with_peer();
    bench.read::<Request>(99);
    bench.join(2, 2);
    bench.close(2);
    let told = bench.read(99).into_iter().find_map(|request| match request {
        Request::Peer(PeerWord::Gone { process, why, .. }) => Some((process, why)),
        _ => None,
    });
    assert_eq!(told, Some((ProcessId(2), Departure::Ended)));
}

/// It was told nothing but the end of its connection, as by a server that was lost.
/// Each of many servers sends signs of life to each other one, so they are rare, and one that is
/// late is not taken for dead for that.
#[test]
fn silence_of_servers_lasts_longer_in_crowd() {
    let mut bench = Bench::new(ServerConfig::default());
    let announced = |bench: &mut Bench, conn| {
        let silence = |request| match request {
            Request::Silence(silence_ms) => Some(silence_ms),
            _ => None,
        };
        bench.read(conn).into_iter().filter_map(silence).collect::<Vec<u64>>()
    };
    for server in 2..=40 {
        bench.open(server);
        bench.say(server, &greeting(server, 5));
    }
    assert_eq!(announced(&mut bench, 2), [2000], "when it had been there");
    assert_eq!(announced(&mut bench, 40), [2000], "when it came");
    bench.mute.push(7);
    bench.pass(1900);
    assert!(bench.closed.is_empty());
    bench.pass(200);
    assert_eq!(bench.closed, [7]);
    (20..=40).for_each(|server| bench.close(server));
    assert_eq!(announced(&mut bench, 2), [] as [u64; 0], "a little fewer change nothing");
    (15..20).for_each(|server| bench.close(server));
    assert_eq!(announced(&mut bench, 2), [1000]);
    bench.mute.push(8);
    bench.pass(1100);
    assert_eq!(bench.closed, [7, 8]);
}

#[test]
fn silent_client_is_told_when_it_resumes() {
    let mut bench = Bench::together(ServerConfig::default(), 2);
    bench.mute.push(2);
    bench.pass(1010);
    assert_eq!(bench.closed, [2]);
    let mut decoder = Decoder::default();
    decoder.push(&frame::preamble());
    decoder.push(bench.server.output(ConnId(2)));
    let replies: Vec<Reply> = core::iter::from_fn(|| decoder.next().unwrap()).collect();
    let told = replies.iter().find_map(|reply| match reply {
        Reply::Detached { reason, retry_ms, .. } => Some((reason.clone(), *retry_ms)),
        _ => None,
    });
    assert_eq!(told, Some((DetachReason::Silent, 20)));
    assert_eq!(bench.views(1).last().map(set), Some(vec![1]));
    // The same incarnation may come back at once.
    bench.open(12);
    bench.say(12, &hello(peer(2, 2)));
    bench.attach(12, 2);
    bench.pass(10);
    assert_eq!(bench.views(12).last().map(set), Some(vec![1, 2]));
}
