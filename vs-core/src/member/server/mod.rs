//! A membership server, sans I/O: connections and groups around the agreement on a view.
//!
//! What clients do and peers say becomes a report for each group of who can be in the next view
//! (`notify`). What the `agreement` makes of it goes out as start_changes, proposals and views.
//! Nothing is stored: numbers begin at a clock value.
//!
//! [`Server`] composes values that own what they hold, and contains the order of things. What
//! arrives is dispatched in `dispatch`; how a connection ends, in `ending`; what is sent, in
//! `sending`.
//!
//! # Bounds
//!
//! Each value has a bound: connections ([`ServerConfig::connections_max`]), those that have
//! not named themselves ([`ServerConfig::strangers_max`], for `silence_ms`, with frames of 4 KiB),
//! with keys those that have not shown one (as many more, for 1 s), what waits to be written to
//! each ([`ServerConfig::output_bytes_max`]), what all hold
//! ([`ServerConfig::buffers_bytes_max`]), groups ([`ServerConfig::groups_max`]),
//! dialled addresses ([`ServerConfig::peers_max`]), requests that wait, link reports, notes, and
//! what a group remembers of processes that have gone. Two queues grow with what the runtime leaves
//! there: connections to be closed ([`Server::poll_close`]) and those that have bytes to be written
//! ([`Server::poll_output`]). A runtime takes both after each call.

pub(crate) mod agreement;
mod claims;
mod config;
mod conn_id;
mod connections;
mod deadlines;
mod dialler;
mod dispatch;
mod ending;
mod footprint;
mod graph;
mod group;
mod groups;
mod hold;
mod link_reports;
mod links;
mod note;
mod notify;
mod peers;
mod review;
mod sealing;
mod sending;
mod strangers;
#[cfg(test)]
mod tests;
mod topology;

use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};

use super::discovery::{Discovery, DiscoveryConfig, Found, UselessBeacon};
use super::message::{PeerWord, Reply, Request};
use crate::config::ConfigError;
use crate::ident::{NUMBER_MAX, ProcessId, ServerId};
use crate::rule::Rules;
use crate::seal::Keys;
use crate::status::{
    GROUPS_LISTED_MAX, Listed, Pace, PeerStatus, SERVERS_LISTED_MAX, ServerCounters, ServerStatus,
};
use crate::time::Time;
use claims::Clock;
pub use config::{CONNECTIONS_LIMIT, PEERS_LIMIT, STRANGERS_LIMIT, ServerConfig};
pub use conn_id::ConnId;
use connections::{Connections, Role};
use dialler::Dialler;
pub use dialler::PeerTrouble;
use group::Group;
use groups::Groups;
use hold::{Held, Hold};
use link_reports::Versions;
pub use note::Note;
use note::Notes;
use peers::Peers;
use review::{Due, Review};
pub use topology::LeftOut;
use topology::Topology;

/// Servers that are asked for at a time.
const ASKS_MAX: usize = 32;

/// Searches for cliques while one batch of input is taken. What the rest of a batch reports is
/// looked at together, once it is over.
const SEARCHES_PER_BATCH: u32 = 4;

/// A membership server.
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    id: ServerId,
    boot: u64,
    rules: Rules,
    /// The process that this server is a part of.
    embeds: Option<ProcessId>,
    clock: Clock,
    connections: Connections,
    peers: Peers,
    dialler: Dialler,
    topology: Topology,
    review: Review,
    /// Versions of what peers are told.
    versions: Versions,
    /// How this server finds others, if not by names alone.
    discovery: Option<Discovery>,
    /// What its beacons are sealed with, if they are.
    beacon_keys: Option<Keys>,
    /// Clients that wait until this server has settled.
    hold: Hold,
    groups: Groups,
    notes: Notes,
    /// From when on it may be noted that a connection finds no room.
    no_room_from: Time,
    /// How often the status is told.
    answers: Pace,
    counters: ServerCounters,
    /// Link reports of the batch of input that is being taken.
    reports_in_batch: u32,
}

