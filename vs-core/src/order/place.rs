//! Where a walk over the slots of a view is.
//!
//! It follows from what the slots so far say, and so is the same at all who have their packets.

use alloc::vec;
use alloc::vec::Vec;

use super::leader::FIRST_LEADER;
use super::offers::Sealed;
use crate::ident::{Rank, Seq};
use crate::rule::{Rule, Rules};
use crate::wire::trailer::Record;

/// A slot, and what those before it put in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// Numbers go on when another member takes the lead: they say which slot comes first.
    slot: Seq,
    /// Whose packet the slot is.
    leader: Rank,
    /// Which of its packets.
    packet: Seq,
    /// Up to which packet each stream is in order, by rank.
    recorded: Vec<Seq>,
    /// Who leads from the next slot on, if the slot says so.
    next_leader: Option<Rank>,
}

impl Place {
    /// The first slot of a view of `ranks`.
    pub(super) fn first(ranks: usize) -> Self {
        let recorded = vec![0; ranks];
        Self { slot: 1, leader: FIRST_LEADER, packet: 1, recorded, next_leader: None }
    }

    /// The number of the slot.
    #[inline]
    pub(super) fn slot(&self) -> Seq {
        self.slot
    }

    /// Who leads: the slot is a packet of this member.
    #[inline]
    pub(super) fn leader(&self) -> Rank {
        self.leader
    }

    /// The packet of the leader that the slot is.
    #[inline]
    pub(super) fn packet(&self) -> Seq {
        self.packet
    }

    /// Up to which packet the stream of `rank` is in order.
    #[inline]
    pub(super) fn recorded(&self, rank: Rank) -> Seq {
        self.recorded.get(usize::from(rank)).copied().unwrap_or(0)
    }

    /// Whose packets come next by a record of the slot, and up to which one.
    pub(super) fn end_of(&self, record: Record) -> Option<(Rank, Seq)> {
        let Record { rank, packets } = record;
        let recorded = self.recorded.get(usize::from(rank))?;
        let names_others = rank != self.leader && !record.passes_lead();
        names_others.then(|| (rank, recorded.saturating_add(packets.into())))
    }

    /// Counts a record of the slot. Answers the member whose packets come next by it.
    pub(super) fn record(&mut self, record: Record) -> Option<Rank> {
        let Some((rank, upto)) = self.end_of(record) else {
            let is_member = usize::from(record.rank) < self.recorded.len();
            if is_member && record.rank != self.leader {
                self.next_leader = Some(record.rank);
            }
            return None;
        };
        self.recorded[usize::from(rank)] = upto;
        Some(rank)
    }

    /// The own messages of the slot come, as if they were recorded last.
    pub(super) fn record_own(&mut self) {
        self.recorded[usize::from(self.leader)] = self.packet;
    }

    /// Goes to the next slot. True if another member leads from there on: its slots begin with its
    /// first packet that is in no order yet.
    pub(super) fn step(&mut self, rules: Rules) -> bool {
        self.slot += 1;
        // In the midst of a message the lead does not pass: two members could pass it to each other
        // for ever without that a packet is left behind.
        let is_left = self.recorded(self.leader) == self.packet;
        let Some(leader) = self.next_leader.take().filter(|_| is_left) else {
            self.packet += 1;
            return false;
        };
        (self.leader, self.packet) = (leader, self.recorded(leader).saturating_add(1));
        if !rules.keeps(Rule::OrderSlotsGoOn) {
            self.slot = self.packet;
        }
        true
    }

    /// Goes over the slot, whose records from place `first` on are not counted yet. `None`: its own
    /// messages are delivered, and so is all that it records.
    pub(super) fn pass(&mut self, slot: Option<&Sealed<'_>>, first: usize, rules: Rules) {
        if let Some(slot) = slot {
            slot.trailer.records_from(first).for_each(|record| {
                self.record(record);
            });
            if slot.ends_message {
                self.record_own();
            }
        }
        self.step(rules);
    }

    /// Whether a stream is in order beyond what `end` says of it.
    pub(super) fn is_beyond(&self, end: impl Fn(Rank) -> Seq) -> bool {
        (0..).zip(&self.recorded).any(|(rank, upto)| *upto > end(rank))
    }
}
