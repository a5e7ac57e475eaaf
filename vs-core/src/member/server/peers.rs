//! What servers say to each other.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::conn::Role;
use super::words::Word;
use super::{ConnId, Note, PeerTrouble, Server};
use crate::ident::{Deployment, GroupName, NUMBER_MAX, ServerId};
use crate::member::message::{PeerWord, Refusal, Request};

impl Server {
    pub(super) fn greet(&mut self, conn: ConnId) {
        let deployment = self.config.deployment.clone();
        self.send(conn, &Request::Server { server: self.id, boot: self.boot, deployment });
    }

    /// A peer named itself. Two connections between two servers do no harm: either carries what is said, and what is
    /// said has a version. Another life of one that is connected has to wait: it may be a second server under one id,
    /// which must not take the place of the first; and one whose end is just late to arrive is missed before long.
    pub(super) fn greet_server(
        &mut self,
        conn: ConnId,
        (server, boot): (ServerId, u64),
        deployment: Deployment,
    ) {
        if deployment != self.config.deployment {
            let refusal = Refusal::Deployments(deployment, self.config.deployment.clone());
            return self.turn_down(conn, refusal);
        }
        if server.0 > NUMBER_MAX || boot > NUMBER_MAX {
            return self.refuse(conn, "its server id or boot value is above the limit");
        }
        if server == self.id {
            let itself = boot == self.boot;
            let refusal = if itself { Refusal::Itself } else { Refusal::SameId(server) };
            return self.turn_down(conn, refusal);
        }
        let life = |id: &ConnId| self.conns.get(id).map(|conn| conn.role);
        let mut lives = self.peers.get(&server).into_iter().flatten().filter_map(life);
        if lives.any(|role| matches!(role, Role::Peer(_, other) if other != boot)) {
            return self.turn_down(conn, Refusal::SameId(server));
        }
        let Some(state) = self.conns.get_mut(&conn) else { return };
        state.role = Role::Peer(server, boot);
        let dialled = state.dialled;
        let conns = self.peers.entry(server).or_default();
        let new = conns.is_empty();
        conns.insert(conn);
        self.plan_look(conn);
        match dialled {
            Some(addr) => self.dialled_peer_answered(addr, (server, boot)),
            None => self.greet(conn),
        }
        let reborn = self.note_boot(server, boot);
        if new {
            self.own_links.up(self.now, server, reborn, &self.config);
            self.words.up(self.now, server, &self.config);
            self.note(Note::Peer { server, connected: true });
        }
        self.relink();
        self.tell_about_me(conn);
        self.tell_links();
        self.tell_state(conn);
        self.review_groups(false);
        self.thin_out(server);
    }

    /// Ends the connection of a server that this one does not take up with, and tells it why.
    fn turn_down(&mut self, conn: ConnId, refusal: Refusal) {
        if let Some(addr) = self.dialled_in_vain(conn) {
            return self.give_up_refused(conn, addr, refusal);
        }
        self.send(conn, &Request::Refused(refusal.clone()));
        // To have one's own address is nobody's fault; the other end of the connection is here and tells of it.
        if refusal == Refusal::Itself {
            let output = self.drop_conn(conn);
            return self.closing.push_back((conn, output));
        }
        self.end_with_note(conn, refusal.to_string().into());
    }

    /// A server that was dialled does not take up with this one.
    pub(super) fn hear_refusal(&mut self, conn: ConnId, refusal: Refusal) {
        match self.dialled_in_vain(conn) {
            Some(addr) => self.give_up_refused(conn, addr, refusal),
            None => self.refuse(conn, "it broke the order of the protocol"),
        }
    }

    fn give_up_refused(&mut self, conn: ConnId, addr: SocketAddr, refusal: Refusal) {
        let why = match refusal {
            Refusal::Itself => PeerTrouble::Itself,
            refusal => PeerTrouble::Refused(refusal),
        };
        self.give_up_peer(conn, addr, why);
    }

    /// A peer speaks: it may be the first time since its greeting.
    pub(super) fn confirm(&mut self, conn: ConnId) {
        let Some(state) = self.conns.get_mut(&conn) else { return };
        if let Role::Peer(server, _) = state.role
            && !state.confirmed
        {
            state.confirmed = true;
            self.thin_out(server);
        }
    }

    /// The numbers of another life of a peer say nothing about this one's: its clock may have been set back. True if it is
    /// another one.
    fn note_boot(&mut self, server: ServerId, boot: u64) -> bool {
        let reborn = self.boots.insert(server, boot).is_some_and(|known| known != boot);
        if reborn {
            self.groups.values_mut().for_each(|group| group.forget_server(server));
        }
        if self.boots.len() > self.config.connections_max {
            let connected = self.connected();
            self.boots.retain(|server, _| connected.contains(server));
        }
        reborn
    }

    /// A peer that (re)connects hears of all clients, of the latest proposals and of accusations (rule 5.5).
    fn tell_state(&mut self, conn: ConnId) {
        let names: Vec<GroupName> = self.groups.keys().cloned().collect();
        for name in names {
            self.version += 1;
            let Some(group) = self.groups.get(&name) else { continue };
            let (clients, held) = (group.clients(), group.held());
            let proposal = group.proposal().cloned();
            let accusations = group.local_accusations();
            let (version, group) = (self.version, name.clone());
            self.send(conn, &Request::Peer(PeerWord::Clients { version, group, clients, held }));
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
            PeerWord::Links { server: of, version, servers, ready } => {
                self.hear_links(server, of, Word::new(version, servers, ready));
            }
            PeerWord::Clients { version, group, clients, held } => {
                if self.open_group(&group) {
                    self.with_group(&group, |g, cx| {
                        g.hear_clients(cx, server, version, clients, held)
                    });
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
            PeerWord::About { embeds, gathering, listen } => {
                self.hear_about(server, (embeds, gathering, listen));
            }
            PeerWord::Ask { server: wanted } => self.hear_ask(server, wanted),
            PeerWord::Tell { server: wanted, boot, listen } => self.hear_tell(wanted, boot, listen),
        }
    }

    /// A connection to a peer ended. What was under way on it is lost, so if there is another one all is said again.
    pub(super) fn drop_peer(&mut self, server: ServerId, conn: ConnId) {
        if let Some(conns) = self.peers.get_mut(&server) {
            conns.remove(&conn);
        }
        if let Some(conn) = self.conn_to(server) {
            self.words.repeat(self.now, server, &self.config);
            self.tell_links();
            return self.tell_state(conn);
        }
        self.peers.remove(&server);
        self.words.down(server);
        self.own_links.down(self.now, server, &self.config);
        self.relink();
        self.forget_about(server);
        self.use_spares(server);
        self.note(Note::Peer { server, connected: false });
        self.tell_links();
        self.review_groups(true);
    }
}
