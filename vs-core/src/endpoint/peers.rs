//! Peers: where they are, and which of them owe us something for too long (rule 5.2).

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::{Cx, Endpoint};
use crate::ident::{GroupKey, Incarnation, ProcessId};
use crate::member::message::Peer;
use crate::time::{Time, Wake};
use crate::view::Members;

/// A pause between two looks at the peers that is longer than this share of `peer_ms` was a suspension of this
/// process: the detectors start again instead of firing.
const JUMP_SHARE: u64 = 2;

/// Accusations are looked at again so often within `peer_ms`.
const REVIEW_SHARE: u64 = 4;

/// The peers of the view and of the change under way, by process.
#[derive(Debug, Default)]
pub(super) struct AddressBook {
    peers: Vec<Peer>,
    me: Option<ProcessId>,
}

impl AddressBook {
    /// Takes up the peers of a start_change; those of `current` stay, too.
    pub(super) fn announce(&mut self, peers: &[Peer], current: &[ProcessId], me: ProcessId) {
        self.me = Some(me);
        self.peers.retain(|known| {
            current.binary_search(&known.process).is_ok()
                && peers.binary_search_by_key(&known.process, |peer| peer.process).is_err()
        });
        self.peers.extend(peers.iter().filter(|peer| peer.process != me));
        self.peers.sort_unstable_by_key(|peer| peer.process);
    }

    /// Forgets all but `members`.
    pub(super) fn retain(&mut self, members: &[ProcessId]) {
        self.peers.retain(|peer| members.binary_search(&peer.process).is_ok());
    }

    fn find(&self, process: ProcessId) -> Option<&Peer> {
        let at = self.peers.binary_search_by_key(&process, |peer| peer.process).ok()?;
        Some(&self.peers[at])
    }

    pub(super) fn addr(&self, process: ProcessId) -> Option<SocketAddr> {
        self.find(process).map(|peer| peer.addr)
    }

    /// Addresses of the peers that `wanted` says, by process.
    pub(super) fn peers<'a>(
        &'a self,
        wanted: impl Fn(ProcessId) -> bool + 'a,
    ) -> impl Iterator<Item = SocketAddr> + 'a {
        self.peers.iter().filter(move |peer| wanted(peer.process)).map(|peer| peer.addr)
    }

    /// Whether a sync message of this incarnation may count: what an earlier one sent may not.
    pub(super) fn accepts(&self, process: ProcessId, incarnation: Incarnation) -> bool {
        self.find(process).is_none_or(|peer| incarnation >= peer.incarnation)
    }
}

/// Who was accused, and when to look again.
#[derive(Debug, Default)]
pub(super) struct Suspicions {
    accused: Members,
    /// When the announced view arrived that some sync messages are still missing for.
    awaiting_since: Option<Time>,
    reviewed: Time,
    /// The process is attached. Whoever is not cannot tell its own silence from that of others, nor accuse anybody.
    watching: bool,
}

impl Suspicions {
    pub(super) fn await_syncs(&mut self, now: Time) {
        self.awaiting_since = Some(now);
    }

    /// A view was installed: nobody owes anything of the old one.
    pub(super) fn reset(&mut self, cx: &mut Cx<'_>, group: GroupKey) {
        if !self.accused.is_empty() {
            cx.client.accuse(cx.now, group, &[]);
        }
        *self = Self { reviewed: cx.now, watching: self.watching, ..Self::default() };
    }

    /// The attachment ended: nobody is accused any more.
    pub(super) fn suspend(&mut self) {
        self.watching = false;
        self.accused.clear();
    }
}

impl Endpoint {
    /// The process is attached (again): who owed something before gets the full time anew.
    pub(super) fn watch_peers(&mut self, cx: &Cx<'_>) {
        let awaiting_since = self.suspicions.awaiting_since.map(|_| cx.now);
        self.suspicions = Suspicions {
            awaiting_since,
            reviewed: cx.now,
            watching: true,
            ..Suspicions::default()
        };
        self.cast.restart_detectors(cx.now);
    }

    /// Nobody owed anything until `now`: who does from now on gets the full time.
    pub(super) fn nothing_was_owed(&mut self, now: Time) {
        if self.suspicion_timeout().is_none() {
            self.suspicions.reviewed = now;
        }
    }

    pub(super) fn suspicion_timeout(&self) -> Option<(Time, Wake)> {
        if !self.suspicions.watching {
            return None;
        }
        let review = self.config.peer_ms.div_ceil(REVIEW_SHARE);
        let awaiting = self.suspicions.awaiting_since.filter(|_| self.sync.is_waiting());
        if self.suspicions.accused.is_empty() && awaiting.is_none() && self.cast_debt().is_none() {
            return None;
        }
        Some((self.suspicions.reviewed.plus_ms(review), Wake::Peer))
    }

    fn cast_debt(&self) -> Option<Time> {
        self.cast.next_accusation()
    }

    /// Accuses the members that owe a sync message, an acknowledgement, a repair or credit for longer than `peer_ms`,
    /// and withdraws what was settled.
    pub(super) fn handle_suspicion_timeout(&mut self, cx: &mut Cx<'_>) {
        self.nothing_was_owed(cx.now);
        let Some((at, _)) = self.suspicion_timeout().filter(|(at, _)| *at <= cx.now) else {
            return;
        };
        let peer_ms = self.config.peer_ms;
        if cx.now.millis_since(at) > peer_ms.div_ceil(JUMP_SHARE) {
            self.cast.restart_detectors(cx.now);
            self.suspicions.awaiting_since = self.suspicions.awaiting_since.map(|_| cx.now);
        }
        self.suspicions.reviewed = cx.now;
        let accused = self.owing(cx);
        // Said again as long as it is so: the servers may have judged before all had been heard.
        if !accused.is_empty() || accused != self.suspicions.accused {
            cx.client.accuse(cx.now, self.key, &accused);
            self.suspicions.accused = accused;
        }
    }

    fn owing(&self, cx: &Cx<'_>) -> Members {
        let mut accused = Members::new();
        let members = self.sync.current().members();
        self.cast.owing(cx.now, |rank| accused.extend(members.get(usize::from(rank)).copied()));
        let late = |since: Time| cx.now.millis_since(since) >= self.config.peer_ms;
        if self.suspicions.awaiting_since.is_some_and(late) {
            accused.extend(self.sync.missing().map(|(p, _)| p));
        }
        let proposed = self.sync.change().map(|change| change.set.as_slice());
        accused.retain(|p| proposed.is_none_or(|set| set.contains(p)));
        accused.sort_unstable();
        accused.dedup();
        accused
    }
}
