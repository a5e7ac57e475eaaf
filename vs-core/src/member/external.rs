//! Membership of one's own: from etcd, Consul, Kubernetes, a controller, or a file.
//!
//! The servers of this crate are one source of views; any other will do that keeps the contract of
//! a membership service. It decides who is there. What the members owe each other on the way from
//! one view to the next stays the node's work, and so do all promises about messages. Such a node
//! needs no connection to a server: [`crate::Node::new`] with 0 servers,
//! [`crate::Node::join_external`], and then, besides what every loop does,
//!
//! - [`crate::Node::poll_membership`]: what the source has to learn ([`MembershipRequest`]): that
//!   this process wants to be a member, whom it accuses, that it leaves. Ask after each round, as
//!   for everything else;
//! - [`crate::Node::handle_start_change`]: a change is under way, with the set of those who may be
//!   in the next view. It is numbered by a *cid* of this process' own: another process may be given
//!   another number for the same change;
//! - [`crate::Node::handle_mbr_view`]: the view that came of it: `<id, members, start>`, where
//!   `start` has for each member the last cid that *it* was given. Where the node has keys, a
//!   secret of 32 random bytes goes with it: the source draws one for each view, and tells its
//!   members alone;
//! - [`crate::Node::handle_excluded`]: the source has thrown this process out, or has forgotten it.
//!   The application is told ([`crate::Action::Detached`]), and a new [`MembershipRequest::Join`]
//!   follows.
//!
//! # The contract
//!
//! Each call is held against it. One that breaks a rule is refused with an error that names it
//! ([`ContractError`]), and nothing has changed: the group goes on in its view.
//!
//! | rule | |
//! |---|---|
//! | M1 | the process is in the set of each start_change and in each view that it is told of |
//! | M2 | its cids increase, also over restarts |
//! | M3 | a view lies within the set of the last start_change |
//! | M4 | a view carries the last cid of each member |
//! | M5 | each view has a start_change of its own before it |
//! | M6 | the ids of its views increase, also over restarts |
//!
//! What a node cannot see is the source's to keep: that two views of one id are the same view, and
//! that the other entries of `start` are true. For liveness, once things have calmed down, all
//! members of the last view have to be told of it.
//!
//! # A log of revisions is enough
//!
//! Most sources have one number that grows with each change, and show everybody the same state at
//! each: a revision of etcd, an index of Consul, a generation of a file. Let the members register
//! themselves under keys that end with them (a lease, a session). At each revision `r` at which the
//! registered set `S` changed, each member of `S` is told
//!
//! ```text
//! start_change(cid = r, S), then view(<id = r, members = S, start = [r, r, …]>)
//! ```
//!
//! All six rules hold: the number grows, and each process derives the same from it. Whoever misses
//! revisions in between may leave them out. `examples/own_membership.rs` is that in one file.
//!
//! With two writes instead of one (the intent, then the decision) the start_change comes a round
//! earlier, and the members exchange their sync messages while the source still decides: that is
//! what the algorithm is made for.
//!
//! # Profiles
//!
//! Servers compare what the members of a group are configured for (`message_bytes_max`,
//! `datagram_bytes`, `primary_of`, `order` and the times). A source of views does not: whoever
//! starts the members configures them alike.
//!
//! A source hands on the [`Peer`] of [`MembershipRequest::Join`] as it is: its incarnation has a
//! nonce, and members tell two processes of one id apart by it.
//!
//! # Who is dead
//!
//! A lease tells when it runs out. Members know sooner, and they know more: a process may live and
//! not acknowledge, or its messages may not arrive. Whom a member accuses comes out as
//! [`MembershipRequest::Accuse`]: each one replaces the one before, and an empty one takes it back.
//! The source should throw out the accused or the accuser: as long as both stay, what one owes to
//! the other may hold up the group. That the least member which is not accused itself has its way
//! is a simple rule; whoever was thrown out wrongly comes back by its next
//! [`MembershipRequest::Join`].

use alloc::vec::Vec;
use core::fmt;

use super::contract::{Contract, ContractError};
use super::message::Peer;
use crate::ident::{Cid, GroupKey, GroupName, ProcessId, ViewId};
use crate::view::View;

/// What a source of views has to learn from a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MembershipRequest {
    /// This process wants to be a member; said again after [`crate::Node::handle_excluded`], and
    /// when it has moved to another address ([`crate::Node::set_addr`]): the others learn that with
    /// the next start_change.
    Join {
        /// Of which group.
        group: GroupName,
        /// What the others have to know of it.
        peer: Peer,
        /// The next cid has to be above this (M2).
        last_cid: Cid,
        /// The id of the next view has to be above this (M6).
        last_view: ViewId,
    },
    /// These members, and no others, owe this process something for too long.
    Accuse {
        /// Of which group.
        group: GroupName,
        /// Ascending; empty: nobody any more.
        accused: Vec<ProcessId>,
    },
    /// This process is no member any more.
    Leave {
        /// Of which group.
        group: GroupName,
    },
}

/// Why what a source of views says is refused; nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembershipError {
    /// The node is not in the group, or a server decides about it, or it was excluded and has not
    /// asked to join again.
    NotJoined,
    /// The set is larger than [`crate::GroupConfig::members_max`].
    TooLarge {
        /// Processes in the set.
        members: usize,
        /// The bound.
        max: usize,
    },
    /// It breaks the contract.
    Contract(ContractError),
}

