//! Why a node refuses to join a group.

use core::fmt;

use crate::config::ConfigError;

/// Why [`crate::Node::join`] refuses; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinError {
    /// The configuration cannot be used.
    Config(ConfigError),
    /// The node is already in the group (or still leaving it).
    AlreadyJoined,
    /// `groups_max` groups are joined.
    TooManyGroups,
    /// The pool has too few free slots for what the group may need: raise `pool_slots_max` or lower
    /// `members_max` or `window_packets`.
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
                "the group needs {needed} pool slots and {free} are free: raise pool_slots_max or \
                 lower members_max or window_packets"
            ),
        }
    }
}

impl core::error::Error for JoinError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::AlreadyJoined | Self::TooManyGroups | Self::PoolFull { .. } => None,
        }
    }
}
