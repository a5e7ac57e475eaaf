//! What a replica tells besides answers.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::state::Broken;
use super::status::Waiting;
use crate::ident::ProcessId;

/// Most events that wait for [`Replica::poll_event`](super::Replica::poll_event). Of more the
/// oldest is dropped.
pub const EVENTS_MAX: usize = 1 << 16;

/// What a replica tells besides answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplicaEvent {
    /// A new state is made: nobody had one.
    Created,
    /// Calls are answered from here on.
    Served,
    /// The view is not served: nobody can say whose state counts.
    Waiting(Waiting),
    /// The state has come from this member.
    Restored {
        /// The donor.
        from: ProcessId,
        /// Bytes of it.
        bytes: u64,
    },
    /// An operation was carried out: with [`applied`](super::ReplicaConfig::applied) alone.
    Applied {
        /// The operation, as [`State::encode`](super::State::encode) wrote it.
        op: Vec<u8>,
        /// Its answer.
        answer: Vec<u8>,
    },
    /// A member cannot be understood: it speaks another version of these messages, or is another
    /// program. It takes no part while that is so.
    Stranger(ProcessId),
    /// The own state could not be written for a joiner, which turns to another member.
    SnapshotFailed(Broken),
    /// Words for people about this process and not about the state: why it is out of the group for
    /// now, that no server answers, that its trace ends.
    Note(String),
}

impl fmt::Display for ReplicaEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created => f.write_str("a new state begins"),
            Self::Served => f.write_str("the state is served"),
            Self::Waiting(waiting) => waiting.fmt(f),
            Self::Restored { from, bytes } => {
                write!(f, "the state has come from {from}, {bytes} bytes")
            }
            Self::Applied { .. } => f.write_str("an operation was carried out"),
            Self::Stranger(process) => write!(
                f,
                "{process} cannot be understood and takes no part: run one version of the program"
            ),
            Self::SnapshotFailed(why) => {
                write!(f, "the state cannot be written for a newcomer: {why}")
            }
            Self::Note(words) => f.write_str(words),
        }
    }
}
