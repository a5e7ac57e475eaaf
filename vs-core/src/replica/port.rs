//! What a replica needs of its group.

use crate::endpoint::{DirectError, SendError};
use crate::ident::{GroupKey, ProcessId};
use crate::node::Node;
use crate::time::Time;
use crate::trace::Tracer;

/// What a replica needs of its group.
pub trait Port {
    /// Multicasts, as [`Node::send`].
    ///
    /// # Errors
    /// As there.
    fn send(&mut self, message: &[u8]) -> Result<(), SendError>;

    /// Sends to one member, as [`Node::send_direct`].
    ///
    /// # Errors
    /// As there.
    fn send_direct(&mut self, to: ProcessId, message: &[u8]) -> Result<(), DirectError>;

    /// As [`Node::direct_bytes_max`].
    fn direct_bytes_max(&self) -> usize;
}

/// A group of a node at some time.
#[derive(Debug)]
pub struct NodePort<'a, T: Tracer> {
    /// The node.
    pub node: &'a mut Node<T>,
    /// The group.
    pub group: GroupKey,
    /// The time.
    pub now: Time,
}

impl<T: Tracer> Port for NodePort<'_, T> {
    fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        self.node.send(self.now, self.group, message).map(drop)
    }

    fn send_direct(&mut self, to: ProcessId, message: &[u8]) -> Result<(), DirectError> {
        self.node.send_direct(self.now, self.group, to, message)
    }

    fn direct_bytes_max(&self) -> usize {
        self.node.direct_bytes_max(self.group)
    }
}
