//! How a message is taken, and why an endpoint refuses.

use core::fmt;

/// How a message was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Accepted in the current view under this number, from 1.
    Now(u64),
    /// Waiting for the next view, in order, behind `0`-based position among the waiting.
    Queued(usize),
}

/// Why [`crate::Node::send`] refuses; the message was not taken and nothing changed.
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
    /// The window, some receiver's credit, or the queue for the next view is full; [`crate::Action::Writable`] follows.
    WindowFull,
    /// Manual blocking: between `block_ok` and the view; [`crate::Action::Writable`] follows the view.
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

/// Why [`crate::Node::block_ok`] refuses; nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
