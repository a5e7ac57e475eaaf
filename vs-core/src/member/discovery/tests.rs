//! Servers that hear one another.

use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::ident::NUMBER_MAX;
use crate::wire::beacon::BEACON_BYTES_MAX;

fn at(ms: u64) -> Time {
    Time::from_millis(ms)
}

fn addr(id: u64) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 7000 + id as u16))
}

fn name(text: &str) -> Deployment {
    Deployment::new(text).unwrap()
}

fn discovery(id: u64) -> Discovery {
    let config = DiscoveryConfig { servers_max: 3, ..DiscoveryConfig::default() };
    Discovery::new(at(0), config, name("default"), (ServerId(id), 9), addr(id), id)
}

fn beacon_of(id: u64, boot: u64, deployment: &str) -> Vec<u8> {
    let beacon = Beacon { deployment, server: ServerId(id), boot, listen: addr(id) };
    let mut out = [0; BEACON_BYTES_MAX];
    let len = beacon::encode(&mut out, &beacon).unwrap();
    out[..len].to_vec()
}

fn beacon(id: u64) -> Vec<u8> {
    beacon_of(id, 9, "default")
}

/// Lets time pass until `until`; returns when beacons went out, and what was found.
fn pass(
    discovery: &mut Discovery,
    until: u64,
    connected: &[ServerId],
) -> (Vec<u64>, Vec<(u64, Found)>) {
    let (mut sent, mut found) = (Vec::new(), Vec::new());
    while discovery.poll_timeout() <= at(until) {
        let now = discovery.poll_timeout();
        let steps = discovery.handle_timeout(now, connected, false);
        found.extend(steps.into_iter().map(|step| (now.as_millis(), step)));
        assert!(discovery.poll_timeout() > now, "a timer without end");
        let mut out = [0; BEACON_BYTES_MAX];
        if let Some(len) = discovery.poll_beacon(&mut out) {
            assert_eq!(beacon::decode(&out[..len]).unwrap().server, discovery.me);
            sent.push(now.as_millis());
        }
        assert_eq!(discovery.poll_beacon(&mut out), None, "one at a time");
    }
    (sent, found)
}

