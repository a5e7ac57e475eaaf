//! What servers say to each other.

use alloc::vec::Vec;

use super::conn::Role;
use super::{ConnId, Note, Server};
use crate::ident::{GroupName, ServerId};
use crate::member::message::{PeerWord, Request};

impl Server {
    pub(super) fn greet(&mut self, conn: ConnId) {
        self.send(conn, &Request::Server { server: self.id, boot: self.boot });
    }

    /// A peer named itself. Two connections between two servers do no harm: either carries what is said, and what is
    /// said has a version. One of an earlier life of the peer is over: its end is just late to arrive.
    pub(super) fn greet_server(&mut self, conn: ConnId, server: ServerId, boot: u64) {
        if server == self.id {
            return self.refuse(conn, "a peer has the id of this server: give each one its own");
        }
        let lives = self.conns.iter().filter_map(|(id, conn)| match conn.role {
            Role::Peer(peer, boot) if peer == server => Some((*id, boot)),
            _ => None,
        });
        let lives: Vec<(ConnId, u64)> = lives.collect();
        if lives.iter().any(|(_, other)| *other > boot) {
            return self.refuse(conn, "a later life of this server is connected");
        }
        for (old, _) in lives.iter().filter(|(_, other)| *other < boot) {
            self.closing.push_back((*old, None));
            self.drop_conn(*old);
        }
        let new = !self.connected().contains(&server);
        let Some(state) = self.conns.get_mut(&conn) else { return };
        state.role = Role::Peer(server, boot);
        if !state.dialled {
            self.greet(conn);
        }
        self.note_boot(server, boot);
        if new {
            self.own_links.up(self.now, server, &self.config);
            self.note(Note::Peer { server, connected: true });
        }
        self.tell_links();
        self.tell_state(conn);
        self.review_groups(false);
    }

    /// The numbers of another life of a peer say nothing about this one's: its clock may have been set back.
    fn note_boot(&mut self, server: ServerId, boot: u64) {
        if self.boots.insert(server, boot).is_some_and(|known| known != boot) {
            self.groups.values_mut().for_each(|group| group.forget_server(server));
        }
        if self.boots.len() > self.config.connections_max {
            let connected = self.connected();
            self.boots.retain(|server, _| connected.contains(server));
        }
    }

    pub(super) fn tell_links(&mut self) {
        self.version += 1;
        let servers = self.own_links.counted(self.now, &self.config);
        let version = self.version;
        self.tell_peers(&PeerWord::Links { version, servers });
    }

    /// A peer that (re)connects hears of all clients, of the latest proposals and of accusations (rule 5.5).
    fn tell_state(&mut self, conn: ConnId) {
        let names: Vec<GroupName> = self.groups.keys().cloned().collect();
        for name in names {
            self.version += 1;
            let Some(group) = self.groups.get(&name) else { continue };
            let clients = group.clients();
            let proposal = group.proposal().cloned();
            let accusations = group.local_accusations();
            let (version, group) = (self.version, name.clone());
            self.send(conn, &Request::Peer(PeerWord::Clients { version, group, clients }));
            let accusations = accusations.into_iter().map(|(by, accused)| {
                let group = name.clone();
                PeerWord::Accuse { group, by, accused }
            });
            let group = name.clone();
            let proposal = proposal.map(|proposal| PeerWord::Proposal { group, proposal });
            for word in proposal.into_iter().chain(accusations) {
                self.send(conn, &Request::Peer(word));
            }
        }
    }

    pub(super) fn hear_peer(&mut self, server: ServerId, word: PeerWord) {
        match word {
            PeerWord::Links { version, mut servers } => {
                // Over two connections a word may come twice, or an old one late.
                let known = self.links.get(&server).map_or(0, |(version, _)| *version);
                if version <= known || servers.len() > self.config.connections_max {
                    return;
                }
                servers.sort_unstable();
                self.links.insert(server, (version, servers));
                self.review_groups(false);
            }
            PeerWord::Clients { version, group, clients } => {
                if self.open_group(&group) {
                    self.with_group(&group, |g, cx| g.hear_clients(cx, server, version, clients));
                }
            }
            PeerWord::Proposal { group, proposal } => {
                if proposal.from == server && self.open_group(&group) {
                    self.with_group(&group, |g, cx| g.hear_proposal(cx, proposal));
                }
            }
            PeerWord::Gone { group, process, why } => {
                self.with_group(&group, |g, cx| g.hear_gone(cx, server, process, why));
            }
            PeerWord::Accuse { group, by, accused } => {
                self.with_group(&group, |g, cx| g.accuse(cx, by, accused));
            }
        }
    }

    /// A connection to a peer ended. What was under way on it is lost, so if there is another one all is said again.
    pub(super) fn drop_peer(&mut self, server: ServerId) {
        if let Some(conn) = self.conn_to(server) {
            self.tell_links();
            return self.tell_state(conn);
        }
        self.links.remove(&server);
        self.own_links.down(self.now, server, &self.config);
        self.note(Note::Peer { server, connected: false });
        self.tell_links();
        self.review_groups(true);
    }
}
