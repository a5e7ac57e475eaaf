//! Times that follow from a silence.

/// Longest pause between attempts to connect that follows from a long silence, in ms.
pub(crate) const REDIAL_MOST_MS: u64 = 1000;

/// How long an attempt to connect may take, in ms: half of the silence that counts as death. It is
/// at least 400 ms, which serves round trips of 300 ms, and at most 2 s.
pub(crate) fn attempt_ms(silence_ms: u64) -> u64 {
    (silence_ms / 2).clamp(400, 2000)
}
