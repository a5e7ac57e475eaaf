//! Many groups in one node.
//!
//! `cargo bench -p vs-bench --bench groups`
//!
//! **What it measures.** Two nodes in 1 to 10,000 groups with small windows (8 packets, messages of
//! up to 1 KiB), in memory. Printed, by group of one node: what `GroupSize::footprint` and
//! `Node::footprint` say, and what a counting allocator saw when the nodes were made and had asked
//! to join, and when they were together in a view of each group (the server's memory and that of
//! buffers between is in it, too). Then timed, for a node with that many groups that has nothing to
//! do: `poll_timeout`; `handle_timeout` before anything is due; `poll_transmit` and `poll_action`
//! that find nothing; `handle_datagram` with a heartbeat of one of the groups; and a round of all
//! of them, as an event loop makes it when a datagram has come. The time of a round that grows with
//! the groups is what each wake-up of a node costs though only one group has something to do.
//!
//! **What it does not measure.** Sockets, and groups that are busy all at once. Memory is what the
//! allocator was asked for: the pool's pages are not touched before they are used, so a process is
//! smaller than that. `--test` stops at 100 groups.

use core::alloc::{GlobalAlloc, Layout};
use core::hint::black_box;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::alloc::System;
use std::env;
use std::time::Instant;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
use vs_bench::load::Load;
use vs_bench::memory::{Memory, Settings};
use vs_core::wire::datagram::Header;
use vs_core::wire::packet::{self, Heartbeat};
use vs_core::{GroupSize, Node, Time};

/// Numbers of groups in a measurement.
const COUNTS: [usize; 5] = [1, 10, 100, 1_000, 10_000];

/// Numbers of groups with `--test`.
const TEST_MAX: usize = 100;

/// Nodes.
const NODES: usize = 2;

/// Seconds after which a group is idle, and then for how many its datagrams are counted.
const IDLE_S: (u64, u64) = (400, 100);

/// Clients, groups of each, groups in all.
const LOADS: [(usize, usize, usize); 4] =
    [(100, 10, 100), (10_000, 1, 1_000), (1_000, 100, 10_000), (20_000, 5, 10_000)];

/// Attachments with `--test`.
const TEST_ATTACHMENTS: usize = 1_000;

