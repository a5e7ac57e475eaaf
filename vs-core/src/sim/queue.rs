//! The event queue. Events are ordered by time, then by insertion, and by nothing else.

use alloc::collections::{BTreeMap, BinaryHeap};
use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::time::Time;

/// A later event waits together with those of the same so many ns, unordered until their time
/// comes: a large world has many of them, and a small heap is fast.
const BUCKET_NS_LOG2: u32 = 16;

/// Events that have not happened yet.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    /// Events up to `horizon`. Empty only if there are no events.
    near: BinaryHeap<Entry<E>>,
    horizon: Time,
    /// Later events, by bucket.
    far: BTreeMap<u64, Vec<Entry<E>>>,
    sequence: u64,
}

#[derive(Debug)]
struct Entry<E> {
    at: Time,
    sequence: u64,
    event: E,
}

impl<E> Queue<E> {
    pub(crate) fn new() -> Self {
        let (near, far) = (BinaryHeap::new(), BTreeMap::new());
        Self { near, horizon: Time::ZERO, far, sequence: 0 }
    }

    pub(crate) fn push(&mut self, at: Time, event: E) {
        self.sequence += 1;
        let entry = Entry { at, sequence: self.sequence, event };
        if at <= self.horizon {
            self.near.push(entry);
        } else {
            self.far.entry(at.0 >> BUCKET_NS_LOG2).or_default().push(entry);
            self.come_near();
        }
    }

    pub(crate) fn next_at(&self) -> Option<Time> {
        self.near.peek().map(|entry| entry.at)
    }

    pub(crate) fn pop(&mut self) -> Option<(Time, E)> {
        let entry = self.near.pop()?;
        self.come_near();
        Some((entry.at, entry.event))
    }

    /// If nothing is near, what is next is.
    fn come_near(&mut self) {
        if self.near.is_empty()
            && let Some((bucket, entries)) = self.far.pop_first()
        {
            self.near = BinaryHeap::from(entries);
            self.horizon = Time(bucket << BUCKET_NS_LOG2 | ((1 << BUCKET_NS_LOG2) - 1));
        }
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    // Reversed: the heap keeps its greatest entry on top, and the earliest is wanted there.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn events_come_by_time_then_insertion() {
        let mut queue = Queue::new();
        for (at, event) in [(5, 'd'), (1, 'a'), (3, 'b'), (3, 'c')] {
            queue.push(Time(at), event);
        }
        assert_eq!(queue.next_at(), Some(Time(1)));
        let order: Vec<char> = core::iter::from_fn(|| queue.pop()).map(|(_, e)| e).collect();
        assert_eq!(order, ['a', 'b', 'c', 'd']);
    }

    /// Near ones, far ones, and such as are put in before all others.
    #[test]
    fn queue_order_equals_sorted_list() {
        let (mut rng, mut queue, mut list) = (Rng::new(1), Queue::new(), Vec::new());
        let mut now = 0;
        for n in 0..20_000 {
            if rng.percent(55) {
                let spread = 1 << rng.below(40);
                let at = now + rng.below(spread);
                queue.push(Time(at), n);
                list.push((at, n));
            } else {
                list.sort_unstable();
                let first = (!list.is_empty()).then(|| list.remove(0));
                assert_eq!(queue.next_at(), first.map(|(at, _)| Time(at)));
                assert_eq!(queue.pop(), first.map(|(at, n)| (Time(at), n)));
                now = first.map_or(now, |(at, _)| at);
            }
        }
        assert!(list.len() > 1_000);
    }
}
