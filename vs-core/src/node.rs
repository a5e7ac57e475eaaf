//! The node: one process, many groups.

use core::net::SocketAddr;

use crate::action::*;
use crate::config::{ConfigError, GroupConfig, NodeConfig};
use crate::ident::{GroupKey, GroupName, Incarnation, ProcessId};
use crate::time::Time;
use crate::trace::Tracer;
use crate::view::View;

/// Who a node is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The process id, the same after every recovery; at most 2^53 − 1.
    pub process: ProcessId,
    /// Grows with every start of the process (for example milliseconds of UNIX time); at most 2^53 − 1.
    pub incarnation: Incarnation,
    /// Where peers reach this node's unicast socket.
    pub addr: SocketAddr,
    /// Seed of all random choices of the node (delays of repairs).
    pub seed: u64,
}

/// What a node counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams handed in.
    pub datagrams: u64,
    /// … of which malformed or of another protocol.
    pub malformed: u64,
}

/// One process. See the crate's documentation for the driving contract.
#[derive(Debug)]
pub struct Node<T: Tracer = ()> {
    tracer: T,
}

#[allow(unused_variables)]
impl<T: Tracer> Node<T> {
    /// Makes a node that knows of `servers` membership servers (positions of the runtime's list).
    ///
    /// # Errors
    /// Names the field of `config` or `identity` that cannot be used.
    pub fn new(
        config: NodeConfig,
        identity: Identity,
        servers: usize,
        tracer: T,
    ) -> Result<Self, ConfigError> {
        unimplemented!()
    }
    /// Joins.
    pub fn join(
        &mut self,
        now: Time,
        group: &GroupName,
        config: GroupConfig,
    ) -> Result<GroupKey, JoinError> {
        unimplemented!()
    }
    /// Leaves the group: the membership service is told, [`Action::Left`] follows at once.
    pub fn leave(&mut self, now: Time, group: GroupKey) -> bool {
        unimplemented!()
    }
    /// Sends.
    pub fn send(&mut self, now: Time, group: GroupKey, payload: &[u8]) -> Result<Sent, SendError> {
        unimplemented!()
    }
    /// Answers [`Action::Block`].
    pub fn block_ok(&mut self, now: Time, group: GroupKey) -> Result<(), BlockOkError> {
        unimplemented!()
    }
    /// A datagram arrived.
    pub fn handle_datagram(&mut self, now: Time, bytes: &[u8]) -> Verdict {
        unimplemented!()
    }
    /// The connection to the server asked for by [`LinkCommand::Connect`] is up.
    pub fn handle_connected(&mut self, now: Time) {
        unimplemented!()
    }
    /// Bytes arrived from the server.
    pub fn handle_stream(&mut self, now: Time, bytes: &[u8]) {
        unimplemented!()
    }
    /// The connection failed or ended.
    pub fn handle_disconnected(&mut self, now: Time) {
        unimplemented!()
    }
    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Time) {
        unimplemented!()
    }
    /// The next datagram, or run of up to `segments_max` equal-sized datagrams for one destination.
    pub fn poll_transmit(
        &mut self,
        now: Time,
        out: &mut [u8],
        segments_max: usize,
    ) -> Option<Transmit> {
        unimplemented!()
    }
    /// What to do with the connection to the membership server.
    pub fn poll_link(&mut self) -> Option<LinkCommand> {
        unimplemented!()
    }
    /// Bytes that wait to be written to the server.
    pub fn stream_output(&self) -> &[u8] {
        unimplemented!()
    }
    /// `n` bytes of [`Node::stream_output`] were written.
    pub fn stream_consumed(&mut self, n: usize) {
        unimplemented!()
    }
    /// What the application has to hear next.
    pub fn poll_action(&mut self, now: Time) -> Option<Action<'_>> {
        unimplemented!()
    }
    /// When to call [`Node::handle_timeout`], and what for.
    pub fn poll_timeout(&self) -> Option<(Time, Wake)> {
        unimplemented!()
    }
    /// The view that the group is in.
    pub fn view(&self, group: GroupKey) -> Option<&View> {
        unimplemented!()
    }
    /// The name of a joined group.
    pub fn group_name(&self, group: GroupKey) -> Option<&GroupName> {
        unimplemented!()
    }
    /// Data addresses of the other members of the group's view and of the change under way.
    pub fn group_addresses(&self, group: GroupKey) -> impl Iterator<Item = SocketAddr> + '_ {
        core::iter::empty()
    }
    /// The tracer.
    pub fn tracer_mut(&mut self) -> &mut T {
        &mut self.tracer
    }
    /// The counters.
    pub fn counters(&self) -> &Counters {
        unimplemented!()
    }
}