impl Server {
    /// Makes a server. `boot` is a clock value in ms (UNIX time) that grows with every start: the
    /// base of cids, proposal numbers and view numbers, since nothing is stored.
    ///
    /// # Errors
    /// Names the field of `config` that cannot be used, its value and the bound that it breaks; or
    /// that `id` or `boot` is above 2^53 − 1.
    pub fn new(config: ServerConfig, id: ServerId, boot: u64) -> Result<Self, ConfigError> {
        Self::with_rules(config, id, boot, Rules::default())
    }

    /// A server whose groups keep `rules`.
    pub(crate) fn with_rules(
        config: ServerConfig,
        id: ServerId,
        boot: u64,
        rules: Rules,
    ) -> Result<Self, ConfigError> {
        ConfigError::check("server id", id.0, 0..=NUMBER_MAX)?;
        ConfigError::check("boot value", boot, 0..=NUMBER_MAX)?;
        config.validate()?;
        Ok(Self {
            id,
            boot,
            rules,
            embeds: None,
            clock: Clock::new(boot),
            connections: Connections::new(&config, boot ^ id.0.rotate_left(32)),
            peers: Peers::default(),
            dialler: Dialler::default(),
            topology: Topology::new(id),
            review: Review::default(),
            versions: Versions::new(boot),
            discovery: None,
            beacon_keys: None,
            hold: Hold::default(),
            groups: Groups::new(config.groups_max),
            notes: Notes::default(),
            no_room_from: Time::ZERO,
            answers: Pace::default(),
            counters: ServerCounters::default(),
            reports_in_batch: 0,
            config,
        })
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> ServerId {
        self.id
    }

    /// The server is a part of `process`: when it dies, so does that, and others need not wait for
    /// it to attach elsewhere. To be called before anybody is connected.
    pub fn set_embedded(&mut self, process: ProcessId) {
        self.embeds = Some(process);
    }

    /// Looks for other servers of the deployment from now on; `listen` is where they reach this
    /// one. Datagrams that arrive where beacons are heard go to [`Server::handle_beacon`]; what
    /// [`Server::poll_beacon`] writes goes out to all that may hear it. Without beacons it makes
    /// clients wait, too, until the peers that were named are connected, or known not to be there.
    ///
    /// # Errors
    /// Names the field of `config` that cannot be used, or says that the keys are those of members.
    pub fn discover(
        &mut self,
        now: Time,
        config: DiscoveryConfig,
        listen: SocketAddr,
        seed: u64,
    ) -> Result<(), ConfigError> {
        config.validate()?;
        self.clock.advance(now);
        let (own, deployment) = ((self.id, self.boot), self.config.deployment.clone());
        let now = self.clock.now();
        let mut discovery = Discovery::new(now, config, deployment, own, listen, seed);
        if let Some(keys) = &mut self.beacon_keys
            && !discovery.set_keys(keys.fork())
        {
            return Err(ConfigError::Rule(
                "beacons need the keys of servers, not those of members",
            ));
        }
        self.discovery = Some(discovery);
        Ok(())
    }

    /// Others reach this server at `listen` from now on: a beacon says so at once.
    pub fn set_listen(&mut self, now: Time, listen: SocketAddr) {
        self.clock.advance(now);
        if let Some(discovery) = &mut self.discovery {
            discovery.set_listen(self.clock.now(), listen);
        }
    }

    /// Whether clients are admitted: the servers that were found are connected, as far as one may
    /// wait for that.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.discovery.as_ref().is_none_or(Discovery::is_settled)
    }

    /// Dials `addr` until a peer answers there, and again whenever it is lost; at most
    /// [`ServerConfig::peers_max`] addresses. False if there are as many already. Nothing if it is
    /// dialled already.
    pub fn add_peer(&mut self, now: Time, addr: SocketAddr) -> bool {
        self.clock.advance(now);
        self.dialler.add(self.clock.now(), addr, &self.config)
    }

    /// Dials `addr` no more. A connection that is up stays until it ends.
    pub fn remove_peer(&mut self, addr: SocketAddr) {
        self.dialler.remove(addr);
    }

