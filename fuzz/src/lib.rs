//! What the fuzz targets try: whatever arrives, nothing panics, nothing hangs, and a group goes on working.

#[path = "../../vs-core/tests/common/mod.rs"]
#[allow(unreachable_pub, reason = "shared with the tests of the core")]
mod common;

use std::cell::RefCell;

use common::{Cluster, small_configs};
use vs_core::wire::packet::{self, Content};

/// Where the bytes go: the first byte of an input says it.
const TARGETS: u8 = 4;
/// Bytes of an input before each datagram of a sequence.
const LENGTH_BYTES: usize = 2;
/// Offset and length of what a datagram of the group must carry to get past the first checks.
const GROUP_AND_VIEW: core::ops::Range<usize> = 8..24;

/// Decodes `input`, or hands it to a node in a view of three, or to a membership server.
pub fn wire(input: &[u8]) {
    let Some((target, bytes)) = input.split_first() else { return };
    match target % TARGETS {
        0 => decode(bytes),
        1 => datagrams(bytes, false),
        2 => datagrams(bytes, true),
        _ => stream(bytes),
    }
}

/// What the decoder hands out can be gone through.
fn decode(bytes: &[u8]) {
    let Ok(packet) = packet::decode(bytes) else { return };
    match packet.content {
        Content::Ack(ack) => assert!(ack.entries().len() <= bytes.len()),
        Content::Nak(nak) => assert!(nak.ranges().len() <= packet::NAK_RANGES_MAX),
        Content::Data(data) => assert!(data.body.len() <= bytes.len()),
        Content::Heartbeat(_) | Content::Sync(_) | Content::SyncRequest(_) => {}
    }
}

/// A sequence of datagrams, each behind its length, at a node. With `known` they carry the key of its group and the
/// fingerprint of its view, which chance would never find.
fn datagrams(mut bytes: &[u8], known: bool) {
    let mut cluster = cluster();
    let key = known.then(|| template(&mut cluster)).flatten();
    while let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() {
        let len = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (datagram, rest) = rest.split_at(len);
        let mut datagram = datagram.to_vec();
        if let (Some(key), Some(place)) = (&key, datagram.get_mut(GROUP_AND_VIEW)) {
            place.copy_from_slice(key);
        }
        cluster.processes[0].node.handle_datagram(cluster.now, &datagram);
        cluster.pass_us(200);
        bytes = rest;
    }
    // Whoever can write what members write can do harm inside the group, but no junk ends the node.
    cluster.pass_us(50_000);
}

/// Bytes at a server, in pieces; the members of its group notice nothing.
fn stream(bytes: &[u8]) {
    let mut cluster = cluster();
    let pieces: Vec<&[u8]> = bytes.chunks(bytes.len() / 3 + 1).collect();
    cluster.poke_server(&pieces);
    cluster.pass_us(1_000_000);
    assert!(cluster.run_until_together(3, 5_000), "junk at the server broke up the group");
}

fn cluster() -> Cluster<()> {
    Cluster::new(3, small_configs(4), || ())
}

/// Key and fingerprint as they stand in a datagram of the view.
fn template(cluster: &mut Cluster<()>) -> Option<Vec<u8>> {
    thread_local!(static SEEN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
    cluster.tap = |datagram| SEEN.set(datagram.to_vec());
    let sent = cluster.send(1, b"template");
    cluster.pump();
    cluster.tap = |_| {};
    let seen = SEEN.take();
    sent.ok().and_then(|()| seen.get(GROUP_AND_VIEW).map(<[u8]>::to_vec))
}

/// Inputs to begin with, by name: what a small group says in a small life.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    thread_local!(static SEEN: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) });
    let mut cluster = cluster();
    cluster.tap = |datagram| SEEN.with_borrow_mut(|seen| seen.push(datagram.to_vec()));
    for len in [0, 1, 100, 5000] {
        // The window is far from full.
        let _ = cluster.send(0, &vec![b'x'; len]);
        cluster.lose_every = Some(3);
        cluster.pass_us(20_000);
    }
    cluster.lose_every = None;
    cluster.kill(2);
    cluster.run_until_together(2, 5_000);
    let seen = SEEN.take();

    let mut seeds = Vec::new();
    let mut kinds = [0; 8];
    for datagram in &seen {
        let kind = usize::from(datagram[3]);
        let count = kinds[kind % 8];
        kinds[kind % 8] += 1;
        if count < 2 {
            let length = (datagram.len() as u16).to_le_bytes();
            seeds.push((format!("decode-{kind}-{count}"), [&[0], &datagram[..]].concat()));
            seeds.push((format!("node-{kind}-{count}"), [&[2], &length[..], &datagram[..]].concat()));
        }
    }
    let all = seen.iter().filter(|datagram| datagram.len() < 300).take(12);
    let all = all.flat_map(|d| [&(d.len() as u16).to_le_bytes()[..], d].concat());
    seeds.push(("node-many".into(), [2].into_iter().chain(all).collect()));
    let preamble = vs_core::wire::frame::preamble();
    seeds.push(("server-preamble".into(), [&[3], &preamble[..], &[3, 0, 0, 0, 0, 1, 2]].concat()));
    seeds
}
