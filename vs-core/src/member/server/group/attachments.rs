//! Who is attached to a group: the clients here, those who wait for an id, and the clients of other
//! servers.
//!
//! Of two processes under one id one is refused. A process that died and came back cannot be told
//! from a second one by what it says, only by what becomes of the first: whoever is known to hold
//! the id has the time in which a dead one is missed to be missed. Meanwhile the other waits, and
//! inherits. Servers that do not know of each other may both have admitted one; when they come
//! together, the later incarnation stays.
//!
//! The very incarnation that is attached may ask again over another connection. It has lost the
//! first one, whose end is not known yet; or somebody asks in its name. Then it is heard over the
//! first one all the time, so that one has [`proof_ms`] to show life. Whoever loses an attachment,
//! or a request, to another connection is told so: it may be alive.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::super::agreement::Floor;
use super::super::conn_id::ConnId;
use crate::ident::{GroupName, Incarnation, ProcessId, ServerId};
use crate::member::DetachReason;
use crate::member::attached::{Attached, Attachment, Report, Settled};
use crate::member::detector::Silence;
use crate::member::message::{Peer, Reply};
use crate::time::Time;
use crate::view::VIEW_MEMBERS_MAX;

/// A client that is attached here, or asks to be.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Local {
    pub(in super::super) conn: ConnId,
    pub(in super::super) peer: Peer,
    pub(in super::super) attachment: Attachment,
    /// New numbers have to be above what the client was given, by whomever.
    pub(in super::super) floor: Floor,
    /// Members of the largest view that it has room for.
    pub(in super::super) members_max: u16,
    /// Where it was when it attached.
    pub(in super::super) settled: Option<Settled>,
}

impl Local {
    /// The reply that ends its attachment.
    pub(in super::super) fn detached(
        &self,
        group: GroupName,
        reason: DetachReason,
        retry_ms: u64,
    ) -> Reply {
        Reply::Detached { group, counter: self.attachment.counter, reason, retry_ms }
    }

    /// Whether both are of one incarnation of one process: another one may have begun in the same
    /// millisecond.
    fn is_of(&self, other: &Self) -> bool {
        let life = |local: &Self| (local.peer.incarnation, local.peer.addr);
        self.peer.process == other.peer.process && is_one_life(life(self), life(other))
    }

    /// Whether one incarnation asked for both, and for this one later. Of its two connections the
    /// one that it has left may be read last.
    fn supersedes(&self, old: &Self) -> bool {
        self.is_of(old) && self.attachment > old.attachment
    }
}

/// Whether two incarnations of one id, each with its data address, are the same. With a nonce they
/// are, if they are equal: a process may move to another address. Without, both may have begun in
/// one millisecond.
fn is_one_life(one: (Incarnation, SocketAddr), other: (Incarnation, SocketAddr)) -> bool {
    one.0 == other.0 && (one.0.nonce() != 0 || one.1 == other.1)
}

/// The clients of another server.
#[derive(Clone, Debug, Default)]
struct Remote {
    /// The version of what was heard: over two connections a message may come twice, or an old one
    /// late.
    version: u64,
    clients: Vec<(Attached, SocketAddr)>,
    /// The server was lost: until when its clients stay, since they may attach elsewhere (rule
    /// 5.5).
    lost_until: Option<Time>,
}

/// How long the connection of a client has to show life when its process asks over another one, in
/// ms. Heartbeats come at least four times within `silence_ms`.
fn proof_ms(silence_ms: u64) -> u64 {
    silence_ms / 2
}

/// What was sent before a request may be read so long after it, in ms: it shows nothing.
fn stale_ms(silence_ms: u64) -> u64 {
    silence_ms / 8
}

/// A request to attach while somebody else holds the id.
#[derive(Clone, Debug)]
struct Waiting {
    local: Local,
    /// What the connection of the holder says from then on shows that the holder lives.
    proof_from: Time,
    /// Of the holder of the id. It hears nothing while the holder lives; so the end of its time
    /// shows that the holder is still there.
    patience: Silence,
}

/// Who holds an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    attachment: Attachment,
    at: Whereabouts,
    server: ServerId,
    /// The connection of a holder here.
    conn: Option<ConnId>,
    /// It is of the same incarnation: the same process, or one that says so.
    same: bool,
}

impl Holder {
    /// What who asks for the id is told. What is here is known. What another server says, and who
    /// is right of two that say to be the same, is not.
    fn reason(&self) -> DetachReason {
        match (self.at, self.same) {
            (Whereabouts::Here, false) => DetachReason::DuplicateId,
            _ => DetachReason::IdClaimed { at: self.server },
        }
    }
}

/// Where the holder of an id is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whereabouts {
    /// At a server that was lost; it may attach elsewhere.
    Lost,
    Elsewhere,
    Here,
}

