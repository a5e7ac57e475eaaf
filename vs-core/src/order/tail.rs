//! The end of an ordered view: what is delivered after the signal.

use alloc::vec::Vec;

use super::stage::Stage;
use crate::ident::{Rank, Seq};
use crate::wire::trailer::Trailer;

/// What is known once a change is certain: who comes along, and how far each stream counts. It is
/// the same at all of them, and so is what they deliver from here on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tail {
    /// The first slot that cannot be delivered as a whole: one of the packets that it names is at
    /// nobody who comes along. Without one: the slot after the last.
    hole: Seq,
    /// Whether each member comes along, by rank.
    together: Vec<bool>,
    /// Up to which packet each stream counts, by rank.
    agreed: Vec<Seq>,
    /// Members of which something was left out: nothing more of them is delivered.
    refused: Vec<bool>,
    /// All slots are done.
    are_slots_done: bool,
}

impl Tail {
    /// The tail of a view, by rank: whether a member comes along, and how far its stream counts.
    pub(crate) fn new(together: Vec<bool>, agreed: Vec<Seq>) -> Self {
        let refused = alloc::vec![false; agreed.len()];
        Self { hole: 0, together, agreed, refused, are_slots_done: false }
    }

    /// Slot `slot` is the first that cannot be delivered as a whole.
    pub(super) fn with_hole(self, slot: Seq) -> Self {
        Self { hole: slot, ..self }
    }

    /// Up to which packet the stream of `rank` counts.
    pub(super) fn agreed(&self, rank: Rank) -> Seq {
        self.agreed.get(usize::from(rank)).copied().unwrap_or(0)
    }

    /// Whether a packet of `rank` with this trailer is left out. A sender that does not come along
    /// may have delivered what nobody here has, and its messages may follow from that.
    pub(super) fn refuses(&mut self, rank: Rank, trailer: &Trailer<'_>) -> bool {
        let at = usize::from(rank);
        if self.together[at] {
            return false;
        }
        self.refused[at] |= trailer.follows(self.hole);
        self.refused[at]
    }

    /// Whether the slot counts that is packet `packet` of `leader`. Once one does not, all are
    /// done.
    pub(super) fn has_slot(&mut self, leader: Rank, packet: Seq) -> bool {
        self.are_slots_done |= packet > self.agreed(leader);
        !self.are_slots_done
    }

    /// Members, by rank, of whose streams something may be left once all slots are done.
    pub(super) fn ranks(&self) -> core::ops::Range<Rank> {
        // A view has at most 2,048 members.
        0..self.agreed.len() as Rank
    }

    /// What a delivery is now.
    pub(super) fn stage(&self) -> Stage {
        if self.are_slots_done { Stage::Tail } else { Stage::Recorded }
    }
}
