//! Where nobody answers: a server that is silent, and how a group is joined there.

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::net::TcpListener;

use vs_core::ident::ProcessId;
use vs_std::JoinOptions;
use vs_std::udp::UdpConfig;

pub(crate) const PROCESS: ProcessId = ProcessId(7);

/// A server that takes connections and says nothing.
pub(crate) fn silent() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// Small bounds, and a multicast group for each `test` that no other run on this host has at the
/// same time.
pub(crate) fn options(server: SocketAddr, test: u8) -> JoinOptions {
    let port = 20_000 + (std::process::id() % 20_000) as u16;
    let multicast = SocketAddrV4::new(Ipv4Addr::new(239, 255, 77, test), port);
    let udp = UdpConfig::new(Ipv4Addr::LOCALHOST, multicast);
    let mut options = JoinOptions::new(PROCESS, vec![server.into()], udp);
    options.group.message_bytes_max = 1000;
    options.group.queue_bytes = 4000;
    options
}
