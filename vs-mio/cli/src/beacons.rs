//! `vs server --discover`: a server that finds others by beacons, and that nodes without a server
//! find.

use core::net::{IpAddr, SocketAddr};

use vs_core::member::DiscoveryConfig;
use vs_mio::ServerDriver;
use vs_std::beacons::Beacons;

use vs_std::random;
use vs_std::udp::{MULTICAST, MULTICAST_V6};

use crate::failure::Failure;
use crate::network::{Interface, beacons_unset};

/// How a server looks for others.
#[derive(clap::Args, Debug)]
pub(crate) struct Discover {
    /// Find other servers, and those inside nodes, by beacons
    #[arg(long)]
    discover: bool,
    /// Interface for beacons, by its name or an address, where others reach this server [default:
    /// that of --listen]
    #[arg(long, value_name = "NAME_OR_IP", requires = "discover")]
    interface: Option<Interface>,
    /// Multicast address of the beacons: for nodes that of --multicast, at the next port [default:
    /// 239.86.83.1:7587, or of IPv6 [ff15::7673:1]:7587]
    #[allow(rustdoc::broken_intra_doc_links, reason = "the address is no link")]
    #[arg(long, value_name = "IP:PORT", requires = "discover")]
    beacons: Option<SocketAddr>,
}

impl Discover {
    /// The address of the interface for beacons, if one was named.
    pub(crate) fn uses(&self) -> Option<IpAddr> {
        let family = self.beacons.map(|addr| addr.is_ipv6());
        self.interface.as_ref()?.addr(family).ok()
    }

    /// Begins to look, if that is wanted; before the driver is registered.
    pub(crate) fn begin(&self, driver: &mut ServerDriver) -> Result<(), Failure> {
        if !self.discover {
            return Ok(());
        }
        let mut listen = driver.local_addr().map_err(|e| {
            Failure(format!("the system does not tell where the server listens: {e}"))
        })?;
        let family = self.beacons.map(|addr| addr.is_ipv6());
        let named = self.interface.as_ref().map(|interface| interface.addr(family)).transpose()?;
        let listens_at = Some(listen.ip()).filter(|ip: &IpAddr| !ip.is_unspecified());
        let Some(interface) = named.or(listens_at) else {
            return Err(Failure(format!(
                "others cannot connect to {}: name an address of this host with --interface",
                listen.ip()
            )));
        };
        let mut addr = if interface.is_ipv6() { MULTICAST_V6 } else { MULTICAST };
        addr.set_port(addr.port() + 1);
        let beacons = Beacons::open(interface, self.beacons.unwrap_or(addr))
            .map_err(|e| beacons_unset(&e))?;
        driver.set_beacons(beacons);
        if listen.ip().is_unspecified() {
            listen = SocketAddr::from((interface, listen.port()));
        }
        driver
            .discover(DiscoveryConfig::default(), listen, random())
            .map_err(|e| Failure(format!("the configuration cannot be used: {e}")))
    }
}
