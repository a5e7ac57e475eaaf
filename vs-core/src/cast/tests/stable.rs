//! What is acknowledged, when, and what an acknowledgement does.

use alloc::vec;

use super::super::*;
use super::net::{BODY, Faults, Net, config};
use crate::ident::ViewId;
use crate::ranges::SeqRange;
use crate::wire::packet::{AckEntry, Data, FLAG_FRAGMENT, Heartbeat};

/// Member 1 of three hears of 0 only what the test says, and of 2 nothing.
fn listener() -> Net {
    let config = GroupConfig {
        window_packets: Some(64),
        ack_packets: 8,
        message_bytes_max: 1000,
        ..config()
    };
    Net::new(3, &config, Faults::default(), 1)
}

fn data(net: &mut Net, seq: Seq, flags: u8, body: &[u8]) -> DataOutcome {
    let member = &mut net.members[1];
    let data = Data { flags, origin: 0, seq, stable: 0, body };
    member.cast.handle_data(&mut member.pool, net.now, &data, true)
}

/// An empty message.
fn hear(net: &mut Net, seq: Seq) {
    assert_eq!(data(net, seq, 0, &[0; 4]), DataOutcome::New);
}

fn beat(net: &mut Net, to: usize, from: Rank, highest: Seq, stable: Seq) {
    let beat = Heartbeat { solicit: false, highest, stable, view: ViewId::default() };
    let member = &mut net.members[to];
    member.cast.handle_heartbeat(&mut member.pool, net.now, from, beat);
}

/// `from` has so much of the stream of rank 0, whose sender hears of it, and room up to `credit`.
fn ack(net: &mut Net, from: Rank, received: Seq, credit: Seq) {
    let member = &mut net.members[0];
    let entries = [AckEntry { received, credit }; 2].into_iter();
    member.cast.handle_ack(&mut member.pool, net.now, from, 0, entries);
}

/// It counted as one of all that was sent: the packet was freed, and who lacked it was accused.
#[test]
fn acknowledgement_of_what_nobody_sent_frees_nothing() {
    let mut net = Net::new(3, &config(), Faults::default(), 1);
    (1..3).for_each(|rank| net.cut(rank, true));
    assert!(net.send(0, 10));
    net.drain_one(0);
    let ack = |net: &mut Net, from: Rank, first: Rank, received: Seq| {
        let member = &mut net.members[0];
        let entry = [AckEntry { received, credit: 256 }].into_iter();
        member.cast.handle_ack(&mut member.pool, net.now, from, first, entry);
    };
    ack(&mut net, 1, 0, 1);
    ack(&mut net, 2, 0, 2);
    let cast = &net.members[0].cast;
    assert_eq!((cast.stable(0), cast.counters().false_acks), (0, 1));
    assert_eq!(net.members[0].pool.used(), 1);
    ack(&mut net, 2, 1, 257);
    let cast = &net.members[0].cast;
    assert_eq!(cast.counters().false_acks, 2, "there was never room for that");
    assert!(!cast.streams.of(1).has_gap());
    net.now = Time::from_millis(config().peer_ms + 1);
    let now = net.now;
    net.members[0].cast.handle_timeout(now);
    assert_eq!(net.accused_by(0), [2]);
    ack(&mut net, 2, 0, 1);
    assert_eq!(net.members[0].cast.stable(0), 1);
}

#[test]
fn many_packets_are_acknowledged_at_once() {
    let mut net = listener();
    for batch in 0..3 {
        let soon = net.now.plus_ms(config().ack_ms);
        for seq in 1..8 {
            hear(&mut net, 8 * batch + seq);
            assert_eq!(net.members[1].cast.acks.at(), Some(soon), "later ones do not put it off");
            net.now = net.now.plus_us(10);
        }
        hear(&mut net, 8 * batch + 8);
        assert_eq!(net.members[1].cast.acks.at(), Some(net.now));
        net.drain_one(1);
        assert_eq!(net.members[1].cast.counters().acks, batch + 1);
    }
}

#[test]
fn sender_about_to_need_room_is_told_at_once() {
    let mut net = listener();
    let told_of = |net: &mut Net, upto| {
        for seq in net.members[1].cast.prefix(0) + 1..=upto {
            hear(net, seq);
            net.drain_one(1);
        }
    };
    told_of(&mut net, 16);
    beat(&mut net, 1, 0, 16, 16);
    let soon = net.now.plus_ms(config().ack_ms);
    assert_eq!(net.members[1].cast.acks.at(), Some(soon), "more than half a window is left");
    told_of(&mut net, 48);
    beat(&mut net, 1, 0, 48, 24);
    assert_eq!(net.members[1].cast.acks.at(), Some(net.now), "80 were told of, and 48 are used");
}

