//! Places in the network.

use core::fmt;

use crate::ident::{ProcessId, ServerId};

/// A place in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Site {
    /// The host of a process.
    Process(ProcessId),
    /// The host of a membership server.
    Server(ServerId),
    /// The host of a second process under the id of the first
    /// ([`World::add_impostor`](crate::sim::World::add_impostor)).
    Impostor(ProcessId),
}

impl Site {
    /// Under which id the process goes that is there; none if it is a server.
    #[must_use]
    pub fn process(self) -> Option<ProcessId> {
        match self {
            Self::Process(p) | Self::Impostor(p) => Some(p),
            Self::Server(_) => None,
        }
    }
}

impl From<ProcessId> for Site {
    fn from(p: ProcessId) -> Self {
        Self::Process(p)
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(p) => write!(f, "process {p}"),
            Self::Server(s) => write!(f, "server {s}"),
            Self::Impostor(p) => write!(f, "the impostor of process {p}"),
        }
    }
}
