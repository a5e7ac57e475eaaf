//! How a replica ended.

use core::fmt;

use vs_core::replica::Broken;

use crate::group::RecvError;

/// How a replica ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ReplicaEnd {
    /// It left the group, or the last handle is gone.
    Left,
    /// It cannot know any more whether its state is that of the others, and has left.
    Broken(Broken),
    /// Membership ended, in words.
    Ended(String),
}

impl From<RecvError> for ReplicaEnd {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Left => Self::Left,
            error => Self::Ended(error.to_string()),
        }
    }
}

impl fmt::Display for ReplicaEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left => f.write_str("this process has left the group"),
            Self::Broken(why) => write!(f, "this process has stopped: {why}"),
            Self::Ended(why) => f.write_str(why),
        }
    }
}

impl core::error::Error for ReplicaEnd {}
