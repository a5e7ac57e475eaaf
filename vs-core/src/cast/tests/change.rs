//! What a change of view asks for: dead senders, frozen casts.

use alloc::vec::Vec;

use super::super::*;
use super::net::{Faults, Net, config};
use crate::ranges::SeqRange;
use crate::wire::datagram::{KIND_AT, Kind};
use crate::wire::packet::{Content, open};

/// Four members; what 0 sends reaches 1 only, then 0 dies. The packets that 1 has of it.
fn orphaned() -> (Net, Seq) {
    let mut net = Net::new(4, &config(), Faults::default(), 1);
    net.run_ms(10);
    net.members[0].limits.fill(0);
    for len in [10, 5000, 2000, 20] {
        assert!(net.send(0, len));
    }
    for rank in [2, 3] {
        net.cut(rank, true);
    }
    net.drain_one(0);
    net.run_us(500);
    net.members[0].mute = true;
    net.cut(0, true);
    for rank in [2, 3] {
        net.cut(rank, false);
    }
    let upto = net.members[1].cast.prefix(0);
    assert!(upto > 5 && net.members[2].cast.prefix(0) == 0);
    (net, upto)
}

#[test]
fn dead_sender_packets_are_forwarded_by_a_holder() {
    let (mut net, upto) = orphaned();
    for to in [2, 3] {
        net.members[1].cast.forward(to, 0, 1, upto);
    }
    net.run_until(50, |net| [1, 2, 3].iter().all(|&r| net.has_all(r, 0)));
    net.check_fifo();
    assert_eq!(net.members[1].cast.counters().forwarded, 2 * upto);
}

/// A trace had a line for each packet up to a number that a member made up.
#[test]
fn forward_is_clipped_to_what_is_here() {
    let (mut net, upto) = orphaned();
    let cast = &mut net.members[1].cast;
    let range = |from, upto| Some(SeqRange { from, upto });
    assert_eq!(cast.forward(2, 0, 1, Seq::MAX), range(1, upto));
    assert_eq!(cast.forward(2, 0, upto, upto + 1), range(upto, upto));
    for (to, origin, from) in [(2, 0, upto + 1), (1, 0, 1), (9, 0, 1), (2, 9, 1)] {
        assert_eq!(cast.forward(to, origin, from, Seq::MAX), None, "{to} {origin} {from}");
    }
}

#[test]
fn dead_sender_sources_are_asked_in_turn() {
    let (mut net, upto) = orphaned();
    let now = net.now;
    // 3 has nothing, but is asked first: the next question goes to 1.
    net.members[2].cast.settle(now, 0, upto, &[3, 1], true);
    net.run_until(60, |net| net.has_all(2, 0));
    assert_eq!(net.members[2].cast.delivered(0), upto);
    net.members[3].cast.settle(now, 0, upto, &[1], true);
    net.run_until(60, |net| net.has_all(3, 0));
    net.check_fifo();
}

#[test]
fn lost_forward_is_asked_for() {
    for seed in 0..10 {
        let (mut net, upto) = orphaned();
        net.faults = Faults { loss_percent: 30, duplicate_percent: 10, delay_us: 200 + seed };
        net.members[1].cast.forward(2, 0, 1, upto);
        let now = net.now;
        net.members[2].cast.settle(now, 0, upto, &[1], true);
        net.members[3].cast.settle(now, 0, upto, &[1, 2], true);
        net.run_until(500, |net| net.has_all(2, 0) && net.has_all(3, 0));
        net.check_fifo();
    }
}

#[test]
fn closed_stream_refuses_packets_beyond_its_end() {
    let mut net = Net::new(3, &config(), Faults::default(), 1);
    let now = net.now;
    net.members[1].cast.settle(now, 0, 2, &[0], true);
    for _ in 0..5 {
        assert!(net.send(0, 1400));
    }
    net.run_ms(100);
    assert_eq!((net.members[1].cast.prefix(0), net.members[2].cast.prefix(0)), (2, 5));
    assert!(net.members[1].cast.counters().beyond >= 3);
    let now = net.now;
    net.members[1].cast.unsettle(now);
    net.run_until(200, Net::all_have_all);
    net.check_fifo();
}

