//! Who owes something for too long: an acknowledgement, a repair, or credit. One timer is enough:
//! it is set to the earliest time at which anybody can be due, and looked at anew when it fires.

use alloc::vec;
use alloc::vec::Vec;

use crate::ident::{Rank, Seq};
use crate::time::Time;

/// Bytes of what is known of a peer: two times here, and its credit.
pub(super) const PEER_BYTES: usize = 2 * size_of::<Time>() + size_of::<Seq>();

/// Since when members owe something, and when the first of them can be accused.
#[derive(Debug)]
pub(super) struct Peers {
    /// Since when a member owes an acknowledgement, if it owes one: its last progress counts.
    acks: Vec<Time>,
    /// Since when a member owes credit, if it owes any.
    credit: Vec<Time>,
    /// When the own stream last became stable any further.
    stable_at: Time,
    /// No member can be due before.
    at: Option<Time>,
    /// Whether somebody was due when that was last looked at.
    due: bool,
    /// Members that have acknowledged all that was transmitted.
    settled: usize,
    /// How long a member may owe something.
    peer_ms: u64,
}

/// What a look at all members found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checked {
    due: bool,
    next: Option<Time>,
}

impl Peers {
    pub(super) fn new(ranks: usize, peer_ms: u64, now: Time) -> Self {
        Self {
            acks: vec![now; ranks],
            credit: vec![now; ranks],
            stable_at: now,
            at: None,
            due: false,
            settled: ranks - 1,
            peer_ms,
        }
    }

    /// When the next member can be due to be accused.
    pub(super) fn at(&self) -> Option<Time> {
        self.at
    }

    /// Whether somebody was due when that was last looked at.
    pub(super) fn is_due(&self) -> bool {
        self.due
    }

    /// Since when `rank` owes an acknowledgement, if it does.
    pub(super) fn ack_since(&self, rank: Rank) -> Time {
        self.acks[usize::from(rank)]
    }

    /// Since when `rank` owes credit, if it does.
    pub(super) fn credit_since(&self, rank: Rank) -> Time {
        self.credit[usize::from(rank)].max(self.stable_at)
    }

    /// Somebody may owe something from now on.
    pub(super) fn watch(&mut self, now: Time) {
        if self.at.is_none() {
            self.at = Some(now.plus_ms(self.peer_ms));
        }
    }

    /// Time has jumped: everybody gets `peer_ms` anew.
    pub(super) fn restart(&mut self, now: Time) {
        self.acks.fill(now);
        self.credit.fill(now);
        self.due = false;
        if self.at.is_some() {
            self.at = Some(now.plus_ms(self.peer_ms));
        }
    }

    /// Whether members have to be looked at: somebody can be due.
    pub(super) fn must_check(&self, now: Time) -> bool {
        self.at.is_some_and(|at| at <= now)
    }

    /// Looks at the times since when members owe something.
    pub(super) fn check(&self, now: Time, debts: impl Iterator<Item = Time>) -> Checked {
        let mut checked = Checked { due: false, next: None };
        for since in debts {
            // Who is due now is accused now, and again if that changes nothing.
            let due = since.plus_ms(self.peer_ms);
            checked.due |= due <= now;
            let at = if due > now { due } else { now.plus_ms(self.peer_ms) };
            checked.next = checked.next.into_iter().chain([at]).min();
        }
        checked
    }

    /// All members were looked at.
    pub(super) fn handle_checked(&mut self, checked: Checked) {
        self.due = checked.due;
        self.at = checked.next;
    }

    /// Packets went out after a time in which some members had acknowledged all: those that
    /// `had_all`.
    pub(super) fn handle_transmitted(&mut self, now: Time, had_all: impl Fn(Rank) -> bool) {
        if self.settled > 0 {
            self.settled = 0;
            for (rank, since) in (0..).zip(&mut self.acks) {
                if had_all(rank) {
                    *since = now;
                }
            }
        }
        self.watch(now);
    }

    /// `rank` acknowledged more than before, and perhaps `all` that was transmitted.
    pub(super) fn handle_ack(&mut self, now: Time, rank: Rank, all: bool) {
        self.acks[usize::from(rank)] = now;
        self.settled += usize::from(all);
    }

    /// `rank` has more room than before, or is asked for more.
    pub(super) fn handle_credit(&mut self, now: Time, rank: Rank) {
        self.credit[usize::from(rank)] = now;
    }

    /// The own stream became stable further.
    pub(super) fn handle_stable(&mut self, now: Time) {
        self.stable_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Time jumps when this process was suspended: nobody else is to blame.
    #[test]
    fn all_detectors_restart_after_time_jumped() {
        let at = Time::from_millis;
        let mut peers = Peers::new(3, 100, at(0));
        peers.watch(at(0));
        peers.handle_credit(at(5), 1);
        let checked = peers.check(at(200), [at(0)].into_iter());
        peers.handle_checked(checked);
        assert!(peers.is_due());
        peers.restart(at(1000));
        assert!(!peers.is_due());
        assert_eq!(peers.at(), Some(at(1100)));
        for rank in 0..3 {
            let since = (peers.ack_since(rank), peers.credit_since(rank));
            assert_eq!(since, (at(1000), at(1000)), "{rank}");
        }
    }

    #[test]
    fn credit_is_owed_since_last_progress() {
        let at = Time::from_millis;
        let mut peers = Peers::new(3, 100, at(0));
        peers.handle_credit(at(5), 1);
        assert_eq!([0, 1].map(|rank| peers.credit_since(rank)), [at(0), at(5)]);
        peers.handle_stable(at(9));
        assert_eq!([0, 1].map(|rank| peers.credit_since(rank)), [at(9); 2]);
        peers.handle_credit(at(10), 0);
        assert_eq!([0, 1].map(|rank| peers.credit_since(rank)), [at(10), at(9)]);
    }
}
