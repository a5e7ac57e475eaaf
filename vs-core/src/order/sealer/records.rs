//! What a member of a group with one order for all writes into the trailer of each packet that it
//! seals.

use alloc::vec;
use alloc::vec::Vec;

use super::content::Content;
use crate::ident::{Rank, Seq};
use crate::order::leader::FIRST_LEADER;
use crate::order::shares::{self, Shares};
use crate::wire::trailer::{self, Record};

/// Bytes that are kept of each member.
pub(super) const RECORDS_BYTES: usize = size_of::<Seq>() + shares::SHARE_BYTES;

/// Writes trailers in one view. The leader's say which packets of others come next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Records {
    me: Rank,
    leads: bool,
    /// Nothing is recorded any more.
    is_closed: bool,
    /// The last slot of which something was delivered here.
    after: Seq,
    /// While this member leads, the packets of each other that are recorded, by rank.
    recorded: Vec<Seq>,
    /// Where the next trailer begins to look for something to record: each gets its turn.
    turn: Rank,
    /// Something may be unrecorded.
    grown: bool,
    /// What this member put in order, to see whether another had better lead.
    shares: Shares,
}

impl Records {
    /// The sealer of rank `me` of `ranks`. Each may have `window` packets outstanding.
    pub(crate) fn new(ranks: usize, me: Rank, window: usize) -> Self {
        Self {
            me,
            leads: me == FIRST_LEADER && ranks > 1,
            is_closed: false,
            after: 0,
            recorded: vec![0; ranks],
            turn: 0,
            grown: false,
            shares: Shares::new(ranks, window),
        }
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

    /// The messages of another member are here up to packet `boundary`.
    pub(crate) fn handle_arrived(&mut self, rank: Rank, boundary: Seq) {
        self.grown |= self.leads && boundary > self.recorded[usize::from(rank)];
    }

    /// This member leads from now on. `recorded` tells up to which packet each stream is in order,
    /// `boundary` up to which one its messages are here.
    pub(crate) fn lead(&mut self, recorded: impl Fn(Rank) -> Seq, boundary: impl Fn(Rank) -> Seq) {
        if self.is_closed {
            return;
        }
        (0..).zip(&mut self.recorded).for_each(|(rank, known)| *known = recorded(rank));
        self.leads = true;
        self.grown = self.has_more(boundary);
        self.shares.restart();
    }

    /// Whether something is unrecorded. Nobody records any more once it is known up to where each
    /// stream counts.
    pub(crate) fn has_unrecorded(&self) -> bool {
        self.grown
    }

    /// From now on nothing is recorded.
    pub(crate) fn close(&mut self) {
        (self.leads, self.grown, self.is_closed) = (false, false, true);
    }

    /// Writes the trailer behind `content` in `body`. `boundary` tells up to which packet the
    /// messages of a member are here. Answers how many bytes of the body are used then.
    pub(crate) fn write(
        &mut self,
        body: &mut [u8],
        content: Content,
        boundary: impl Fn(Rank) -> Seq,
    ) -> usize {
        if !self.leads {
            return trailer::append(body, content.len, self.after, core::iter::empty());
        }
        let next = content.ends_message.then(|| self.shares.successor(self.me)).flatten();
        if content.len > 0 {
            self.shares.count_own();
        }
        if !self.grown && next.is_none() {
            return trailer::append(body, content.len, self.after, core::iter::empty());
        }
        let Self { me, after, recorded, turn, shares, .. } = self;
        let ranks = recorded.len() as Rank;
        let mut last = *turn;
        let unrecorded = (*turn..ranks).chain(0..*turn).filter(|rank| rank != me);
        let records = unrecorded.filter_map(|rank| {
            let recorded = &mut recorded[usize::from(rank)];
            // A window is smaller than 2^32.
            let packets = boundary(rank).saturating_sub(*recorded) as u32;
            if packets == 0 {
                return None;
            }
            *recorded += u64::from(packets);
            last = rank;
            shares.count(rank, packets);
            Some(Record { rank, packets })
        });
        let lead = next.map(Record::of_new_leader);
        let end = trailer::append(body, content.len, *after, lead.into_iter().chain(records));
        *turn = (last + 1) % ranks;
        self.leads = next.is_none();
        self.grown = self.leads && self.has_more(boundary);
        end
    }

    /// Whether messages of others are here that are not recorded.
    fn has_more(&self, boundary: impl Fn(Rank) -> Seq) -> bool {
        let mut others = (0..).zip(&self.recorded).filter(|(rank, _)| *rank != self.me);
        others.any(|(rank, recorded)| boundary(rank) > *recorded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: usize = 1024;

    fn written(sealer: &mut Records, room: usize, boundary: &[Seq]) -> Vec<(Rank, u32)> {
        let mut body = vec![0; room];
        let content = Content { len: 0, ends_message: true };
        let end = sealer.write(&mut body, content, |rank| boundary[usize::from(rank)]);
        let (_, trailer) = trailer::split(&body[..end]).unwrap();
        (0..).map_while(|at| trailer.record(at)).map(|r| (r.rank, r.packets)).collect()
    }

    #[test]
    fn leader_records_what_is_new_of_each_in_turn() {
        let mut sealer = Records::new(4, FIRST_LEADER, WINDOW);
        sealer.handle_arrived(1, 3);
        let two = 5 + 2 * 6;
        assert_eq!(written(&mut sealer, two, &[9, 3, 4, 5]), [(1, 3), (2, 4)]);
        assert!(sealer.has_unrecorded());
        assert_eq!(written(&mut sealer, two, &[9, 6, 4, 5]), [(3, 5), (1, 3)]);
        assert!(!sealer.has_unrecorded());
        assert_eq!(written(&mut sealer, two, &[9, 6, 4, 5]), []);
    }

    #[test]
    fn only_the_leader_of_others_records() {
        for (ranks, me) in [(1, FIRST_LEADER), (3, FIRST_LEADER + 1)] {
            let mut sealer = Records::new(ranks, me, WINDOW);
            (0..ranks as Rank).filter(|rank| *rank != me).for_each(|r| sealer.handle_arrived(r, 1));
            assert!(!sealer.has_unrecorded());
            assert_eq!(written(&mut sealer, 64, &[1, 1, 1]), []);
        }
        let mut closed = Records::new(3, FIRST_LEADER, WINDOW);
        closed.close();
        closed.handle_arrived(1, 1);
        assert_eq!(written(&mut closed, 64, &[1, 1, 1]), []);
    }

    /// Member 2 sends, the leader does not. Whoever takes the lead goes on with what the walk has
    /// put in order, and nobody else records any more.
    #[test]
    fn silent_leader_hands_over_to_who_sends() {
        let mut sealer = Records::new(3, FIRST_LEADER, WINDOW);
        sealer.handle_arrived(2, 200);
        assert_eq!(written(&mut sealer, 64, &[0, 4, 200]), [(1, 4), (2, 200)]);
        sealer.handle_arrived(2, 200);
        assert!(!sealer.has_unrecorded(), "that is recorded");
        assert_eq!(written(&mut sealer, 11, &[0, 5, 201]), [(2, 0)], "that goes first");
        sealer.handle_arrived(2, 202);
        assert!(!sealer.leads() && !sealer.has_unrecorded());
        assert_eq!(written(&mut sealer, 64, &[0, 6, 202]), []);

        let mut next = Records::new(3, 2, WINDOW);
        next.lead(|rank| [9, 4, 200][usize::from(rank)], |rank| [9, 5, 0][usize::from(rank)]);
        assert!(next.has_unrecorded());
        assert_eq!(written(&mut next, 64, &[10, 5, 0]), [(0, 1), (1, 1)]);
    }

    #[test]
    fn lead_does_not_pass_within_a_message() {
        let mut sealer = Records::new(2, FIRST_LEADER, WINDOW);
        sealer.handle_arrived(1, 200);
        assert_eq!(written(&mut sealer, 64, &[0, 200]), [(1, 200)]);
        let (mut body, part) = ([0; 64], Content { len: 9, ends_message: false });
        sealer.write(&mut body, part, |_| 200);
        assert!(sealer.leads());
        assert_eq!(written(&mut sealer, 64, &[0, 200]), [(1, 0)]);
    }
}
