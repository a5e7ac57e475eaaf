//! What a node with keys answers to whoever has none: nothing, whatever it is sent and in whatever
//! state it is.

use core::net::SocketAddr;

use vs_core::ident::{Cid, GroupKey, GroupName, Identity, Incarnation, ProcessId, ViewId};
use vs_core::member::Peer;
use vs_core::rng::Rng;
use vs_core::seal::{KeyRing, Keys, PORTABLE, RingKey, SECRET_BYTES, Secret, Suite};
use vs_core::wire::datagram::{Header, KIND_AT, TransmitCounter, finish};
use vs_core::wire::packet::{Heartbeat, encode_heartbeat};
use vs_core::{GroupConfig, Node, NodeConfig, Time, Verdict, View};

const NOW: Time = Time(1_000_000_000);
/// Where a datagram says with which key it is sealed, and in which scope.
const KEY_AT: usize = 3;
const SCOPE_AT: usize = 6;
/// Bytes of a datagram before what is sealed.
const CLEAR_BYTES: usize = 32;
/// The kinds of datagrams, and one that there is not.
const KINDS: core::ops::RangeInclusive<u8> = 1..=10;

/// How far the node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Joined,
    Proposed,
    Announced,
    InView,
    /// In a view, with a message that nobody has acknowledged.
    Sending,
    /// In a view, and others are proposed.
    Changing,
    Leaving,
}

const STATES: [State; 7] = [
    State::Joined,
    State::Proposed,
    State::Announced,
    State::InView,
    State::Sending,
    State::Changing,
    State::Leaving,
];

fn keys(byte: u8) -> Keys {
    let key = RingKey::of_servers(1, Suite::Aes256Gcm, Secret::new([byte; SECRET_BYTES]));
    let ring = KeyRing::new(vec![key.expect("an id")]).expect("a ring");
    Keys::new(ring, &PORTABLE, Secret::new([byte; SECRET_BYTES]))
}

fn peer(process: u64) -> Peer {
    let addr = ([127, 0, 0, 1], 4000 + process as u16).into();
    Peer { process: ProcessId(process), incarnation: Incarnation::new(7), addr }
}

/// Of the processes from 1 on.
fn view(major: u64, members: u64) -> View {
    let members: Vec<ProcessId> = (1..=members).map(ProcessId).collect();
    let cids = vec![Cid(major); members.len()];
    View::new(ViewId { major, minor: 0 }, &members, &cids).expect("a view")
}

fn group() -> GroupName {
    GroupName::new("strangers").expect("a name")
}

/// A process with the key that `byte` says.
fn node(process: u64, byte: u8) -> (Node, GroupKey) {
    let Peer { process, incarnation, addr } = peer(process);
    let identity = Identity { process, incarnation, addr, seed: 1 };
    let mut node = Node::new(NodeConfig::default(), identity, 0, ()).expect("a configuration");
    node.set_keys(keys(byte)).expect("no group yet");
    let config = GroupConfig::default().with_members_max(4);
    let key = node.join_external(NOW, &group(), config).expect("room");
    (node, key)
}

fn propose(node: &mut Node, group: GroupKey, view: &View) {
    // Both draw from one seed, so the nonce is that of either.
    let incarnation = node.identity().incarnation;
    let peers = view.members().iter().map(|p| Peer { incarnation, ..peer(p.0) });
    let peers: Vec<Peer> = peers.collect();
    let cid = view.start(node.process()).expect("a member");
    node.handle_start_change(NOW, group, cid, &peers).expect("a change");
}

/// What is transmitted until there is no more, and to whom.
fn transmitted(node: &mut Node) -> Vec<Vec<u8>> {
    let mut out = [0; 4096];
    let mut datagrams = Vec::new();
    while node.poll_action(NOW).is_some() {}
    while let Some(transmit) = node.poll_transmit(NOW, &mut out, 1) {
        datagrams.push(out[..transmit.len].to_vec());
    }
    datagrams
}

/// Process 2 in a state, and one with the same key that is process 1: it takes part where that is
/// needed.
fn bring(state: State, byte: u8) -> (Node, GroupKey) {
    let ((mut node, group), (mut other, _)) = (node(2, byte), self::node(1, byte));
    if state == State::Joined {
        return (node, group);
    }
    let first = view(9, 2);
    propose(&mut node, group, &first);
    propose(&mut other, group, &first);
    if state == State::Proposed {
        return (node, group);
    }
    let announce = |node: &mut Node| {
        node.handle_mbr_view(NOW, group, first.clone(), Some(Secret::new([7; SECRET_BYTES])))
    };
    announce(&mut node).expect("a view");
    if state == State::Announced {
        return (node, group);
    }
    announce(&mut other).expect("a view");
    for _ in 0..4 {
        carry(&mut node, &mut other);
        carry(&mut other, &mut node);
    }
    assert_eq!(node.view(group), Some(&first), "{state:?}");
    match state {
        State::Sending => drop(node.send(NOW, group, b"hello").expect("room")),
        State::Changing => propose(&mut node, group, &view(10, 3)),
        State::Leaving => assert!(node.leave(NOW, group)),
        _ => {}
    }
    (node, group)
}

