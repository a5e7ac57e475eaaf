//! A membership server, sans I/O: connections and groups around the agreement of `moshe`.
//!
//! What clients do and peers say goes through `notify` into a report for each group; what `moshe` makes of it goes
//! out as start_changes, proposals and views. Nothing is stored: numbers begin at a clock value.

mod accuse;
mod claims;
mod config;
mod conn;
mod deadlines;
mod departure;
mod dial;
mod discover;
mod group;
mod identity;
mod links;
pub(crate) mod moshe;
mod notify;
mod peers;
mod profiles;
mod status;
#[cfg(test)]
mod tests;
mod words;

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::vec::Vec;
use core::net::SocketAddr;

pub(crate) use super::detach::Departure;
use super::discovery::Discovery;
use super::message::{Peer, PeerWord, Reply, Request};
use super::past::Past;
use super::profile::Profile;
use crate::config::ConfigError;
use crate::ident::{
    CLAIMED_MAX, Deployment, GroupName, INCARNATION_MAX, NUMBER_MAX, ProcessId, ServerId,
};
use crate::member::DetachReason;
use crate::member::attached::{Attachment, Settled};
use crate::rule::Rules;
use crate::status::Pace;
use crate::time::Time;
use crate::wire::STREAM_VERSION;
use crate::wire::frame::{FrameError, Output};
use crate::wire::message::Frame;
use claims::CLOCK_RETRY_MS;
pub use config::{Note, ServerConfig, ServerCounters};
use conn::{Conn, Role};
use deadlines::Deadlines;
pub use dial::PeerTrouble;
use dial::Target;
use discover::{About, Held};
use group::{Group, Local, Send};
pub use links::LeftOut;
use links::Links;
use moshe::Floor;
use words::Words;

/// Notes that wait to be read; beyond, the oldest is dropped.
const NOTES_MAX: usize = 1024;

/// A connection of a server, named by the runtime; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// A membership server.
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    id: ServerId,
    boot: u64,
    now: Time,
    /// The first time that was told.
    born: Option<Time>,
    conns: BTreeMap<ConnId, Conn>,
    groups: BTreeMap<GroupName, Group>,
    /// Groups in which nobody is: they are forgotten when there is no room for others.
    idle: BTreeSet<GroupName>,
    /// When to look at each connection: not later than it is due, but what it hears or is sent puts that off.
    looks: Deadlines<ConnId>,
    /// When each group has something to do.
    due: Deadlines<GroupName>,
    /// Whom each other server says to reach; the own word is made from `own_links`.
    words: Words,
    own_links: Links,
    /// Whom each server reaches by these words, this one among them: made anew when a word or a link changes.
    reached: BTreeMap<ServerId, Vec<ServerId>>,
    /// The servers with which this one shares views by these words; ascending.
    clique: Vec<ServerId>,
    /// The connections to each peer.
    peers: BTreeMap<ServerId, BTreeSet<ConnId>>,
    /// Connected servers whose clients are in no view with those of this one, as they were noted.
    left_out: BTreeMap<ServerId, LeftOut>,
    /// The boot value of each server that was heard of, as many as there may be connections.
    boots: BTreeMap<ServerId, u64>,
    /// The version of the last own word.
    version: u64,
    /// How often it went on above words of earlier lives.
    led_on: u8,
    /// How this server finds others, if not by names alone.
    discovery: Option<Discovery>,
    /// The process that this server is a part of.
    embeds: Option<ProcessId>,
    /// What each connected server said about itself.
    about: BTreeMap<ServerId, About>,
    /// Clients that wait until this server has settled.
    held: Vec<Held>,
    /// The addresses of peers that are dialled.
    targets: BTreeMap<SocketAddr, Target>,
    writable: BTreeSet<ConnId>,
    /// Connections to be closed, with what they are still told.
    closing: VecDeque<(ConnId, Option<Output>)>,
    /// The connection that was named last by [`Server::poll_close`].
    farewell: Option<(ConnId, Output)>,
    notes: VecDeque<Note>,
    /// How often the status is told.
    answers: Pace,
    counters: ServerCounters,
    rules: Rules,
}

