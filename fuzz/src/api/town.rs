//! Processes, a membership server, and what is under way between them. The input says what moves,
//! and when.

use core::time::Duration;
use std::net::SocketAddr;

use vs_core::ident::{GroupKey, GroupName, Identity, Incarnation, ProcessId, ServerId};
use vs_core::member::{ConnId, Server, ServerConfig};
use vs_core::order::Order;
use vs_core::trace::Record;
use vs_core::{Dest, LinkCommand, Node, NodeConfig, Time, View};

use super::model::{Member, Phase};

/// Rounds after which a town that still has output is considered endless.
const ROUNDS_MAX: usize = 20_000;

/// Datagrams that are under way; more are lost.
const UNDER_WAY_MAX: usize = 256;

/// How far apart incarnations start, in ms. An incarnation is given ids of at most that time.
const INCARNATION_MS: u64 = 1_000;

/// When the town begins, in ms.
const START_MS: u64 = 1_000_000;

/// Groups that a process may join.
pub(super) const GROUPS: usize = 2;

pub(super) struct Process {
    pub(super) id: ProcessId,
    pub(super) node: Option<Node<Vec<Record>>>,
    pub(super) groups: [Member; GROUPS],
    /// What its earlier incarnations saw.
    pub(super) records: Vec<Record>,
    config: NodeConfig,
    addr: SocketAddr,
    conn: Option<ConnId>,
}

pub(super) struct Town {
    pub(super) now: Time,
    /// The latest time before the clock was set back. For a process that has seen it, time stands
    /// still until then.
    pub(super) latest: Time,
    pub(super) processes: Vec<Process>,
    pub(super) names: [GroupName; GROUPS],
    /// The order of the second group.
    pub(super) order: Order,
    /// Datagrams: from whom, and to which process.
    pub(super) under_way: Vec<(SocketAddr, usize, Vec<u8>)>,
    server: Option<Server>,
    /// Incarnations of processes and of the server so far: one clock gives incarnations and boot
    /// values.
    incarnations: u64,
    connections: u64,
}

impl Town {
    pub(super) fn new(size: usize, config: &NodeConfig, order: Order) -> Self {
        let process = |i: usize| Process {
            id: ProcessId(i as u64 + 1),
            node: None,
            groups: Default::default(),
            records: Vec::new(),
            config: config.clone(),
            addr: ([127, 0, 0, 1], 4000 + i as u16).into(),
            conn: None,
        };
        let mut town = Self {
            now: Time::from_millis(START_MS),
            latest: Time::default(),
            processes: (0..size).map(process).collect(),
            order,
            names: ["one", "two"].map(|name| GroupName::new(name).expect("a name")),
            under_way: Vec::new(),
            server: None,
            incarnations: 0,
            connections: 0,
        };
        town.start_server();
        town
    }

    pub(super) fn start_server(&mut self) {
        if self.server.is_none() {
            self.incarnations += 1;
            let boot = START_MS + self.incarnations * INCARNATION_MS;
            let config = ServerConfig::default()
                .with_silence(Duration::from_millis(300))
                .with_heartbeat(Duration::from_millis(50));
            self.server = Server::new(config, ServerId(1), boot).ok();
        }
    }

    pub(super) fn kill_server(&mut self) {
        self.server = None;
        for process in &mut self.processes {
            if let (Some(_), Some(node)) = (process.conn.take(), &mut process.node) {
                node.handle_disconnected(self.now);
            }
        }
    }

    /// Starts a process in its next incarnation.
    pub(super) fn start(&mut self, i: usize) {
        let process = &mut self.processes[i];
        if process.node.is_some() {
            return;
        }
        self.incarnations += 1;
        let incarnation = Incarnation::new(START_MS + self.incarnations * INCARNATION_MS);
        let identity =
            Identity { process: process.id, incarnation, addr: process.addr, seed: process.id.0 };
        let node = Node::new(process.config.clone(), identity, 1, Vec::new());
        process.node = Some(node.expect("a configuration"));
    }

