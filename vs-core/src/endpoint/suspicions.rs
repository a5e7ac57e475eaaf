//! Which members owe this process something for too long ([rule
//! 5.2](crate::manual::algorithm#rule-5-2)).

use crate::ident::ProcessId;
use crate::time::{Time, Wake};
use crate::view::Members;

/// A pause between two reviews that is longer than `peer_ms` divided by this was a suspension of
/// this process: the detectors start again instead of accusing.
const JUMP_DIVISOR: u64 = 2;

/// Reviews per `peer_ms`.
const REVIEWS_PER_PEER_MS: u64 = 4;

/// What members owe at the moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Debts {
    is_sync_missing: bool,
    is_cast_owed: bool,
}

impl Debts {
    /// Whether a sync message is missing for the announced view, and whether the multicast waits
    /// for something: an acknowledgement, a repair or credit.
    pub(super) fn new(is_sync_missing: bool, is_cast_owed: bool) -> Self {
        Self { is_sync_missing, is_cast_owed }
    }
}

/// A review of what is owed is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Review {
    /// At its time.
    InTime,
    /// Much too late: this process was suspended. Nobody else is to blame, and the detectors start
    /// again.
    AfterSuspension,
}

/// Who is accused, and when to look again.
#[derive(Debug, Default)]
pub(super) struct Suspicions {
    /// Ascending.
    accused: Members,
    /// When the announced view arrived for which sync messages are missing.
    awaiting_since: Option<Time>,
    reviewed_at: Time,
    /// Whether the process is attached. One that is not cannot tell its own silence from that of
    /// others, and can accuse nobody.
    is_attached: bool,
}

impl Suspicions {
    /// A view was announced: sync messages are owed from now on.
    pub(super) fn handle_announced(&mut self, now: Time) {
        self.awaiting_since = Some(now);
    }

    /// A view was installed: nobody owes anything of the old one. True if accusations have to be
    /// withdrawn.
    pub(super) fn handle_installed(&mut self, now: Time) -> bool {
        let is_accusing = !self.accused.is_empty();
        *self = Self { reviewed_at: now, is_attached: self.is_attached, ..Self::default() };
        is_accusing
    }

    /// Whether the process is attached.
    pub(super) fn is_attached(&self) -> bool {
        self.is_attached
    }

    /// The process is attached (again): a member that owed something before gets the full time
    /// again.
    pub(super) fn handle_attached(&mut self, now: Time) {
        let awaiting_since = self.awaiting_since.map(|_| now);
        *self = Self { awaiting_since, reviewed_at: now, is_attached: true, ..Self::default() };
    }

    /// The attachment ended: nobody is accused any more.
    pub(super) fn handle_detached(&mut self) {
        self.is_attached = false;
        self.accused.clear();
    }

    /// Nothing was owed until `now` if no review is planned: a debt that begins now gets the full
    /// time.
    pub(super) fn rest_until(&mut self, now: Time, peer_ms: u64, debts: Debts) {
        if self.poll_timeout(peer_ms, debts).is_none() {
            self.reviewed_at = now;
        }
    }

    pub(super) fn poll_timeout(&self, peer_ms: u64, debts: Debts) -> Option<(Time, Wake)> {
        if !self.is_attached {
            return None;
        }
        let is_awaiting = self.awaiting_since.is_some() && debts.is_sync_missing;
        if self.accused.is_empty() && !is_awaiting && !debts.is_cast_owed {
            return None;
        }
        let pause_ms = peer_ms.div_ceil(REVIEWS_PER_PEER_MS);
        Some((self.reviewed_at.plus_ms(pause_ms), Wake::Peer))
    }

    /// Time has passed: whether a review is due. If so, [`Suspicions::accuse`] follows.
    pub(super) fn handle_timeout(
        &mut self,
        now: Time,
        peer_ms: u64,
        debts: Debts,
    ) -> Option<Review> {
        self.rest_until(now, peer_ms, debts);
        let (due_at, _) = self.poll_timeout(peer_ms, debts).filter(|(at, _)| *at <= now)?;
        self.reviewed_at = now;
        if now.millis_since(due_at) <= peer_ms.div_ceil(JUMP_DIVISOR) {
            return Some(Review::InTime);
        }
        self.awaiting_since = self.awaiting_since.map(|_| now);
        Some(Review::AfterSuspension)
    }

    /// Whether the missing sync messages are missing for too long.
    pub(super) fn are_syncs_late(&self, now: Time, peer_ms: u64) -> bool {
        self.awaiting_since.is_some_and(|since| now.millis_since(since) >= peer_ms)
    }

    /// The members of `accused` owe something for too long. True if the membership service has to
    /// be told.
    pub(super) fn accuse(&mut self, accused: &[ProcessId]) -> bool {
        // Repeated as long as it is so: the servers may have decided before they heard of all
        // accusations.
        let is_news = !accused.is_empty() || accused != self.accused.as_slice();
        self.accused = Members::from_slice(accused);
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER_MS: u64 = 100;

    /// Fault to avoid: after it was attached again a process accuses nobody of a sync message that
    /// is missing, for ever. Expected: it does, after the full time.
    #[test]
    fn missing_sync_counts_after_reattachment() {
        let at = Time::from_millis;
        let mut suspicions = Suspicions::default();
        suspicions.handle_attached(at(0));
        assert!(!suspicions.are_syncs_late(at(500), PEER_MS), "no view was announced");
        suspicions.handle_announced(at(500));
        suspicions.handle_detached();
        suspicions.handle_attached(at(590));
        let debts = Debts::new(true, false);
        assert!(suspicions.poll_timeout(PEER_MS, debts).is_some());
        for (ms, late) in [(600, false), (689, false), (690, true)] {
            assert_eq!(suspicions.are_syncs_late(at(ms), PEER_MS), late, "{ms}");
        }
    }
}
