//! What a node hands to its surroundings, and how it refuses.

use core::fmt;
use core::net::SocketAddr;

use crate::config::ConfigError;
use crate::ident::{Deployment, GroupKey, ProcessId};
use crate::time::Time;
use crate::view::View;

/// What the application is told, in the order in which it happened. Payloads are lent from the node's rings.
#[derive(Debug)]
pub enum Action<'a> {
    /// A message, in the view that the last [`Action::View`] of the group named (S7). Own messages come back, too
    /// (S14).
    Deliver {
        /// The group.
        group: GroupKey,
        /// The sender.
        from: ProcessId,
        /// The sender's number of the message in the view, from 1.
        number: u64,
        /// The bytes that were sent.
        payload: &'a [u8],
    },
    /// A new view, with the members that came from the same view as this process (S9, S10).
    ///
    /// Where components merge, the members of the view fall into as many transitional sets as there were sides, and each
    /// member knows its own: those of it have delivered what this process has, and those outside of it came from
    /// elsewhere. Who came from the same side among the others is not known here, since they say no more than that they
    /// were not in this view. An application that wants to know lets the least of each transitional set say who is in it,
    /// with what its side has to bring along, as its first message in the view: one message for each side.
    View {
        /// The group.
        group: GroupKey,
        /// The view.
        view: &'a View,
        /// The transitional set, ascending.
        transitional: &'a [ProcessId],
        /// Whether more than half of [`crate::GroupConfig::primary_of`] are members, which is the same at all members:
        /// without that this view will never be primary. With it, it is so only once [`Action::Primary`] says so.
        quorum: bool,
    },
    /// The view that the last [`Action::View`] of the group named is primary from here on: more than half of
    /// [`crate::GroupConfig::primary_of`] have installed it (S4). Primary views form one sequence by their ids, and a
    /// process has installed any two that follow each other, with no other primary view between them. Not all members
    /// need come to know it: who is cut off first does not. [`crate::spec::proof`], section 7, says what is promised and
    /// what is not.
    Primary {
        /// The group.
        group: GroupKey,
    },
    /// Stop sending, then call [`crate::Node::block_ok`]. Only with [`crate::Blocking::Manual`].
    Block {
        /// The group.
        group: GroupKey,
    },
    /// A send that was refused with [`SendError::WindowFull`] or [`SendError::Blocked`] may be tried again.
    Writable {
        /// The group.
        group: GroupKey,
    },
    /// The membership service dropped this process from the group. It comes back by itself with the same incarnation
    /// and a new attachment, unless the reason says that it cannot.
    Detached {
        /// The group.
        group: GroupKey,
        /// Why.
        reason: DetachReason,
    },
    /// The group was left, as asked for. `unsent` messages were still waiting for a next view.
    Left {
        /// The group.
        group: GroupKey,
        /// Messages that [`crate::Node::send`] took for the next view and that nobody will see.
        unsent: usize,
    },
}

/// Why a process is no longer attached to a group.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum DetachReason {
    /// The connection to the membership server ended or fell silent; it is tried again.
    ServerLost,
    /// Other members accused this process of owing them something for too long; it attaches again after a pause.
    Accused {
        /// The accusers; none if it was the only one to accuse others.
        by: alloc::vec::Vec<ProcessId>,
    },
    /// Another process is attached under the same id. Final.
    DuplicateId,
    /// The server speaks another version of the protocol. Final.
    Version {
        /// The server's version.
        server: u16,
        /// Ours.
        own: u16,
    },
    /// The server has no room for this client or group.
    ServerFull,
    /// The application did not answer a block request within `block_ok_ms`. Final.
    BlockTimeout,
    /// A view has more members than [`crate::GroupConfig::members_max`]. Final.
    ViewTooLarge,
    /// The server broke the contract of a membership service. Final.
    Contract(alloc::string::String),
    /// The source of views threw this process out ([`crate::Node::handle_excluded`]); it asks to join again.
    Excluded,
    /// The server heard nothing of this process for so long that it took it for dead; it attaches again.
    Silent,
    /// The server belongs to another deployment. Final.
    Deployment {
        /// The server's deployment.
        server: Deployment,
        /// Ours.
        own: Deployment,
    },
    /// This process, or who gave it its numbers before, is by its clock more than a year ahead of the server; it attaches
    /// again, as there may be another server, and clocks can be set.
    Ahead,
}

impl DetachReason {
    /// Whether the node gives up; else it attaches again by itself.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(
            self,
            Self::ServerLost
                | Self::Accused { .. }
                | Self::ServerFull
                | Self::Excluded
                | Self::Silent
                | Self::Ahead
        )
    }
}

impl fmt::Display for DetachReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServerLost => f.write_str("the connection to the membership server was lost"),
            Self::Accused { by } if by.is_empty() => f.write_str(
                "it accused members of not answering, of which the others heard: it is cut off itself",
            ),
            Self::Accused { by } => {
                write!(f, "accused by {} of not answering", crate::view::DisplaySet(by))
            }
            Self::DuplicateId => f.write_str(
                "another process is attached under this id: give each process an id of its own",
            ),
            Self::Version { server, own } => write!(
                f,
                "the server speaks protocol version {server}, this program {own}: upgrade the older one"
            ),
            Self::ServerFull => f.write_str("the server has no room for this client or group"),
            Self::BlockTimeout => {
                f.write_str("the application did not answer a block request in time")
            }
            Self::ViewTooLarge => {
                f.write_str("the view has more members than members_max allows: raise it")
            }
            Self::Excluded => f.write_str("the source of views does not count this process in"),
            Self::Silent => {
                f.write_str("the membership server heard nothing of this process for too long")
            }
            Self::Contract(rule) => write!(f, "the server broke the membership contract: {rule}"),
            Self::Ahead => f.write_str(
                "the clock here is more than a year ahead of the membership server's: set the clocks of both",
            ),
            Self::Deployment { server, own } => write!(
                f,
                "the server belongs to the deployment {server}, this process to {own}: name the same one at both"
            ),
        }
    }
}

