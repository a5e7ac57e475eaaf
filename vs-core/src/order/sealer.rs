//! What a member of an ordered group writes into the trailer of each packet that it seals.

use alloc::vec;
use alloc::vec::Vec;

use super::leader::LEADER;
use crate::ident::{Rank, Seq};
use crate::wire::trailer::{self, Record};

/// Writes trailers in one view. The leader's say which packets of others come next.
#[derive(Debug)]
pub(crate) struct Sealer {
    leads: bool,
    /// The last slot of which something was delivered here.
    after: Seq,
    /// The packets of each member that are recorded, by rank.
    recorded: Vec<Seq>,
    /// Where the next trailer begins to look for something to record: each gets its turn.
    turn: Rank,
    /// Something may be unrecorded.
    grown: bool,
}

impl Sealer {
    /// The sealer of rank `me` of `ranks`.
    pub(crate) fn new(ranks: usize, me: Rank) -> Self {
        let leads = me == LEADER && ranks > 1;
        let recorded = if leads { vec![0; ranks] } else { Vec::new() };
        Self { leads, after: 0, recorded, turn: 0, grown: false }
    }

    /// Whether this member leads others.
    pub(crate) fn leads(&self) -> bool {
        self.leads
    }

    /// Something of slot `slot` is delivered.
    #[inline]
    pub(crate) fn handle_delivered(&mut self, slot: Seq) {
        self.after = slot;
    }

    /// More of another member's stream is here.
    pub(crate) fn handle_arrived(&mut self) {
        self.grown = self.leads;
    }

    /// Whether something is unrecorded. Nobody records any more once it is known up to where each
    /// stream counts.
    pub(crate) fn has_unrecorded(&self) -> bool {
        self.grown
    }

    /// From now on nothing is recorded.
    pub(crate) fn close(&mut self) {
        (self.leads, self.grown) = (false, false);
    }

    /// Writes the trailer behind the first `used` bytes of `body`. `boundary` tells up to which
    /// packet the messages of a member are here. Answers how many bytes of the body are used then.
    pub(crate) fn write(
        &mut self,
        body: &mut [u8],
        used: usize,
        boundary: impl Fn(Rank) -> Seq,
    ) -> usize {
        if !self.grown {
            return trailer::append(body, used, self.after, core::iter::empty());
        }
        let Self { after, recorded, turn, .. } = self;
        let ranks = recorded.len() as Rank;
        let mut last = *turn;
        let unrecorded = (*turn..ranks).chain(0..*turn).filter(|&rank| rank != LEADER);
        let records = unrecorded.filter_map(|rank| {
            let recorded = &mut recorded[usize::from(rank)];
            // A window is smaller than 2^32.
            let packets = boundary(rank).saturating_sub(*recorded) as u32;
            *recorded += u64::from(packets);
            last = rank;
            (packets > 0).then_some(Record { rank, packets })
        });
        let end = trailer::append(body, used, *after, records);
        *turn = (last + 1) % ranks;
        let is_left = |rank: Rank| boundary(rank) > recorded[usize::from(rank)];
        self.grown = (0..ranks).filter(|&rank| rank != LEADER).any(is_left);
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(sealer: &mut Sealer, room: usize, boundary: &[Seq]) -> Vec<(Rank, u32)> {
        let mut body = vec![0; room];
        let end = sealer.write(&mut body, 0, |rank| boundary[usize::from(rank)]);
        let (_, trailer) = trailer::split(&body[..end]).unwrap();
        (0..).map_while(|at| trailer.record(at)).map(|r| (r.rank, r.packets)).collect()
    }

    #[test]
    fn leader_records_what_is_new_of_each_in_turn() {
        let mut sealer = Sealer::new(4, LEADER);
        sealer.handle_arrived();
        let two = 5 + 2 * 6;
        assert_eq!(written(&mut sealer, two, &[9, 3, 4, 5]), [(1, 3), (2, 4)]);
        assert!(sealer.has_unrecorded());
        assert_eq!(written(&mut sealer, two, &[9, 6, 4, 5]), [(3, 5), (1, 3)]);
        assert!(!sealer.has_unrecorded());
        assert_eq!(written(&mut sealer, two, &[9, 6, 4, 5]), []);
    }

    #[test]
    fn only_the_leader_of_others_records() {
        for (ranks, me) in [(1, LEADER), (3, LEADER + 1)] {
            let mut sealer = Sealer::new(ranks, me);
            sealer.handle_arrived();
            assert!(!sealer.has_unrecorded());
            assert_eq!(written(&mut sealer, 64, &[1, 1, 1]), []);
        }
        let mut closed = Sealer::new(3, LEADER);
        closed.close();
        closed.handle_arrived();
        assert_eq!(written(&mut closed, 64, &[1, 1, 1]), []);
    }
}
