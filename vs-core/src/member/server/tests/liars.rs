//! Servers and clients that lie: what they say is not believed, is bounded, and is counted.

use alloc::vec::Vec;

use super::super::agreement::PROPOSED_MAX;
use super::super::{Note, ServerConfig};
use super::bench::{Bench, greeting, group, links, processes};
use crate::ident::{Cid, ProcessId, ServerId};
use crate::member::attached::ReportId;
use crate::member::message::{PeerWord, Request};
use crate::member::proposal::Proposal;
use crate::wire::frame;

/// Servers that all lie had as many proposals kept as there are connections.
#[test]
fn proposals_of_many_liars_are_bounded() {
    let mut bench = Bench::together(ServerConfig::default(), 1);
    let cids: Vec<_> = (1000..1000 + 2000).map(|p| (ProcessId(p), Cid(5))).collect();
    for liar in 100..200 {
        bench.open(liar);
        bench.say(liar, &greeting(liar, 1));
        let clients = Vec::from([bench.client(liar, (liar, 7, 512))]);
        let words = PeerWord::Clients { version: 2, group: group(), clients, held: None };
        bench.say(liar, &Request::Peer(words));
        let mine = bench.server.groups.get(&group()).unwrap().proposal().unwrap().clone();
        let (from, set) = (ServerId(liar), ReportId::of(&[]));
        let proposal = Proposal { from, set, cids: cids.clone(), pn: 9, ..mine };
        bench.say(liar, &Request::Peer(PeerWord::Proposal { group: group(), proposal }));
    }
    let kept = bench.server.groups.get(&group()).unwrap().servers_remembered();
    assert_eq!(kept, PROPOSED_MAX / 2000);
    assert_eq!(bench.server.counters().proposals_dropped, 100 - kept as u64);
}

#[test]
fn what_lies_ahead_of_the_clock_is_counted_and_not_believed() {
    let now = 1_800_000_000_000;
    let mut bench = Bench::booted(ServerConfig::default(), now);
    let year = 366 * 24 * 3_600_000;
    bench.join(1, 1);
    bench.pass(10);
    bench.open(99);
    bench.say(99, &greeting(2, now + 2 * year));
    let noted = core::iter::from_fn(|| bench.server.poll_note());
    let noted = noted.filter(|note| matches!(note, Note::BootAhead { .. })).count();
    assert_eq!((noted, bench.server.counters().claims_ahead), (1, 1));
    bench.say(99, &links(2, now + 2 * year, &[1]));
    assert_eq!(bench.server.counters().claims_ahead, 2);
    bench.say(99, &links(2, now + 3_600_000, &[1]));
    let tell = |bench: &mut Bench, version, incarnation| {
        let client = bench.client(2, (1, incarnation, 16));
        let clients = Vec::from([client]);
        let words = PeerWord::Clients { version, group: group(), clients, held: None };
        bench.say(99, &Request::Peer(words));
        bench.pass(10);
    };
    tell(&mut bench, now + 2 * year, 7);
    assert_eq!(bench.server.counters().claims_ahead, 3);
    tell(&mut bench, now + 1, now + 3 * year);
    assert_eq!(bench.server.counters().claims_ahead, 4);
    assert_eq!(bench.detached(1), None, "nobody takes its place from the future");
    tell(&mut bench, now + 2, now + 3_600_000);
    assert!(bench.detached(1).is_some(), "a clock may be an hour ahead");
    assert_eq!(bench.server.counters().claims_ahead, 4);
}

#[test]
fn accusation_in_the_name_of_another_servers_client_is_counted() {
    let mut bench = Bench::together(ServerConfig::default(), 3);
    bench.with_peer();
    bench.pass(10);
    let say = |bench: &mut Bench, by| {
        let (by, accused) = (ProcessId(by), processes(&[3]));
        let word = PeerWord::Accuse { group: group(), by, accused };
        bench.say(99, &Request::Peer(word));
        bench.pass(200);
    };
    for by in [1, 2, 77] {
        say(&mut bench, by);
    }
    assert_eq!(bench.detached(3), None);
    assert_eq!(bench.server.counters().accusations_dropped, 3);
    say(&mut bench, 21);
    assert!(bench.detached(3).is_some(), "its own client is believed once");
}

/// 1.9 MB of forged link reports took 18 s: each led to a search, and to a look at all groups.
#[test]
fn link_reports_that_arrive_together_are_searched_together() {
    let mut bench = Bench::together(ServerConfig::default(), 1);
    bench.with_peer();
    bench.pass(10);
    let before = bench.server.counters().link_searches;
    let mut bytes = Vec::new();
    for version in 10..2010 {
        let far = 100 + version % 4;
        frame::encode(&links(far, version, &[2, 100 + version % 3]), &mut bytes);
    }
    let batches = bytes.chunks(64 << 10).count() as u64;
    bytes.chunks(64 << 10).for_each(|batch| bench.bytes(99, batch));
    let searches = bench.server.counters().link_searches - before;
    assert!(searches <= 5 * batches, "{searches} in {batches} batches");
    bench.say(99, &links(2, 5000, &[1, 100]));
    assert_eq!(bench.server.counters().link_searches - before, searches + 1, "one is at once");
}
