//! Cuts, and the sync messages that carry them.

use alloc::vec::Vec;

use crate::ident::{Incarnation, ProcessId, Seq};
use crate::view::{Note, View, ViewKey};

/// Stands for a part of a cut that has not arrived.
const UNKNOWN: Seq = Seq::MAX;

/// A cut: packets received without a gap, by rank. It is kept in runs of ranks with the same
/// number, since few members of a large view send, and each member keeps a cut of each other one
/// during a change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Cut {
    /// Where each run ends, and its number; the ends ascend.
    runs: Vec<(usize, Seq)>,
}

impl Cut {
    pub(crate) fn new(cut: &[Seq]) -> Self {
        let same = cut.chunk_by(|a, b| a == b);
        let run = |end: &mut usize, run: &[Seq]| {
            *end += run.len();
            Some((*end, run[0]))
        };
        Self { runs: same.scan(0, run).collect() }
    }

    /// Number of ranks.
    pub(crate) fn len(&self) -> usize {
        self.runs.last().map_or(0, |(end, _)| *end)
    }

    /// The number of one rank.
    pub(crate) fn get(&self, rank: usize) -> Option<Seq> {
        let at = self.runs.partition_point(|(end, _)| *end <= rank);
        self.runs.get(at).map(|(_, seq)| *seq)
    }

    /// The runs: the ranks and their number.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (core::ops::Range<usize>, Seq)> + '_ {
        let starts = core::iter::once(0).chain(self.runs.iter().map(|(end, _)| *end));
        starts.zip(&self.runs).map(|(start, (end, seq))| (start..*end, *seq))
    }

    pub(crate) fn to_vec(&self) -> Vec<Seq> {
        self.runs().flat_map(|(ranks, seq)| ranks.map(move |_| seq)).collect()
    }
}

/// What is known of a cut; large ones arrive in parts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Known {
    Parts { cut: Vec<Seq>, unknown: usize },
    Whole(Cut),
}

/// What a sync message says besides its cut; each part of it says the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SyncHead {
    /// The view that its sender is in.
    pub(crate) view: ViewKey,
    /// Length of the whole cut.
    pub(crate) total: usize,
    /// Up to which slot of the order everything is known to be at all members.
    pub(crate) safe: Seq,
    /// What the sender's application hands in.
    pub(crate) note: Note,
}

/// What is known of one sync message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SyncState {
    /// The incarnation of its sender.
    incarnation: Incarnation,
    view: ViewKey,
    cut: Known,
    /// Up to which slot of the order everything is known to be at all members.
    safe: Seq,
    note: Note,
}

impl SyncState {
    pub(crate) fn empty(incarnation: Incarnation, head: &SyncHead) -> Self {
        let SyncHead { view, total, safe, note } = *head;
        let cut = match total {
            0 => Known::Whole(Cut::new(&[])),
            _ => Known::Parts { cut: alloc::vec![UNKNOWN; total], unknown: total },
        };
        Self { incarnation, view, cut, safe, note }
    }

    /// A sync message of this process.
    pub(crate) fn whole(view: ViewKey, cut: &[Seq], (safe, note): (Seq, Note)) -> Self {
        let (incarnation, cut) = (Incarnation::default(), Known::Whole(Cut::new(cut)));
        Self { incarnation, view, cut, safe, note }
    }

    /// Takes a part; false if it contradicts what is known or tells nothing new. A sync message
    /// never changes, so the first number for a rank counts.
    pub(crate) fn fill(
        &mut self,
        head: &SyncHead,
        first: usize,
        part: impl Iterator<Item = Seq>,
    ) -> bool {
        let Known::Parts { cut, unknown } = &mut self.cut else { return false };
        if head.view != self.view || head.total != cut.len() {
            return false;
        }
        let before = *unknown;
        for (slot, seq) in cut.iter_mut().skip(first).zip(part) {
            if *slot == UNKNOWN && seq != UNKNOWN {
                *slot = seq;
                *unknown -= 1;
            }
        }
        let news = *unknown < before;
        if *unknown == 0 {
            self.cut = Known::Whole(Cut::new(cut));
        }
        news
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// The view that its sender was in.
    pub(crate) fn view(&self) -> ViewKey {
        self.view
    }

    /// Up to which slot of the order everything is known to be at all members.
    pub(crate) fn safe(&self) -> Seq {
        self.safe
    }

    /// What its sender's application hands in.
    pub(crate) fn note(&self) -> Note {
        self.note
    }

    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.cut, Known::Whole(_))
    }

    /// Whether it says more than `most` of a rank, as far as it is here.
    fn exceeds(&self, most: impl Fn(usize) -> Seq) -> bool {
        match &self.cut {
            Known::Whole(cut) => {
                cut.runs().any(|(mut ranks, seq)| ranks.any(|rank| seq > most(rank)))
            }
            Known::Parts { cut, .. } => {
                cut.iter().enumerate().any(|(at, seq)| *seq != UNKNOWN && *seq > most(at))
            }
        }
    }

    /// Whether `q`, who sent it, says to come from `view` with more than there can be: more than
    /// `most` of a rank, or a slot above `safe_most`.
    pub(super) fn is_false(
        &self,
        (view, q): (&View, ProcessId),
        most: impl Fn(usize) -> Seq,
        safe_most: Seq,
    ) -> bool {
        ViewKey::of(view, q) == Some(self.view) && (self.safe > safe_most || self.exceeds(most))
    }

    /// The cut, if all of it is here.
    pub(crate) fn cut(&self) -> Option<&Cut> {
        match &self.cut {
            Known::Whole(cut) => Some(cut),
            Known::Parts { .. } => None,
        }
    }

    /// The cut, if `q`, who sent it, was in `view`.
    pub(crate) fn cut_in(&self, view: &View, q: ProcessId) -> Option<&Cut> {
        self.cut().filter(|cut| ViewKey::of(view, q) == Some(self.view) && cut.len() == view.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_in_runs_has_the_same_numbers() {
        for cut in [&[][..], &[7], &[0, 0, 0], &[1, 2, 3], &[0, 5, 5, 0, 0, 9]] {
            let runs = Cut::new(cut);
            assert_eq!(runs.len(), cut.len());
            for rank in 0..=cut.len() {
                assert_eq!(runs.get(rank), cut.get(rank).copied(), "{cut:?}");
            }
            let all: Vec<Seq> =
                runs.runs().flat_map(|(ranks, seq)| ranks.map(move |_| seq)).collect();
            assert_eq!(all, cut);
        }
        assert_eq!(Cut::new(&[0; 1000]).runs().count(), 1);
    }
}
