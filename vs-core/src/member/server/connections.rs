//! The connections of a server: what is read and written, their limits, and when each is looked at.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use super::config::ServerConfig;
use super::conn_id::ConnId;
use super::deadlines::Deadlines;
use super::strangers::{Source, Strangers};
use crate::ident::{Deployment, GroupName, ServerId};
use crate::member::detector::Silence;
use crate::member::message::{Peer, Request};
use crate::member::signs::{self, Signs};
use crate::rng::Rng;
use crate::seal::{Keys, Proof};
use crate::time::Time;
use crate::wire::channel::Party;
use crate::wire::frame::{Decoder, FrameError, Output};
use crate::wire::message::Frame;
use crate::wire::stream::{End, Stream};

/// Beyond so many connections, they are looked at together.
const MANY: usize = 64;

/// Beyond so many connections, signs of life go out no more often than the other sides need: each
/// server of a crowd sends one to each other one.
const CROWD: usize = 16;

/// Many connections are looked at at multiples of this time, in ms: so one round of the loop sees
/// to some of them together.
const LOOK_GRID_MS: u64 = 20;

/// How long the handshake of a connection may take, in ms.
pub(super) const HANDSHAKE_MS: u64 = 1000;

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    /// It has not named itself yet. It has to within the time after which it would count as silent.
    New,
    Client(Peer),
    /// A server, and its boot value.
    Peer(ServerId, u64),
}

/// One connection.
#[derive(Debug)]
struct Conn {
    role: Role,
    /// This side made the connection, to this address, and named itself when it was up.
    dialled: Option<SocketAddr>,
    /// A peer spoke after its greeting: it has read the greeting of this side.
    confirmed: bool,
    stream: Stream,
    silence: Silence,
    /// How often the other end needs a sign of life.
    signs: Signs,
    sent: Time,
    /// Groups that a client is attached to or waits in; it may have been excluded from some of them
    /// since.
    groups: BTreeSet<GroupName>,
    /// What it has in [`Connections::held_bytes`].
    held_bytes: usize,
}

impl Conn {
    /// Counts its bytes anew in those of all connections.
    fn count_bytes(&mut self, all: &mut usize) {
        let held_bytes = self.stream.held_bytes();
        *all = *all - self.held_bytes + held_bytes;
        self.held_bytes = held_bytes;
    }
}

/// A connection that was removed.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) role: Role,
    pub(super) dialled: Option<SocketAddr>,
    /// With what was still to be written.
    pub(super) stream: Stream,
    pub(super) groups: BTreeSet<GroupName>,
}

/// All connections.
#[derive(Debug)]
pub(super) struct Connections {
    connections_max: usize,
    output_bytes_max: usize,
    silence_ms: u64,
    /// How many times longer a server may be silent, since there are many.
    times_longer: u64,
    heartbeat_ms: u64,
    deployment: Deployment,
    /// What connections are sealed with.
    keys: Option<Keys>,
    conns: BTreeMap<ConnId, Conn>,
    /// Connections that were accepted and have not shown a key. They are none of
    /// `connections_max`.
    handshakes: Strangers,
    /// Connections that were accepted and have not named themselves.
    unnamed: Strangers,
    /// Draws which of them goes.
    rng: Rng,
    /// Bytes that all connections hold: see [`Stream::held_bytes`].
    held_bytes: usize,
    held_bytes_max: usize,
    /// When to look at each connection. What it hears or is sent puts the look off, so a look may
    /// find nothing to do.
    looks: Deadlines<ConnId>,
    writable: BTreeSet<ConnId>,
    /// Connections to be closed, with what is still written to them.
    closing: VecDeque<(ConnId, Option<Output>)>,
    /// The connection that [`Connections::poll_close`] named last.
    farewell: Option<(ConnId, Output)>,
}