/// Bytes that are allocated now.
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counted.
struct Counting;

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of this very function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of this very function.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the pointer came from `alloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn settings(groups: usize) -> Settings {
    let mut settings = Settings::small(NODES, groups);
    settings.node.client = settings.node.client.clone().with_output_bytes_max(4 << 20);
    settings.server.output_bytes_max = 64 << 20;
    settings
}

fn allocated() -> usize {
    ALLOCATED.load(Ordering::Relaxed)
}

/// Makes the nodes, and prints what they take.
fn memory_of(groups: usize) {
    let settings = settings(groups);
    let empty = allocated();
    let mut memory = Memory::start(NODES, &settings);
    let made = allocated();
    assert!(memory.run_until_together(NODES, 60_000), "no views came about");
    let together = allocated();
    let footprint = memory.members[0].node.footprint();
    memory.pass_ns(IDLE_S.0 * 1_000_000_000);
    let before = memory.traffic;
    memory.pass_ns(IDLE_S.1 * 1_000_000_000);
    let idle = (memory.traffic - before).datagrams() as f64 / (IDLE_S.1 * NODES as u64) as f64;
    let size = GroupSize::new(&settings.group, &settings.node).expect("a configuration");
    let kib = |bytes: usize| bytes as f64 / 1024.0;
    let each = |bytes: usize| kib(bytes) / groups as f64;
    println!(
        "| {groups:>6} | {:>12.1} | {:>11.1} | {:>9.1} | {:>8.1} | {:>9.1} | {idle:>8.1} |",
        kib(size.footprint()),
        each(footprint),
        each((made - empty) / NODES),
        each((together - empty) / NODES),
        kib(footprint) / 1024.0
    );
}

/// Makes a server with clients, and prints what it takes and what a client's death costs it.
fn server_of((clients, each, groups): (usize, usize, usize)) {
    let mut load = Load::new(clients, groups);
    for client in 0..clients {
        load.add((0..each).map(|i| (client * each + i) % groups), 16);
    }
    load.settle();
    let start = Instant::now();
    load.close(0);
    let death = start.elapsed();
    load.settle();
    assert_eq!(load.counters().views_fast as usize, groups + each, "a view of each group");
    let mut server = load.into_server();
    let start = Instant::now();
    let at = server.poll_timeout().expect("signs of life");
    server.handle_timeout(Time(at.0 - 1));
    let idle = start.elapsed();
    let before = allocated();
    drop(server);
    let bytes = before - allocated();
    println!(
        "| {clients:>7} | {each:>14} | {groups:>6} | {:>19.0} | {:>3.0} | {:>9.1} | {:>16.1} |",
        bytes as f64 / (clients * each) as f64,
        bytes as f64 / f64::from(1 << 20),
        death.as_secs_f64() * 1e6,
        idle.as_secs_f64() * 1e6
    );
}

/// A heartbeat of the first group from the other member, as it is when nothing happens.
fn heartbeat(memory: &Memory) -> Vec<u8> {
    let group = memory.groups[0];
    let view = memory.members[0].node.view(group).expect("a group").clone();
    let header = Header { rank: 1, group, fingerprint: view.fingerprint() };
    let beat = Heartbeat { solicit: false, highest: 0, stable: 0, view: view.id() };
    let mut out = vec![0; packet::HEARTBEAT_BYTES];
    packet::encode_heartbeat(&mut out, &header, &beat).expect("room");
    out
}

fn poll_transmit(node: &mut Node, now: Time, buffer: &mut [u8]) {
    assert!(node.poll_transmit(now, buffer, 16).is_none(), "nothing is to be sent");
}

fn poll_action(node: &mut Node, now: Time) {
    assert!(node.poll_action(now).is_none(), "nothing is to be said");
}

fn idle(bench: &mut BenchmarkGroup<'_, WallTime>, groups: usize) {
    let mut memory = Memory::together(NODES, &settings(groups));
    memory.pass_ns(1_000_000);
    let (peer, mut beat) = (SocketAddr::from(([127, 0, 0, 1], 4001)), heartbeat(&memory));
    let now = memory.now();
    let node = &mut memory.members[0].node;
    let mut buffer = vec![0; 64 << 10];
    let id = |what| BenchmarkId::new(what, groups);
    bench.bench_function(id("poll_timeout"), |b| b.iter(|| black_box(node.poll_timeout())));
    bench.bench_function(id("handle_timeout"), |b| b.iter(|| node.handle_timeout(now)));
    bench.bench_function(id("poll_transmit"), |b| {
        b.iter(|| poll_transmit(node, now, &mut buffer));
    });
    bench.bench_function(id("poll_action"), |b| b.iter(|| poll_action(node, now)));
    bench.bench_function(id("handle_datagram"), |b| {
        b.iter(|| node.handle_datagram(now, peer, black_box(&mut beat)));
    });
    bench.bench_function(id("round"), |b| {
        b.iter(|| {
            node.handle_timeout(now);
            node.handle_datagram(now, peer, black_box(&mut beat));
            poll_transmit(node, now, &mut buffer);
            poll_action(node, now);
            black_box(node.poll_timeout())
        });
    });
}

fn groups(criterion: &mut Criterion) {
    let is_test = env::args().any(|arg| arg == "--test");
    let counts_max = if is_test { TEST_MAX } else { usize::MAX };
    let counts = || COUNTS.into_iter().filter(|count| *count <= counts_max);
    if !env::args().any(|arg| arg == "--list") {
        println!(
            "KiB a group, of one of {NODES} nodes; MiB a node; datagrams a second of a node when all are idle.\n"
        );
        println!(
            "| groups | of the group | of the node | when made | in views | node, MiB | idle 1/s |"
        );
        println!(
            "|--------|--------------|-------------|-----------|----------|-----------|----------|"
        );
        counts().for_each(memory_of);
        println!(
            "\n| clients | groups of each | groups | bytes an attachment | MiB | death, µs | idle timeout, µs |"
        );
        println!(
            "|---------|----------------|--------|---------------------|-----|-----------|------------------|"
        );
        let attachments_max = if is_test { TEST_ATTACHMENTS } else { usize::MAX };
        let loads = LOADS.iter().filter(|(clients, each, _)| clients * each <= attachments_max);
        loads.for_each(|load| server_of(*load));
        println!();
    }
    let mut bench = criterion.benchmark_group("groups");
    for count in counts() {
        idle(&mut bench, count);
    }
    bench.finish();
}

criterion_group!(benches, groups);
criterion_main!(benches);
