//! What a node with keys spends on a datagram of somebody who has none.
//!
//! `cargo bench -p vs-bench --bench strangers`
//!
//! **What it measures.** One call of `Node::handle_datagram` with the ciphers of the runtimes, for
//! full datagrams of 1,472 bytes, and for 64 bytes: in the clear; with a key that is not here; in
//! the scope of an incarnation, of nobody and of a true member (its selector can be seen); of the
//! view, in the name of a member; and of a view that is not announced, which is kept. The number
//! of each datagram is new, so that nothing is dropped as heard before.
//!
//! **What it does not measure.** The system call that receives.

use core::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use vs_core::ident::{Cid, GroupKey, GroupName, Identity, Incarnation, ProcessId, ViewId};
use vs_core::member::Peer;
use vs_core::seal::{KeyRing, SECRET_BYTES, Secret, Suite};
use vs_core::wire::datagram::{Header, Scope, TransmitCounter, finish};
use vs_core::wire::packet::{Heartbeat, encode_heartbeat};
use vs_core::{GroupConfig, Node, NodeConfig, Time, Verdict, View};
use vs_std::keys::{generate, keys};

const NOW: Time = Time(1_000_000_000);
/// Where a datagram says with which key it is sealed, in which scope, of which view or incarnation,
/// and which one it is.
const KEY_AT: usize = 3;
const SCOPE_AT: usize = 6;
const FINGERPRINT_AT: usize = 16;
const COUNTER_AT: usize = 24;

fn peer(process: u64) -> Peer {
    let addr = ([127, 0, 0, 1], 4000 + process as u16).into();
    Peer { process: ProcessId(process), incarnation: Incarnation::new(7), addr }
}

fn view() -> View {
    let id = ViewId { major: 9, minor: 0 };
    View::new(id, &[1, 2].map(ProcessId), &[3, 4].map(Cid)).expect("a view")
}

/// A process that is about to be in the view.
fn node(process: u64, ring: &KeyRing) -> (Node, GroupKey) {
    let Peer { process, incarnation, addr } = peer(process);
    let identity = Identity { process, incarnation, addr, seed: 1 };
    let mut node = Node::new(NodeConfig::default(), identity, 0, ()).expect("a configuration");
    node.set_keys(keys(ring.clone()).expect("random numbers")).expect("no group yet");
    let name = GroupName::new("strangers").expect("a name");
    let group = node.join_external(NOW, &name, GroupConfig::default()).expect("room");
    (node, group)
}

/// The next datagrams that a node sends.
fn transmitted(node: &mut Node) -> Vec<Vec<u8>> {
    let mut out = [0; 4096];
    let next = || node.poll_transmit(NOW, &mut out, 1).map(|sent| out[..sent.len].to_vec());
    core::iter::from_fn(next).collect()
}

/// Process 2 in the view, and what process 1 sent: a sync message, and a message in the view.
fn pair(ring: &KeyRing) -> (Node, GroupKey, [Vec<u8>; 2]) {
    let ((mut one, group), (mut two, _)) = (node(1, ring), node(2, ring));
    let of = |node: &Node| {
        let Identity { process, incarnation, addr, .. } = *node.identity();
        Peer { process, incarnation, addr }
    };
    let peers = [of(&one), of(&two)];
    for (node, process) in [(&mut one, 1), (&mut two, 2)] {
        let cid = view().start(ProcessId(process)).expect("a member");
        let secret = Secret::new([1; SECRET_BYTES]);
        node.handle_start_change(NOW, group, cid, &peers).expect("a change");
        node.handle_mbr_view(NOW, group, view(), Some(secret)).expect("a view");
    }
    let (mut of_one, mut of_two) = (transmitted(&mut one), transmitted(&mut two));
    let in_scope = |bytes: &&Vec<u8>| bytes[SCOPE_AT] == Scope::Incarnation as u8;
    let sync = of_one.iter().find(in_scope).expect("a sync message").clone();
    of_two.iter_mut().for_each(|bytes| {
        one.handle_datagram(NOW, peers[1].addr, bytes);
    });
    of_one.iter_mut().for_each(|bytes| {
        two.handle_datagram(NOW, peers[0].addr, bytes);
    });
    while one.poll_action(NOW).is_some() {}
    while two.poll_action(NOW).is_some() {}
    one.send(NOW, group, b"hello").expect("room");
    let sent = transmitted(&mut one);
    let message = sent.into_iter().find(|bytes| bytes[SCOPE_AT] == Scope::View as u8);
    (two, group, [sync, message.expect("a message")])
}

fn strangers(criterion: &mut Criterion) {
    let key = generate(1, Suite::Aes256Gcm).expect("random numbers").expect("an id");
    let ring = KeyRing::new(vec![key]).expect("a ring");
    let mut group = criterion.benchmark_group("strangers");
    for (name, scope, key, fingerprint, expected) in [
        ("in the clear", None, None, None, Verdict::Clear),
        ("another key", Some(Scope::View), Some(9), None, Verdict::OtherKey),
        ("nobody's incarnation", Some(Scope::Incarnation), None, Some(77_u64), Verdict::Foreign),
        ("a member's incarnation", Some(Scope::Incarnation), None, None, Verdict::Forged),
        ("the view", Some(Scope::View), None, None, Verdict::Forged),
        ("another view", Some(Scope::View), None, Some(77), Verdict::Early),
    ] {
        for len in [64, 1472] {
            let (mut node, group_key, [sync, message]) = pair(&ring);
            let mut bytes = match scope {
                Some(Scope::Incarnation) => sync,
                Some(_) => message,
                None => in_the_clear(group_key),
            };
            bytes.resize(len, 0x5a);
            bytes[KEY_AT] = key.unwrap_or(bytes[KEY_AT]);
            if let Some(fingerprint) = fingerprint {
                bytes[FINGERPRINT_AT..][..8].copy_from_slice(&fingerprint.to_le_bytes());
            }
            let mut number = 100_u64;
            group.bench_function(format!("{name}, {len} B"), |bencher| {
                bencher.iter(|| {
                    number += 1;
                    bytes[COUNTER_AT..][..8].copy_from_slice(&number.to_le_bytes());
                    let verdict = node.handle_datagram(NOW, peer(1).addr, black_box(&mut bytes));
                    assert_eq!(verdict, expected, "{name}");
                });
            });
        }
    }
    group.finish();
}

/// A heartbeat that nobody sealed.
fn in_the_clear(group: GroupKey) -> Vec<u8> {
    let header = Header { rank: 0, group, fingerprint: view().fingerprint() };
    let mut bytes = vec![0; 128];
    let beat = Heartbeat { solicit: true, highest: 9, stable: 9, view: view().id() };
    let len = encode_heartbeat(&mut bytes, &header, &beat).expect("room");
    bytes.truncate(len);
    finish(&mut bytes, len, true, &mut TransmitCounter::default());
    bytes
}

criterion_group!(benches, strangers);
criterion_main!(benches);