impl Connections {
    /// `seed` decides which strangers go when there are too many.
    pub(super) fn new(config: &ServerConfig, seed: u64) -> Self {
        Self {
            connections_max: config.connections_max,
            output_bytes_max: config.output_bytes_max,
            silence_ms: config.silence_ms,
            times_longer: 1,
            heartbeat_ms: config.heartbeat_ms,
            deployment: config.deployment.clone(),
            keys: None,
            conns: BTreeMap::new(),
            handshakes: Strangers::new(config.strangers_max),
            unnamed: Strangers::new(config.strangers_max),
            rng: Rng::new(seed),
            held_bytes: 0,
            held_bytes_max: config.buffers_bytes_max,
            looks: Deadlines::new(),
            writable: BTreeSet::new(),
            closing: VecDeque::new(),
            farewell: None,
        }
    }

    /// Connections are sealed with these keys from now on. Those are returned that were made under
    /// a key that is not among them, or in the clear.
    pub(super) fn set_keys(&mut self, mut keys: Keys) -> Vec<ConnId> {
        let gone = self.conns.iter().filter(|(_, conn)| !conn.stream.is_of(keys.ring()));
        let gone = gone.map(|(id, _)| *id).collect();
        let mut seed = [0; 8];
        keys.draw().expand("vs server strangers", &[], &mut seed);
        self.rng = Rng::new(u64::from_le_bytes(seed));
        self.keys = Some(keys);
        gone
    }

    /// Takes up a connection that was accepted. Without keys there has to be room for it.
    pub(super) fn handle_accepted(&mut self, now: Time, id: ConnId, from: Option<IpAddr>) {
        let strangers = if self.keys.is_some() { &mut self.handshakes } else { &mut self.unnamed };
        strangers.insert(id, from.map(Source::from).unwrap_or_default());
        self.open(now, id, End::Accepted, None);
    }

    /// Takes up a connection that this side made, to `addr`.
    pub(super) fn handle_dialled(&mut self, now: Time, id: ConnId, addr: SocketAddr) {
        self.open(now, id, End::Dialled(Party::Server), Some(addr));
    }

    fn open(&mut self, now: Time, id: ConnId, end: End, dialled: Option<SocketAddr>) {
        let silence_ms = match self.keys {
            Some(_) => self.silence_ms.min(HANDSHAKE_MS),
            None => self.silence_ms,
        };
        let (keys, deployment) = (self.keys.as_mut(), &self.deployment);
        let decoder = Decoder::unnamed();
        let mut conn = Conn {
            role: Role::New,
            dialled,
            confirmed: false,
            stream: Stream::new(decoder, self.output_bytes_max, end, keys, deployment),
            silence: Silence::new(now, silence_ms),
            signs: Signs::new(self.heartbeat_ms),
            sent: now,
            groups: BTreeSet::new(),
            held_bytes: 0,
        };
        conn.count_bytes(&mut self.held_bytes);
        self.conns.insert(id, conn);
        self.plan_look(id);
        self.writable.insert(id);
    }

    /// Whether there is room for another connection that is no handshake any more.
    pub(super) fn has_room(&self) -> bool {
        self.len() < self.connections_max
    }

    /// A connection without a name that has to go for another one: `connections_max` are open, or
    /// `strangers_max` have no name.
    pub(super) fn surplus_unnamed(&mut self) -> Option<ConnId> {
        let full = !self.has_room() || self.unnamed.is_full();
        if full { self.unnamed.victim(&mut self.rng) } else { None }
    }

    /// A handshake that has to go for another one. `None` where nothing is sealed.
    pub(super) fn surplus_handshake(&mut self) -> Option<ConnId> {
        if self.handshakes.is_full() { self.handshakes.victim(&mut self.rng) } else { None }
    }

    /// Whether a connection was accepted and its other end is not known yet.
    pub(super) fn is_stranger(&self, id: ConnId) -> bool {
        self.handshakes.contains(id) || self.unnamed.contains(id)
    }

