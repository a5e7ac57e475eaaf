//! A membership server, sans I/O: connections and groups around the agreement of `moshe`.
//!
//! What clients do and peers say goes through `notify` into a report for each group; what `moshe` makes of it goes
//! out as start_changes, proposals and views. Nothing is stored: numbers begin at a clock value.

mod config;
mod conn;
mod group;
mod identity;
mod links;
pub(crate) mod moshe;
mod notify;
mod peers;
#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::client::Past;
use super::message::{PeerWord, Reply, Request};
use crate::action::DetachReason;
use crate::config::ConfigError;
use crate::ident::{GroupName, INCARNATION_MAX, NUMBER_MAX, ServerId};
use crate::time::Time;
use crate::wire::frame::Output;
pub use config::{Departure, Note, ServerConfig, ServerCounters};
use conn::{Conn, Role};
use group::{Group, Local, Send};
pub use links::LeftOut;
use links::Links;
use moshe::{Attachment, Floor};

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
    conns: BTreeMap<ConnId, Conn>,
    groups: BTreeMap<GroupName, Group>,
    /// Whom each connected server says to reach, and the version of that word; the own word is made from `own_links`.
    links: BTreeMap<ServerId, (u64, Vec<ServerId>)>,
    own_links: Links,
    /// Connected servers whose clients are in no view with those of this one, as they were noted.
    left_out: BTreeMap<ServerId, LeftOut>,
    /// The boot value of each server that was heard of, as many as there may be connections.
    boots: BTreeMap<ServerId, u64>,
    /// The version of the last own word.
    version: u64,
    writable: BTreeSet<ConnId>,
    /// Connections to be closed, with what they are still told.
    closing: VecDeque<(ConnId, Option<Output>)>,
    /// The connection that was named last by [`Server::poll_close`].
    farewell: Option<(ConnId, Output)>,
    notes: VecDeque<Note>,
    counters: ServerCounters,
}

