//! The way of a message through the core, between nodes in memory: send, `poll_transmit`,
//! `handle_datagram`, `poll_action`, and the acknowledgements and timers that follow.
//!
//! `cargo bench -p vs-bench --bench core_path`
//!
//! **What it measures.** A burst of 64 KiB in messages of 64 B to 64 KiB from one sender (`one`) or
//! shared by all (`all`), handed to every other of 2 to 64 members, and delivered at each. Elements
//! are *delivered* messages, at every member, the sender included: the time of a burst divided by
//! them is what one delivery costs a member's core, its share of sending and of acknowledging
//! counted in. `thrpt` is the reverse of it; at `3 members/64 B` 50 Melem/s are 20 ns a delivered
//! message.
//!
//! **What it does not measure.** System calls, copies by the kernel, the clock and wake-ups: with
//! them a message costs a multiple (`vs perf`, and `compare` of this package). All members share
//! one thread and its caches. Nothing is lost. Time moves as at a gigabyte a second, so
//! acknowledgements by packet count and by timer both come up.
//!
//! Instructions for the same, free of the noise of a shared machine: `cargo run --release -p
//! vs-bench --bin instructions`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vs_bench::path::Path;
use vs_core::order::Order;

fn measure(criterion: &mut Criterion, who: &str, sizes: &[usize], all: bool) {
    let mut group = criterion.benchmark_group(format!("core_path/{who}"));
    for &members in sizes {
        for bytes in [64, 1024, 8 << 10, 64 << 10] {
            let senders = if all { members } else { 1 };
            let mut path = Path::new(members, senders, bytes, Order::Fifo);
            group.throughput(Throughput::Elements(path.delivered_by_burst()));
            let name = BenchmarkId::new(format!("{members} members"), format!("{bytes} B"));
            group.bench_function(name, |bencher| bencher.iter(|| path.burst()));
            path.check();
        }
    }
    group.finish();
}

fn core_path(criterion: &mut Criterion) {
    measure(criterion, "one", &[2, 3, 5, 16, 64], false);
    measure(criterion, "all", &[2, 3, 5], true);
}

criterion_group!(benches, core_path);
criterion_main!(benches);
