//! Why operations of a group refuse or end: each in one sentence that says what to do.

use core::fmt;
use std::io;
use std::path::PathBuf;

use vs_core::{DetachReason, NoteError, WaitsFor};

use super::reading::SlowReader;
use crate::open_error::OpenError;
use crate::trace::TraceError;

const FORKED: &str = "this process was forked from the one that joined, which is still in the group: join it here, too, \
                      under an id of its own";

/// Why a group cannot be joined.
#[derive(Debug)]
#[non_exhaustive]
pub enum JoinError {
    /// The sockets or the node cannot be made.
    Open(OpenError),
    /// The trace cannot be begun.
    Trace {
        /// The file.
        path: PathBuf,
        /// Why.
        error: TraceError,
    },
    /// The node refuses the group.
    Refused(vs_core::JoinError),
    /// There is a note, and the group has no clusters.
    Note(NoteError),
    /// The configuration asks for manual blocking.
    ManualBlocking,
    /// This kind of handle cannot do what the options ask for when its application reads slowly.
    SlowReader(SlowReader),
    /// This kind of handle is none for an observer.
    Observer,
    /// The system gives no thread to carry the protocol ([`crate::SharedGroup`] alone).
    Thread(io::Error),
    /// The system does not pin the thread.
    Pin {
        /// The core.
        core: usize,
        /// Why.
        error: io::Error,
    },
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Trace { path, error } => {
                write!(f, "cannot write the trace {}: {error}; choose another file", path.display())
            }
            Self::Refused(error) => error.fmt(f),
            Self::Note(error) => error.fmt(f),
            Self::ManualBlocking => f.write_str(
                "this handle answers block requests by itself: set blocking to Blocking::Auto",
            ),
            Self::SlowReader(policy) => write!(
                f,
                "this handle cannot do {policy:?}: a Group does nothing while nobody calls it, a Replicated needs each \
                 operation, and a source of views of your own each request; use a SharedGroup, or SlowReader::Block"
            ),
            Self::Observer => f.write_str(
                "a replicated state needs each operation, and an observer may miss some: use Role::Member",
            ),
            Self::Thread(error) => {
                write!(
                    f,
                    "cannot start the thread of the group: {error}; raise the limits of this process"
                )
            }
            Self::Pin { core, error } => {
                write!(
                    f,
                    "cannot pin the thread to core {core}: {error}; set pin to another core or to None"
                )
            }
        }
    }
}

impl core::error::Error for JoinError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Open(error) => Some(error),
            Self::Trace { error, .. } => Some(error),
            Self::Refused(error) => Some(error),
            Self::Note(error) => Some(error),
            Self::Pin { error, .. } | Self::Thread(error) => Some(error),
            Self::ManualBlocking | Self::SlowReader(_) | Self::Observer => None,
        }
    }
}

/// Why a message was not sent. It was not taken, and nothing of it was.
#[derive(Debug)]
#[non_exhaustive]
pub enum SendError {
    /// The message is longer than `message_bytes_max`.
    TooLarge {
        /// Its length in bytes.
        len: usize,
        /// The maximum in bytes.
        max: usize,
    },
    /// There is no room at the moment (the `try_` forms alone).
    Full,
    /// There was no room for too long.
    TimedOut {
        /// Whom it waits for, as far as can be told: `None` if there was room again by then.
        waits_for: Option<WaitsFor>,
    },
    /// This process is an observer, and does not send.
    Observer,
    /// Others wait for this process to receive.
    InboxFull,
    /// The group was left, or is being left.
    Left,
    /// The process is out of the group for good.
    Detached(DetachReason),
    /// There was no view within `join_timeout`.
    JoinTimedOut {
        /// Why.
        why: String,
    },
    /// The system does not let the sockets be waited for.
    Wait(io::Error),
    /// This process was forked from the one that joined, whose handle goes on.
    Forked,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { len, max } => {
                vs_core::SendError::TooLarge { len: *len, max: *max }.fmt(f)
            }
            Self::Full => f.write_str(
                "the group has no room for the message now: receive, then send it again",
            ),
            Self::TimedOut { waits_for: None } => {
                f.write_str("the group had no room for the message in time: send it again")
            }
            Self::TimedOut { waits_for: Some(whom) } => {
                write!(
                    f,
                    "the group had no room for the message in time: it {whom}; see to that, then send it again"
                )
            }
            Self::Observer => {
                f.write_str("this process is an observer: join as Role::Member to send")
            }
            Self::InboxFull => {
                f.write_str("inbox_bytes wait to be received: receive, then send again")
            }
            Self::Left => f.write_str("the group was left: join it again to send"),
            Self::Detached(reason) => detached(f, reason),
            Self::JoinTimedOut { why } => late(f, why),
            Self::Wait(error) => waiting(f, error),
            Self::Forked => f.write_str(FORKED),
        }
    }
}

impl core::error::Error for SendError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Wait(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a batch was not sent to its end. What comes before the message that was refused was taken,
/// in order.
#[derive(Debug)]
pub struct BatchError {
    /// Messages that were taken.
    pub taken: usize,
    /// Why the next one was not.
    pub error: SendError,
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the first {} messages were taken, then: {}", self.taken, self.error)
    }
}

impl core::error::Error for BatchError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// Why there is nothing more to receive.
#[derive(Debug)]
#[non_exhaustive]
pub enum RecvError {
    /// The group was left; [`crate::Event::Left`] was the last event.
    Left,
    /// The process is out of the group for good; [`crate::Event::Detached`] was the last event.
    Detached(DetachReason),
    /// There was no view within `join_timeout` ([`crate::JoinOptions`]).
    JoinTimedOut {
        /// Why.
        why: String,
    },
    /// The system does not let the sockets be waited for.
    Wait(io::Error),
    /// This process was forked from the one that joined, whose handle goes on.
    Forked,
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left => f.write_str("the group was left: join it again to receive"),
            Self::Detached(reason) => detached(f, reason),
            Self::JoinTimedOut { why } => late(f, why),
            Self::Wait(error) => waiting(f, error),
            Self::Forked => f.write_str(FORKED),
        }
    }
}

impl core::error::Error for RecvError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Wait(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a group was not left in order. The process is out of it all the same: its sockets are
/// closed.
#[derive(Debug)]
#[non_exhaustive]
pub enum LeaveError {
    /// The node did not let go within `peer_ms` and a second.
    TimedOut,
    /// The system does not let the sockets be waited for.
    Wait(io::Error),
    /// This process was forked from the one that joined, whose handle goes on.
    Forked,
}

impl fmt::Display for LeaveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str(
                "the group did not let go in time and was left all the same: others may lack what was sent last, so \
                 join again and send it again",
            ),
            Self::Wait(error) => waiting(f, error),
            Self::Forked => f.write_str(FORKED),
        }
    }
}

impl core::error::Error for LeaveError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Wait(error) => Some(error),
            Self::TimedOut | Self::Forked => None,
        }
    }
}

fn detached(f: &mut fmt::Formatter<'_>, reason: &DetachReason) -> fmt::Result {
    write!(f, "this process is out of the group for good: {reason}; then join it again")
}

fn late(f: &mut fmt::Formatter<'_>, why: &str) -> fmt::Result {
    write!(f, "the group had no view within join_timeout: {why}; drop it and join again")
}

fn waiting(f: &mut fmt::Formatter<'_>, error: &io::Error) -> fmt::Result {
    write!(f, "cannot wait for the sockets: {error}; drop the group and join it again")
}

/// The same error for one more caller.
pub(crate) fn again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
