//! Datagrams written and read: every kind that `vs_core::wire::packet` knows.
//!
//! `cargo bench -p vs-bench --bench codec`
//!
//! **What it measures.** One call of `encode_*` into a buffer that is there, and one of `open`
//! with a walk over what it hands out, for a packet of each kind at its smallest and at its
//! largest. Data packets are 64 B, 1 KiB and as much as a datagram holds; writing one is a copy of
//! its body, reading one is not. Throughput is in bytes of the datagram.
//!
//! **What it does not measure.** Bodies of sync messages and of requests for them, and the frames
//! of the membership service: they are written and read inside of the core alone, once or so in a
//! change of view (see `view_change`). Nor what a node does with a packet that was read: that is
//! `core_path`.

use core::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use vs_core::NodeConfig;
use vs_core::ident::{GroupKey, ViewId};
use vs_core::wire::body::body_bytes;
use vs_core::wire::datagram::Header;
use vs_core::wire::packet::{self, AckEntry, Content, Data, Heartbeat, SeqRange};
use vs_core::wire::path::Path;

const HEADER: Header = Header { rank: 1, group: GroupKey(7), fingerprint: 99 };

/// Reads a datagram and all of its content.
fn read(datagram: &mut [u8]) -> u64 {
    match packet::open(datagram).expect("a datagram of ours").content {
        Content::Data(data) => data.seq + data.body.len() as u64,
        Content::Ack(ack) => ack.entries().map(|e| e.received ^ e.credit).fold(0, |a, b| a ^ b),
        Content::Nak(nak) => nak.ranges().map(|r| r.from ^ r.upto).fold(0, |a, b| a ^ b),
        Content::Heartbeat(beat) => beat.highest ^ beat.stable,
        Content::Reach(said) => said.target.0,
        Content::Path(Path::Probe { bytes } | Path::Arrived { bytes, .. }) => bytes.into(),
        Content::Direct(direct) => direct.message.len() as u64,
        Content::Sync(body) | Content::SyncRequest(body) => body.len() as u64,
    }
}

fn both(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    encode: impl Fn(&mut [u8]) -> Option<usize>,
) {
    let mut buffer = vec![0; NodeConfig::default().datagram_bytes];
    let len = encode(&mut buffer).expect("it fits");
    group.throughput(Throughput::Bytes(len as u64));
    group.bench_function(format!("encode/{name}"), |bencher| {
        bencher.iter(|| encode(black_box(&mut buffer)));
    });
    let datagram = &mut buffer[..len];
    group.bench_function(format!("decode/{name}"), |bencher| {
        bencher.iter(|| read(black_box(&mut *datagram)));
    });
}

fn codec(criterion: &mut Criterion) {
    let room = NodeConfig::default().datagram_bytes;
    let mut group = criterion.benchmark_group("codec");
    for bytes in [64, 1024, body_bytes(NodeConfig::default().datagram_bytes)] {
        let body = vec![7; bytes];
        both(&mut group, &format!("data {bytes} B"), |out| {
            let data = Data { flags: 0, origin: 1, seq: 1 << 20, stable: 1 << 19, body: &body };
            packet::encode_data(out, &HEADER, black_box(&data))
        });
    }
    for entries in [2, packet::ack_entries_max(room)] {
        both(&mut group, &format!("ack {entries}"), |out| {
            let entry = |i| AckEntry { received: i as u64, credit: 1024 + i as u64 };
            packet::encode_ack(out, &HEADER, 0, (0..black_box(entries)).map(entry))
        });
    }
    for count in [1, packet::nak_ranges_max(room)] {
        let range = |i| SeqRange { from: 2 * i + 1, upto: 2 * i + 1 };
        let ranges: Vec<SeqRange> = (0..count as u64).map(range).collect();
        both(&mut group, &format!("nak {count}"), |out| {
            packet::encode_nak(out, &HEADER, 1, 2, black_box(&ranges))
        });
    }
    both(&mut group, "heartbeat", |out| {
        let view = ViewId { major: 6, minor: 1 };
        let beat = Heartbeat { solicit: false, highest: 9, stable: 4, view };
        packet::encode_heartbeat(out, &HEADER, black_box(&beat))
    });
    both(&mut group, "sync header", |out| {
        packet::encode_sync_header(out, black_box(&HEADER), false, 0)
    });
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
