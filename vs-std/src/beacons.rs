//! The sockets for beacons of membership servers.

use core::net::{IpAddr, SocketAddr};
use std::io::ErrorKind;
use std::net::UdpSocket;

use vs_core::Time;
use vs_core::member::server::Server;
use vs_core::wire::beacon::BEACON_BYTES_MAX;

use crate::udp::{Follow, RecvBatch, SetupError, UdpConfig, UdpPair, Which};
use crate::watch::{Found, Watch};

/// Bytes asked for each of the sockets' buffers: beacons of some hundred servers at a time.
const BUFFER_BYTES: usize = 128 << 10;
/// Batches that are received before the rest of the loop has its turn.
const BATCHES_MAX: usize = 16;

/// Sends beacons to a multicast group, and hears those of all others there, also of other programs
/// on this host.
#[derive(Debug)]
pub struct Beacons {
    sockets: UdpPair,
    config: UdpConfig,
    watch: Watch,
    batch: RecvBatch,
    readable: bool,
}

impl Beacons {
    /// Opens the sockets, non-blocking, and makes sure that the interface carries multicast.
    ///
    /// # Errors
    /// Says what to do about it.
    pub fn open(
        interface: impl Into<IpAddr>,
        multicast: impl Into<SocketAddr>,
    ) -> Result<Self, SetupError> {
        let multicast = multicast.into();
        Self::open_following(interface, multicast, Follow::default())
    }

    /// The same; when the address of the interface is gone from the host, another one follows as
    /// `follow` says.
    ///
    /// # Errors
    /// As there.
    pub fn open_following(
        interface: impl Into<IpAddr>,
        multicast: impl Into<SocketAddr>,
        follow: Follow,
    ) -> Result<Self, SetupError> {
        let config = UdpConfig::new(interface, multicast).with_follow(follow);
        let config = config.with_buffer_bytes(BUFFER_BYTES);
        let sockets = UdpPair::open(&config, BEACON_BYTES_MAX)?;
        let watch = Watch::new(&config);
        Ok(Self { sockets, config, watch, batch: RecvBatch::new(), readable: true })
    }

    /// When [`Beacons::look`] has something to do.
    pub(crate) fn poll_timeout(&self) -> Time {
        self.watch.poll_timeout()
    }

    /// Looks whether the address of the interface is still there, and goes on with another one if
    /// not. Whether there is another socket to wait for.
    pub(crate) fn look(&mut self, now: Time) -> bool {
        let Found::Reopen { bind, interface, .. } = self.watch.look(now) else { return false };
        let config = self.config.clone().with_bind(bind).with_interface(interface);
        match UdpPair::open(&config, BEACON_BYTES_MAX) {
            Ok(sockets) => {
                (self.sockets, self.readable) = (sockets, true);
                (self.watch, self.config) = (Watch::new(&config), config);
                true
            }
            Err(_) => {
                self.watch.handle_refused(now);
                false
            }
        }
    }

    /// Where beacons go.
    #[must_use]
    pub fn multicast_addr(&self) -> SocketAddr {
        self.config.multicast
    }

    /// The socket that hears them, to wait for.
    #[must_use]
    pub fn socket(&self) -> &UdpSocket {
        // A pair that uses multicast has the first one.
        self.sockets.socket(Which::Multicast).unwrap_or(self.sockets.unicast_socket())
    }

    /// The socket can be read.
    pub(crate) fn handle_readable(&mut self) {
        self.readable = true;
    }

    /// Whether beacons were left unread for fairness.
    pub(crate) fn has_backlog(&self) -> bool {
        self.readable
    }

    /// Hands beacons to `server`, up to a bound.
    pub(crate) fn read(&mut self, server: &mut Server, now: Time) {
        for _ in 0..BATCHES_MAX {
            if !self.readable {
                return;
            }
            let heard = self.sockets.recv(Which::Multicast, &mut self.batch, |_, datagram| {
                server.handle_beacon(now, datagram);
            });
            match heard {
                Ok(received) => self.readable = !received.is_all,
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                // A report of the fate of a datagram sent earlier; it took the place of a datagram.
                Err(_) => {}
            }
        }
    }

    /// Sends the beacons that are due. One that the system does not take is lost, as any may be.
    pub(crate) fn write(&self, server: &mut Server) {
        let mut beacon = [0; BEACON_BYTES_MAX];
        while let Some(len) = server.poll_beacon(&mut beacon) {
            let _ = self.sockets.send(self.config.multicast, &beacon[..len], None);
        }
    }
}
