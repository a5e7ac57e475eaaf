//! Nodes and one membership server in memory. Datagrams arrive at once, in order and at everybody;
//! bytes to and from the server too; time moves only when told to. So what is measured is the core,
//! and what is counted is what it sends.

use core::net::SocketAddr;
use core::ops::Sub;

use vs_core::ident::{GroupKey, GroupName, Identity, Incarnation, ProcessId, ServerId, ViewId};
use vs_core::member::{ConnId, Server, ServerConfig};
use vs_core::wire::datagram::KIND_AT;
use vs_core::wire::frame::PREAMBLE_BYTES;
use vs_core::{Action, Dest, GroupConfig, LinkCommand, Node, NodeConfig, SendError, Time, View};

/// Rounds after which the traffic of the network counts as endless.
const ROUNDS_MAX: usize = 100_000;

/// Bytes before a frame of a stream that say its length.
const FRAME_LENGTH_BYTES: usize = 4;

/// Configuration of a network.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Configuration of every node.
    pub node: NodeConfig,
    /// Configuration of every group.
    pub group: GroupConfig,
    /// The server.
    pub server: ServerConfig,
    /// Groups that every node joins.
    pub groups: usize,
    /// Datagrams that a node may hand out at once.
    pub segments_max: usize,
}

impl Settings {
    /// One group of up to `members_max` with the defaults.
    #[must_use]
    pub fn new(members_max: usize) -> Self {
        Self::with(GroupConfig::default().with_members_max(members_max), 1)
    }

    /// `groups` groups of up to `members_max` with small windows: 8 packets, messages of up to 1
    /// KiB.
    #[must_use]
    pub fn small(members_max: usize, groups: usize) -> Self {
        let group = GroupConfig::default()
            .with_members_max(members_max)
            .with_window_packets(8)
            .with_message_bytes_max(1024)
            .with_queue_bytes(2048)
            .with_early_packets_max(8)
            .with_ack_packets(2);
        Self::with(group, groups)
    }

    /// `groups` groups.
    #[must_use]
    pub fn with(group: GroupConfig, groups: usize) -> Self {
        let node = NodeConfig::default().with_groups_max(groups);
        let server = ServerConfig::default().with_groups_max(groups);
        Self { node, group, server, groups, segments_max: 64 }
    }
}

/// The kinds of datagrams: the value of byte 3, and a name.
pub const KINDS: [&str; 7] = ["", "data", "ack", "nak", "heartbeat", "sync", "sync request"];

/// Counts of what went over the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams sent, by kind ([`KINDS`]); a multicast is one.
    pub sent: [u64; KINDS.len()],
    /// Bytes of them.
    pub sent_bytes: u64,
    /// Datagrams that arrived, at each receiver.
    pub arrived: u64,
    /// Bytes of them.
    pub arrived_bytes: u64,
    /// Frames and bytes from nodes to the server.
    pub up: (u64, u64),
    /// Frames and bytes from the server to nodes.
    pub down: (u64, u64),
}

impl Traffic {
    /// Datagrams sent.
    #[must_use]
    pub fn datagrams(&self) -> u64 {
        self.sent.iter().sum()
    }

    fn take_datagram(&mut self, datagram: &[u8]) {
        let kind = datagram.get(KIND_AT).map_or(0, |kind| usize::from(*kind));
        self.sent[kind.min(KINDS.len() - 1)] += 1;
        self.sent_bytes += datagram.len() as u64;
    }
}

impl Sub for Traffic {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        let mut sent = self.sent;
        sent.iter_mut().zip(before.sent).for_each(|(now, then)| *now -= then);
        Self {
            sent,
            sent_bytes: self.sent_bytes - before.sent_bytes,
            arrived: self.arrived - before.arrived,
            arrived_bytes: self.arrived_bytes - before.arrived_bytes,
            up: (self.up.0 - before.up.0, self.up.1 - before.up.1),
            down: (self.down.0 - before.down.0, self.down.1 - before.down.1),
        }
    }
}

