//! What arrives at a server: from a client, from a peer, from an operator. Each message is handed
//! to the value that it concerns.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::Server;
use super::agreement::Floor;
use super::claims::CLOCK_RETRY_MS;
use super::conn_id::ConnId;
use super::connections::Role;
use super::group::{Group, Local};
use super::hold::Held;
use super::link_reports::{Heard, LinkReport, Own};
use super::note::Note;
use super::peers::About;
use crate::ident::{
    CLAIMED_MAX, Deployment, GroupName, IDS_PER_MS, INCARNATION_MAX, NUMBER_MAX, ProcessId,
    ServerId,
};
use crate::member::attached::{Attached, Attachment, Settled};
use crate::member::message::{Peer, PeerWord, Refusal, Reply, Request};
use crate::member::past::Past;
use crate::member::profile::Profile;
use crate::member::signs::announced;
use crate::member::{Departure, DetachReason};
use crate::seal::Proof;
use crate::status::Status;

/// Clients that a peer tells of, and their data addresses.
type Clients = Vec<(Attached, SocketAddr)>;

impl Server {
    /// A request arrived.
    pub(super) fn dispatch(&mut self, conn: ConnId, request: Request) {
        let Some(role) = self.connections.role(conn) else { return };
        if !self.allows(conn, role, &request) {
            return;
        }
        match (role, request) {
            (_, Request::Ping) => self.confirm(conn),
            (Role::New, Request::Client { peer, deployment, proof }) => {
                self.handle_client(conn, peer, deployment, proof);
            }
            (Role::New, Request::Server { server, boot, deployment }) => {
                self.handle_server(conn, (server, boot), deployment);
            }
            (Role::New, Request::Status) if self.connections.dialled(conn).is_none() => {
                self.answer_status(conn);
            }
            (Role::New, Request::Refused(refusal)) => self.handle_refusal(conn, refusal),
            (Role::Client(_) | Role::Peer(..), Request::Silence(silence_ms)) => {
                self.connections.handle_announced(conn, silence_ms);
            }
            (Role::Client(peer), request) => self.handle_client_request(conn, peer, request),
            (Role::Peer(..), Request::Peer(PeerWord::Proposal { proposal, .. }))
                if proposal.highest_id() > self.clock.proposed_max(self.latest_boot()) =>
            {
                self.counters.claims_ahead += 1;
                self.refuse(conn, "it proposes ids two years or more ahead of the clock here");
            }
            (Role::Peer(server, _), Request::Peer(message)) => {
                self.handle_peer_message(server, message);
                self.confirm(conn);
            }
            _ => self.refuse(conn, "it broke the order of the protocol"),
        }
    }

    /// A client named itself.
    fn handle_client(
        &mut self,
        conn: ConnId,
        peer: Peer,
        deployment: Deployment,
        proof: Option<Proof>,
    ) {
        if deployment != self.config.deployment {
            return self.refuse_stranger(conn, peer, deployment);
        }
        if peer.process.0 > NUMBER_MAX || peer.incarnation.millis() > INCARNATION_MAX {
            return self.refuse(conn, "its process id or incarnation is above the limit");
        }
        if !self.connections.is_proved(conn, &peer, proof) {
            return self.refuse(conn, "it does not show that it is the incarnation that it names");
        }
        self.connections.set_role(self.clock.now(), conn, Role::Client(peer));
        if let Some(silence_ms) = announced(self.config.silence_ms) {
            self.send(conn, &Reply::Silence(silence_ms));
        }
    }

    fn handle_client_request(&mut self, conn: ConnId, peer: Peer, request: Request) {
        let process = peer.process;
        match request {
            Request::Attach { group, counter, members_max, past } => {
                self.handle_attach((conn, peer), &group, (counter, members_max), past);
            }
            Request::Leave { group } => {
                self.connections.remove_group(conn, &group);
                self.hold.let_go(conn, Some(&group));
                self.with_group(&group, |g, cx| g.handle_leave(cx, process, conn));
            }
            Request::Accuse { group, accused } => {
                let known = self.with_group(&group, |g, cx| {
                    g.handle_client_accuse(cx, conn, process, accused.clone())
                });
                if known == Some(true) {
                    self.tell_peers(PeerWord::Accuse { group, by: process, accused });
                }
            }
            _ => self.refuse(conn, "it broke the order of the protocol"),
        }
    }

