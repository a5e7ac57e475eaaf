//! What a replica needs of its group.

use crate::endpoint::{DirectError, SendError};
use crate::ident::{GroupKey, ProcessId};
use crate::node::Node;
use crate::time::Time;
use crate::trace::{Event, Tracer};

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

    /// Whether [`Port::record`] writes to a trace. By default it does not, and the replica tells
    /// nothing.
    fn is_traced(&self) -> bool {
        false
    }

    /// Writes what the replica did to the trace of its process, before it takes effect outside.
    fn record(&mut self, _event: Event) {}
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

    fn is_traced(&self) -> bool {
        self.node.tracer().enabled()
    }

    fn record(&mut self, event: Event) {
        let process = self.node.process();
        if let Some(name) = self.node.group_name(self.group).cloned() {
            self.node.tracer_mut().record(self.now, process, &name, event);
        }
    }
}
