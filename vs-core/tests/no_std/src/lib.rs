//! The core without std: one node behind a few C functions.
#![no_std]

extern crate alloc;

use alloc::boxed::Box;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicUsize, Ordering};

use vs_core::ident::{GroupName, Identity, Incarnation, ProcessId};
use vs_core::{Action, GroupConfig, Node, NodeConfig, Time};

/// Bytes that the allocator can give.
const ARENA_BYTES: usize = 4 << 20;

/// Hands out an arena once, from its beginning to its end: enough for a core that allocates when it
/// starts.
struct Arena {
    bytes: UnsafeCell<[u8; ARENA_BYTES]>,
    used: AtomicUsize,
}

// SAFETY: each byte of the arena is handed out at most once, since `used` only grows.
unsafe impl Sync for Arena {}

// SAFETY: blocks lie within the arena, do not overlap, and are aligned as asked for.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = self.bytes.get().cast::<u8>();
        let place = |used: usize| {
            let start = (base as usize + used).next_multiple_of(layout.align()) - base as usize;
            Some(start.checked_add(layout.size())?).filter(|end| *end <= ARENA_BYTES)
        };
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, place) {
            // SAFETY: `place` has checked that the block ends within the arena.
            Ok(used) => match place(used) {
                Some(end) => unsafe { base.add(end - layout.size()) },
                None => core::ptr::null_mut(),
            },
            Err(_) => core::ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ARENA: Arena =
    Arena { bytes: UnsafeCell::new([0; ARENA_BYTES]), used: AtomicUsize::new(0) };

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Makes a node that joins a group; null if the configuration cannot be used.
#[unsafe(no_mangle)]
pub extern "C" fn vs_node_new(process: u64, incarnation: u64, now: u64) -> *mut Node {
    let group = GroupConfig::default()
        .with_members_max(4)
        .with_window_packets(32)
        .with_message_bytes_max(4096)
        .with_queue_bytes(8192)
        .with_early_packets_max(16)
        .with_ack_packets(8);
    let config = NodeConfig::default();
    let addr = SocketAddr::from(([10, 0, 0, 1], 4000));
    let (process, incarnation) = (ProcessId(process), Incarnation::new(incarnation));
    let identity = Identity { process, incarnation, addr, seed: process.0 };
    let Ok(mut node) = Node::new(config, identity, 1, ()) else { return core::ptr::null_mut() };
    let Ok(name) = GroupName::new("bare") else { return core::ptr::null_mut() };
    match node.join(Time(now), &name, group) {
        Ok(_) => Box::into_raw(Box::new(node)),
        Err(_) => core::ptr::null_mut(),
    }
}

/// Hands in a datagram that came from port `port` of the peer's host, and says how many messages
/// were delivered thereupon.
///
/// # Safety
/// `node` must come from [`vs_node_new`], and `bytes` must point to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_node_datagram(
    node: *mut Node,
    now: u64,
    port: u16,
    bytes: *mut u8,
    len: usize,
) -> usize {
    // SAFETY: the caller keeps the contract.
    let (node, bytes) = unsafe { (&mut *node, core::slice::from_raw_parts_mut(bytes, len)) };
    let from = SocketAddr::from(([10, 0, 0, 1], port));
    node.handle_datagram(Time(now), from, bytes);
    let mut delivered = 0;
    while let Some(action) = node.poll_action(Time(now)) {
        delivered += usize::from(matches!(action, Action::Deliver { .. }));
    }
    delivered
}

/// Writes the next datagram to `out`; its length, 0 if there is none.
///
/// # Safety
/// `node` must come from [`vs_node_new`], and `out` must point to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_node_transmit(
    node: *mut Node,
    now: u64,
    out: *mut u8,
    len: usize,
) -> usize {
    // SAFETY: the caller keeps the contract.
    let (node, out) = unsafe { (&mut *node, core::slice::from_raw_parts_mut(out, len)) };
    node.poll_transmit(Time(now), out, 1).map_or(0, |transmit| transmit.len)
}

/// Passes the time; when to call again, the greatest number for never.
///
/// # Safety
/// `node` must come from [`vs_node_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_node_timeout(node: *mut Node, now: u64) -> u64 {
    // SAFETY: the caller keeps the contract.
    let node = unsafe { &mut *node };
    node.handle_timeout(Time(now));
    node.poll_timeout().map_or(u64::MAX, |(at, _)| at.0)
}
