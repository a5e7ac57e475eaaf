//! One order for all members: a walk over the packets of the leader.
//!
//! Slot x is packet x of the leader: the packets of others that its trailer records, then its own
//! messages. Whoever has the same packets walks the same way.

use alloc::vec;
use alloc::vec::Vec;

use super::leader::LEADER;
use super::offers::{Packets, Sealed};
use super::stage::Stage;
use super::tail::Tail;
use crate::ident::{Rank, Seq};
use crate::rule::{Rule, Rules};
use crate::wire::trailer::Record;

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
#[derive(Debug)]
pub(crate) struct Total {
    rules: Rules,
    /// The slot that is walked.
    slot: Seq,
    /// The record of it that comes next.
    record: usize,
    /// Whose recorded packets are delivered now.
    current: Option<Rank>,
    /// Up to which packet the slots so far record each stream, by rank.
    recorded: Vec<Seq>,
    /// Whose message is next, as the last look has found.
    turn: Option<Rank>,
    /// In a safe order, up to which slot deliveries are regular.
    safe: Option<Safe>,
    /// After the signal.
    tail: Option<Tail>,
    /// The application has taken the signal.
    is_signal_told: bool,
}

/// How far a safe order delivers before the signal.
#[derive(Clone, Copy, Debug)]
enum Safe {
    /// What all members are known to have.
    AsKnown,
    /// Up to this slot.
    UpTo(Seq),
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
            slot: 1,
            record: 0,
            current: None,
            recorded: vec![0; ranks],
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
        if self.rules.keeps(Rule::OrderAfterPart) { self.slot } else { self.slot - 1 }
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
            return packets.peek(LEADER).map_or(Step::Wait, |_| Step::Turn(LEADER));
        }
        if self.tail.as_mut().is_some_and(|tail| !tail.has_slot(self.slot)) {
            return self.step_behind_slots(packets);
        }
        if packets.delivered(LEADER) >= self.slot {
            return self.step_to_next_slot();
        }
        let Some(slot) = packets.sealed(LEADER, self.slot) else { return Step::Wait };
        if self.record == 0 && !self.is_regular(packets, &slot) {
            return Step::Wait;
        }
        if let Some(Record { rank, packets }) = slot.trailer.record(self.record) {
            self.record += 1;
            if let Some(recorded) = self.recorded.get_mut(usize::from(rank))
                && rank != LEADER
            {
                *recorded = recorded.saturating_add(u64::from(packets));
                self.current = Some(rank);
            }
            return Step::On;
        }
        if !slot.ends_message {
            return self.step_to_next_slot();
        }
        // Its own messages come as if they were recorded last.
        self.recorded[usize::from(LEADER)] = self.slot;
        self.current = Some(LEADER);
        Step::On
    }

    fn step_to_next_slot(&mut self) -> Step {
        (self.slot, self.record) = (self.slot + 1, 0);
        Step::On
    }

    /// A step over what is recorded of `rank`.
    #[inline]
    fn step_of(&mut self, packets: &impl Packets, rank: Rank) -> Step {
        let recorded = self.recorded[usize::from(rank)];
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

/// What all members are known to have.
impl Total {
    /// Whether the order lets the slot that comes next be delivered.
    fn is_regular(&self, packets: &impl Packets, slot: &Sealed<'_>) -> bool {
        match self.safe {
            None => true,
            Some(_) if self.has_tail() => true,
            Some(Safe::UpTo(safe)) => self.slot <= safe,
            Some(Safe::AsKnown) => is_safe(packets, self.slot, slot, &self.recorded),
        }
    }

    /// Up to which slot everything is known to be at all members; 0 where the order does not ask
    /// for it.
    pub(crate) fn safe_upto(&self, packets: &impl Packets) -> Seq {
        if self.safe.is_none() || packets.ranks() == 1 {
            return 0;
        }
        let (mut next, mut recorded) = (self.slot, self.recorded.clone());
        // What is begun was safe.
        if self.record > 0 || self.current.is_some() {
            count_records(packets, next, self.record, &mut recorded);
            next += 1;
        }
        while packets
            .sealed(LEADER, next)
            .is_some_and(|slot| is_safe(packets, next, &slot, &recorded))
        {
            count_records(packets, next, 0, &mut recorded);
            next += 1;
        }
        next - 1
    }

    /// From now on slots up to `safe` are delivered, and no other, whatever becomes known.
    pub(crate) fn freeze(&mut self, safe: Seq) {
        if self.safe.is_some() {
            self.safe = Some(Safe::UpTo(safe));
        }
    }

    /// What becomes known counts again.
    pub(crate) fn unfreeze(&mut self) {
        if self.safe.is_some() {
            self.safe = Some(Safe::AsKnown);
        }
    }
}

/// Whether all members are known to have slot `at` and what it records beyond `recorded`.
fn is_safe(packets: &impl Packets, at: Seq, slot: &Sealed<'_>, recorded: &[Seq]) -> bool {
    let mut records = (0..).map_while(|at| slot.trailer.record(at));
    let has_all = records.all(|Record { rank, packets: more }| {
        let recorded = recorded.get(usize::from(rank));
        recorded.is_none_or(|upto| packets.stable(rank) >= upto.saturating_add(more.into()))
    });
    has_all && packets.stable(LEADER) >= at
}

/// Moves `recorded` on by the records of slot `at`, from the one at place `first` on.
fn count_records(packets: &impl Packets, at: Seq, first: usize, recorded: &mut [Seq]) {
    let Some(slot) = packets.sealed(LEADER, at) else { return };
    for Record { rank, packets: more } in (first..).map_while(|at| slot.trailer.record(at)) {
        if let Some(recorded) = recorded.get_mut(usize::from(rank)) {
            *recorded = recorded.saturating_add(more.into());
        }
    }
}

/// The end of the view.
impl Total {
    /// All that counts is here, and nothing can be delivered before the signal any more.
    pub(crate) fn begin_tail(&mut self, tail: Tail, packets: &impl Packets) {
        let hole = self.hole(&tail, packets);
        self.tail = Some(tail.with_hole(hole));
    }

    /// The first slot from here on that names a packet which does not count, or the one after all
    /// that count.
    fn hole(&self, tail: &Tail, packets: &impl Packets) -> Seq {
        let mut recorded = self.recorded.clone();
        let is_beyond = |recorded: &[Seq]| {
            (0..).zip(recorded).any(|(rank, upto)| rank != LEADER && *upto > tail.agreed(rank))
        };
        let mut first = self.record;
        for slot in self.slot..=tail.agreed(LEADER) {
            count_records(packets, slot, first, &mut recorded);
            if is_beyond(&recorded) {
                return slot;
            }
            first = 0;
        }
        self.slot.max(tail.agreed(LEADER) + 1)
    }

    /// Whether the view ends here, whatever else happens.
    #[inline]
    pub(crate) fn has_tail(&self) -> bool {
        self.tail.is_some()
    }

    /// Whether the application has to be told that what it delivers from here on is promised to the
    /// transitional set alone.
    #[inline]
    pub(crate) fn is_signal_due(&self) -> bool {
        self.has_tail() && !self.is_signal_told
    }

    /// The application takes the signal.
    pub(crate) fn handle_signal_told(&mut self) {
        self.is_signal_told = true;
    }

    /// Whether nothing is left but the next view.
    pub(crate) fn is_done(&self) -> bool {
        self.is_signal_told && self.turn.is_none()
    }

    /// What a delivery is now.
    pub(crate) fn stage(&self) -> Stage {
        self.tail.as_ref().map_or(Stage::Regular, Tail::stage)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::super::offers::{Head, Offers};
    use super::*;
    use crate::wire::trailer;

    /// What a packet says: messages in it, and its trailer.
    #[derive(Clone)]
    struct Packet {
        messages: usize,
        trailer: Vec<u8>,
    }

    /// A packet with so many messages, sealed after slot `after`, that records `(rank, packets)`.
    fn packet(messages: usize, after: Seq, records: &[(Rank, u32)]) -> Packet {
        let mut trailer = vec![0; 100];
        let records = records.iter().map(|&(rank, packets)| Record { rank, packets });
        let end = trailer::append(&mut trailer, 0, after, records);
        trailer.truncate(end);
        Packet { messages, trailer }
    }

    /// The streams of a view as one member has them.
    struct Here {
        streams: Vec<Vec<Packet>>,
        limits: Vec<Seq>,
        delivered: Vec<Seq>,
        offsets: Vec<usize>,
        stable: Vec<Seq>,
    }

    impl Here {
        fn new(streams: &[&[Packet]]) -> Self {
            let ranks = streams.len();
            Self {
                streams: streams.iter().map(|packets| packets.to_vec()).collect(),
                limits: vec![Seq::MAX; ranks],
                delivered: vec![0; ranks],
                offsets: vec![0; ranks],
                stable: vec![0; ranks],
            }
        }

        fn next_packet(&self, rank: Rank) -> Option<&Packet> {
            let at = usize::from(rank);
            let next = self.delivered[at] + 1;
            self.streams[at].get(next as usize - 1).filter(|_| next <= self.limits[at])
        }

        fn pass(&mut self, rank: Rank) {
            self.delivered[usize::from(rank)] += 1;
            self.offsets[usize::from(rank)] = 0;
        }

        /// Walks as far as it goes: whose messages are delivered, each with its stage.
        fn walk(&mut self, walk: &mut Total) -> Vec<(Rank, Stage)> {
            let mut got = Vec::new();
            loop {
                match (walk.find(self), walk.turn()) {
                    (Found::PassOver(rank), _) => self.pass(rank),
                    (Found::Turn, None) => return got,
                    (Found::Turn, Some(rank)) => {
                        got.push((rank, walk.stage()));
                        self.offsets[usize::from(rank)] += 1;
                        let messages = self.next_packet(rank).unwrap().messages;
                        if self.offsets[usize::from(rank)] == messages {
                            self.pass(rank);
                        }
                    }
                }
            }
        }
    }

    impl Offers for Here {
        fn ranks(&self) -> usize {
            self.streams.len()
        }

        fn may_have_some(&self) -> bool {
            true
        }

        fn peek(&self, rank: Rank) -> Option<Head> {
            let at = usize::from(rank);
            self.next_packet(rank)
                .map(|_| Head { packet: self.delivered[at] + 1, offset: self.offsets[at] })
        }
    }

    impl Packets for Here {
        fn delivered(&self, rank: Rank) -> Seq {
            self.delivered[usize::from(rank)]
        }

        fn stable(&self, rank: Rank) -> Seq {
            self.stable[usize::from(rank)]
        }

        fn sealed(&self, rank: Rank, seq: Seq) -> Option<Sealed<'_>> {
            let at = usize::from(rank);
            let packet = self.streams[at].get(seq as usize - 1)?;
            let (_, trailer) = trailer::split(&packet.trailer)?;
            let is_empty = packet.messages == 0;
            // As in a ring: what is delivered may be gone.
            (seq > self.delivered[at] && seq <= self.limits[at]).then_some(Sealed {
                is_empty,
                ends_message: true,
                trailer,
            })
        }
    }

    const REGULAR: Stage = Stage::Regular;

    #[test]
    fn slots_are_what_they_record_then_own_messages() {
        let leader = [packet(2, 0, &[(1, 2)]), packet(0, 1, &[(2, 1)]), packet(1, 2, &[(1, 1)])];
        let (one, two) = ([1, 1, 2].map(|n| packet(n, 0, &[])), [packet(1, 0, &[])]);
        let mut here = Here::new(&[&leader, &one, &two]);
        let mut walk = Total::new(false, 3, Rules::default());
        let ranks: Vec<Rank> = here.walk(&mut walk).into_iter().map(|(rank, _)| rank).collect();
        assert_eq!(ranks, [1, 1, 0, 0, 2, 1, 1, 0]);
        assert_eq!(here.delivered, [3, 3, 1]);
    }

    #[test]
    fn walk_waits_for_what_a_slot_names() {
        let leader = [packet(1, 0, &[(1, 1)])];
        let mut here = Here::new(&[&leader, &[]]);
        let mut walk = Total::new(false, 2, Rules::default());
        assert_eq!(here.walk(&mut walk), []);
        here.streams[1].push(packet(1, 0, &[]));
        assert_eq!(here.walk(&mut walk), [(1, REGULAR), (0, REGULAR)]);
    }

    /// What is sealed in the midst of a slot follows from what is delivered of it. If only slots
    /// that are done counted, a message could outlive one that it follows from (T3).
    #[test]
    fn slot_of_which_a_part_is_delivered_counts() {
        let leader = [packet(1, 0, &[(1, 1)])];
        let mut here = Here::new(&[&leader, &[packet(2, 0, &[])]]);
        let mut walk = Total::new(false, 2, Rules::default());
        assert_eq!((walk.find(&here), walk.turn(), walk.slot()), (Found::Turn, Some(1), 1));
        here.offsets[1] = 1;
        assert_eq!((walk.find(&here), walk.turn(), walk.slot()), (Found::Turn, Some(1), 1));
    }

    /// Slots 1 and 2 are here, and slot 1 names a packet that not all members are known to have. In
    /// a safe order nothing is delivered before they are, and only what was safe once it is fixed.
    #[test]
    fn safe_walk_waits_until_all_have_a_slot() {
        let leader = [packet(1, 0, &[(1, 1)]), packet(1, 0, &[])];
        let mut here = Here::new(&[&leader, &[packet(1, 0, &[])]]);
        let mut walk = Total::new(true, 2, Rules::default());
        here.stable = vec![2, 0];
        assert_eq!((here.walk(&mut walk), walk.safe_upto(&here)), (vec![], 0));
        here.stable = vec![1, 1];
        assert_eq!(walk.safe_upto(&here), 1);
        walk.freeze(0);
        assert_eq!(here.walk(&mut walk), [], "not known in time");
        walk.freeze(1);
        here.stable = vec![2, 1];
        assert_eq!(here.walk(&mut walk), [(1, REGULAR), (0, REGULAR)]);
        walk.unfreeze();
        assert_eq!(here.walk(&mut walk), [(0, REGULAR)]);
    }

    /// The leader and member 1 do not come along. Slot 2 names packets of 1 of which one is at
    /// nobody here. The leader delivered it before slot 4, and 1 before its packet 2.
    #[test]
    fn what_may_follow_from_a_hole_is_left_out() {
        let leader = [
            packet(1, 0, &[(2, 1)]),
            packet(1, 1, &[(1, 3)]),
            packet(1, 1, &[(3, 1)]),
            packet(1, 2, &[]),
        ];
        let one = [packet(1, 0, &[]), packet(1, 2, &[])];
        let (two, three) = ([packet(1, 0, &[]), packet(1, 2, &[])], [packet(1, 9, &[])]);
        let mut here = Here::new(&[&leader, &one, &two, &three]);
        here.limits = vec![4, 2, 2, 1];
        let mut walk = Total::new(false, 4, Rules::default());
        // Of slot 2, what precedes the hole.
        let regular = [2, 0, 1, 1].map(|rank| (rank, REGULAR));
        assert_eq!(here.walk(&mut walk), regular);
        assert!(!walk.is_signal_due());
        walk.begin_tail(Tail::new(vec![false, false, true, true], here.limits.clone()), &here);
        assert!(walk.is_signal_due());
        walk.handle_signal_told();
        let rest =
            [(0, Stage::Recorded), (3, Stage::Recorded), (0, Stage::Recorded), (2, Stage::Tail)];
        assert_eq!(here.walk(&mut walk), rest, "without slot 4");
        assert!(walk.is_done() && here.delivered == here.limits);
    }
}
