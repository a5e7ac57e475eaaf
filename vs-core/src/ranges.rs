//! Sets of packet numbers as ranges, of bounded length.

use crate::ident::Seq;

/// Packet numbers `from ..= upto`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeqRange {
    /// The first.
    pub from: Seq,
    /// The last.
    pub upto: Seq,
}

impl SeqRange {
    /// The part that lies within `from ..= upto`, if any.
    pub(crate) fn clip(self, from: Seq, upto: Seq) -> Option<Self> {
        let part = Self { from: self.from.max(from), upto: self.upto.min(upto) };
        (part.from <= part.upto).then_some(part)
    }
}

/// At most `N` ascending ranges with gaps between them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RangeList<const N: usize> {
    ranges: [SeqRange; N],
    len: usize,
}

impl<const N: usize> RangeList<N> {
    /// No ranges.
    pub(crate) fn new() -> Self {
        Self { ranges: [SeqRange::default(); N], len: 0 }
    }

    /// Adds a number above all others; false, and nothing done, if it would take more than `limit`
    /// or `N` ranges.
    pub(crate) fn push(&mut self, seq: Seq, limit: usize) -> bool {
        if let Some(last) = self.len.checked_sub(1).map(|i| &mut self.ranges[i])
            && last.upto + 1 == seq
        {
            last.upto = seq;
            return true;
        }
        if self.len >= N.min(limit) {
            return false;
        }
        self.ranges[self.len] = SeqRange { from: seq, upto: seq };
        self.len += 1;
        true
    }

    /// The ranges, ascending.
    pub(crate) fn as_slice(&self) -> &[SeqRange] {
        &self.ranges[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_join_and_the_bound_holds() {
        let mut list = RangeList::<2>::new();
        assert!([3, 4, 5, 9].into_iter().all(|seq| list.push(seq, 8)));
        assert!(!list.push(11, 8));
        assert!(list.push(10, 8));
        assert_eq!(
            list.as_slice(),
            [SeqRange { from: 3, upto: 5 }, SeqRange { from: 9, upto: 10 }]
        );
        assert!(!RangeList::<2>::new().push(1, 0));
    }

    #[test]
    fn clip_keeps_the_part_within() {
        let range = SeqRange { from: 3, upto: 9 };
        assert_eq!(range.clip(5, 20), Some(SeqRange { from: 5, upto: 9 }));
        assert_eq!(range.clip(10, 20), None);
    }
}
