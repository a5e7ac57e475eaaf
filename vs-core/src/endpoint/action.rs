//! What the application is told.

use crate::ident::{GroupKey, ProcessId};
use crate::member::DetachReason;
use crate::order::Stage;
use crate::view::{Clusters, View};

/// What the application is told, in the order in which it happened. Payloads are lent from the
/// rings of the node.
#[derive(Debug)]
#[non_exhaustive]
pub enum Action<'a> {
    /// A message, in the view that the last [`Action::View`] of the group named (S7). Own messages
    /// are delivered, too (S14).
    Deliver {
        /// The group.
        group: GroupKey,
        /// The sender.
        from: ProcessId,
        /// The number that the sender gave the message in the view; the first one is 1.
        number: u64,
        /// The bytes that were sent.
        payload: &'a [u8],
        /// How far the promise of the group's order reaches for this delivery.
        stage: Stage,
    },
    /// The view that the last [`Action::View`] of the group named ends (T6). It comes once in each
    /// view, and only in groups with one order for all members ([`crate::order::Order`]).
    ///
    /// What was delivered before is promised to all members of the view. What is delivered from
    /// here on is promised to the transitional set alone ([`Stage`]), which is that of the next
    /// view.
    Signal {
        /// The group.
        group: GroupKey,
        /// The transitional set, ascending.
        transitional: &'a [ProcessId],
    },
    /// A new view, with the members that came from the same view as this process (S9, S10).
    ///
    /// Where components of a group merge, the members of the view fall into one transitional set
    /// per component, and each member knows its own. The members of its own set have delivered what
    /// this process has delivered; the others came from elsewhere. Which of the others came
    /// together is told in groups that ask for it: see `clusters`.
    View {
        /// The group.
        group: GroupKey,
        /// The view.
        view: &'a View,
        /// The transitional set, ascending.
        transitional: &'a [ProcessId],
        /// Whether more than half of [`crate::GroupConfig::primary_of`] are members. All members
        /// see the same value. Without a quorum this view never becomes primary; with one it is
        /// primary only from [`Action::Primary`] on.
        quorum: bool,
        /// Who came with whom, and each member's note: in groups with
        /// [`crate::GroupConfig::clusters`] alone. From them an application tells creation (all are
        /// fresh), a join (one cluster is settled) and a merge (several are settled) apart.
        clusters: Option<&'a Clusters>,
    },
    /// The view that the last [`Action::View`] of the group named is primary from here on: more
    /// than half of [`crate::GroupConfig::primary_of`] have installed it (S4).
    ///
    /// Primary views form one sequence by their ids. Of any two that follow each other there is a
    /// process that installed both, with no other primary view in between. A member that is cut off
    /// first does not learn that its view became primary. [`crate::spec::proof`], section 7, says
    /// what is promised and what is not.
    Primary {
        /// The group.
        group: GroupKey,
    },
    /// The view that the last [`Action::View`] of the group named does not hold here any more: this
    /// process has heard too little of the others for [`crate::GroupConfig::lease_ms`].
    ///
    /// With [`crate::GroupConfig::primary_of`]: the view was primary, and this process and those
    /// that it heard from are not more than half of them. By now another view may be primary
    /// elsewhere. If they are heard again in this view, [`Action::Primary`] follows. Without: there
    /// is no attachment to the membership service, and no other member was heard. Once either is
    /// reached again another view follows, or [`Action::Restored`] if this one goes on.
    Lapsed {
        /// The group.
        group: GroupKey,
    },
    /// The view of [`Action::Lapsed`] holds again: the membership service or another member is
    /// reached. Only without [`crate::GroupConfig::primary_of`]; with it, [`Action::Primary`] says
    /// the same.
    Restored {
        /// The group.
        group: GroupKey,
    },
    /// Stop sending, then call [`crate::Node::block_ok`]. Only with [`crate::Blocking::Manual`].
    Block {
        /// The group.
        group: GroupKey,
    },
    /// A message that was refused with [`crate::SendError::WindowFull`] or
    /// [`crate::SendError::Blocked`] may be sent again.
    Writable {
        /// The group.
        group: GroupKey,
    },
    /// The attachment to the membership service ended. The node attaches again by itself, with the
    /// same incarnation, unless [`DetachReason::is_final`].
    Detached {
        /// The group.
        group: GroupKey,
        /// Why.
        reason: DetachReason,
    },
    /// The group was left, as asked for.
    Left {
        /// The group.
        group: GroupKey,
        /// Messages that [`crate::Node::send`] accepted for the next view and that nobody receives.
        unsent: usize,
    },
}

impl Action<'_> {
    /// The group that it is about.
    #[must_use]
    pub fn group(&self) -> GroupKey {
        match self {
            Self::Deliver { group, .. }
            | Self::Signal { group, .. }
            | Self::View { group, .. }
            | Self::Primary { group }
            | Self::Lapsed { group }
            | Self::Restored { group }
            | Self::Block { group }
            | Self::Writable { group }
            | Self::Detached { group, .. }
            | Self::Left { group, .. } => *group,
        }
    }
}
