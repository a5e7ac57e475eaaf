//! Who is asked for what is missing, when, and what is answered.

use alloc::vec;
use alloc::vec::Vec;

use super::super::repair::Sources;
use super::super::*;
use super::net::{Faults, Member, Net, config};
use crate::ident::{GroupKey, ViewId};
use crate::ranges::SeqRange;
use crate::wire::packet::{Content, Data, Heartbeat, NAK_RANGES_MAX, open};

/// Member 1 of `ranks` hears only what the test says; what it sends can be read.
pub(super) fn listener(ranks: usize, seed: u64) -> Net {
    let mut net = Net::new(ranks, &config(), Faults::default(), seed);
    net.cut(0, true);
    net
}

/// The stream of `from` goes up to `highest`.
pub(super) fn promise(net: &mut Net, from: Rank, highest: Seq) {
    let beat = Heartbeat { solicit: false, highest, stable: 0, view: ViewId::default() };
    let member = &mut net.members[1];
    member.cast.handle_heartbeat(&mut member.pool, net.now, from, beat);
}

/// An empty message of 0.
fn hear(net: &mut Net, seq: Seq) {
    hear_from(net, seq, true);
}

/// An empty message of 0, which came to the group or to 1 alone.
pub(super) fn hear_from(net: &mut Net, seq: Seq, to_group: bool) {
    let member = &mut net.members[1];
    let data = Data { flags: 0, origin: 0, seq, stable: 0, body: &[0; 4] };
    assert_eq!(
        member.cast.handle_data(&mut member.pool, net.now, &data, to_group),
        DataOutcome::New
    );
}

pub(super) fn range(from: Seq, upto: Seq) -> SeqRange {
    SeqRange { from, upto }
}

/// What 1 reports within the longest delay: of whom, to whom, what.
fn reports(net: &mut Net) -> Vec<(Rank, Rank, Vec<SeqRange>)> {
    net.now = net.now.plus_us(config().nak_delay_us);
    net.drain_one(1);
    let report = |mut bytes: Vec<u8>| match open(&mut bytes).unwrap().content {
        Content::Nak(nak) => Some((nak.origin, nak.target, nak.ranges().collect())),
        _ => None,
    };
    net.lost.drain(..).filter_map(report).collect()
}

/// Whom 1 accuses at `ms`.
fn accused_at(net: &mut Net, ms: u64) -> Vec<Rank> {
    net.now = Time::from_millis(ms);
    net.members[1].cast.handle_timeout(net.now);
    net.accused_by(1)
}

#[test]
fn new_gap_is_reported_within_the_delay() {
    let delay = config().nak_delay_us;
    let (mut least, mut most) = (Time::from_millis(1000), Time::ZERO);
    for seed in 0..500 {
        let mut net = listener(3, seed);
        promise(&mut net, 0, 1);
        let due = net.members[1].cast.reports.at().unwrap();
        (least, most) = (least.min(due), most.max(due));
    }
    let us = |us| Time::ZERO.plus_us(us);
    assert!((us(delay / 4)..us(delay / 3)).contains(&least), "{least:?}");
    assert!((us(delay - delay / 10)..=us(delay)).contains(&most), "{most:?}");
}

#[test]
fn new_gap_does_not_wait_for_older_ones() {
    let mut net = listener(3, 1);
    promise(&mut net, 0, 1);
    assert_eq!(reports(&mut net), [(0, 0, vec![range(1, 1)])]);
    promise(&mut net, 2, 1);
    assert_eq!(reports(&mut net), [(2, 2, vec![range(1, 1)])]);
    net.now = net.now.plus_ms(config().nak_repeat_ms);
    let both = [(0, 0, vec![range(1, 1)]), (2, 2, vec![range(1, 1)])];
    assert_eq!(reports(&mut net), both);
}

#[test]
fn slow_repairs_are_no_debt() {
    let mut net = listener(3, 1);
    promise(&mut net, 0, 3);
    net.now = Time::from_millis(1500);
    hear(&mut net, 2);
    assert!(accused_at(&mut net, 2100).is_empty());
    assert_eq!(accused_at(&mut net, 3501), [0]);
}

