//! Who owes something for too long: an acknowledgement, a repair, or credit. One timer is enough: it is set to the
//! earliest time at which anybody can be due, and looked at anew when it fires.

use alloc::vec;
use alloc::vec::Vec;

use super::Cast;
use crate::ident::{Rank, Seq};
use crate::time::Time;

/// Bytes of what is known of a peer: two times here, and its credit.
pub(super) const PEER_BYTES: usize = 2 * size_of::<Time>() + size_of::<Seq>();

#[derive(Debug)]
pub(super) struct Peers {
    /// Since when a member owes an acknowledgement, if it owes one: its last progress counts.
    acks: Vec<Time>,
    /// Likewise for credit.
    credit: Vec<Time>,
    /// When the own stream last became stable any further.
    pub(super) stable_at: Time,
    /// No member can be due before.
    at: Option<Time>,
    /// Whether somebody was due when that was last looked at.
    due: bool,
    /// Members that have acknowledged all that was transmitted.
    settled: usize,
}

impl Peers {
    pub(super) fn new(ranks: usize, now: Time) -> Self {
        Self {
            acks: vec![now; ranks],
            credit: vec![now; ranks],
            stable_at: now,
            at: None,
            due: false,
            settled: ranks - 1,
        }
    }
}

impl Cast {
    /// Calls `accuse` for each rank that has owed an acknowledgement, a repair or credit for `peer_ms` without any
    /// progress. To be called after [`Cast::handle_timeout`], which finds out whether there can be one.
    pub(crate) fn owing(&self, now: Time, mut accuse: impl FnMut(Rank)) {
        if self.frozen || !self.peers.due {
            return;
        }
        for rank in 0..self.ranks() as Rank {
            let due = self.debt_since(rank).map(|since| since.plus_ms(self.settings.peer_ms));
            if due.is_some_and(|due| due <= now) {
                accuse(rank);
            }
        }
    }

    /// When the next member can be due to be accused; part of [`Cast::poll_timeout`].
    pub(crate) fn next_accusation(&self) -> Option<Time> {
        if self.frozen { None } else { self.peers.at }
    }

    /// Time has jumped: everybody gets `peer_ms` anew.
    pub(crate) fn restart_detectors(&mut self, now: Time) {
        self.peers.acks.fill(now);
        self.peers.credit.fill(now);
        self.peers.stable_at = now;
        self.peers.due = false;
        for stream in &mut self.streams {
            stream.gap.restart(now);
        }
        if self.peers.at.is_some() {
            self.peers.at = Some(now.plus_ms(self.settings.peer_ms));
        }
    }

    pub(super) fn check_peers(&mut self, now: Time) {
        if self.peers.at.is_none_or(|at| at > now) {
            return;
        }
        let peer_ms = self.settings.peer_ms;
        let mut next: Option<Time> = None;
        self.peers.due = false;
        for rank in 0..self.ranks() as Rank {
            let Some(since) = self.debt_since(rank) else { continue };
            // Who is due now is accused now, and again if that changes nothing.
            let due = since.plus_ms(peer_ms);
            self.peers.due |= due <= now;
            let at = if due > now { due } else { now.plus_ms(peer_ms) };
            next = next.into_iter().chain([at]).min();
        }
        self.peers.at = next;
    }

    /// Since when `rank` owes something, if it does.
    fn debt_since(&self, rank: Rank) -> Option<Time> {
        if rank == self.me {
            return None;
        }
        let index = usize::from(rank);
        let acks = self.acks_owed_since(rank);
        let credit =
            self.owes_credit(rank).then(|| self.peers.credit[index].max(self.peers.stable_at));
        [acks, credit, self.repair_owed_since(rank)].into_iter().flatten().min()
    }

    /// Since when `rank` owes an acknowledgement, if it does.
    pub(crate) fn acks_owed_since(&self, rank: Rank) -> Option<Time> {
        let owes = self.stability.received(self.me, rank) < self.sender.transmitted;
        owes.then_some(self.peers.acks[usize::from(rank)])
    }

    /// Whether `rank` keeps the window closed by not delivering. If it cannot free its ring since somebody else owes
    /// acknowledgements, it is not to blame.
    fn owes_credit(&self, rank: Rank) -> bool {
        let own = &self.streams[usize::from(self.me)];
        let fair = own.stable + self.settings.window as u64;
        self.sender
            .refused
            .is_some_and(|needed| self.sender.credit[usize::from(rank)] < needed.min(fair))
    }

    /// A message was refused that needs the window to reach `needed`.
    pub(super) fn note_refused(&mut self, now: Time, needed: Seq) {
        let before = self.sender.refused.unwrap_or(0);
        if needed <= before {
            return;
        }
        self.sender.refused = Some(needed);
        for (credit, since) in self.sender.credit.iter().zip(&mut self.peers.credit) {
            if (before..needed).contains(credit) {
                *since = now;
            }
        }
        self.watch_peers(now);
    }

    /// Packets up to `sender.transmitted` went out, of which `before` had gone earlier.
    pub(super) fn note_transmitted(&mut self, now: Time, before: Seq) {
        if self.peers.settled > 0 {
            self.peers.settled = 0;
            for rank in 0..self.ranks() as Rank {
                if self.stability.received(self.me, rank) == before {
                    self.peers.acks[usize::from(rank)] = now;
                }
            }
        }
        self.watch_peers(now);
    }

    pub(super) fn note_progress_of_acks(&mut self, now: Time, rank: Rank) {
        self.peers.acks[usize::from(rank)] = now;
        if self.stability.received(self.me, rank) == self.sender.transmitted {
            self.peers.settled += 1;
        }
    }

    pub(super) fn note_progress_of_credit(&mut self, now: Time, rank: Rank) {
        self.peers.credit[usize::from(rank)] = now;
    }

    pub(super) fn watch_peers(&mut self, now: Time) {
        if self.peers.at.is_none() {
            self.peers.at = Some(now.plus_ms(self.settings.peer_ms));
        }
    }
}
