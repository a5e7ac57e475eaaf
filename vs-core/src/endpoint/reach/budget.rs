//! How many questions and answers about multicasts a node sends.

use crate::time::{Pace, Time};

/// Questions and answers that a node may send at once, over all its groups.
const WORDS_AT_ONCE: u64 = 128;

/// Pause after each question or answer beyond these, in µs.
const WORD_EVERY_US: u64 = 1000;

/// What a node may still say. Under load everybody seems silent to everybody: what is asked and
/// answered then is load, too.
#[derive(Debug, Default)]
pub(crate) struct Budget(Pace);

impl Budget {
    /// Takes one word out of the budget, or says when there is one.
    pub(super) fn take(&mut self, now: Time) -> Result<(), Time> {
        self.0.take(now, WORDS_AT_ONCE, Time::ZERO.plus_us(WORD_EVERY_US).0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_a_burst_and_a_rate() {
        let mut budget = Budget::default();
        let now = Time::from_millis(50);
        let at_once = (0..500).filter(|_| budget.take(now).is_ok()).count();
        assert_eq!(at_once as u64, WORDS_AT_ONCE);
        assert_eq!(budget.take(now), Err(now.plus_us(WORD_EVERY_US)));
        assert_eq!(budget.take(now.plus_us(WORD_EVERY_US)), Ok(()));
    }
}
