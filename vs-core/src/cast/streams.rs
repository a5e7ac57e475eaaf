//! The streams of all members of a view.

use alloc::vec::Vec;

use super::settings::Settings;
use super::stream::Stream;
use crate::ident::Rank;

/// The streams of all members, by rank. Which of them are unstable or undelivered is counted, so
/// that nobody has to look for them.
#[derive(Debug)]
pub(super) struct Streams {
    streams: Vec<Stream>,
    /// Streams that have packets which are not known to be stable.
    unstable: usize,
    /// Streams that have messages which are not delivered.
    undelivered: usize,
}

impl Streams {
    pub(super) fn new(ranks: usize, settings: &Settings) -> Self {
        let streams = (0..ranks).map(|rank| Stream::new(rank as Rank, settings)).collect();
        Self { streams, unstable: 0, undelivered: 0 }
    }

    /// Number of members.
    pub(super) fn ranks(&self) -> usize {
        self.streams.len()
    }

    /// The stream of `rank`, if there is such a member.
    #[inline]
    pub(super) fn get(&self, rank: Rank) -> Option<&Stream> {
        self.streams.get(usize::from(rank))
    }

    /// The stream of a member.
    #[inline]
    pub(super) fn of(&self, rank: Rank) -> &Stream {
        &self.streams[usize::from(rank)]
    }

    /// The stream of a member. Whoever changes what is stable or delivered counts that.
    #[inline]
    pub(super) fn of_mut(&mut self, rank: Rank) -> &mut Stream {
        &mut self.streams[usize::from(rank)]
    }

    /// Each with its rank.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Rank, &Stream)> {
        (0..).zip(&self.streams)
    }

    /// All of them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.streams.iter_mut()
    }

    /// Those of the ranks `from .. end`.
    pub(super) fn range_mut(&mut self, from: usize, end: usize) -> &mut [Stream] {
        &mut self.streams[from..end]
    }

    /// Whether there are packets that are not known to be stable.
    pub(super) fn has_unstable(&self) -> bool {
        self.unstable > 0
    }

    /// Whether there are messages that are not delivered.
    #[inline]
    pub(super) fn has_undelivered(&self) -> bool {
        self.undelivered > 0
    }

    /// What is received or stable of `rank`'s stream has changed.
    pub(super) fn count_unstable(&mut self, rank: Rank) {
        if let Some(unstable) = self.streams[usize::from(rank)].turned_unstable() {
            self.unstable = if unstable { self.unstable + 1 } else { self.unstable - 1 };
        }
    }

    /// What is received or delivered of `rank`'s stream has changed.
    #[inline]
    pub(super) fn count_undelivered(&mut self, rank: Rank) {
        if let Some(undelivered) = self.streams[usize::from(rank)].turned_undelivered() {
            self.undelivered =
                if undelivered { self.undelivered + 1 } else { self.undelivered - 1 };
        }
    }
}
