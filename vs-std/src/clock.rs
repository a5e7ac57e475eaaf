//! The time that goes into a node, and how it relates to UNIX time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use vs_core::Time;
use vs_core::ident::Incarnation;

use crate::random::random;

/// A monotonic clock that starts at zero and remembers when that was.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    unix_offset: u64,
    nonce: u64,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock that shows zero now.
    #[must_use]
    pub fn new() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), unix_offset: nanos(unix), nonce: random() }
    }

    /// The same clock, moved on so that it started after `reached_ms` of UNIX time: where the time
    /// of day was set back, numbers that follow from it grow nevertheless.
    #[must_use]
    pub fn above(mut self, reached_ms: u64) -> Self {
        if self.unix_start_ms() <= reached_ms {
            self.unix_offset = Time::from_millis(reached_ms.saturating_add(1)).0;
        }
        self
    }

    /// Nanoseconds since the clock was made.
    #[must_use]
    pub fn now(&self) -> Time {
        Time(nanos(self.start.elapsed()))
    }

    /// UNIX time in nanoseconds when the clock showed zero. Time of day that is set later does not
    /// change it: the timestamps of one trace never go backwards.
    #[must_use]
    pub fn unix_offset(&self) -> u64 {
        self.unix_offset
    }

    /// The incarnation of a process that started when the clock showed zero: the time, and a random
    /// nonce.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        Incarnation::new(self.unix_start_ms()).with_nonce(self.nonce)
    }

    /// UNIX time in milliseconds when the clock showed zero: grows with every start of a process.
    #[must_use]
    pub fn unix_start_ms(&self) -> u64 {
        Time(self.unix_offset).as_millis()
    }
}

/// Holds 584 years.
fn nanos(duration: core::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_moved_above_starts_later() {
        let clock = Clock::new();
        let later_ms = clock.unix_start_ms() + 3_600_000;
        assert_eq!(clock.above(later_ms).incarnation().millis(), later_ms + 1);
        assert_eq!(clock.above(9000).unix_offset(), clock.unix_offset(), "it is above already");
    }
}
