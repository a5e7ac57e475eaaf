//! The membership server inside a node that was named none: it finds those inside the other nodes.

use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use core::time::Duration;
use std::io;

use mio::event::Event;
use mio::{Registry, Token};
use vs_core::ident::{Deployment, NUMBER_MAX, ProcessId, ServerId};
use vs_core::member::server::{Note, Server, ServerConfig};
use vs_core::member::{DiscoveryConfig, PeerTrouble};
use vs_mio::ServerDriver;
use vs_std::beacons::Beacons;
use vs_std::clock::Clock;

use crate::Failure;
use crate::server::refused;
use crate::tuning::resolve;

/// Signs of life to the other servers, in ms: each node has a connection to each other one.
const HEARTBEAT_MS: u64 = 200;

/// How nodes without a server find one another.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Without --server: a membership server inside the node")]
pub(super) struct Options {
    /// Where a server listens that others know, alone or inside another node: where no beacons come through, or besides;
    /// several may be named, also by one host name
    #[arg(long = "peer", value_name = "HOST:PORT", conflicts_with = "servers")]
    peers: Vec<String>,
    /// Where the server inside listens [default: the address of --bind, a port that the system chooses]
    #[arg(long, value_name = "IP:PORT", conflicts_with = "servers")]
    listen: Option<SocketAddr>,
    /// Multicast address of the beacons by which nodes find one another [default: that of --multicast, the next port]
    #[arg(long, value_name = "IP:PORT", conflicts_with = "servers")]
    beacons: Option<SocketAddrV4>,
}

impl Options {
    /// Somewhere that the other members are reached by: the way there shows the address of this host.
    pub(super) fn on_the_way(&self, multicast: SocketAddrV4) -> Result<SocketAddr, Failure> {
        let peers = self.resolve_peers()?;
        Ok(peers.first().copied().unwrap_or_else(|| self.beacons_addr(multicast).into()))
    }

    /// The sockets for beacons, and how others are found, in words. Where peers are named it goes without.
    fn open_beacons(&self, place: Place) -> Result<(Option<Beacons>, String), Failure> {
        let addr = self.beacons_addr(place.multicast);
        let how = format!("by beacons to {addr} on {}", place.interface);
        let named = self.peers.join(", ");
        match Beacons::open(place.interface, addr) {
            Ok(beacons) if self.peers.is_empty() => Ok((Some(beacons), how)),
            Ok(beacons) => Ok((Some(beacons), format!("by way of {named}, and {how}"))),
            Err(error) if self.peers.is_empty() => {
                Err(Failure(error.to_string().replace("--multicast", "--beacons")))
            }
            Err(_) => Ok((None, format!("by way of {named}, without beacons"))),
        }
    }

    fn resolve_peers(&self) -> Result<Vec<SocketAddr>, Failure> {
        if self.peers.is_empty() { Ok(Vec::new()) } else { resolve(&self.peers) }
    }

    fn beacons_addr(&self, multicast: SocketAddrV4) -> SocketAddrV4 {
        self.beacons.unwrap_or_else(|| {
            SocketAddrV4::new(*multicast.ip(), multicast.port().checked_add(1).unwrap_or(1024))
        })
    }
}

/// Where the node is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Local address that the other members can reach.
    pub(super) bind: Ipv4Addr,
    /// Local address of the interface for multicast.
    pub(super) interface: Ipv4Addr,
    /// Multicast address of the group.
    pub(super) multicast: SocketAddrV4,
}

/// The server inside a node, in the node's poll.
#[derive(Debug)]
pub(super) struct Embedded {
    driver: ServerDriver,
    /// The sockets for beacons until they are registered.
    beacons: Option<Beacons>,
    listen: SocketAddr,
    /// The peers that were named.
    peers: Vec<SocketAddr>,
    /// How others are found, in words.
    how: String,
}

