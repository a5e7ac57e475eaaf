//! How often a side of a connection sends a sign of life.
//!
//! Each side is configured for a silence after which the other counts as dead, and for a pause
//! after which it sends a sign of life itself. The two sides may be configured for different times.
//! So a side that needs signs at another rate than usual says so ([`announced`]), and the other
//! sends them as often as that needs.

/// The silence that a side is taken to be configured for that says nothing, in ms.
const USUAL_SILENCE_MS: u64 = 1000;

/// Signs of life per silence of the other side.
const SIGNS_PER_SILENCE: u64 = 4;

/// The shortest pause between signs of life, whatever the other side asks for, in ms.
const PAUSE_MIN_MS: u64 = 10;

/// The silence to announce, in ms, if one of `silence_ms` has to be.
pub(super) fn announced(silence_ms: u64) -> Option<u64> {
    (silence_ms != USUAL_SILENCE_MS).then_some(silence_ms)
}

/// The pause before a sign of life to one side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signs {
    configured_ms: u64,
    needed_ms: u64,
}

impl Signs {
    /// To a side that has said nothing, from one that is configured for pauses of `configured_ms`.
    pub(super) fn new(configured_ms: u64) -> Self {
        Self { configured_ms, needed_ms: USUAL_SILENCE_MS / SIGNS_PER_SILENCE }
    }

    /// The other side takes this one for dead after `silence_ms`.
    pub(super) fn handle_announced(&mut self, silence_ms: u64) {
        self.needed_ms = (silence_ms / SIGNS_PER_SILENCE).max(PAUSE_MIN_MS);
    }

    /// The pause, in ms.
    pub(super) fn pause_ms(self) -> u64 {
        self.configured_ms.min(self.needed_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_as_frequent_as_the_other_side_needs() {
        let mut signs = Signs::new(200);
        assert_eq!(signs.pause_ms(), 200);
        for (silence_ms, pause_ms) in [(200, 50), (0, PAUSE_MIN_MS), (60_000, 200), (u64::MAX, 200)]
        {
            signs.handle_announced(silence_ms);
            assert_eq!(signs.pause_ms(), pause_ms, "of {silence_ms}");
        }
        assert_eq!(Signs::new(5000).pause_ms(), 250, "to one that says nothing");
        assert_eq!([announced(1000), announced(200)], [None, Some(200)]);
    }
}
