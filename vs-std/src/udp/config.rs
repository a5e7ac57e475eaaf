//! Where a node sends and listens, and why that cannot be set up.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use std::io;

use super::follow::Follow;
use super::multicast::{MULTICAST, MULTICAST_V6};
use crate::faults::Faults;

/// Where a node sends and listens: by IPv4 or IPv6, whichever its addresses are of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UdpConfig {
    /// Address of the unicast socket. Others send to it, so it is not the unspecified one, and not
    /// a link-local one of IPv6.
    pub bind: IpAddr,
    /// Port of the unicast socket, for firewalls that let few ports through. Default 0: the system
    /// chooses.
    pub port: u16,
    /// Address of the interface that multicasts go out of and come in by; unspecified: the system
    /// chooses.
    pub interface: IpAddr,
    /// The multicast group.
    pub multicast: SocketAddr,
    /// IP multicast is not used: what goes to the group goes to each member in a copy of its own.
    /// Others find out that this node hears no multicasts and do the same for it. Default false.
    pub unicast: bool,
    /// Routers that a multicast may pass, plus one. Default 1.
    pub ttl: u32,
    /// Bytes asked for each of the sockets' buffers; the system may grant less. Default 8 MiB.
    pub buffer_bytes: usize,
    /// How the node goes on when [`Self::bind`] is gone from the host, with other addresses for
    /// both. An interface that was replaced, and has the same address, is always followed. Default
    /// [`Follow::Stay`].
    pub follow: Follow,
    /// What is lost on purpose, for tests of networks and measurements. Default nothing.
    pub faults: Faults,
}

impl UdpConfig {
    /// All traffic on the interface of address `interface`, through the group `multicast`.
    #[must_use]
    pub fn new(interface: impl Into<IpAddr>, multicast: impl Into<SocketAddr>) -> Self {
        let interface = interface.into();
        Self {
            bind: interface,
            port: 0,
            interface,
            multicast: multicast.into(),
            unicast: false,
            ttl: 1,
            buffer_bytes: 8 << 20,
            follow: Follow::default(),
            faults: Faults::default(),
        }
    }

    /// All traffic on the interface of address `interface`, through the multicast group of members
    /// that name no other.
    #[must_use]
    pub fn on(interface: impl Into<IpAddr>) -> Self {
        let interface = interface.into();
        Self::new(interface, if interface.is_ipv4() { MULTICAST } else { MULTICAST_V6 })
    }

    /// All traffic on the interface of address `interface`, without IP multicast.
    #[must_use]
    pub fn unicast(interface: impl Into<IpAddr>) -> Self {
        // Nobody hears the group; the length of datagrams is tried with it.
        Self { unicast: true, ..Self::on(interface) }
    }
}

/// Setters.
impl UdpConfig {
    /// Sets [`Self::bind`].
    #[must_use]
    pub fn with_bind(mut self, bind: impl Into<IpAddr>) -> Self {
        self.bind = bind.into();
        self
    }

    /// Sets [`Self::port`].
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets [`Self::interface`].
    #[must_use]
    pub fn with_interface(mut self, interface: impl Into<IpAddr>) -> Self {
        self.interface = interface.into();
        self
    }

    /// Sets [`Self::multicast`].
    #[must_use]
    pub fn with_multicast(mut self, multicast: impl Into<SocketAddr>) -> Self {
        self.multicast = multicast.into();
        self
    }

    /// Sets [`Self::unicast`].
    #[must_use]
    pub fn with_unicast(mut self, unicast: bool) -> Self {
        self.unicast = unicast;
        self
    }

    /// Sets [`Self::ttl`].
    #[must_use]
    pub fn with_ttl(mut self, ttl: u32) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets [`Self::buffer_bytes`].
    #[must_use]
    pub fn with_buffer_bytes(mut self, buffer_bytes: usize) -> Self {
        self.buffer_bytes = buffer_bytes;
        self
    }

    /// Sets [`Self::follow`].
    #[must_use]
    pub fn with_follow(mut self, follow: Follow) -> Self {
        self.follow = follow;
        self
    }

    /// Sets [`Self::faults`].
    #[must_use]
    pub fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }
}

/// Why the sockets could not be set up: one sentence that says what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum SetupError {
    /// The address is not one of a multicast group, or its port is 0.
    NotMulticast(SocketAddr),
    /// Some of the addresses are of IPv4, and others of IPv6.
    MixedFamilies {
        /// The address of the unicast socket.
        bind: IpAddr,
        /// The address of the interface.
        interface: IpAddr,
        /// The multicast group.
        multicast: SocketAddr,
    },
    /// The address of the unicast socket is the unspecified one, which others cannot send to.
    BindUnspecified(IpAddr),
    /// The address of the unicast socket belongs to another host.
    BindNotHere(IpAddr),
    /// The interface's address belongs to another host.
    InterfaceNotHere(IpAddr),
    /// A program has the port of the unicast socket.
    DataPortInUse(u16),
    /// A program that does not share it has the multicast port.
    PortInUse(SocketAddr),
    /// What is sent to the group does not come back.
    NoMulticast(IpAddr),
    /// A full datagram does not fit the MTU of the interface.
    DatagramTooLong {
        /// The interface's address.
        interface: IpAddr,
        /// Bytes of a full datagram.
        datagram_bytes: usize,
        /// Bytes of the longest datagram that fits, if one that a node can do with does.
        fits: Option<usize>,
    },
    /// The system refused a step.
    Io {
        /// The step.
        what: &'static str,
        /// Its answer.
        error: io::Error,
    },
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotMulticast(addr) => write!(
                f,
                "{addr} is no multicast address with a port: choose one from 224.0.1.0 to 239.255.255.255, or of IPv6 \
                 one that begins with ff"
            ),
            Self::MixedFamilies { bind, interface, multicast } => write!(
                f,
                "the addresses {bind} and {interface} and the multicast address {multicast} are not all of IPv4 or all \
                 of IPv6: choose one family for all"
            ),
            Self::BindUnspecified(addr) => {
                write!(f, "others cannot send to address {addr}: choose one of this host")
            }
            Self::BindNotHere(addr) => {
                write!(f, "address {addr} is not on this host: choose one that is")
            }
            Self::InterfaceNotHere(addr) => {
                write!(f, "no interface of this host has the address {addr}: choose another")
            }
            Self::DataPortInUse(port) => {
                write!(f, "port {port} is taken: choose another for the unicast socket")
            }
            Self::PortInUse(addr) => write!(
                f,
                "port {} is taken by a program that does not share it: choose another for multicasts",
                addr.port()
            ),
            Self::NoMulticast(addr) => write!(
                f,
                "interface {addr} does not carry multicast: choose another, or do without IP multicast"
            ),
            Self::DatagramTooLong { interface, datagram_bytes, fits: Some(fits) } => write!(
                f,
                "datagrams of {datagram_bytes} bytes do not fit the MTU of interface {interface}: raise it, or set \
                 datagram_bytes to {fits} at all members"
            ),
            Self::DatagramTooLong { interface, fits: None, .. } => write!(
                f,
                "the MTU of interface {interface} is too small: raise it, or choose another interface"
            ),
            Self::Io { what, error } => write!(f, "cannot {what}: {error}"),
        }
    }
}

impl core::error::Error for SetupError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// Names the step that the system refused.
pub(super) fn io(what: &'static str) -> impl FnOnce(io::Error) -> SetupError {
    move |error| SetupError::Io { what, error }
}
