//! A membership server, sans I/O: connections and groups around the agreement of `moshe`.
//!
//! What clients do and peers say goes through `notify` into a report for each group; what `moshe` makes of it goes
//! out as start_changes, proposals and views. Nothing is stored: numbers begin at a clock value.

mod config;
mod conn;
mod dial;
mod discover;
mod group;
mod identity;
pub(crate) mod moshe;
mod notify;
mod peers;
#[cfg(test)]
mod tests;

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::client::Past;
use super::discovery::Discovery;
use super::message::{Peer, PeerWord, Reply, Request};
use crate::action::DetachReason;
use crate::config::ConfigError;
use crate::ident::{Deployment, GroupName, INCARNATION_MAX, NUMBER_MAX, ProcessId, ServerId};
use crate::time::Time;
use crate::wire::STREAM_VERSION;
use crate::wire::frame::{FrameError, Output};
pub use config::{Note, ServerConfig, ServerCounters};
use conn::{Conn, Role};
pub use dial::PeerTrouble;
use dial::Target;
use discover::{About, Held};
use group::{Group, Local, Send};
use moshe::{Attachment, Floor, Settled};

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
    /// Whom each connected server says to reach, and the version of that word; the own word is made from the
    /// connections.
    links: BTreeMap<ServerId, (u64, Vec<ServerId>)>,
    /// The boot value of each server that was heard of, as many as there may be connections.
    boots: BTreeMap<ServerId, u64>,
    /// Servers that were lost just now, and until when that is so.
    lost: BTreeMap<ServerId, Time>,
    /// The version of the last own word.
    version: u64,
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
        if config.redial_ms == 0
            || config.dial_ms == 0
            || config.redial_max_ms < config.redial_ms
            || config.refused_max_ms < config.redial_max_ms
        {
            return Err(ConfigError(
                "dial_ms and redial_ms must be at least 1, redial_max_ms at least redial_ms, and refused_max_ms at \
                 least redial_max_ms",
            ));
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
            boots: BTreeMap::new(),
            lost: BTreeMap::new(),
            version: boot,
            discovery: None,
            embeds: None,
            about: BTreeMap::new(),
            held: Vec::new(),
            targets: BTreeMap::new(),
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
            let why = "connections_max connections are open".into();
            self.note(Note::Refused { conn, why });
            return;
        }
        self.conns.insert(conn, Conn::new(self.now, &self.config));
        self.writable.insert(conn);
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
                Err(error) => return self.refuse_stream(conn, error),
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
            (_, Request::Ping) => self.confirm(conn),
            (Role::New, Request::Client(peer, deployment)) => {
                if deployment != self.config.deployment {
                    return self.refuse_stranger(conn, peer, deployment);
                }
                if peer.process.0 > NUMBER_MAX || peer.incarnation.0 > INCARNATION_MAX {
                    return self.refuse(conn, "its process id or incarnation is above the limit");
                }
                state.role = Role::Client(peer);
            }
            (Role::New, Request::Server { server, boot, deployment }) => {
                self.greet_server(conn, (server, boot), deployment);
            }
            (Role::Client(peer), Request::Attach { group, counter, members_max, past }) => {
                match Floor::of(peer.incarnation, &past) {
                    Some(floor) => {
                        let attachment = Attachment { incarnation: peer.incarnation, counter };
                        let settled = Settled::of(peer.process, &past);
                        let local = Local { conn, peer, attachment, floor, members_max, settled };
                        if self.is_settled() {
                            self.attach(&group, local, &past);
                        } else {
                            self.hold(&group, local, past);
                        }
                    }
                    None => self.refuse(conn, "it claims ids that nobody was ever given"),
                }
            }
            (Role::Client(peer), Request::Leave { group }) => {
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
        let gathering = self.is_gathering();
        let group = self.groups.get_mut(name)?;
        let mut cx = group::Cx {
            now: self.now,
            me: self.id,
            config: &self.config,
            counters: &mut self.counters,
            sends: Vec::new(),
            notes: Vec::new(),
            links: &links,
            gathering,
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
            }
        }
        Some(result)
    }

    /// Whom the servers reach, this one included. One that was lost just now counts for dead, whatever the others say:
    /// if it is, they will have noticed soon, and their present word would make it seem that they were on its side.
    fn all_links(&self) -> BTreeMap<ServerId, Vec<ServerId>> {
        let alive = |server: &&ServerId| !self.lost.contains_key(server);
        let word = |(&server, (_, reached)): (&ServerId, &(u64, Vec<ServerId>))| {
            (server, reached.iter().filter(alive).copied().collect())
        };
        let mut links: BTreeMap<_, _> = self.links.iter().map(word).collect();
        links.insert(self.id, self.connected());
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
            self.closing.push_back((conn, None));
            self.drop_conn(conn);
        }
        self.discover_on();
        self.look_at_lost();
        self.give_up_dials();
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

    /// When to call [`Server::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let heartbeat_ms = self.config.heartbeat_ms;
        let conns = self.conns.values().map(|c| match c.role {
            Role::New => c.silence.next_look(),
            _ => c.silence.next_look().min(c.sent.plus_ms(heartbeat_ms)),
        });
        let beacon = self.discovery.as_ref().map(Discovery::poll_timeout);
        let dials = self.targets.values().filter_map(|target| target.poll_timeout(&self.config));
        let groups = self.groups.values().filter_map(Group::poll_timeout);
        let lost = self.lost.values().copied();
        conns.chain(lost).chain(beacon).chain(dials).chain(groups).min()
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
        if let Some(addr) = state.dialled {
            self.dialled_conn_ended(conn, addr, &state.role);
        }
        match state.role {
            Role::New => {}
            Role::Client(peer) => {
                self.let_go(conn, None);
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
