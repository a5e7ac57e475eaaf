//! Calls and answers in the order of time, as a linked list from which operations are taken and
//! into which they are put back.

use alloc::vec;
use alloc::vec::Vec;

use crate::time::Time;

/// A call or an answer of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Call(usize),
    Answer(usize),
}

/// The place before the first event that is left.
pub(super) const HEAD: usize = 0;

/// Events are at the places from 1 on.
#[derive(Debug)]
pub(super) struct List {
    events: Vec<Event>,
    next: Vec<usize>,
    previous: Vec<usize>,
    /// Where the call and the answer of each operation are.
    places: Vec<(usize, usize)>,
}

impl List {
    /// The events of operations that were called and answered at these times. What happened at one
    /// time happened at once: calls stand before answers.
    pub(super) fn new(times: &[(Time, Time)]) -> Self {
        let of = |(n, (called, answered)): (usize, &(Time, Time))| {
            [(*called, 0, n), ((*answered).max(*called), 1, n)]
        };
        let mut sorted: Vec<(Time, u8, usize)> = times.iter().enumerate().flat_map(of).collect();
        sorted.sort_unstable();
        let mut places = vec![(0, 0); times.len()];
        let mut events = Vec::with_capacity(sorted.len());
        for (_, kind, operation) in sorted {
            let place = events.len() + 1;
            if kind == 0 {
                places[operation].0 = place;
                events.push(Event::Call(operation));
            } else {
                places[operation].1 = place;
                events.push(Event::Answer(operation));
            }
        }
        let len = events.len() + 1;
        Self {
            events,
            next: (1..=len).map(|at| at % len).collect(),
            previous: (0..len).map(|at| (at + len - 1) % len).collect(),
            places,
        }
    }

    /// The first event that is left.
    pub(super) fn first(&self) -> Option<usize> {
        self.after(HEAD)
    }

    /// The event behind `place` of those that are left.
    pub(super) fn after(&self, place: usize) -> Option<usize> {
        let next = self.next[place];
        (next != HEAD).then_some(next)
    }

    pub(super) fn event(&self, place: usize) -> Event {
        self.events[place - 1]
    }

    /// Where the call of `operation` is.
    pub(super) fn call(&self, operation: usize) -> usize {
        self.places[operation].0
    }

    /// The operations that may come next: called before the first answer that is left; and of which
    /// one that is.
    pub(super) fn candidates(&self) -> (Vec<usize>, Option<usize>) {
        let (mut candidates, mut at) = (Vec::new(), self.first());
        while let Some(place) = at {
            match self.event(place) {
                Event::Call(operation) => candidates.push(operation),
                Event::Answer(operation) => return (candidates, Some(operation)),
            }
            at = self.after(place);
        }
        (candidates, None)
    }

    /// Takes the call and the answer of `operation` away.
    pub(super) fn take(&mut self, operation: usize) {
        let (call, answer) = self.places[operation];
        for place in [call, answer] {
            let (previous, next) = (self.previous[place], self.next[place]);
            self.next[previous] = next;
            self.previous[next] = previous;
        }
    }

    /// Puts back what was taken last.
    pub(super) fn put_back(&mut self, operation: usize) {
        let (call, answer) = self.places[operation];
        for place in [answer, call] {
            let (previous, next) = (self.previous[place], self.next[place]);
            self.next[previous] = place;
            self.previous[next] = place;
        }
    }
}