    /// A connection was accepted, and nobody can say from where: a runtime that can calls
    /// [`Server::handle_accepted_from`].
    pub fn handle_accepted(&mut self, now: Time, conn: ConnId) {
        self.accept(now, conn, None);
    }

    /// A connection was accepted that comes from this address. It is used for nothing but to choose
    /// who goes when there are too many strangers ([`ServerConfig::strangers_max`]).
    pub fn handle_accepted_from(&mut self, now: Time, conn: ConnId, from: IpAddr) {
        self.accept(now, conn, Some(from));
    }

    /// Bytes arrived.
    pub fn handle_stream(&mut self, now: Time, conn: ConnId, bytes: &[u8]) {
        self.clock.advance(now);
        let has_shown = self.connections.handle_stream(self.clock.now(), conn, bytes);
        if has_shown && !self.take_up(conn) {
            return;
        }
        loop {
            // A request may close its own connection: then there is none to be read.
            match self.connections.next_request(conn) {
                Ok(Some(request)) => self.dispatch(conn, request),
                Ok(None) => {
                    self.counters.frames_skipped += self.connections.take_skipped(conn);
                    break;
                }
                Err(error) => {
                    self.refuse_stream(conn, error);
                    break;
                }
            }
            self.shed();
        }
        self.end_batch();
    }

    /// A connection ended: that is its clients' crash.
    pub fn handle_closed(&mut self, now: Time, conn: ConnId) {
        self.clock.advance(now);
        self.drop_connection(conn);
        self.shed();
    }

    /// A connection that [`Server::poll_dial`] asked for is up. It is closed if nobody wants it any
    /// more.
    pub fn handle_peer_connected(&mut self, now: Time, conn: ConnId, addr: SocketAddr) {
        self.clock.advance(now);
        if !self.make_room() {
            self.connections.close(conn, None);
            self.dialler.handle_no_room(self.clock.now(), addr, &self.config);
        } else if self.dialler.handle_connected(conn, addr) {
            self.connections.handle_dialled(self.clock.now(), conn, addr);
            self.greet(conn);
        } else {
            self.connections.close(conn, None);
        }
    }

    /// A connection that [`Server::poll_dial`] asked for cannot be made; `error` says why.
    pub fn handle_dial_failed(&mut self, now: Time, addr: SocketAddr, error: &dyn fmt::Display) {
        self.clock.advance(now);
        let trouble = self.dialler.handle_failed(self.clock.now(), addr, error, &self.config);
        self.note_trouble(addr, trouble);
    }

    /// A datagram came where beacons are heard.
    pub fn handle_beacon(&mut self, now: Time, datagram: &[u8]) {
        self.clock.advance(now);
        let connected = self.peers.connected();
        let Some(discovery) = &mut self.discovery else { return };
        let found = discovery.hear(self.clock.now(), datagram, &connected);
        self.counters.beacons_dropped += discovery.take_dropped();
        self.take_found(found);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Time) {
        self.clock.advance(now);
        self.look_at_connections();
        self.look_for_servers();
        self.look_at_links();
        self.pass_on_reports();
        self.give_up_dials();
        for name in self.groups.take_due(self.clock.now()) {
            self.with_group(&name, Group::handle_timeout);
        }
        self.shed();
    }

    /// Ends the connections that are silent, and sends a heartbeat on those on which nothing was
    /// said.
    fn look_at_connections(&mut self) {
        let now = self.clock.now();
        let due = self.connections.take_due(now);
        for &conn in &due {
            if self.connections.is_silent(now, conn) {
                self.counters.strangers_late += u64::from(self.connections.is_stranger(conn));
                self.end_silent(conn);
            }
        }
        for conn in due {
            match self.connections.needs_heartbeat(now, conn) {
                Some(Role::Peer(..)) => self.send(conn, &Request::Ping),
                Some(Role::Client(_)) => self.send(conn, &Reply::Ping),
                Some(Role::New) | None => {}
            }
            self.connections.plan_look(conn);
        }
    }

