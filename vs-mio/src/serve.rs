//! A membership server with its sockets, for any loop around a [`mio::Poll`].

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use vs_core::ConfigError;
use vs_core::member::DiscoveryConfig;
use vs_core::member::server::{Note, Server};
use vs_core::seal::Keys;
use vs_std::ServerName;
use vs_std::beacons::Beacons;
use vs_std::faults::Faults;
use vs_std::keys::KeysError;
use vs_std::server::{self, LookupFailure, Opened, Source};

/// Where the sockets of a server are in a [`mio::Poll`]: from the token `base` on, the listener,
/// the beacons, and as many connections as there are at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    base: Token,
}

impl Place {
    pub(crate) fn new(base: Token) -> Self {
        Self { base }
    }

    /// Registers all sockets.
    pub(crate) fn register(
        self,
        registry: &Registry,
        driver: &server::ServerDriver,
    ) -> io::Result<()> {
        self.register_opened(registry, Opened::Listener(driver.listener()))?;
        if let Some(beacons) = driver.beacons() {
            self.register_opened(registry, Opened::Beacons(beacons.socket()))?;
        }
        for (slot, stream, _) in driver.connections() {
            self.register_opened(registry, Opened::Connection(slot, stream))?;
        }
        Ok(())
    }

    /// Takes all sockets out of the registry.
    pub(crate) fn deregister(
        self,
        registry: &Registry,
        driver: &server::ServerDriver,
    ) -> io::Result<()> {
        let (listener, beacons) = sockets(driver);
        let connections = driver.connections().map(|(_, stream, _)| stream.as_raw_fd());
        for fd in [listener].into_iter().chain(beacons).chain(connections) {
            registry.deregister(&mut SourceFd(&fd))?;
        }
        Ok(())
    }

    /// Registers a socket. Closing it takes it out of the poll.
    pub(crate) fn register_opened(self, registry: &Registry, opened: Opened<'_>) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        let (fd, at, interest) = match opened {
            Opened::Listener(listener) => (listener.as_raw_fd(), 0, Interest::READABLE),
            Opened::Beacons(socket) => (socket.as_raw_fd(), 1, Interest::READABLE),
            Opened::Connection(slot, stream) => (stream.as_raw_fd(), 2 + slot, both),
        };
        registry.register(&mut SourceFd(&fd), Token(self.base.0 + at), interest)
    }

    /// The socket that an event is for, and whether it can be read and written. `None`: it belongs
    /// to somebody else.
    pub(crate) fn of(self, event: &Event) -> Option<(Source, bool, bool)> {
        let source = match event.token().0.checked_sub(self.base.0)? {
            0 => Source::Listener,
            1 => Source::Beacons,
            at => Source::Connection(at - 2),
        };
        let readable = event.is_readable() || event.is_read_closed() || event.is_error();
        Some((source, readable, event.is_writable() || event.is_error()))
    }
}

fn sockets(driver: &server::ServerDriver) -> (RawFd, Option<RawFd>) {
    let beacons = driver.beacons().map(|beacons| beacons.socket().as_raw_fd());
    (driver.listener().as_raw_fd(), beacons)
}

/// A [`Server`] with its listener and connections. Driven as a [`crate::Driver`], except that a
/// round ends with [`ServerDriver::poll_note`].
#[derive(Debug)]
pub struct ServerDriver {
    inner: server::ServerDriver,
    place: Option<(Registry, Place)>,
}

impl ServerDriver {
    /// Listens at `listen`; port 0: one that the system chooses.
    ///
    /// # Errors
    /// The system's.
    pub fn new(server: Server, listen: SocketAddr) -> io::Result<Self> {
        Ok(Self { inner: server::ServerDriver::new(server, listen)?, place: None })
    }

    /// Where the server listens.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// Registers the sockets, all under tokens from `base` on. Every token from there on is the
    /// server's, so those of others have to be lower. Once only.
    ///
    /// # Errors
    /// The system's.
    pub fn register(&mut self, registry: &Registry, base: Token) -> io::Result<()> {
        let place = Place::new(base);
        place.register(registry, &self.inner)?;
        self.place = Some((registry.try_clone()?, place));
        Ok(())
    }

    /// See [`server::ServerDriver::add_peer`].
    pub fn add_peer(&mut self, name: impl Into<ServerName>) -> bool {
        self.inner.add_peer(name)
    }

    /// See [`server::ServerDriver::remove_peer`].
    pub fn remove_peer(&mut self, name: &ServerName) {
        self.inner.remove_peer(name);
    }

    /// Looks for other servers of the deployment, which reach this one at `listen`; see
    /// [`Server::discover`].
    ///
    /// # Errors
    /// Names the field of `config` that cannot be used.
    pub fn discover(
        &mut self,
        config: DiscoveryConfig,
        listen: SocketAddr,
        seed: u64,
    ) -> Result<(), ConfigError> {
        self.inner.discover(config, listen, seed)
    }

    /// From now on sends beacons and hears those of the others. Before [`ServerDriver::register`].
    pub fn set_beacons(&mut self, beacons: Beacons) {
        self.inner.set_beacons(beacons);
    }

    /// See [`server::ServerDriver::set_keys`].
    ///
    /// # Errors
    /// As there.
    pub fn set_keys(&mut self, keys: &Keys) -> Result<(), KeysError> {
        self.inner.set_keys(keys)
    }

    /// See [`server::ServerDriver::set_faults`].
    pub fn set_faults(&mut self, faults: Faults) {
        self.inner.set_faults(faults);
    }

    /// Takes an event of the poll. False if it belongs to somebody else.
    pub fn handle_event(&mut self, event: &Event) -> bool {
        let place = self.place.as_ref();
        let Some((source, readable, writable)) = place.and_then(|(_, place)| place.of(event))
        else {
            return false;
        };
        self.inner.handle_ready(source, readable, writable);
        true
    }

    /// How long a poll may last. `None`: until an event.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.inner.timeout()
    }

    /// Whether something was left unread for fairness.
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        self.inner.has_backlog()
    }

    /// Accepts and reads what is there, within bounds, lets time pass, and writes what follows.
    pub fn advance(&mut self) {
        let Some((registry, place)) = &self.place else { return };
        self.inner.advance(|opened| place.register_opened(registry, opened));
    }

    /// The next note for the operator.
    pub fn poll_note(&mut self) -> Option<Note> {
        self.inner.poll_note()
    }

    /// See [`server::ServerDriver::poll_lookup_failure`].
    pub fn poll_lookup_failure(&mut self) -> Option<LookupFailure> {
        self.inner.poll_lookup_failure()
    }

    /// The server, to look at.
    #[must_use]
    pub fn server(&self) -> &Server {
        self.inner.server()
    }

    /// Connections that the system refused to accept.
    #[must_use]
    pub fn accept_errors(&self) -> u64 {
        self.inner.accept_errors()
    }

    /// See [`server::ServerDriver::poll_accept_failure`].
    pub fn poll_accept_failure(&mut self) -> Option<io::Error> {
        self.inner.poll_accept_failure()
    }
}
