//! Messages to one member, and what a replica needs of a group that a driver carries.

use vs_core::ident::{GroupKey, ProcessId};
use vs_core::replica::{NodePort, Port};
use vs_core::trace::{Event, Tracer};
use vs_core::{DirectError, SendError};

use super::Driver;

impl<T: Tracer> Driver<T> {
    /// See [`vs_core::Node::send_direct`]. The message goes out with the next [`Driver::advance`].
    ///
    /// # Errors
    /// As there.
    pub fn send_direct(
        &mut self,
        group: GroupKey,
        to: ProcessId,
        message: &[u8],
    ) -> Result<(), DirectError> {
        self.node.send_direct(self.now, group, to, message)
    }

    /// See [`vs_core::Node::poll_direct`].
    pub fn poll_direct(&mut self, group: GroupKey) -> Option<(ProcessId, &[u8])> {
        self.node.poll_direct(group)
    }
}

/// A group of a driver, for a [`vs_core::replica::Replica`] in a loop of one's own.
#[derive(Debug)]
pub struct DriverPort<'a, T: Tracer> {
    /// The driver.
    pub driver: &'a mut Driver<T>,
    /// The group.
    pub group: GroupKey,
}

impl<T: Tracer> Port for DriverPort<'_, T> {
    fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        self.driver.send(self.group, message).map(drop)
    }

    fn send_direct(&mut self, to: ProcessId, message: &[u8]) -> Result<(), DirectError> {
        self.driver.send_direct(self.group, to, message)
    }

    fn direct_bytes_max(&self) -> usize {
        self.driver.node().direct_bytes_max(self.group)
    }

    fn is_traced(&self) -> bool {
        self.driver.node.tracer().enabled()
    }

    fn record(&mut self, event: Event) {
        let now = self.driver.recent_time();
        NodePort { node: &mut self.driver.node, group: self.group, now }.record(event);
    }
}
