//! Connections that have not said who is at the other end.

use alloc::vec::Vec;

use super::super::connections::UNNAMED_MAX;
use super::super::{ConnId, ServerConfig};
use super::bench::{Bench, hello, peer};
use crate::wire::frame::{UNNAMED_FRAME_BYTES_MAX, preamble};

/// Whoever sent a byte now and then kept its place for ever.
#[test]
fn unnamed_connection_ends_despite_its_words() {
    let config = ServerConfig::default();
    let silence_ms = config.silence_ms;
    let mut bench = Bench::new(config);
    bench.open(7);
    bench.open(8);
    bench.pass(silence_ms - 100);
    bench.say(8, &hello(peer(8, 8)));
    assert!(bench.closed.is_empty());
    bench.pass(100);
    assert_eq!(bench.closed, [7], "it said no more than that it is there");
    bench.pass(2 * silence_ms);
    assert_eq!(bench.closed, [7]);
}

/// They took all places of clients.
#[test]
fn unnamed_connections_give_way_to_later_ones() {
    let most = UNNAMED_MAX as u64;
    for connections_max in [3, 4096] {
        let config = ServerConfig { connections_max, ..ServerConfig::default() };
        let mut bench = Bench::together(config, 1);
        let room = most.min(connections_max as u64 - 1);
        for conn in 10..10 + room {
            bench.open(conn);
        }
        assert!(bench.closed.is_empty());
        bench.join(2, 2);
        assert_eq!(bench.closed, [10], "the oldest");
        bench.pass(10);
        assert_eq!(bench.views(1).last().map(crate::view::View::len), Some(2));
        bench.open(5000);
        let gone: &[u64] = if connections_max == 3 { &[10, 11] } else { &[10] };
        assert_eq!(bench.closed, gone, "who is named has its place");
    }
}

/// A frame that was announced and never ended took 256 KiB.
#[test]
fn long_frame_before_its_name_is_refused() {
    for (len, closed) in [(UNNAMED_FRAME_BYTES_MAX, false), (UNNAMED_FRAME_BYTES_MAX + 1, true)] {
        let begun = [&preamble()[..], &(len as u32).to_le_bytes()].concat();
        let mut bench = Bench::new(ServerConfig::default());
        bench.server.handle_accepted(bench.now, ConnId(7));
        bench.bytes(7, &begun);
        assert_eq!(bench.closed.contains(&7), closed, "{len}");
        let mut bench = Bench::new(ServerConfig::default());
        bench.open(7);
        bench.say(7, &hello(peer(7, 7)));
        bench.bytes(7, &begun[preamble().len()..]);
        assert_eq!(bench.closed, Vec::<u64>::new(), "after its name");
    }
}
