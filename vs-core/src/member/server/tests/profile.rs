//! What all members of a group share, and who is refused for it.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::super::{Note, ServerConfig};
use super::bench::{Bench, group, hello, peer, set, story};
use crate::ident::{Incarnation, ProcessId, ServerId};
use crate::member::attached::{Attached, Attachment};
use crate::member::message::{PeerWord, Reply, Request};
use crate::member::past::Past;
use crate::member::profile::{Held, Profile, ProfileField};
use crate::member::{Departure, DetachReason};

/// Process `p` attaches over the connection of its number, configured for messages of so many
/// bytes.
fn join(bench: &mut Bench, p: u64, message_bytes_max: u64) {
    bench.open(p);
    bench.say(p, &hello(peer(p, p)));
    let profile = Profile { message_bytes_max, ..Profile::default() };
    bench.attach_with(p, 1, 16, Past { profile, ..Past::default() });
}

/// Processes 1 and up, each over the connection of its number, with messages of 1000 bytes.
fn together(n: u64) -> Bench {
    let mut bench = Bench::new(ServerConfig::default());
    for p in 1..=n {
        join(&mut bench, p, 1000);
    }
    bench.pass(10);
    for p in 1..=n {
        assert_eq!(bench.views(p).last().map(|view| view.len() as u64), Some(n));
    }
    bench
}

/// Server 2, over connection 99, has process 21, whose group has messages of so many bytes since
/// then.
fn with_peer(bench: &mut Bench, since_ms: u64, message_bytes_max: u64) {
    bench.with_peer();
    let profile = Profile { message_bytes_max, ..Profile::default() };
    let client = Attached {
        process: ProcessId(21),
        attachment: Attachment { incarnation: Incarnation::new(7), counter: 1 },
        home: ServerId(2),
        members_max: 16,
        settled: None,
        profile: profile.fingerprint(),
    };
    let held = Some(Held { since_ms, founder: ProcessId(21), profile });
    let clients = vec![(client, peer(21, 7).addr)];
    bench.say(99, &Request::Peer(PeerWord::Clients { version: 3, group: group(), clients, held }));
}

fn notes(bench: &mut Bench) -> Vec<Note> {
    core::iter::from_fn(|| bench.server.poll_note()).collect()
}

/// The mismatch that a client was refused for.
fn refused(bench: &mut Bench, conn: u64) -> (ProfileField, [alloc::string::String; 2]) {
    let (reason, _) = bench.detached(conn).expect("it is refused");
    assert!(reason.is_final());
    let DetachReason::Profile(mismatch) = reason else { panic!("{reason:?}") };
    (mismatch.field, [mismatch.group, mismatch.own])
}

#[test]
fn who_does_not_fit_is_refused_and_the_group_stays() {
    let mut bench = together(2);
    notes(&mut bench);
    join(&mut bench, 3, 500);
    let values = ["1000".to_string(), "500".to_string()];
    assert_eq!(refused(&mut bench, 3), (ProfileField::MessageBytesMax, values));
    let said = |note: &Note| {
        matches!(note, Note::Detached { process: ProcessId(3), why, .. }
        if matches!(why, Departure::Told(DetachReason::Profile(_))))
    };
    assert_eq!(notes(&mut bench).iter().filter(|note| said(note)).count(), 1);
    bench.pass(5000);
    assert!(bench.told(1).is_empty() && bench.told(2).is_empty(), "nobody was disturbed");
}

#[test]
fn who_has_more_room_is_told_before_the_start_change() {
    let mut bench = together(1);
    join(&mut bench, 2, 2000);
    bench.pass(10);
    let told = bench.told(2);
    let Some(Reply::Profile { held, .. }) = told.first() else { panic!("{told:?}") };
    assert_eq!((held.founder, held.profile.message_bytes_max), (ProcessId(1), 1000));
    assert_eq!(story(&told), vec![(false, vec![1, 2]), (true, vec![1, 2])]);
}

#[test]
fn the_next_first_member_brings_its_own_profile() {
    let mut bench = together(1);
    bench.close(1);
    bench.pass(10);
    join(&mut bench, 2, 500);
    bench.pass(10);
    assert_eq!(bench.views(2).iter().map(set).collect::<Vec<_>>(), [vec![2]]);
}

#[test]
fn an_older_profile_elsewhere_is_taken_when_it_fits() {
    let mut bench = together(1);
    with_peer(&mut bench, 1, 700);
    let told = bench.told(1);
    let at = told.iter().position(|reply| {
        matches!(reply, Reply::Profile { held, .. }
        if held.profile.message_bytes_max == 700)
    });
    assert!(at.is_some(), "{told:?}");
    let words: Vec<Request> = bench.read(99);
    let fingerprint = Profile { message_bytes_max: 700, ..Profile::default() }.fingerprint();
    let has = |word: &Request| {
        matches!(word, Request::Peer(PeerWord::Clients { clients, .. })
        if clients.iter().all(|(client, _)| client.profile == fingerprint) && !clients.is_empty())
    };
    assert!(words.iter().any(has), "the other server hears of it: {words:?}");
}

#[test]
fn an_older_profile_elsewhere_ends_whom_it_does_not_fit() {
    let mut bench = together(2);
    with_peer(&mut bench, 1, 3000);
    for conn in [1, 2] {
        let values = ["3000".to_string(), "1000".to_string()];
        assert_eq!(refused(&mut bench, conn), (ProfileField::MessageBytesMax, values));
    }
    let words: Vec<Request> = bench.read(99);
    let gone = |word: &Request| matches!(word, Request::Peer(PeerWord::Gone { .. }));
    assert_eq!(words.iter().filter(|word| gone(word)).count(), 2, "the members' side is told");
}

#[test]
fn a_younger_profile_elsewhere_changes_nothing_here() {
    let mut bench = together(2);
    with_peer(&mut bench, u64::MAX >> 12, 3000);
    bench.pass(10);
    let told = bench.told(1);
    assert!(!told.iter().any(|r| matches!(r, Reply::Profile { .. } | Reply::Detached { .. })));
}

#[test]
fn a_profile_with_impossible_values_ends_the_connection() {
    let mut bench = together(1);
    bench.open(2);
    bench.say(2, &hello(peer(2, 2)));
    let profile = Profile { datagram_bytes: 1, ..Profile::default() };
    bench.attach_with(2, 1, 16, Past { profile, ..Past::default() });
    assert_eq!(bench.closed, [2]);
}
