//! Servers with keys, and without, that hear one another.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::seal::{KeyRing, PORTABLE, RingKey, SECRET_BYTES, Secret, Suite};
use crate::wire::golden::{self, Sample};

fn at(ms: u64) -> Time {
    Time::from_millis(ms)
}

fn addr(id: u64) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 7000 + id as u16))
}

fn key(id: u8, byte: u8, suite: Suite) -> RingKey {
    RingKey::of_servers(id, suite, Secret::new([byte; SECRET_BYTES])).unwrap()
}

/// `seed` is another one for each server.
fn keys(ring: &[RingKey], seed: u64) -> Keys {
    let seed = Secret::new([seed as u8; SECRET_BYTES]);
    Keys::new(KeyRing::new(ring.to_vec()).unwrap(), &PORTABLE, seed)
}

fn plain(id: u64) -> Discovery {
    let (config, deployment) = (DiscoveryConfig::default(), Deployment::new("default").unwrap());
    Discovery::new(at(0), config, deployment, (ServerId(id), 9), addr(id), id)
}

fn with_keys(id: u64, ring: &[RingKey]) -> Discovery {
    let mut discovery = plain(id);
    assert!(discovery.set_keys(keys(ring, id)));
    discovery
}

/// The next beacon that is due.
fn beacon(discovery: &mut Discovery) -> Vec<u8> {
    let mut out = [0xaa; BEACON_BYTES_MAX];
    loop {
        let due = discovery.poll_timeout();
        discovery.handle_timeout(due, &[], false);
        if let Some(len) = discovery.poll_beacon(&mut out) {
            return out[..len].to_vec();
        }
    }
}

/// What `hearer` makes of a beacon of `speaker`, and how many it dropped.
fn hear(hearer: &mut Discovery, speaker: &mut Discovery) -> (Vec<Found>, u64) {
    let datagram = beacon(speaker);
    let found = hearer.hear(at(1), &datagram, &[]);
    (found, hearer.take_dropped())
}

const AES: Suite = Suite::Aes256Gcm;

#[test]
fn servers_with_one_key_hear_each_other_whatever_the_suite() {
    for suite in Suite::ALL {
        let ring = [key(1, 1, suite)];
        let (mut two, mut one) = (with_keys(2, &ring), with_keys(1, &ring));
        assert_eq!(hear(&mut two, &mut one), (vec![Found::Dial(addr(1))], 0), "{suite}");
        let own = beacon(&mut two);
        assert_eq!(two.hear(at(1), &own, &[]), [], "the own one");
    }
}

#[test]
fn key_is_changed_while_servers_hear_each_other() {
    let (old, new) = (key(1, 1, AES), key(2, 2, Suite::ChaCha20Poly1305));
    let steps =
        [vec![old.clone()], vec![old.clone(), new.clone()], vec![new.clone(), old], vec![new]];
    for pair in steps.windows(2) {
        for (before, after) in [(0, 1), (1, 0)] {
            let mut two = with_keys(2, &pair[before]);
            let mut one = with_keys(1, &pair[after]);
            assert_eq!(hear(&mut two, &mut one), (vec![Found::Dial(addr(1))], 0));
        }
    }
}

#[test]
fn beacon_sealed_otherwise_is_dropped_counted_and_noted_once() {
    let ring = [key(1, 1, AES)];
    let cases = [
        (plain(2), with_keys(1, &ring), UselessBeacon::Sealed),
        (with_keys(2, &ring), plain(1), UselessBeacon::InTheClear(addr(1))),
        (with_keys(2, &ring), with_keys(1, &[key(1, 9, AES)]), UselessBeacon::Unopened(1)),
        (with_keys(2, &ring), with_keys(1, &[key(7, 1, AES)]), UselessBeacon::Unopened(7)),
        (
            with_keys(2, &ring),
            with_keys(1, &[key(1, 1, Suite::ChaCha20Poly1305)]),
            UselessBeacon::Unopened(1),
        ),
    ];
    for (mut hearer, mut speaker, useless) in cases {
        let says = useless.to_string();
        assert_eq!(hear(&mut hearer, &mut speaker), (vec![Found::Useless(useless)], 1), "{says}");
        assert_eq!(hear(&mut hearer, &mut speaker), (vec![], 1), "{says}");
        assert!(!hearer.knows(ServerId(1)), "{says}");
    }
}