/// Counts the frames in one direction of a connection.
#[derive(Debug, Default)]
struct FrameCount {
    /// Bytes of the next length that have arrived.
    head: Vec<u8>,
    greeted: bool,
    /// Bytes of the content under way that are still to come.
    rest: usize,
}

impl FrameCount {
    /// Frames that begin in `bytes`.
    fn take(&mut self, mut bytes: &[u8]) -> u64 {
        let mut frames = 0;
        while !bytes.is_empty() {
            if self.rest > 0 {
                let skip = self.rest.min(bytes.len());
                bytes = &bytes[skip..];
                self.rest -= skip;
                continue;
            }
            let wanted = if self.greeted { FRAME_LENGTH_BYTES } else { PREAMBLE_BYTES };
            let (head, rest) = bytes.split_at((wanted - self.head.len()).min(bytes.len()));
            self.head.extend_from_slice(head);
            bytes = rest;
            if self.head.len() < wanted {
                break;
            }
            if self.greeted {
                let length: [u8; FRAME_LENGTH_BYTES] = self.head[..].try_into().unwrap_or_default();
                self.rest = u32::from_le_bytes(length) as usize;
                frames += 1;
            }
            self.greeted = true;
            self.head.clear();
        }
        frames
    }
}

/// One process.
#[derive(Debug)]
pub struct Member {
    /// Its node.
    pub node: Node,
    /// Killed: what it sends, and what is sent to it, is dropped.
    pub dead: bool,
    /// Messages delivered.
    pub delivered: u64,
    conn: Option<ConnId>,
    addr: SocketAddr,
    lives: u64,
    up: FrameCount,
    down: FrameCount,
}

/// Processes 1, 2, … and their server.
#[derive(Debug)]
pub struct Memory {
    /// The processes.
    pub members: Vec<Member>,
    /// The groups, in the order in which they were joined.
    pub groups: Vec<GroupKey>,
    /// Counts of what went over the network.
    pub traffic: Traffic,
    now: Time,
    settings: Settings,
    names: Vec<GroupName>,
    server: Server,
    /// The process of each connection, by the number of the connection.
    owners: Vec<usize>,
    buffer: Vec<u8>,
}

impl Memory {
    /// `size` processes in one view of each group.
    ///
    /// # Panics
    /// If a configuration cannot be used, or no such view comes about.
    #[must_use]
    pub fn together(size: usize, settings: &Settings) -> Self {
        let mut memory = Self::start(size, settings);
        assert!(memory.run_until_together(size, 60_000), "no view of all {size} came about");
        memory
    }

    /// `size` processes that ask to join.
    ///
    /// # Panics
    /// If a configuration cannot be used.
    #[must_use]
    pub fn start(size: usize, settings: &Settings) -> Self {
        let name = |i| GroupName::new(&format!("group{i}")).expect("a name");
        let names: Vec<GroupName> = (0..settings.groups).map(name).collect();
        let server = Server::new(settings.server.clone(), ServerId(1), 1);
        let mut memory = Self {
            members: Vec::with_capacity(size),
            groups: names.iter().map(GroupName::key).collect(),
            traffic: Traffic::default(),
            now: Time::from_millis(1),
            settings: settings.clone(),
            names,
            server: server.expect("a configuration"),
            owners: Vec::new(),
            buffer: vec![0; settings.segments_max * settings.node.datagram_bytes],
        };
        for i in 0..size {
            let member = memory.member(i, 1);
            memory.members.push(member);
        }
        memory
    }