/// All that are attached to a group, or wait to be.
#[derive(Debug)]
pub(super) struct Attachments {
    me: ServerId,
    locals: BTreeMap<ProcessId, Local>,
    /// At most one for each connection.
    waiting: Vec<Waiting>,
    remotes: BTreeMap<ServerId, Remote>,
}

impl Attachments {
    pub(super) fn new(me: ServerId) -> Self {
        Self { me, locals: BTreeMap::new(), waiting: Vec::new(), remotes: BTreeMap::new() }
    }

    /// Whether nobody is attached or waits.
    pub(super) fn is_empty(&self) -> bool {
        self.locals.is_empty()
            && self.waiting.is_empty()
            && self.remotes.values().all(|remote| remote.clients.is_empty())
    }

    /// Whether `process` is attached or waits over this connection.
    pub(super) fn knows(&self, process: ProcessId, conn: ConnId) -> bool {
        self.local_at(process, conn).is_some() || self.waiting.iter().any(|w| w.local.conn == conn)
    }

    /// The clients here, whose profile has this fingerprint.
    pub(super) fn clients(&self, profile: u64) -> Vec<(Attached, SocketAddr)> {
        let home = self.me;
        let attached = |(&process, local): (&ProcessId, &Local)| {
            let Local { attachment, members_max, peer, settled, .. } = *local;
            (Attached { process, attachment, home, members_max, settled, profile }, peer.addr)
        };
        self.locals.iter().map(attached).collect()
    }

    /// The clients here, ascending by process.
    pub(super) fn locals(&self) -> impl Iterator<Item = &Local> {
        self.locals.values()
    }

    /// The client here with this id.
    pub(super) fn local(&self, process: ProcessId) -> Option<&Local> {
        self.locals.get(&process)
    }

    /// The client here with this id, if it is attached over this connection.
    pub(super) fn local_at(&self, process: ProcessId, conn: ConnId) -> Option<&Local> {
        self.locals.get(&process).filter(|local| local.conn == conn)
    }

    /// How many wait for an id.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The client is attached here from now on.
    pub(super) fn attach(&mut self, local: Local) {
        self.locals.insert(local.peer.process, local);
    }

    /// The client is attached here no more.
    pub(super) fn detach(&mut self, process: ProcessId) -> Option<Local> {
        self.locals.remove(&process)
    }

    /// Who is known to hold the id of `local` over another connection. A process that came here
    /// from another server has left that one.
    pub(super) fn holder(&self, local: &Local) -> Option<Holder> {
        let process = local.peer.process;
        let here = self.locals.get(&process).filter(|old| old.conn != local.conn);
        let here = here.map(|old| Holder {
            attachment: old.attachment,
            at: Whereabouts::Here,
            server: self.me,
            conn: Some(old.conn),
            same: old.is_of(local),
        });
        let elsewhere = self.remotes.iter().flat_map(|(&server, remote)| {
            let lost = remote.lost_until.is_some();
            let at = if lost { Whereabouts::Lost } else { Whereabouts::Elsewhere };
            let of_it = remote.clients.iter().filter(move |(client, _)| client.process == process);
            of_it.map(move |(client, addr)| {
                let own = (local.peer.incarnation, local.peer.addr);
                let same = is_one_life((client.attachment.incarnation, *addr), own);
                Holder { attachment: client.attachment, at, server, conn: None, same }
            })
        });
        let elsewhere = elsewhere.filter(|holder| {
            !holder.same
                || holder.at == Whereabouts::Elsewhere && holder.attachment > local.attachment
        });
        here.into_iter().chain(elsewhere).max_by_key(|holder| (holder.at, holder.attachment))
    }

    /// `local` asks for an id that `holder` has: a later incarnation may be that of a process that
    /// died unnoticed, and a later request of the same one that of a process that has lost its
    /// connection. It waits if it is later, and if nobody waits who is the same and later still.
    /// Else the reason to refuse it is returned.
    pub(super) fn handle_duplicate(
        &mut self,
        now: Time,
        local: Local,
        holder: Holder,
        silence_ms: u64,
    ) -> Option<DetachReason> {
        let key = |attachment: Attachment| {
            (attachment.incarnation, if holder.same { attachment.counter } else { 0 })
        };
        if key(holder.attachment) >= key(local.attachment) {
            return Some(holder.reason());
        }
        if self.waiting.iter().any(|w| w.local.supersedes(&local)) {
            return Some(DetachReason::IdClaimed { at: self.me });
        }
        // Another server misses its clients as late as this one does, and is missed itself as late
        // again.
        let ms = match (holder.at, holder.same) {
            (Whereabouts::Here, true) => proof_ms(silence_ms),
            (Whereabouts::Here, false) => silence_ms,
            _ => 2 * silence_ms,
        };
        let (proof_from, patience) = (now.plus_ms(stale_ms(silence_ms)), Silence::new(now, ms));
        self.waiting.push(Waiting { local, proof_from, patience });
        None
    }

