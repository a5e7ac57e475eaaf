//! The sockets against the real kernel.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use std::io::ErrorKind;
use std::time::Instant;

use vs_std::udp::{RecvBatch, SetupError, UdpConfig, UdpPair, Which};

const DATAGRAM_BYTES: usize = 1472;

fn config(port: u16) -> UdpConfig {
    let group = SocketAddrV4::new(Ipv4Addr::new(239, 255, 71, 1), port);
    UdpConfig::new(Ipv4Addr::LOCALHOST, group)
}

fn receive(pair: &UdpPair, which: Which, count: usize) -> Vec<Vec<u8>> {
    let (mut batch, mut got) = (RecvBatch::new(), Vec::new());
    let end = Instant::now() + Duration::from_secs(5);
    while got.len() < count && Instant::now() < end {
        match pair.recv(which, &mut batch, |_, datagram| {
            // Probes of sockets that open later are heard, too.
            if datagram.starts_with(b"VS") {
                got.push(datagram.to_vec());
            }
        }) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
    got
}

#[test]
fn multicast_and_unicast_arrive_at_their_sockets() {
    let a = UdpPair::open(&config(47_101), DATAGRAM_BYTES).unwrap();
    let b = UdpPair::open(&config(47_101), DATAGRAM_BYTES).unwrap();
    a.send(a.multicast_addr().unwrap(), b"VS all", None).unwrap();
    a.send(b.local_addr(), b"VS one", None).unwrap();
    b.send(b.multicast_addr().unwrap(), b"VS too", None).unwrap();
    assert_eq!(receive(&b, Which::Multicast, 1), [b"VS all"]);
    // What a node multicasts is of no use to itself; Linux drops it.
    let heard: &[&[u8]] =
        if cfg!(target_os = "linux") { &[b"VS too"] } else { &[b"VS all", b"VS too"] };
    assert_eq!(receive(&a, Which::Multicast, heard.len()), heard);
    assert_eq!(receive(&b, Which::Unicast, 1), [b"VS one"]);
    assert!(a.granted().multicast > 0 && a.granted().send > 0);
}

#[test]
fn a_run_of_segments_arrives_as_datagrams() {
    let a = UdpPair::open(&config(47_102), DATAGRAM_BYTES).unwrap();
    let b = UdpPair::open(&config(47_102), DATAGRAM_BYTES).unwrap();
    let segments = a.max_segments().min(8);
    let mut bytes = Vec::new();
    for i in 0..segments {
        let len = if i + 1 == segments { 300 } else { 1000 };
        let start = bytes.len();
        bytes.extend_from_slice(b"VS");
        bytes.resize(start + len, u8::try_from(i).unwrap());
    }
    let multicast = b.multicast_addr().unwrap();
    for (dest, which) in [(multicast, Which::Multicast), (b.local_addr(), Which::Unicast)] {
        a.send(dest, &bytes, Some(1000)).unwrap();
        let got = receive(&b, which, segments);
        let want: Vec<_> = bytes.chunks(1000).map(<[u8]>::to_vec).collect();
        assert_eq!(got, want);
    }
}

#[test]
fn refusals_say_what_to_do() {
    let mut elsewhere = config(47_103);
    elsewhere.interface = Ipv4Addr::new(192, 0, 2, 1).into();
    let error = UdpPair::open(&elsewhere, DATAGRAM_BYTES).unwrap_err();
    assert!(matches!(error, SetupError::InterfaceNotHere(_)), "{error}");
    assert!(error.to_string().contains("192.0.2.1"));

    let mut elsewhere = config(47_103);
    elsewhere.bind = Ipv4Addr::new(192, 0, 2, 1).into();
    assert!(matches!(UdpPair::open(&elsewhere, DATAGRAM_BYTES), Err(SetupError::BindNotHere(_))));

    let anywhere = config(47_103).with_bind(Ipv4Addr::UNSPECIFIED);
    let error = UdpPair::open(&anywhere, DATAGRAM_BYTES).unwrap_err();
    assert!(matches!(error, SetupError::BindUnspecified(_)), "{error}");

    let mut unicast = config(47_103);
    unicast.multicast.set_ip(Ipv4Addr::new(10, 0, 0, 1).into());
    assert!(matches!(UdpPair::open(&unicast, DATAGRAM_BYTES), Err(SetupError::NotMulticast(_))));
}

#[test]
fn a_port_that_is_not_shared_is_named() {
    let config = config(47_104);
    let _taken = std::net::UdpSocket::bind(config.multicast).unwrap();
    let error = UdpPair::open(&config, DATAGRAM_BYTES).unwrap_err();
    assert!(matches!(error, SetupError::PortInUse(_)), "{error}");
}
