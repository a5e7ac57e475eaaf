//! What a server and its peers make of each other.

use alloc::vec;
use alloc::vec::Vec;

use super::super::moshe::{Attached, Attachment};
use super::super::{Note, ServerConfig};
use super::bench::{Bench, group, peer, processes};
use crate::ident::{INCARNATION_MAX, Incarnation, NUMBER_MAX, ProcessId, ServerId};
use crate::member::message::{PeerWord, Request};

/// Whether `p` at server 2 is `clients` to server 1; over connection 99.
fn clients(bench: &mut Bench, version: u64, clients: &[u64]) {
    let attachment = Attachment { incarnation: Incarnation(7), counter: 1 };
    let client = |&p: &u64| {
        let home = ServerId(2);
        let attached = Attached { process: ProcessId(p), attachment, home, members_max: 16 };
        (attached, peer(p, 7).addr)
    };
    let clients = clients.iter().map(client).collect();
    bench.say(99, &Request::Peer(PeerWord::Clients { version, group: group(), clients }));
}

/// What server 2 was told since the last call.
fn words(bench: &mut Bench) -> Vec<PeerWord> {
    let word = |request| match request {
        Request::Peer(word) => Some(word),
        _ => None,
    };
    bench.read(99).into_iter().filter_map(word).collect()
}

fn proposed(bench: &mut Bench) -> bool {
    words(bench).iter().any(|word| matches!(word, PeerWord::Proposal { .. }))
}

#[test]
fn arrivals_elsewhere_are_gathered_and_departures_are_not() {
    let mut bench = Bench::together(ServerConfig::default(), 1);
    bench.with_peer();
    bench.pass(10);
    words(&mut bench);
    clients(&mut bench, 3, &[21, 22]);
    assert!(!proposed(&mut bench));
    bench.pass(3);
    assert!(proposed(&mut bench));
    clients(&mut bench, 4, &[21]);
    assert!(proposed(&mut bench), "at once");
    clients(&mut bench, 5, &[22]);
    assert!(proposed(&mut bench), "one went, whoever came");
}

#[test]
fn accusations_of_members_here_are_told_to_peers() {
    let mut bench = Bench::together(ServerConfig::default(), 1);
    bench.with_peer();
    bench.pass(10);
    words(&mut bench);
    bench.open(8);
    bench.say(8, &Request::Client(peer(8, 8)));
    bench.accuse(8, &[1]);
    bench.accuse(1, &[21]);
    let accused = |word: PeerWord| match word {
        PeerWord::Accuse { by, accused, .. } => Some((by, accused)),
        _ => None,
    };
    let told: Vec<_> = words(&mut bench).into_iter().filter_map(accused).collect();
    assert_eq!(told, [(ProcessId(1), processes(&[21]))], "8 is no member");
}

#[test]
fn the_last_life_of_a_peer_is_the_one_that_is_heard() {
    let mut bench = Bench::new(ServerConfig::default());
    assert_eq!(bench.server.id(), ServerId(1));
    let mut greet = |conn, boot| {
        bench.open(conn);
        bench.say(conn, &Request::Server { server: ServerId(2), boot });
        let up = |note| match note {
            Note::Peer { connected, .. } => Some(connected),
            _ => None,
        };
        let notes: Vec<bool> =
            core::iter::from_fn(|| bench.server.poll_note()).filter_map(up).collect();
        (bench.conns.keys().copied().collect::<Vec<_>>(), notes)
    };
    assert_eq!(greet(10, 5), (vec![10], vec![true]));
    assert_eq!(greet(11, 5), (vec![10, 11], vec![]), "two connections of one life do no harm");
    assert_eq!(greet(12, 7), (vec![12], vec![false, true]), "another life began");
    assert_eq!(greet(13, 6), (vec![12], vec![]), "an end that arrives late");
}

#[test]
fn the_highest_numbers_may_be_used() {
    let mut bench = Bench::together(ServerConfig::default(), 1);
    bench.open(7);
    bench.say(7, &Request::Client(peer(NUMBER_MAX, INCARNATION_MAX)));
    assert!(bench.closed.is_empty());
}

#[cfg(feature = "sim")]
#[test]
fn a_rule_that_is_left_out_is_left_out_of_all_groups() {
    use crate::rule::{LeftOut, Rule};
    let left_out = LeftOut::only(Rule::ServerD1);
    assert_eq!(ServerConfig { left_out, ..ServerConfig::default() }.left_out(), left_out);
}
