//! What servers report of their links, and how reports reach servers that are not connected.
//!
//! All servers of a component have to find the same cliques, so each needs the link reports of all,
//! not of its neighbours alone. A server sends its own report to all that are connected to it. It
//! passes on the reports of others, a moment later, to those of its peers that the report does not
//! name: in a full mesh that is nobody. Versions order the reports of one server, whichever way
//! they came. A server may hear a later report of its own than it ever sent. That one is of an
//! earlier incarnation whose clock was ahead; the server raises its version above it.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::config::ServerConfig;
use super::graph::places;
use super::review::CALM_PAUSES_MAX;
use crate::ident::ServerId;
use crate::member::message::PeerWord;
use crate::time::Time;

/// Most servers that a report names, and most whose reports are kept.
pub(super) const SERVERS_MAX: usize = 1024;

/// Servers that are not connected and count in a search for cliques, beyond as many as are
/// connected: what one peer makes up of others costs little more than what all are.
const FAR_MIN: usize = 64;

/// Up to this many servers, what follows from a report is looked at as soon as it arrives.
const FEW_SERVERS: usize = 8;

/// Of a crowd of servers, the pause between two looks at what follows from their reports, in ms
/// for each server. Each look may tell all servers a report that names all.
const LOOK_MS_PER_SERVER: u64 = 2;

/// How often a server raises its version above reports of an earlier incarnation. If it has to more
/// often, another server has its id, and raises its version in turn.
const RAISES_MAX: u8 = 4;

/// What a server reports of its links.
#[derive(Clone, Debug)]
pub(super) struct LinkReport {
    /// Grows with each report of that server.
    version: u64,
    /// On whose links it counts, ascending.
    servers: Vec<ServerId>,
    /// Whose links are ready, ascending.
    ready: Vec<ServerId>,
}

impl LinkReport {
    pub(super) fn new(version: u64, mut servers: Vec<ServerId>, mut ready: Vec<ServerId>) -> Self {
        servers.sort_unstable();
        ready.sort_unstable();
        Self { version, servers, ready }
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// On whose links the sender counts, ascending.
    pub(super) fn servers(&self) -> &[ServerId] {
        &self.servers
    }

    /// Whose links are ready, ascending.
    pub(super) fn ready(&self) -> &[ServerId] {
        &self.ready
    }

    /// Whether it names more servers than a report may.
    pub(super) fn is_too_long(&self) -> bool {
        self.servers.len() > SERVERS_MAX || self.ready.len() > SERVERS_MAX
    }

    /// Whether the sender has a link to `server` that counts or may.
    pub(super) fn is_ready_for(&self, server: ServerId) -> bool {
        self.servers.binary_search(&server).is_ok() || self.ready.binary_search(&server).is_ok()
    }

    /// All that it names, once or twice.
    pub(super) fn named(&self) -> impl Iterator<Item = ServerId> + '_ {
        self.servers.iter().chain(&self.ready).copied()
    }

    /// The message with the report of `server`.
    pub(super) fn message(&self, server: ServerId) -> PeerWord {
        let Self { version, servers, ready } = self.clone();
        PeerWord::Links { server, version, servers, ready }
    }
}

/// A report, and when it arrived.
#[derive(Debug)]
struct Known {
    report: LinkReport,
    since: Time,
}

/// The latest report of each server, this one left out, and who has it.
#[derive(Debug, Default)]
pub(super) struct LinkReports {
    reports: BTreeMap<ServerId, Known>,
    /// The version of each server's report that a connected peer has, as far as is known.
    had: BTreeMap<ServerId, BTreeMap<ServerId, u64>>,
    /// When to pass on what peers do not have.
    pass_at: Option<Time>,
}

impl LinkReports {
    pub(super) fn get(&self, server: ServerId) -> Option<&LinkReport> {
        self.reports.get(&server).map(|known| &known.report)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ServerId, &LinkReport)> {
        self.reports.iter().map(|(server, known)| (*server, &known.report))
    }

    /// Of how many servers `peer` is known to have reports.
    #[cfg(test)]
    pub(super) fn known_of(&self, peer: ServerId) -> usize {
        self.had.get(&peer).map_or(0, BTreeMap::len)
    }

