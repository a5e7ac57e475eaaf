//! What a server takes under a hostile load stays below its footprint, and what it takes for a
//! stranger is little.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;

use vs_core::ident::{Identity, Incarnation, ProcessId, ServerId};
use vs_core::member::{ConnId, Server, ServerConfig};
use vs_core::seal::{KeyRing, Keys, PORTABLE, RingKey, SECRET_BYTES, Secret, Suite};
use vs_core::wire::frame::{preamble, sealed_preamble};
use vs_core::{GroupConfig, LinkCommand, Node, NodeConfig, Time};

thread_local! {
    /// Bytes that this thread has allocated and not freed, and the most there were.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, counted.
struct Counting;

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps the contract of this very function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the pointer came from `alloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(bytes: isize) {
    // A thread that is being torn down has no cells any more.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        MOST.try_with(|most| most.set(most.get().max(live.get())))
    });
}

/// What was allocated in `act` and is there at its end, and the most there was meanwhile.
fn measured<R>(act: impl FnOnce() -> R) -> (R, usize, usize) {
    let before = LIVE.get();
    MOST.set(before);
    let result = act();
    (result, (LIVE.get() - before) as usize, (MOST.get() - before) as usize)
}

fn keys(seed: u8) -> Keys {
    let key = RingKey::of_servers(1, Suite::Aes256Gcm, Secret::new([1; SECRET_BYTES])).unwrap();
    Keys::new(KeyRing::new(vec![key]).unwrap(), &PORTABLE, Secret::new([seed; SECRET_BYTES]))
}

/// A server, what it takes for the time being, and the other ends of its connections.
struct World {
    server: Server,
    now: Time,
    closed: u64,
}

impl World {
    fn new(config: ServerConfig, has_keys: bool) -> Self {
        let mut server = Server::new(config, ServerId(1), 1000).unwrap();
        if has_keys {
            server.set_keys(keys(1)).unwrap();
        }
        Self { server, now: Time::from_millis(1), closed: 0 }
    }

    fn hear(&mut self, conn: u64, bytes: &[u8]) {
        self.server.handle_stream(self.now, ConnId(conn), bytes);
        while self.server.poll_close().is_some() {
            self.closed += 1;
        }
        while self.server.poll_note().is_some() {}
    }

    fn pass(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
        if self.server.poll_timeout().is_some_and(|at| at <= self.now) {
            self.server.handle_timeout(self.now);
        }
        self.hear(u64::MAX, &[]);
    }

    /// A member that attaches to `groups` groups and reads until its handshake is done, and nothing
    /// more.
    fn attach(&mut self, p: u64, groups: usize, has_keys: bool) {
        let addr = ([127, 0, 0, 1], p as u16).into();
        let (process, incarnation) = (ProcessId(p), Incarnation::new(1));
        let identity = Identity { process, incarnation, addr, seed: p };
        let config = NodeConfig::default();
        let mut node = Node::new(config, identity, 1, ()).unwrap();
        if has_keys {
            node.set_keys(keys(p as u8)).unwrap();
        }
        let group = GroupConfig::default().with_members_max(64).with_message_bytes_max(1024);
        for at in 0..groups {
            let name = format!("group-{at}").parse().unwrap();
            node.join(self.now, &name, group.clone()).unwrap();
        }
        assert!(matches!(node.poll_link(), Some(LinkCommand::Connect(_))));
        self.server.handle_accepted(self.now, ConnId(p));
        node.handle_connected(self.now);
        for _ in 0..4 {
            let up = node.stream_output().to_vec();
            node.stream_consumed(up.len());
            self.hear(p, &up);
            if self.server.status().clients as u64 >= p - self.closed.min(p) {
                break;
            }
            let down = self.server.output(ConnId(p)).to_vec();
            self.server.consumed(ConnId(p), down.len());
            node.handle_stream(self.now, &down);
        }
    }
}

/// What each stranger is that stays, says a part of something, or says too much.
const BEGUN: usize = 4096;

#[test]
fn thousands_of_strangers_take_little() {
    for has_keys in [false, true] {
        let config = ServerConfig::default();
        let (strangers_max, footprint) = (config.strangers_max, config.footprint(0, 0));
        let mut world = World::new(config, has_keys);
        let ((), _, most) = measured(|| {
            let long = [&preamble()[..], &[0, 16, 0, 0], &[7; 4000]].concat();
            let pings = [1, 0, 0, 0, 6].repeat(800);
            let many = [&preamble()[..], &pings, &[0, 16, 0, 0, 1]].concat();
            let sealed = [&sealed_preamble()[..], &[1, 1, 1, 64, 0, 7]].concat();
            for conn in 0..BEGUN as u64 {
                world.server.handle_accepted(world.now, ConnId(conn));
                let words = [&b""[..], &sealed, &long, &many][conn as usize % 4];
                world.hear(conn, words);
            }
        });
        let each = most / strangers_max;
        println!("keys {has_keys}: {each} bytes for each of {strangers_max}");
        assert!(each < if has_keys { 4 << 10 } else { 8 << 10 }, "{each}");
        assert!(most < footprint);
        let counters = world.server.counters();
        assert!(counters.strangers_crowded_out > 0);
        let gone = counters.strangers_crowded_out + counters.strangers_refused;
        assert!(gone >= (BEGUN - strangers_max) as u64, "{counters:?}");
        (0..110).for_each(|_| world.pass(10));
        assert_eq!(world.closed, BEGUN as u64, "in time");
    }
}

const MEMBERS: u64 = 60;

#[test]
fn members_that_do_not_read_take_less_than_the_footprint() {
    for has_keys in [false, true] {
        let config = ServerConfig::default()
            .with_connections_max(256)
            .with_strangers_max(64)
            .with_silence(core::time::Duration::from_mins(1))
            .with_output_bytes_max(64 << 10)
            .with_buffers_bytes_max(64 << 10);
        let groups = 2;
        let footprint = config.footprint(groups, MEMBERS as usize * groups);
        let mut world = World::new(config, has_keys);
        let ((), live, most) = measured(|| {
            for p in 1..=MEMBERS {
                let before = MOST.get();
                let live = LIVE.get();
                // What the member takes does not count.
                world.attach(p, groups, has_keys);
                MOST.set(before.max(LIVE.get()).max(live));
                world.pass(5);
            }
        });
        println!("keys {has_keys}: {live} and at most {most} of {footprint} bytes");
        assert!(most < footprint);
        assert!(world.server.counters().readers_given_up > 10, "{:?}", world.server.counters());
        assert!(world.server.status().clients > 1);
    }
}
