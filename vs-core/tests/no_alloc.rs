//! In a stable view nothing is allocated on the way of a message: send, transmit, receive, deliver,
//! acknowledge, and repair of what was lost.

mod common;

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::hint::black_box;
use std::alloc::System;

use common::Cluster;
use vs_core::order::Order;
use vs_core::seal::Suite;
use vs_core::{GroupConfig, NodeConfig, SendError};

thread_local! {
    /// Allocations that this thread made while its meter ran.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static METER: Cell<bool> = const { Cell::new(false) };
}

/// The system's allocator, counted.
struct Counting;

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of this very function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    // A thread that is being torn down has no cells any more, and no meter.
    let counts = METER.try_with(Cell::get).unwrap_or(false);
    if counts {
        let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
    }
}

/// Messages of one round: small ones, one that fills a datagram, one of several fragments.
const SIZES: [usize; 6] = [1, 64, 300, 1024, 1400, 9000];

/// Sends `rounds` rounds from everybody and lets everything be delivered and acknowledged.
fn traffic(cluster: &mut Cluster<()>, rounds: usize) {
    let payload = [7; 9000];
    for round in 0..rounds {
        for sender in 0..cluster.processes.len() {
            for size in SIZES {
                // A full window is waited for, as an application would.
                while let Err(error) = cluster.send(sender, &payload[..size]) {
                    assert_eq!(error, SendError::WindowFull);
                    cluster.pass_us(200);
                }
            }
        }
        cluster.pass_us(if round % 8 == 0 { 8_000 } else { 50 });
    }
    cluster.pass_us(500_000);
}

fn cluster(order: Order, suite: Option<Suite>) -> Cluster<()> {
    let group = GroupConfig::default()
        .with_members_max(4)
        .with_window_packets(256)
        .with_message_bytes_max(64 << 10)
        .with_queue_bytes(128 << 10)
        .with_early_packets_max(64)
        .with_ack_packets(32)
        .with_order(order);
    let node = NodeConfig::default();
    let mut cluster = Cluster::start_sealed(3, (node, group), || (), suite);
    assert!(cluster.run_until_together(3, 5_000));
    cluster.meter = |on| METER.set(on);
    cluster
}

/// Rounds that are counted.
const ROUNDS: usize = 150;

/// Allocations during so many rounds of messages, after a warm-up under the same conditions: the
/// first datagram of each kind makes the cipher of its sender, where there are keys.
fn allocations(order: Order, suite: Option<Suite>, lose_every: Option<u64>) -> u64 {
    let mut cluster = cluster(order, suite);
    cluster.lose_every = lose_every;
    traffic(&mut cluster, 2 * ROUNDS);
    ALLOCATIONS.set(0);
    let before = cluster.processes[0].delivered;
    traffic(&mut cluster, ROUNDS);
    let counted = ALLOCATIONS.get();

    let expected = (3 * ROUNDS * SIZES.len()) as u64;
    for process in &cluster.processes {
        assert_eq!(process.delivered, 3 * expected);
        assert_eq!(process.node.view(cluster.group).map(|view| view.len()), Some(3));
    }
    assert_eq!(cluster.processes[0].delivered - before, expected);
    assert_eq!(cluster.lost > 0, lose_every.is_some(), "{} of {}", cluster.lost, cluster.sent);
    counted
}

#[test]
fn stable_view_allocates_nothing() {
    for &order in Order::ALL {
        assert_eq!(allocations(order, None, None), 0, "{order}");
    }
}

#[test]
fn repair_allocates_nothing() {
    for &order in Order::ALL {
        assert_eq!(allocations(order, None, Some(7)), 0, "{order}");
    }
}

#[test]
fn sealing_allocates_nothing() {
    for (suite, lose_every) in [(Suite::Aes256Gcm, None), (Suite::ChaCha20Poly1305, Some(7))] {
        assert_eq!(allocations(Order::Fifo, Some(suite), lose_every), 0, "{suite}");
    }
}

/// The counter counts: else the tests above would prove nothing.
#[test]
fn meter_counts_an_allocation() {
    METER.set(true);
    let boxed = black_box(Box::new(1));
    METER.set(false);
    assert_eq!((ALLOCATIONS.get(), *boxed), (1, 1));
    drop(black_box(Box::new(2)));
    assert_eq!(ALLOCATIONS.get(), 1);
}