    pub(super) fn next_timeout(&self) -> Option<Time> {
        self.pass_at
    }

    /// `peer` is connected, and is about to send its report.
    pub(super) fn handle_up(&mut self, now: Time, peer: ServerId, config: &ServerConfig) {
        self.forget(peer);
        self.repeat(now, peer, config);
    }

    /// `peer` may have nothing of what it was told.
    pub(super) fn repeat(&mut self, now: Time, peer: ServerId, config: &ServerConfig) {
        self.had.insert(peer, BTreeMap::new());
        self.plan(now, config);
    }

    /// `peer` is connected no more. Its last report is of no use: it is about to send another one,
    /// or is dead.
    pub(super) fn handle_down(&mut self, peer: ServerId) {
        self.forget(peer);
        self.had.remove(&peer);
    }

    /// Forgets the report of `server`, and who has it.
    fn forget(&mut self, server: ServerId) {
        self.reports.remove(&server);
        for had in self.had.values_mut() {
            had.remove(&server);
        }
    }

    /// Most servers that are not connected whose reports are kept.
    pub(super) fn far_max(&self) -> usize {
        self.had.len() + FAR_MIN
    }

    /// Whether there is no room for the report of one more server.
    fn is_full(&self, is_peer: bool) -> bool {
        let is_far = |server: &&ServerId| !self.had.contains_key(*server);
        let far = || self.reports.keys().filter(is_far).count();
        self.reports.len() >= SERVERS_MAX || !is_peer && far() >= self.far_max()
    }

    /// Makes room for the report of one more server. Forgets servers that are not reached, and for
    /// a report of a peer itself also one that is no peer. False if there is no room.
    fn make_room(&mut self, is_peer: bool) -> bool {
        let live: Vec<ServerId> = self.live().into_iter().map(|(server, _)| server).collect();
        let is_away = |server: &&ServerId| live.binary_search(server).is_err();
        let away: Vec<ServerId> = self.reports.keys().filter(is_away).copied().collect();
        away.into_iter().for_each(|server| self.forget(server));
        if is_peer && self.is_full(true) {
            let had = &self.had;
            let far = self.reports.keys().find(|server| !had.contains_key(server)).copied();
            far.into_iter().for_each(|server| self.forget(server));
        }
        !self.is_full(is_peer)
    }

    /// How long to wait from one look at what follows from reports to the next, in ms: none among
    /// few servers.
    pub(super) fn look_pause_ms(&self, config: &ServerConfig) -> u64 {
        match self.had.len().max(self.reports.len()) {
            servers if servers <= FEW_SERVERS => 0,
            servers => (LOOK_MS_PER_SERVER * servers as u64).min(config.silence_ms / 4),
        }
    }

    /// How long a report waits before it is passed on, in ms. In a crowd that forms, the servers
    /// that lack a report are about to reach the one that it is of.
    fn pass_pause_ms(&self, config: &ServerConfig) -> u64 {
        config.pass_on_ms.max((CALM_PAUSES_MAX + 1) * self.look_pause_ms(config))
    }

    /// Plans to pass on what peers lack.
    pub(super) fn plan(&mut self, now: Time, config: &ServerConfig) {
        self.pass_at.get_or_insert(now.plus_ms(self.pass_pause_ms(config)));
    }

    /// Takes a report of `of` that `peer` passes on or sends itself.
    pub(super) fn handle_report(
        &mut self,
        now: Time,
        (peer, of): (ServerId, ServerId),
        report: LinkReport,
    ) -> Heard {
        if peer != of && self.had.contains_key(&of) {
            // A connected server reports itself. If it does not know this report, that is of its
            // earlier incarnation, or of another server with its id.
            let later = self.get(of).is_none_or(|known| known.version < report.version);
            return if later { Heard::Earlier(report.message(of)) } else { Heard::Known };
        }
        let is_full = !self.reports.contains_key(&of) && self.is_full(peer == of);
        if is_full && !self.make_room(peer == of) {
            return Heard::Known;
        }
        let had = self.had.entry(peer).or_default().entry(of).or_default();
        *had = report.version.max(*had);
        match self.reports.get(&of).map(|known| &known.report) {
            Some(known) if known.version > report.version => {
                *had = known.version;
                Heard::Older(known.message(of))
            }
            Some(known) if known.version == report.version => Heard::Known,
            _ => {
                self.reports.insert(of, Known { report, since: now });
                Heard::New
            }
        }
    }

