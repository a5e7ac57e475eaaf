//! Changes of the view, between nodes and one membership server in memory.
//!
//! `cargo bench -p vs-bench --bench view_change`
//!
//! **What it measures.** Three changes, each until all members are in the new view: `form` (all
//! join at once), `kill` (the connection of one ends), `join` (one comes to all the others), and
//! one message (`send`) with the second after it. Counted once and printed as a table, for 2 to
//! 1,000 members, since the same run always gives the same counts:
//!
//! - datagrams and bytes that a member sends (a multicast is one) and that arrive at it. In bytes
//!   that arrive, what is linear in the members doubles from row to row, and what is not grows
//!   faster;
//! - frames and bytes between a member and the server, both directions;
//! - processor time: that of all members and the server, by member.
//!
//! Then `kill` and `join` together are timed, for 2 to 64 members.
//!
//! **What it does not measure.** How long a change takes: here the network and the detection of a
//! crash take no time, and all members share one thread. `compare` of this package measures that
//! with processes. There is no traffic, so all cuts are the same and nothing is forwarded; nothing
//! is lost, so nothing is sent twice.
//!
//! Then the membership alone of 2,000: what goes between them and the server.
//!
//! All members are in this one process, so the time of a row grows with their square.
//! `VS_BENCH_MEMBERS=64,1000` counts only those sizes, up to 2,048. `--test` stops at 64.

use core::time::Duration;
use std::env;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use vs_bench::load::Load;
use vs_bench::memory::{KINDS, Memory, Settings, Traffic};
use vs_core::{ClientConfig, GroupConfig};

/// Sizes of the group in a measurement.
const SIZES: [usize; 11] = [2, 3, 5, 8, 16, 32, 64, 128, 256, 512, 1000];

/// Clients of the membership alone.
const CLIENTS: usize = 2000;

/// Sizes of the group with `--test`.
const TEST_MAX: usize = 64;

/// Time for a view to come about, in ms of the network's time.
const VIEW_MS: u64 = 60_000;

/// Small windows, for there are many rings; and patience, for in large groups signs of life are all
/// that is heard.
fn settings(members: usize) -> Settings {
    let group = GroupConfig::default()
        .with_members_max(members)
        .with_window_packets(4)
        .with_message_bytes_max(1024)
        .with_queue_bytes(2048)
        .with_early_packets_max(4)
        .with_ack_packets(2)
        .with_peer(Duration::from_secs(60));
    let mut settings = Settings::with(group, 1);
    settings.node.client = ClientConfig::default().with_server_silence(Duration::from_secs(60));
    settings.server = settings.server.with_silence(Duration::from_secs(60));
    settings
}

/// One line of the table.
fn line(change: &str, members: usize, traffic: &Traffic, time: Duration) {
    let each = |n: u64| n as f64 / members as f64;
    let kinds = traffic.sent.iter().zip(KINDS).filter(|(count, _)| **count > 0);
    let kinds: Vec<String> =
        kinds.map(|(count, kind)| format!("{:.1} {kind}", each(*count))).collect();
    println!(
        "| {change:<4} | {members:>4} | {:>6.1} | {:>9.0} | {:>7.0} | {:>11.0} | {:>6.1} | {:>9.0} | {:>9.1} | {} |",
        each(traffic.datagrams()),
        each(traffic.sent_bytes),
        each(traffic.arrived),
        each(traffic.arrived_bytes),
        each(traffic.up.0 + traffic.down.0),
        each(traffic.up.1 + traffic.down.1),
        time.as_secs_f64() * 1e6 / members as f64,
        kinds.join(", ")
    );
}

/// Changes `memory`, waits until `members` share a view again, and returns what that took.
fn change(
    memory: &mut Memory,
    members: usize,
    act: impl FnOnce(&mut Memory),
) -> (Traffic, Duration) {
    let (before, start) = (memory.traffic, Instant::now());
    act(memory);
    assert!(memory.run_until_together(members, VIEW_MS), "no view of {members} came about");
    (memory.traffic - before, start.elapsed())
}

/// Heartbeats and acknowledgements that follow a view are not a part of the next change.
fn rest(memory: &mut Memory) {
    memory.pass_ns(20_000_000);
}

fn count(members: usize) {
    let start = Instant::now();
    let mut memory = Memory::start(members, &settings(members));
    assert!(memory.run_until_together(members, VIEW_MS), "no view of {members} came about");
    line("form", members, &memory.traffic, start.elapsed());
    if members == 2 {
        return;
    }
    rest(&mut memory);
    let (traffic, time) = change(&mut memory, members - 1, |memory| memory.kill(members - 1));
    line("kill", members, &traffic, time);
    rest(&mut memory);
    let (traffic, time) = change(&mut memory, members, |memory| memory.revive(members - 1));
    line("join", members, &traffic, time);
    memory.pass_ns(10_000_000_000);
    let (before, start) = (memory.traffic, Instant::now());
    memory.send(0, &[7; 100]).expect("room");
    memory.pass_ns(1_000_000_000);
    line("send", members, &(memory.traffic - before), start.elapsed());
}

/// Counts what goes between `clients` clients of one group and their server, by client.
fn membership(clients: usize) {
    let (mut load, start) = (Load::new(clients, 1), Instant::now());
    (0..clients).for_each(|_| load.add(0..1, clients));
    load.settle();
    let formed = (load.bytes, start.elapsed());
    let start = Instant::now();
    load.close(0);
    load.settle();
    let lost = (load.bytes - formed.0, start.elapsed());
    assert_eq!(load.counters().views_fast, 2, "one view each");
    for (what, (bytes, time)) in [("form", formed), ("kill", lost)] {
        println!(
            "membership of {clients}, {what}: one view, {} bytes to each client, {:.0} µs each",
            bytes / clients as u64,
            time.as_secs_f64() * 1e6 / clients as f64
        );
    }
    println!();
}

/// The sizes that `VS_BENCH_MEMBERS` asks for.
fn asked() -> Option<Vec<usize>> {
    let list = env::var("VS_BENCH_MEMBERS").ok()?;
    Some(list.split(',').filter_map(|size| size.trim().parse().ok()).collect())
}

fn counts(sizes: &[usize]) {
    println!(
        "A change of the view, by member (those before it); nothing is sent or lost meanwhile.\n"
    );
    println!(
        "| what | n | datagrams sent | bytes | datagrams arrived | bytes | frames | bytes | CPU µs | datagrams sent |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for &members in sizes {
        count(members);
    }
    println!();
}

fn view_change(criterion: &mut Criterion) {
    let is_test = env::args().any(|arg| arg == "--test");
    let is_listing = env::args().any(|arg| arg == "--list");
    match asked() {
        _ if is_listing => {}
        Some(sizes) => counts(&sizes),
        None => {
            let members_max = if is_test { TEST_MAX } else { usize::MAX };
            let sizes: Vec<usize> = SIZES.into_iter().filter(|n| *n <= members_max).collect();
            counts(&sizes);
            membership(CLIENTS.min(members_max));
        }
    }
    let mut group = criterion.benchmark_group("view_change");
    for members in [2, 3, 5, 16, 64] {
        let mut memory = Memory::together(members, &settings(members));
        let name = BenchmarkId::new("kill and join", members);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                memory.kill(members - 1);
                assert!(memory.run_until_together(members - 1, VIEW_MS), "no view");
                memory.revive(members - 1);
                assert!(memory.run_until_together(members, VIEW_MS), "no view");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, view_change);
criterion_main!(benches);