    /// Kills it. Its connection ends, or falls silent.
    pub(super) fn kill(&mut self, i: usize, silent: bool) {
        let process = &mut self.processes[i];
        let Some(mut node) = process.node.take() else { return };
        process.records.append(node.tracer_mut());
        process.groups = Default::default();
        let conn = process.conn.take().filter(|_| !silent);
        if let (Some(conn), Some(server)) = (conn, &mut self.server) {
            server.handle_closed(self.now, conn);
        }
    }

    pub(super) fn key(&self, group: usize) -> GroupKey {
        self.names[group].key()
    }

    /// Calls for a living process.
    pub(super) fn with<R>(
        &mut self,
        i: usize,
        group: usize,
        call: impl FnOnce(&mut Node<Vec<Record>>, &mut Member, Time, &GroupName) -> R,
    ) -> Option<R> {
        let (process, name) = (&mut self.processes[i], &self.names[group]);
        let node = process.node.as_mut()?;
        Some(call(node, &mut process.groups[group], self.now, name))
    }

    /// The process sends what it has: one datagram or a run of them.
    pub(super) fn transmit(&mut self, i: usize, room: usize, segments_max: usize) -> bool {
        let process = &mut self.processes[i];
        let (from, mut out) = (process.addr, vec![0; room]);
        let Some(node) = &mut process.node else { return false };
        let Some(sent) = node.poll_transmit(self.now, &mut out, segments_max) else { return false };
        assert!(sent.len <= room && sent.segment_bytes <= sent.len && sent.segment_bytes > 0);
        let receivers: Vec<usize> = match sent.dest {
            Dest::Group(_) => (0..self.processes.len()).filter(|to| *to != i).collect(),
            Dest::Peer(addr) => {
                self.processes.iter().position(|p| p.addr == addr).into_iter().collect()
            }
        };
        for datagram in out[..sent.len].chunks(sent.segment_bytes) {
            self.under_way.extend(receivers.iter().map(|to| (from, *to, datagram.to_vec())));
        }
        self.under_way.truncate(UNDER_WAY_MAX);
        true
    }

    /// The datagram at that place arrives.
    pub(super) fn arrive(&mut self, at: usize) {
        let (from, to, mut datagram) = self.under_way.remove(at);
        if let Some(node) = &mut self.processes[to].node {
            node.handle_datagram(self.now, from, &mut datagram);
        }
    }

    /// The application hears one thing.
    pub(super) fn act(&mut self, i: usize) -> bool {
        let process = &mut self.processes[i];
        let Some(node) = &mut process.node else { return false };
        let Some(action) = node.poll_action(self.now) else { return false };
        let at = self.names.iter().position(|name| name.key() == action.group());
        process.groups[at.expect("a group that was joined")].hear(process.id, &action);
        let done = |member: &Member| matches!(member.phase, Phase::Out | Phase::Ended);
        if process.groups.iter().all(done) {
            assert_eq!(node.pool_slots_used(), 0, "slots are used by a group that is no more");
        }
        true
    }

    /// Connections are made and ended; `bytes_max` go from the process to the server.
    pub(super) fn link(&mut self, i: usize, bytes_max: usize) -> bool {
        let Self { processes, server, now, connections, .. } = self;
        let process = &mut processes[i];
        let Some(node) = &mut process.node else { return false };
        let mut progress = false;
        while let Some(command) = node.poll_link() {
            progress = true;
            if let (Some(conn), Some(server)) = (process.conn.take(), server.as_mut()) {
                server.handle_closed(*now, conn);
            }
            match (command, server.as_mut()) {
                (LinkCommand::Connect(0), Some(server)) => {
                    *connections += 1;
                    process.conn = Some(ConnId(*connections));
                    server.handle_accepted(*now, ConnId(*connections));
                    node.handle_connected(*now);
                }
                (LinkCommand::Connect(0), None) => node.handle_disconnected(*now),
                (LinkCommand::Connect(other), _) => panic!("there is no server {other}"),
                (LinkCommand::Close, _) => {}
            }
        }
        let output = node.stream_output();
        let len = output.len().min(bytes_max);
        if let (Some(conn), Some(server), 1..) = (process.conn, server, len) {
            server.handle_stream(*now, conn, &output[..len]);
            node.stream_consumed(len);
            progress = true;
        }
        progress
    }

