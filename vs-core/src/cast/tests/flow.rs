//! A stable view: everything arrives, flow is controlled, peers that owe are found.

use alloc::vec;
use alloc::vec::Vec;

use super::super::*;
use super::net::{BODY, Faults, Member, Net, config};
use crate::ident::ViewId;
use crate::ranges::SeqRange;
use crate::wire::body::{Audience, packets_for};
use crate::wire::datagram::Kind;
use crate::wire::packet::{AckEntry, Data, FLAG_FIRST, FLAG_FRAGMENT, FLAG_LAST, Heartbeat};

/// All send `messages` messages of random sizes; how long it took, in ms.
fn storm(ranks: usize, faults: Faults, messages: usize, seed: u64) -> (Net, u64) {
    let config = config();
    let mut net = Net::new(ranks, &config, faults, seed);
    let mut left = vec![messages; ranks];
    let mut waiting = vec![None; ranks];
    let end = Time::from_millis(600_000);
    while left.iter().any(|&n| n > 0) {
        for rank in 0..ranks {
            while left[rank] > 0 {
                let len = match waiting[rank].take() {
                    Some(len) => len,
                    None => net.random_len(config.message_bytes_max),
                };
                if !net.send(rank, len) {
                    waiting[rank] = Some(len);
                    break;
                }
                left[rank] -= 1;
            }
        }
        assert!(net.step(end));
    }
    net.run_until(60_000, Net::all_have_all);
    let took = net.now.as_millis();
    net.check_fifo();
    net.run_until(10_000, |net| net.slots_used() == 0);
    (net, took)
}

#[test]
fn quiet_network_delivers_once_and_in_order() {
    for seed in 0..4 {
        storm(3, Faults { delay_us: 100, ..Faults::default() }, 400, seed);
    }
}

#[test]
fn lossy_network_delivers_once_and_in_order() {
    for (loss_percent, seed) in [(1, 1), (10, 2), (10, 3), (30, 4)] {
        let faults = Faults { loss_percent, duplicate_percent: 5, delay_us: 100 };
        let (net, took) = storm(3, faults, 300, seed);
        let repaired: u64 = net.members.iter().map(|m| m.cast.counters().repaired).sum();
        let sent: u64 = net.members.iter().map(|m| m.cast.counters().sent).sum();
        // Two receivers, repairs are lost, too, and some packets were only late; a storm would be
        // many times this.
        assert!(repaired * 100 <= sent * (loss_percent * 3 + 4), "{repaired} of {sent}");
        assert!(took < 1_500, "{took} ms at {loss_percent} %");
    }
}

#[test]
fn two_and_eight_members_deliver_all() {
    let faults = Faults { loss_percent: 5, duplicate_percent: 1, delay_us: 200 };
    storm(2, faults, 200, 5);
    storm(8, faults, 60, 6);
}

#[test]
fn lone_member_gets_its_own_messages() {
    let mut net = Net::new(1, &config(), Faults::default(), 1);
    for len in [0, 1, 3000, 65_536, 7] {
        assert!(net.send(0, len));
        net.drain();
    }
    assert!(net.all_have_all());
    net.check_fifo();
    assert_eq!((net.slots_used(), net.members[0].cast.poll_timeout()), (0, None));
}

#[test]
fn small_messages_share_packets() {
    let mut net = Net::new(2, &config(), Faults::default(), 1);
    for _ in 0..100 {
        assert!(net.send(0, 96));
    }
    net.run_until(100, Net::all_have_all);
    assert_eq!(net.count(Kind::Data), 100_u64.div_ceil(BODY as u64 / 100));
}

#[test]
fn slow_reader_closes_the_window() {
    let mut net = Net::new(3, &config(), Faults { loss_percent: 5, ..Faults::default() }, 9);
    net.members[2].reads = false;
    for _ in 0..400 {
        for _ in 0..10 {
            net.send(0, 1000);
        }
        net.run_ms(1);
    }
    assert!(!net.send(0, 1000));
    assert_eq!(net.members[0].cast.sealed(), 256, "the window of the one that does not read");
    assert!(net.accused_by(0).is_empty());
    net.run_ms(2100);
    assert_eq!(net.accused_by(0), [2], "it owes credit; the others do not");
    assert!(net.accused_by(1).is_empty());
    net.members[2].reads = true;
    net.run_until(200, |net| net.members[0].cast.can_accept(1000));
    assert!(net.accused_by(0).is_empty());
    for _ in 0..100 {
        assert!(net.send(0, 1000));
    }
    net.run_until(1000, Net::all_have_all);
    net.check_fifo();
}