    /// Whether it is time to pass on what peers lack. Asked once: then nothing is due.
    pub(super) fn take_due(&mut self, now: Time) -> bool {
        let is_due = self.pass_at.is_some_and(|at| now >= at);
        if is_due {
            self.pass_at = None;
        }
        is_due
    }

    /// What peers lack: reports that do not name them, for whoever names a peer tells it; and their
    /// own of an earlier incarnation. In a crowd, what is young waits, and so does what is beyond
    /// one report for each server.
    pub(super) fn take_lacked(
        &mut self,
        now: Time,
        config: &ServerConfig,
    ) -> Vec<(ServerId, PeerWord)> {
        let is_crowd = self.look_pause_ms(config) > 0;
        let pause_ms = self.pass_pause_ms(config);
        let most = if is_crowd { self.reports.len() } else { usize::MAX };
        let (mut lacked, mut waits) = (Vec::new(), false);
        for (&peer, had) in &mut self.had {
            for (&server, Known { report, since }) in &self.reports {
                let has = had.get(&server).is_some_and(|version| *version >= report.version);
                if has || report.is_ready_for(peer) {
                    continue;
                }
                if lacked.len() >= most || is_crowd && now < since.plus_ms(pause_ms) {
                    waits = true;
                    continue;
                }
                had.insert(server, report.version);
                lacked.push((peer, report.message(server)));
            }
        }
        if waits {
            self.plan(now, config);
        }
        lacked
    }

    /// The reports of those that are reached, over others, by these reports and by the connections
    /// to peers; ascending.
    pub(super) fn live(&self) -> Vec<(ServerId, &LinkReport)> {
        let (ids, reports): (Vec<_>, Vec<_>) = self.iter().unzip();
        let mut is_live = vec![false; ids.len()];
        let peers: Vec<ServerId> = self.had.keys().copied().collect();
        let mut next: Vec<usize> = places(&ids, &peers).flatten().collect();
        while let Some(at) = next.pop() {
            if !core::mem::replace(&mut is_live[at], true) {
                let named = [reports[at].servers(), reports[at].ready()];
                let named = named.into_iter().flat_map(|names| places(&ids, names).flatten());
                next.extend(named.filter(|other| !is_live[*other]));
            }
        }
        let all = ids.into_iter().zip(reports).zip(is_live);
        all.filter(|(_, is_live)| *is_live).map(|(live, _)| live).collect()
    }
}

/// What became of a report that arrived.
pub(super) enum Heard {
    New,
    /// It is known already, or there is no room for it.
    Known,
    /// This one is later: whoever passes on the other does not have it.
    Older(PeerWord),
    /// It goes to the server that it is of, which is connected and did not send it.
    Earlier(PeerWord),
}

/// The versions of what this server tells others.
#[derive(Debug)]
pub(super) struct Versions {
    last: u64,
    /// How often the version was raised above one of an earlier incarnation.
    raises: u8,
}

impl Versions {
    pub(super) fn new(boot: u64) -> Self {
        Self { last: boot, raises: 0 }
    }

    /// The version of the next message.
    pub(super) fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// The version of the last message.
    #[cfg(test)]
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// A report of this server came back with `version`. If this incarnation never sent it, an
    /// earlier one did, or another server with this id.
    pub(super) fn handle_own(&mut self, version: u64) -> Own {
        if version <= self.last || self.raises > RAISES_MAX {
            return Own::Known;
        }
        self.raises += 1;
        if self.raises > RAISES_MAX {
            return Own::Duplicate;
        }
        self.last = version;
        Own::Raised
    }
}

/// What follows when a report of this server comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    Known,
    /// The version was raised: the report is to be sent anew.
    Raised,
    /// Another server has this id. Returned once.
    Duplicate,
}
