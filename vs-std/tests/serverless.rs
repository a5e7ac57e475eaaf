//! Groups that need no server to be started: each process has one inside, and these find one
//! another.

mod nobody;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use core::time::Duration;
use std::thread;
use std::time::Instant;

use vs_core::ident::{Cid, GroupName, ProcessId, ViewId};
use vs_core::member::{MembershipRequest, Peer};
use vs_core::seal::{KeyRing, Suite};
use vs_core::{DetachReason, View};
use vs_std::udp::{MULTICAST_V6, SetupError, UdpConfig, UdpPair, address_towards};
use vs_std::{
    Event, Group, JoinError, JoinOptions, RecvError, SendError, ServerName, SharedGroup, keys,
};

/// How long what is waited for may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn name() -> GroupName {
    "serverless".parse().unwrap()
}

/// A port that no other run on this host has at the same time.
fn port() -> u16 {
    20_000 + (std::process::id() % 20_000) as u16
}

fn udp(test: u8) -> UdpConfig {
    let multicast = SocketAddrV4::new(Ipv4Addr::new(239, 255, 78, test), port());
    UdpConfig::new(Ipv4Addr::LOCALHOST, multicast)
}

/// Bounds that a busy machine keeps.
fn patient(mut options: JoinOptions) -> JoinOptions {
    options.group.peer_ms = 30_000;
    options.driver.node.client.server_silence_ms = 30_000;
    options
}

/// What a member says once it is with another one, until it has heard the other say the same.
fn meet_shared(group: &SharedGroup) {
    let until = Instant::now() + PATIENCE;
    let mut heard = Vec::new();
    while heard.len() < 2 {
        assert!(Instant::now() < until, "only {heard:?}");
        match group.recv_timeout(Duration::from_millis(100)).unwrap() {
            Some(Event::View { view, .. }) if view.len() == 2 => group.send(b"hello").unwrap(),
            Some(Event::Message { from, payload, .. }) => heard.push((from, payload)),
            _ => {}
        }
    }
}

fn meet_blocking(group: &mut Group) {
    let until = Instant::now() + PATIENCE;
    let mut heard = Vec::new();
    while heard.len() < 2 {
        assert!(Instant::now() < until, "only {heard:?}");
        match group.recv_timeout(Duration::from_millis(100)).unwrap() {
            Some(Event::View { view, .. }) if view.len() == 2 => {
                group.send(b"hello").unwrap();
            }
            Some(Event::Message { from, payload, .. }) => heard.push((from, payload)),
            _ => {}
        }
    }
    // The other one may still want to hear.
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        group.recv_timeout(Duration::from_millis(50)).unwrap();
    }
}

/// A member of each handle meets the other.
fn both_handles_meet(of: impl Fn(u64) -> JoinOptions + Send + Sync) {
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut group = Group::join(&name(), patient(of(1))).unwrap();
            meet_blocking(&mut group);
            group.leave().unwrap();
        });
        let group = SharedGroup::join(&name(), patient(of(2))).unwrap();
        meet_shared(&group);
        group.leave().unwrap();
    });
}

#[test]
fn both_handles_find_one_another_without_a_server() {
    both_handles_meet(|id| JoinOptions::without_server(ProcessId(id), udp(1)));
}

fn ring() -> KeyRing {
    let key = keys::generate(1, Suite::ChaCha20Poly1305).unwrap().unwrap();
    KeyRing::new(vec![key]).unwrap()
}

#[test]
fn members_with_keys_find_one_another() {
    let keys = keys::keys(ring()).unwrap();
    // The same value at both, as where a configuration is cloned.
    both_handles_meet(|id| {
        JoinOptions::without_server(ProcessId(id), udp(4)).with_keys(keys.clone())
    });
}

#[test]
fn keys_of_members_make_no_server_inside() {
    let keys = keys::keys(ring().of_members()).unwrap();
    let options = JoinOptions::without_server(ProcessId(1), udp(5)).with_keys(keys);
    let error = SharedGroup::join(&name(), options).unwrap_err();
    assert!(matches!(error, JoinError::Open(vs_std::driver::OpenError::KeysOfMembers)), "{error}");
}

/// Linux carries multicasts of IPv6 over its loopback only where an administrator turned that on,
/// so an interface that leads to others is used.
#[test]
fn members_find_one_another_over_ipv6() {
    let there = SocketAddr::new(MULTICAST_V6.ip(), 9);
    let Some(here @ IpAddr::V6(ip)) = address_towards(there) else {
        return println!("skipped: this host has no way for multicasts of IPv6");
    };
    if ip.is_unicast_link_local() {
        return println!("skipped: this host has a link-local address of IPv6 alone");
    }
    let group = SocketAddr::new(MULTICAST_V6.ip(), port());
    // What the smallest MTU of IPv6 holds.
    const DATAGRAM_BYTES: usize = 1232;
    if let Err(error) = UdpPair::open(&UdpConfig::new(here, group), DATAGRAM_BYTES) {
        return println!("skipped: {error}");
    }
    both_handles_meet(|id| {
        let udp = UdpConfig::new(here, group);
        let mut options = JoinOptions::without_server(ProcessId(id), udp);
        options.driver.node.datagram_bytes = DATAGRAM_BYTES;
        options
    });
}

