//! The time at a server, and how high a number is believed that a client claims.

use crate::ident::{CLAIMED_MAX, CREDIBLE_MAX, IDS_PER_MS};
use crate::time::Time;

/// How far ahead of a server's clock numbers may be that a client claims, in ms: 366 days.
///
/// Cids and view numbers are microseconds of some process's UNIX time ([`IDS_PER_MS`]), and all
/// that a group is given later lies above what a client claims. If any claim were believed, one
/// client could raise the others to the end of the numbers, and no other server would admit them
/// ([`CLAIMED_MAX`]). Numbers that follow a claim within this margin are believed by every server
/// whose clock is not behind.
///
/// The clock of a client may be wrong by this much. A client that is further ahead is turned away
/// until a clock is set; one that is behind does no harm. Clocks of servers may differ, too. So a
/// server uses the latest boot value of all connected servers, as far as that is within this margin
/// of its own clock. What servers propose to each other has the margin twice: beyond, somebody
/// forges. One case remains. A client may raise another one to the margin, at a server whose clock
/// is some days ahead. A server that never heard of the first client then turns the second one away
/// for as many days.
pub(crate) const AHEAD_MAX_MS: u64 = 366 * 24 * 3_600_000;

/// A client whose numbers are too far ahead may ask again after so long, in ms: somebody has to set
/// a clock.
pub(super) const CLOCK_RETRY_MS: u64 = 5_000;

/// A clock that shows an earlier UNIX time, in ms, was never set (1 January 2020): no claim is
/// compared with it.
const CLOCK_SET_MS: u64 = 1_577_836_800_000;

/// The time at a server.
#[derive(Debug)]
pub(super) struct Clock {
    now: Time,
    /// The first time that was told.
    born: Option<Time>,
    /// The UNIX time at which the server started, in ms, as its runtime says.
    boot_ms: u64,
}

impl Clock {
    pub(super) fn new(boot_ms: u64) -> Self {
        Self { now: Time::ZERO, born: None, boot_ms }
    }

    /// The latest time that was told.
    pub(super) fn now(&self) -> Time {
        self.now
    }

    /// Time goes on: `now`, or what it was if that lies before.
    pub(super) fn advance(&mut self, now: Time) {
        self.now = self.now.max(now);
        self.born.get_or_insert(now);
    }

    /// The highest number that a client may claim now; `boot_ms` is the latest boot value of a
    /// connected server.
    pub(super) fn claims_max(&self, boot_ms: u64) -> u64 {
        let unix_ms = self.unix_ms(boot_ms);
        if unix_ms < CLOCK_SET_MS {
            return CLAIMED_MAX;
        }
        unix_ms.saturating_add(AHEAD_MAX_MS).saturating_mul(IDS_PER_MS).min(CLAIMED_MAX)
    }

    /// The highest version of a link report that is believed now: versions begin at boot values,
    /// and reports are seldom.
    pub(super) fn versions_max(&self, boot_ms: u64) -> u64 {
        match self.unix_ms(boot_ms) {
            never_set if never_set < CLOCK_SET_MS => CLAIMED_MAX,
            unix_ms => unix_ms.saturating_add(AHEAD_MAX_MS).min(CLAIMED_MAX),
        }
    }

    /// The highest id that a server may propose now.
    pub(super) fn proposed_max(&self, boot_ms: u64) -> u64 {
        let margin = AHEAD_MAX_MS * IDS_PER_MS;
        match self.claims_max(boot_ms) {
            CLAIMED_MAX => CREDIBLE_MAX,
            claimed => claimed.saturating_add(margin).min(CREDIBLE_MAX),
        }
    }

    /// The highest boot value of another server that counts now. One that is too far ahead of the
    /// own clock counts for nothing, unless that was never set.
    pub(super) fn boots_max(&self) -> u64 {
        match self.unix_ms(0) {
            never_set if never_set < CLOCK_SET_MS => u64::MAX,
            unix_ms => unix_ms.saturating_add(AHEAD_MAX_MS),
        }
    }

    /// The latest clock of this server and those that are connected, in ms of UNIX time.
    pub(super) fn unix_ms(&self, boot_ms: u64) -> u64 {
        let boot_ms = boot_ms.max(self.boot_ms);
        boot_ms.saturating_add(self.now.millis_since(self.born.unwrap_or(self.now)))
    }
}
