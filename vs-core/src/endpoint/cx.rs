//! What a node lends to an endpoint.

use crate::ident::{GroupName, Identity};
use crate::member::membership::Membership;
use crate::pool::Pool;
use crate::seal::Keys;
use crate::status::Counters;
use crate::time::Time;
use crate::trace::{Event, Mark, Tracer};

/// The parts of a node that its endpoints share, lent to one of them for the time of a call.
pub(crate) struct Cx<'a> {
    pub(crate) now: Time,
    pub(crate) identity: &'a Identity,
    /// Groups of the node.
    pub(crate) groups: usize,
    /// What is sealed with, if anything is.
    pub(crate) keys: Option<&'a Keys>,
    pub(crate) pool: &'a mut Pool,
    pub(crate) membership: &'a mut Membership,
    pub(crate) counters: &'a mut Counters,
    pub(crate) tracer: &'a mut dyn Tracer,
}

impl Cx<'_> {
    /// A rare situation occurred.
    pub(super) fn mark(&mut self, mark: Mark) {
        self.tracer.mark(mark);
    }

    /// Records an event of `group`; call only if the tracer is enabled.
    pub(super) fn record(&mut self, group: &GroupName, event: Event) {
        self.tracer.record(self.now, self.identity.process, group, event);
    }
}
