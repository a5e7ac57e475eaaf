//! The membership server inside a node that was named none: its options, and what is said of it.

use core::net::{IpAddr, SocketAddr};

use vs_core::member::PeerTrouble;
use vs_core::member::server::Note;
use vs_core::trace::Tracer;
use vs_mio::Driver;
use vs_std::{EmbeddedConfig, EmbeddedServer, ServerName};

use crate::failure::Failure;
use crate::keys;
use crate::network::{note_text, servers, unaccepted};

/// How nodes without a server find one another.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Without --server: a membership server inside the node")]
pub(super) struct Options {
    /// Where a server listens that others know, alone or inside another node: where no beacons come
    /// through, or besides; several may be named, also by one host name
    #[arg(long = "peer", value_name = "HOST:PORT", conflicts_with = "servers")]
    peers: Vec<String>,
    /// Where the server inside listens [default: the address of --bind, a port that the system
    /// chooses]
    #[arg(long, value_name = "IP:PORT", conflicts_with = "servers")]
    listen: Option<SocketAddr>,
    /// Multicast address of the beacons by which nodes find one another [default: that of
    /// --multicast, the next port]
    #[arg(long, value_name = "IP:PORT", conflicts_with = "servers")]
    beacons: Option<SocketAddr>,
}

impl Options {
    /// What the server inside is told.
    pub(super) fn config(&self) -> Result<EmbeddedConfig, Failure> {
        let mut config = EmbeddedConfig::default();
        (config.listen, config.beacons) = (self.listen, self.beacons);
        config.peers = self.peers()?;
        Ok(config)
    }

    /// The option that says where the server inside listens, if `bind` says where the node does.
    pub(super) fn listen_option(&self, bind: &'static str) -> &'static str {
        if self.listen.is_some() { "--listen" } else { bind }
    }

    /// The peers that were named.
    pub(super) fn peers(&self) -> Result<Vec<ServerName>, Failure> {
        servers(&self.peers)
    }

    /// Where the server inside listens and what it connects to, as far as addresses were named.
    pub(super) fn uses(&self) -> impl Iterator<Item = IpAddr> {
        keys::named(&self.peers).chain(self.listen.map(|addr| addr.ip()))
    }

    /// Where beacons go, if that was named.
    pub(super) fn beacons(&self) -> Option<SocketAddr> {
        self.beacons
    }

    /// How others are found, in words.
    pub(super) fn how(&self, server: &EmbeddedServer, interface: IpAddr) -> String {
        let beacons = server.beacons_addr();
        let beacons = beacons.map(|addr| format!("by beacons to {addr} on {interface}"));
        let named = self.peers.join(", ");
        match beacons {
            Some(beacons) if self.peers.is_empty() => beacons,
            Some(beacons) => format!("by way of {named}, and {beacons}"),
            None => format!("by way of {named}, without beacons"),
        }
    }
}

/// Says what a person should know of the server inside. `how` are the words on how others are
/// found.
pub(super) fn say_notes<T: Tracer>(driver: &mut Driver<T>, how: &str) {
    while let Some(note) = driver.poll_note() {
        let Some(server) = driver.embedded() else { return };
        match note {
            Note::Settled { servers } => say_found(server.listen_addr(), servers, how),
            Note::UselessBeacon(_) | Note::DuplicateId { .. } => {
                eprintln!("vs: {}", note_text(&note))
            }
            // Those that beacons told of come and go; who was named is missed.
            Note::PeerTrouble { addr, ref why }
                if server.driver().is_added_peer(addr) && *why != PeerTrouble::Itself =>
            {
                eprintln!("vs: {}", note_text(&note));
            }
            _ => {}
        }
    }
    while let Some(failure) = driver.poll_lookup_failure() {
        eprintln!("vs: peer {failure}");
    }
    if let Some(error) = driver.poll_accept_failure() {
        eprintln!("vs: {}", unaccepted(&error));
    }
}

fn say_found(listen: SocketAddr, servers: usize, how: &str) {
    let found = match servers {
        0 => "nobody yet".into(),
        1 => "1 other".into(),
        n => format!("{n} others"),
    };
    eprintln!("vs: membership server inside, at {listen}; found {found} {how}");
}