/// Windows of a few packets and readers that come and go: whatever is lost, nobody waits for ever.
#[test]
fn narrow_windows_never_get_stuck() {
    let base = GroupConfig { message_bytes_max: 1000, ..config() };
    for seed in 0..60 {
        let window_packets = 4 + seed as usize % 9;
        let config =
            GroupConfig { window_packets: Some(window_packets), ack_packets: 2, ..base.clone() };
        let faults =
            Faults { loss_percent: seed % 4 * 10, duplicate_percent: 5, delay_us: seed * 10 };
        let ranks = 2 + seed as usize % 4;
        let mut net = Net::with_body(ranks, 464, &config, faults, seed);
        for _ in 0..300 {
            for rank in 0..ranks {
                let len = net.random_len(1000);
                net.send(rank, len);
                net.members[rank].reads = net.chance(70);
            }
            net.run_ms(1);
        }
        net.members.iter_mut().for_each(|m| m.reads = true);
        net.run_until(1500, Net::all_have_all);
        net.check_fifo();
        // What is refused is asked for room until there is some.
        let mut waiting: Vec<usize> = (0..ranks).collect();
        for _ in 0..2000 {
            waiting.retain(|&rank| !net.send(rank, 1000));
            net.run_ms(1);
        }
        assert!(waiting.is_empty(), "seed {seed}");
        net.run_until(2000, Net::all_have_all);
        net.run_until(2000, |net| net.slots_used() == 0);
    }
}

#[test]
fn acknowledgements_of_many_members_take_several_packets() {
    let config = GroupConfig { window_packets: Some(16), ack_packets: 8, ..config() };
    let config = GroupConfig { message_bytes_max: 1000, ..config };
    let faults = Faults { loss_percent: 2, duplicate_percent: 1, delay_us: 50 };
    let mut net = Net::with_body(40, 464, &config, faults, 8);
    for _ in 0..20 {
        for rank in [0, 29, 30, 39] {
            net.send(rank, 400);
        }
        net.run_ms(1);
    }
    net.run_until(1000, Net::all_have_all);
    net.check_fifo();
    net.run_until(1000, |net| net.slots_used() == 0);
}

/// Whatever single kind of news is lost for a while, it comes again.
#[test]
fn lost_last_packet_and_acknowledgement_come_again() {
    let mut net = Net::new(3, &config(), Faults::default(), 2);
    net.faults.loss_percent = 100;
    assert!(net.send(0, 10));
    net.drain();
    net.faults.loss_percent = 0;
    net.run_until(20, Net::all_have_all);
    net.faults.loss_percent = 100;
    net.run_ms(30);
    net.faults.loss_percent = 0;
    net.run_until(400, |net| net.slots_used() == 0);
}

#[test]
fn idle_group_gets_quiet() {
    let mut net = Net::new(3, &config(), Faults::default(), 2);
    assert!(net.send(0, 10));
    net.run_ms(3000);
    net.sent.clear();
    net.run_ms(10_000);
    assert_eq!((net.count(Kind::Heartbeat), net.count(Kind::Ack)), (30, 0));
}

#[test]
fn idle_group_gets_quiet_after_a_refusal() {
    let mut net = Net::new(3, &config(), Faults::default(), 26);
    net.members[1].reads = false;
    // Acknowledged in between: the last refusal is for want of credit.
    for _ in 0..100 {
        while net.send(0, 1000) {}
        net.run_ms(1);
    }
    net.members[1].reads = true;
    net.run_ms(3000);
    assert!(net.all_have_all());
    net.sent.clear();
    net.run_ms(10_000);
    assert_eq!((net.count(Kind::Heartbeat), net.count(Kind::Ack)), (30, 0));
    // What is refused from now on counts.
    net.members[1].reads = false;
    while net.send(0, 1000) {}
    net.run_ms(1);
    while net.send(0, 1000) {}
    net.run_ms(3000);
    assert_eq!(net.accused_by(0), [1]);
}

