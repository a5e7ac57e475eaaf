//! Packets that are written by hand, and the order that follows from them.

use alloc::vec;
use alloc::vec::Vec;

use super::super::offers::{Head, Offers, Sealed};
use super::*;
use crate::wire::trailer;

/// What a packet says: messages in it, whether one ends, and its trailer.
#[derive(Clone)]
struct Packet {
    messages: usize,
    ends_message: bool,
    trailer: Vec<u8>,
}

/// A packet with so many messages that names `(rank, upto)`.
fn packet(messages: usize, named: &[(Rank, u32)]) -> Packet {
    let mut trailer = vec![0; 100];
    let records = named.iter().map(|&(rank, packets)| Record { rank, packets });
    let end = trailer::append(&mut trailer, 0, 0, records);
    trailer.truncate(end);
    Packet { messages, ends_message: true, trailer }
}

/// The streams of a view as one member has them.
struct Here {
    streams: Vec<Vec<Packet>>,
    delivered: Vec<Seq>,
    offsets: Vec<usize>,
}

impl Here {
    fn new(streams: &[&[Packet]]) -> Self {
        let ranks = streams.len();
        let streams = streams.iter().map(|packets| packets.to_vec()).collect();
        Self { streams, delivered: vec![0; ranks], offsets: vec![0; ranks] }
    }

    /// The packets of the next message of `rank`, if it is here as a whole.
    fn next(&self, rank: Rank) -> Option<&[Packet]> {
        let at = usize::from(rank);
        let left = &self.streams[at][self.delivered[at] as usize..];
        let last = left.iter().position(|packet| packet.ends_message)?;
        Some(&left[..=last])
    }

    /// Delivers as much as can be: whose messages come.
    fn walk(&mut self, order: &mut Causal) -> Vec<Rank> {
        let mut got = Vec::new();
        loop {
            let (rank, is_empty) = match (order.find(self), order.turn()) {
                (Found::PassOver(rank), _) => (rank, true),
                (Found::Turn, Some(rank)) => (rank, false),
                (Found::Turn, None) => return got,
            };
            let at = usize::from(rank);
            let packets = self.next(rank).unwrap();
            let (messages, count) = (packets[0].messages, packets.len());
            if !is_empty {
                got.push(rank);
                self.offsets[at] += 1;
            }
            let ends_packet = is_empty || self.offsets[at] == messages;
            if ends_packet {
                self.delivered[at] += count as Seq;
                self.offsets[at] = 0;
            }
            if !is_empty {
                order.handle_taken(rank, ends_packet);
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
        self.next(rank).map(|_| Head { packet: self.delivered[at] + 1, offset: self.offsets[at] })
    }
}

impl Packets for Here {
    fn delivered(&self, rank: Rank) -> Seq {
        self.delivered.get(usize::from(rank)).copied().unwrap_or(0)
    }

    fn stable(&self, _: Rank) -> Seq {
        0
    }

    fn sealed(&self, rank: Rank, seq: Seq) -> Option<Sealed<'_>> {
        let packet = self.streams[usize::from(rank)].get(seq as usize - 1)?;
        let (_, trailer) = trailer::split(&packet.trailer)?;
        let is_empty = packet.messages == 0;
        Some(Sealed { is_empty, ends_message: packet.ends_message, trailer })
    }
}

fn order(ranks: usize) -> Causal {
    Causal::new(ranks, Rules::default())
}

/// 0 asks, 1 answers, 2 answers the answer. The question comes last.
#[test]
fn answers_wait_for_their_question() {
    let mut here = Here::new(&[&[], &[packet(1, &[(0, 1)])], &[packet(1, &[(1, 1)])]]);
    let mut order = order(3);
    assert!(here.walk(&mut order).is_empty());
    here.streams[0].push(packet(1, &[]));
    assert_eq!(here.walk(&mut order), [0, 1, 2]);
}

#[test]
fn senders_that_wait_for_nobody_take_turns() {
    let two = [packet(2, &[]), packet(1, &[])];
    let mut here = Here::new(&[&two, &[], &[packet(1, &[]), packet(1, &[(1, 1)])]]);
    assert_eq!(here.walk(&mut order(3)), [0, 0, 2, 0]);
    assert_eq!(here.delivered, [2, 0, 1], "one waits");
}

/// A member that has delivered a part of a packet names it: the rest is waited for, too.
#[test]
fn a_named_packet_is_waited_for_as_a_whole() {
    let mut here = Here::new(&[&[packet(2, &[])], &[packet(1, &[(0, 1)])]]);
    let mut order = order(2);
    // 1 is asked first.
    order.handle_taken(0, true);
    assert_eq!(here.walk(&mut order), [0, 0, 1]);
}

/// What goes before a message in packets without messages counts for it, and so does what stands
/// in any of its own packets.
#[test]
fn all_packets_of_a_message_are_looked_at() {
    let part = |named: &[(Rank, u32)]| Packet { ends_message: false, ..packet(1, named) };
    let one = [packet(0, &[(0, 1)]), part(&[(2, 1)]), packet(1, &[(3, 1)]), packet(1, &[])];
    let mut here = Here::new(&[&[], &one, &[], &[]]);
    let mut order = order(4);
    assert!(here.walk(&mut order).is_empty());
    for (rank, got) in [(2, vec![2]), (3, vec![3]), (0, vec![0, 1, 1])] {
        here.streams[rank].push(packet(1, &[]));
        assert_eq!(here.walk(&mut order), got);
    }
}

/// What no member can have had room for, and who is no member, is not waited for.
#[test]
fn impossible_names_are_not_waited_for() {
    let lies = [packet(1, &[(1, u32::MAX), (9, 1 << 30)])];
    let mut here = Here::new(&[&lies, &[]]);
    assert_eq!(here.walk(&mut order(2)), [0]);
}

#[test]
fn names_are_compared_beyond_32_bits() {
    let mut here = Here::new(&[&[packet(1, &[(1, 2)])], &[]]);
    let is_delivered = |here: &Here, named| is_delivered(here, Record { rank: 1, packets: named });
    for (delivered, named, is_there) in
        [((1 << 32) | 1, 2, false), ((1 << 32) | 2, 2, true), ((1 << 32) | 2, u32::MAX, true)]
    {
        here.delivered[1] = delivered;
        assert_eq!(is_delivered(&here, named), is_there, "{delivered}");
    }
}

/// What is left over at the end is left out, until another look finds something.
#[test]
fn rest_is_left_out_only_while_nothing_can_be_delivered() {
    let mut here = Here::new(&[&[], &[packet(1, &[(0, 1)])]]);
    let mut order = order(2);
    assert!(here.walk(&mut order).is_empty());
    assert!(!order.is_over() && order.end() && order.is_over());
    here.streams[0].push(packet(1, &[]));
    assert_eq!(here.walk(&mut order), [0, 1]);
    assert!(!order.is_over());
}
