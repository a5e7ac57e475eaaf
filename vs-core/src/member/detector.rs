//! Who has been silent for too long.

use crate::time::Time;

/// Watches one connection for silence.
///
/// A large jump of time between two looks was a suspension of this very process: the peer gets its
/// full time anew, since what it sent may lie unread ([rule
/// 5.5](crate::manual::algorithm#rule-5-5)).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Silence {
    heard: Time,
    looked: Time,
    silence_ms: u64,
}

impl Silence {
    pub(crate) fn new(now: Time, silence_ms: u64) -> Self {
        Self { heard: now, looked: now, silence_ms }
    }

    /// The peer may be silent for another time from now on.
    pub(crate) fn set_silence(&mut self, now: Time, silence_ms: u64) {
        if silence_ms < self.silence_ms {
            // It does not know yet that it has to speak more often.
            self.heard = self.heard.max(now);
        }
        self.silence_ms = silence_ms;
    }

    pub(crate) fn hear(&mut self, now: Time) {
        self.heard = now;
    }

    /// When the peer was heard last.
    pub(crate) fn heard(&self) -> Time {
        self.heard
    }

    /// Whether the peer has been silent for too long.
    pub(crate) fn look(&mut self, now: Time) -> bool {
        let jumped = now.millis_since(self.looked) > self.silence_ms / 2;
        self.looked = now;
        if jumped {
            self.heard = self.heard.max(now);
        }
        now.millis_since(self.heard) >= self.silence_ms
    }

    /// When to look again: often enough that a long pause between looks can only be a suspension.
    pub(crate) fn next_look(&self) -> Time {
        let due = self.heard.plus_ms(self.silence_ms);
        due.min(self.looked.plus_ms((self.silence_ms / 4).max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suspension_is_not_taken_for_silence() {
        let at = Time::from_millis;
        let mut silence = Silence::new(at(0), 100);
        for ms in (25..100).step_by(25) {
            assert!(!silence.look(at(ms)));
        }
        assert!(silence.look(at(100)));
        let mut silence = Silence::new(at(0), 100);
        assert!(!silence.look(at(5000)), "this process slept");
        assert!(silence.next_look() <= at(5025));
        for ms in (5025..5100).step_by(25) {
            assert!(!silence.look(at(ms)));
        }
        assert!(silence.look(at(5100)));
    }

    #[test]
    fn pause_above_half_silence_is_suspension() {
        let at = Time::from_millis;
        for (pause, found) in [(50, true), (51, false)] {
            let mut silence = Silence::new(at(0), 100);
            assert!(!silence.look(at(pause)));
            assert_eq!(silence.look(at(100)), found, "after {pause} ms");
        }
    }
}