impl fmt::Display for MembershipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJoined => f.write_str(
                "this node does not wait for views of the group: call join_external first, and answer \
                 MembershipRequest::Join",
            ),
            Self::TooLarge { members, max } => write!(
                f,
                "the set has {members} processes and members_max is {max}: raise it, or propose fewer"
            ),
            Self::Contract(rule) => rule.fmt(f),
        }
    }
}

impl core::error::Error for MembershipError {}

impl From<ContractError> for MembershipError {
    fn from(rule: ContractError) -> Self {
        Self::Contract(rule)
    }
}

#[derive(Debug)]
struct Entry {
    group: GroupName,
    key: GroupKey,
    members_max: usize,
    contract: Contract,
    /// What the next [`MembershipRequest::Join`] says.
    past: (Cid, ViewId),
    /// What is said to it counts.
    attached: bool,
    /// The source has to learn that it wants to join.
    joins: bool,
    /// The source has to learn whom it accuses, if that has changed.
    accuses: Option<Vec<ProcessId>>,
    /// The group was left, and the source has to learn it; then the entry goes.
    left: bool,
}

/// The groups of a node whose membership somebody else decides.
#[derive(Debug, Default)]
pub(crate) struct External {
    /// Those that were left until the source has learned it; in the order of joining.
    entries: Vec<Entry>,
}

impl External {
    /// Groups that are joined, or left and the source has not learned it.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// A group is about to be joined that is not joined.
    pub(crate) fn add(&mut self, group: &GroupName, members_max: usize, past: (Cid, ViewId)) {
        self.entries.push(Entry {
            group: group.clone(),
            key: group.key(),
            members_max,
            contract: Contract::new(past.0, past.1),
            past,
            attached: false,
            joins: false,
            accuses: None,
            left: false,
        });
    }

    fn find(&mut self, key: GroupKey) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.key == key && !entry.left)
    }

    fn attached(&mut self, key: GroupKey) -> Result<&mut Entry, MembershipError> {
        let entry = self.find(key).filter(|entry| entry.attached);
        entry.ok_or(MembershipError::NotJoined)
    }

    /// Whether the group is joined and its views come from a source of one's own.
    pub(super) fn has(&self, key: GroupKey) -> bool {
        self.entries.iter().any(|entry| entry.key == key && !entry.left)
    }

    /// The endpoint wants to be a member.
    pub(super) fn attach(&mut self, key: GroupKey) {
        if let Some(entry) = self.find(key) {
            (entry.attached, entry.joins) = (true, true);
        }
    }

    /// What the source knows of this process is out of date.
    pub(super) fn join_again(&mut self) {
        for entry in self.entries.iter_mut().filter(|entry| entry.attached) {
            entry.joins = true;
        }
    }

    /// The endpoint is no member any more.
    pub(super) fn detach(&mut self, key: GroupKey) {
        if let Some(entry) = self.find(key) {
            entry.left = true;
        }
    }

    /// Replaces the set of members that the endpoint accuses.
    pub(super) fn accuse(&mut self, key: GroupKey, accused: &[ProcessId]) {
        if let Ok(entry) = self.attached(key) {
            entry.accuses = Some(accused.to_vec());
        }
    }

    /// A change is proposed to process `me`.
    pub(crate) fn start_change(
        &mut self,
        me: ProcessId,
        key: GroupKey,
        cid: Cid,
        peers: &[Peer],
    ) -> Result<(), MembershipError> {
        let entry = self.attached(key)?;
        let (members, max) = (peers.len(), entry.members_max);
        if members > max {
            return Err(MembershipError::TooLarge { members, max });
        }
        entry.contract.start_change(me, cid, peers)?;
        entry.past.0 = cid;
        Ok(())
    }

    /// A view is announced to process `me`.
    pub(crate) fn view(
        &mut self,
        me: ProcessId,
        key: GroupKey,
        view: &View,
    ) -> Result<(), MembershipError> {
        let entry = self.attached(key)?;
        entry.contract.view(me, view)?;
        entry.past.1 = view.id();
        Ok(())
    }

    /// The source does not know the process any more.
    pub(crate) fn exclude(&mut self, key: GroupKey) -> Result<(), MembershipError> {
        let entry = self.attached(key)?;
        (entry.attached, entry.joins, entry.accuses) = (false, false, None);
        entry.contract.drop_change();
        Ok(())
    }

    /// The next that the source has to learn.
    pub(crate) fn poll(&mut self, peer: Peer) -> Option<MembershipRequest> {
        let is_due = |e: &Entry| e.left || e.joins || e.accuses.is_some();
        let at = self.entries.iter().position(is_due)?;
        if self.entries[at].left {
            return Some(MembershipRequest::Leave { group: self.entries.remove(at).group });
        }
        let entry = &mut self.entries[at];
        let group = entry.group.clone();
        if core::mem::take(&mut entry.joins) {
            let (last_cid, last_view) = entry.past;
            return Some(MembershipRequest::Join { group, peer, last_cid, last_view });
        }
        let accused = entry.accuses.take()?;
        Some(MembershipRequest::Accuse { group, accused })
    }
}