#[test]
fn malformed_packet_is_not_acknowledged() {
    let mut net = listener();
    let middle = vec![1; BODY];
    assert_eq!(data(&mut net, 1, FLAG_FRAGMENT, &middle), DataOutcome::Malformed);
    assert_eq!(net.members[1].cast.acks.at(), None);
}

#[test]
fn own_acknowledgements_and_frozen_casts_change_nothing() {
    let mut net = listener();
    assert!(net.send(0, 900) && net.send(0, 900));
    net.drain_one(0);
    let known = |net: &Net| {
        let cast = &net.members[0].cast;
        (cast.stable(0), cast.streams.of(1).high(), cast.acks.at())
    };
    ack(&mut net, 0, 2, 99);
    beat(&mut net, 0, 0, 2, 2);
    assert_eq!(known(&net), (0, 0, None));
    let member = &mut net.members[0];
    member.cast.freeze(&mut member.pool);
    ack(&mut net, 1, 2, 99);
    beat(&mut net, 0, 1, 2, 0);
    net.members[0].cast.settle(net.now, 1, 2, &[2], true);
    assert_eq!(known(&net), (0, 0, None));
}

#[test]
fn slow_acknowledger_is_not_accused() {
    let mut net = Net::new(3, &config(), Faults::default(), 1);
    assert!(net.send(0, 1400) && net.send(0, 1400));
    net.drain_one(0);
    net.now = Time::from_millis(1500);
    ack(&mut net, 1, 1, 256);
    ack(&mut net, 2, 2, 256);
    for (at, owing) in [(2100, vec![]), (3501, vec![1])] {
        net.now = Time::from_millis(at);
        net.members[0].cast.handle_timeout(net.now);
        assert_eq!(net.accused_by(0), owing, "at {at}");
    }
}

#[test]
fn stable_packets_are_wanted_by_nobody() {
    let mut net = listener();
    assert!(net.send(0, 900) && net.send(0, 900));
    net.drain_one(0);
    let asked = SeqRange { from: 1, upto: 2 };
    net.members[0].cast.handle_nak(net.now, 1, 0, 0, [asked].into_iter());
    let wanted = |net: &Net| {
        let cast = &net.members[0].cast;
        (cast.repairs.wanted(), cast.streams.of(0).wanted_count())
    };
    assert_eq!(wanted(&net), (2, 2));
    ack(&mut net, 1, 2, 64);
    ack(&mut net, 2, 2, 64);
    assert_eq!((wanted(&net), net.slots_used()), ((0, 0), 0), "it came after all");
}

#[test]
fn room_for_the_longest_message_opens_the_window() {
    let config = GroupConfig {
        window_packets: Some(4),
        ack_packets: 1,
        message_bytes_max: 4 * BODY - 4,
        ..config()
    };
    let mut net = Net::new(2, &config, Faults::default(), 1);
    assert!(net.send(0, config.message_bytes_max));
    net.drain_one(0);
    assert!(!net.send(0, config.message_bytes_max));
    ack(&mut net, 1, 4, 7);
    assert!(net.members[0].cast.window_is_closed());
    ack(&mut net, 1, 4, 8);
    assert!(!net.members[0].cast.window_is_closed());
}

/// Operators reckon with it, so it is never too little; what it is above is a bit of each member of
/// each stream.
#[test]
fn footprint_is_what_a_cast_allocates() {
    for ranks in [1, 2, 65, 700] {
        let window = 4;
        let size = CastSize::of(BODY, window);
        let cast = Cast::new(&config(), size, ranks, 0, Time::ZERO, 1);
        let forwards = cast.forwards.capacity() * size_of::<repair::Forward>();
        let streams = ranks * size_of::<stream::Stream>();
        let rings = ranks * window * crate::ring::ENTRY_BYTES;
        let received = ranks * (ranks * size_of::<Seq>() + stability::FLOOR_BYTES);
        let sources = ranks * ranks.div_ceil(64) * size_of::<u64>();
        let asked = window::ASKED_BYTES + allowance::ALLOWANCE_BYTES;
        let others = ranks * (peers::PEER_BYTES + asked);
        let parts = [forwards, streams, rings, received, sources, others];
        let allocated = size_of::<Cast>() + parts.iter().sum::<usize>();
        let footprint = Cast::footprint(size, ranks);
        assert!((allocated..=allocated + ranks * ranks).contains(&footprint), "of {ranks} members");
    }
}
