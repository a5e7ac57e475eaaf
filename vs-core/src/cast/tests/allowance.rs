//! A member that asks for packets again and again.

use super::super::allowance::{ALLOWED_IN_PEER_MS, ALLOWED_PER_PACKET, ALLOWED_WINDOWS};
use super::super::*;
use super::net::{Faults, Net, config};
use super::repair::range;
use crate::wire::packet::AckEntry;

/// Member 0 has sent a whole window, and what it sends reaches nobody.
fn sender() -> (Net, u64) {
    let mut net = Net::new(3, &config(), Faults::default(), 1);
    (1..3).for_each(|rank| net.cut(rank, true));
    while net.send(0, 1400) {
        net.drain_one(0);
    }
    let window = net.members[0].cast.sealed();
    assert!(window > 100, "{window}");
    net.lost.clear();
    (net, window)
}

/// Packets that were sent again since member 2 asked for all of them, every ms until `ms`.
fn asked_until(net: &mut Net, ms: u64) -> u64 {
    let before = net.members[0].cast.counters().repaired;
    while net.now < Time::from_millis(ms) {
        net.now = net.now.plus_ms(1);
        net.members[0].cast.handle_timeout(net.now);
        net.members[0].cast.handle_nak(net.now, 2, 0, 0, [range(1, Seq::MAX)].into_iter());
        net.drain_one(0);
        net.lost.clear();
    }
    net.members[0].cast.counters().repaired - before
}

#[test]
fn member_that_asks_for_ever_is_sent_little() {
    let (mut net, window) = sender();
    let window_max = config().window_packets.unwrap() as u64;
    let peer_ms = config().peer_ms;
    let sent = asked_until(&mut net, 10 * peer_ms);
    let most = (ALLOWED_WINDOWS + 10 * ALLOWED_IN_PEER_MS) * window_max;
    assert!(sent <= most + 1, "{sent} packets, at most {most}");
    assert!(sent >= most / 2, "{sent} packets: it is not refused all");
    let refused = net.members[0].cast.counters().repairs_refused;
    assert!(refused > 10 * window, "{refused}");
}

#[test]
fn member_that_acknowledges_may_ask_for_more() {
    let (mut net, window) = sender();
    asked_until(&mut net, 500);
    let now = net.now;
    let spent = asked_until(&mut net, 510);
    let entry = AckEntry { received: window / 2, credit: 0 };
    let member = &mut net.members[0];
    member.cast.handle_ack(&mut member.pool, now, 2, 0, [entry].into_iter());
    let earned = asked_until(&mut net, 520);
    let most = spent + 1 + ALLOWED_PER_PACKET * (window / 2);
    assert!(earned > spent && (most * 9 / 10..=most).contains(&earned), "{earned} of {most}");
    // A number that was told before earns nothing.
    let member = &mut net.members[0];
    member.cast.handle_ack(&mut member.pool, now, 2, 0, [entry].into_iter());
    assert!(asked_until(&mut net, 530) <= spent + 1);
}

#[test]
fn refused_member_takes_nothing_from_others() {
    let (mut net, window) = sender();
    asked_until(&mut net, 500);
    net.cut(1, false);
    let before = net.members[0].cast.counters().repaired;
    net.members[0].cast.handle_nak(net.now, 1, 0, 0, [range(1, window)].into_iter());
    net.drain_one(0);
    assert_eq!(net.members[0].cast.counters().repaired - before, window);
}