#[test]
fn a_large_flow_costs_few_control_packets() {
    for ranks in [2, 3] {
        let config = GroupConfig { message_bytes_max: 64 << 10, ..GroupConfig::default() };
        let mut net = Net::new(ranks, &config, Faults { delay_us: 3, ..Faults::default() }, 3);
        let mut left = 20_000;
        while left > 0 {
            for _ in 0..44 {
                left -= u64::from(left > 0 && net.send(0, 1400));
            }
            assert!(net.step(Time::from_millis(100_000)));
        }
        net.run_until(100, Net::all_have_all);
        let control = net.count(Kind::Ack) + net.count(Kind::Nak) + net.count(Kind::Heartbeat);
        let data = net.count(Kind::Data);
        assert_eq!(data, 20_000, "nothing is repaired without loss");
        assert!(control * 1000 <= data * 25, "{control} for {data} among {ranks}");
    }
}

#[test]
fn a_mute_member_owes_an_acknowledgement() {
    let mut net = Net::new(3, &config(), Faults::default(), 4);
    net.members[1].mute = true;
    net.run_ms(5000);
    assert!(net.accused_by(0).is_empty(), "nobody owes anything before something is sent");
    assert!(net.send(0, 10));
    net.run_ms(1990);
    assert!(net.accused_by(0).is_empty());
    let (at, _) = net.members[0].cast.poll_timeout().unwrap();
    assert!(at <= Time::from_millis(7001), "{at:?}");
    net.run_ms(20);
    assert_eq!(net.accused_by(0), [1]);
    net.members[0].cast.restart_detectors(net.now);
    assert!(net.accused_by(0).is_empty());
    net.run_ms(2001);
    assert_eq!(net.accused_by(0), [1]);
    net.members[1].mute = false;
    net.run_ms(200);
    assert!(net.accused_by(0).is_empty());
}

#[test]
fn a_member_that_repairs_nothing_is_accused() {
    let mut net = Net::new(3, &config(), Faults::default(), 4);
    let beat = Heartbeat { solicit: false, highest: 3, stable: 0, view: ViewId::default() };
    net.drain();
    let member = &mut net.members[2];
    member.cast.handle_heartbeat(&mut member.pool, Time::ZERO, 0, beat);
    net.run_ms(2001);
    assert_eq!(net.accused_by(2), [0]);
    assert!(net.members[2].cast.counters().naks > 50);
}

/// Five of six lose the same packets: two or three report it, and one multicast repairs all.
#[test]
fn common_loss_is_reported_by_few_and_repaired_once() {
    let mut suppressed = 0;
    for seed in 0..10 {
        let mut net = Net::new(6, &config(), Faults::default(), seed);
        net.run_ms(10);
        (1..6).for_each(|rank| net.cut(rank, true));
        assert!(net.send(0, 5000));
        net.drain();
        (1..6).for_each(|rank| net.cut(rank, false));
        assert!(net.send(0, 10));
        net.run_until(3, Net::all_have_all);
        let counters = net.members[0].cast.counters();
        assert!(counters.repaired <= 8, "{counters:?}");
        suppressed += net.members.iter().map(|m| m.cast.counters().naks_suppressed).sum::<u64>();
    }
    assert!(suppressed >= 15, "{suppressed} of 50");
}

#[test]
fn hostile_bodies_never_enter_a_ring() {
    let mut net = Net::new(2, &config(), Faults::default(), 4);
    let Net { members, now, .. } = &mut net;
    let member = &mut members[1];
    let mut data = |seq, flags, body: &[u8]| {
        let data = Data { flags, origin: 0, seq, stable: Seq::MAX, body };
        member.cast.handle_data(&mut member.pool, *now, &data, true)
    };
    assert_eq!(data(1, 0, &[9, 0, 0, 0, 1]), DataOutcome::Malformed);
    assert_eq!(data(1, 0, &[0xff; 8]), DataOutcome::Malformed);
    assert_eq!(data(257, 0, &[0; 4]), DataOutcome::Beyond);
    let mut first = vec![0; BODY];
    first[..4].copy_from_slice(&(2 * BODY as u32).to_le_bytes());
    assert_eq!(data(2, FLAG_FRAGMENT, &first), DataOutcome::New, "it may fit what comes");
    assert_eq!(data(3, 0, &[0; 4]), DataOutcome::New);
    assert_eq!(data(1, FLAG_FRAGMENT | FLAG_FIRST, &first), DataOutcome::New);
    assert_eq!((member.cast.prefix(0), member.pool.used()), (0, 2), "a message in a message");
    let mut data = |seq, flags, body: &[u8]| {
        let data = Data { flags, origin: 0, seq, stable: Seq::MAX, body };
        member.cast.handle_data(&mut member.pool, *now, &data, true)
    };
    assert_eq!(data(3, FLAG_FRAGMENT | FLAG_LAST, &[1; 5]), DataOutcome::Malformed, "too short");
    assert_eq!(data(3, FLAG_FRAGMENT | FLAG_LAST, &[1; 4]), DataOutcome::New);
    assert_eq!(data(7, FLAG_FRAGMENT | FLAG_LAST, &[1; 4]), DataOutcome::New);
    assert_eq!(
        (member.cast.prefix(0), member.cast.stable(0)),
        (3, 0),
        "a lie about what is stable"
    );
}