fn carry(from: &mut Node, to: &mut Node) {
    let addr = peer(from.process().0).addr;
    for mut datagram in transmitted(from) {
        to.handle_datagram(NOW, addr, &mut datagram);
    }
    while to.poll_action(NOW).is_some() {}
}

/// A datagram of this kind that says to be sealed with `key` in `scope`; what follows is random.
fn garbage(
    rng: &mut Rng,
    header: &Header,
    (kind, key, scope): (u8, u8, u8),
    len: usize,
) -> Vec<u8> {
    let mut bytes = vec![0; len.max(128)];
    let beat = Heartbeat { solicit: true, highest: 9, stable: 9, view: ViewId::default() };
    encode_heartbeat(&mut bytes, header, &beat).expect("room");
    bytes[CLEAR_BYTES..].fill_with(|| rng.below(256) as u8);
    bytes.truncate(len);
    let len = bytes.len();
    let number = 1 + rng.below(1 << 40);
    finish(&mut bytes, len, true, &mut TransmitCounter::after(number));
    (bytes[KIND_AT], bytes[KEY_AT], bytes[SCOPE_AT]) = (kind, key, scope);
    bytes
}

/// Hands a datagram of a stranger in. Nothing is said, no time changes, and it is not believed.
fn is_unanswered(node: &mut Node, from: SocketAddr, mut bytes: Vec<u8>, what: &str) {
    let due = node.poll_timeout();
    let verdict = node.handle_datagram(NOW, from, &mut bytes);
    assert!(!matches!(verdict, Verdict::Accepted | Verdict::Duplicate), "{what}: {verdict:?}");
    let sent: usize = transmitted(node).iter().map(Vec::len).sum();
    assert_eq!(sent, 0, "bytes for {} of a stranger: {what}", bytes.len());
    assert!(node.poll_link().is_none() && node.stream_output().is_empty(), "{what}");
    assert_eq!(node.poll_timeout(), due, "{what}");
}

#[test]
fn no_datagram_of_a_stranger_is_answered_in_any_state() {
    let mut rng = Rng::new(1);
    let mut tried = 0;
    for state in STATES {
        let (mut node, group) = bring(state, 1);
        transmitted(&mut node);
        for view in [view(9, 2), view(10, 3), view(11, 2)] {
            for (kind, rank) in KINDS.flat_map(|kind| [(kind, 0), (kind, 1), (kind, 2)]) {
                for (key, scope) in [(0, 0), (0, 1), (1, 1), (1, 2), (9, 1), (9, 2), (1, 3)] {
                    for len in [40, 64, 200, 1472] {
                        let header = Header { rank, group, fingerprint: view.fingerprint() };
                        let bytes = garbage(&mut rng, &header, (kind, key, scope), len);
                        let what =
                            format!("{state:?}, kind {kind}, rank {rank}, key {key}, {scope}");
                        is_unanswered(&mut node, peer(1).addr, bytes, &what);
                        tried += 1;
                    }
                }
            }
        }
    }
    println!("{tried} datagrams, none was answered");
}

/// The same group with another key: its true datagrams are strange here, in each state of both.
#[test]
fn no_datagram_under_another_key_is_answered_in_any_state() {
    let mut tried = 0;
    for theirs in STATES {
        let (mut stranger, _) = bring(theirs, 2);
        let mut said = transmitted(&mut stranger);
        // Its heartbeats and what it repeats.
        for ms in [100, 1000, 3000] {
            let at = Time(NOW.0 + ms * 1_000_000);
            stranger.handle_timeout(at);
            let mut out = [0; 4096];
            while let Some(transmit) = stranger.poll_transmit(at, &mut out, 1) {
                said.push(out[..transmit.len].to_vec());
            }
        }
        for state in STATES {
            let (mut node, _) = bring(state, 1);
            transmitted(&mut node);
            for bytes in &said {
                let what = format!("{theirs:?} at {state:?}");
                is_unanswered(&mut node, peer(1).addr, bytes.clone(), &what);
                tried += 1;
            }
        }
    }
    assert!(tried > 50, "{tried}");
    println!("{tried} datagrams under another key, none was answered");
}
