//! Events of a [`Group`] one after the other.

use super::{Event, Group};

/// The events to come: see [`Group::iter`].
#[derive(Debug)]
pub struct Iter<'a> {
    group: &'a mut Group,
}

impl<'a> Iter<'a> {
    pub(super) fn new(group: &'a mut Group) -> Self {
        Self { group }
    }
}

impl Iterator for Iter<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.group.recv().ok()
    }
}

/// The events that are there: see [`Group::try_iter`].
#[derive(Debug)]
pub struct TryIter<'a> {
    group: &'a mut Group,
}

impl<'a> TryIter<'a> {
    pub(super) fn new(group: &'a mut Group) -> Self {
        Self { group }
    }
}

impl Iterator for TryIter<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.group.try_recv().ok().flatten()
    }
}

impl<'a> IntoIterator for &'a mut Group {
    type Item = Event;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}