    /// Sends a beacon, and looks whether this server has settled.
    fn look_for_servers(&mut self) {
        let now = self.clock.now();
        if self.discovery.as_ref().is_none_or(|discovery| now < discovery.poll_timeout()) {
            return;
        }
        let connected = self.peers.connected();
        let busy = self.ask_around(&connected) || self.dialler.is_dialling_anew();
        let Some(discovery) = &mut self.discovery else { return };
        let before = discovery.is_settled();
        let found = discovery.handle_timeout(now, &connected, busy);
        let settles = discovery.is_settled() && !before;
        self.take_found(found);
        if settles {
            self.settle(connected.len());
        }
    }

    /// Asks peers where the servers are that they are connected to, and this one is not; true if
    /// there are any that nothing is known of.
    fn ask_around(&mut self, connected: &[ServerId]) -> bool {
        let Some(discovery) = &self.discovery else { return false };
        let is_unknown = |server: &ServerId| {
            *server != self.id
                && connected.binary_search(server).is_err()
                && !discovery.knows(*server)
        };
        let mut asks: BTreeMap<ServerId, ServerId> = BTreeMap::new();
        let reports = self.topology.reports().iter();
        for (peer, report) in reports.filter(|(peer, _)| connected.contains(peer)) {
            asks.extend(report.named().filter(is_unknown).map(|server| (server, peer)));
        }
        let busy = !asks.is_empty();
        for (server, peer) in asks.into_iter().take(ASKS_MAX) {
            self.tell_server(peer, PeerWord::Ask { server });
        }
        busy
    }

    /// Does what discovery asks for.
    fn take_found(&mut self, found: Vec<Found>) {
        let now = self.clock.now();
        for found in found {
            match found {
                Found::Dial(addr) => {
                    if !self.dialler.add(now, addr, &self.config) {
                        self.notes.push(Note::UselessBeacon(UselessBeacon::TooMany));
                    }
                }
                Found::Again(addr) => self.dialler.dial_now(now, addr, &self.config),
                Found::Forget(addr) => self.dialler.remove(addr),
                Found::Useless(beacon) => self.notes.push(Note::UselessBeacon(beacon)),
            }
        }
    }

    /// Admits those who waited, and tells the others.
    fn settle(&mut self, servers: usize) {
        self.notes.push(Note::Settled { servers });
        for Held { group, local, past } in self.hold.take_all() {
            self.attach(&group, local, &past);
        }
        let about = self.about_me();
        self.tell_peers(about);
        self.note_left_out();
        self.review_groups(false);
    }

    /// Takes up links that count now, or no more, since time has passed.
    fn look_at_links(&mut self) {
        let (changed, lost) = self.topology.handle_timeout(self.clock.now(), &self.config);
        if changed {
            let due = self.review.plan(self.clock.now());
            (due.tells, due.lost) = (true, due.lost || lost);
        }
        if let Some(due) = self.review.take_due(self.clock.now()) {
            self.look_at_reports(due);
        }
    }

    /// Looks at what follows from links and reports, unless more may arrive together with them.
    fn review_links(&mut self) {
        if let Some(due) = self.review.take_due_at_once(self.clock.now()) {
            self.look_at_reports(due);
        }
    }

    /// A link report is news: it is looked at now, or with the rest of the batch of input.
    fn review_report(&mut self) {
        self.reports_in_batch += 1;
        if self.reports_in_batch <= SEARCHES_PER_BATCH {
            self.review_links();
        }
    }

    /// All that arrived together was taken.
    fn end_batch(&mut self) {
        if core::mem::take(&mut self.reports_in_batch) > SEARCHES_PER_BATCH {
            self.review_links();
        }
        self.shed();
    }