impl Server {
    /// Makes a server. `boot` is a clock value in ms (UNIX time) that grows with every start: the base of cids,
    /// proposal numbers and view numbers, since nothing is stored.
    ///
    /// # Errors
    /// Names the field of `config` that cannot be used, or that `id` or `boot` is above 2^53 − 1.
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
        if id.0 > NUMBER_MAX || boot > NUMBER_MAX {
            return Err(ConfigError::Rule("server id and boot value must be at most 2^53 - 1"));
        }
        if config.heartbeat_ms == 0 || config.silence_ms <= config.heartbeat_ms {
            return Err(ConfigError::Rule(
                "silence_ms must be above heartbeat_ms, which is at least 1",
            ));
        }
        if config.redial_ms == 0
            || config.dial_ms == 0
            || config.refused_ms == 0
            || config.redial_max_ms < config.redial_ms
            || config.refused_max_ms < config.refused_ms
        {
            return Err(ConfigError::Rule(
                "dial_ms, redial_ms and refused_ms must be at least 1, redial_max_ms at least redial_ms, and \
                 refused_max_ms at least refused_ms",
            ));
        }
        if config.link_hold_max_ms < config.link_hold_ms {
            return Err(ConfigError::Rule("link_hold_max_ms must not be below link_hold_ms"));
        }
        if config.connections_max == 0 || config.groups_max == 0 {
            return Err(ConfigError::Rule("connections_max and groups_max must be at least 1"));
        }
        Ok(Self {
            config,
            id,
            boot,
            now: Time::ZERO,
            born: None,
            conns: BTreeMap::new(),
            groups: BTreeMap::new(),
            idle: BTreeSet::new(),
            looks: Deadlines::new(),
            due: Deadlines::new(),
            words: Words::default(),
            own_links: Links::default(),
            reached: BTreeMap::from([(id, Vec::new())]),
            clique: Vec::from([id]),
            peers: BTreeMap::new(),
            left_out: BTreeMap::new(),
            boots: BTreeMap::new(),
            version: boot,
            led_on: 0,
            discovery: None,
            embeds: None,
            about: BTreeMap::new(),
            held: Vec::new(),
            targets: BTreeMap::new(),
            writable: BTreeSet::new(),
            closing: VecDeque::new(),
            farewell: None,
            notes: VecDeque::new(),
            answers: Pace::default(),
            counters: ServerCounters::default(),
            rules,
        })
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> ServerId {
        self.id
    }

    /// Somebody connected.
    pub fn handle_accepted(&mut self, now: Time, conn: ConnId) {
        self.advance(now);
        if self.conns.len() >= self.config.connections_max {
            self.closing.push_back((conn, None));
            let why = "connections_max connections are open".into();
            self.note(Note::Refused { conn, why });
            return;
        }
        self.conns.insert(conn, Conn::new(self.now, &self.config));
        self.plan_look(conn);
        self.writable.insert(conn);
    }

    /// Bytes arrived.
    pub fn handle_stream(&mut self, now: Time, conn: ConnId, bytes: &[u8]) {
        self.advance(now);
        let Some(state) = self.conns.get_mut(&conn) else { return };
        state.silence.hear(self.now);
        state.decoder.push(bytes);
        loop {
            // A request may close its own connection.
            let Some(state) = self.conns.get_mut(&conn) else { return };
            match state.decoder.next::<Request>() {
                Ok(Some(request)) => self.handle_request(conn, request),
                Ok(None) => {
                    self.counters.frames_skipped += state.decoder.take_skipped();
                    return;
                }
                Err(error) => return self.refuse_stream(conn, error),
            }
        }
    }

    /// A connection ended: that is its clients' crash.
    pub fn handle_closed(&mut self, now: Time, conn: ConnId) {
        self.advance(now);
        self.drop_conn(conn);
    }

