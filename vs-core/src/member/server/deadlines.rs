//! When to look at what: so many connections and groups have a deadline that they are not all asked
//! for it each time.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::time::Time;

/// One deadline at most for each key.
#[derive(Debug)]
pub(super) struct Deadlines<K> {
    by_time: BTreeSet<(Time, K)>,
    by_key: BTreeMap<K, Time>,
}

impl<K: Ord + Clone> Deadlines<K> {
    pub(super) fn new() -> Self {
        Self { by_time: BTreeSet::new(), by_key: BTreeMap::new() }
    }

    /// `key` has this deadline from now on, or none.
    pub(super) fn set(&mut self, key: &K, at: Option<Time>) {
        let known = self.by_key.get(key).copied();
        if known == at {
            return;
        }
        if let Some(known) = known {
            self.by_time.remove(&(known, key.clone()));
        }
        match at {
            Some(at) => {
                self.by_time.insert((at, key.clone()));
                self.by_key.insert(key.clone(), at);
            }
            None => drop(self.by_key.remove(key)),
        }
    }

    /// The earliest one.
    pub(super) fn next(&self) -> Option<Time> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes those whose deadline is not after `now`; ascending.
    pub(super) fn take_due(&mut self, now: Time) -> Vec<K> {
        let mut due = Vec::new();
        while let Some((at, key)) = self.by_time.pop_first() {
            if at > now {
                self.by_time.insert((at, key));
                break;
            }
            self.by_key.remove(&key);
            due.push(key);
        }
        due.sort_unstable();
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_deadline_counts_earliest_is_next() {
        let ms = Time::from_millis;
        let mut deadlines = Deadlines::new();
        for (key, at) in [(3, 50), (1, 40), (2, 60), (1, 70), (3, 20), (4, 20)] {
            deadlines.set(&key, Some(ms(at)));
        }
        deadlines.set(&4, None);
        deadlines.set(&4, None);
        assert_eq!(deadlines.next(), Some(ms(20)));
        assert!(deadlines.take_due(ms(19)).is_empty());
        assert_eq!(deadlines.take_due(ms(65)), [2, 3]);
        assert_eq!(deadlines.next(), Some(ms(70)));
        assert_eq!((deadlines.take_due(ms(70)), deadlines.next()), (Vec::from([1]), None));
    }
}
