//! Connections that have not said who is at the other end.

use alloc::vec::Vec;

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
    let most = 256;
    for connections_max in [3, 4096] {
        let config =
            ServerConfig { connections_max, strangers_max: 256, ..ServerConfig::default() };
        let mut bench = Bench::together(config, 1);
        let room = most.min(connections_max as u64 - 1);
        for conn in 10..10 + room {
            bench.open(conn);
        }
        assert!(bench.closed.is_empty());
        bench.join(2, 2);
        let is_unnamed = |conn: &u64| (10..10 + room).contains(conn);
        assert!(bench.closed.len() == 1 && bench.closed.iter().all(is_unnamed));
        bench.pass(10);
        assert_eq!(bench.views(1).last().map(crate::view::View::len), Some(2));
        bench.open(5000);
        let gone = if connections_max == 3 { 2 } else { 1 };
        assert_eq!(bench.closed.len(), gone, "who is named has its place");
        assert!(bench.closed.iter().all(is_unnamed));
        assert_eq!(bench.server.counters().strangers_crowded_out, gone as u64);
    }
}

/// Whoever opens connections again and again, from one address, crowds out its own.
#[test]
fn flood_from_one_address_leaves_newcomers_of_others() {
    let config = ServerConfig { strangers_max: 64, ..ServerConfig::default() };
    let mut bench = Bench::new(config);
    let [flood, other] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(core::net::IpAddr::from);
    let open = |bench: &mut Bench, conn, from| {
        bench.server.handle_accepted_from(bench.now, ConnId(conn), from);
    };
    (0..64).for_each(|conn| open(&mut bench, 1000 + conn, flood));
    open(&mut bench, 1, other);
    (64..4096).for_each(|conn| open(&mut bench, 1000 + conn, flood));
    bench.bytes(u64::MAX, &[]);
    assert_eq!(bench.closed.len(), 4096 + 1 - 64);
    assert!(!bench.closed.contains(&1));
    bench.conns.insert(1, crate::wire::frame::Decoder::default());
    bench.bytes(1, &preamble());
    bench.say(1, &hello(peer(1, 1)));
    bench.attach(1, 1);
    bench.pass(10);
    assert_eq!(bench.views(1).len(), 1);
    assert_eq!(bench.server.counters().strangers_crowded_out, 4096 + 1 - 64);
}

/// Frames and a part of one more: the room of all of them stayed.
#[test]
fn part_of_a_frame_keeps_the_room_of_no_other() {
    let mut bench = Bench::new(ServerConfig::default());
    bench.open(7);
    let mut bytes = Vec::new();
    (0..1000).for_each(|_| crate::wire::frame::encode(&super::super::Request::Ping, &mut bytes));
    bytes.extend_from_slice(&[200, 0, 0, 0, 1]);
    bench.bytes(7, &bytes);
    assert!(bench.closed.is_empty());
    let stream_bytes = crate::wire::frame::PREAMBLE_BYTES + 5;
    assert_eq!(bench.server.connections.held_bytes(), stream_bytes, "the own preamble, and a part");
}

/// 200 clients that did not read took 668 MiB.
#[test]
fn clients_that_do_not_read_hold_no_more_than_all_may() {
    let config =
        ServerConfig { buffers_bytes_max: 100_000, silence_ms: 60_000, ..ServerConfig::default() };
    let most = config.buffers_bytes_max;
    let mut bench = Bench::new(config);
    let with_room = |bench: &mut Bench, conn| {
        bench.open(conn);
        bench.say(conn, &hello(peer(conn, conn)));
        bench.attach_with(conn, 1, 512, crate::member::past::Past::default());
    };
    with_room(&mut bench, 1);
    for conn in 2..=200 {
        with_room(&mut bench, conn);
        bench.pass(5);
        assert!(bench.server.connections.held_bytes() <= most);
        if bench.conns.contains_key(&1) {
            bench.told(1);
        }
    }
    assert!(!bench.closed.contains(&1), "it reads");
    let gone = bench.closed.len() as u64;
    assert!(gone > 20, "{gone}");
    assert_eq!(bench.server.counters().readers_given_up, gone);
    let held: usize = bench.conns.keys().map(|conn| bench.server.output(ConnId(*conn)).len()).sum();
    assert_eq!(bench.server.connections.held_bytes(), held, "all is counted, and nothing twice");
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
