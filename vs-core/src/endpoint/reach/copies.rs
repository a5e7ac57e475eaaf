//! Whether a member still has to send copies by unicast.

use crate::time::Time;

/// Datagrams in a row that have to arrive twice: once by multicast, and once in a copy. A network
/// repeats one now and then.
const TWICE_MIN: u8 = 3;

/// Other datagrams after one of which the second has not come, until it is taken for single: as
/// many as a socket hands over in one go before another one has its turn, and more.
const OTHERS_MAX: u16 = 512;

/// First pause before a member is told again that its multicasts arrive, in ms; doubled up to
/// [`TELL_MAX_MS`].
const TELL_MS: u64 = 100;

/// Longest pause before a member is told again that its multicasts arrive, in ms.
const TELL_MAX_MS: u64 = 10_000;

/// The copies of one member, to this process: their datagrams have the numbers of those that go to
/// the group. One of these at a time is waited for to arrive twice.
#[derive(Clone, Debug)]
pub(super) struct Copies {
    /// The datagram that may arrive twice.
    waited_for: Option<u64>,
    /// The highest number so far: of a datagram with a lower one, the first may have come before.
    highest: u64,
    /// Others since then.
    others: u16,
    /// Datagrams that arrived twice, in a row.
    twice: u8,
    /// The member is not told again before.
    tell_at: Time,
    pause_ms: u64,
    was_told: bool,
    is_over: bool,
}

impl Default for Copies {
    fn default() -> Self {
        Self {
            waited_for: None,
            highest: 0,
            others: 0,
            twice: 0,
            tell_at: Time::ZERO,
            pause_ms: TELL_MS,
            was_told: false,
            is_over: false,
        }
    }
}

impl Copies {
    /// The datagram `counter` to the group arrived. True if the member is to be told that its
    /// multicasts arrive.
    pub(super) fn handle_heard(&mut self, now: Time, counter: u64) -> bool {
        if self.waited_for != Some(counter) {
            let is_first = counter > self.highest;
            self.highest = self.highest.max(counter);
            match self.waited_for {
                Some(_) => self.others += 1,
                None if is_first => (self.waited_for, self.others) = (Some(counter), 0),
                None => {}
            }
            if self.others >= OTHERS_MAX {
                (self.waited_for, self.twice) = (None, 0);
                self.is_over = self.was_told;
            }
            return false;
        }
        self.waited_for = None;
        self.twice = self.twice.saturating_add(1);
        let tells = self.twice >= TWICE_MIN && now >= self.tell_at;
        if tells {
            self.was_told = true;
            self.tell_at = now.plus_ms(self.pause_ms);
            self.pause_ms = (2 * self.pause_ms).min(TELL_MAX_MS);
        }
        tells
    }

    /// Whether the member was told, and has ceased to send copies.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_that_arrive_twice_end_copies() {
        let mut copies = Copies::default();
        let now = Time::from_millis(5);
        assert!(!(0..9000).any(|counter| copies.handle_heard(now, counter)), "each comes once");
        let mut copies = Copies::default();
        // A socket hands over many before the other one has its turn.
        let mut tells = 0;
        for batch in 0..9 {
            for _ in 0..2 {
                let mut counters = batch * 64..(batch + 1) * 64;
                tells += counters.by_ref().filter(|c| copies.handle_heard(now, *c)).count();
            }
        }
        assert_eq!(tells, 1, "told again only after a pause");
        assert!(!copies.is_over());
        for counter in 5000..6100 {
            assert!(!copies.handle_heard(now.plus_ms(900), counter));
        }
        assert!(copies.is_over());
    }
}
