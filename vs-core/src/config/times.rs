//! Times in the units of fields, and times that follow from a silence.

use core::time::Duration;

/// The number of ms in `time`, rounded up, or [`u64::MAX`] if it is greater.
pub(crate) fn to_ms(time: Duration) -> u64 {
    to_units(time, 1_000_000)
}

/// The number of µs in `time`, rounded up, or [`u64::MAX`] if it is greater.
pub(crate) fn to_us(time: Duration) -> u64 {
    to_units(time, 1_000)
}

fn to_units(time: Duration, unit_ns: u128) -> u64 {
    time.as_nanos().div_ceil(unit_ns).try_into().unwrap_or(u64::MAX)
}

/// Longest pause between attempts to connect that follows from a long silence, in ms.
pub(crate) const REDIAL_MOST_MS: u64 = 1000;

/// How long an attempt to connect may take, in ms: half of the silence that counts as death. It is
/// at least 400 ms, which serves round trips of 300 ms, and at most 2 s.
pub(crate) fn attempt_ms(silence_ms: u64) -> u64 {
    (silence_ms / 2).clamp(400, 2000)
}
