//! Groups whose views come from another source than a server of this crate.

use super::{JoinError, Node};
use crate::config::GroupConfig;
use crate::ident::{Cid, GroupKey, GroupName};
use crate::member::{MembershipError, MembershipRequest, Peer};
use crate::seal::Secret;
use crate::time::Time;
use crate::trace::Tracer;
use crate::view::View;

impl<T: Tracer> Node<T> {
    /// Joins `group` with views of another source: no server is asked, and views come only by
    /// [`Node::handle_start_change`] and [`Node::handle_mbr_view`]. See
    /// [`crate::member::external`].
    ///
    /// # Errors
    /// See [`JoinError`]; nothing changed.
    pub fn join_external(
        &mut self,
        now: Time,
        group: &GroupName,
        config: GroupConfig,
    ) -> Result<GroupKey, JoinError> {
        if self.shared.membership.external_groups() >= self.shared.config.groups_max {
            return Err(JoinError::TooManyGroups);
        }
        let key = self.join_by(now, group, config, true)?;
        self.drain_membership();
        Ok(key)
    }

    /// What the source of views has to learn; `None` for groups of [`Node::join`].
    pub fn poll_membership(&mut self) -> Option<MembershipRequest> {
        self.shared.membership.poll_request()
    }

    /// The source of views proposes a change: `peers`, ascending, may be in the next view. `cid` is
    /// this process' own number of the change.
    ///
    /// # Errors
    /// See [`MembershipError`]: for example the rule of the contract that is broken. Nothing
    /// changed.
    pub fn handle_start_change(
        &mut self,
        now: Time,
        group: GroupKey,
        cid: Cid,
        peers: &[Peer],
    ) -> Result<(), MembershipError> {
        self.shared.clamp(now);
        self.shared.membership.handle_start_change(group, cid, peers)?;
        self.drain_membership();
        Ok(())
    }

    /// The source of views announces a view. It is installed when the members have agreed on what
    /// was delivered before. Where this node has keys, the view has a secret, the same for all its
    /// members, which nobody else was ever told: what its members say is sealed with it. Without
    /// keys it is not used.
    ///
    /// # Errors
    /// As [`Node::handle_start_change`].
    pub fn handle_mbr_view(
        &mut self,
        now: Time,
        group: GroupKey,
        view: View,
        secret: Option<Secret>,
    ) -> Result<(), MembershipError> {
        self.shared.clamp(now);
        self.shared.membership.handle_view(group, view, secret)?;
        self.drain_membership();
        Ok(())
    }

    /// The source of views has excluded this process. The process asks to join again as soon as its
    /// application has taken what waits for it.
    ///
    /// # Errors
    /// [`MembershipError::NotJoined`]; nothing changed.
    pub fn handle_excluded(&mut self, now: Time, group: GroupKey) -> Result<(), MembershipError> {
        self.shared.clamp(now);
        self.shared.membership.handle_excluded(group)?;
        self.drain_membership();
        Ok(())
    }
}