    /// A client asks for membership. It waits if this server has not settled.
    fn handle_attach(
        &mut self,
        (conn, peer): (ConnId, Peer),
        group: &GroupName,
        (counter, members_max): (u64, u16),
        past: Past,
    ) {
        let attachment = Attachment { incarnation: peer.incarnation, counter };
        let claims = |most| Floor::of((peer.process, peer.incarnation), &past, most);
        let Some(floor) = claims(CLAIMED_MAX) else {
            return self.refuse(conn, "it claims ids that nobody was ever given");
        };
        let held = past.held.iter().map(|held| &held.profile);
        if !held.chain([&past.profile]).all(Profile::is_sound) {
            return self.refuse(conn, "its profile has impossible values");
        }
        let is_ahead = claims(self.claims_max()).is_none();
        let settled = Settled::of(peer.process, &past);
        let local = Local { conn, peer, attachment, floor, members_max, settled };
        if is_ahead {
            self.counters.claims_ahead += 1;
            return self.turn_away(group, &local, DetachReason::Ahead, CLOCK_RETRY_MS);
        }
        if self.is_settled() {
            return self.attach(group, local, &past);
        }
        let held = Held { group: group.clone(), local, past };
        if self.hold.handle_attach(held).is_some() {
            let retry_ms = self.config.readmit_ms;
            self.turn_away(group, &local, DetachReason::ServerFull, retry_ms);
        }
    }

    /// Hands a request for membership to its group.
    pub(super) fn attach(&mut self, name: &GroupName, local: Local, past: &Past) {
        if !self.open_group(name) {
            let retry_ms = self.config.readmit_ms;
            return self.turn_away(name, &local, DetachReason::ServerFull, retry_ms);
        }
        let claims_max = self.claims_max();
        let (process, conn) = (local.peer.process, local.conn);
        let here = self.with_group(name, |g, cx| {
            g.handle_attach(cx, local, past, claims_max);
            g.knows(process, conn)
        });
        if here == Some(true) {
            let Self { connections, groups, config, .. } = self;
            let knows = |name: &GroupName| groups.get(name).is_some_and(|g| g.knows(process, conn));
            connections.add_group(conn, name.clone(), config.groups_max, knows);
        }
    }

    /// The highest number that a client may claim now.
    pub(super) fn claims_max(&self) -> u64 {
        self.clock.claims_max(self.latest_boot())
    }

    /// The latest boot value of a connected server that may be right.
    pub(super) fn latest_boot(&self) -> u64 {
        self.peers.latest_boot(self.clock.boots_max())
    }

    /// Makes the group if it is new; false if there is no room for it.
    fn open_group(&mut self, name: &GroupName) -> bool {
        let (id, boot, rules) = (self.id, self.boot, self.rules);
        self.groups.open(name, |proposed| Group::new(name, id, boot.max(proposed), rules))
    }

    /// A client is not admitted, and may ask again after `retry_ms`.
    fn turn_away(&mut self, group: &GroupName, local: &Local, reason: DetachReason, retry_ms: u64) {
        let (process, why) = (local.peer.process, Departure::Told(reason.clone()));
        self.notes.push(Note::Detached { group: group.clone(), process, server: self.id, why });
        self.send(local.conn, &local.detached(group.clone(), reason, retry_ms));
    }

    /// A client belongs to another deployment.
    fn refuse_stranger(&mut self, conn: ConnId, peer: Peer, own: Deployment) {
        let server = self.config.deployment.clone();
        let why = alloc::format!(
            "process {} belongs to the deployment {own}, this server to {server}: name the same one at both",
            peer.process
        );
        self.send(conn, &Reply::Refused(DetachReason::Deployment { server, own }));
        self.end_with_note(conn, why.into());
    }

