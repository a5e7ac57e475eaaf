//! What a server sends, and to whom.

use alloc::vec::Vec;

use super::Server;
use super::conn_id::ConnId;
use super::connections::Role;
use super::group::{self, FEW_SERVERS, Group, Send};
use super::note::Note;
use crate::ident::{GroupName, ServerId};
use crate::member::discovery::Discovery;
use crate::member::message::{PeerWord, Reply, Request};
use crate::wire::frame;
use crate::wire::message::Frame;

/// Why a connection ends whose output grows beyond its bound.
const UNREAD: &str = "it does not read what it is sent";

/// Why a connection ends that holds most, where all hold more than they may.
const GREEDY: &str = "all connections hold more than buffers_bytes_max bytes, and this one most";

impl Server {
    /// Sends a message over a connection. One that does not read what it is sent is ended.
    pub(super) fn send<'a, M>(&mut self, conn: ConnId, message: &'a M)
    where
        Frame: From<&'a M>,
    {
        if !self.connections.send(self.clock.now(), conn, message) {
            self.give_up_reader(conn, UNREAD);
        }
    }

    /// Ends a connection that does not read: what waits there is dropped.
    fn give_up_reader(&mut self, conn: ConnId, why: &'static str) {
        self.counters.readers_given_up += 1;
        self.notes.push(Note::Refused { conn, why: why.into() });
        self.drop_connection(conn);
        self.connections.close(conn, None);
    }

    /// Ends the connections that hold most, until all hold what they may. Called once all is done
    /// that led there: what follows from an end may be more to send.
    pub(super) fn shed(&mut self) {
        while let Some(conn) = self.connections.greediest() {
            self.give_up_reader(conn, GREEDY);
        }
    }

    /// Tells a peer something, if it is connected.
    pub(super) fn tell_server(&mut self, server: ServerId, message: PeerWord) {
        if let Some(conn) = self.peers.connection_to(server) {
            self.send(conn, &Request::Peer(message));
        }
    }

    /// Tells all peers something.
    pub(super) fn tell_peers(&mut self, message: PeerWord) {
        self.tell_servers(&self.peers.connected(), message);
    }

    /// Tells those of `servers` something that are connected. It is encoded once.
    fn tell_servers(&mut self, servers: &[ServerId], message: PeerWord) {
        let mut encoded = zeroize::Zeroizing::new(Vec::new());
        frame::encode(&Request::Peer(message), &mut encoded);
        for server in servers {
            let Some(conn) = self.peers.connection_to(*server) else { continue };
            if !self.connections.send_encoded(self.clock.now(), conn, &encoded) {
                self.give_up_reader(conn, UNREAD);
            }
        }
    }

    /// This server names itself.
    pub(super) fn greet(&mut self, conn: ConnId) {
        let deployment = self.config.deployment.clone();
        self.send(conn, &Request::Server { server: self.id, boot: self.boot, deployment });
    }

    /// Sends the own link report to all peers.
    pub(super) fn tell_links(&mut self) {
        let report = self.topology.own_report(self.versions.next());
        self.tell_peers(report);
    }

    /// There is another number of servers: how long they may be silent follows from it.
    pub(super) fn follow_servers(&mut self) {
        let now = self.clock.now();
        let peers = self.connections.handle_servers(now, self.peers.count() + 1);
        let silence_ms = self.connections.peer_silence_ms();
        self.topology.set_silence(silence_ms);
        for conn in peers {
            self.send(conn, &Request::Silence(silence_ms));
        }
    }

    /// What this server says about itself.
    pub(super) fn about_me(&self) -> PeerWord {
        let listen = self.discovery.as_ref().map(Discovery::listen);
        PeerWord::About { embeds: self.embeds, gathering: !self.is_settled(), listen }
    }

    /// A peer that is new to this server hears what it is, if there is something to tell.
    pub(super) fn tell_about_me(&mut self, conn: ConnId) {
        if self.discovery.is_some() || self.embeds.is_some() {
            let about = self.about_me();
            self.send(conn, &Request::Peer(about));
        }
    }

    /// A peer that (re)connects hears of all clients, of the latest proposals and of accusations
    /// ([rule 5.5](crate::manual::algorithm#rule-5-5)).
    pub(super) fn tell_state(&mut self, conn: ConnId) {
        if !matches!(self.connections.role(conn), Some(Role::Peer(..))) {
            // It has ended meanwhile.
            return;
        }
        for name in self.groups.names() {
            let version = self.versions.next();
            let Some(group) = self.groups.get(&name) else { continue };
            let (clients, held) = (group.clients(), group.held());
            let proposal = group.proposal().cloned();
            let accusations = group.local_accusations();
            let group = name.clone();
            self.send(conn, &Request::Peer(PeerWord::Clients { version, group, clients, held }));
            let accusations = accusations.into_iter().map(|(by, accused)| {
                let group = name.clone();
                PeerWord::Accuse { group, by, accused }
            });
            let group = name.clone();
            let proposal = proposal.map(|proposal| PeerWord::Proposal { group, proposal });
            for message in proposal.into_iter().chain(accusations) {
                self.send(conn, &Request::Peer(message));
            }
        }
    }

    /// Notes who is left out of views with the clients of this server, and who is no more.
    pub(super) fn note_left_out(&mut self) {
        // Servers that look for each other are about to be taken in.
        if self.is_gathering() {
            return;
        }
        for (server, why) in self.topology.poll_left_out(&self.peers.connected()) {
            self.notes.push(match why {
                Some(why) => Note::LeftOut { server, why },
                None => Note::TakenIn { server },
            });
        }
    }

    /// Looks at all groups anew after the links between servers changed; `lost`: a server was lost.
    pub(super) fn review_groups(&mut self, lost: bool) {
        for name in self.groups.names() {
            self.with_group(&name, |g, cx| g.handle_links(cx, lost));
        }
    }

    /// Whether this server or one that is connected looks for others, so that its clients are about
    /// to come.
    pub(super) fn is_gathering(&self) -> bool {
        !self.is_settled() || self.peers.is_any_gathering(self.clock.now())
    }

    /// Lets a group act, and sends what it says.
    pub(super) fn with_group<R>(
        &mut self,
        name: &GroupName,
        act: impl FnOnce(&mut Group, &mut group::Cx<'_>) -> R,
    ) -> Option<R> {
        let servers = self.peers.count() + 1;
        let new_ms = self.config.gather_max_ms + group::more_ms(servers, &self.config);
        let grows = || self.topology.is_growing(self.clock.now(), new_ms);
        let gathering = self.is_gathering() || servers > FEW_SERVERS && grows();
        let clock_ms = self.clock.unix_ms(self.latest_boot());
        let mut cx = group::Cx {
            now: self.clock.now(),
            me: self.id,
            config: &self.config,
            counters: &mut self.counters,
            sends: Vec::new(),
            notes: Vec::new(),
            clock_ms,
            clique: self.topology.clique(),
            links: self.topology.links(),
            connections: &self.connections,
            servers,
            gathering,
        };
        let result = self.groups.act(name, |group| act(group, &mut cx))?;
        let group::Cx { sends, notes, .. } = cx;
        for note in notes {
            self.notes.push(note);
        }
        for send in sends {
            self.send_for(name, send);
        }
        Some(result)
    }

    /// Sends what a group wants to be sent.
    fn send_for(&mut self, name: &GroupName, send: Send) {
        match send {
            Send::Client(conn, reply) => self.send(conn, &reply),
            Send::StartChange(to, peers) => {
                for (conn, counter, cid) in to {
                    let (group, peers) = (name.clone(), peers.clone());
                    self.send(conn, &Reply::StartChange { group, counter, cid, peers });
                }
            }
            Send::Servers(servers, message) => self.tell_servers(&servers, message),
            Send::Clients => {
                let Some(group) = self.groups.get(name) else { return };
                let (clients, held) = (group.clients(), group.held());
                let (version, group) = (self.versions.next(), name.clone());
                self.tell_peers(PeerWord::Clients { version, group, clients, held });
            }
            Send::Gone(process, why) => {
                self.tell_peers(PeerWord::Gone { group: name.clone(), process, why });
            }
        }
    }
}
