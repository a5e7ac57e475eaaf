//! What a node sends, and what became of what it received.

use core::net::SocketAddr;

use crate::ident::GroupKey;

/// Where a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dest {
    /// All members of the group's view and of the change under way. Send it on each of
    /// [`crate::Node::group_routes`] or, where there is no multicast at all, to each of
    /// [`crate::Node::group_addresses`].
    Group(GroupKey),
    /// One process.
    Peer(SocketAddr),
}

/// One of the ways on which a datagram for a group has to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// One multicast.
    Multicast,
    /// One unicast: to a member that hears no multicasts of this node.
    Unicast(SocketAddr),
}

/// Bytes to be sent, written into the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where it goes.
    pub dest: Dest,
    /// Bytes used of the buffer.
    pub len: usize,
    /// Length of each datagram in the buffer; the last may be shorter. Equal to `len` if there is
    /// one.
    pub segment_bytes: usize,
}

/// What became of a datagram. Junk is counted, never an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It told something new.
    Accepted,
    /// It was well-formed, and told nothing new.
    Duplicate,
    /// It belongs to a view that is not installed yet, and is kept.
    Early,
    /// It is of a group, view or sender that does not concern this node.
    Foreign,
    /// It found no room: it is dropped, and repaired later.
    Dropped,
    /// It is of another protocol version.
    Version,
    /// It is damaged, or not of this protocol.
    Malformed,
    /// It is not sealed, and this node has keys.
    Clear,
    /// It says to be sealed with a key that this node does not have.
    OtherKey,
    /// It was not sealed with the key that it names, or it is a sync message that its sender did
    /// not sign: somebody made it up or changed it.
    Forged,
    /// It was opened before: a copy, or somebody sends it again.
    Replayed,
    /// It says to be of this process, which did not send it.
    Impostor,
}
