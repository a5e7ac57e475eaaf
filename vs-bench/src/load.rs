//! A server under many clients: nodes in memory whose connections to it are carried, and nothing
//! else. What members say to each other goes nowhere: the server neither hears nor needs it.

use core::net::SocketAddr;
use core::time::Duration;

use vs_core::ident::{GroupName, Identity, Incarnation, ProcessId, ServerId};
use vs_core::member::{ConnId, Server, ServerConfig};
use vs_core::status::ServerCounters;
use vs_core::{GroupConfig, LinkCommand, Node, NodeConfig, Time};

/// Rounds after which the exchange between the server and its clients counts as endless.
const ROUNDS_MAX: usize = 1000;

/// Many clients of one server.
#[derive(Debug)]
pub struct Load {
    /// The server.
    pub server: Server,
    nodes: Vec<Node>,
    now: Time,
    /// Bytes that the server sent.
    pub bytes: u64,
    /// Bytes of frames that clients sent.
    pub bytes_up: u64,
}

impl Load {
    /// A server that has room for `clients` connections and `groups` groups.
    ///
    /// # Panics
    /// Never: the configuration can be used.
    #[must_use]
    pub fn new(clients: usize, groups: usize) -> Self {
        let config = ServerConfig::default()
            .with_connections_max(clients)
            .with_groups_max(groups)
            .with_silence(Duration::from_secs(60))
            .with_heartbeat(Duration::from_secs(10))
            .with_output_bytes_max(64 << 20);
        let server = Server::new(config, ServerId(1), 1).expect("a configuration");
        let now = Time::from_millis(1);
        Self { server, nodes: Vec::new(), now, bytes: 0, bytes_up: 0 }
    }

    /// Adds a client that joins these groups, of up to `members_max`.
    ///
    /// # Panics
    /// If there are too many clients for their addresses.
    pub fn add(&mut self, groups: impl ExactSizeIterator<Item = usize>, members_max: usize) {
        let group = GroupConfig::default()
            .with_members_max(members_max)
            .with_window_packets(4)
            .with_message_bytes_max(256)
            .with_queue_bytes(512)
            .with_early_packets_max(0)
            .with_ack_packets(2);
        let config = NodeConfig::default().with_datagram_bytes(512).with_groups_max(groups.len());
        let i = self.nodes.len();
        let ip = u32::try_from(i).map(|i| 0x0a00_0000 + i).expect("few clients");
        let identity = Identity {
            process: ProcessId(i as u64 + 1),
            incarnation: Incarnation::new(1),
            addr: SocketAddr::from((ip.to_be_bytes(), 4000)),
            seed: 1,
        };
        let mut node = Node::new(config, identity, 1, ()).expect("a configuration");
        for name in groups.map(|i| GroupName::new(&format!("group{i}")).expect("a name")) {
            node.join(self.now, &name, group.clone()).expect("room for the group");
        }
        self.nodes.push(node);
    }

    /// Carries all that is said until nobody says anything, then lets the time pass that servers
    /// gather arrivals, and carries again.
    ///
    /// # Panics
    /// If that does not come to an end.
    pub fn settle(&mut self) {
        for _ in 0..2 {
            let mut rounds = 0;
            while self.carry() {
                rounds += 1;
                assert!(rounds < ROUNDS_MAX, "they never fall silent");
            }
            self.now = self.now.plus_ms(10);
            self.server.handle_timeout(self.now);
        }
        while self.carry() {}
    }

    fn carry(&mut self) -> bool {
        let mut progress = false;
        for i in 0..self.nodes.len() {
            progress |= self.carry_from(i);
        }
        while let Some(conn) = self.server.poll_output() {
            progress = true;
            let output = self.server.output(conn);
            let len = output.len();
            self.bytes += len as u64;
            if let Some(node) = self.nodes.get_mut(conn.0 as usize) {
                node.handle_stream(self.now, output);
            }
            self.server.consumed(conn, len);
        }
        while self.server.poll_note().is_some() {}
        progress
    }

    fn carry_from(&mut self, i: usize) -> bool {
        let (node, conn) = (&mut self.nodes[i], ConnId(i as u64));
        let mut progress = false;
        while let Some(command) = node.poll_link() {
            progress = true;
            if let LinkCommand::Connect(_) = command {
                self.server.handle_accepted(self.now, conn);
                node.handle_connected(self.now);
            }
        }
        let output = node.stream_output();
        let len = output.len();
        if len > 0 {
            self.bytes_up += len as u64;
            self.server.handle_stream(self.now, conn, output);
            node.stream_consumed(len);
        }
        progress | (len > 0)
    }

    /// The connection of client `i` ends.
    pub fn close(&mut self, i: usize) {
        self.server.handle_closed(self.now, ConnId(i as u64));
    }

    /// What the server counted.
    #[must_use]
    pub fn counters(&self) -> ServerCounters {
        *self.server.counters()
    }

    /// Returns the server alone, without the clients.
    #[must_use]
    pub fn into_server(self) -> Server {
        self.server
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_gets_one_view_per_change() {
        let mut load = Load::new(6, 4);
        for i in 0..6 {
            load.add([i % 4, (i + 1) % 4].into_iter(), 8);
        }
        load.settle();
        assert_eq!((load.counters().views_fast, load.counters().views_slow), (4, 0));
        load.close(5);
        load.settle();
        assert_eq!(load.counters().views_fast, 4 + 2, "the groups that it was in");
    }
}
