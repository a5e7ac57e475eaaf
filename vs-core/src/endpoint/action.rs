//! What the application is told.

use crate::ident::{GroupKey, ProcessId};
use crate::member::DetachReason;
use crate::view::View;

/// What the application is told, in the order in which it happened. Payloads are lent from the node's rings.
#[derive(Debug)]
#[non_exhaustive]
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
    /// A send that was refused with [`crate::SendError::WindowFull`] or [`crate::SendError::Blocked`] may be tried again.
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

impl Action<'_> {
    /// The group that it is about.
    #[must_use]
    pub fn group(&self) -> GroupKey {
        match self {
            Self::Deliver { group, .. }
            | Self::View { group, .. }
            | Self::Primary { group }
            | Self::Block { group }
            | Self::Writable { group }
            | Self::Detached { group, .. }
            | Self::Left { group, .. } => *group,
        }
    }
}