    /// The output of the server arrives.
    pub(super) fn serve(&mut self) -> bool {
        let Self { processes, server, now, .. } = self;
        let Some(server) = server else { return false };
        let mut progress = false;
        while let Some(conn) = server.poll_output() {
            progress = true;
            let output = server.output(conn);
            let len = output.len();
            if let Some(process) = processes.iter_mut().find(|p| p.conn == Some(conn))
                && let Some(node) = &mut process.node
            {
                node.handle_stream(*now, output);
            }
            server.consumed(conn, len);
        }
        while let Some(conn) = server.poll_close() {
            progress = true;
            if let Some(process) = processes.iter_mut().find(|p| p.conn == Some(conn))
                && let Some(node) = &mut process.node
            {
                process.conn = None;
                node.handle_disconnected(*now);
            }
        }
        while server.poll_note().is_some() {}
        progress
    }

    /// Everything moves until nobody has output. Applications read all, and stop sending when they
    /// are asked to.
    pub(super) fn pump(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let mut progress = self.serve();
            for i in 0..self.processes.len() {
                progress |= self.link(i, usize::MAX);
                progress |= self.transmit(i, 2048, 4) | self.act(i);
                for group in 0..GROUPS {
                    self.with(i, group, |node, member, now, name| {
                        if member.asks_to_block() {
                            member.block_ok(node.block_ok(now, name.key()));
                            progress = true;
                        }
                    });
                }
            }
            while !self.under_way.is_empty() {
                progress = true;
                self.arrive(0);
            }
            if !progress {
                return;
            }
        }
        panic!("the town never falls silent");
    }

    /// The next time at which somebody wants to be woken.
    pub(super) fn next(&self) -> Option<Time> {
        let nodes = self.processes.iter().filter_map(|process| process.node.as_ref());
        let nodes = nodes.filter_map(|node| node.poll_timeout()).map(|(at, _)| at);
        nodes.chain(self.server.as_ref().and_then(Server::poll_timeout)).min()
    }

    /// Everybody is told the time.
    pub(super) fn tick(&mut self) {
        for process in &mut self.processes {
            if let Some(node) = &mut process.node {
                node.handle_timeout(self.now);
            }
        }
        if let Some(server) = &mut self.server {
            server.handle_timeout(self.now);
        }
    }

    /// Lets time pass, and all happen that is due, until `done` or for `ms`.
    pub(super) fn run_until(&mut self, ms: u64, done: impl Fn(&Self) -> bool) -> bool {
        let until = self.now.plus_ms(ms);
        loop {
            self.pump();
            if done(self) {
                return true;
            }
            match self.next() {
                Some(at) if at <= until => self.now = self.now.max(at),
                _ => return false,
            }
            self.tick();
        }
    }

    /// The views that the processes are in.
    pub(super) fn views(&self) -> Vec<Option<View>> {
        let view = |p: &Process, group| p.node.as_ref()?.view(self.key(group)).cloned();
        let processes = self.processes.iter();
        processes.flat_map(|p| (0..GROUPS).map(move |group| view(p, group))).collect()
    }

    /// Whether all that are in a group share a view of just them.
    pub(super) fn is_whole(&self, group: usize) -> bool {
        let key = self.key(group);
        let inside = |p: &&Process| p.groups[group].phase == Phase::In;
        let members: Vec<&Process> = self.processes.iter().filter(inside).collect();
        let ids: Vec<ProcessId> = members.iter().map(|p| p.id).collect();
        let view = |p: &&Process| p.node.as_ref().and_then(|node| node.view(key)).cloned();
        let views: Vec<Option<View>> = members.iter().map(view).collect();
        let real = |v: &View| v.members() == ids && v.id().major > 0;
        views.windows(2).all(|pair| pair[0] == pair[1])
            && views.first().is_none_or(|view| view.as_ref().is_some_and(real))
    }
}
