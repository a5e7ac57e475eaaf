//! Of two processes under one id one is refused.
//!
//! A process that died and came back cannot be told from a second one by what it says, only by what becomes of the first:
//! whoever is known to hold the id has the time in which a dead one is missed to be missed. Meanwhile the other waits, and
//! inherits. Servers that do not know of each other may both have let one in; when they come together, the later life stays.

use alloc::vec::Vec;

use super::group::{Cx, Group, Local};
use crate::member::DetachReason;
use crate::member::attached::{Attachment, Report};
use crate::member::detector::Silence;
use crate::time::Time;

/// A request to attach while somebody else holds the id.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) local: Local,
    /// Of whoever holds the id. It is not told of signs of life: that it is still there in the end is one.
    patience: Silence,
}

impl Waiting {
    pub(super) fn next_look(&self) -> Time {
        self.patience.next_look()
    }
}

/// Who holds an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    attachment: Attachment,
    at: Whereabouts,
}

/// Where the holder of an id is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whereabouts {
    /// At a server that was lost; it may come over.
    Lost,
    Elsewhere,
    Here,
}

impl Local {
    /// Whether both are of one life of one process: another one may have begun in the same millisecond.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        self.peer == other.peer
    }

    /// Whether one life asked for both, and for this one later. Of its two connections the one that it has left may be
    /// read last.
    pub(super) fn supersedes(&self, old: &Self) -> bool {
        self.is_of(old) && self.attachment > old.attachment
    }
}

impl Group {
    /// Who else is known to hold the id of `local`.
    pub(super) fn holder(&self, local: &Local) -> Option<Holder> {
        let process = local.peer.process;
        let here = self.locals.get(&process).filter(|old| !old.is_of(local));
        let here = here.map(|old| Holder { attachment: old.attachment, at: Whereabouts::Here });
        let remotes = self.remotes.values().flat_map(|remote| {
            let lost = remote.lost_until.is_some();
            let at = if lost { Whereabouts::Lost } else { Whereabouts::Elsewhere };
            remote.clients.iter().map(move |(client, addr)| (client, *addr, at))
        });
        let elsewhere = remotes
            .filter(|(client, addr, _)| {
                let life = client.attachment.incarnation;
                client.process == process
                    && (life, *addr) != (local.peer.incarnation, local.peer.addr)
            })
            .map(|(client, _, at)| Holder { attachment: client.attachment, at });
        here.into_iter().chain(elsewhere).max_by_key(|holder| (holder.at, holder.attachment))
    }

    /// `local` asks for an id that `holder` has: a later life may be that of one that died unnoticed.
    pub(super) fn wait(&mut self, cx: &mut Cx<'_>, local: Local, holder: Holder) {
        if holder.attachment.incarnation >= local.attachment.incarnation {
            return self.refuse(cx, &local, DetachReason::DuplicateId, 0);
        }
        // Another server misses its clients as late as this one does, and is missed itself as late again.
        let silence_ms = cx.config.silence_ms;
        let ms = if holder.at == Whereabouts::Here { silence_ms } else { 2 * silence_ms };
        if self.waiting.iter().any(|w| w.local.supersedes(&local)) {
            return;
        }
        self.stop_waiting(&local);
        self.waiting.push(Waiting { local, patience: Silence::new(cx.now, ms) });
    }

    /// Nobody waits any more over the connection of `local`, nor over one that its process has left.
    pub(super) fn stop_waiting(&mut self, local: &Local) {
        self.waiting.retain(|w| w.local.conn != local.conn && !local.supersedes(&w.local));
    }

    /// Lets those in who wait for an id that nobody holds any more; false if there are none.
    pub(super) fn admit_heirs(&mut self, cx: &mut Cx<'_>) -> bool {
        let mut any = false;
        loop {
            let free = self.waiting.iter().map(|w| w.local).filter(|l| self.holder(l).is_none());
            let Some(heir) = free.max_by_key(|local| local.attachment) else { return any };
            self.admit(cx, heir);
            any = true;
        }
    }

    /// Who held the id was not missed all the time: the newcomer is the stranger.
    pub(super) fn refuse_strangers(&mut self, cx: &mut Cx<'_>) {
        let (late, waiting): (Vec<_>, Vec<_>) = core::mem::take(&mut self.waiting)
            .into_iter()
            .map(|mut w| (w.patience.look(cx.now), w))
            .partition(|(late, _)| *late);
        self.waiting = waiting.into_iter().map(|(_, w)| w).collect();
        for (_, mut w) in late {
            match self.holder(&w.local).map(|holder| holder.at) {
                // Until it comes over, or its grace is over.
                Some(Whereabouts::Lost) => {
                    w.patience.hear(cx.now);
                    self.waiting.push(w);
                }
                _ => self.refuse(cx, &w.local, DetachReason::DuplicateId, 0),
            }
        }
    }

    /// Another server has let a later life in under an id that somebody has here.
    pub(super) fn give_up_ids(&mut self, cx: &mut Cx<'_>, report: &Report) {
        let strangers = |local: &&Local| {
            let at = report.binary_search_by_key(&local.peer.process, |client| client.process);
            let Ok(client) = at.map(|at| &report[at]) else { return false };
            let (life, addr) = (client.attachment.incarnation, self.addr(client));
            client.home != cx.me && (life, addr) != (local.peer.incarnation, local.peer.addr)
        };
        let strangers: Vec<Local> = self.locals.values().filter(strangers).copied().collect();
        for local in &strangers {
            self.locals.remove(&local.peer.process);
            self.expel(cx, local, DetachReason::DuplicateId, 0);
        }
        if !strangers.is_empty() {
            self.tell_clients(cx);
        }
    }
}