    /// Nobody waits any more over the connection of `local`, nor over one that its process has
    /// left: those requests are returned.
    pub(super) fn stop_waiting(&mut self, local: &Local) -> Vec<Local> {
        let left = |w: &Waiting| w.local.conn != local.conn && local.supersedes(&w.local);
        let left: Vec<Local> = self.waiting.iter().filter(|w| left(w)).map(|w| w.local).collect();
        self.waiting.retain(|w| w.local.conn != local.conn && !local.supersedes(&w.local));
        left
    }

    /// Nobody waits any more over this connection.
    pub(super) fn stop_waiting_at(&mut self, conn: ConnId) {
        self.waiting.retain(|w| w.local.conn != conn);
    }

    /// The one to be admitted next of those who wait for an id that nobody holds any more.
    pub(super) fn next_heir(&self) -> Option<Local> {
        let free = self.waiting.iter().map(|w| w.local).filter(|l| self.holder(l).is_none());
        free.max_by_key(|local| local.attachment)
    }

    /// Takes those who have waited for long, and what each is told: the holder of the id was not
    /// missed all the time, so they are strangers. `heard`: when something was heard over a
    /// connection last. A holder that had to show life and did not has no id any more, and is
    /// returned, too.
    pub(super) fn take_strangers(
        &mut self,
        now: Time,
        heard: impl Fn(ConnId) -> Option<Time>,
    ) -> Vec<(Local, DetachReason)> {
        let (late, waiting): (Vec<_>, Vec<_>) = core::mem::take(&mut self.waiting)
            .into_iter()
            .map(|mut w| (w.patience.look(now), w))
            .partition(|(late, _)| *late);
        self.waiting = waiting.into_iter().map(|(_, w)| w).collect();
        let mut strangers = Vec::new();
        for (_, mut w) in late {
            match self.holder(&w.local) {
                // Until the holder attaches elsewhere, or its grace is over.
                Some(Holder { at: Whereabouts::Lost, .. }) => {
                    w.patience.hear(now);
                    self.waiting.push(w);
                }
                Some(Holder { conn: Some(conn), same: true, .. })
                    if heard(conn) < Some(w.proof_from) =>
                {
                    let reason = DetachReason::IdClaimed { at: self.me };
                    let left = self.locals.remove(&w.local.peer.process);
                    strangers.extend(left.map(|left| (left, reason)));
                    self.waiting.push(w);
                }
                holder => {
                    let reason = holder.map_or(DetachReason::DuplicateId, |h| h.reason());
                    strangers.push((w.local, reason));
                }
            }
        }
        strangers
    }

    /// Takes the clients here whose id is another server's client's by `report`, and the home of
    /// each there: that server admitted a later incarnation, or the process has moved to it.
    pub(super) fn take_duplicates(&mut self, report: &Report) -> Vec<(Local, ServerId)> {
        let elsewhere = |local: &Local| {
            let at = report.binary_search_by_key(&local.peer.process, |client| client.process);
            let client = &report[at.ok()?];
            let lost = self.remotes.get(&client.home).is_some_and(|r| r.lost_until.is_some());
            // A process that came here from a lost server is not known there any more.
            let came = lost && client.attachment == local.attachment;
            (client.home != self.me && !came).then_some((*local, client.home))
        };
        let duplicates: Vec<_> = self.locals.values().filter_map(elsewhere).collect();
        for (local, _) in &duplicates {
            self.locals.remove(&local.peer.process);
        }
        duplicates
    }

    /// Another server told of its clients. Whether one is gone that was there; none, if this is
    /// old.
    pub(super) fn handle_clients(
        &mut self,
        server: ServerId,
        version: u64,
        mut clients: Vec<(Attached, SocketAddr)>,
    ) -> Option<bool> {
        if self.remotes.get(&server).is_some_and(|remote| version <= remote.version) {
            return None;
        }
        clients.retain(|(client, _)| client.home == server);
        clients.truncate(VIEW_MEMBERS_MAX);
        clients.sort_unstable_by_key(|(client, _)| client.process);
        clients.dedup_by_key(|(client, _)| client.process);
        let stays = |old: &Attached| {
            clients.binary_search_by_key(&old.process, |(new, _)| new.process).is_ok()
        };
        let before = self.remotes.get(&server).map_or(&[][..], |remote| &remote.clients);
        let gone = !before.iter().all(|(old, _)| stays(old));
        self.remotes.insert(server, Remote { version, clients, lost_until: None });
        Some(gone)
    }

