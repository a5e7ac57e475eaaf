//! Servers that find one another by beacons, and what servers are to each other beyond their links: one that has just
//! started, one that lives in a process that is a client, too.
//!
//! A server that looks for others lets no client in before it has settled ([`crate::member::discovery`]): so a process
//! that starts does not begin with a view of its own that is over at once, and one that has the id of another is found
//! out before both are members. Servers that have settled put arrivals off as long as one that has not is connected:
//! those that start together have one first view.
//!
//! A server that looks for others also asks its peers where those are that they are connected to and it is not. So one
//! that was named leads to all, where beacons are not heard.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::conn::Role;
use super::group::{Cx, Group, Local};
use super::{ConnId, Note, Server};
use crate::config::ConfigError;
use crate::ident::{GroupName, ProcessId, ServerId};
use crate::member::DetachReason;
use crate::member::discovery::{Discovery, DiscoveryConfig, Found, UselessBeacon};
use crate::member::message::{PeerWord, Request};
use crate::member::past::Past;
use crate::time::Time;

/// Clients that wait for a server to settle; those beyond are told to come back.
const HELD_MAX: usize = 256;

/// Servers that are asked for at a time.
const ASKS_MAX: usize = 32;

/// What a connected server said about itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    embeds: Option<ProcessId>,
    /// It is still looking for others, and may be until then.
    gathering_until: Option<Time>,
    listen: Option<SocketAddr>,
}

/// A client that waits until the server has settled.
#[derive(Clone, Debug)]
pub(super) struct Held {
    group: GroupName,
    local: Local,
    past: Past,
}

impl Server {
    /// Looks for other servers of the deployment from now on; `listen` is where they reach this one. What comes in by
    /// beacons is handed to [`Server::handle_beacon`], and what [`Server::poll_beacon`] says goes out to all that may
    /// hear it. Also without a way for beacons it makes clients wait until the peers that were named are connected, or
    /// known not to be there.
    ///
    /// # Errors
    /// Names the field of `config` that cannot be used.
    pub fn discover(
        &mut self,
        now: Time,
        config: DiscoveryConfig,
        listen: SocketAddr,
        seed: u64,
    ) -> Result<(), ConfigError> {
        config.validate()?;
        self.advance(now);
        let (own, deployment) = ((self.id, self.boot), self.config.deployment.clone());
        self.discovery = Some(Discovery::new(self.now, config, deployment, own, listen, seed));
        Ok(())
    }

    /// The server is a part of `process`: when it dies, so does that, and others need not wait for it to come over to
    /// them. To be said before anybody is connected.
    pub fn set_embedded(&mut self, process: ProcessId) {
        self.embeds = Some(process);
    }

    /// A datagram came where beacons are heard.
    pub fn handle_beacon(&mut self, now: Time, datagram: &[u8]) {
        self.advance(now);
        let connected = self.connected();
        let Some(discovery) = &mut self.discovery else { return };
        let found = discovery.hear(self.now, datagram, &connected);
        self.take_found(found);
    }

    /// Writes the beacon that is due into `out`, of at least [`crate::wire::beacon::BEACON_BYTES_MAX`] bytes; returns
    /// its length.
    pub fn poll_beacon(&mut self, out: &mut [u8]) -> Option<usize> {
        self.discovery.as_mut()?.poll_beacon(out)
    }