    /// Whether connections are sealed.
    pub(super) fn has_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// Bytes arrived. True if they show that the other side of a connection that was accepted has
    /// the key: then there has to be room for it ([`Connections::handle_shown`]).
    pub(super) fn handle_stream(&mut self, now: Time, id: ConnId, bytes: &[u8]) -> bool {
        let Some(conn) = self.conns.get_mut(&id) else { return false };
        // Before its name nothing that it says counts.
        if !matches!(conn.role, Role::New) {
            conn.silence.hear(now);
        }
        let was_up = conn.stream.is_up();
        conn.stream.push(bytes);
        conn.count_bytes(&mut self.held_bytes);
        if was_up {
            return false;
        }
        let is_up = conn.stream.is_up();
        if is_up {
            conn.silence.hear(now);
            conn.silence.set_silence(now, self.silence_ms);
        }
        self.writable.insert(id);
        self.plan_look(id);
        is_up && self.handshakes.contains(id)
    }

    /// There is room for a connection whose other side has shown the key.
    pub(super) fn handle_shown(&mut self, id: ConnId) {
        if let Some(source) = self.handshakes.remove(id) {
            self.unnamed.insert(id, source);
        }
    }

    /// As what the other side has shown itself to be by its key; none in the clear.
    pub(super) fn shown(&self, id: ConnId) -> Option<Party> {
        self.conns.get(&id)?.stream.other()
    }

    /// Whether the other side has shown that it is this client: nobody has to in the clear.
    pub(super) fn is_proved(&self, id: ConnId, peer: &Peer, proof: Option<Proof>) -> bool {
        let Some(conn) = self.conns.get(&id) else { return false };
        let Some(binding) = conn.stream.binding() else { return !self.has_keys() };
        proof.is_some_and(|proof| peer.is_proved(&proof, binding))
    }

    /// The next request that arrived. `Ok(None)`: there is none yet, or the connection is not open.
    pub(super) fn next_request(&mut self, id: ConnId) -> Result<Option<Request>, FrameError> {
        let Some(conn) = self.conns.get_mut(&id) else { return Ok(None) };
        let next = conn.stream.next();
        conn.count_bytes(&mut self.held_bytes);
        next
    }

    /// How many frames were skipped since this was asked last, since their kinds are unknown.
    pub(super) fn take_skipped(&mut self, id: ConnId) -> u64 {
        self.conns.get_mut(&id).map_or(0, |conn| conn.stream.take_skipped())
    }

    /// Removes a connection. Nothing is closed; see [`Connections::close`].
    pub(super) fn remove(&mut self, id: ConnId) -> Option<Ended> {
        let Conn { role, dialled, stream, groups, held_bytes, .. } = self.conns.remove(&id)?;
        self.looks.set(&id, None);
        self.held_bytes -= held_bytes;
        self.unnamed.remove(id);
        self.handshakes.remove(id);
        Some(Ended { role, dialled, stream, groups })
    }

    /// The runtime is to close a connection, once `output` is written.
    pub(super) fn close(&mut self, id: ConnId, output: Option<Output>) {
        self.closing.push_back((id, output));
    }

    /// Who is at the other end; none if the connection is not open.
    pub(super) fn role(&self, id: ConnId) -> Option<Role> {
        self.conns.get(&id).map(|conn| conn.role)
    }

    /// The address to which this side made the connection.
    pub(super) fn dialled(&self, id: ConnId) -> Option<SocketAddr> {
        self.conns.get(&id)?.dialled
    }

    /// The address to which this side made the connection, if nobody has answered as a server
    /// there.
    pub(super) fn dialled_in_vain(&self, id: ConnId) -> Option<SocketAddr> {
        self.conns.get(&id).filter(|conn| matches!(conn.role, Role::New))?.dialled
    }

