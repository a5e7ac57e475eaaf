//! A small group in memory, shared with the tests of the core.

#[path = "../../vs-core/tests/common/mod.rs"]
#[allow(unreachable_pub, reason = "shared with the tests of the core")]
mod common;

use std::cell::RefCell;

pub(crate) use common::Cluster;
use vs_core::order::Order;
use vs_core::wire::datagram::KIND_AT;
use vs_core::{GroupConfig, GroupSize, NodeConfig};

use crate::Seeds;

/// Small bounds, which are reached soon and cost little memory.
pub(crate) fn configs() -> (NodeConfig, GroupConfig) {
    let group = GroupConfig::default()
        .with_members_max(4)
        .with_window_packets(16)
        .with_message_bytes_max(2048)
        .with_queue_bytes(12 << 10)
        .with_early_packets_max(8)
        .with_ack_packets(4);
    let node = NodeConfig::default().with_datagram_bytes(512).with_groups_max(2);
    let slots = GroupSize::new(&group, &node).expect("a configuration").slots();
    (node.with_pool_slots_max(slots), group)
}

/// Processes 1 to `size` in one view.
pub(crate) fn of(size: usize) -> Cluster<()> {
    Cluster::new(size, configs(), || ())
}

/// Datagrams that a small group sends, at most two of each kind.
pub(crate) fn said() -> Seeds {
    said_in(Order::Fifo)
}

/// The same of a group of `order`.
pub(crate) fn said_in(order: Order) -> Seeds {
    thread_local!(static SEEN: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) });
    let (node, group) = configs();
    let mut cluster = Cluster::new(3, (node, group.with_order(order)), || ());
    cluster.tap = |datagram| SEEN.with_borrow_mut(|seen| seen.push(datagram.to_vec()));
    for len in [0, 1, 100, 2000] {
        // The window is far from full.
        let _ = cluster.send(0, &vec![b'x'; len]);
        if order != Order::Fifo {
            let _ = cluster.send(1, b"an answer");
        }
        cluster.lose_every = Some(3);
        cluster.pass_us(20_000);
    }
    cluster.lose_every = None;
    cluster.kill(2);
    cluster.run_until_together(2, 5_000);
    let mut kinds = [0; 8];
    let mut said = Seeds::new();
    for datagram in SEEN.take() {
        let kind = usize::from(datagram[KIND_AT]) % kinds.len();
        kinds[kind] += 1;
        if kinds[kind] <= 2 {
            said.push((format!("kind-{kind}-{}", kinds[kind]), datagram));
        }
    }
    said
}