impl Server {
    /// Makes a server. `boot` is a clock value in ms (UNIX time) that grows with every start: the base of cids,
    /// proposal numbers and view numbers, since nothing is stored.
    ///
    /// # Errors
    /// Names the field of `config` that cannot be used, or that `id` or `boot` is above 2^53 − 1.
    pub fn new(config: ServerConfig, id: ServerId, boot: u64) -> Result<Self, ConfigError> {
        if id.0 > NUMBER_MAX || boot > NUMBER_MAX {
            return Err(ConfigError("server id and boot value must be at most 2^53 - 1"));
        }
        if config.heartbeat_ms == 0 || config.silence_ms <= config.heartbeat_ms {
            return Err(ConfigError("silence_ms must be above heartbeat_ms, which is at least 1"));
        }
        if config.link_hold_max_ms < config.link_hold_ms {
            return Err(ConfigError("link_hold_max_ms must not be below link_hold_ms"));
        }
        if config.connections_max == 0 || config.groups_max == 0 {
            return Err(ConfigError("connections_max and groups_max must be at least 1"));
        }
        Ok(Self {
            config,
            id,
            boot,
            now: Time::ZERO,
            conns: BTreeMap::new(),
            groups: BTreeMap::new(),
            links: BTreeMap::new(),
            own_links: Links::default(),
            left_out: BTreeMap::new(),
            boots: BTreeMap::new(),
            version: boot,
            writable: BTreeSet::new(),
            closing: VecDeque::new(),
            farewell: None,
            notes: VecDeque::new(),
            counters: ServerCounters::default(),
        })
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> ServerId {
        self.id
    }

    /// Somebody connected.
    pub fn handle_accepted(&mut self, now: Time, conn: ConnId) {
        self.now = self.now.max(now);
        if self.conns.len() >= self.config.connections_max {
            self.closing.push_back((conn, None));
            self.note(Note::Refused { conn, why: "connections_max connections are open" });
            return;
        }
        self.conns.insert(conn, Conn::new(self.now, &self.config));
        self.writable.insert(conn);
    }

    /// A connection that this side made to a peer server is up.
    pub fn handle_peer_connected(&mut self, now: Time, conn: ConnId) {
        self.handle_accepted(now, conn);
        if let Some(state) = self.conns.get_mut(&conn) {
            state.dialled = true;
            self.greet(conn);
        }
    }

    /// Bytes arrived.
    pub fn handle_stream(&mut self, now: Time, conn: ConnId, bytes: &[u8]) {
        self.now = self.now.max(now);
        let Some(state) = self.conns.get_mut(&conn) else { return };
        state.silence.hear(self.now);
        state.decoder.push(bytes);
        loop {
            // A request may close its own connection.
            let Some(state) = self.conns.get_mut(&conn) else { return };
            match state.decoder.next::<Request>() {
                Ok(Some(request)) => self.handle_request(conn, request),
                Ok(None) => return,
                Err(error) => return self.refuse(conn, error.what()),
            }
        }
    }

    /// A connection ended: that is its clients' crash.
    pub fn handle_closed(&mut self, now: Time, conn: ConnId) {
        self.now = self.now.max(now);
        self.drop_conn(conn);
    }

    fn handle_request(&mut self, conn: ConnId, request: Request) {
        let Some(state) = self.conns.get_mut(&conn) else { return };
        match (state.role, request) {
            (_, Request::Ping) => {}
            (Role::New, Request::Client(peer)) => {
                if peer.process.0 > NUMBER_MAX || peer.incarnation.0 > INCARNATION_MAX {
                    return self.refuse(conn, "its process id or incarnation is above the limit");
                }
                state.role = Role::Client(peer);
            }
            (Role::New, Request::Server { server, boot }) => self.greet_server(conn, server, boot),
            (Role::Client(peer), Request::Attach { group, counter, members_max, past }) => {
                match Floor::of(peer.incarnation, &past) {
                    Some(floor) => {
                        let attachment = Attachment { incarnation: peer.incarnation, counter };
                        let local = Local { conn, peer, attachment, floor, members_max };
                        self.attach(&group, local, &past);
                    }
                    None => self.refuse(conn, "it claims ids that nobody was ever given"),
                }
            }
            (Role::Client(peer), Request::Leave { group }) => {
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
            (Role::Peer(server, _), Request::Peer(word)) => self.hear_peer(server, word),
            _ => self.refuse(conn, "it broke the order of the protocol"),
        }
    }

    fn attach(&mut self, name: &GroupName, local: Local, past: &Past) {
        if !self.open_group(name) {
            let (group, reason) = (name.clone(), DetachReason::ServerFull);
            let retry_ms = self.config.readmit_ms;
            return self.send(local.conn, &local.detached(group, reason, retry_ms));
        }
        self.with_group(name, |g, cx| g.attach(cx, local, past));
    }

    /// Makes the group if it is new; false if there is no room for it.
    fn open_group(&mut self, name: &GroupName) -> bool {
        if self.groups.contains_key(name) {
            return true;
        }
        if self.groups.len() >= self.config.groups_max {
            self.groups.retain(|_, group| !group.is_idle());
        }
        if self.groups.len() >= self.config.groups_max {
            return false;
        }
        let group = Group::new(name, self.id, self.boot, &self.config);
        self.groups.insert(name.clone(), group);
        true
    }

    /// Lets a group act, and sends what it says.
    fn with_group<R>(
        &mut self,
        name: &GroupName,
        act: impl FnOnce(&mut Group, &mut group::Cx<'_>) -> R,
    ) -> Option<R> {
        let links = self.all_links();
        let group = self.groups.get_mut(name)?;
        let mut cx = group::Cx {
            now: self.now,
            me: self.id,
            config: &self.config,
            counters: &mut self.counters,
            sends: Vec::new(),
            notes: Vec::new(),
            links: &links,
        };
        let result = act(group, &mut cx);
        let group::Cx { sends, notes, .. } = cx;
        for note in notes {
            self.note(note);
        }
        for send in sends {
            match send {
                Send::Client(conn, reply) => self.send(conn, &reply),
                Send::Server(server, word) => self.tell_server(server, word),
                Send::Clients(clients) => {
                    self.version += 1;
                    let (version, group) = (self.version, name.clone());
                    self.tell_peers(&PeerWord::Clients { version, group, clients });
                }
                Send::Gone(process, why) => {
                    self.tell_peers(&PeerWord::Gone { group: name.clone(), process, why });
                }
            }
        }
        Some(result)
    }

    /// Whom the servers reach, this one included.
    fn all_links(&self) -> BTreeMap<ServerId, Vec<ServerId>> {
        let mut links: BTreeMap<_, _> =
            self.links.iter().map(|(&server, (_, reached))| (server, reached.clone())).collect();
        links.insert(self.id, self.own_links.counted(self.now, &self.config));
        links
    }

    /// The peers that are connected, ascending.
    fn connected(&self) -> Vec<ServerId> {
        let mut servers: Vec<ServerId> =
            self.conns.values().filter_map(|conn| conn.role.server()).collect();
        servers.sort_unstable();
        servers.dedup();
        servers
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
        self.now = self.now.max(now);
        let silent: Vec<ConnId> = self
            .conns
            .iter_mut()
            .filter_map(|(id, conn)| conn.silence.look(self.now).then_some(*id))
            .collect();
        for conn in silent {
            self.end_silent(conn);
        }
        self.look_at_links();
        let heartbeat_ms = self.config.heartbeat_ms;
        let quiet: Vec<ConnId> = self
            .conns
            .iter()
            .filter(|(_, c)| !matches!(c.role, Role::New))
            .filter(|(_, c)| self.now >= c.sent.plus_ms(heartbeat_ms))
            .map(|(id, _)| *id)
            .collect();
        for conn in quiet {
            let is_peer = self.conns.get(&conn).is_some_and(|c| c.role.server().is_some());
            if is_peer {
                self.send(conn, &Request::Ping);
            } else {
                self.send(conn, &Reply::Ping);
            }
        }
        let due: Vec<GroupName> = self
            .groups
            .iter()
            .filter(|(_, group)| group.poll_timeout().is_some_and(|at| at <= self.now))
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            self.with_group(&name, Group::handle_timeout);
        }
    }

    /// Ends a connection on which nothing was heard for too long. A client that is only slow learns why.
    fn end_silent(&mut self, conn: ConnId) {
        if let Some(Role::Client(peer)) = self.conns.get(&conn).map(|conn| conn.role) {
            for name in self.groups.keys().cloned().collect::<Vec<_>>() {
                self.with_group(&name, |g, cx| g.silence(cx, peer.process, conn));
            }
        }
        let output = self.drop_conn(conn);
        self.closing.push_back((conn, output));
    }

    /// When to call [`Server::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let heartbeat_ms = self.config.heartbeat_ms;
        let conns = self.conns.values().map(|c| match c.role {
            Role::New => c.silence.next_look(),
            _ => c.silence.next_look().min(c.sent.plus_ms(heartbeat_ms)),
        });
        let groups = self.groups.values().filter_map(Group::poll_timeout);
        conns.chain(groups).chain(self.own_links.poll_timeout(&self.config)).min()
    }

    /// Ends a connection that broke a rule. It is still told what was meant for it: our version, if nothing else.
    fn refuse(&mut self, conn: ConnId, why: &'static str) {
        self.note(Note::Refused { conn, why });
        let output = self.drop_conn(conn);
        self.closing.push_back((conn, output));
    }

    /// Returns what was still to be written.
    fn drop_conn(&mut self, conn: ConnId) -> Option<Output> {
        let state = self.conns.remove(&conn)?;
        match state.role {
            Role::New => {}
            Role::Client(peer) => {
                let names: Vec<GroupName> = self.groups.keys().cloned().collect();
                for name in names {
                    self.with_group(&name, |g, cx| g.disconnect(cx, peer.process, conn));
                }
            }
            Role::Peer(server, _) => self.drop_peer(server),
        }
        Some(state.output)
    }

    fn conn_to(&self, server: ServerId) -> Option<ConnId> {
        let mut conns = self.conns.iter();
        conns.find(|(_, conn)| conn.role.server() == Some(server)).map(|(id, _)| *id)
    }

    fn send<M: serde::Serialize>(&mut self, conn: ConnId, message: &M) {
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
