//! What everybody has: received prefixes, as acknowledgements tell them.

use alloc::vec;
use alloc::vec::Vec;

use crate::ident::{Rank, Seq};

/// Bytes of what a member has of a stream, with its bit among those who may be asked for it.
pub(super) const RECEIVED_BYTES: usize = size_of::<Seq>() + 1;
/// Bytes of a column besides.
pub(super) const FLOOR_BYTES: usize = size_of::<Floor>() + size_of::<Vec<Seq>>();

/// Received prefixes, as acknowledgements tell them: one column a stream, made when its first
/// packet is told of.
#[derive(Debug)]
pub(super) struct Stability {
    ranks: usize,
    me: Rank,
    columns: Vec<Vec<Seq>>,
    floors: Vec<Floor>,
}

/// The least of a column and how many members are there: it is looked for anew only when the last
/// one leaves it.
#[derive(Clone, Copy, Debug)]
struct Floor {
    seq: Seq,
    members: usize,
}

impl Stability {
    pub(super) fn new(ranks: usize, me: Rank) -> Self {
        let mut floors = vec![Floor { seq: 0, members: ranks - 1 }; ranks];
        // A sender has all of its own stream. Of the own stream the end is known: it grows with
        // each packet.
        floors[usize::from(me)].members = ranks;
        Self { ranks, me, columns: vec![Vec::new(); ranks], floors }
    }

    /// How far `rank` has said to have the stream.
    pub(super) fn received(&self, stream: Rank, rank: Rank) -> Seq {
        let told = self.columns[usize::from(stream)].get(usize::from(rank)).copied();
        told.unwrap_or_else(|| self.untold(stream, rank))
    }

    /// What holds without a word.
    fn untold(&self, stream: Rank, rank: Rank) -> Seq {
        if stream == rank && rank != self.me { Seq::MAX } else { 0 }
    }

    /// Up to where all have said to have the stream.
    pub(super) fn floor(&self, stream: Rank) -> Seq {
        self.floors[usize::from(stream)].seq
    }

    /// `rank` has the stream up to `seq`. False if that was known.
    pub(super) fn record(&mut self, stream: Rank, rank: Rank, seq: Seq) -> bool {
        let before = self.received(stream, rank);
        if seq <= before {
            return false;
        }
        let column = &mut self.columns[usize::from(stream)];
        if column.is_empty() {
            column.resize(self.ranks, 0);
            if stream != self.me {
                column[usize::from(stream)] = Seq::MAX;
            }
        }
        column[usize::from(rank)] = seq;
        let floor = &mut self.floors[usize::from(stream)];
        if before == floor.seq {
            floor.members -= 1;
            if floor.members == 0 {
                let least = column.iter().copied().min().unwrap_or(seq);
                let members = column.iter().filter(|&&r| r == least).count();
                *floor = Floor { seq: least, members };
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_the_least_of_a_column() {
        let mut table = Stability::new(3, 0);
        assert!(table.record(1, 0, 5));
        assert_eq!(table.floor(1), 0);
        assert!(table.record(1, 2, 3));
        assert_eq!(table.floor(1), 3);
        assert!(!table.record(1, 2, 3));
        assert!(table.record(1, 2, 9));
        assert_eq!(table.floor(1), 5);
        assert_eq!((table.received(1, 0), table.received(1, 2), table.received(2, 0)), (5, 9, 0));
        for rank in 0..3 {
            table.record(0, rank, 4);
        }
        assert_eq!((table.floor(0), table.floor(2)), (4, 0));
        let mut alone = Stability::new(1, 0);
        alone.record(0, 0, 7);
        assert_eq!(alone.floor(0), 7);
    }
}
