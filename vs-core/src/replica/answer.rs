//! What is answered to whom.

use alloc::vec::Vec;
use core::fmt;

use crate::ident::ProcessId;

/// Names a call or a read of this replica. They grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was carried out once, with this answer, and each later served view has it.
    Done(Vec<u8>),
    /// It was carried out once, and these members answered.
    Collected(Collected<Vec<u8>>),
    /// What was asked for may be read now.
    Readable,
    /// The session ended before the answer was heard: it was carried out once or never.
    Lost,
    /// The operation is longer than a message of the group may be; it was not carried out.
    TooLarge,
}

/// Whose replies a group call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Of all who are members when the operation is carried out.
    All,
    /// Of more than half of [`super::ReplicaConfig::primary_of`].
    Majority,
    /// Of so many members, this one among them.
    First(usize),
}

/// Why a member did not reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Missing {
    /// It is no member any more: it left, crashed, or is cut off.
    Left,
    /// It does not carry the operation out: it takes no part in the state.
    Refused,
    /// It did not reply in time.
    Timeout,
    /// Its answer is longer than a message to one member may be.
    TooLarge,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Left => "left",
            Self::Refused => "takes no part",
            Self::Timeout => "did not reply in time",
            Self::TooLarge => "has too long an answer",
        })
    }
}

/// What a group call has led to: enough replies, or of each member that is missing the reason (T9).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collected<R> {
    /// What members answered, in the order of their ids.
    pub replies: Vec<(ProcessId, R)>,
    /// Who did not, and why. Members that were not waited for are in neither list.
    pub missing: Vec<(ProcessId, Missing)>,
    /// Whether there are as many replies as were wanted.
    pub is_enough: bool,
}

impl<R> Collected<R> {
    /// With the replies as `read` reads them.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn try_map<T, E>(self, mut read: impl FnMut(R) -> Result<T, E>) -> Result<Collected<T>, E> {
        let Self { replies, missing, is_enough } = self;
        let replies = replies.into_iter().map(|(p, reply)| read(reply).map(|reply| (p, reply)));
        Ok(Collected { replies: replies.collect::<Result<_, E>>()?, missing, is_enough })
    }
}
