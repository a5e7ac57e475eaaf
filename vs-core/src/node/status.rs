//! What an operator is told of a node.

use core::net::SocketAddr;

use super::Node;
use crate::endpoint::{Endpoint, WaitsFor};
use crate::ident::GroupKey;
use crate::status::{GROUPS_LISTED_MAX, Listed, NodeStatus};
use crate::trace::Tracer;

impl<T: Tracer> Node<T> {
    /// What a message to `group` waits for that [`Node::send`] refused with
    /// [`crate::SendError::WindowFull`]; `None` if there is room, or no such group.
    #[must_use]
    pub fn waits_for(&self, group: GroupKey) -> Option<WaitsFor> {
        self.groups.get(group)?.waits_for()
    }

    /// What the node sees now, with the membership `server` that the runtime is connected to. Takes
    /// time with what it lists, and counts the rest.
    #[must_use]
    pub fn status(&self, server: Option<SocketAddr>) -> NodeStatus {
        NodeStatus {
            process: self.shared.identity.process,
            incarnation: self.shared.identity.incarnation,
            server,
            counters: self.shared.counters,
            overflowed: 0,
            slots: self.shared.pool.slots(),
            slots_used: self.shared.pool.used(),
            groups: Listed::new(self.groups.iter(), GROUPS_LISTED_MAX, Endpoint::status),
        }
    }
}
