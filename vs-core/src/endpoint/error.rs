//! How a message is accepted, and why an endpoint refuses.

use core::fmt;

use crate::ident::ProcessId;

/// How a message was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is sent in the current view, under this number; the first one is 1.
    Now(u64),
    /// It waits for the next view, behind this many messages that wait as well.
    Queued(usize),
}

/// Why [`crate::Node::send`] refuses. The message was not accepted, and nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
    /// The window, the credit of a receiver, or the queue for the next view is used up.
    /// [`crate::Action::Writable`] follows.
    WindowFull,
    /// With manual blocking: `block_ok` was called, and the view is still to come.
    /// [`crate::Action::Writable`] follows the view.
    Blocked,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJoined => f.write_str("this node is not in the group: join it first"),
            Self::TooLarge { len, max } => write!(
                f,
                "the message has {len} bytes and message_bytes_max is {max}: raise it at all \
                 members, or split the message"
            ),
            Self::WindowFull => f.write_str("the window is full: wait for Action::Writable"),
            Self::Blocked => {
                f.write_str("the group is changing its view: wait for the view, then send again")
            }
        }
    }
}

impl core::error::Error for SendError {}

/// Why [`crate::Node::send_direct`] refuses. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DirectError {
    /// The node is not in the group.
    NotJoined,
    /// This is no other member of the current view.
    NoMember(ProcessId),
    /// The message does not fit a datagram.
    TooLarge {
        /// Its length in bytes.
        len: usize,
        /// The maximum in bytes, as the network is now.
        max: usize,
    },
    /// [`crate::DIRECT_QUEUE_BYTES`] wait to be sent.
    QueueFull,
}

impl fmt::Display for DirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJoined => SendError::NotJoined.fmt(f),
            Self::NoMember(process) => {
                write!(f, "{process} is no other member of the view: send after a view with it")
            }
            Self::TooLarge { len, max } => write!(
                f,
                "the message has {len} bytes and a datagram takes {max}: split the message"
            ),
            Self::QueueFull => {
                f.write_str("too many direct messages wait: send again after poll_transmit")
            }
        }
    }
}

impl core::error::Error for DirectError {}

/// Why [`crate::Node::set_note`] refuses. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoteError {
    /// The node is not in the group, or was detached from it for good.
    NotJoined,
    /// The group has no clusters ([`crate::GroupConfig::clusters`]), so nobody is told notes.
    NoClusters,
}

impl fmt::Display for NoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotJoined => "this node is not in the group: join it first",
            Self::NoClusters => {
                "the group has no clusters, so nobody is told notes: give all members \
                 clusters = true"
            }
        })
    }
}

impl core::error::Error for NoteError {}

/// Why [`crate::Node::block_ok`] refuses. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlockOkError {
    /// The node is not in the group.
    NotJoined,
    /// No block request is open: there was none, or it was answered already.
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
