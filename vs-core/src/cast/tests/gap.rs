//! What is learnt from how missing packets come after all.

use alloc::vec::Vec;
use core::ops::Range;

use super::super::DataOutcome;
use super::net::{Net, config};
use super::repair::{hear_from, listener, overhear, promise, range};
use crate::ident::Seq;
use crate::time::Time;
use crate::wire::packet::Data;

/// Member 1 of a view of four learns that there is packet `seq` of 0, which comes `us` µs later to
/// the group or to 1 alone. How often it reported a gap meanwhile.
fn late(net: &mut Net, seq: Seq, us: u64, to_group: bool) -> u64 {
    promise(net, 0, seq);
    let reports = wait(net, us);
    hear_from(net, seq, to_group);
    reports
}

/// As [`late`], for each of `seqs`.
fn late_all(net: &mut Net, seqs: Range<Seq>, us: u64, to_group: bool) {
    for seq in seqs {
        late(net, seq, us, to_group);
    }
}

/// Reports of 1 within `us` µs.
fn wait(net: &mut Net, us: u64) -> u64 {
    let (end, before) = (net.now.plus_us(us), net.members[1].cast.counters().naks);
    loop {
        net.members[1].cast.handle_timeout(net.now);
        net.drain_one(1);
        let due = net.members[1].cast.reports.at().filter(|at| *at <= end);
        let Some(at) = due else { break };
        net.now = at;
    }
    net.now = end;
    net.members[1].cast.counters().naks - before
}

/// What 1 waits before it reports that packet `seq` is missing, in µs; it comes then.
fn patience(net: &mut Net, seq: Seq) -> u64 {
    promise(net, 0, seq);
    let due = net.members[1].cast.streams.of(0).gap().fresh_at().unwrap();
    let us = (due - net.now) / 1000;
    hear_from(net, seq, true);
    us
}

/// Packet `seq` comes to 1 alone, though it is here.
fn repair_in_vain(net: &mut Net, seq: Seq) {
    let member = &mut net.members[1];
    let data = Data { flags: 0, origin: 0, seq, stable: 0, body: &[0; 4] };
    let outcome = member.cast.handle_data(&mut member.pool, net.now, &data, false);
    assert_eq!(outcome, DataOutcome::Duplicate);
}

/// It knows that repairs of 0 take 150 ms; packets 1 and 2 are here.
fn far_listener() -> Net {
    let mut net = listener(4, 1);
    late(&mut net, 1, 4_000, true);
    wait(&mut net, 146_000);
    repair_in_vain(&mut net, 1);
    hear_from(&mut net, 2, true);
    net
}

#[test]
fn overtaken_packets_delay_reports() {
    let mut net = far_listener();
    assert!(patience(&mut net, 3) <= config().nak_delay_us);
    assert_eq!(late(&mut net, 4, 4_000, true), 1);
    for seq in 5..50 {
        assert_eq!(late(&mut net, seq, 1_000 + 60 * seq, true), 0);
    }
    let us = patience(&mut net, 50);
    assert!((3_500..5_500).contains(&us), "{us}");
}

#[test]
fn overtaken_packets_delay_reports_up_to_the_bound() {
    let mut net = far_listener();
    late_all(&mut net, 3..20, 70_000, true);
    let (us, max) = (patience(&mut net, 20), config().nak_delay_max_us);
    assert!((max..=max + config().nak_delay_us).contains(&us), "{us}");
}

#[test]
fn repair_is_not_taken_for_an_overtaken_packet() {
    let mut net = listener(4, 1);
    late_all(&mut net, 1..10, 4_000, false);
    assert!(patience(&mut net, 10) <= config().nak_delay_us);
    // Nor is what comes to all after another member has asked for it, too.
    for seq in 11..20 {
        promise(&mut net, 0, seq);
        overhear(&mut net, 2, range(seq, seq));
        wait(&mut net, 4_000);
        hear_from(&mut net, seq, true);
    }
    assert!(patience(&mut net, 20) <= config().nak_delay_us);
}

#[test]
fn late_multicast_may_be_a_repair() {
    let mut net = listener(4, 1);
    late_all(&mut net, 1..10, 900, false);
    late_all(&mut net, 10..20, 900, true);
    assert!(patience(&mut net, 20) <= config().nak_delay_us);
}

#[test]
fn losses_make_reports_prompt_again() {
    let mut net = far_listener();
    late(&mut net, 3, 4_000, true);
    assert!(patience(&mut net, 4) >= 5_000);
    late_all(&mut net, 5..80, 9_000, false);
    assert!(patience(&mut net, 80) <= 2 * config().nak_delay_us);
}

/// Else a gap whose repair takes longer would be reported again before that can be here.
#[test]
fn overtaken_packet_is_no_sample_of_repairs() {
    let mut net = listener(4, 1);
    late_all(&mut net, 1..10, 600, true);
    promise(&mut net, 0, 10);
    assert_eq!(wait(&mut net, 9_000), 1, "{:?}", net.members[1].cast.streams.of(0).gap());
}

#[test]
fn reports_back_off_until_a_repair_was_seen() {
    let mut net = listener(4, 1);
    let reports: Vec<u64> = (1..8).map(|seq| late_twice(&mut net, seq, 150_000)).collect();
    // After 0, 10, 20, 40 and 80 ms; after 0, 20, 40 and 80; and so on.
    assert_eq!(reports, [5, 4, 3, 2, 1, 1, 1]);
}

#[test]
fn slower_repairs_are_waited_for() {
    let mut net = listener(4, 1);
    late_all(&mut net, 1..5, 1_500, false);
    let reports: Vec<u64> = (5..30).map(|seq| late_twice(&mut net, seq, 30_000)).collect();
    assert!(reports[0] >= 4 && reports[10..].iter().all(|n| *n == 1), "{reports:?}");
}

/// As [`late`], and a report that was repeated is answered once more.
fn late_twice(net: &mut Net, seq: Seq, us: u64) -> u64 {
    let reports = late(net, seq, us, false);
    if reports > 1 {
        repair_in_vain(net, seq);
    }
    reports
}

/// A report that was lost is no sign of slow repairs.
#[test]
fn one_repair_after_two_reports_changes_no_pause() {
    let mut net = listener(4, 1);
    late(&mut net, 1, 800, false);
    for seq in 2..10 {
        assert_eq!(late(&mut net, seq, 2_000, false), 2, "{seq}");
    }
}

/// It was reported too early, but tells how long repairs take.
#[test]
fn repair_of_an_overtaken_packet_is_a_sample() {
    let mut net = listener(4, 1);
    assert_eq!(late(&mut net, 1, 4_000, true), 1);
    wait(&mut net, 146_000);
    repair_in_vain(&mut net, 1);
    assert_eq!(late(&mut net, 2, 150_000, false), 1);
}

/// Where repairs take 150 ms, one in ten gets lost, and 2 s without any progress mean exclusion,
/// reports at a steady pace are too few.
#[test]
fn long_missing_packet_is_reported_more_often() {
    let mut net = listener(4, 1);
    for seq in 1..8 {
        late_twice(&mut net, seq, 150_000);
    }
    net.now = Time::from_millis(10_000);
    promise(&mut net, 0, 8);
    assert!(wait(&mut net, 450_000) <= 3);
    let reports = wait(&mut net, 1_550_000);
    assert!((10..=14).contains(&reports), "{reports}");
}