#[test]
fn limited_delivery_stops_at_the_limit() {
    let mut net = Net::new(2, &config(), Faults::default(), 1);
    net.members[1].limits[0] = 1;
    assert!(net.send(0, 10) && net.send(0, 60_000));
    net.drain_one(0);
    net.run_ms(20);
    assert_eq!((net.members[1].cast.delivered(0), net.members[1].got.len()), (1, 1));
    assert_eq!(net.members[1].cast.prefix(0), net.members[0].cast.sealed());
    net.members[1].limits[0] = Seq::MAX;
    net.run_until(20, Net::all_have_all);
    net.check_fifo();
}

/// 0 goes on to the next view before 1 and 2 have got its last packets.
#[test]
fn frozen_cast_still_sends_and_repairs() {
    let mut net = Net::new(3, &config(), Faults::default(), 1);
    assert!(net.send(0, 30_000));
    net.cut(1, true);
    net.drain_one(0);
    net.run_us(500);
    assert!(net.send(0, 3_000));
    let member = &mut net.members[0];
    member.cast.freeze(&mut member.pool);
    assert!(member.cast.is_frozen() && !member.cast.can_accept(1));
    assert_eq!(member.cast.poll_timeout(), None);
    net.cut(1, false);
    net.drain_one(0);
    let (now, upto) = (net.now, net.members[0].cast.sealed());
    net.members[1].cast.settle(now, 0, upto, &[0], true);
    net.members[2].cast.settle(now, 0, upto, &[0], true);
    let before = net.count(Kind::Heartbeat);
    net.run_until(60, |net| net.has_all(1, 0) && net.has_all(2, 0));
    net.check_fifo();
    assert!(net.count(Kind::Heartbeat) >= before);
    let beats = net.members[0].cast.counters().heartbeats;
    net.run_ms(2000);
    assert_eq!(net.members[0].cast.counters().heartbeats, beats);
    assert_eq!(net.members[0].cast.next_accusation(), None);
    for member in &mut net.members {
        member.cast.clear(&mut member.pool);
    }
    assert_eq!(net.slots_used(), 0);
    net.run_ms(100);
}

#[test]
fn early_packets_are_adopted() {
    let mut net = Net::new(2, &config(), Faults::default(), 1);
    assert!(net.send(0, 5000));
    net.cut(1, true);
    net.drain_one(0);
    let mut early: Vec<_> = net.lost.drain(..).collect();
    net.cut(1, false);
    for bytes in early.iter_mut().filter(|b| b[KIND_AT] == Kind::Data as u8) {
        let Content::Data(data) = open(bytes).unwrap().content else { unreachable!() };
        let member = &mut net.members[1];
        for expected in [DataOutcome::New, DataOutcome::Duplicate] {
            let slot = member.pool.store(data.body).unwrap();
            assert_eq!(member.cast.adopt(&mut member.pool, Time::ZERO, &data, slot), expected);
        }
    }
    assert_eq!(net.members[1].pool.used(), net.members[1].cast.prefix(0) as usize);
    net.drain();
    assert!(net.has_all(1, 0));
}

#[test]
fn many_forwards_stay_within_the_bound() {
    let (mut net, upto) = orphaned();
    for _ in 0..10_000 {
        net.members[1].cast.forward(2, 0, 1, upto);
        net.members[1].cast.forward(9, 0, 1, upto);
        net.members[1].cast.forward(2, 9, 1, upto);
    }
    net.run_ms(20);
    assert!(net.members[1].cast.counters().forwarded <= 64 * upto);
    assert!(net.has_all(2, 0));
}