    fn member(&self, i: usize, lives: u64) -> Member {
        let addr = SocketAddr::from(([127, 0, 0, 1], 4000 + i as u16));
        let process = ProcessId(i as u64 + 1);
        let identity =
            Identity { process, incarnation: Incarnation::new(lives), addr, seed: process.0 };
        let mut node =
            Node::new(self.settings.node.clone(), identity, 1, ()).expect("a configuration");
        for name in &self.names {
            node.join(self.now, name, self.settings.group.clone()).expect("room for the group");
        }
        let (up, down) = (FrameCount::default(), FrameCount::default());
        Member { node, dead: false, delivered: 0, conn: None, addr, lives, up, down }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// Lets time pass until all living processes are in views of `size` members, at most `ms`.
    pub fn run_until_together(&mut self, size: usize, ms: u64) -> bool {
        let until = self.now.plus_ms(ms);
        loop {
            self.pump();
            if self.are_together(size) {
                return true;
            }
            match self.next_timeout() {
                Some(at) if at <= until => self.now = self.now.max(at),
                _ => return false,
            }
            self.fire();
        }
    }

    /// Whether all living processes are in views of `size` members, in each group.
    #[must_use]
    pub fn are_together(&self, size: usize) -> bool {
        let installed = |view: &View| view.len() == size && view.id() != ViewId::default();
        let mut living = self.members.iter().filter(|member| !member.dead);
        living.all(|m| self.groups.iter().all(|key| m.node.view(*key).is_some_and(installed)))
    }

    /// Kills process number `i` (from 0): its connection ends.
    pub fn kill(&mut self, i: usize) {
        self.members[i].dead = true;
        if let Some(conn) = self.members[i].conn.take() {
            self.server.handle_closed(self.now, conn);
        }
    }

    /// Starts process number `i` again after it was killed.
    pub fn revive(&mut self, i: usize) {
        self.members[i] = self.member(i, self.members[i].lives + 1);
    }

    /// Sends from process number `i` in the first group.
    ///
    /// # Errors
    /// As the node's.
    pub fn send(&mut self, i: usize, payload: &[u8]) -> Result<(), SendError> {
        self.members[i].node.send(self.now, self.groups[0], payload).map(drop)
    }

    /// Advances the time, and lets everything happen that is due.
    pub fn pass_ns(&mut self, ns: u64) {
        let until = Time(self.now.0 + ns);
        loop {
            self.pump();
            match self.next_timeout() {
                Some(at) if at <= until => self.now = self.now.max(at),
                _ => break,
            }
            self.fire();
        }
        self.now = until;
    }

    fn next_timeout(&self) -> Option<Time> {
        let nodes = self.members.iter().filter(|member| !member.dead);
        let due = nodes.filter_map(|member| member.node.poll_timeout());
        due.map(|(at, _)| at).chain(self.server.poll_timeout()).min()
    }

    fn fire(&mut self) {
        for member in self.members.iter_mut().filter(|member| !member.dead) {
            if member.node.poll_timeout().is_some_and(|(at, _)| at <= self.now) {
                member.node.handle_timeout(self.now);
            }
        }
        if self.server.poll_timeout().is_some_and(|at| at <= self.now) {
            self.server.handle_timeout(self.now);
        }
    }

    /// Carries all traffic until there is none.
    ///
    /// # Panics
    /// If that does not come to an end.
    pub fn pump(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let mut progress = self.transmit() | self.act();
            for i in 0..self.members.len() {
                progress |= self.link(i);
            }
            if !(progress | self.serve()) {
                return;
            }
        }
        panic!("the network never falls silent");
    }

    fn transmit(&mut self) -> bool {
        let mut progress = false;
        let mut buffer = core::mem::take(&mut self.buffer);
        for i in 0..self.members.len() {
            while !self.members[i].dead {
                let node = &mut self.members[i].node;
                let sent = node.poll_transmit(self.now, &mut buffer, self.settings.segments_max);
                let Some(sent) = sent else { break };
                progress = true;
                for datagram in buffer[..sent.len].chunks_mut(sent.segment_bytes) {
                    self.carry(i, sent.dest, datagram);
                }
            }
        }
        self.buffer = buffer;
        progress
    }

    fn carry(&mut self, from: usize, dest: Dest, datagram: &mut [u8]) {
        let addr = self.members[from].addr;
        self.traffic.take_datagram(datagram);
        for (i, member) in self.members.iter_mut().enumerate() {
            let meant = match dest {
                Dest::Group(_) => i != from,
                Dest::Peer(addr) => member.addr == addr,
            };
            if meant && !member.dead {
                self.traffic.arrived += 1;
                self.traffic.arrived_bytes += datagram.len() as u64;
                // In the clear it is the same for all after one has opened it.
                member.node.handle_datagram(self.now, addr, datagram);
            }
        }
    }

