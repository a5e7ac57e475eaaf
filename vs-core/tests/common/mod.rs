//! Nodes and one membership server in memory, with little around the core, so that the core is what
//! is measured or counted. Datagrams arrive at once and in order, or not at all. Time moves only
//! when told to.
//!
//! For hostile networks there is `vs_core::sim`.
#![allow(dead_code, reason = "each of the tests that share it uses a part of it")]

use core::net::SocketAddr;

use vs_core::ident::{GroupKey, GroupName, Identity, Incarnation, ProcessId, ServerId, ViewId};
use vs_core::member::{ConnId, Server, ServerConfig};
use vs_core::seal::{KeyRing, Keys, PORTABLE, RingKey, SECRET_BYTES, Secret, Suite};
use vs_core::trace::Tracer;
use vs_core::{
    Action, Dest, GroupConfig, LinkCommand, Node, NodeConfig, SendError, Time, View, Wake,
};

/// Rounds after which the traffic of a cluster counts as endless.
const ROUNDS_MAX: usize = 100_000;

/// Datagrams handed out at once.
const SEGMENTS_MAX: usize = 16;

/// One process.
pub(crate) struct Process<T: Tracer> {
    pub(crate) node: Node<T>,
    conn: Option<ConnId>,
    addr: SocketAddr,
    /// Killed: what it sends, and what is sent to it, is dropped.
    pub(crate) dead: bool,
    /// Whether the application takes actions.
    pub(crate) reading: bool,
    /// Messages delivered.
    pub(crate) delivered: u64,
    /// Bytes delivered.
    pub(crate) bytes: u64,
}

/// Processes 1, 2, … of one group, and their server.
pub(crate) struct Cluster<T: Tracer> {
    pub(crate) group: GroupKey,
    pub(crate) now: Time,
    pub(crate) processes: Vec<Process<T>>,
    server: Server,
    connections: u64,
    buffer: Vec<u8>,
    /// One of this many datagrams is lost on its way to one of its receivers.
    pub(crate) lose_every: Option<u64>,
    /// Datagrams from the first of these processes to the second are lost.
    pub(crate) cut: Option<(usize, usize)>,
    /// Datagrams sent, counted once for each receiver, and lost ones among them.
    pub(crate) sent: u64,
    pub(crate) lost: u64,
    /// Called with `true` before and with `false` after the calls that make up the way of a
    /// message.
    pub(crate) meter: fn(bool),
    /// Called with every datagram.
    pub(crate) tap: fn(&[u8]),
}

/// Small enough to be made thousands of times.
pub(crate) fn small_configs(members_max: usize) -> (NodeConfig, GroupConfig) {
    let group = GroupConfig::default()
        .with_members_max(members_max)
        .with_window_packets(64)
        .with_message_bytes_max(16 << 10)
        .with_queue_bytes(32 << 10)
        .with_early_packets_max(16)
        .with_ack_packets(16);
    (NodeConfig::default(), group)
}

/// Keys that all share, with other secrets to draw for each.
fn keys(suite: Suite, of: u8) -> Keys {
    let key = RingKey::of_servers(1, suite, Secret::new([7; SECRET_BYTES])).expect("an id");
    let ring = KeyRing::new(vec![key]).expect("a key");
    Keys::new(ring, &PORTABLE, Secret::new([of; SECRET_BYTES]))
}

impl<T: Tracer> Cluster<T> {
    /// `size` processes that have joined and are in one view.
    pub(crate) fn new(
        size: usize,
        configs: (NodeConfig, GroupConfig),
        tracer: impl Fn() -> T,
    ) -> Self {
        let mut cluster = Self::start(size, configs, tracer);
        assert!(cluster.run_until_together(size, 5_000), "no view of all {size} came about");
        cluster
    }

    /// `size` processes that ask to join.
    pub(crate) fn start(
        size: usize,
        configs: (NodeConfig, GroupConfig),
        tracer: impl Fn() -> T,
    ) -> Self {
        Self::start_sealed(size, configs, tracer, None)
    }