    /// A server named itself. Two connections between two servers do no harm: either carries what
    /// is said, and what is said has a version. Another incarnation of a connected server has to
    /// wait. It may be a second server under one id, which must not take the place of the first;
    /// and if the end of the first is just late to arrive, it is missed soon.
    fn handle_server(
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
        if boot > self.clock.boots_max() {
            self.counters.claims_ahead += 1;
            self.notes.push(Note::BootAhead { server, boot_ms: boot });
        }
        if server == self.id {
            let itself = boot == self.boot;
            let refusal = if itself { Refusal::Itself } else { Refusal::SameId(server) };
            return self.turn_down(conn, refusal);
        }
        let role = |conn| self.connections.role(conn);
        let is_another = |conn| matches!(role(conn), Some(Role::Peer(_, other)) if other != boot);
        let is_taken = self.peers.connections_to(server).any(is_another);
        if is_taken {
            return self.turn_down(conn, Refusal::SameId(server));
        }
        self.connections.set_role(self.clock.now(), conn, Role::Peer(server, boot));
        let is_first = self.peers.handle_connected(server, conn);
        match self.connections.dialled(conn) {
            Some(addr) => self.dialler.handle_answered(addr, (server, boot), &self.config),
            None => self.greet(conn),
        }
        if let Some(silence_ms) = announced(self.connections.peer_silence_ms()) {
            self.send(conn, &Request::Silence(silence_ms));
        }
        let restarted = self.peers.handle_boot(server, boot, &self.config);
        if restarted {
            // The numbers of its earlier incarnation say nothing about this one's: its clock may
            // have been set back.
            self.groups.iter_mut().for_each(|group| group.forget_server(server));
        }
        if is_first {
            self.topology.handle_up(self.clock.now(), server, restarted, &self.config);
            self.notes.push(Note::Peer { server, connected: true });
            self.follow_servers();
        }
        self.tell_about_me(conn);
        let due = self.review.plan_news(self.clock.now());
        due.tells = true;
        due.newcomers.push(conn);
        self.review_links();
        self.thin_out(server);
    }

    /// A server that this one dialled refuses it.
    fn handle_refusal(&mut self, conn: ConnId, refusal: Refusal) {
        match self.connections.dialled_in_vain(conn) {
            Some(addr) => self.give_up_refused(conn, addr, refusal),
            None => self.refuse(conn, "it broke the order of the protocol"),
        }
    }

    /// A peer speaks: it may be the first time since its greeting.
    fn confirm(&mut self, conn: ConnId) {
        if let Some(server) = self.connections.confirm(conn) {
            self.thin_out(server);
        }
    }

    fn handle_peer_message(&mut self, server: ServerId, message: PeerWord) {
        match message {
            PeerWord::Links { server: of, version, servers, ready } => {
                self.handle_report(server, of, LinkReport::new(version, servers, ready));
            }
            PeerWord::Clients { version, group, clients, held } => {
                let clients = self.without_ahead(clients);
                if !self.is_version_ahead(version) && self.open_group(&group) {
                    self.with_group(&group, |g, cx| {
                        g.handle_clients(cx, server, version, clients, held)
                    });
                }
            }
            PeerWord::Proposal { group, proposal } => {
                if proposal.from == server {
                    self.with_group(&group, |g, cx| g.handle_proposal(cx, proposal));
                }
            }
            PeerWord::Gone { group, process, why } => {
                self.with_group(&group, |g, cx| g.handle_gone(cx, server, process, why));
            }
            PeerWord::Accuse { group, by, accused } => {
                self.with_group(&group, |g, cx| g.handle_peer_accuse(cx, server, by, accused));
            }
            PeerWord::About { embeds, gathering, listen } => {
                self.handle_about(server, (embeds, gathering, listen));
            }
            PeerWord::Ask { server: wanted } => self.handle_ask(server, wanted),
            PeerWord::Tell { server: wanted, boot, listen } => {
                self.handle_tell(wanted, boot, listen);
            }
        }
    }

