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

/// The longest pause in a crowd, whatever the other side can do with, in ms.
const PAUSE_MAX_MS: u64 = 2000;

/// Up to so many servers, one is taken for dead after the silence that is configured. With each
/// doubling beyond, after twice that: each sends signs of life to each other one.
const SERVERS_PER_SILENCE: usize = 32;

/// How many times longer than configured the silence of a server may last in the largest crowd.
const LONGER_MAX: u64 = 8;

/// How many times longer than configured a server may be silent before it is taken for dead, since
/// there are so many `servers`; it was `before` times until now. A number of servers that varies a
/// little does not change it again and again.
pub(super) fn times_longer(servers: usize, before: u64) -> u64 {
    let of = |servers: usize| {
        let doubled = servers.div_ceil(SERVERS_PER_SILENCE).max(1).next_power_of_two();
        (doubled as u64).min(LONGER_MAX)
    };
    before.max(of(servers)).min(of(servers.saturating_mul(2)))
}

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

    /// The longest pause that the other side can do with, in ms, within a bound.
    pub(super) fn pause_max_ms(self) -> u64 {
        self.needed_ms.min(PAUSE_MAX_MS.max(self.configured_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_grows_with_servers_and_does_not_flap() {
        let grown = [1, 32, 33, 64, 65, 128, 129, 1000].map(|servers| times_longer(servers, 1));
        assert_eq!(grown, [1, 1, 2, 2, 4, 4, 8, 8]);
        let shrunk = [129, 65, 64, 33, 32, 17, 16].map(|servers| times_longer(servers, 8));
        assert_eq!(shrunk, [8, 8, 4, 4, 2, 2, 1]);
    }

    #[test]
    fn signs_are_as_frequent_as_the_other_side_needs() {
        let mut signs = Signs::new(200);
        assert_eq!(signs.pause_ms(), 200);
        for (silence_ms, pause_ms) in [(200, 50), (0, PAUSE_MIN_MS), (60_000, 200), (u64::MAX, 200)]
        {
            signs.handle_announced(silence_ms);
            assert_eq!(signs.pause_ms(), pause_ms, "of {silence_ms}");
            let longest_ms = (silence_ms / 4).clamp(PAUSE_MIN_MS, PAUSE_MAX_MS);
            assert_eq!(signs.pause_max_ms(), longest_ms, "in a crowd, of {silence_ms}");
        }
        assert_eq!(Signs::new(5000).pause_ms(), 250, "to one that says nothing");
        assert_eq!([announced(1000), announced(200)], [None, Some(200)]);
    }
}