    /// The same with keys.
    pub(crate) fn start_sealed(
        size: usize,
        configs: (NodeConfig, GroupConfig),
        tracer: impl Fn() -> T,
        suite: Option<Suite>,
    ) -> Self {
        let (node_config, group_config) = configs;
        let name = GroupName::new("memory").expect("a name");
        let mut server =
            Server::new(ServerConfig::default(), ServerId(1), 1).expect("a configuration");
        if let Some(suite) = suite {
            server.set_keys(keys(suite, 0)).expect("keys of servers");
        }
        let mut cluster = Self {
            group: name.key(),
            now: Time::from_millis(1),
            processes: Vec::new(),
            server,
            connections: 0,
            buffer: vec![0; SEGMENTS_MAX * node_config.datagram_bytes],
            lose_every: None,
            cut: None,
            sent: 0,
            lost: 0,
            meter: |_| {},
            tap: |_| {},
        };
        for i in 0..size {
            let addr = SocketAddr::from(([127, 0, 0, 1], 4000 + i as u16));
            let process = ProcessId(i as u64 + 1);
            let identity =
                Identity { process, incarnation: Incarnation::new(1), addr, seed: process.0 };
            let mut node =
                Node::new(node_config.clone(), identity, 1, tracer()).expect("a configuration");
            if let Some(suite) = suite {
                node.set_keys(keys(suite, process.0 as u8)).expect("room for the tag");
            }
            node.join(cluster.now, &name, group_config.clone()).expect("room for the group");
            let (conn, delivered, bytes) = (None, 0, 0);
            let process =
                Process { node, conn, addr, dead: false, reading: true, delivered, bytes };
            cluster.processes.push(process);
        }
        cluster
    }

    /// Lets time pass until all living processes are in a view of `size` members, at most `ms`.
    pub(crate) fn run_until_together(&mut self, size: usize, ms: u64) -> bool {
        let together = |cluster: &Self| {
            let mut living = cluster.processes.iter().filter(|process| !process.dead);
            living.all(|p| {
                let installed = |view: &View| view.len() == size && view.id() != ViewId::default();
                p.node.view(cluster.group).is_some_and(installed)
            })
        };
        for _ in 0..ms {
            self.pump();
            if together(self) {
                return true;
            }
            self.pass_us(1_000);
        }
        false
    }

    /// Advances the time, and lets everything happen that is due.
    pub(crate) fn pass_us(&mut self, us: u64) {
        let until = self.now.plus_us(us);
        loop {
            self.pump();
            let nodes = self.processes.iter().filter(|process| !process.dead);
            let due = nodes.filter_map(|process| process.node.poll_timeout());
            let due = due.map(|(at, _)| at).chain(self.server.poll_timeout()).min();
            match due {
                Some(at) if at <= until => self.now = self.now.max(at),
                _ => break,
            }
            self.fire();
        }
        self.now = until;
    }

    fn fire(&mut self) {
        let Self { processes, server, now, meter, .. } = self;
        for process in processes.iter_mut().filter(|process| !process.dead) {
            let Some((_, wake)) = process.node.poll_timeout().filter(|(at, _)| at <= now) else {
                continue;
            };
            // Heartbeats to the server are not on the way of a message.
            meter(wake != Wake::Server);
            process.node.handle_timeout(*now);
            meter(false);
        }
        if server.poll_timeout().is_some_and(|at| at <= *now) {
            server.handle_timeout(*now);
        }
    }