    /// `peer` sends, or passes on, a link report of `of`.
    fn handle_report(&mut self, peer: ServerId, of: ServerId, report: LinkReport) {
        if report.is_too_long() || self.is_version_ahead(report.version()) {
            return;
        }
        if of == self.id {
            return match self.versions.handle_own(report.version()) {
                Own::Known => {}
                Own::Raised => {
                    self.review.plan(self.clock.now()).tells = true;
                    self.review_links();
                }
                Own::Duplicate => self.notes.push(Note::DuplicateId { server: self.id }),
            };
        }
        let now = self.clock.now();
        match self.topology.handle_report(now, (peer, of), report, &self.config) {
            Heard::Known => return,
            Heard::Older(known) => return self.tell_server(peer, known),
            Heard::Earlier(report) => return self.tell_server(of, report),
            Heard::New => {}
        }
        self.review.plan_news(self.clock.now()).compares = true;
        self.review_report();
    }

    /// Whether the version of what a peer tells is too far ahead of the clocks here.
    fn is_version_ahead(&mut self, version: u64) -> bool {
        let is_ahead = version > self.clock.versions_max(self.latest_boot());
        self.counters.claims_ahead += u64::from(is_ahead);
        is_ahead
    }

    /// Leaves out the clients that a peer tells of whose incarnations are too far ahead of the
    /// clocks here: they would take the places of those that have their ids.
    fn without_ahead(&mut self, clients: Clients) -> Clients {
        let most = self.clock.proposed_max(self.latest_boot()) / IDS_PER_MS;
        let told = clients.len();
        let is_right =
            |(client, _): &(Attached, SocketAddr)| client.attachment.incarnation.millis() <= most;
        let clients: Clients = clients.into_iter().filter(is_right).collect();
        self.counters.claims_ahead += (told - clients.len()) as u64;
        clients
    }

    /// A peer says what it is.
    fn handle_about(
        &mut self,
        server: ServerId,
        (embeds, gathering, listen): (Option<ProcessId>, bool, Option<SocketAddr>),
    ) {
        let until = self.clock.now().plus_ms(self.config.gather_max_ms);
        let before = self.is_gathering();
        self.peers.handle_about(server, About { embeds, gathering, listen }, until);
        if self.is_gathering() != before {
            self.note_left_out();
            self.review_groups(false);
        }
    }

    /// A peer asks where `server` is.
    fn handle_ask(&mut self, peer: ServerId, server: ServerId) {
        let Some((boot, dialled)) = self.connections.peer(server) else { return };
        if let Some(listen) = self.peers.listen_of(server).or(dialled) {
            self.tell_server(peer, PeerWord::Tell { server, boot, listen });
        }
    }

    /// A peer tells where a server is, as its beacon would.
    fn handle_tell(&mut self, server: ServerId, boot: u64, listen: SocketAddr) {
        let connected = self.peers.connected();
        let Some(discovery) = &mut self.discovery else { return };
        let found = discovery.hear_of(self.clock.now(), (server, boot), listen, &connected);
        self.take_found(found);
    }

    /// Ends the connection of a server that this one refuses, and tells it why.
    fn turn_down(&mut self, conn: ConnId, refusal: Refusal) {
        if let Some(addr) = self.connections.dialled_in_vain(conn) {
            return self.give_up_refused(conn, addr, refusal);
        }
        self.send(conn, &Request::Refused(refusal.clone()));
        // To have one's own address is nobody's fault; the other end of the connection is here and
        // tells of it.
        if refusal == Refusal::Itself {
            return self.end(conn);
        }
        self.end_with_note(conn, refusal.to_string().into());
    }

    /// Answers an operator who asks for the status, and ends the connection: one answer costs more
    /// than the question.
    fn answer_status(&mut self, conn: ConnId) {
        let is_time = self.answers.allows(self.clock.now());
        let status = if is_time { Status::Server(self.status()) } else { Status::Busy };
        let Some(mut stream) = self.drop_connection(conn) else { return };
        stream.send(&status);
        self.connections.close(conn, Some(stream.into_output()));
    }
}
