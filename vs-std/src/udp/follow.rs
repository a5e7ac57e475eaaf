//! How a node goes on when its address is gone.

use core::net::{IpAddr, SocketAddr};

use super::multicast::address_towards_others;
use crate::interface::{address_towards, addresses_of};

/// How a node finds the address that it goes on with when its own is gone from the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Follow {
    /// It waits until the address is back.
    #[default]
    Stay,
    /// It takes the address of the host on the way to there.
    Towards(SocketAddr),
    /// It takes the address of the host on the way to others of whom nothing is known.
    Others,
    /// It takes an address of the interface of that name.
    Interface(String),
}

impl Follow {
    /// The address of the family of `old` that follows it.
    pub(crate) fn next(&self, old: IpAddr) -> Option<IpAddr> {
        let found = match self {
            Self::Stay => None,
            Self::Towards(there) => address_towards(*there),
            Self::Others => address_towards_others(),
            Self::Interface(name) => {
                let all = addresses_of(name).unwrap_or_default();
                all.into_iter().find(|ip| ip.is_ipv4() == old.is_ipv4())
            }
        };
        found.filter(|ip| ip.is_ipv4() == old.is_ipv4())
    }

    /// Whether a route decides.
    pub(crate) fn is_by_route(&self) -> bool {
        matches!(self, Self::Towards(_) | Self::Others)
    }
}