#[test]
fn sender_that_only_promises_is_accused() {
    let mut net = listener(3, 1);
    for n in 0..4 {
        net.now = Time::from_millis(5000 + 500 * n);
        promise(&mut net, 0, 1 + n);
        assert!(net.accused_by(1).is_empty());
    }
    assert!(accused_at(&mut net, 6999).is_empty());
    assert_eq!(accused_at(&mut net, 7000), [0]);
}

/// As more sync messages arrive, the agreed cut grows: what had been asked for before the stream
/// was closed below it is needed after all.
#[test]
fn closed_stream_needed_further_is_asked_for_again() {
    let mut net = listener(3, 1);
    (1..=5).for_each(|seq| hear(&mut net, seq));
    promise(&mut net, 0, 10);
    assert_eq!(reports(&mut net), [(0, 0, vec![range(6, 10)])]);
    net.members[1].cast.settle(net.now, 0, 5, &[0], true);
    assert_eq!(reports(&mut net), []);
    net.members[1].cast.settle(net.now, 0, 8, &[0], true);
    assert_eq!(reports(&mut net), [(0, 0, vec![range(8, 8)])]);
    net.now = net.now.plus_ms(config().nak_repeat_ms);
    assert_eq!(reports(&mut net), [(0, 0, vec![range(6, 8)])]);
}

#[test]
fn closed_stream_is_asked_for_up_to_its_end() {
    for (closed, upto) in [(true, 2), (false, 5)] {
        let mut net = listener(3, 1);
        promise(&mut net, 0, 5);
        net.members[1].cast.settle(net.now, 0, 2, &[0], closed);
        assert_eq!(reports(&mut net), [(0, 0, vec![range(1, upto)])], "closed: {closed}");
    }
}

#[test]
fn first_source_is_asked_unless_one_is_already() {
    // 1 is this member, 3 is nobody.
    for (sources, asked) in [(&[3, 1, 2][..], 2), (&[2, 0], 0)] {
        let mut net = listener(3, 1);
        promise(&mut net, 0, 5);
        net.members[1].cast.settle(net.now, 0, 2, sources, true);
        assert_eq!(reports(&mut net), [(0, asked, vec![range(1, 2)])], "of {sources:?}");
    }
}

#[test]
fn report_that_does_not_fit_goes_on() {
    let mut net = listener(3, 1);
    let odd = |n: usize| 2 * n as Seq + 1;
    (0..NAK_RANGES_MAX + 5).for_each(|n| hear(&mut net, odd(n) + 1));
    let first = reports_once(&mut net);
    assert_eq!(first.len(), NAK_RANGES_MAX);
    assert_eq!(net.members[1].cast.streams.of(0).gap().asked(), odd(NAK_RANGES_MAX) - 1);
    let rest = reports(&mut net);
    let all = first.into_iter().chain(rest.into_iter().flat_map(|(_, _, ranges)| ranges));
    assert!(all.eq((0..NAK_RANGES_MAX + 5).map(|n| range(odd(n), odd(n)))));
}

