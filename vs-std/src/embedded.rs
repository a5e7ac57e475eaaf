//! The membership server inside a process that was told of none: it finds those inside the others.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::io;

use vs_core::ident::{Deployment, NUMBER_MAX, ProcessId, ServerId};
use vs_core::member::DiscoveryConfig;
use vs_core::member::server::{Note, Server, ServerConfig};
use vs_core::seal::Keys;
use vs_core::trace::Tracer;
use vs_core::{LinkCommand, Node, Time};

use crate::beacons::Beacons;
use crate::clock::Clock;
use crate::inside::Inside;
use crate::link::LinkStatus;
use crate::name::ServerName;
use crate::open_error::OpenError;
use crate::open_files::OpenFiles;
use crate::random::random;
use crate::server::{LookupFailure, Opened, ServerDriver};
use crate::udp::UdpConfig;

/// How long a server inside is silent before it sends a sign of life. Each process has a
/// connection to each other one.
const HEARTBEAT: Duration = Duration::from_millis(200);

/// How processes without a server to name find one another: each has a membership server inside,
/// and these find one another.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EmbeddedConfig {
    /// Where the server inside listens. Default: the address of [`UdpConfig::bind`], a port that
    /// the system chooses.
    pub listen: Option<SocketAddr>,
    /// The multicast address of the beacons by which the servers find one another. Default: that of
    /// [`UdpConfig::multicast`], at the next port.
    pub beacons: Option<SocketAddr>,
    /// Servers that are known, alone or inside other processes: where no beacons come through, or
    /// besides. Where some are named, an interface that carries no multicasts will do.
    pub peers: Vec<ServerName>,
    /// Times and bounds of the server. Its deployment is that of the node. It takes no more
    /// connections than the process may open files ([`OpenFiles`]).
    pub server: ServerConfig,
    /// Times and bounds of the beacons.
    pub discovery: DiscoveryConfig,
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self {
            listen: None,
            beacons: None,
            peers: Vec::new(),
            server: ServerConfig::default().with_heartbeat(HEARTBEAT),
            discovery: DiscoveryConfig::default(),
        }
    }
}

impl EmbeddedConfig {
    /// Where beacons go, of a process that multicasts to `multicast`.
    #[must_use]
    pub fn beacons_addr(&self, multicast: SocketAddr) -> SocketAddr {
        self.beacons.unwrap_or_else(|| {
            let mut addr = multicast;
            addr.set_port(multicast.port().checked_add(1).unwrap_or(1024));
            addr
        })
    }
}

/// Setters.
impl EmbeddedConfig {
    /// Sets [`Self::listen`].
    #[must_use]
    pub fn with_listen(mut self, listen: impl Into<Option<SocketAddr>>) -> Self {
        self.listen = listen.into();
        self
    }

    /// Sets [`Self::beacons`].
    #[must_use]
    pub fn with_beacons(mut self, beacons: impl Into<Option<SocketAddr>>) -> Self {
        self.beacons = beacons.into();
        self
    }

    /// Sets [`Self::peers`].
    #[must_use]
    pub fn with_peers(mut self, peers: impl Into<Vec<ServerName>>) -> Self {
        self.peers = peers.into();
        self
    }

    /// Sets [`Self::server`].
    #[must_use]
    pub fn with_server(mut self, server: ServerConfig) -> Self {
        self.server = server;
        self
    }

    /// Sets [`Self::discovery`].
    #[must_use]
    pub fn with_discovery(mut self, discovery: DiscoveryConfig) -> Self {
        self.discovery = discovery;
        self
    }
}

/// A server inside a process, with its sockets.
#[derive(Debug)]
pub struct EmbeddedServer {
    driver: ServerDriver,
    listen: SocketAddr,
    inside: Inside,
    /// It listens wherever the node is reached.
    is_moving: bool,
    /// The node and the server said something to each other.
    has_carried: bool,
}

