//! What a server counts.

use serde::{Deserialize, Serialize};

/// What a server counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
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
    /// Connections that were closed for another one before they had shown a key, or named
    /// themselves: see [`ServerConfig::strangers_max`](crate::member::ServerConfig).
    pub strangers_crowded_out: u64,
    /// Connections that took too long to show a key, or to name themselves.
    pub strangers_late: u64,
    /// Connections that spoke another protocol, or with another key or none.
    pub strangers_refused: u64,
    /// Connections that found no room within `connections_max`.
    pub no_room: u64,
    /// Connections that were closed since they did not read what they were sent, or held most of
    /// what all connections may hold (`buffers_bytes_max`).
    pub readers_given_up: u64,
    /// Proposals of peers that were dropped: nobody has clients there who would be in that view, or
    /// its cids are not those of its set.
    pub proposals_dropped: u64,
    /// Accusations that peers told of in the name of somebody who is no client of theirs.
    pub accusations_dropped: u64,
    /// Claims of clients and peers that are too far ahead of the clocks here: boot values, versions
    /// of reports, ids, incarnations.
    pub claims_ahead: u64,
    /// Searches for the servers with which views are shared, after links changed or were reported.
    pub link_searches: u64,
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
        self.strangers_crowded_out += other.strangers_crowded_out;
        self.strangers_late += other.strangers_late;
        self.strangers_refused += other.strangers_refused;
        self.no_room += other.no_room;
        self.readers_given_up += other.readers_given_up;
        self.proposals_dropped += other.proposals_dropped;
        self.accusations_dropped += other.accusations_dropped;
        self.claims_ahead += other.claims_ahead;
        self.link_searches += other.link_searches;
    }
}
