//! Which numbers were opened: a datagram that is recorded and sent again opens nowhere.

use alloc::boxed::Box;
use alloc::vec;

/// Numbers below the highest that are still told apart. Two sockets of a process may be read in
/// turns of many datagrams, and in one of them they may have waited for long.
pub const WINDOW: u64 = 16_384;

const WORD: u64 = u64::BITS as u64;

/// The numbers that one transmitter used, as far as they were opened.
#[derive(Clone, Debug)]
pub struct Window {
    /// All numbers from here on are new.
    next: u64,
    /// Bit `n % WINDOW`: `n` was opened, for the last [`WINDOW`] numbers before `next`.
    seen: Box<[u64]>,
}

impl Default for Window {
    fn default() -> Self {
        Self { next: 0, seen: vec![0; (WINDOW / WORD) as usize].into() }
    }
}

impl Window {
    /// Whether `number` may be new. To be asked before a datagram is opened.
    #[must_use]
    pub fn is_new(&self, number: u64) -> bool {
        if number >= self.next {
            return number < u64::MAX;
        }
        let (word, bit) = place(number);
        self.next - number <= WINDOW && self.seen[word] & bit == 0
    }

    /// The datagram `number`, which [`Window::is_new`], is authentic.
    pub fn note(&mut self, number: u64) {
        if number >= self.next {
            // The places of the numbers that are passed over are those of numbers long ago.
            let passed = (number - self.next).min(WINDOW);
            (number - passed..number).for_each(|old| self.forget(old));
            self.next = number + 1;
        }
        let (word, bit) = place(number);
        self.seen[word] |= bit;
    }

    fn forget(&mut self, number: u64) {
        let (word, bit) = place(number);
        self.seen[word] &= !bit;
    }
}

fn place(number: u64) -> (usize, u64) {
    let at = number % WINDOW;
    ((at / WORD) as usize, 1 << (at % WORD))
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;
    use crate::rng::Rng;

    #[test]
    fn each_number_is_new_once() {
        let mut rng = Rng::new(3);
        let (mut window, mut noted, mut highest) = (Window::default(), BTreeSet::new(), 0);
        for _ in 0..200_000 {
            let jump = if rng.percent(1) { 3 * WINDOW } else { 6 };
            let number = (highest + rng.below(jump)).saturating_sub(rng.below(2 * WINDOW));
            let is_known = noted.contains(&number) || number + WINDOW <= highest;
            assert_eq!(window.is_new(number), !is_known, "{number}, highest {highest}");
            if !is_known {
                window.note(number);
                noted.insert(number);
                highest = highest.max(number);
            }
        }
        assert!(!window.is_new(u64::MAX), "no number follows");
    }
}