/// Well-formed packets with any numbers in them: nothing panics, no slot is lost, reports stay
/// bounded.
#[test]
fn hostile_numbers_do_no_harm() {
    let mut rng = Rng::new(11);
    for seed in 0..40 {
        let mut net = Net::new(3, &config(), Faults::default(), seed);
        for _ in 0..500 {
            let mut number = || match rng.below(8) {
                0 => Seq::MAX - rng.below(3),
                1 => rng.next_u64(),
                2 => 256 + rng.below(4),
                _ => rng.below(20),
            };
            let [a, b, c, d, e] = [number(), number(), number(), number(), number()];
            let (rank, other) = ((a % 4) as Rank, (b % 4) as Rank);
            net.send(0, 100);
            net.drain_one(0);
            let now = net.now;
            let Member { cast, pool, .. } = &mut net.members[0];
            match rng.below(6) {
                0 | 1 => {
                    let flags = e as u8 & 7;
                    let body = if e & 8 == 0 { vec![0; 4] } else { vec![1; BODY] };
                    let data = Data { flags, origin: rank, seq: c, stable: d, body: &body };
                    cast.handle_data(pool, now, &data, true);
                }
                2 => {
                    let entries = [(c, d), (d, e), (e, c)];
                    let entries = entries.map(|(received, credit)| AckEntry { received, credit });
                    cast.handle_ack(pool, now, rank, other, entries.into_iter());
                }
                3 => {
                    let range = SeqRange { from: c.min(d).max(1), upto: c.max(d) };
                    cast.handle_nak(now, rank, other, (e % 3) as Rank, [range].into_iter());
                }
                4 => {
                    let view = ViewId::default();
                    let beat = Heartbeat { solicit: true, highest: c, stable: d, view };
                    cast.handle_heartbeat(pool, now, rank, beat);
                }
                _ => {
                    cast.settle(now, rank, c % 250, &[other, 9], e & 1 == 0);
                    cast.forward(other, rank, d, e);
                    if e & 2 == 0 {
                        cast.unsettle(now);
                    }
                }
            }
            net.drain_one(0);
            net.now = net.now.plus_us(a % 1000);
        }
        let member = &mut net.members[0];
        assert!(member.pool.used() <= 3 * 256);
        member.cast.clear(&mut member.pool);
        assert_eq!(member.pool.used(), 0);
    }
}

/// A group that has no use for them drops them at a higher place; the stream carries them like
/// others.
#[test]
fn internal_messages_keep_their_place_without_a_number() {
    let mut net = Net::new(2, &config(), Faults { loss_percent: 5, ..Faults::default() }, 7);
    for (len, audience) in [
        (10, Audience::Application),
        (11, Audience::Members),
        (12, Audience::Members),
        (5_000, Audience::Members),
        (13, Audience::Application),
        (6_000, Audience::Application),
    ] {
        assert!(net.send_to(0, len, audience));
    }
    assert_eq!(net.members[0].cast.sealed(), 2 + 4 + 1 + 5, "a packet holds messages of one use");
    net.run_until(100, Net::all_have_all);
    net.check_fifo();
    assert_eq!(net.members.iter().map(|member| member.internal).collect::<Vec<_>>(), [3, 3]);
    assert_eq!(net.members[1].cast.counters().delivered, 3);
    net.run_until(1000, |net| net.slots_used() == 0);
}

#[test]
fn the_number_of_packets_is_exact() {
    for (len, packets) in
        [(0, 1), (BODY - 4, 1), (BODY - 3, 2), (2 * BODY - 4, 2), (2 * BODY - 3, 3)]
    {
        assert_eq!(packets_for(len, BODY), packets);
        let mut net = Net::new(2, &config(), Faults::default(), 4);
        assert!(net.send(0, len));
        net.drain();
        assert_eq!(net.members[0].cast.sealed(), packets as u64, "{len}");
    }
}
