//! The multicast groups of those who name no other.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::interface::address_towards;

/// The multicast group of members that name no other.
pub const MULTICAST: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 86, 83, 1)), 7586);
/// The same for IPv6: within one site, of this port.
pub const MULTICAST_V6: SocketAddr =
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0x7673, 1)), 7586);

/// The address of this host on the way to others of whom nothing is known: by IPv4, or where that
/// leads nowhere by IPv6. `None`: no way is known.
#[must_use]
pub fn address_towards_others() -> Option<IpAddr> {
    // Another host cannot reach a link-local address without knowing by which interface.
    let is_usable = |ip: &IpAddr| match ip {
        IpAddr::V4(_) => true,
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
    };
    [MULTICAST, MULTICAST_V6].into_iter().filter_map(address_towards).find(is_usable)
}
