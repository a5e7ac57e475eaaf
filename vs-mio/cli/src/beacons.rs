//! `vs server --discover`: a server that finds others by beacons, and that nodes without a server find.

use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use vs_core::member::DiscoveryConfig;
use vs_mio::ServerDriver;
use vs_std::beacons::Beacons;

use crate::Failure;
use crate::node::random;

/// How a server looks for others.
#[derive(clap::Args, Debug)]
pub(crate) struct Discover {
    /// Find other servers, and those inside nodes, by beacons
    #[arg(long)]
    discover: bool,
    /// Local address of the interface for beacons, where others reach this server [default: that of --listen]
    #[arg(long, value_name = "IP", requires = "discover")]
    interface: Option<Ipv4Addr>,
    /// Multicast address of the beacons: for nodes that of --multicast, at the next port
    #[arg(long, value_name = "IP:PORT", default_value = "239.86.83.1:7587", requires = "discover")]
    beacons: SocketAddrV4,
}

impl Discover {
    /// Begins to look, if that is wanted; the sockets are to be registered.
    pub(crate) fn begin(&self, driver: &mut ServerDriver) -> Result<Option<Beacons>, Failure> {
        if !self.discover {
            return Ok(None);
        }
        let mut listen = driver.local_addr().map_err(|e| {
            Failure(format!("the system does not tell where the server listens: {e}"))
        })?;
        let interface = self.interface.or(match listen.ip() {
            IpAddr::V4(ip) if !ip.is_unspecified() => Some(ip),
            _ => None,
        });
        let Some(interface) = interface else {
            return Err(Failure(format!(
                "others cannot connect to {}: name an address of this host with --interface",
                listen.ip()
            )));
        };
        let beacons = Beacons::open(interface, self.beacons)
            .map_err(|e| Failure(e.to_string().replace("--multicast", "--beacons")))?;
        if listen.ip().is_unspecified() {
            listen = SocketAddr::from((interface, listen.port()));
        }
        driver
            .discover(DiscoveryConfig::default(), listen, random())
            .map_err(|e| Failure(format!("the configuration cannot be used: {e}")))?;
        Ok(Some(beacons))
    }
}
