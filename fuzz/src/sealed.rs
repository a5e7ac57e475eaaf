//! A group with keys, and somebody who has none: sealed datagrams that were changed, and bytes on a
//! connection to its server; and the text of key files.

use std::cell::RefCell;

use vs_core::Verdict;
use vs_core::order::Order;
use vs_core::seal::{KeyRing, RingKey, Suite, TAG_BYTES};

use crate::Seeds;
use crate::cluster::{Cluster, configs};

const DATAGRAM: u8 = 0;
const CONNECTION: u8 = 1;
const FILE: u8 = 2;
/// How many readings of an input there are; its first byte says which.
const WAYS: u8 = 3;

thread_local!(static SEEN: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) });

/// Two members with keys in one view.
fn group() -> Cluster<()> {
    let (node, group) = configs();
    let bytes = node.datagram_bytes + TAG_BYTES;
    let configs = (node.with_datagram_bytes(bytes), group.with_order(Order::Fifo));
    let mut cluster = Cluster::start_sealed(2, configs, || (), Some(Suite::Aes256Gcm));
    assert!(cluster.run_until_together(2, 5_000));
    cluster
}

/// Hands `input` to what it is for.
///
/// # Panics
/// What was not sealed by a member is taken for a member's, or a member is lost.
pub fn run(input: &[u8]) {
    let Some((way, rest)) = input.split_first() else { return };
    match way % WAYS {
        DATAGRAM => datagram(rest),
        CONNECTION => connection(rest),
        _ => file(rest),
    }
}

/// A datagram that the first byte picks, with the others over it, to the one that it was for.
fn datagram(input: &[u8]) {
    let Some((&pick, changes)) = input.split_first() else { return };
    let mut cluster = group();
    SEEN.with_borrow_mut(Vec::clear);
    cluster.tap = |datagram| SEEN.with_borrow_mut(|seen| seen.push(datagram.to_vec()));
    cluster.send(1, b"sealed").expect("an empty window");
    cluster.cut = Some((1, 0));
    cluster.pump();
    let seen = SEEN.take();
    let Some(sent) = seen.get(usize::from(pick) % seen.len().max(1)) else { return };
    let mut bytes = sent.clone();
    bytes.iter_mut().zip(changes).for_each(|(byte, change)| *byte ^= change);
    bytes.truncate(bytes.len() - changes.len().saturating_sub(bytes.len()).min(bytes.len()));
    let is_changed = bytes != *sent;
    let (now, from) = (cluster.now, ([127, 0, 0, 1], 4001).into());
    let verdict = cluster.processes[0].node.handle_datagram(now, from, &mut bytes);
    assert!(!is_changed || verdict != Verdict::Accepted, "taken for a member's");
}

/// What somebody says to the server, in parts.
fn connection(input: &[u8]) {
    let mut cluster = group();
    let conn = cluster.open();
    for part in input.chunks(97) {
        cluster.poke_server(conn, part);
        cluster.pump();
    }
    cluster.close(conn);
    assert!(cluster.run_until_together(2, 10), "the members stay");
}

fn file(input: &[u8]) {
    let Ok(text) = core::str::from_utf8(input) else { return };
    let Ok(ring) = KeyRing::parse(text) else { return };
    let lines: Vec<String> = ring.iter().map(RingKey::line).collect();
    let again = KeyRing::parse(&lines.join("\n")).expect("it was read from the same");
    assert!(again.iter().map(RingKey::line).eq(lines));
}

/// Initial inputs.
#[must_use]
pub fn seeds() -> Seeds {
    let digits = "5a".repeat(32);
    let mut hello = vec![CONNECTION];
    hello.extend_from_slice(b"VSM\0\x04\x80\x01\x01\x01");
    vec![
        ("datagram".into(), vec![DATAGRAM, 0]),
        ("datagram-changed".into(), vec![DATAGRAM, 0, 0, 0, 0, 0, 1]),
        ("connection".into(), hello),
        ("file".into(), [&[FILE][..], format!("1 aes-256-gcm {digits}").as_bytes()].concat()),
    ]
}
