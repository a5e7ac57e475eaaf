//! What to tell about a network that does not carry multicasts, or not as long ones as interfaces
//! say.

use core::fmt;
use core::net::SocketAddr;

use vs_core::{DisplaySet, Members};

/// Multicasts of this node do not reach some members, and copies by unicast do: in one sentence,
/// what that means and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unheard {
    /// The members that said so, ascending.
    pub by: Members,
}

impl fmt::Display for Unheard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "multicasts of this process do not arrive at {}, so each gets a copy by unicast: name the same multicast \
             address at all members, see to the network's multicast and to the firewalls, or do without IP multicast at \
             all members",
            DisplaySet(&self.by)
        )
    }
}

/// Multicasts of some members arrive, and what they send to this node alone does not: in one
/// sentence, what that means and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingUnicast {
    /// The members whose datagrams are missing, ascending.
    pub from: Members,
    /// Where they are to arrive.
    pub at: SocketAddr,
}

impl fmt::Display for MissingUnicast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "datagrams of {} to this process alone do not arrive, multicasts do, so what is lost is not repaired: let \
             in UDP at {} in the firewalls, whatever port it comes from",
            DisplaySet(&self.from),
            self.at
        )
    }
}

/// Full datagrams of this node do not come through to some members: in one sentence, what that
/// means and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NarrowPath {
    /// The longest datagrams that come through to all, in bytes.
    pub bytes: usize,
    /// The members at which longer ones do not arrive, ascending.
    pub members: Members,
}

impl fmt::Display for NarrowPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "datagrams of more than {} bytes do not arrive at {}, so no longer ones are used: something on the way (a \
             tunnel, a VPN, a switch) has a smaller MTU than the interface; raise it, or configure shorter datagrams",
            self.bytes,
            DisplaySet(&self.members)
        )
    }
}
