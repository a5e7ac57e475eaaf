//! The network interfaces of this host.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::path::Path;
use std::{fs, io};

use if_addrs::get_if_addrs;

/// `IFF_POINTOPOINT` of Linux.
const POINT_TO_POINT: u32 = 0x10;

/// The addresses of the interface that is called `name`, those of IPv4 first. Link-local addresses
/// of IPv6 are left out: other hosts cannot reach them without knowing by which interface.
///
/// # Errors
/// The system's.
pub fn addresses_of(name: &str) -> io::Result<Vec<IpAddr>> {
    let all = get_if_addrs()?.into_iter().filter(|interface| interface.name == name);
    let mut found: Vec<_> = all.map(|interface| interface.ip()).collect();
    found.retain(|ip| !matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local()));
    found.sort();
    Ok(found)
}

/// The addresses of this host, each with the index of its interface.
pub(crate) fn addresses_here() -> io::Result<BTreeMap<IpAddr, u32>> {
    let all = get_if_addrs()?.into_iter();
    Ok(all.filter_map(|interface| Some((interface.ip(), interface.index?))).collect())
}

/// The index of the interface that has the address `ip`, by which multicasts of IPv6 choose it; 0
/// for the unspecified address: the system chooses.
pub(crate) fn index_of(ip: Ipv6Addr) -> io::Result<Option<u32>> {
    if ip.is_unspecified() {
        return Ok(Some(0));
    }
    let mut all = get_if_addrs()?.into_iter();
    Ok(all.find(|interface| interface.ip() == IpAddr::V6(ip)).and_then(|found| found.index))
}

/// The address of this host on the way to `there`, as others there see it; nothing is sent. `None`:
/// no way is known.
#[must_use]
pub fn address_towards(there: SocketAddr) -> Option<IpAddr> {
    let loopback: (IpAddr, IpAddr) = match there {
        SocketAddr::V4(_) => (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::UNSPECIFIED.into()),
        SocketAddr::V6(_) => (Ipv6Addr::LOCALHOST.into(), Ipv6Addr::UNSPECIFIED.into()),
    };
    if there.ip().is_loopback() {
        return Some(loopback.0);
    }
    let socket = UdpSocket::bind((loopback.1, 0)).ok()?;
    socket.connect(there).ok()?;
    let here = socket.local_addr().ok()?.ip();
    (!here.is_unspecified()).then_some(here)
}

/// An address of a tunnel or a bridge, as VPNs and containers set them up, on a host that has other
/// interfaces, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detour {
    /// The interface of the address.
    pub interface: String,
    /// Names and addresses of the same family of the interfaces that are neither, nor the loopback.
    pub others: Vec<(String, IpAddr)>,
}

impl Detour {
    /// What is known of `here`, an address of this host. `None`: it is of no tunnel and no bridge,
    /// or there is no other to choose; always where the system is not Linux.
    ///
    /// # Errors
    /// The system's.
    pub fn of(here: IpAddr) -> io::Result<Option<Self>> {
        let all = get_if_addrs()?;
        let Some(interface) = all.iter().find(|interface| interface.ip() == here) else {
            return Ok(None);
        };
        let fits = |ip: IpAddr| match ip {
            IpAddr::V4(_) => here.is_ipv4(),
            IpAddr::V6(ip) => here.is_ipv6() && !ip.is_unicast_link_local(),
        };
        let others = all.iter().filter(|other| {
            !other.is_loopback() && fits(other.ip()) && !is_tunnel_or_bridge(&other.name)
        });
        let others: Vec<_> = others.map(|other| (other.name.clone(), other.ip())).collect();
        let is_one = is_tunnel_or_bridge(&interface.name) && !others.is_empty();
        Ok(is_one.then(|| Self { interface: interface.name.clone(), others }))
    }
}

/// Whether the interface is a tunnel, which has one other end, or a bridge of this host.
fn is_tunnel_or_bridge(name: &str) -> bool {
    let of = Path::new("/sys/class/net").join(name);
    let flags = fs::read_to_string(of.join("flags")).unwrap_or_default();
    let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).unwrap_or(0);
    flags & POINT_TO_POINT != 0 || of.join("bridge").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_leads_to_itself() {
        let there = SocketAddr::from((Ipv4Addr::LOCALHOST, 7000));
        assert_eq!(address_towards(there), Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(index_of(Ipv6Addr::UNSPECIFIED).unwrap(), Some(0));
    }

    #[test]
    fn addresses_of_an_interface_are_found_by_name() {
        let all = get_if_addrs().unwrap();
        let Some(loopback) = all.iter().find(|interface| interface.is_loopback()) else {
            println!("skipped: this host has no loopback interface");
            return;
        };
        assert!(addresses_of(&loopback.name).unwrap().contains(&loopback.ip()));
        assert_eq!(addresses_of("no-such-interface").unwrap(), [] as [IpAddr; 0]);
    }
}
