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
use vs_core::seal::{KeyRing, Suite};
use vs_core::wire::datagram::{Datagram, Header, Scope, TransmitCounter, finish};
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

/// Process `process` in the view, as far as it is announced.
fn node(process: u64, ring: &KeyRing) -> (Node, GroupKey) {
    let Peer { process, incarnation, addr } = peer(process);
    let identity = Identity { process, incarnation, addr, seed: 1 };
    let mut node = Node::new(NodeConfig::default(), identity, 0, ()).expect("a configuration");
    node.set_keys(keys(ring.clone()).expect("random numbers")).expect("no group yet");
    let name = GroupName::new("strangers").expect("a name");
    let group = node.join_external(NOW, &name, GroupConfig::default()).expect("room");
    let cid = view().start(process).expect("a member");
    node.handle_start_change(NOW, group, cid, &[peer(1), peer(2)]).expect("a change");
    node.handle_mbr_view(NOW, group, view()).expect("a view");
    (node, group)
}

/// The selector of process 1, as whoever listens sees it.
fn selector(ring: &KeyRing) -> u64 {
    let (mut node, _) = node(1, ring);
    let mut out = [0; 4096];
    while let Some(transmit) = node.poll_transmit(NOW, &mut out, 1) {
        let datagram = Datagram::read(&mut out[..transmit.len]).expect("a datagram");
        if datagram.scope() == Some(Scope::Incarnation) {
            return datagram.header().fingerprint;
        }
    }
    panic!("it sends no sync message");
}

fn strangers(criterion: &mut Criterion) {
    let key = generate(1, Suite::Aes256Gcm).expect("random numbers").expect("an id");
    let ring = KeyRing::new(vec![key]).expect("a ring");
    let (of_view, of_peer) = (view().fingerprint(), selector(&ring));
    let mut group = criterion.benchmark_group("strangers");
    for (name, key, scope, fingerprint, expected) in [
        ("in the clear", 0, 0, of_view, Verdict::Clear),
        ("another key", 9, Scope::View as u8, of_view, Verdict::OtherKey),
        ("nobody's incarnation", 1, Scope::Incarnation as u8, 77, Verdict::Foreign),
        ("a member's incarnation", 1, Scope::Incarnation as u8, of_peer, Verdict::Forged),
        ("the view", 1, Scope::View as u8, of_view, Verdict::Forged),
        ("another view", 1, Scope::View as u8, 77, Verdict::Early),
    ] {
        for len in [64, 1472] {
            let (mut node, group_key) = node(2, &ring);
            let header = Header { rank: 0, group: group_key, fingerprint: of_view };
            let mut bytes = vec![0x5a; 1472];
            let beat = Heartbeat { solicit: true, highest: 9, stable: 9, view: view().id() };
            encode_heartbeat(&mut bytes, &header, &beat).expect("room");
            bytes.truncate(len);
            finish(&mut bytes, len, true, &mut TransmitCounter::default());
            (bytes[KEY_AT], bytes[SCOPE_AT]) = (key, scope);
            bytes[FINGERPRINT_AT..][..8].copy_from_slice(&fingerprint.to_le_bytes());
            let mut number = 0_u64;
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

criterion_group!(benches, strangers);
criterion_main!(benches);
