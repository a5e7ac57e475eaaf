//! Which groups of a node have something to do. A group that has nothing to send and nothing to
//! tell sleeps until its deadline, or until something happens to it. Sleeping groups cost nothing,
//! however many there are.

use alloc::vec;
use alloc::vec::Vec;

use crate::time::{Time, Wake, earlier};

const WORD_BITS: usize = u64::BITS as usize;

/// Places, some of which are marked.
#[derive(Debug, Default)]
struct Marks {
    words: Vec<u64>,
    count: usize,
}

impl Marks {
    fn grow(&mut self, places: usize) {
        self.words.resize(places.div_ceil(WORD_BITS), 0);
    }

    #[inline]
    fn has(&self, at: usize) -> bool {
        self.words[at / WORD_BITS] >> (at % WORD_BITS) & 1 == 1
    }

    fn set(&mut self, at: usize, marked: bool) {
        if self.has(at) != marked {
            self.words[at / WORD_BITS] ^= 1 << (at % WORD_BITS);
            self.count = if marked { self.count + 1 } else { self.count - 1 };
        }
    }

    /// The first marked place that is not before `from`.
    #[inline]
    fn next(&self, from: usize) -> Option<usize> {
        if self.count == 0 {
            return None;
        }
        let first = from / WORD_BITS;
        let head = self.words.get(first)? & (u64::MAX << (from % WORD_BITS));
        let rest = self.words[first + 1..].iter().copied();
        let (word, bits) =
            (first..).zip(core::iter::once(head).chain(rest)).find(|(_, bits)| *bits != 0)?;
        Some(word * WORD_BITS + bits.trailing_zeros() as usize)
    }
}

/// What each of a node's groups, by its place, has to do.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    to_send: Marks,
    to_tell: Marks,
    /// Deadlines of the groups that sleep, as a binary tree. The root is at 1; the children of node
    /// `n` are `2n` and `2n + 1`, and it holds the earlier one of them; the groups are the leaves.
    deadlines: Vec<Option<(Time, Wake)>>,
    leaves: usize,
}

impl Schedule {
    /// Makes places for `groups` groups; the new ones sleep without a deadline.
    pub(crate) fn grow(&mut self, groups: usize) {
        self.to_send.grow(groups);
        self.to_tell.grow(groups);
        let leaves = groups.next_power_of_two();
        if leaves <= self.leaves {
            return;
        }
        let known = core::mem::replace(&mut self.deadlines, vec![None; 2 * leaves]);
        let before = core::mem::replace(&mut self.leaves, leaves);
        for (at, deadline) in known.into_iter().skip(before).enumerate() {
            self.set_deadline(at, deadline);
        }
    }

    /// Something happened to the group at `at`: it may have anything to do. True if it slept.
    #[inline]
    pub(crate) fn wake(&mut self, at: usize) -> bool {
        // Asked with each message, and it is awake most of the time.
        !(self.to_send.has(at) && self.to_tell.has(at)) && self.wake_to_all(at)
    }

    #[inline(never)]
    fn wake_to_all(&mut self, at: usize) -> bool {
        let (sends, tells) = (self.to_send.has(at), self.to_tell.has(at));
        let sleeps = !sends && !tells;
        if sleeps {
            self.set_deadline(at, None);
        }
        self.to_send.set(at, true);
        self.to_tell.set(at, true);
        sleeps
    }

    /// The group at `at` has nothing to do, for now (`None`) or before its deadline.
    pub(crate) fn rest(&mut self, at: usize, deadline: Option<(Time, Wake)>) {
        self.to_send.set(at, false);
        self.to_tell.set(at, false);
        self.set_deadline(at, deadline);
    }

    /// The group at `at` has nothing to send, and something to tell.
    pub(crate) fn tell(&mut self, at: usize) {
        self.to_send.set(at, false);
        self.to_tell.set(at, true);
    }