impl Embedded {
    /// Listens. What is wrong with addresses of this host is blamed on `blame`, unless --listen was used.
    pub(super) fn open(
        args: &Options,
        place: Place,
        (process, deployment): (ProcessId, Deployment),
        blame: &str,
    ) -> Result<Self, Failure> {
        let peers = args.resolve_peers()?;
        let boot = Clock::new().unix_start_ms();
        let id = ServerId(super::setup::random() & NUMBER_MAX);
        let heartbeat_ms = HEARTBEAT_MS;
        let config = ServerConfig { deployment, heartbeat_ms, ..ServerConfig::default() };
        let mut server = Server::new(config, id, boot).map_err(unusable)?;
        server.set_embedded(process);
        let listen = args.listen.unwrap_or_else(|| SocketAddr::from((place.bind, 0)));
        let mut driver = ServerDriver::new(server, listen).map_err(|e| {
            let Failure(why) = refused(listen, &e);
            Failure(if args.listen.is_some() { why } else { why.replace("--listen", blame) })
        })?;
        let mut listen = driver.local_addr().map_err(|e| refused(listen, &e))?;
        if listen.ip().is_unspecified() {
            listen.set_ip(IpAddr::V4(place.bind));
        }
        let (config, seed) = (DiscoveryConfig::default(), super::setup::random());
        driver.discover(config, listen, seed).map_err(unusable)?;
        for peer in &peers {
            if !driver.add_peer(*peer) {
                return Err(Failure(
                    "--peer names too many addresses: name fewer, or use beacons".into(),
                ));
            }
        }
        let (beacons, how) = (None, String::new());
        Ok(Self { driver, beacons, listen, peers, how })
    }

    /// Opens what is needed to find the others. Nothing is sent before [`Embedded::register`].
    pub(super) fn open_beacons(&mut self, args: &Options, place: Place) -> Result<(), Failure> {
        (self.beacons, self.how) = args.open_beacons(place)?;
        Ok(())
    }

    /// Where the node, and others, connect to.
    pub(super) fn listen_addr(&self) -> SocketAddr {
        self.listen
    }

    /// Takes part in the poll; connections get the tokens from `base` on.
    pub(super) fn register(
        &mut self,
        registry: &Registry,
        listener: Token,
        beacons: Token,
        base: Token,
    ) -> io::Result<()> {
        self.driver.register(registry, listener, base)?;
        match self.beacons.take() {
            Some(sockets) => self.driver.hear_beacons(registry, sockets, beacons),
            None => Ok(()),
        }
    }

    /// Takes an event of the poll; false if it belongs to somebody else.
    pub(super) fn handle_event(&mut self, event: &Event) -> bool {
        self.driver.handle_event(event)
    }

    /// How long a poll may last.
    pub(super) fn timeout(&self) -> Option<Duration> {
        self.driver.timeout()
    }

    /// Reads, lets time pass, writes, and says what a person should know.
    pub(super) fn advance(&mut self) {
        self.driver.advance();
        while let Some(note) = self.driver.poll_note() {
            match note {
                Note::Settled { servers } => self.say_found(servers),
                Note::UselessBeacon(_) | Note::DuplicateId { .. } => eprintln!("vs: {note}"),
                // Those that beacons told of come and go; who was named is missed.
                Note::PeerTrouble { addr, ref why }
                    if self.peers.contains(&addr) && *why != PeerTrouble::Itself =>
                {
                    eprintln!("vs: {note}");
                }
                _ => {}
            }
        }
    }

    fn say_found(&self, servers: usize) {
        let Self { listen, how, .. } = self;
        let found = match servers {
            0 => "nobody yet".into(),
            1 => "1 other".into(),
            n => format!("{n} others"),
        };
        eprintln!("vs: membership server inside, at {listen}; found {found} {how}");
    }
}

fn unusable(error: vs_core::ConfigError) -> Failure {
    Failure(format!("the configuration cannot be used: {error}"))
}