/// Where a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dest {
    /// All members of the group's view and of the change under way: to each of [`crate::Node::group_routes`] or, where
    /// there is no multicast at all, to each of [`crate::Node::group_addresses`].
    Group(GroupKey),
    /// One process.
    Peer(SocketAddr),
}

/// A way on which something that goes to a group has to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// One multicast.
    Multicast,
    /// One unicast, to a member that hears no multicasts of this node.
    Unicast(SocketAddr),
}

/// Bytes to be sent, written into the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub dest: Dest,
    /// Bytes used of the buffer.
    pub len: usize,
    /// Length of each datagram in the buffer; the last may be shorter. Equal to `len` if there is one.
    pub segment_bytes: usize,
}

/// What became of a datagram. Junk is counted, never an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It told something new.
    Accepted,
    /// It was well-formed and told nothing new.
    Duplicate,
    /// It belongs to a view that is not installed yet and is kept.
    Early,
    /// Of a group, view or sender that does not concern this node.
    Foreign,
    /// No room: dropped, to be repaired.
    Dropped,
    /// Of another protocol version.
    Version,
    /// Not of this protocol, or damaged.
    Malformed,
}

/// What a runtime does with its connection to a membership server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkCommand {
    /// Connect to the server at this position of the runtime's list. Answer with [`crate::Node::handle_connected`]
    /// or [`crate::Node::handle_disconnected`].
    Connect(usize),
    /// Close the connection. No answer is expected.
    Close,
}

/// Why a node wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A sign of life is due to the membership server, or the server has been silent for too long.
    Server,
    /// A connection may be tried again.
    Reconnect,
    /// A sync message or a request for one is repeated.
    Sync,
    /// A gap is reported.
    Nak,
    /// An acknowledgement is due.
    Ack,
    /// A heartbeat is due.
    Heartbeat,
    /// A peer has owed something for too long.
    Peer,
    /// A member has to be asked why nothing is heard that it sends to the group.
    Reach,
    /// The application owes an answer to a block request.
    BlockOk,
}

/// The earlier of two wake-ups; the first if they are at the same time.
pub(crate) fn earlier(a: Option<(Time, Wake)>, b: Option<(Time, Wake)>) -> Option<(Time, Wake)> {
    match (a, b) {
        (Some(a), Some(b)) if b.0 < a.0 => Some(b),
        (Some(a), _) => Some(a),
        (None, b) => b,
    }
}

/// Why [`crate::Node::join`] refuses; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinError {
    /// The configuration cannot be used.
    Config(ConfigError),
    /// The node is already in the group (or still leaving it).
    AlreadyJoined,
    /// `groups_max` groups are joined.
    TooManyGroups,
    /// The pool has too few free slots for what the group may need: raise `pool_slots` or lower `members_max`,
    /// `window_packets`.
    PoolFull {
        /// Slots that the group needs.
        needed: usize,
        /// Slots that are not reserved by other groups.
        free: usize,
    },
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(e) => write!(f, "the group's configuration cannot be used: {e}"),
            Self::AlreadyJoined => f.write_str("this node is already in the group"),
            Self::TooManyGroups => f.write_str("groups_max groups are joined already"),
            Self::PoolFull { needed, free } => write!(
                f,
                "the group needs {needed} pool slots and {free} are free: raise pool_slots or lower \
                 members_max or window_packets"
            ),
        }
    }
}

impl core::error::Error for JoinError {}

/// Why [`crate::Node::send`] refuses; the message was not taken and nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The node is not in the group.
    NotJoined,
    /// The message is longer than `message_bytes_max`.
    TooLarge {
        /// Its length in bytes.
        len: usize,
        /// The maximum in bytes.
        max: usize,
    },
    /// The window, some receiver's credit, or the queue for the next view is full; [`Action::Writable`] follows.
    WindowFull,
    /// Manual blocking: between `block_ok` and the view; [`Action::Writable`] follows the view.
    Blocked,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJoined => f.write_str("this node is not in the group: join it first"),
            Self::TooLarge { len, max } => write!(
                f,
                "the message has {len} bytes and message_bytes_max is {max}: raise it at all members, or split the \
                 message"
            ),
            Self::WindowFull => f.write_str("the window is full: wait for Action::Writable"),
            Self::Blocked => {
                f.write_str("the group is changing its view: wait for the view, then send again")
            }
        }
    }
}

impl core::error::Error for SendError {}

/// How a message was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Accepted in the current view under this number, from 1.
    Now(u64),
    /// Waiting for the next view, in order, behind `0`-based position among the waiting.
    Queued(usize),
}

/// Why [`crate::Node::block_ok`] refuses; nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockOkError {
    /// The node is not in the group.
    NotJoined,
    /// No block was asked for, or it was answered already.
    NotRequested,
}

impl fmt::Display for BlockOkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotJoined => "this node is not in the group: join it first",
            Self::NotRequested => {
                "no block request is open: call block_ok once for each Action::Block"
            }
        })
    }
}

impl core::error::Error for BlockOkError {}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;

    /// It was "accused by {}".
    #[test]
    fn who_is_excluded_for_its_own_accusations_is_told_so() {
        let accused = |by| DetachReason::Accused { by }.to_string();
        assert_eq!(accused(vec![ProcessId(2)]), "accused by {2} of not answering");
        assert!(accused(vec![]).starts_with("it accused members of not answering"));
    }
}
