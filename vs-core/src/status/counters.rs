//! What a server counts.

use serde::{Deserialize, Serialize};

/// What a server counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServerCounters {
    /// start_changes, counted once a change and group.
    pub changes: u64,
    /// Proposals sent (to itself included, once a proposal).
    pub proposals: u64,
    /// Views decided in the fast mode.
    pub views_fast: u64,
    /// Views decided in the slow mode.
    pub views_slow: u64,
    /// Time from the first start_change of a change to its view, in ms, summed over all changes.
    pub change_ms_sum: u64,
    /// The longest time from the first start_change of a change to its view, in ms.
    pub change_ms_max: u64,
    /// Frames that were skipped, since they are of kinds that this version does not know.
    pub frames_skipped: u64,
    /// Beacons that were dropped: in the clear and there are keys, sealed and there are none, or
    /// sealed with another key.
    pub beacons_dropped: u64,
}

impl ServerCounters {
    /// Adds what another server counted, or an earlier incarnation of this one.
    pub fn add(&mut self, other: &Self) {
        self.changes += other.changes;
        self.proposals += other.proposals;
        self.views_fast += other.views_fast;
        self.views_slow += other.views_slow;
        self.change_ms_sum += other.change_ms_sum;
        self.change_ms_max = self.change_ms_max.max(other.change_ms_max);
        self.frames_skipped += other.frames_skipped;
        self.beacons_dropped += other.beacons_dropped;
    }
}
