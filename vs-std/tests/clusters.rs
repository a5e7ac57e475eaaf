//! Members of a group with clusters, through both handles: who came with whom, and their notes.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use std::time::Instant;

use vs_core::ident::{GroupName, ProcessId};
use vs_core::member::ProfileField;
use vs_core::{Clusters, DetachReason, GroupConfig, Note, NoteError};
use vs_std::udp::UdpConfig;
use vs_std::{Event, Group, JoinError, JoinOptions, RecvError, SharedGroup};

/// How long what is waited for may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a call waits while the others go on.
const TURN: Duration = Duration::from_millis(20);

fn name() -> GroupName {
    "who came with whom".parse().unwrap()
}

fn note(text: &str) -> Note {
    Note::new(text.as_bytes()).unwrap()
}

fn options(process: u64, clusters: bool) -> JoinOptions {
    // A port that no other run on this host has at the same time.
    let port = 20_000 + (std::process::id() % 20_000) as u16;
    let udp = UdpConfig::new(
        Ipv4Addr::LOCALHOST,
        SocketAddrV4::new(Ipv4Addr::new(239, 255, 79, 1), port),
    );
    let group = GroupConfig::default()
        .with_clusters(clusters)
        .with_members_max(4)
        .with_peer(Duration::from_secs(30));
    JoinOptions::without_server(ProcessId(process), udp).with_group(group)
}

/// What a view of all `members` tells, if the event is one.
fn told(event: Option<Event>, members: &[u64]) -> Option<Clusters> {
    let Some(Event::View { view, clusters, transitional, .. }) = event else { return None };
    let clusters = clusters.expect("all views tell clusters");
    assert!(clusters.iter().any(|cluster| *cluster.members == transitional[..]));
    view.members().iter().map(|p| p.0).eq(members.iter().copied()).then_some(clusters)
}

#[test]
fn both_handles_tell_clusters_and_notes() {
    let until = Instant::now() + PATIENCE;
    let one = SharedGroup::join(&name(), options(1, true).with_note(note("one"))).unwrap();
    let mut two = Group::join(&name(), options(2, true).with_note(note("two"))).unwrap();
    let (mut at_one, mut at_two) = (None, None);
    while at_one.is_none() || at_two.is_none() {
        assert!(Instant::now() < until, "{at_one:?} {at_two:?}");
        at_one = at_one.or(told(one.recv_timeout(TURN).unwrap(), &[1, 2]));
        at_two = at_two.or(told(two.recv_timeout(TURN).unwrap(), &[1, 2]));
    }
    assert_eq!(at_one, at_two);
    let clusters = at_one.unwrap();
    assert_eq!(clusters.len(), 2, "they did not come together");
    assert_eq!(clusters.note(ProcessId(1)), Some(note("one")));
    assert_eq!(clusters.note(ProcessId(2)), Some(note("two")));

    one.set_note(note("one again")).unwrap();
    two.set_note(Note::EMPTY).unwrap();
    let mut three = Group::join(&name(), options(3, true)).unwrap();
    let (mut at_one, mut at_three) = (None, None);
    while at_one.is_none() || at_three.is_none() {
        assert!(Instant::now() < until, "{at_one:?} {at_three:?}");
        at_one = at_one.or(told(one.recv_timeout(TURN).unwrap(), &[1, 2, 3]));
        at_three = at_three.or(told(three.recv_timeout(TURN).unwrap(), &[1, 2, 3]));
        two.recv_timeout(TURN).unwrap();
    }
    assert_eq!(at_one, at_three);
    let clusters = at_one.unwrap();
    let both = clusters.of(ProcessId(1)).unwrap();
    assert_eq!((both.members, both.fresh), (&[1, 2].map(ProcessId)[..], false));
    let notes = [1, 2, 3].map(|p| clusters.note(ProcessId(p)).unwrap());
    assert_eq!(notes, [note("one again"), Note::EMPTY, Note::EMPTY]);

    // Who was configured otherwise is told what differs, and the others stay as they are.
    let mut other = Group::join(&name(), options(4, false)).unwrap();
    let reason = loop {
        assert!(Instant::now() < until);
        match other.recv_timeout(TURN) {
            Err(RecvError::Detached(reason)) => break reason,
            Err(error) => panic!("{error}"),
            Ok(_) => {}
        }
        one.try_recv().unwrap();
        two.recv_timeout(TURN).unwrap();
        three.recv_timeout(TURN).unwrap();
    };
    let DetachReason::Profile(mismatch) = &reason else { panic!("{reason}") };
    assert_eq!(mismatch.field, ProfileField::Clusters);
    assert!(mismatch.to_string().ends_with("give all members the same value"), "{mismatch}");
    assert_eq!(one.view().len(), 3);
}

#[test]
fn note_without_clusters_is_refused() {
    let name: GroupName = "no clusters".parse().unwrap();
    let error = Group::join(&name, options(9, false).with_note(note("vote"))).unwrap_err();
    assert!(matches!(error, JoinError::Note(NoteError::NoClusters)), "{error}");
    let mut group = Group::join(&name, options(9, false)).unwrap();
    assert_eq!(group.set_note(note("vote")), Err(NoteError::NoClusters));
    group.leave().unwrap();
    let group = SharedGroup::join(&name, options(9, false)).unwrap();
    assert_eq!(group.set_note(note("vote")), Err(NoteError::NoClusters));
    let clone = group.clone();
    group.leave().unwrap();
    assert_eq!(clone.set_note(note("vote")), Err(NoteError::NotJoined));
}
