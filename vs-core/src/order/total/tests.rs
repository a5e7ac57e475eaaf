//! Walks over packets that are written by hand.

use alloc::vec;
use alloc::vec::Vec;

use super::super::offers::{Head, Offers};
use super::super::stage::Stage;
use super::*;
use crate::wire::trailer::{self, Record};

/// What a packet says: messages in it, and its trailer.
#[derive(Clone)]
struct Packet {
    messages: usize,
    ends_message: bool,
    trailer: Vec<u8>,
}

/// A packet with so many messages, sealed after slot `after`, that records `(rank, packets)`.
fn packet(messages: usize, after: Seq, records: &[(Rank, u32)]) -> Packet {
    let mut trailer = vec![0; 100];
    let records = records.iter().map(|&(rank, packets)| Record { rank, packets });
    let end = trailer::append(&mut trailer, 0, after, records);
    trailer.truncate(end);
    Packet { messages, ends_message: true, trailer }
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
            ends_message: packet.ends_message,
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
    let rest = [(0, Stage::Recorded), (3, Stage::Recorded), (0, Stage::Recorded), (2, Stage::Tail)];
    assert_eq!(here.walk(&mut walk), rest, "without slot 4");
    assert!(walk.is_done() && here.delivered == here.limits);
}

/// Passes the lead to member 1 in its packet 2. Packet 1 of member 1 was put in order before, its
/// packet 2 was sealed before it knew that it leads.
fn handing_over() -> Here {
    let leader = [packet(1, 0, &[(1, 1)]), packet(1, 1, &[(1, 0), (2, 1)]), packet(1, 1, &[])];
    let one = [packet(1, 0, &[]), packet(2, 1, &[]), packet(1, 2, &[(0, 1), (2, 1)])];
    let two = [1, 1].map(|messages| packet(messages, 1, &[]));
    Here::new(&[&leader, &one, &two])
}

#[test]
fn slots_are_packets_of_who_took_the_lead() {
    let mut here = handing_over();
    let mut walk = Total::new(false, 3, Rules::default());
    let ranks: Vec<Rank> = here.walk(&mut walk).into_iter().map(|(rank, _)| rank).collect();
    assert_eq!(ranks, [1, 0, 2, 0, 1, 1, 0, 2, 1]);
    assert_eq!((walk.take_new_leader(), walk.take_new_leader()), (Some(1), None));
    assert_eq!([0, 1, 2].map(|rank| walk.recorded(rank)), [3, 3, 2]);
    // Slots 1 and 2 are packets of the first leader, 3 and 4 those of the next one.
    assert_eq!(walk.slot(), 5);
}

/// All but packet 3 of member 1 is known to be at all members.
#[test]
fn safe_slots_go_on_over_a_new_leader() {
    let mut here = handing_over();
    here.stable = vec![3, 2, 2];
    let mut walk = Total::new(true, 3, Rules::default());
    assert_eq!(walk.safe_upto(&here), 3);
    walk.freeze(2);
    assert_eq!(here.walk(&mut walk).len(), 4);
    walk.unfreeze();
    assert_eq!((here.walk(&mut walk).len(), walk.safe_upto(&here)), (2, 3));
}

/// The packet that passes the lead is at nobody who comes along: what the next leader records does
/// not count, and its messages that follow from there are left out.
#[test]
fn lead_that_passes_beyond_the_cut_has_not_passed() {
    let mut here = handing_over();
    here.limits = vec![1, 3, 2];
    let mut walk = Total::new(false, 3, Rules::default());
    assert_eq!(here.walk(&mut walk), [(1, REGULAR), (0, REGULAR)]);
    walk.begin_tail(Tail::new(vec![false, false, true], here.limits.clone()), &here);
    walk.handle_signal_told();
    let rest = [1, 1, 2, 2].map(|rank| (rank, Stage::Tail));
    assert_eq!(here.walk(&mut walk), rest, "without packet 3 of member 1");
    assert!(walk.is_done() && walk.take_new_leader().is_none());
}

/// Two members that pass the lead to each other within a message get nowhere.
#[test]
fn lead_passed_within_a_message_is_ignored() {
    let part = |to| Packet { ends_message: false, ..packet(0, 0, &[(to, 0)]) };
    let mut here = Here::new(&[&[part(1), packet(1, 0, &[])], &[part(0)]]);
    let mut walk = Total::new(false, 2, Rules::default());
    here.walk(&mut walk);
    assert_eq!((walk.take_new_leader(), walk.slot()), (None, 3));
}
