//! Why a driver cannot be made.

use core::fmt;
use core::net::SocketAddr;
use std::io;

use vs_core::ConfigError;

use crate::udp::SetupError;

/// Why a driver cannot be made: one sentence that says what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The sockets could not be set up.
    Setup(SetupError),
    /// The configuration cannot be used.
    Config(ConfigError),
    /// No membership server was named.
    NoServers,
    /// The server inside cannot listen.
    Listen {
        /// Where it should.
        addr: SocketAddr,
        /// The system's answer.
        error: io::Error,
    },
    /// The sockets for beacons could not be set up.
    Beacons(SetupError),
    /// The system has no random numbers, which keys need.
    NoRandomNumbers(io::Error),
    /// The keys are those of members, which make no server, and a server inside is asked for.
    KeysOfMembers,
    /// More peers were named than the server inside has room for.
    TooManyPeers,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setup(error) => error.fmt(f),
            Self::Config(error) => write!(f, "the configuration cannot be used: {error}"),
            Self::NoServers => f.write_str(
                "no membership server is named: name one, or choose a membership that needs none",
            ),
            Self::Listen { addr, error } => {
                write!(f, "the membership server inside cannot listen at {addr}: {error}")
            }
            Self::Beacons(error) => {
                write!(f, "beacons of membership servers cannot be sent: {error}")
            }
            Self::NoRandomNumbers(error) => write!(f, "nothing can be sealed: {error}"),
            Self::KeysOfMembers => f.write_str(
                "the keys of this process are those of members, and it has no server without those of servers: name \
                 membership servers, or use the keys that `vs keygen` made at first",
            ),
            Self::TooManyPeers => f.write_str(
                "more peers are named than peers_max of the server inside allows: name fewer, or use beacons",
            ),
        }
    }
}

impl core::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Setup(error) | Self::Beacons(error) => Some(error),
            Self::Config(error) => Some(error),
            Self::Listen { error, .. } | Self::NoRandomNumbers(error) => Some(error),
            Self::KeysOfMembers | Self::NoServers | Self::TooManyPeers => None,
        }
    }
}
