//! The order of each sender alone: packet by packet around the senders.

use super::offers::Offers;
use crate::ident::Rank;

/// Takes a packet of each sender in turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct RoundRobin {
    /// Who is asked first; beyond the last rank it is the turn of the first one.
    turn: Rank,
}

impl RoundRobin {
    /// The first from the one whose turn it is that has something.
    #[inline]
    pub(super) fn next(&self, offers: &impl Offers) -> Option<Rank> {
        if offers.peek(self.turn).is_some() {
            return Some(self.turn);
        }
        self.next_after_turn(offers)
    }

    /// Apart from the common case, which is asked for after each message.
    #[inline(never)]
    fn next_after_turn(&self, offers: &impl Offers) -> Option<Rank> {
        let ranks = offers.ranks() as Rank;
        let mut rank = self.turn;
        for _ in 0..ranks {
            rank = if rank + 1 < ranks { rank + 1 } else { 0 };
            if offers.peek(rank).is_some() {
                return Some(rank);
            }
        }
        None
    }

    /// The turn stays with `rank` until a packet ends.
    #[inline]
    pub(super) fn handle_taken(&mut self, rank: Rank, ends_packet: bool) {
        self.turn = rank + Rank::from(ends_packet);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::super::offers::Head;
    use super::*;

    /// Messages that are left in each packet, by sender.
    struct Left(Vec<Vec<usize>>);

    impl Offers for Left {
        fn ranks(&self) -> usize {
            self.0.len()
        }

        fn may_have_some(&self) -> bool {
            true
        }

        fn peek(&self, rank: Rank) -> Option<Head> {
            let packets = self.0.get(usize::from(rank))?;
            (!packets.is_empty()).then_some(Head { packet: 1, offset: 0 })
        }
    }

    #[test]
    fn senders_take_turns_packet_by_packet() {
        let mut left = Left(vec![vec![2, 1], vec![], vec![1, 1, 1]]);
        let mut policy = RoundRobin::default();
        let mut order = Vec::new();
        while let Some(rank) = policy.next(&left) {
            order.push(rank);
            let packets = &mut left.0[usize::from(rank)];
            packets[0] -= 1;
            let ends_packet = packets[0] == 0;
            if ends_packet {
                packets.remove(0);
            }
            policy.handle_taken(rank, ends_packet);
        }
        assert_eq!(order, [0, 0, 2, 0, 2, 2]);
    }
}