fn pauses(sent: &[u64]) -> Vec<u64> {
    sent.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn beacons_slow_down_without_news() {
    let mut alone = discovery(1);
    let (sent, _) = pass(&mut alone, 20_000, &[]);
    let pauses = pauses(&sent);
    assert_eq!(sent[0], 0);
    assert!(pauses[..4].iter().all(|ms| (37..=63).contains(ms)), "{pauses:?}");
    assert!(pauses.windows(2).skip(4).take(4).all(|pair| pair[0] < pair[1]), "{pauses:?}");
    assert!(pauses[12..].iter().all(|ms| (1500..=2500).contains(ms)), "{pauses:?}");
    assert!(alone.is_settled());
    let mut other = discovery(2);
    assert_ne!(pass(&mut other, 20_000, &[]).0, sent, "by chance");
}

#[test]
fn few_beacons_without_news_settle_server() {
    let mut alone = discovery(1);
    pass(&mut alone, 130, &[]);
    assert!(!alone.is_settled());
    pass(&mut alone, 260, &[]);
    assert!(alone.is_settled());

    let mut found = discovery(1);
    pass(&mut found, 130, &[]);
    found.hear(at(130), &beacon(2), &[]);
    pass(&mut found, 270, &[ServerId(2)]);
    assert!(!found.is_settled(), "there was news");
    pass(&mut found, 400, &[ServerId(2)]);
    assert!(found.is_settled());
}

#[test]
fn unreachable_server_delays_settling_bounded_time() {
    let mut waits = discovery(1);
    waits.hear(at(1), &beacon(2), &[]);
    pass(&mut waits, 1499, &[]);
    assert!(!waits.is_settled() && waits.misses_any(&[]));
    pass(&mut waits, 1600, &[]);
    assert!(waits.is_settled());
    let mut busy = discovery(1);
    for _ in 0..20 {
        let now = busy.poll_timeout();
        busy.handle_timeout(now, &[], true);
    }
    assert!(busy.last < at(1400) && !busy.is_settled(), "somebody else is being connected to");
}

#[test]
fn higher_id_connects_once() {
    let (mut low, mut high) = (discovery(1), discovery(2));
    assert_eq!(low.hear(at(5), &beacon(2), &[]), []);
    assert_eq!(high.hear(at(5), &beacon(1), &[]), [Found::Dial(addr(1))]);
    assert_eq!(high.hear(at(55), &beacon(1), &[]), [], "that is under way");
    assert_eq!(high.hear(at(95), &beacon(1), &[ServerId(1)]), []);
    let (_, found) = pass(&mut high, 9000, &[ServerId(1)]);
    assert_eq!(found, [], "who is connected is not forgotten");
}

#[test]
fn one_way_beacons_lower_id_connects() {
    let mut low = discovery(1);
    low.hear(at(5), &beacon(2), &[]);
    let (_, found) = pass(&mut low, 2000, &[]);
    let [(ms, Found::Dial(to))] = found[..] else { panic!("{found:?}") };
    assert!((505..=570).contains(&ms) && to == addr(2), "{ms} {to}");
    // A connection that is lost is given as long again.
    let mut low = discovery(1);
    low.hear(at(5), &beacon(2), &[]);
    assert_eq!(pass(&mut low, 4000, &[ServerId(2)]).1, []);
    low.hear(at(8000), &beacon(2), &[ServerId(2)]);
    low.hear(at(8400), &beacon(2), &[]);
    assert_eq!(low.look(at(8499), &[]), []);
    assert_eq!(low.look(at(8500), &[]), [Found::Dial(addr(2))]);
}

#[test]
fn newcomer_is_answered_soon() {
    let mut settled = discovery(1);
    pass(&mut settled, 10_000, &[]);
    let last = settled.last.as_millis();
    assert!(settled.poll_timeout() >= at(last + 1500));
    settled.hear(at(last + 500), &beacon(2), &[]);
    assert!(settled.poll_timeout() < at(last + 550), "it has to hear where to connect to");
    // It connects by itself to a lower id, and each is answered as often as quick beacons come.
    let mut settled = discovery(3);
    pass(&mut settled, 10_000, &[]);
    let next = settled.poll_timeout();
    settled.hear(settled.last, &beacon(2), &[]);
    assert_eq!(settled.poll_timeout(), next);
    for _ in 0..100 {
        settled.hear(settled.last, &beacon(4), &[]);
    }
    assert_eq!(settled.poll_timeout(), settled.last.plus_ms(50));
}

#[test]
fn silent_server_forgotten_new_incarnation_is_new() {
    let mut high = discovery(3);
    high.hear(at(5), &beacon(1), &[]);
    let (_, found) = pass(&mut high, 30_000, &[]);
    let [(ms, Found::Forget(gone))] = found[..] else { panic!("{found:?}") };
    assert!((10_005..=12_505).contains(&ms) && gone == addr(1), "{ms} {gone}");
    assert!(!high.misses_any(&[]));

    let mut high = discovery(3);
    high.hear(at(5), &beacon(1), &[]);
    let again = beacon_of(1, 10, "default");
    assert_eq!(high.hear(at(6), &again, &[]), [Found::Dial(addr(1))], "it listens where it did");
    let moved = Beacon { listen: addr(9), ..beacon::decode(&again).unwrap() };
    let mut out = [0; BEACON_BYTES_MAX];
    let len = beacon::encode(&mut out, &moved).unwrap();
    let found = high.hear(at(7), &out[..len], &[]);
    assert_eq!(found, [Found::Forget(addr(1)), Found::Dial(addr(9))]);
}

#[test]
fn forgotten_server_beacons_more_often() {
    let mut low = discovery(1);
    low.hear(at(5), &beacon(2), &[]);
    let (sent, _) = pass(&mut low, 800_000, &[]);
    let forgotten = |ms: u64| (10_005..=12_505).contains(&ms);
    let missed = |ms: &&u64| (13_000..=600_000).contains(*ms);
    assert!(sent.iter().any(|ms| forgotten(*ms)));
    let missed: Vec<u64> = sent.iter().filter(missed).copied().collect();
    assert!(pauses(&missed).iter().all(|ms| (375..=625).contains(ms)), "{missed:?}");
    let later: Vec<u64> = sent.iter().filter(|ms| **ms > 620_000).copied().collect();
    assert!(pauses(&later).iter().all(|ms| *ms >= 1500), "{later:?}");
}

#[test]
fn missed_server_heard_again_dialled_at_once() {
    let mut high = discovery(3);
    high.hear(at(5), &beacon(1), &[]);
    assert_eq!(high.hear(at(2505), &beacon(1), &[]), [], "none is missing");
    assert_eq!(high.hear(at(5006), &beacon(1), &[]), [Found::Again(addr(1))]);
    assert_eq!(high.hear(at(5056), &beacon(1), &[]), [], "that is under way");
    assert_eq!(high.hear(at(9000), &beacon(1), &[ServerId(1)]), [], "it is connected");
}

#[test]
fn useless_beacon_noted_once_a_minute() {
    let mut one = discovery(1);
    let mut other_version = beacon(2);
    other_version[4] = 77;
    let useless = [
        (beacon_of(2, 9, "test"), UselessBeacon::Deployment(name("test"))),
        (other_version, UselessBeacon::Version(77)),
        (beacon_of(1, 8, "default"), UselessBeacon::SameId(ServerId(1), addr(1))),
    ];
    for (datagram, what) in useless {
        assert_eq!(one.hear(at(1), &datagram, &[]), [Found::Useless(what.clone())]);
        assert_eq!(one.hear(at(60_000), &datagram, &[]), [], "{what}");
        assert_eq!(one.hear(at(60_001), &datagram, &[]), [Found::Useless(what)]);
    }
    assert_eq!(one.hear(at(2), &beacon(1), &[]), [], "the own one");
    assert_eq!(one.hear(at(2), b"GET / HTTP/1.1", &[]), []);
    assert!(!one.misses_any(&[]));
}

#[test]
fn endless_strangers_take_no_room() {
    let mut one = discovery(100);
    let found: Vec<Found> = (1..=50).flat_map(|id| one.hear(at(1), &beacon(id), &[])).collect();
    let dials: Vec<Found> = (1..=3).map(|id| Found::Dial(addr(id))).collect();
    assert_eq!(found, [dials, vec![Found::Useless(UselessBeacon::TooMany)]].concat());
    assert_eq!(one.hear(at(2), &beacon(2), &[]), [], "those that are known are heard on");
    assert_eq!(one.heard.len(), 3);
}

#[test]
fn impossible_configuration_is_refused() {
    let fine = DiscoveryConfig::default();
    assert_eq!(fine.validate(), Ok(()));
    let spoilt = [
        DiscoveryConfig { beacon_ms: 9, ..fine.clone() },
        DiscoveryConfig { beacon_max_ms: 49, ..fine.clone() },
        DiscoveryConfig { beacon_missed_ms: 49, ..fine.clone() },
        DiscoveryConfig { forget_ms: 2000, ..fine.clone() },
        DiscoveryConfig { quiet_beacons: 0, ..fine.clone() },
        DiscoveryConfig { servers_max: 0, ..fine.clone() },
        DiscoveryConfig { settle_max_ms: 0, ..fine.clone() },
        DiscoveryConfig { dial_anyway_ms: NUMBER_MAX, ..fine },
    ];
    for config in spoilt {
        assert!(config.validate().is_err(), "{config:?}");
    }
}

/// Multicasts come through and TCP does not. Nothing was said of it.
#[test]
fn server_heard_and_not_reached_is_noted() {
    let mut low = discovery(1);
    let mut told = Vec::new();
    for ms in (0..20_000).step_by(1000) {
        low.hear(at(ms), &beacon(2), &[]);
        told.extend(pass(&mut low, ms + 999, &[]).1);
    }
    told.retain(|(_, found)| matches!(found, Found::Useless(_)));
    let [(ms, Found::Useless(UselessBeacon::Unreached(to)))] = told[..] else { panic!("{told:?}") };
    assert!(to == addr(2) && (UNREACHED_MS..2 * UNREACHED_MS).contains(&ms), "once, after {ms} ms");
    // One that is connected now and then is reached.
    let mut low = discovery(1);
    for ms in (0..20_000).step_by(1000) {
        low.hear(at(ms), &beacon(2), &[]);
        let connected: &[ServerId] = if ms % 4000 == 0 { &[ServerId(2)] } else { &[] };
        let found = pass(&mut low, ms + 999, connected).1;
        assert!(!found.iter().any(|(_, found)| matches!(found, Found::Useless(_))), "{found:?}");
    }
}