    /// Carries all traffic until there is none.
    pub(crate) fn pump(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let mut progress = self.transmit() | self.act();
            for i in 0..self.processes.len() {
                progress |= self.link(i);
            }
            if !(progress | self.serve()) {
                return;
            }
        }
        panic!("the cluster never falls silent");
    }

    /// Sends from process number `i` (from 0).
    pub(crate) fn send(&mut self, i: usize, payload: &[u8]) -> Result<(), SendError> {
        (self.meter)(true);
        let sent = self.processes[i].node.send(self.now, self.group, payload);
        (self.meter)(false);
        sent.map(drop)
    }

    /// Kills process number `i`: its connection ends.
    pub(crate) fn kill(&mut self, i: usize) {
        self.processes[i].dead = true;
        if let Some(conn) = self.processes[i].conn.take() {
            self.server.handle_closed(self.now, conn);
        }
    }

    /// Opens a connection to the server.
    pub(crate) fn open(&mut self) -> ConnId {
        self.connections += 1;
        let conn = ConnId(self.connections);
        self.server.handle_accepted(self.now, conn);
        conn
    }

    /// Hands bytes to the server.
    pub(crate) fn poke_server(&mut self, conn: ConnId, bytes: &[u8]) {
        self.server.handle_stream(self.now, conn, bytes);
    }

    /// Closes that connection.
    pub(crate) fn close(&mut self, conn: ConnId) {
        self.server.handle_closed(self.now, conn);
    }

    fn transmit(&mut self) -> bool {
        let mut progress = false;
        for i in 0..self.processes.len() {
            while !self.processes[i].dead {
                (self.meter)(true);
                let node = &mut self.processes[i].node;
                let transmit = node.poll_transmit(self.now, &mut self.buffer, SEGMENTS_MAX);
                (self.meter)(false);
                let Some(transmit) = transmit else { break };
                progress = true;
                let buffer = core::mem::take(&mut self.buffer);
                for datagram in buffer[..transmit.len].chunks(transmit.segment_bytes) {
                    self.carry(i, transmit.dest, datagram);
                }
                self.buffer = buffer;
            }
        }
        progress
    }

    fn carry(&mut self, from: usize, dest: Dest, datagram: &[u8]) {
        (self.tap)(datagram);
        let from_addr = self.processes[from].addr;
        for (i, process) in self.processes.iter_mut().enumerate() {
            let meant = match dest {
                Dest::Group(_) => i != from,
                Dest::Peer(addr) => process.addr == addr,
            };
            if !meant || process.dead {
                continue;
            }
            self.sent += 1;
            let unlucky = self.lose_every.is_some_and(|every| self.sent.is_multiple_of(every));
            if unlucky || self.cut == Some((from, i)) {
                self.lost += 1;
                continue;
            }
            let mut datagram = datagram.to_vec();
            (self.meter)(true);
            process.node.handle_datagram(self.now, from_addr, &mut datagram);
            (self.meter)(false);
        }
    }

    fn act(&mut self) -> bool {
        let (now, meter) = (self.now, self.meter);
        let mut progress = false;
        for process in self.processes.iter_mut().filter(|p| !p.dead && p.reading) {
            meter(true);
            while let Some(action) = process.node.poll_action(now) {
                progress = true;
                if let Action::Deliver { payload, .. } = action {
                    process.delivered += 1;
                    process.bytes += payload.len() as u64;
                }
            }
            meter(false);
        }
        progress
    }

    /// Carries the connection of process number `i` to the server.
    fn link(&mut self, i: usize) -> bool {
        let Self { processes, server, now, connections, .. } = self;
        let process = &mut processes[i];
        if process.dead {
            return false;
        }
        let mut progress = false;
        while let Some(command) = process.node.poll_link() {
            progress = true;
            if let Some(conn) = process.conn.take() {
                server.handle_closed(*now, conn);
            }
            if let LinkCommand::Connect(_) = command {
                *connections += 1;
                process.conn = Some(ConnId(*connections));
                server.handle_accepted(*now, ConnId(*connections));
                process.node.handle_connected(*now);
            }
        }
        let len = process.node.stream_output().len();
        if let (Some(conn), 1..) = (process.conn, len) {
            server.handle_stream(*now, conn, process.node.stream_output());
            process.node.stream_consumed(len);
            progress = true;
        }
        progress
    }

    /// Carries what the server sends.
    fn serve(&mut self) -> bool {
        let Self { processes, server, now, .. } = self;
        let mut progress = false;
        while let Some(conn) = server.poll_output() {
            progress = true;
            let output = server.output(conn);
            let len = output.len();
            if let Some(process) = processes.iter_mut().find(|p| p.conn == Some(conn)) {
                process.node.handle_stream(*now, output);
            }
            server.consumed(conn, len);
        }
        while let Some(conn) = server.poll_close() {
            progress = true;
            if let Some(process) = processes.iter_mut().find(|p| p.conn == Some(conn)) {
                process.conn = None;
                process.node.handle_disconnected(*now);
            }
        }
        while server.poll_note().is_some() {}
        progress
    }
}