    /// Finds the servers with which this one shares views, tells others of its links, and lets the
    /// groups act.
    fn look_at_reports(&mut self, due: Due) {
        self.counters.link_searches += 1;
        let pause_ms = self.topology.look_pause_ms(&self.config);
        self.review.handle_done(self.clock.now(), pause_ms);
        let before = self.topology.clique().to_vec();
        if self.topology.relink() || due.tells {
            self.tell_links();
        }
        for conn in due.newcomers {
            self.tell_state(conn);
        }
        let clique = self.topology.clique();
        let parts = || before.iter().any(|mate| clique.binary_search(mate).is_err());
        let lost = due.lost || due.compares && parts();
        self.note_left_out();
        self.review_groups(lost);
    }

    /// Passes on the reports that peers lack, if it is time to.
    fn pass_on_reports(&mut self) {
        let now = self.clock.now();
        if !self.topology.take_due(now) {
            return;
        }
        for (peer, report) in self.topology.take_lacked(now, &self.config) {
            self.tell_server(peer, report);
        }
    }

    /// Gives up attempts to connect that nothing was heard of.
    fn give_up_dials(&mut self) {
        for (addr, why) in self.dialler.handle_timeout(self.clock.now(), &self.config) {
            self.note_trouble(addr, Some(why));
        }
    }

    /// When to call [`Server::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        [
            self.connections.next_timeout(),
            self.groups.next_timeout(),
            self.topology.next_timeout(&self.config),
            self.review.next_timeout(),
            self.discovery.as_ref().map(Discovery::poll_timeout),
            self.dialler.next_timeout(&self.config),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// An address to connect to; the runtime answers with [`Server::handle_peer_connected`] or
    /// [`Server::handle_dial_failed`]. An attempt that is still under way for the same address is
    /// to be given up.
    pub fn poll_dial(&mut self) -> Option<SocketAddr> {
        let Self { clock, dialler, connections, .. } = self;
        dialler.poll_dial(clock.now(), |server| connections.is_connected(server))
    }

    /// Writes the beacon that is due into `out`, of at least
    /// [`crate::wire::beacon::BEACON_BYTES_MAX`] bytes; returns its length.
    pub fn poll_beacon(&mut self, out: &mut [u8]) -> Option<usize> {
        self.discovery.as_mut()?.poll_beacon(out)
    }

    /// A connection that has bytes to be written; each is named once until it has new ones.
    pub fn poll_output(&mut self) -> Option<ConnId> {
        self.connections.poll_output()
    }

    /// Bytes that wait to be written to `conn`: one that is open, or was named last by
    /// [`Server::poll_close`].
    #[must_use]
    pub fn output(&self, conn: ConnId) -> &[u8] {
        self.connections.output(conn)
    }

    /// `n` bytes of [`Server::output`] were written.
    pub fn consumed(&mut self, conn: ConnId, n: usize) {
        self.connections.consumed(conn, n);
    }

    /// A connection to be closed. What [`Server::output`] has for it until the next call is written
    /// before, as far as the other side takes it: an old program learns from it which version it
    /// should speak.
    pub fn poll_close(&mut self) -> Option<ConnId> {
        self.connections.poll_close()
    }

    /// The next note.
    pub fn poll_note(&mut self) -> Option<Note> {
        self.notes.poll_note()
    }

    /// The counters.
    #[must_use]
    pub fn counters(&self) -> &ServerCounters {
        &self.counters
    }

    /// What the server sees now. Takes time with what it lists, and counts the rest.
    #[must_use]
    pub fn status(&self) -> ServerStatus {
        let clique = self.topology.clique();
        let peer = |(server, connected)| PeerStatus {
            server,
            connected,
            shares_views: clique.contains(&server),
            left_out: self.topology.left_out(server).map(ToString::to_string),
        };
        let groups = self.groups.iter().filter(|group| !group.is_idle());
        ServerStatus {
            server: self.id,
            boot_ms: self.boot,
            embeds: self.embeds,
            settled: self.is_settled(),
            connections: self.connections.len(),
            clients: self.connections.clients(),
            counters: self.counters,
            peers: Listed::new(self.topology.links().known(), SERVERS_LISTED_MAX, peer),
            dialled: self.dialler.status(),
            groups: Listed::new(groups, GROUPS_LISTED_MAX, Group::status),
        }
    }
}