/// What is delivered and stable is no longer in the ring, and not missing.
#[test]
fn freed_packets_are_not_reported() {
    let mut net = listener(3, 1);
    let give_up = |net: &mut Net, upto| {
        let Member { cast, pool, .. } = &mut net.members[1];
        while cast.peek(0, Seq::MAX).is_some() {
            cast.take(pool, net.now, &mut [], 0, Seq::MAX).unwrap();
        }
        cast.take_back(pool, net.now);
        let view = ViewId::default();
        let beat = Heartbeat { solicit: false, highest: upto, stable: upto, view };
        cast.handle_heartbeat(pool, net.now, 0, beat);
        assert_eq!(cast.streams.of(0).base(), upto);
    };
    (1..=3).for_each(|seq| hear(&mut net, seq));
    give_up(&mut net, 3);
    promise(&mut net, 0, 5);
    assert_eq!(reports(&mut net), [(0, 0, vec![range(4, 5)])]);
    net.now = net.now.plus_ms(config().nak_repeat_ms);
    assert_eq!(reports(&mut net), [(0, 0, vec![range(4, 5)])]);
    // Between the parts of a report that does not fit.
    let mut net = listener(3, 1);
    let odd = |n: usize| 2 * n as Seq + 1;
    (0..NAK_RANGES_MAX + 5).for_each(|n| hear(&mut net, odd(n) + 1));
    reports_once(&mut net);
    (0..=NAK_RANGES_MAX).for_each(|n| hear(&mut net, odd(n)));
    give_up(&mut net, odd(NAK_RANGES_MAX) + 1);
    let rest = (1..5).map(|n| range(odd(NAK_RANGES_MAX + n), odd(NAK_RANGES_MAX + n)));
    assert_eq!(reports(&mut net), [(0, 0, rest.collect())]);
}

/// The first datagram of the report that is due.
fn reports_once(net: &mut Net) -> Vec<SeqRange> {
    net.now = net.now.plus_us(config().nak_delay_us);
    let member = &mut net.members[1];
    let view = ViewHeader { group: GroupKey(5), fingerprint: 6, rank: 1, id: ViewId::default() };
    let mut out = vec![0; 1500];
    let sent = member.cast.poll_transmit(&mut member.pool, net.now, &view, &mut out, 1).unwrap();
    match open(&mut out[..sent.len]).unwrap().content {
        Content::Nak(nak) => nak.ranges().collect(),
        other => panic!("{other:?}"),
    }
}

/// 2 and 3 report what is missing here, too, to the sender.
pub(super) fn overhear(net: &mut Net, by: Rank, what: SeqRange) -> u64 {
    net.members[1].cast.handle_nak(net.now, by, 0, 0, [what].into_iter());
    net.members[1].cast.counters().naks_suppressed
}

#[test]
fn report_of_two_others_puts_off_once() {
    let mut net = listener(4, 1);
    (1..=2).for_each(|seq| hear(&mut net, seq));
    promise(&mut net, 0, 4);
    for by in [2, 3] {
        assert_eq!(overhear(&mut net, by, range(1, 2)), 0, "that is not missing here");
    }
    assert_eq!(overhear(&mut net, 2, range(3, 3)), 0);
    assert_eq!(overhear(&mut net, 2, range(3, 4)), 0, "one that says it twice");
    assert_eq!(overhear(&mut net, 3, range(4, 9)), 1);
    assert_eq!(reports(&mut net), []);
    for by in [2, 3, 2] {
        assert_eq!(overhear(&mut net, by, range(3, 4)), 1, "it is not put off again");
    }
    net.now = net.now.plus_ms(config().nak_repeat_ms);
    assert_eq!(reports(&mut net), [(0, 0, vec![range(3, 4)])]);
}

#[test]
fn frozen_cast_puts_off_no_report() {
    let mut net = listener(4, 1);
    promise(&mut net, 0, 4);
    let member = &mut net.members[1];
    member.cast.freeze(&mut member.pool);
    assert_eq!([2, 3].map(|by| overhear(&mut net, by, range(1, 4))), [0, 0]);
}

#[test]
fn repeated_request_is_answered_once() {
    let mut net = Net::new(3, &config(), Faults::default(), 1);
    (1..3).for_each(|rank| net.cut(rank, true));
    assert!(net.send(0, 10));
    net.drain_one(0);
    // The datagrams that follow: one to each of its receivers.
    let answers = |net: &mut Net, askers: &[Rank]| {
        net.lost.clear();
        for &from in askers {
            net.members[0].cast.handle_nak(net.now, from, 0, 0, [range(1, 1)].into_iter());
        }
        net.drain_one(0);
        (net.lost.len(), net.members[0].cast.counters().repairs_suppressed)
    };
    assert_eq!(answers(&mut net, &[1, 1]), (1, 0));
    assert_eq!(answers(&mut net, &[1]), (0, 1), "it is under way");
    assert_eq!(answers(&mut net, &[2]), (2, 1), "two lack it: maybe more do");
    assert_eq!(answers(&mut net, &[1, 2]), (0, 3));
    let cast = &net.members[0].cast;
    assert_eq!((cast.repairs.wanted(), cast.streams.of(0).wanted_count()), (0, 0));
    assert_eq!(cast.counters().repaired, 2);
}