#[test]
fn no_bit_of_a_sealed_beacon_can_be_changed() {
    let ring = [key(1, 1, AES)];
    let (mut two, mut one) = (with_keys(2, &ring), with_keys(1, &ring));
    let datagram = beacon(&mut one);
    for at_byte in 0..datagram.len() {
        let mut spoilt = datagram.clone();
        spoilt[at_byte] ^= 1;
        two.hear(at(1), &spoilt, &[]);
        assert!(!two.knows(ServerId(1)), "byte {at_byte}");
        two.hear(at(1), &datagram[..at_byte], &[]);
        assert!(!two.knows(ServerId(1)), "{at_byte} bytes");
    }
    two.hear(at(1), &vec![1; BEACON_BYTES_MAX + 1], &[]);
    let long = [&datagram[..], &[0; BEACON_BYTES_MAX]].concat();
    assert_eq!(two.hear(at(1), &long, &[]), []);
    assert_eq!(two.hear(at(1), &datagram, &[]), [Found::Dial(addr(1))]);
}

#[test]
fn nothing_is_sealed_twice_with_one_nonce() {
    let ring = [key(1, 1, AES)];
    let mut heads: Vec<Vec<u8>> = Vec::new();
    // The same server, started again: what it draws differs.
    for seed in [1, 2] {
        let mut one = plain(1);
        assert!(one.set_keys(keys(&ring, seed)));
        heads.extend((0..3).map(|_| beacon(&mut one)[..32].to_vec()));
    }
    heads.sort();
    heads.dedup();
    assert_eq!(heads.len(), 6);
}

/// Fault to avoid: a beacon that was recorded says that a server is where it was, again and again,
/// and the servers do not find each other.
#[test]
fn beacon_that_is_sent_again_changes_nothing() {
    let ring = [key(1, 1, AES)];
    let (mut two, mut one) = (with_keys(2, &ring), with_keys(1, &ring));
    let early = beacon(&mut one);
    assert_eq!(two.hear(at(1), &early, &[]), [Found::Dial(addr(1))]);
    one.set_listen(at(1), addr(7));
    let later = beacon(&mut one);
    let moved = [Found::Forget(addr(1)), Found::Dial(addr(7))];
    assert_eq!(two.hear(at(2), &later, &[]), moved);
    // With other keys the same numbers go on.
    assert!(one.set_keys(keys(&[key(2, 2, AES), key(1, 1, AES)], 5)));
    assert!(two.set_keys(keys(&[key(2, 2, AES), key(1, 1, AES)], 6)));
    let under_new = beacon(&mut one);
    assert_eq!(two.hear(at(3), &under_new, &[]), []);
    for again in [&early, &later, &under_new] {
        assert_eq!(two.hear(at(4), again, &[]), []);
    }
    assert_eq!(two.take_dropped(), 3);
    // Also of a server that was forgotten, and of an earlier life.
    two.heard.clear();
    assert_eq!((two.hear(at(5), &later, &[]), two.knows(ServerId(1))), (vec![], false));
    let mut reborn = with_keys(1, &ring);
    reborn.boot = 10;
    let reborn = beacon(&mut reborn);
    assert_eq!(two.hear(at(6), &reborn, &[]), [Found::Dial(addr(1))]);
    assert_eq!((two.hear(at(7), &later, &[]), two.take_dropped()), (vec![], 2));
}

#[test]
fn servers_of_whom_beacons_are_remembered_are_bounded() {
    let ring = [key(1, 1, AES)];
    let mut two = with_keys(2, &ring);
    let most = two.config.servers_max as u64;
    for id in 3..most + 20 {
        two.heard.clear();
        let datagram = beacon(&mut with_keys(id, &ring));
        two.hear(at(id), &datagram, &[]);
    }
    assert_eq!(two.sealer.as_ref().map(Sealer::remembered), Some(most as usize));
}

#[test]
fn keys_of_members_seal_no_beacons() {
    let of_members = KeyRing::new(vec![key(1, 1, AES)]).unwrap().of_members();
    let keys = Keys::new(of_members, &PORTABLE, Secret::new([0; SECRET_BYTES]));
    assert!(!plain(1).set_keys(keys));
}

#[test]
fn golden_sealed_beacons() {
    let sample = |suite: Suite| {
        let bytes = beacon(&mut with_keys(1, &[key(3, 1, suite)]));
        let what = "the beacon of a server at 127.0.0.1:7001, key 3 of 32 bytes 01".to_string();
        Sample { name: suite.to_string(), what, bytes }
    };
    let samples: Vec<Sample> = Suite::ALL.into_iter().map(sample).collect();
    let files = golden::check("beacons-sealed", "wire::STREAM_VERSION", &samples);
    for (bytes, suite) in files.iter().zip(Suite::ALL) {
        let mut two = with_keys(2, &[key(3, 1, suite)]);
        assert_eq!(two.hear(at(1), bytes, &[]), [Found::Dial(addr(1))]);
    }
}
