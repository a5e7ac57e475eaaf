//! Why keys cannot be changed.

use core::fmt;
use std::io;

/// Why keys cannot be changed: one sentence. Those from before hold on.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeysError {
    /// The process was started without keys, and all that it sends has no room for a seal.
    InTheClear,
    /// The keys are those of members, and there is a server here.
    OfMembers,
    /// The system has no random numbers.
    NoRandomNumbers(io::Error),
    /// Membership has ended.
    Ended,
}

impl fmt::Display for KeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InTheClear => {
                f.write_str("this process was started without keys: restart it with them")
            }
            Self::OfMembers => f.write_str(
                "the keys are those of members, and there is a server here: use the keys that they were made from",
            ),
            Self::NoRandomNumbers(error) => write!(f, "nothing can be sealed: {error}"),
            Self::Ended => f.write_str("membership has ended"),
        }
    }
}

impl core::error::Error for KeysError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::NoRandomNumbers(error) => Some(error),
            Self::InTheClear | Self::OfMembers | Self::Ended => None,
        }
    }
}
