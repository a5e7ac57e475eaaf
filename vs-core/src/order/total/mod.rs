//! One order for all members: a walk over the packets of the leader.
//!
//! A slot is a packet of the leader: the packets of others that its trailer records, then its own
//! messages. A trailer may pass the lead to another member. Whoever has the same packets walks the
//! same way.

mod end;
mod regular;

use super::leader::FIRST_LEADER;
use super::offers::{Packets, Sealed};
use super::place::Place;
use super::safe::Safe;
use super::tail::Tail;
use crate::ident::{Rank, Seq};
use crate::rule::{Rule, Rules};

/// What a look for the next message has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Whose turn it is, or that all wait.
    Turn,
    /// The next packet of this member, with the rest of a message that goes beyond it, is to be
    /// passed over; then there is to be another look.
    PassOver(Rank),
}

/// The walk of one member in one view.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Total {
    rules: Rules,
    /// The slot that is walked.
    place: Place,
    /// The record of it that comes next.
    record: usize,
    /// Whose recorded packets are delivered now.
    current: Option<Rank>,
    /// The lead has passed, and nobody was told.
    has_new_leader: bool,
    /// Whose message is next, as the last look has found.
    turn: Option<Rank>,
    /// In a safe order, up to which slot deliveries are regular.
    safe: Option<Safe>,
    /// After the signal.
    tail: Option<Tail>,
    /// The application has taken the signal.
    is_signal_told: bool,
}

/// One step of a walk.
enum Step {
    /// There is another one to take.
    On,
    Turn(Rank),
    Wait,
    PassOver(Rank),
}

impl Total {
    /// The walk of a view of `ranks` that begins.
    pub(super) fn new(is_safe: bool, ranks: usize, rules: Rules) -> Self {
        Self {
            rules,
            place: Place::first(ranks),
            record: 0,
            current: None,
            has_new_leader: false,
            turn: None,
            safe: is_safe.then_some(Safe::AsKnown),
            tail: None,
            is_signal_told: false,
        }
    }

    /// Whose message is next, as [`Total::find`] has found; after it was taken, who may have one.
    #[inline]
    pub(crate) fn turn(&self) -> Option<Rank> {
        self.turn.filter(|_| !self.is_signal_due())
    }

    /// The slot that the next message belongs to. Once that message is delivered, what is sealed
    /// here may follow from this slot.
    #[inline]
    pub(crate) fn slot(&self) -> Seq {
        let slot = self.place.slot();
        if self.rules.keeps(Rule::OrderAfterPart) { slot } else { slot - 1 }
    }

    /// Who leads from here on, if that has changed since it was asked last: all that was to be
    /// delivered before is delivered.
    #[inline]
    pub(crate) fn take_new_leader(&mut self) -> Option<Rank> {
        core::mem::take(&mut self.has_new_leader).then_some(self.place.leader())
    }

    /// Up to which packet the stream of `rank` is in order here.
    pub(crate) fn recorded(&self, rank: Rank) -> Seq {
        if self.rules.keeps(Rule::OrderLeadFromSlots) { self.place.recorded(rank) } else { 0 }
    }

    /// Looks for the next message.
    pub(super) fn find(&mut self, packets: &impl Packets) -> Found {
        // Once begun, a packet is delivered as a whole.
        let is_begun = |rank| packets.peek(rank).is_some_and(|head| head.offset > 0);
        if self.turn.is_some_and(is_begun) {
            return Found::Turn;
        }
        self.turn = loop {
            match self.step(packets) {
                Step::On => {}
                Step::Turn(rank) => break Some(rank),
                Step::Wait => break None,
                Step::PassOver(rank) => {
                    self.turn = None;
                    return Found::PassOver(rank);
                }
            }
        };
        Found::Turn
    }

    fn step(&mut self, packets: &impl Packets) -> Step {
        if let Some(rank) = self.current {
            return self.step_of(packets, rank);
        }
        if packets.ranks() == 1 {
            // Nobody records, and the packet that is next may still be open.
            return packets.peek(FIRST_LEADER).map_or(Step::Wait, |_| Step::Turn(FIRST_LEADER));
        }
        let (leader, packet) = (self.place.leader(), self.place.packet());
        if self.tail.as_mut().is_some_and(|tail| !tail.has_slot(leader, packet)) {
            return self.step_behind_slots(packets);
        }
        let delivered = packets.delivered(leader);
        if delivered >= packet {
            return self.step_to_next_slot();
        }
        let Some(slot) = packets.sealed(leader, packet) else { return Step::Wait };
        if self.record == 0 && !self.is_regular(packets, &slot) {
            return Step::Wait;
        }
        if let Some(record) = slot.trailer.record(self.record) {
            self.record += 1;
            self.current = self.place.record(record);
            return Step::On;
        }
        if !slot.ends_message {
            return self.step_to_next_slot();
        }
        self.place.record_own();
        self.current = Some(leader);
        if delivered + 1 < packet || self.has_tail() {
            return Step::On;
        }
        // As most of the time. The packet is looked at already.
        if slot.is_empty { Step::PassOver(leader) } else { Step::Turn(leader) }
    }

    fn step_to_next_slot(&mut self) -> Step {
        self.has_new_leader |= self.place.step(self.rules);
        self.record = 0;
        Step::On
    }

    /// A step over what is recorded of `rank`.
    #[inline]
    fn step_of(&mut self, packets: &impl Packets, rank: Rank) -> Step {
        let recorded = self.place.recorded(rank);
        let upto = self.tail.as_ref().map_or(recorded, |tail| recorded.min(tail.agreed(rank)));
        if packets.delivered(rank) >= upto {
            self.current = None;
            return Step::On;
        }
        self.deliver(packets, rank)
    }

    /// A step over what no slot records: by rank, then by packet.
    fn step_behind_slots(&mut self, packets: &impl Packets) -> Step {
        let Some(tail) = &self.tail else { return Step::Wait };
        let is_left = |&rank: &Rank| packets.delivered(rank) < tail.agreed(rank);
        match tail.ranks().find(is_left) {
            Some(rank) => self.deliver(packets, rank),
            None => Step::Wait,
        }
    }

    /// The message of `rank` is next, unless its packet holds none or is left out.
    fn deliver(&mut self, packets: &impl Packets, rank: Rank) -> Step {
        let Some(head) = packets.peek(rank) else { return Step::Wait };
        if head.offset > 0 {
            return Step::Turn(rank);
        }
        let Some(Sealed { is_empty, trailer, .. }) = packets.sealed(rank, head.packet) else {
            return Step::Wait;
        };
        let is_kept = self.rules.keeps(Rule::OrderHole);
        let is_refused = |tail: &mut Tail| is_kept && tail.refuses(rank, &trailer);
        if is_empty || self.tail.as_mut().is_some_and(is_refused) {
            Step::PassOver(rank)
        } else {
            Step::Turn(rank)
        }
    }
}

#[cfg(test)]
mod tests;