    /// The group at `at` has nothing to tell, and maybe something to send.
    pub(crate) fn send(&mut self, at: usize) {
        self.to_send.set(at, true);
        self.to_tell.set(at, false);
    }

    /// The first group from `from` on that may have something to send.
    pub(crate) fn next_to_send(&self, from: usize) -> Option<usize> {
        self.to_send.next(from)
    }

    /// The first group from `from` on that may have something to tell.
    #[inline]
    pub(crate) fn next_to_tell(&self, from: usize) -> Option<usize> {
        self.to_tell.next(from)
    }

    /// The first group from `from` on that does not sleep.
    pub(crate) fn next_awake(&self, from: usize) -> Option<usize> {
        match (self.to_send.next(from), self.to_tell.next(from)) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// The earliest deadline of those that sleep.
    #[inline]
    pub(crate) fn deadline(&self) -> Option<(Time, Wake)> {
        self.deadlines.get(1).copied().flatten()
    }

    /// The first group that sleeps and whose deadline is not after `now`.
    pub(crate) fn next_due(&self, now: Time) -> Option<usize> {
        let is_due = |node: usize| {
            self.deadlines.get(node).copied().flatten().is_some_and(|(at, _)| at <= now)
        };
        if !is_due(1) {
            return None;
        }
        let mut node = 1;
        while node < self.leaves {
            node = if is_due(2 * node) { 2 * node } else { 2 * node + 1 };
        }
        Some(node - self.leaves)
    }

    fn set_deadline(&mut self, at: usize, deadline: Option<(Time, Wake)>) {
        let mut node = self.leaves + at;
        self.deadlines[node] = deadline;
        while node > 1 {
            node /= 2;
            let earliest = earlier(self.deadlines[2 * node], self.deadlines[2 * node + 1]);
            if core::mem::replace(&mut self.deadlines[node], earliest) == earliest {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Option<(Time, Wake)> {
        Some((Time::from_millis(ms), Wake::Heartbeat))
    }

    #[test]
    fn sleeping_groups_are_due_in_order_of_place() {
        for groups in [1, 2, 3, 63, 64, 65, 200] {
            let mut schedule = Schedule::default();
            for place in 0..groups {
                schedule.grow(place + 1);
                schedule.wake(place);
                assert_eq!(schedule.next_awake(0), Some(place));
                schedule.rest(place, at(1000 - (place as u64 * 37) % 100));
            }
            assert_eq!((schedule.next_awake(0), schedule.next_to_tell(0)), (None, None));
            let earliest = (0..groups as u64).map(|place| 1000 - (place * 37) % 100).min();
            assert_eq!(schedule.deadline(), earliest.and_then(at));
            assert_eq!(schedule.next_due(Time::from_millis(900)), None);
            let mut due = Vec::new();
            while let Some(place) = schedule.next_due(Time::from_millis(950)) {
                schedule.wake(place);
                due.push(place);
            }
            let expected: Vec<usize> =
                (0..groups).filter(|place| (place * 37) % 100 >= 50).collect();
            assert_eq!(due, expected);
            assert_eq!(schedule.next_awake(0), due.first().copied());
        }
        assert_eq!(Schedule::default().next_due(Time(u64::MAX)), None);
    }

    #[test]
    fn awake_groups_are_found_from_any_place() {
        let mut schedule = Schedule::default();
        schedule.grow(200);
        assert_eq!(schedule.next_awake(0), None);
        for place in [3, 64, 127, 199] {
            schedule.wake(place);
        }
        schedule.tell(64);
        let from = |from| (schedule.next_to_send(from), schedule.next_to_tell(from));
        assert_eq!(from(0), (Some(3), Some(3)));
        assert_eq!(from(4), (Some(127), Some(64)));
        assert_eq!(from(128), (Some(199), Some(199)));
        assert_eq!(from(200), (None, None));
        assert_eq!(from(4000), (None, None));
    }
}
