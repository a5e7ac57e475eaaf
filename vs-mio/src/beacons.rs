//! The beacons of a server, heard and sent in a [`mio::Poll`].

use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use vs_core::Time;
use vs_core::member::Server;
use vs_core::wire::beacon::BEACON_BYTES_MAX;
use vs_std::beacons::Beacons;

/// Batches that are received before the rest of the loop has its turn.
const BATCHES_MAX: usize = 16;

/// The sockets for beacons, registered.
#[derive(Debug)]
pub(crate) struct BeaconSource {
    sockets: Beacons,
    token: Token,
    readable: bool,
}

impl BeaconSource {
    pub(crate) fn register(
        registry: &Registry,
        sockets: Beacons,
        token: Token,
    ) -> io::Result<Self> {
        let fd = sockets.socket().as_raw_fd();
        registry.register(&mut SourceFd(&fd), token, Interest::READABLE)?;
        Ok(Self { sockets, token, readable: true })
    }

    /// Whether an event with `token` was for these sockets.
    pub(crate) fn handle_event(&mut self, token: Token) -> bool {
        let is_own = token == self.token;
        self.readable |= is_own;
        is_own
    }

    /// Whether beacons were left unread for fairness.
    pub(crate) fn has_backlog(&self) -> bool {
        self.readable
    }

    pub(crate) fn read(&mut self, server: &mut Server, now: Time) {
        for _ in 0..BATCHES_MAX {
            if !self.readable {
                return;
            }
            match self.sockets.recv(|datagram| server.handle_beacon(now, datagram)) {
                Ok(received) => self.readable = !received.is_all,
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                // A report of the fate of a datagram sent earlier; it took the place of a datagram.
                Err(_) => {}
            }
        }
    }

    pub(crate) fn write(&self, server: &mut Server) {
        let mut beacon = [0; BEACON_BYTES_MAX];
        while let Some(len) = server.poll_beacon(&mut beacon) {
            self.sockets.send(&beacon[..len]);
        }
    }
}
