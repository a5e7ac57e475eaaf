//! Why a process is not attached to a group any more.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::profile::ProfileMismatch;
use crate::ident::{Deployment, ProcessId, ServerId};
use crate::view::DisplaySet;
use crate::wire::ChannelError;

/// Why a process is no longer attached to a group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DetachReason {
    /// The connection to the membership server ended or fell silent; it is tried again.
    ServerLost,
    /// Other members accused this process of owing them something for too long; it attaches again
    /// after a pause.
    Accused {
        /// The accusers; none if it was the only one to accuse others.
        by: Vec<ProcessId>,
    },
    /// Another process is attached under the same id. Final.
    DuplicateId,
    /// A process is attached under this id over another connection: it says that it is this very
    /// process, or another server says that it has it. Neither needs to be right, so this process
    /// attaches again after a pause.
    IdClaimed {
        /// The server of that process.
        at: ServerId,
    },
    /// The server speaks another version of the protocol. Final.
    Version {
        /// The server's version.
        server: u16,
        /// Ours.
        own: u16,
    },
    /// The connection to the server is not sealed as this process wants it. Final if there are no
    /// keys here; else whoever is between both could end the process by it, so it attaches again
    /// after a pause.
    Seal(ChannelError),
    /// The server has no room for this client or group.
    ServerFull,
    /// The application did not answer a block request within `block_ok_ms`. Final.
    BlockTimeout,
    /// A view has more members than [`crate::GroupConfig::members_max`]. Final.
    ViewTooLarge,
    /// The server broke the contract of a membership service. Final.
    Contract(String),
    /// The source of views threw this process out ([`crate::Node::handle_excluded`]); it asks to
    /// join again.
    Excluded,
    /// The server heard nothing of this process for so long that it took it for dead; it attaches
    /// again.
    Silent,
    /// The server belongs to another deployment. Final.
    Deployment {
        /// The server's deployment.
        server: Deployment,
        /// Ours.
        own: Deployment,
    },
    /// This process, or who gave it its numbers before, is by its clock more than a year ahead of
    /// the server; it attaches again, as there may be another server, and clocks can be set.
    Ahead,
    /// What this process is configured for does not go together with the profile of the group.
    /// Final.
    Profile(ProfileMismatch),
    /// The application of this process read too slowly, and its runtime was told to take it out of
    /// the group then. Final.
    SlowReader {
        /// Bytes of events that waited to be received.
        waiting_bytes: u64,
        /// For how long at least as much had waited as the application allows, in ms.
        after_ms: u64,
    },
    /// The server gave a reason that this version does not know.
    Other {
        /// The reason in the server's words; may be empty.
        words: String,
        /// Whether the server says that there is no point in attaching again.
        is_final: bool,
    },
}

impl DetachReason {
    /// Whether the node gives up; else it attaches again by itself.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Seal(error) => *error == ChannelError::Sealed,
            Self::Other { is_final, .. } => *is_final,
            _ => !matches!(
                self,
                Self::ServerLost
                    | Self::Accused { .. }
                    | Self::IdClaimed { .. }
                    | Self::ServerFull
                    | Self::Excluded
                    | Self::Silent
                    | Self::Ahead
            ),
        }
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
                write!(f, "accused by {} of not answering", DisplaySet(by))
            }
            Self::DuplicateId => f.write_str(
                "another process is attached under this id: give each process an id of its own",
            ),
            Self::IdClaimed { at } => write!(
                f,
                "a process is attached under this id over another connection, at server {at}: if it did not move there itself, give each process an id of its own"
            ),
            Self::Version { server, own } => write!(
                f,
                "the server speaks protocol version {server}, this program {own}: upgrade the older one"
            ),
            Self::Seal(error) => write!(f, "there is no sealed connection to the server: {error}"),
            Self::ServerFull => f.write_str(
                "there is no room: the group has as many members as one of them, or this process, allows (members_max), \
                 or the server as many clients or groups as it takes (connections_max, groups_max); raise the limit",
            ),
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
                "the clock here is more than a year ahead of the membership server's: set the clocks of both; a \
                 trace that was written under such a clock has to be put aside",
            ),
            Self::Deployment { server, own } => write!(
                f,
                "the server belongs to the deployment {server}, this process to {own}: name the same one at both"
            ),
            Self::Profile(mismatch) => mismatch.fmt(f),
            Self::SlowReader { waiting_bytes, after_ms } => write!(
                f,
                "its application reads too slowly: {waiting_bytes} bytes of events waited, too many for {after_ms} ms; receive faster, or allow more lag"
            ),
            Self::Other { words, .. } => write!(
                f,
                "the server gives a reason that this version does not know: \"{words}\"; upgrade this program"
            ),
        }
    }
}

/// Why a client is not attached any more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Departure {
    /// It left.
    Left,
    /// Its connection ended: it crashed, or lost its server and looks for another.
    Ended,
    /// It was refused or excluded, and told why.
    Told(DetachReason),
    /// Its server was lost, and it came to no other one within `reattach_ms`.
    ServerLost,
}

impl fmt::Display for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left => f.write_str("it left"),
            Self::Ended => f.write_str("its connection ended"),
            Self::Told(reason) => reason.fmt(f),
            Self::ServerLost => {
                f.write_str("its server was lost and it attached to no other one in time")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;

    /// It was "accused by {}".
    #[test]
    fn member_excluded_for_accusing_is_told_so() {
        let accused = |by| DetachReason::Accused { by }.to_string();
        assert_eq!(accused(vec![ProcessId(2)]), "accused by {2} of not answering");
        assert!(accused(vec![]).starts_with("it accused members of not answering"));
    }
}