impl EmbeddedServer {
    /// Listens. Nothing is sent before the driver of the process is advanced.
    pub(crate) fn open(
        config: &EmbeddedConfig,
        process: ProcessId,
        deployment: Deployment,
        (udp, clock): (&UdpConfig, &Clock),
        keys: Option<Keys>,
    ) -> Result<Self, OpenError> {
        if keys.as_ref().is_some_and(|keys| keys.ring().first().server().is_none()) {
            return Err(OpenError::KeysOfMembers);
        }
        let boot = clock.unix_start_ms();
        let mut server_config = config.server.clone().with_deployment(deployment);
        if let Some(files) = OpenFiles::now() {
            let ServerConfig { connections_max, strangers_max, .. } = server_config;
            (server_config.connections_max, server_config.strangers_max) =
                files.fit(connections_max, strangers_max, keys.is_some());
        }
        let mut server = Server::new(server_config, ServerId(random() & NUMBER_MAX), boot)
            .map_err(OpenError::Config)?;
        server.set_embedded(process);
        if let Some(keys) = keys {
            server.set_keys(keys).map_err(|_| OpenError::KeysOfMembers)?;
        }
        let addr = config.listen.unwrap_or_else(|| SocketAddr::new(udp.bind, 0));
        let refused = |error: io::Error| OpenError::Listen { addr, error };
        let mut driver = ServerDriver::new(server, addr).map_err(refused)?;
        let mut listen = driver.local_addr().map_err(refused)?;
        if listen.ip().is_unspecified() {
            listen.set_ip(udp.bind);
        }
        driver.discover(config.discovery.clone(), listen, random()).map_err(OpenError::Config)?;
        for peer in &config.peers {
            if !driver.add_peer(peer.clone()) {
                return Err(OpenError::TooManyPeers);
            }
        }
        let is_moving = config.listen.is_none();
        Ok(Self { driver, inside: Inside::new(listen), listen, is_moving, has_carried: false })
    }

    /// Opens the sockets for beacons. Where peers are named it goes without, if it has to.
    pub(crate) fn open_beacons(
        &mut self,
        config: &EmbeddedConfig,
        udp: &UdpConfig,
    ) -> Result<(), OpenError> {
        match Beacons::open_following(
            udp.interface,
            config.beacons_addr(udp.multicast),
            udp.follow.clone(),
        ) {
            Ok(beacons) => self.driver.set_beacons(beacons),
            Err(error) if config.peers.is_empty() => return Err(OpenError::Beacons(error)),
            Err(_) => {}
        }
        Ok(())
    }

    /// Where others connect to. The process itself is connected without a socket.
    #[must_use]
    pub fn listen_addr(&self) -> SocketAddr {
        self.listen
    }

    /// Where beacons go; `None` if peers were named and the interface carries no multicasts.
    #[must_use]
    pub fn beacons_addr(&self) -> Option<SocketAddr> {
        self.driver.beacons().map(Beacons::multicast_addr)
    }

    /// The server with its sockets, to look at and to wait for.
    #[must_use]
    pub fn driver(&self) -> &ServerDriver {
        &self.driver
    }

    pub(crate) fn driver_mut(&mut self) -> &mut ServerDriver {
        &mut self.driver
    }

    /// The node is reached at `ip` from now on, and the server, too, unless it was told where to
    /// listen.
    pub(crate) fn move_to(
        &mut self,
        ip: IpAddr,
        opened: impl FnMut(Opened<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.is_moving {
            self.listen = self.driver.move_to(ip, opened)?;
            self.inside.set_addr(self.listen);
        }
        Ok(())
    }

    /// Whether the server has something to say to the process.
    pub(crate) fn has_word_inside(&self) -> bool {
        self.driver.has_word_inside()
    }

    /// Does what the node asks for.
    pub(crate) fn command<T: Tracer>(
        &mut self,
        node: &mut Node<T>,
        now: Time,
        command: LinkCommand,
    ) {
        self.inside.command(node, &mut self.driver, now, command);
    }

    /// Carries what the node and the server say to each other.
    pub(crate) fn exchange<T: Tracer>(&mut self, node: &mut Node<T>, now: Time) {
        self.has_carried |= self.inside.exchange(node, &mut self.driver, now);
    }

    /// Whether anything was carried since this was asked last: then the server may have something
    /// to write to others.
    pub(crate) fn take_carried(&mut self) -> bool {
        core::mem::take(&mut self.has_carried)
    }

    /// How the connection of the process fares.
    pub(crate) fn link_status(&self) -> &LinkStatus {
        self.inside.status()
    }

    /// The server, as the only one.
    pub(crate) fn names(&self) -> &[ServerName] {
        self.inside.names()
    }

    /// The next note for the operator.
    pub(crate) fn poll_note(&mut self) -> Option<Note> {
        self.driver.poll_note()
    }

    /// A peer whose name cannot be looked up.
    pub(crate) fn poll_lookup_failure(&mut self) -> Option<LookupFailure> {
        self.driver.poll_lookup_failure()
    }

    /// Why the system refused to accept a connection.
    pub(crate) fn poll_accept_failure(&mut self) -> Option<io::Error> {
        self.driver.poll_accept_failure()
    }
}

/// Where a node's views come from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Membership {
    /// From any of these membership servers; at least one.
    Servers(Vec<ServerName>),
    /// From a membership server inside this process, which finds those inside the others.
    Embedded(Box<EmbeddedConfig>),
    /// From a source of the application's own: see [`vs_core::member::external`].
    External,
}

impl Membership {
    /// From a membership server inside this process, by the default times.
    #[must_use]
    pub fn embedded() -> Self {
        Self::Embedded(Box::default())
    }
}
