//! How high a number is believed that a client claims.

use super::Server;
use crate::ident::{CLAIMED_MAX, IDS_PER_MS, ServerId};
use crate::time::Time;

/// How far ahead of a server's clock numbers may be that a client claims, in ms: 366 days.
///
/// Cids and view numbers are microseconds of some process's UNIX time ([`IDS_PER_MS`]), and all that a group is given later
/// lies above what a client claims. Were any claim believed, one client could lead the others to the end of the numbers, and
/// no other server would take them in ([`CLAIMED_MAX`]). What this margin lets through is followed by numbers that every
/// server believes whose clock is not behind.
///
/// Clocks of clients may be wrong by so much. One that is further ahead is turned away until a clock is set; one that is
/// behind does no harm. Servers' clocks may differ, too: the latest boot value of those that are connected counts as its own, and
/// what servers propose to each other is not held against their clocks. It does matter in one case: a client that another
/// one has led to the very margin, at a server whose clock is some days ahead, finds that a server which never heard of the
/// first takes it in as many days later.
pub(crate) const AHEAD_MAX_MS: u64 = 366 * 24 * 3_600_000;

/// A client whose numbers are too far ahead may ask again after so long, in ms: somebody has to set a clock.
pub(super) const CLOCK_RETRY_MS: u64 = 5_000;

/// A clock that shows an earlier UNIX time, in ms, was never set (1 January 2020): nothing is held against it.
const CLOCK_SET_MS: u64 = 1_577_836_800_000;

impl Server {
    /// Time goes on: `now`, or what it was if that lies before.
    pub(super) fn advance(&mut self, now: Time) {
        self.now = self.now.max(now);
        self.born.get_or_insert(now);
    }

    /// The highest number that a client may claim now.
    pub(super) fn claims_max(&self) -> u64 {
        let clock_ms = self.clock_ms();
        if clock_ms < CLOCK_SET_MS {
            return CLAIMED_MAX;
        }
        clock_ms.saturating_add(AHEAD_MAX_MS).saturating_mul(IDS_PER_MS).min(CLAIMED_MAX)
    }

    /// The highest version of a word that is believed now: versions begin at boot values, and words are seldom.
    pub(super) fn versions_max(&self) -> u64 {
        match self.clock_ms() {
            never_set if never_set < CLOCK_SET_MS => CLAIMED_MAX,
            clock_ms => clock_ms.saturating_add(AHEAD_MAX_MS).min(CLAIMED_MAX),
        }
    }

    /// The latest clock of this server and those that are connected, in ms of UNIX time.
    pub(super) fn clock_ms(&self) -> u64 {
        let of_peer = |server: &ServerId| self.boots.get(server).copied();
        let boot_ms =
            self.peers.keys().filter_map(of_peer).max().unwrap_or_default().max(self.boot);
        boot_ms.saturating_add(self.now.millis_since(self.born.unwrap_or(self.now)))
    }
}
