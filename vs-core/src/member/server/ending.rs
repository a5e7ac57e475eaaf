//! How a connection of a server ends, and what follows for clients and peers.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::ToString;
use core::net::SocketAddr;

use super::Server;
use super::conn_id::ConnId;
use super::connections::Role;
use super::dialler::PeerTrouble;
use super::note::Note;
use crate::ident::ServerId;
use crate::member::message::Refusal;
use crate::wire::STREAM_VERSION;
use crate::wire::frame::FrameError;
use crate::wire::stream::Stream;

impl Server {
    /// Ends a connection that broke a rule. It is still told what was meant for it: our version, if
    /// nothing else.
    pub(super) fn refuse(&mut self, conn: ConnId, why: &'static str) {
        if let Some(addr) = self.connections.dialled_in_vain(conn) {
            return self.give_up_peer(conn, addr, PeerTrouble::NoServer(why));
        }
        self.end_with_note(conn, why.into());
    }

    /// Ends a connection whose bytes are not of this protocol.
    pub(super) fn refuse_stream(&mut self, conn: ConnId, error: FrameError) {
        self.counters.strangers_refused += u64::from(self.connections.is_stranger(conn));
        let own = STREAM_VERSION;
        let (trouble, words) = match error {
            FrameError::Version(peer) => (
                PeerTrouble::Version { peer, own },
                format!(
                    "{}, version {peer}, this server {own}: upgrade the older of both",
                    error.what()
                ),
            ),
            FrameError::Seal(why) => (PeerTrouble::Seal(why), why.to_string()),
            _ => return self.refuse(conn, error.what()),
        };
        if let Some(addr) = self.connections.dialled_in_vain(conn) {
            return self.give_up_peer(conn, addr, trouble);
        }
        self.end_with_note(conn, words.into());
    }

    /// Ends a connection, and notes why.
    pub(super) fn end_with_note(&mut self, conn: ConnId, why: Cow<'static, str>) {
        self.notes.push(Note::Refused { conn, why });
        self.end(conn);
    }

    /// Ends a connection on which nothing was heard for too long. A client that is only slow learns
    /// why.
    pub(super) fn end_silent(&mut self, conn: ConnId) {
        if let Some(Role::Client(peer)) = self.connections.role(conn) {
            for name in self.connections.groups(conn).cloned().unwrap_or_default() {
                self.with_group(&name, |g, cx| g.handle_silence(cx, peer.process, conn));
            }
        }
        self.end(conn);
    }

    /// Ends a connection, once what waits to be written is written.
    pub(super) fn end(&mut self, conn: ConnId) {
        let stream = self.drop_connection(conn);
        self.connections.close(conn, stream.map(Stream::into_output));
    }

    /// A connection is over. It is returned with what was still to be written.
    pub(super) fn drop_connection(&mut self, conn: ConnId) -> Option<Stream> {
        let ended = self.connections.remove(conn)?;
        if let Some(addr) = ended.dialled {
            let (now, answered) = (self.clock.now(), matches!(ended.role, Role::Peer(..)));
            let trouble = self.dialler.handle_ended(now, (conn, addr), answered, &self.config);
            self.note_trouble(addr, trouble);
        }
        match ended.role {
            Role::New => {}
            Role::Client(peer) => {
                self.hold.let_go(conn, None);
                for name in ended.groups {
                    self.with_group(&name, |g, cx| g.handle_disconnect(cx, peer.process, conn));
                }
            }
            Role::Peer(server, _) => self.drop_peer(server, conn),
        }
        Some(ended.stream)
    }

    /// A connection to a peer ended. What was under way on it is lost, so if there is another one
    /// all is said again.
    fn drop_peer(&mut self, server: ServerId, conn: ConnId) {
        let now = self.clock.now();
        let was_last = self.peers.handle_ended(server, conn);
        if !was_last && let Some(conn) = self.peers.connection_to(server) {
            self.topology.handle_repeat(now, server, &self.config);
            let due = self.review.plan(self.clock.now());
            due.tells = true;
            due.newcomers.push(conn);
            return self.review_links();
        }
        self.topology.handle_down(now, server, &self.config);
        let until = now.plus_ms(self.config.reattach_ms);
        self.groups.iter_mut().for_each(|group| group.handle_lost(server, until));
        if let Some(process) = self.peers.forget_about(server) {
            self.groups.iter_mut().for_each(|group| group.forget_embedded(server, process));
        }
        self.dialler.use_spares(now, server, &self.config);
        self.notes.push(Note::Peer { server, connected: false });
        self.follow_servers();
        let due = self.review.plan(self.clock.now());
        (due.tells, due.lost) = (true, true);
        self.review_links();
    }

    /// A server that was dialled refuses this one, or is refused by it.
    pub(super) fn give_up_refused(&mut self, conn: ConnId, addr: SocketAddr, refusal: Refusal) {
        let why = match refusal {
            Refusal::Itself => PeerTrouble::Itself,
            refusal => PeerTrouble::Refused(refusal),
        };
        self.give_up_peer(conn, addr, why);
    }

    /// Ends a connection that this side made to what cannot be a peer.
    fn give_up_peer(&mut self, conn: ConnId, addr: SocketAddr, why: PeerTrouble) {
        let trouble = self.dialler.handle_trouble(self.clock.now(), addr, why, &self.config);
        self.note_trouble(addr, trouble);
        self.end(conn);
    }

    /// Tells the operator of trouble with an address, if it is news.
    pub(super) fn note_trouble(&mut self, addr: SocketAddr, trouble: Option<PeerTrouble>) {
        if let Some(why) = trouble {
            self.notes.push(Note::PeerTrouble { addr, why });
        }
    }

    /// Closes what this side has made too many of to `server`.
    pub(super) fn thin_out(&mut self, server: ServerId) {
        for (conn, addr) in self.peers.surplus(self.id, server, &self.connections) {
            self.dialler.set_spare(addr);
            self.connections.close(conn, None);
            self.drop_connection(conn);
        }
    }
}
