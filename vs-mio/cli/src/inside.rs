//! The membership server inside a process that was named none: its options.

use core::net::{IpAddr, SocketAddr};

use vs_std::{EmbeddedConfig, EmbeddedServer, ServerName};

use crate::failure::Failure;
use crate::keys;
use crate::network::servers;

/// How nodes without a server find one another.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Without --server: a membership server inside")]
pub(crate) struct Options {
    /// Where a server listens that others know, alone or inside another node: where no beacons come
    /// through, or besides; several may be named, also by one host name
    #[arg(long = "peer", value_name = "HOST:PORT", conflicts_with = "servers")]
    peers: Vec<String>,
    /// Where the server inside listens [default: the address of the process, a port that the
    /// system chooses]
    #[arg(long, value_name = "IP:PORT", conflicts_with = "servers")]
    listen: Option<SocketAddr>,
    /// Multicast address of the beacons by which nodes find one another [default: that of
    /// --multicast, the next port]
    #[arg(long, value_name = "IP:PORT", conflicts_with = "servers")]
    beacons: Option<SocketAddr>,
}

impl Options {
    /// What the server inside is told.
    pub(crate) fn config(&self) -> Result<EmbeddedConfig, Failure> {
        let mut config = EmbeddedConfig::default();
        (config.listen, config.beacons) = (self.listen, self.beacons);
        config.peers = self.peers()?;
        Ok(config)
    }

    /// The option that says where the server inside listens, if `bind` says where the node does.
    pub(crate) fn listen_option(&self, bind: &'static str) -> &'static str {
        if self.listen.is_some() { "--listen" } else { bind }
    }

    /// The peers that were named.
    pub(crate) fn peers(&self) -> Result<Vec<ServerName>, Failure> {
        servers(&self.peers)
    }

    /// Where the server inside listens and what it connects to, as far as addresses were named.
    pub(crate) fn uses(&self) -> impl Iterator<Item = IpAddr> {
        keys::named(&self.peers).chain(self.listen.map(|addr| addr.ip()))
    }

    /// Where beacons go, if that was named.
    pub(crate) fn beacons(&self) -> Option<SocketAddr> {
        self.beacons
    }

    /// How others are found, in words.
    pub(crate) fn how(&self, server: &EmbeddedServer, interface: IpAddr) -> String {
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