    fn act(&mut self) -> bool {
        let mut progress = false;
        for member in self.members.iter_mut().filter(|member| !member.dead) {
            while let Some(action) = member.node.poll_action(self.now) {
                progress = true;
                if let Action::Deliver { payload, .. } = action {
                    core::hint::black_box(payload);
                    member.delivered += 1;
                }
            }
        }
        progress
    }

    /// Carries the connection of process number `i` to the server.
    fn link(&mut self, i: usize) -> bool {
        let member = &mut self.members[i];
        if member.dead {
            return false;
        }
        let mut progress = false;
        while let Some(command) = member.node.poll_link() {
            progress = true;
            if let Some(conn) = member.conn.take() {
                self.server.handle_closed(self.now, conn);
            }
            if let LinkCommand::Connect(_) = command {
                let conn = ConnId(self.owners.len() as u64);
                self.owners.push(i);
                member.conn = Some(conn);
                (member.up, member.down) = (FrameCount::default(), FrameCount::default());
                self.server.handle_accepted(self.now, conn);
                member.node.handle_connected(self.now);
            }
        }
        let output = member.node.stream_output();
        if let (Some(conn), 1..) = (member.conn, output.len()) {
            let len = output.len();
            self.traffic.up.0 += member.up.take(output);
            self.traffic.up.1 += len as u64;
            self.server.handle_stream(self.now, conn, output);
            member.node.stream_consumed(len);
            progress = true;
        }
        progress
    }

    /// Carries what the server sends.
    fn serve(&mut self) -> bool {
        let mut progress = false;
        while let Some(conn) = self.server.poll_output() {
            progress = true;
            let output = self.server.output(conn);
            let len = output.len();
            let member = &mut self.members[self.owners[conn.0 as usize]];
            if member.conn == Some(conn) {
                self.traffic.down.0 += member.down.take(output);
                self.traffic.down.1 += len as u64;
                member.node.handle_stream(self.now, output);
            }
            self.server.consumed(conn, len);
        }
        while let Some(conn) = self.server.poll_close() {
            progress = true;
            let member = &mut self.members[self.owners[conn.0 as usize]];
            if member.conn == Some(conn) {
                member.conn = None;
                member.node.handle_disconnected(self.now);
            }
        }
        while self.server.poll_note().is_some() {}
        progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_across_any_cut() {
        let mut stream = vec![0; PREAMBLE_BYTES];
        for len in [0_u8, 1, 9] {
            stream.extend_from_slice(&[len, 0, 0, 0]);
            stream.resize(stream.len() + usize::from(len), 0xff);
        }
        for step in 1..=stream.len() {
            let mut count = FrameCount::default();
            assert_eq!(stream.chunks(step).map(|part| count.take(part)).sum::<u64>(), 3, "{step}");
        }
    }

    #[test]
    fn returning_members_are_all_counted() {
        let mut memory = Memory::together(3, &Settings::new(3));
        let formed = memory.traffic;
        assert!(formed.up.0 >= 3 * 2 && formed.down.0 >= 3 * 2);
        memory.kill(2);
        assert!(memory.run_until_together(2, 1000));
        let left = memory.traffic - formed;
        assert_eq!(left.sent[5], 2, "a sync message of each survivor: {left:?}");
        memory.revive(2);
        assert!(memory.run_until_together(3, 1000));
        memory.send(0, b"hello").unwrap();
        memory.pump();
        assert!(memory.members.iter().all(|member| member.delivered == 1));
    }

    /// Each asked the other, again and again, since it heard less of it than in few groups: eleven
    /// datagrams a second and group instead of one in some seconds.
    #[test]
    fn idle_groups_beyond_64_send_no_more() {
        const S: u64 = 1_000_000_000;
        for groups in [64, 100, 256] {
            let mut memory = Memory::together(2, &Settings::small(2, groups));
            memory.pass_ns(60 * S);
            let before = memory.traffic;
            memory.pass_ns(60 * S);
            let sent = (memory.traffic - before).datagrams();
            let most = 2 * 64 * 60;
            assert!(sent <= most + most / 10, "{groups} groups: {sent} of {most}");
        }
    }
}
