//! The way of a message through the core: send, poll_transmit, handle_datagram, poll_action, and the acknowledgements
//! that follow, between nodes in memory. Time moves as at a million messages a second.

#[path = "../../vs-core/tests/common/mod.rs"]
mod common;

use common::Cluster;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vs_core::{GroupConfig, NodeConfig};

/// Messages sent before the datagrams go out, as a busy sender does.
const BURST: usize = 64;

fn cluster(members: usize) -> Cluster<()> {
    let group = GroupConfig { members_max: 4, ..GroupConfig::default() };
    let node = NodeConfig { pool_slots: group.slots(), ..NodeConfig::default() };
    Cluster::new(members, (node, group), || ())
}

fn burst(cluster: &mut Cluster<()>, payload: &[u8]) {
    for _ in 0..BURST {
        cluster.send(0, payload).expect("everything before was acknowledged");
    }
    cluster.pass_us(BURST as u64);
}

fn core_path(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("core_path");
    group.throughput(Throughput::Elements(BURST as u64));
    for members in [2, 3] {
        for bytes in [64, 1024] {
            let mut cluster = cluster(members);
            let payload = vec![7; bytes];
            let name = BenchmarkId::new(format!("{members} members"), format!("{bytes} B"));
            group.bench_function(name, |bencher| bencher.iter(|| burst(&mut cluster, &payload)));
            cluster.pass_us(100_000);
            let delivered: Vec<u64> = cluster.processes.iter().map(|p| p.delivered).collect();
            assert!(delivered.iter().all(|n| *n == delivered[0]), "some messages are missing");
        }
    }
    group.finish();
}

criterion_group!(benches, core_path);
criterion_main!(benches);