    fn handle_request(&mut self, conn: ConnId, request: Request) {
        let Some(state) = self.conns.get_mut(&conn) else { return };
        match (state.role, request) {
            (_, Request::Ping) => self.confirm(conn),
            (Role::New, Request::Client(peer, deployment)) => {
                if deployment != self.config.deployment {
                    return self.refuse_stranger(conn, peer, deployment);
                }
                if peer.process.0 > NUMBER_MAX || peer.incarnation.millis() > INCARNATION_MAX {
                    return self.refuse(conn, "its process id or incarnation is above the limit");
                }
                state.role = Role::Client(peer);
                self.plan_look(conn);
            }
            (Role::New, Request::Server { server, boot, deployment }) => {
                self.greet_server(conn, (server, boot), deployment);
            }
            (Role::Client(peer), Request::Attach { group, counter, members_max, past }) => {
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
                    self.turn_away(&group, &local, DetachReason::Ahead, CLOCK_RETRY_MS);
                } else if self.is_settled() {
                    self.attach(&group, local, &past);
                } else {
                    self.hold(&group, local, past);
                }
            }
            (Role::Client(peer), Request::Leave { group }) => {
                state.groups.remove(&group);
                self.let_go(conn, Some(&group));
                self.with_group(&group, |g, cx| g.leave(cx, peer.process, conn));
            }
            (Role::Client(peer), Request::Accuse { group, accused }) => {
                let known = self.with_group(&group, |g, cx| {
                    g.accuse_from_client(cx, conn, peer.process, accused.clone())
                });
                if known == Some(true) {
                    let by = peer.process;
                    self.tell_peers(&PeerWord::Accuse { group, by, accused });
                }
            }
            (Role::Peer(server, _), Request::Peer(word)) => {
                self.hear_peer(server, word);
                self.confirm(conn);
            }
            (Role::New, Request::Status) if state.dialled.is_none() => self.answer_status(conn),
            (Role::New, Request::Refused(refusal)) => self.hear_refusal(conn, refusal),
            _ => self.refuse(conn, "it broke the order of the protocol"),
        }
    }

    /// A client belongs to another deployment.
    fn refuse_stranger(&mut self, conn: ConnId, peer: Peer, own: Deployment) {
        let server = self.config.deployment.clone();
        let why = format!(
            "process {} belongs to the deployment {own}, this server to {server}: name the same one at both",
            peer.process
        );
        self.send(conn, &Reply::Refused(DetachReason::Deployment { server, own }));
        self.end_with_note(conn, why.into());
    }

    /// A client asked in vain, and may ask again after `retry_ms`.
    fn turn_away(&mut self, group: &GroupName, local: &Local, reason: DetachReason, retry_ms: u64) {
        let (process, why) = (local.peer.process, Departure::Told(reason.clone()));
        self.note(Note::Detached { group: group.clone(), process, server: self.id, why });
        self.send(local.conn, &local.detached(group.clone(), reason, retry_ms));
    }

    fn attach(&mut self, name: &GroupName, local: Local, past: &Past) {
        if !self.open_group(name) {
            let retry_ms = self.config.readmit_ms;
            return self.turn_away(name, &local, DetachReason::ServerFull, retry_ms);
        }
        let claims_max = self.claims_max();
        let here = self.with_group(name, |g, cx| {
            g.attach(cx, local, past, claims_max);
            g.knows(local.peer.process, local.conn)
        });
        let groups_max = self.config.groups_max;
        let Some(state) = self.conns.get_mut(&local.conn).filter(|_| here == Some(true)) else {
            return;
        };
        state.groups.insert(name.clone());
        if state.groups.len() > groups_max {
            let groups = &self.groups;
            let knows = |g: &Group| g.knows(local.peer.process, local.conn);
            state.groups.retain(|name| groups.get(name).is_some_and(knows));
        }
    }

    /// Makes the group if it is new; false if there is no room for it.
    fn open_group(&mut self, name: &GroupName) -> bool {
        if self.groups.contains_key(name) {
            return true;
        }
        if self.groups.len() >= self.config.groups_max {
            while let Some(name) = self.idle.pop_first() {
                self.groups.remove(&name);
                self.due.set(&name, None);
            }
        }
        if self.groups.len() >= self.config.groups_max {
            return false;
        }
        let group = Group::new(name, self.id, self.boot, self.rules);
        self.groups.insert(name.clone(), group);
        true
    }

    /// Lets a group act, and sends what it says.
    fn with_group<R>(
        &mut self,
        name: &GroupName,
        act: impl FnOnce(&mut Group, &mut group::Cx<'_>) -> R,
    ) -> Option<R> {
        let (gathering, clock_ms) = (self.is_gathering(), self.clock_ms());
        let group = self.groups.get_mut(name)?;
        let mut cx = group::Cx {
            now: self.now,
            me: self.id,
            config: &self.config,
            counters: &mut self.counters,
            clock_ms,
            sends: Vec::new(),
            notes: Vec::new(),
            clique: &self.clique,
            own_links: &self.own_links,
            gathering,
        };
        let result = act(group, &mut cx);
        let group::Cx { sends, notes, .. } = cx;
        self.due.set(name, group.poll_timeout());
        if group.is_idle() {
            self.idle.insert(name.clone());
        } else {
            self.idle.remove(name);
        }
        for note in notes {
            self.note(note);
        }
        for send in sends {
            match send {
                Send::Client(conn, reply) => self.send(conn, &reply),
                Send::StartChange(to, peers) => {
                    for (conn, counter, cid) in to {
                        let (group, peers) = (name.clone(), peers.clone());
                        self.send(conn, &Reply::StartChange { group, counter, cid, peers });
                    }
                }
                Send::Server(server, word) => self.tell_server(server, word),
                Send::Clients => {
                    let Some(group) = self.groups.get(name) else { continue };
                    let (clients, held) = (group.clients(), group.held());
                    self.version += 1;
                    let (version, group) = (self.version, name.clone());
                    self.tell_peers(&PeerWord::Clients { version, group, clients, held });
                }
                Send::Gone(process, why) => {
                    self.tell_peers(&PeerWord::Gone { group: name.clone(), process, why });
                }
            }
        }
        Some(result)
    }

    /// The peers that are connected, ascending.
    fn connected(&self) -> Vec<ServerId> {
        self.peers.keys().copied().collect()
    }

    /// Looks at all groups anew after the links between servers changed; `lost`: a server was lost.
    fn review_groups(&mut self, lost: bool) {
        self.note_left_out();
        let names: Vec<GroupName> = self.groups.keys().cloned().collect();
        for name in names {
            self.with_group(&name, |g, cx| g.review(cx, lost));
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Time) {
        self.advance(now);
        self.look_at_conns();
        self.discover_on();
        self.look_at_links();
        self.pass_on();
        self.give_up_dials();
        for name in self.due.take_due(self.now) {
            self.with_group(&name, Group::handle_timeout);
        }
    }

    /// Gives up the connections that are silent, and a sign of life on those on which nothing was said.
    fn look_at_conns(&mut self) {
        let due = self.looks.take_due(self.now);
        for &conn in &due {
            let state = self.conns.get_mut(&conn);
            if state.is_some_and(|state| state.silence.look(self.now)) {
                self.end_silent(conn);
            }
        }
        let heartbeat_ms = self.config.heartbeat_ms;
        for conn in due {
            let Some(state) = self.conns.get(&conn) else { continue };
            let is_quiet = self.now >= state.sent.plus_ms(heartbeat_ms);
            match state.role {
                Role::Peer(..) if is_quiet => self.send(conn, &Request::Ping),
                Role::Client(_) if is_quiet => self.send(conn, &Reply::Ping),
                _ => {}
            }
            self.plan_look(conn);
        }
    }

    /// Notes when to look at a connection, after it was looked at or is another one's.
    fn plan_look(&mut self, conn: ConnId) {
        let heartbeat_ms = self.config.heartbeat_ms;
        let at = self.conns.get(&conn).map(|state| match state.role {
            Role::New => state.silence.next_look(),
            _ => state.silence.next_look().min(state.sent.plus_ms(heartbeat_ms)),
        });
        self.looks.set(&conn, at);
    }

    /// Ends a connection on which nothing was heard for too long. A client that is only slow learns why.
    fn end_silent(&mut self, conn: ConnId) {
        let state = self.conns.get(&conn);
        if let Some((Role::Client(peer), groups)) = state.map(|c| (c.role, c.groups.clone())) {
            for name in groups {
                self.with_group(&name, |g, cx| g.silence(cx, peer.process, conn));
            }
        }
        let output = self.drop_conn(conn);
        self.closing.push_back((conn, output));
    }

    /// When to call [`Server::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let beacon = self.discovery.as_ref().map(Discovery::poll_timeout);
        let dials = self.targets.values().filter_map(|target| target.poll_timeout(&self.config));
        let links = self.own_links.poll_timeout(&self.config);
        let planned = self.looks.next().into_iter().chain(self.due.next());
        planned.chain(links).chain(self.words.poll_timeout()).chain(beacon).chain(dials).min()
    }

    /// Ends a connection that broke a rule. It is still told what was meant for it: our version, if nothing else.
    fn refuse(&mut self, conn: ConnId, why: &'static str) {
        if let Some(addr) = self.dialled_in_vain(conn) {
            return self.give_up_peer(conn, addr, PeerTrouble::NoServer(why));
        }
        self.end_with_note(conn, why.into());
    }

    fn end_with_note(&mut self, conn: ConnId, why: Cow<'static, str>) {
        self.note(Note::Refused { conn, why });
        let output = self.drop_conn(conn);
        self.closing.push_back((conn, output));
    }

    /// Ends a connection whose bytes are not of this protocol.
    fn refuse_stream(&mut self, conn: ConnId, error: FrameError) {
        let FrameError::Version(peer) = error else { return self.refuse(conn, error.what()) };
        let own = STREAM_VERSION;
        if let Some(addr) = self.dialled_in_vain(conn) {
            return self.give_up_peer(conn, addr, PeerTrouble::Version { peer, own });
        }
        let versions = format!("version {peer}, this server {own}: upgrade the older of both");
        self.end_with_note(conn, format!("{}, {versions}", error.what()).into());
    }

    /// Returns what was still to be written.
    fn drop_conn(&mut self, conn: ConnId) -> Option<Output> {
        let state = self.conns.remove(&conn)?;
        self.looks.set(&conn, None);
        if let Some(addr) = state.dialled {
            self.dialled_conn_ended(conn, addr, &state.role);
        }
        match state.role {
            Role::New => {}
            Role::Client(peer) => {
                self.let_go(conn, None);
                for name in state.groups {
                    self.with_group(&name, |g, cx| g.disconnect(cx, peer.process, conn));
                }
            }
            Role::Peer(server, _) => self.drop_peer(server, conn),
        }
        Some(state.output)
    }

    fn conn_to(&self, server: ServerId) -> Option<ConnId> {
        self.peers.get(&server)?.first().copied()
    }

    fn send<'a, M>(&mut self, conn: ConnId, message: &'a M)
    where
        Frame: From<&'a M>,
    {
        let Some(state) = self.conns.get_mut(&conn) else { return };
        state.sent = self.now;
        let within = state.output.push(message);
        self.writable.insert(conn);
        if !within {
            self.refuse(conn, "it does not read what it is sent");
        }
    }

    fn tell_server(&mut self, server: ServerId, word: PeerWord) {
        if let Some(conn) = self.conn_to(server) {
            self.send(conn, &Request::Peer(word));
        }
    }

    fn tell_peers(&mut self, word: &PeerWord) {
        for server in self.connected() {
            self.tell_server(server, word.clone());
        }
    }

    fn note(&mut self, note: Note) {
        if self.notes.len() >= NOTES_MAX {
            self.notes.pop_front();
        }
        self.notes.push_back(note);
    }

    /// A connection that has bytes to be written; each is named once until it has new ones.
    pub fn poll_output(&mut self) -> Option<ConnId> {
        while let Some(conn) = self.writable.pop_first() {
            if !self.output(conn).is_empty() {
                return Some(conn);
            }
        }
        None
    }

    /// Bytes that wait to be written to `conn`: one that is open, or was named last by [`Server::poll_close`].
    #[must_use]
    pub fn output(&self, conn: ConnId) -> &[u8] {
        let open = self.conns.get(&conn).map(|state| &state.output);
        let closed = self.farewell.as_ref().filter(|(id, _)| *id == conn).map(|(_, output)| output);
        open.or(closed).map_or(&[], Output::pending)
    }

    /// `n` bytes of [`Server::output`] were written.
    pub fn consumed(&mut self, conn: ConnId, n: usize) {
        if let Some(state) = self.conns.get_mut(&conn) {
            state.output.consumed(n);
        }
    }

    /// A connection to be closed. What [`Server::output`] has for it until the next call is written before, as far as
    /// the other side takes it: an old program learns from it which version it should speak.
    pub fn poll_close(&mut self) -> Option<ConnId> {
        let (conn, output) = self.closing.pop_front()?;
        self.farewell = output.map(|output| (conn, output));
        Some(conn)
    }

    /// The next note.
    pub fn poll_note(&mut self) -> Option<Note> {
        self.notes.pop_front()
    }

    /// The counters.
    #[must_use]
    pub fn counters(&self) -> &ServerCounters {
        &self.counters
    }
}
