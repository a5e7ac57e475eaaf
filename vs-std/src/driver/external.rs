//! Between a driver and the application's own source of views.

use vs_core::View;
use vs_core::ident::{Cid, GroupKey};
use vs_core::member::{MembershipError, MembershipRequest, Peer};
use vs_core::seal::Secret;
use vs_core::trace::Tracer;

use super::Driver;

impl<T: Tracer> Driver<T> {
    /// What the source of views has to learn, with [`crate::Membership::External`] alone: see
    /// [`vs_core::Node::poll_membership`].
    pub fn poll_membership(&mut self) -> Option<MembershipRequest> {
        self.node.poll_membership()
    }

    /// See [`vs_core::Node::handle_start_change`].
    ///
    /// # Errors
    /// As there.
    pub fn handle_start_change(
        &mut self,
        group: GroupKey,
        cid: Cid,
        peers: &[Peer],
    ) -> Result<(), MembershipError> {
        self.node.handle_start_change(self.clock.now(), group, cid, peers)
    }

    /// See [`vs_core::Node::handle_mbr_view`].
    ///
    /// # Errors
    /// As there.
    pub fn handle_mbr_view(
        &mut self,
        group: GroupKey,
        view: View,
        secret: Option<Secret>,
    ) -> Result<(), MembershipError> {
        self.node.handle_mbr_view(self.clock.now(), group, view, secret)
    }

    /// See [`vs_core::Node::handle_excluded`].
    ///
    /// # Errors
    /// As there.
    pub fn handle_excluded(&mut self, group: GroupKey) -> Result<(), MembershipError> {
        self.node.handle_excluded(self.clock.now(), group)
    }
}
