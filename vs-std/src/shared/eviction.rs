//! When a process leaves its group since its application receives too slowly.

use core::time::Duration;

use vs_core::{DetachReason, Time};

use crate::group::SlowReader;

/// Watches how much waits to be received.
#[derive(Debug)]
pub(super) struct Eviction {
    lag_bytes: usize,
    after_ms: u64,
    /// Since when too much waits.
    since: Option<Time>,
    /// What waited when the process began to leave.
    begun: Option<u64>,
    /// Messages that came after that.
    skipped: u64,
}

impl Eviction {
    /// What `slow_reader` asks for, with an inbox of `inbox_bytes`.
    pub(super) fn new(slow_reader: SlowReader, inbox_bytes: usize) -> Option<Self> {
        let SlowReader::Evict { lag_bytes, after } = slow_reader else { return None };
        Some(Self {
            lag_bytes: lag_bytes.clamp(1, inbox_bytes.max(1)),
            after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
            since: None,
            begun: None,
            skipped: 0,
        })
    }

    /// `waiting` bytes of events wait at `now`. True once: the process has to leave.
    pub(super) fn is_due(&mut self, waiting: usize, now: Time) -> bool {
        if self.begun.is_some() {
            return false;
        }
        if waiting < self.lag_bytes {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert(now);
        if now < since.plus_ms(self.after_ms) {
            return false;
        }
        self.begun = Some(waiting as u64);
        true
    }

    /// How long to wait at most until [`Eviction::is_due`] is asked again.
    pub(super) fn left(&self, now: Time) -> Option<Duration> {
        let since = self.since.filter(|_| self.begun.is_none())?;
        Some(Duration::from_nanos(since.plus_ms(self.after_ms) - now))
    }

    /// Whether the process leaves.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.is_some()
    }

    /// A message came that nobody will receive.
    pub(super) fn skip(&mut self) {
        self.skipped += 1;
    }

    /// If the process leaves: why, and how many messages nobody will receive.
    pub(super) fn outcome(&self) -> Option<(DetachReason, u64)> {
        let (after_ms, waiting_bytes) = (self.after_ms, self.begun?);
        Some((DetachReason::SlowReader { waiting_bytes, after_ms }, self.skipped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_leaves_after_lag_lasted_long_enough() {
        let at = Time::from_millis;
        let after = Duration::from_millis(100);
        let policy = SlowReader::Evict { lag_bytes: 1000, after };
        let mut eviction = Eviction::new(policy, 4000).unwrap();
        assert!(!eviction.is_due(999, at(0)) && eviction.left(at(0)).is_none());
        assert!(!eviction.is_due(1000, at(10)));
        assert_eq!(eviction.left(at(60)), Some(Duration::from_millis(50)));
        assert!(!eviction.is_due(10, at(60)), "it caught up");
        assert!(!eviction.is_due(2000, at(70)));
        assert!(!eviction.is_due(2000, at(169)));
        assert!(eviction.is_due(3000, at(170)));
        assert!(!eviction.is_due(3000, at(171)), "it is told once");
        let reason = DetachReason::SlowReader { waiting_bytes: 3000, after_ms: 100 };
        assert!(reason.is_final());
        assert_eq!(eviction.outcome(), Some((reason, 0)));
    }

    /// More than the inbox holds never waits.
    #[test]
    fn lag_beyond_the_inbox_means_a_full_inbox() {
        let policy = SlowReader::Evict { lag_bytes: usize::MAX, after: Duration::ZERO };
        assert!(Eviction::new(policy, 100).unwrap().is_due(100, Time::ZERO));
        assert!(Eviction::new(SlowReader::Skip, 100).is_none());
    }
}
