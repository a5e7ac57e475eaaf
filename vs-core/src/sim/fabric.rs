//! The fabric between hosts: time, events, paths and connections.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::ident::GroupKey;
use crate::rng::Rng;
use crate::sim::adversary::{Adversary, Harm};
use crate::sim::config::WorldConfig;
use crate::sim::host::Happening;
use crate::sim::net::Net;
use crate::sim::queue::Queue;
use crate::sim::stream::{Conn, EndState};
use crate::time::Time;

/// Longest delay after a healed path before a connection's bytes are tried again, in µs: TCP backs
/// off.
const RETRANSMIT_US: u64 = 200_000;

#[derive(Debug)]
pub(crate) struct Fabric {
    pub(crate) config: WorldConfig,
    pub(crate) now: Time,
    pub(crate) rng: Rng,
    pub(crate) queue: Queue<Happening>,
    pub(crate) net: Net,
    pub(crate) conns: BTreeMap<u64, Conn>,
    next_conn: u64,
    pub(crate) adversary: Option<Adversary>,
    /// The hosts that hear a group's multicast.
    pub(crate) subscribers: Vec<(GroupKey, usize)>,
}

impl Fabric {
    pub(crate) fn new(config: WorldConfig) -> Self {
        Self {
            now: config.start,
            rng: Rng::new(config.seed),
            queue: Queue::new(),
            net: Net::new(config.link),
            conns: BTreeMap::new(),
            next_conn: 1,
            adversary: (config.harm_permille > 0)
                .then(|| Adversary::new(config.seed, config.harm_permille)),
            subscribers: Vec::new(),
            config,
        }
    }

    pub(crate) fn delay_ns(&mut self, from: usize, to: usize) -> u64 {
        self.net.link(from, to).delay_ns(&mut self.rng)
    }

    /// Sends a datagram to one host alone.
    pub(crate) fn send_datagram(&mut self, from: usize, to: usize, bytes: &Rc<[u8]>) {
        self.carry(from, to, bytes, false);
    }

    fn carry(&mut self, from: usize, to: usize, bytes: &Rc<[u8]>, is_multicast: bool) {
        for at in self.net.send_datagram(&mut self.rng, self.now, (from, to), bytes.len()) {
            let bytes = Rc::clone(bytes);
            self.queue.push(at, Happening::Datagram { from, to, bytes, is_multicast });
        }
        let group = self.subscribers.first().map(|(group, _)| *group);
        if let Some(adversary) = &mut self.adversary
            && let Some(Harm { to, bytes, later_us }) = adversary.see(to, bytes, group)
        {
            let at = self.now.plus_us(later_us);
            self.queue.push(at, Happening::Datagram { from, to, bytes, is_multicast });
        }
    }

    pub(crate) fn multicast(&mut self, group: GroupKey, from: usize, bytes: &Rc<[u8]>) {
        for index in 0..self.subscribers.len() {
            let (key, to) = self.subscribers[index];
            let hears = key == group && !self.net.is_deaf(from, to);
            if hears && (to != from || self.config.loopback) {
                self.carry(from, to, bytes, true);
            }
        }
    }

    /// Asks for a connection.
    pub(crate) fn dial(&mut self, dialer: usize, listener: usize) -> u64 {
        let id = self.next_conn;
        self.next_conn += 1;
        self.conns.insert(id, Conn::new(dialer, listener));
        let at = self.now + self.delay_ns(dialer, listener);
        self.queue.push(at, Happening::Dial { conn: id, tries: 0 });
        id
    }

    /// Writes what finds room of `bytes` into the pipe of end `end`; returns how much did.
    pub(crate) fn write(&mut self, id: u64, end: usize, bytes: &[u8]) -> usize {
        let room_max = self.config.pipe_bytes;
        let Some(conn) = self.conns.get_mut(&id) else { return 0 };
        if conn.ends[end].state != EndState::Open {
            return 0;
        }
        let room = room_max.saturating_sub(conn.pipes[end].bytes.len());
        let n = room.min(bytes.len());
        if n > 0 {
            conn.pipes[end].write(&bytes[..n]);
            self.schedule_pipe(id, end, 0);
        }
        n
    }

    /// Closes end `end`: what was written still goes out.
    pub(crate) fn close(&mut self, id: u64, end: usize) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if matches!(conn.ends[end].state, EndState::Closed | EndState::Vanished) {
            return;
        }
        conn.ends[end].state = EndState::Closed;
        if conn.is_over() {
            self.conns.remove(&id);
            return;
        }
        conn.pipes[end].fin = true;
        self.schedule_pipe(id, end, 0);
    }

    /// Closes end `end` and throws away what was written and has not arrived.
    pub(crate) fn abort(&mut self, id: u64, end: usize) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.ends[end].state = EndState::Closed;
        if conn.is_over() {
            self.conns.remove(&id);
            return;
        }
        conn.pipes[end].bytes.clear();
        conn.pipes[end].stalled = 0;
        self.reset_peer(id, end);
    }

    /// Tells the peer of end `end` that nobody is there.
    pub(crate) fn reset_peer(&mut self, id: u64, end: usize) {
        let Some(conn) = self.conns.get(&id) else { return };
        let (from, to) = (conn.ends[end].host, conn.ends[1 - end].host);
        if !self.net.is_cut(from, to) {
            let at = self.now + self.delay_ns(from, to);
            self.queue.push(at, Happening::Reset { conn: id, end: 1 - end as u8 });
        }
    }

    /// Schedules what is stalled in the pipe of end `end`, at the earliest in `wait_us`. A cut path
    /// keeps it.
    pub(crate) fn schedule_pipe(&mut self, id: u64, end: usize, wait_us: u64) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let (from, to) = (conn.ends[end].host, conn.ends[1 - end].host);
        if self.net.is_cut(from, to) {
            return;
        }
        let link = *self.net.link(from, to);
        let start = self.now.plus_us(wait_us);
        let arrivals =
            conn.pipes[end].schedule(&mut self.rng, start, |rng: &mut Rng| link.delay_ns(rng));
        for (at, n) in arrivals {
            self.queue.push(at, Happening::Bytes { conn: id, from: end as u8, n });
        }
    }

    /// A path is whole again: connections over it go on after a while.
    pub(crate) fn resume_path(&mut self, from: usize, to: usize) {
        let over = |c: &Conn, end: usize| c.ends[end].host == from && c.ends[1 - end].host == to;
        let pipes: Vec<(u64, usize)> = self
            .conns
            .iter()
            .flat_map(|(id, c)| [(*id, c, 0), (*id, c, 1)])
            .filter(|(_, c, end)| over(c, *end) && c.ends[*end].state != EndState::Vanished)
            .map(|(id, _, end)| (id, end))
            .collect();
        for (id, end) in pipes {
            let wait = self.rng.below(RETRANSMIT_US);
            self.schedule_pipe(id, end, wait);
        }
    }

    /// Connections with an end at `host`, and which end.
    pub(crate) fn conns_at(&self, host: usize) -> Vec<(u64, usize)> {
        self.conns
            .iter()
            .flat_map(|(id, c)| [(*id, c, 0), (*id, c, 1)])
            .filter(|(_, c, end)| c.ends[*end].host == host)
            .map(|(id, _, end)| (id, end))
            .collect()
    }
}