#[test]
fn repairs_go_out_stream_by_stream() {
    let mut net = listener(4, 1);
    let member = &mut net.members[1];
    for (origin, seq) in [(0, 1), (0, 2), (2, 1)] {
        let data = Data { flags: 0, origin, seq, stable: 0, body: &[0; 4] };
        member.cast.handle_data(&mut member.pool, net.now, &data, true);
        member.cast.handle_nak(net.now, 3, origin, 1, [range(seq, seq)].into_iter());
    }
    net.cut(3, true);
    net.drain_one(1);
    let repaired = |mut bytes: Vec<u8>| match open(&mut bytes).unwrap().content {
        Content::Data(data) => Some((data.origin, data.seq)),
        _ => None,
    };
    assert!(net.lost.drain(..).filter_map(repaired).eq([(0, 1), (0, 2), (2, 1)]));
    assert_eq!(net.members[1].cast.repairs.turn(), 3, "and next time it begins behind");
}

#[test]
fn forward_to_nobody_sends_nothing() {
    let mut net = listener(3, 1);
    hear(&mut net, 1);
    for to in [1, 3, 9] {
        net.members[1].cast.forward(to, 0, 1, 1);
    }
    net.drain_one(1);
    assert_eq!(net.members[1].cast.counters().forwarded, 0);
}

#[test]
fn cleared_cast_forgets_repairs_and_forwards() {
    let mut net = listener(3, 1);
    hear(&mut net, 1);
    let Member { cast, pool, .. } = &mut net.members[1];
    cast.forward(2, 0, 1, 1);
    cast.handle_nak(net.now, 2, 0, 1, [range(1, 1)].into_iter());
    assert_eq!((cast.repairs.wanted(), cast.forwards.len()), (1, 1));
    cast.clear(pool);
    assert_eq!((cast.repairs.wanted(), cast.forwards.len()), (0, 0));
}

#[test]
fn large_view_keeps_sources_for_each_stream() {
    let mut sources = Sources::new(130);
    sources.set(5, [].into_iter());
    assert!(!sources.has(5, 0));
    for stream in [0, 1, 2, 129] {
        sources.set(stream, [7].into_iter());
        sources.set(stream, [stream, 129].into_iter());
    }
    for (stream, rank) in (0..130).flat_map(|s| (0..130).map(move |r| (s, r))) {
        let named = [0, 1, 2, 129].contains(&stream) && (rank == stream || rank == 129);
        assert_eq!(sources.has(stream, rank), named, "{rank} of {stream}");
    }
    assert_eq!([0, 2, 128, 129].map(|rank| sources.after(2, rank)), [2, 129, 129, 2].map(Some));
    assert_eq!(sources.after(5, 0), None);
}

/// What was reported to the sender is news to a member that is asked in its place.
#[test]
fn new_source_is_asked_at_once() {
    let mut net = listener(4, 1);
    promise(&mut net, 0, 3);
    assert_eq!(reports(&mut net), [(0, 0, vec![range(1, 3)])]);
    assert_eq!(reports(&mut net), [], "the repair is under way");
    let now = net.now;
    net.members[1].cast.settle(now, 0, 3, &[2], true);
    assert_eq!(reports(&mut net), [(0, 2, vec![range(1, 3)])]);
    let now = net.now;
    net.members[1].cast.settle(now, 0, 3, &[3, 2], true);
    assert_eq!(reports(&mut net), [], "it was asked");
}