#[test]
fn unicast_ipv6_members_meet_by_a_peer() {
    if std::net::UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return println!("skipped: this host has no IPv6");
    }
    let listen = SocketAddr::from((Ipv6Addr::LOCALHOST, port()));
    both_handles_meet(|id| {
        let udp = UdpConfig::unicast(Ipv6Addr::LOCALHOST);
        let mut inside = vs_std::EmbeddedConfig::default();
        // Linux has no beacons of IPv6 on its loopback, and where peers are named that is no
        // failure.
        inside.peers.push(ServerName::from(listen));
        if id == 1 {
            inside.listen = Some(listen);
        }
        let mut options = JoinOptions::without_server(ProcessId(id), udp);
        options.driver.membership = vs_std::Membership::Embedded(Box::new(inside));
        options
    });
}

#[test]
fn addresses_of_two_families_are_refused() {
    let multicast = SocketAddrV4::new(Ipv4Addr::new(239, 255, 78, 9), port());
    let mixed = UdpConfig::new(Ipv6Addr::LOCALHOST, multicast);
    let error = UdpPair::open(&mixed, 1200).unwrap_err();
    assert!(matches!(error, SetupError::MixedFamilies { .. }), "{error}");
}

#[test]
fn a_join_without_servers_is_refused() {
    let options = JoinOptions::new(ProcessId(1), Vec::new(), udp(3));
    let error = SharedGroup::join(&name(), options).unwrap_err();
    assert!(matches!(error, JoinError::Open(vs_std::driver::OpenError::NoServers)), "{error}");
}

#[test]
fn an_unanswered_join_is_told_and_ends() {
    let (_listener, server) = nobody::silent();
    let mut options = nobody::options(server, 40);
    options.join_timeout = Some(Duration::from_millis(2500));
    let mut group = Group::join(&name(), options.clone()).unwrap();
    let unanswered = loop {
        match group.recv().unwrap() {
            Event::Unanswered(unanswered) => break unanswered,
            event => assert!(matches!(event, Event::Detached { .. }), "{event:?}"),
        }
    };
    assert!(unanswered.waited >= Duration::from_secs(2));
    assert_eq!(unanswered.servers, [ServerName::from(server)]);
    assert!(unanswered.to_string().contains(&server.to_string()), "{unanswered}");
    let ended = loop {
        if let Err(error) = group.recv() {
            break error;
        }
    };
    assert!(matches!(ended, RecvError::JoinTimedOut { .. }), "{ended:?}");
    let refused = group.send(b"late");
    assert!(matches!(refused, Err(SendError::JoinTimedOut { .. })), "{refused:?}");
    assert_eq!(group.leave().unwrap(), 0);

    options.join_timeout = Some(Duration::from_millis(50));
    let group = SharedGroup::join(&name(), options).unwrap();
    let ended = group.recv();
    assert!(matches!(ended, Err(RecvError::JoinTimedOut { .. })), "{ended:?}");
    assert!(matches!(group.send(b"late"), Err(SendError::JoinTimedOut { .. })));
}

#[test]
fn views_of_ones_own_reach_the_handles() {
    let options = |test| JoinOptions::external(ProcessId(7), udp(test));
    let mut group = Group::join(&name(), options(5)).unwrap();
    let (peer, cid, view) = asked_to_join(group.recv().unwrap());
    group.handle_start_change(cid, &[peer]).unwrap();
    group.handle_view(view.clone(), None).unwrap();
    let Event::View { view: installed, .. } = group.recv().unwrap() else { panic!("no view") };
    assert_eq!(installed, view);
    group.handle_excluded().unwrap();
    let excluded = Event::Detached { reason: DetachReason::Excluded };
    assert_eq!(group.recv().unwrap(), excluded);
    asked_to_join(group.recv().unwrap());

    let group = SharedGroup::join(&name(), options(6)).unwrap();
    let (peer, cid, view) = asked_to_join(group.recv().unwrap());
    group.handle_start_change(cid, &[peer]).unwrap();
    group.handle_view(view.clone(), None).unwrap();
    assert!(
        group.handle_view(view.clone(), None).is_err(),
        "each view has a change of its own (M5)"
    );
    let Event::View { view: installed, .. } = group.recv().unwrap() else { panic!("no view") };
    assert_eq!(installed, view);
    group.handle_excluded().unwrap();
    assert_eq!(group.recv().unwrap(), excluded);
}

/// A process that wants to be a member, and the first change and view that it may be told of.
fn asked_to_join(event: Event) -> (Peer, Cid, View) {
    let Event::Membership(request) = event else { panic!("{event:?}") };
    let MembershipRequest::Join { peer, last_cid, last_view, .. } = *request else {
        panic!("{request:?}")
    };
    let cid = Cid(last_cid.0 + 1);
    let id = ViewId { major: last_view.major + 1, minor: 0 };
    (peer, cid, View::new(id, &[peer.process], &[cid]).unwrap())
}