    /// Whether clients are let in: the servers that are about are connected, as far as one may wait for that.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.discovery.as_ref().is_none_or(Discovery::is_settled)
    }

    /// Time for a beacon.
    pub(super) fn discover_on(&mut self) {
        if self.discovery.as_ref().is_none_or(|discovery| self.now < discovery.poll_timeout()) {
            return;
        }
        let connected = self.connected();
        let busy = self.ask_around(&connected) || self.is_dialling_anew();
        let Some(discovery) = &mut self.discovery else { return };
        let before = discovery.is_settled();
        let found = discovery.handle_timeout(self.now, &connected, busy);
        let settles = discovery.is_settled() && !before;
        self.take_found(found);
        if settles {
            self.settle(connected.len());
        }
    }

    /// Asks peers where the servers are that they are connected to, and this one is not; true if there are any that
    /// nothing is known of.
    fn ask_around(&mut self, connected: &[ServerId]) -> bool {
        let Some(discovery) = &self.discovery else { return false };
        let is_unknown = |server: &ServerId| {
            *server != self.id
                && connected.binary_search(server).is_err()
                && !discovery.knows(*server)
        };
        let mut asks: BTreeMap<ServerId, ServerId> = BTreeMap::new();
        for (peer, word) in self.words.iter().filter(|(peer, _)| connected.contains(peer)) {
            asks.extend(word.named().filter(is_unknown).map(|server| (server, peer)));
        }
        let busy = !asks.is_empty();
        for (server, peer) in asks.into_iter().take(ASKS_MAX) {
            self.tell_server(peer, PeerWord::Ask { server });
        }
        busy
    }

    /// A peer asks where `server` is.
    pub(super) fn hear_ask(&mut self, peer: ServerId, server: ServerId) {
        let dialled = self.conns.values().find_map(|conn| match conn.role {
            Role::Peer(id, boot) if id == server => Some((boot, conn.dialled)),
            _ => None,
        });
        let Some((boot, dialled)) = dialled else { return };
        let said = self.about.get(&server).and_then(|about| about.listen);
        if let Some(listen) = said.or(dialled) {
            self.tell_server(peer, PeerWord::Tell { server, boot, listen });
        }
    }

    /// A peer tells where a server is, as its beacon would.
    pub(super) fn hear_tell(&mut self, server: ServerId, boot: u64, listen: SocketAddr) {
        let connected = self.connected();
        let Some(discovery) = &mut self.discovery else { return };
        let found = discovery.hear_of(self.now, (server, boot), listen, &connected);
        self.take_found(found);
    }

    fn take_found(&mut self, found: Vec<Found>) {
        for found in found {
            match found {
                Found::Dial(addr) => {
                    if !self.add_peer(self.now, addr) {
                        self.note(Note::UselessBeacon(UselessBeacon::TooMany));
                    }
                }
                Found::Again(addr) => self.dial_now(addr),
                Found::Forget(addr) => self.remove_peer(addr),
                Found::Useless(beacon) => self.note(Note::UselessBeacon(beacon)),
            }
        }
    }

    /// Lets in those who waited, and tells the others.
    fn settle(&mut self, servers: usize) {
        self.note(Note::Settled { servers });
        for Held { group, local, past } in core::mem::take(&mut self.held) {
            self.attach(&group, local, &past);
        }
        let about = self.about_me();
        self.tell_peers(&about);
        self.review_groups(false);
    }

    /// A client that comes before the server has settled waits.
    pub(super) fn hold(&mut self, group: &GroupName, local: Local, past: Past) {
        self.let_go(local.conn, Some(group));
        if self.held.len() < HELD_MAX {
            self.held.push(Held { group: group.clone(), local, past });
        } else {
            let retry_ms = self.config.readmit_ms;
            self.turn_away(group, &local, DetachReason::ServerFull, retry_ms);
        }
    }

    /// A client that waits does not any more, in one group or in all.
    pub(super) fn let_go(&mut self, conn: ConnId, group: Option<&GroupName>) {
        let goes =
            |held: &Held| held.local.conn == conn && group.is_none_or(|group| *group == held.group);
        self.held.retain(|held| !goes(held));
    }

    fn about_me(&self) -> PeerWord {
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

    pub(super) fn hear_about(
        &mut self,
        server: ServerId,
        (embeds, gathering, listen): (Option<ProcessId>, bool, Option<SocketAddr>),
    ) {
        let until = self.now.plus_ms(self.config.gather_max_ms);
        let gathering_until = gathering.then_some(until);
        self.about.insert(server, About { embeds, gathering_until, listen });
        self.review_groups(false);
    }

    /// A server is lost, and with it the process that it is a part of.
    pub(super) fn forget_about(&mut self, server: ServerId) {
        let Some(About { embeds: Some(process), .. }) = self.about.remove(&server) else { return };
        for group in self.groups.values_mut() {
            group.forget_embedded(server, process);
        }
    }

    /// Whether this server or one that is connected looks for others, so that its clients are about to come.
    pub(super) fn is_gathering(&self) -> bool {
        let now = self.now;
        !self.is_settled()
            || self
                .about
                .values()
                .any(|about| about.gathering_until.is_some_and(|until| now < until))
    }
}

impl Group {
    /// Whether arrivals wait for servers that have just started. Nothing goes out meanwhile: a start_change would block
    /// the members.
    pub(super) fn puts_off(&mut self, cx: &Cx<'_>) -> bool {
        let until = cx.now.plus_ms(cx.config.gather_max_ms);
        cx.gathering && cx.now < *self.put_off_until.get_or_insert(until)
    }

    /// `server`, which was lost, was a part of `process`: that is dead, too, and does not come over.
    pub(super) fn forget_embedded(&mut self, server: ServerId, process: ProcessId) {
        if let Some(remote) = self.remotes.get_mut(&server) {
            remote.clients.retain(|(client, _)| client.process != process);
        }
    }
}
