//! What is known of other servers: the connections to each, its boot value, and what it said about
//! itself.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::config::ServerConfig;
use super::conn_id::ConnId;
use super::connections::Connections;
use crate::ident::{ProcessId, ServerId};
use crate::time::Time;

/// What a connected server said about itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    /// The process that it is a part of, and dies with.
    pub(super) embeds: Option<ProcessId>,
    /// It is still looking for other servers.
    pub(super) gathering: bool,
    /// Where others reach it.
    pub(super) listen: Option<SocketAddr>,
}

/// Other servers.
#[derive(Debug, Default)]
pub(super) struct Peers {
    /// The connections to each connected server.
    connections: BTreeMap<ServerId, BTreeSet<ConnId>>,
    /// The boot value of each server that was ever connected; at most `connections_max` of those
    /// that are no more.
    boots: BTreeMap<ServerId, u64>,
    /// The latest boot value of a connected server. Each message asks for it.
    latest_boot: u64,
    /// What each connected server said about itself, and until when it may look for others.
    about: BTreeMap<ServerId, (About, Time)>,
}

impl Peers {
    /// The servers that are connected, ascending.
    pub(super) fn connected(&self) -> Vec<ServerId> {
        self.connections.keys().copied().collect()
    }

    /// How many servers are connected.
    pub(super) fn count(&self) -> usize {
        self.connections.len()
    }

    /// The connection over which `server` is told things.
    pub(super) fn connection_to(&self, server: ServerId) -> Option<ConnId> {
        self.connections.get(&server)?.first().copied()
    }

    /// All connections to `server`.
    pub(super) fn connections_to(&self, server: ServerId) -> impl Iterator<Item = ConnId> + '_ {
        self.connections.get(&server).into_iter().flatten().copied()
    }

    /// `server` has named itself on `conn`. True if it has no other connection.
    pub(super) fn handle_connected(&mut self, server: ServerId, conn: ConnId) -> bool {
        let connections = self.connections.entry(server).or_default();
        let is_first = connections.is_empty();
        connections.insert(conn);
        is_first
    }

    /// The connection `conn` to `server` is over. True if it was the last one.
    pub(super) fn handle_ended(&mut self, server: ServerId, conn: ConnId) -> bool {
        if let Some(connections) = self.connections.get_mut(&server) {
            connections.remove(&conn);
        }
        if self.connection_to(server).is_some() {
            return false;
        }
        self.connections.remove(&server);
        self.compare_boots();
        true
    }

    /// The connections to `server` that this side made and that are too many. The connection that
    /// the lower id made stays. The other side knows who is at this end once it has spoken after
    /// its greeting.
    pub(super) fn surplus(
        &self,
        me: ServerId,
        server: ServerId,
        connections: &Connections,
    ) -> Vec<(ConnId, SocketAddr)> {
        let theirs = self.connections_to(server).any(|conn| connections.is_confirmed_by_peer(conn));
        let dialled = |conn| connections.dialled(conn).map(|addr| (conn, addr));
        let ours = self.connections_to(server).filter_map(dialled);
        ours.skip(if server < me && theirs { 0 } else { 1 }).collect()
    }

    /// `server` said its boot value. True if it is another one than before: the server was
    /// restarted.
    pub(super) fn handle_boot(
        &mut self,
        server: ServerId,
        boot: u64,
        config: &ServerConfig,
    ) -> bool {
        let restarted = self.boots.insert(server, boot).is_some_and(|known| known != boot);
        if self.boots.len() > config.connections_max {
            self.boots.retain(|server, _| self.connections.contains_key(server));
        }
        self.compare_boots();
        restarted
    }

    fn compare_boots(&mut self) {
        let boots = self.connections.keys().filter_map(|server| self.boots.get(server));
        self.latest_boot = boots.max().copied().unwrap_or_default();
    }

    /// The latest boot value of a connected server that is at most `boots_max`.
    pub(super) fn latest_boot(&self, boots_max: u64) -> u64 {
        if self.latest_boot <= boots_max {
            return self.latest_boot;
        }
        let boots = self.connections.keys().filter_map(|server| self.boots.get(server));
        boots.filter(|boot| **boot <= boots_max).max().copied().unwrap_or_default()
    }

    /// `server` said what it is; `until`: it may look for others so long.
    pub(super) fn handle_about(&mut self, server: ServerId, about: About, until: Time) {
        self.about.insert(server, (about, until));
    }

    /// Forgets what `server` said about itself. The process that it was a part of is returned.
    pub(super) fn forget_about(&mut self, server: ServerId) -> Option<ProcessId> {
        self.about.remove(&server)?.0.embeds
    }

    /// Where `server` said that others reach it.
    pub(super) fn listen_of(&self, server: ServerId) -> Option<SocketAddr> {
        self.about.get(&server)?.0.listen
    }

    /// Whether a connected server looks for others, so that its clients are about to come.
    pub(super) fn is_any_gathering(&self, now: Time) -> bool {
        self.about.values().any(|(about, until)| about.gathering && now < *until)
    }

    /// Servers whose boot value is remembered.
    #[cfg(test)]
    pub(super) fn boots_remembered(&self) -> usize {
        self.boots.len()
    }
}
