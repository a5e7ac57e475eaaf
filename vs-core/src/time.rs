//! Time as the core sees it: a number that the runtime hands in.

use core::ops::{Add, Sub};
use core::time::Duration;

/// A point in time, in nanoseconds since an origin that the runtime chooses and keeps.
///
/// The core never reads a clock. A time that goes backwards is clamped by [`crate::Node`] and by
/// [`crate::member::Server`] to the latest one seen, so a runtime need not guard against it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// The origin.
    pub const ZERO: Self = Self(0);

    /// A point `ms` milliseconds after the origin.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms.saturating_mul(NANOS_PER_MILLI))
    }

    /// Whole milliseconds since the origin.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / NANOS_PER_MILLI
    }

    /// This time moved on by `ms` milliseconds, saturating.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(NANOS_PER_MILLI)))
    }

    /// This time moved on by `us` microseconds, saturating.
    #[must_use]
    pub const fn plus_us(self, us: u64) -> Self {
        Self(self.0.saturating_add(us.saturating_mul(NANOS_PER_MICRO)))
    }

    /// Milliseconds from `earlier` to this time; zero if `earlier` is later.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / NANOS_PER_MILLI
    }
}

/// A point in time that long after the origin, saturating.
impl From<Duration> for Time {
    fn from(since_origin: Duration) -> Self {
        Self(u64::try_from(since_origin.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// The time since the origin.
impl From<Time> for Duration {
    fn from(time: Time) -> Self {
        Self::from_nanos(time.0)
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    /// Adds a duration, saturating.
    fn add(self, duration: Duration) -> Self {
        self + Self::from(duration).0
    }
}

impl Add<u64> for Time {
    type Output = Self;

    /// Adds nanoseconds, saturating.
    fn add(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }
}

impl Sub for Time {
    type Output = u64;

    /// Nanoseconds between two times; zero if `rhs` is later.
    fn sub(self, rhs: Self) -> u64 {
        self.0.saturating_sub(rhs.0)
    }
}

/// Something that may happen some times at once, and in the long run once per pause.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// The time by which all that happened would have had its pause.
    paid: Time,
}

impl Pace {
    /// When it may happen next, if it may happen `at_once` times without a pause of `pause` ns.
    pub(crate) fn next(self, at_once: u64, pause: u64) -> Time {
        Time(self.paid.0.saturating_sub((at_once - 1) * pause))
    }

    /// It happens now, and a pause of `pause` ns belongs to it.
    pub(crate) fn spend(&mut self, now: Time, pause: u64) {
        self.paid = self.paid.max(now) + pause;
    }

    /// It happens now if it may; otherwise it is said when it may.
    pub(crate) fn take(&mut self, now: Time, at_once: u64, pause: u64) -> Result<(), Time> {
        let at = self.next(at_once, pause);
        if at > now {
            return Err(at);
        }
        self.spend(now, pause);
        Ok(())
    }
}

/// Why a node wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wake {
    /// The membership server must hear from this node, or has been silent for too long itself.
    Server,
    /// A connection may be tried again.
    Reconnect,
    /// A sync message or a request for one is repeated.
    Sync,
    /// A gap is reported.
    Nak,
    /// An acknowledgement is due.
    Ack,
    /// A heartbeat is due.
    Heartbeat,
    /// A peer has owed something for too long.
    Peer,
    /// A member is to be asked, since no multicast of it is heard.
    Reach,
    /// The application owes an answer to a block request.
    BlockOk,
}

/// The earlier of two wake-ups; the first if they are at the same time.
pub(crate) fn earlier(a: Option<(Time, Wake)>, b: Option<(Time, Wake)>) -> Option<(Time, Wake)> {
    match (a, b) {
        (Some(a), Some(b)) if b.0 < a.0 => Some(b),
        (Some(a), _) => Some(a),
        (None, b) => b,
    }
}

const NANOS_PER_MILLI: u64 = 1_000_000;
const NANOS_PER_MICRO: u64 = 1_000;