    /// The clients of servers that are connected no more stay until `until`. A server that is back
    /// says whom it has. Of groups that it does not know any more it says nothing: then its clients
    /// of that time go when their grace is over.
    pub(super) fn handle_links(&mut self, is_connected: impl Fn(ServerId) -> bool, until: Time) {
        for (server, remote) in &mut self.remotes {
            if !is_connected(*server) && remote.lost_until.is_none() {
                remote.lost_until = Some(until);
                remote.version = 0; // no old message is under way any more
            }
        }
    }

    /// `server` is connected no more: its clients stay until `until`, also if it is back before
    /// this is looked at.
    pub(super) fn handle_lost(&mut self, server: ServerId, until: Time) {
        if let Some(remote) = self.remotes.get_mut(&server) {
            remote.lost_until.get_or_insert(until);
            remote.version = 0; // no old message is under way any more
        }
    }

    /// `server`, which was lost, was a part of `process`: that is dead, too, and does not attach
    /// elsewhere.
    pub(super) fn forget_embedded(&mut self, server: ServerId, process: ProcessId) {
        if let Some(remote) = self.remotes.get_mut(&server) {
            remote.clients.retain(|(client, _)| client.process != process);
        }
    }

    /// Whether `server` has told of clients, and is not forgotten.
    pub(super) fn knows_server(&self, server: ServerId) -> bool {
        self.remotes.contains_key(&server)
    }

    /// Whether somebody is attached or waits over this connection.
    pub(super) fn is_in_use(&self, conn: ConnId) -> bool {
        self.waiting.iter().any(|w| w.local.conn == conn)
            || self.locals.values().any(|local| local.conn == conn)
    }

    /// Whether `server` has clients.
    pub(super) fn has_clients_of(&self, server: ServerId) -> bool {
        self.remotes.get(&server).is_some_and(|remote| !remote.clients.is_empty())
    }

    /// Whether `process` is a client of `server`.
    pub(super) fn is_client_of(&self, server: ServerId, process: ProcessId) -> bool {
        let clients = self.remotes.get(&server).map_or(&[][..], |remote| &remote.clients);
        clients.iter().any(|(client, _)| client.process == process)
    }

    /// Lost servers whose clients' grace is over.
    pub(super) fn late_servers(&self, now: Time) -> Vec<ServerId> {
        let late = |remote: &Remote| remote.lost_until.is_some_and(|until| now >= until);
        self.remotes.iter().filter(|(_, r)| late(r)).map(|(server, _)| *server).collect()
    }

    /// Forgets the clients of `server`, and returns those that have not attached elsewhere.
    pub(super) fn give_up_server(&mut self, server: ServerId) -> Vec<ProcessId> {
        let Some(remote) = self.remotes.remove(&server) else { return Vec::new() };
        let clients = remote.clients.into_iter().map(|(client, _)| client.process);
        let is_elsewhere = |p: &ProcessId| {
            self.locals.contains_key(p) || self.remotes.keys().any(|s| self.is_client_of(*s, *p))
        };
        clients.filter(|p| !is_elsewhere(p)).collect()
    }

    /// All that are attached: here (`own`), at the servers of `clique`, and for its grace at a lost
    /// server of which `counts` is true. Of several attachments of one process the latest.
    pub(super) fn report(
        &self,
        now: Time,
        clique: &[ServerId],
        counts: impl Fn(ServerId) -> bool,
        own: Vec<(Attached, SocketAddr)>,
    ) -> Report {
        let grace = |server: ServerId, remote: &Remote| {
            remote.lost_until.is_some_and(|until| now < until) && counts(server)
        };
        let mut best: BTreeMap<ProcessId, Attached> = BTreeMap::new();
        let remotes = self
            .remotes
            .iter()
            .filter(|(server, remote)| clique.contains(server) || grace(**server, remote))
            .flat_map(|(_, remote)| remote.clients.iter().map(|(client, _)| *client));
        for client in remotes.chain(own.into_iter().map(|(client, _)| client)) {
            let entry = best.entry(client.process).or_insert(client);
            if (client.attachment, client.home) > (entry.attachment, entry.home) {
                *entry = client;
            }
        }
        best.into_values().collect()
    }

    /// The data address of a client.
    pub(super) fn addr(&self, client: &Attached) -> SocketAddr {
        let remote = || {
            let clients = &self.remotes.get(&client.home)?.clients;
            let at = clients.binary_search_by_key(&client.process, |(c, _)| c.process).ok()?;
            Some(clients[at]).filter(|(c, _)| c == client).map(|(_, addr)| addr)
        };
        let local = self.locals.get(&client.process).map(|local| local.peer.addr);
        let known = if client.home == self.me { local } else { remote() };
        known.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// When to look at those who wait, or at lost servers.
    pub(super) fn next_timeout(&self) -> Option<Time> {
        let waiting = self.waiting.iter().map(|w| w.patience.next_look());
        let lost = self.remotes.values().filter_map(|remote| remote.lost_until);
        waiting.chain(lost).min()
    }
}
