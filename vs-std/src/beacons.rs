//! The sockets for beacons of membership servers.

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use vs_core::wire::beacon::BEACON_BYTES_MAX;

use crate::udp::{Received, RecvBatch, SetupError, UdpConfig, UdpPair, Which};

/// Bytes asked for each of the sockets' buffers: beacons of some hundred servers at a time.
const BUFFER_BYTES: usize = 128 << 10;

/// Sends beacons to a multicast group, and hears those of all others there, also of other programs on this host.
#[derive(Debug)]
pub struct Beacons {
    sockets: UdpPair,
    multicast: SocketAddr,
    batch: RecvBatch,
}

impl Beacons {
    /// Opens the sockets, non-blocking, and makes sure that the interface carries multicast.
    ///
    /// # Errors
    /// Says what to do about it.
    pub fn open(interface: Ipv4Addr, multicast: SocketAddrV4) -> Result<Self, SetupError> {
        let config =
            UdpConfig { buffer_bytes: BUFFER_BYTES, ..UdpConfig::new(interface, multicast) };
        let sockets = UdpPair::open(&config, BEACON_BYTES_MAX)?;
        Ok(Self { sockets, multicast: multicast.into(), batch: RecvBatch::new() })
    }

    /// Where beacons go.
    #[must_use]
    pub fn multicast_addr(&self) -> SocketAddr {
        self.multicast
    }

    /// The socket that hears them, to wait for.
    #[must_use]
    pub fn socket(&self) -> BorrowedFd<'_> {
        let sockets = &self.sockets;
        // A pair that uses multicast has the first one.
        sockets.socket(Which::Multicast).map_or(sockets.unicast_socket().as_fd(), AsFd::as_fd)
    }

    /// Sends a beacon. One that the system does not take is lost, as any may be.
    pub fn send(&self, beacon: &[u8]) {
        let _ = self.sockets.send(self.multicast, beacon, None);
    }

    /// Receives one batch and hands over each datagram.
    ///
    /// # Errors
    /// `WouldBlock`: nothing is there.
    pub fn recv(&mut self, mut f: impl FnMut(&[u8])) -> io::Result<Received> {
        self.sockets.recv(Which::Multicast, &mut self.batch, |_, datagram| f(datagram))
    }
}