    /// The other end has named itself.
    pub(super) fn set_role(&mut self, now: Time, id: ConnId, role: Role) {
        let silence_ms = self.peer_silence_ms();
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.role = role;
            conn.silence.hear(now);
            if matches!(role, Role::Peer(..)) {
                conn.silence.set_silence(now, silence_ms);
            }
            conn.stream.handle_named();
            self.unnamed.remove(id);
            self.plan_look(id);
        }
    }

    /// The other end takes this one for dead after `silence_ms`.
    pub(super) fn handle_announced(&mut self, id: ConnId, silence_ms: u64) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.signs.handle_announced(silence_ms);
            self.plan_look(id);
        }
    }

    /// After how long a silence a server is taken for dead, in ms.
    pub(super) fn peer_silence_ms(&self) -> u64 {
        self.times_longer * self.silence_ms
    }

    /// There are so many servers now. If another silence follows for all of them, the connections
    /// on which that is to be announced are returned.
    pub(super) fn handle_servers(&mut self, now: Time, servers: usize) -> Vec<ConnId> {
        let times_longer = signs::times_longer(servers, self.times_longer);
        if times_longer == self.times_longer {
            return Vec::new();
        }
        self.times_longer = times_longer;
        let silence_ms = self.peer_silence_ms();
        let peers = self.conns.iter_mut().filter(|(_, c)| matches!(c.role, Role::Peer(..)));
        let peers: Vec<ConnId> = peers
            .map(|(id, conn)| {
                conn.silence.set_silence(now, silence_ms);
                *id
            })
            .collect();
        peers.iter().for_each(|id| self.plan_look(*id));
        peers
    }

    /// A peer spoke. It is returned if that was the first time since its greeting.
    pub(super) fn confirm(&mut self, id: ConnId) -> Option<ServerId> {
        let conn = self.conns.get_mut(&id)?;
        let Role::Peer(server, _) = conn.role else { return None };
        (!core::mem::replace(&mut conn.confirmed, true)).then_some(server)
    }

    /// Whether this connection was accepted, and its peer has read the greeting of this side.
    pub(super) fn is_confirmed_by_peer(&self, id: ConnId) -> bool {
        self.conns.get(&id).is_some_and(|conn| conn.dialled.is_none() && conn.confirmed)
    }

    /// Whether a server is connected with this boot value.
    pub(super) fn is_connected(&self, (server, boot): (ServerId, u64)) -> bool {
        let mut roles = self.conns.values().map(|conn| conn.role);
        roles.any(|role| matches!(role, Role::Peer(s, b) if (s, b) == (server, boot)))
    }

    /// The boot value of a connected server, and the address at which this side reached it, if it
    /// did.
    pub(super) fn peer(&self, server: ServerId) -> Option<(u64, Option<SocketAddr>)> {
        self.conns.values().find_map(|conn| match conn.role {
            Role::Peer(id, boot) if id == server => Some((boot, conn.dialled)),
            _ => None,
        })
    }

    /// The groups that a client is attached to or waits in.
    pub(super) fn groups(&self, id: ConnId) -> Option<&BTreeSet<GroupName>> {
        self.conns.get(&id).map(|conn| &conn.groups)
    }

    /// The client is attached to `group` or waits in it. Beyond `groups_max` groups, those are
    /// forgotten of which `knows` says that they do not know the client any more.
    pub(super) fn add_group(
        &mut self,
        id: ConnId,
        group: GroupName,
        groups_max: usize,
        knows: impl Fn(&GroupName) -> bool,
    ) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.groups.insert(group);
        if conn.groups.len() > groups_max {
            conn.groups.retain(knows);
        }
    }

    /// The client has left `group`.
    pub(super) fn remove_group(&mut self, id: ConnId, group: &GroupName) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.groups.remove(group);
        }
    }

    /// Takes the connections that are to be looked at by now; ascending. Each is to be planned
    /// anew, or ended.
    pub(super) fn take_due(&mut self, now: Time) -> Vec<ConnId> {
        self.looks.take_due(now)
    }

    /// When something was heard on a connection last; none if it is not open.
    pub(super) fn heard(&self, id: ConnId) -> Option<Time> {
        self.conns.get(&id).map(|conn| conn.silence.heard())
    }

    /// Whether nothing was heard on a connection for too long.
    pub(super) fn is_silent(&mut self, now: Time, id: ConnId) -> bool {
        self.conns.get_mut(&id).is_some_and(|conn| conn.silence.look(now))
    }

    /// Who is at the other end, if a heartbeat is due there.
    pub(super) fn needs_heartbeat(&self, now: Time, id: ConnId) -> Option<Role> {
        let conn = self.conns.get(&id)?;
        (now >= self.heartbeat_at(conn)).then_some(conn.role)
    }

    /// When a heartbeat is due on a connection on which nothing is sent before.
    fn heartbeat_at(&self, conn: &Conn) -> Time {
        let is_crowd = self.conns.len() > CROWD;
        let signs = conn.signs;
        conn.sent.plus_ms(if is_crowd { signs.pause_max_ms() } else { signs.pause_ms() })
    }

    /// Plans when to look at a connection next.
    pub(super) fn plan_look(&mut self, id: ConnId) {
        let at = self.conns.get(&id).map(|conn| match conn.role {
            Role::New => conn.silence.next_look(),
            _ => conn.silence.next_look().min(self.heartbeat_at(conn)),
        });
        let grid = Time::from_millis(LOOK_GRID_MS).0;
        let on_grid = |at: Time| Time(at.0.next_multiple_of(grid));
        let at = if self.conns.len() > MANY { at.map(on_grid) } else { at };
        self.looks.set(&id, at);
    }

    /// When to look at a connection.
    pub(super) fn next_timeout(&self) -> Option<Time> {
        self.looks.next()
    }

    /// Appends a message to what waits to be written. False if more than `output_bytes_max` bytes
    /// wait.
    pub(super) fn send<'a, M>(&mut self, now: Time, id: ConnId, message: &'a M) -> bool
    where
        Frame: From<&'a M>,
    {
        let Some(conn) = self.conns.get_mut(&id) else { return true };
        conn.sent = now;
        let within = conn.stream.send(message);
        conn.count_bytes(&mut self.held_bytes);
        self.writable.insert(id);
        within
    }

    /// Appends a frame that was encoded before; as [`Connections::send`].
    pub(super) fn send_encoded(&mut self, now: Time, id: ConnId, frame: &[u8]) -> bool {
        let Some(conn) = self.conns.get_mut(&id) else { return true };
        conn.sent = now;
        let within = conn.stream.send_encoded(frame);
        conn.count_bytes(&mut self.held_bytes);
        self.writable.insert(id);
        within
    }

    /// A connection that has bytes to be written; each is named once until it has new ones.
    pub(super) fn poll_output(&mut self) -> Option<ConnId> {
        while let Some(id) = self.writable.pop_first() {
            if !self.output(id).is_empty() {
                return Some(id);
            }
        }
        None
    }

    /// Bytes that wait to be written to a connection: one that is open, or was named last by
    /// [`Connections::poll_close`].
    pub(super) fn output(&self, id: ConnId) -> &[u8] {
        if let Some(conn) = self.conns.get(&id) {
            return conn.stream.pending();
        }
        let closed = self.farewell.as_ref().filter(|(other, _)| *other == id);
        closed.map_or(&[], |(_, output)| output.pending())
    }

    /// `n` bytes of [`Connections::output`] were written.
    pub(super) fn consumed(&mut self, id: ConnId, n: usize) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.stream.consumed(n);
            conn.count_bytes(&mut self.held_bytes);
        }
    }

    /// A connection to be closed.
    pub(super) fn poll_close(&mut self) -> Option<ConnId> {
        let (id, output) = self.closing.pop_front()?;
        self.farewell = output.map(|output| (id, output));
        Some(id)
    }

    /// Bytes that all connections hold.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// The connection that holds most bytes, if all hold more than they may.
    pub(super) fn greediest(&self) -> Option<ConnId> {
        if self.held_bytes <= self.held_bytes_max {
            return None;
        }
        let most = self.conns.iter().max_by_key(|(_, conn)| conn.held_bytes);
        most.map(|(id, _)| *id)
    }

    /// How many are open, without those that have not shown a key.
    pub(super) fn len(&self) -> usize {
        self.conns.len() - self.handshakes.len()
    }

    /// How many are of clients.
    pub(super) fn clients(&self) -> usize {
        self.conns.values().filter(|conn| matches!(conn.role, Role::Client(_))).count()
    }
}
