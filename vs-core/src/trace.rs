//! What a process saw, as values: the events of a trace.
//!
//! Every runtime and the simulator write the same trace (feature `json`: `crate::trace_json`), and
//! the checker of [`crate::spec`] reads it. The node calls its [`Tracer`] synchronously, before the
//! event takes effect outside the process. A runtime that hands each line to the kernel at once
//! loses no event that others could have seen, even when it is killed.

mod mark;
mod observation;
mod state;

use alloc::boxed::Box;

use smallvec::SmallVec;

use crate::ident::{Cid, GroupName, IDS_PER_MS, Incarnation, ProcessId, Seq};
use crate::order::{Order, Stage};
use crate::time::Time;
use crate::view::{Cluster, Clusters, Members, View};

pub use mark::Mark;
pub use observation::{BlockState, Observation, ObservedStep, ObservedSync};
pub use state::{CallKind, CallResult, ReplyResult, StateEvent};

/// The first line of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The process.
    pub process: ProcessId,
    /// Its incarnation when the trace begins.
    pub incarnation: Incarnation,
    /// Who wrote it: `mio`, `std`, `sim`, …
    pub runtime: alloc::string::String,
}

/// One line of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Nanoseconds, of UNIX time or of the simulator.
    pub ts: Time,
    /// The process that saw the event.
    pub process: ProcessId,
    /// The group that it belongs to.
    pub group: GroupName,
    /// What happened.
    pub event: Event,
}

impl Record {
    /// How far time has come by this record, in ms of UNIX time: its own time, and the numbers of
    /// changes and views, which servers count in milliseconds ([`IDS_PER_MS`]). A process that
    /// starts above all that its trace has reached keeps M2 and M6, whatever its clock says.
    #[must_use]
    pub fn reached_ms(&self) -> u64 {
        let counted = match &self.event {
            Event::StartChange { cid, .. } => cid.0,
            Event::MbrView { view } | Event::View { view, .. } => view.id().major,
            _ => 0,
        };
        self.ts.as_millis().max(counted / IDS_PER_MS)
    }
}

/// What a process saw.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The group has an order other than FIFO, or clusters. It comes before all other events of an
    /// incarnation.
    Join {
        /// The order.
        order: Order,
        /// Whether views tell clusters.
        clusters: bool,
    },
    /// The process starts or recovers: its view is its initial singleton.
    Start {
        /// The new incarnation.
        incarnation: Incarnation,
    },
    /// The membership service proposes a change.
    StartChange {
        /// The local id of the change.
        cid: Cid,
        /// Who may be in the next view.
        set: Members,
    },
    /// The membership service announces a view.
    MbrView {
        /// The view.
        view: Box<View>,
    },
    /// The application is asked to stop sending.
    Block,
    /// The application has stopped sending.
    BlockOk,
    /// The application's `n`-th message in its current view is accepted.
    Send {
        /// From 1 in each view.
        n: u64,
        /// FNV-1a of the payload.
        hash: u64,
        /// Bytes of the payload.
        len: u64,
    },
    /// A message is delivered to the application, in its current view.
    Deliver {
        /// The sender.
        from: ProcessId,
        /// The sender's number of the message in the view.
        n: u64,
        /// FNV-1a of the payload.
        hash: u64,
        /// Bytes of the payload.
        len: u64,
        /// How far the promise of the order reaches.
        stage: Stage,
    },
    /// The transitional signal of the current view: from here on promises reach to the
    /// transitional set alone.
    Signal {
        /// The transitional set.
        transitional: Members,
    },
    /// A sync message is sent.
    Sync {
        /// The sender's local id for the change.
        cid: Cid,
        /// The view that the sender is in.
        view: Box<View>,
        /// Packets received gap-free, per member of `view`.
        cut: SmallVec<[(ProcessId, Seq); 4]>,
        /// Up to which slot of a safe order everything is known to be at all members; 0 in groups
        /// of another order.
        safe: Seq,
    },
    /// A packet of a member that does not come along is handed on.
    Forward {
        /// To whom.
        to: ProcessId,
        /// Whose packet.
        from: ProcessId,
        /// The packet's number.
        packet: Seq,
        /// The view that the packet belongs to.
        view: Box<View>,
    },
    /// A view is delivered to the application.
    View {
        /// The view.
        view: Box<View>,
        /// The transitional set.
        transitional: Members,
        /// Who came with whom, in a group with clusters.
        clusters: Option<Box<[ToldCluster]>>,
    },
    /// The view that the process is in is primary from here on (S4).
    Primary,
    /// The view that the process is in does not hold for it any more: it hears too little of the
    /// others. If the view was primary, it is again from the next [`Event::Primary`] on.
    Lapsed,
    /// The current view of [`Event::Lapsed`] holds again, in a group without processes that make a
    /// view primary.
    Restored,
    /// The application of the process did not take messages that were delivered to it: it reads too
    /// slowly, and its runtime was told to skip them.
    Gap {
        /// How many of those that were delivered since the last gap.
        messages: u64,
    },
    /// The replica of the process did something ([`crate::replica`]).
    State(StateEvent),
    /// The process leaves the group cleanly; it is in its initial view again.
    Leave,
    /// The process crashes (written by the simulator only).
    Crash,
    /// The trace breaks off here: what the process does from here on is not written down, until it
    /// starts again.
    BrokenOff,
}

/// Members of a view that came together, as a process was told ([`crate::Clusters`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldCluster {
    /// Who they are, ascending.
    pub members: Members,
    /// Whether they come from their initial view.
    pub fresh: bool,
}

impl ToldCluster {
    /// All of `clusters`.
    #[must_use]
    pub fn all(clusters: &Clusters) -> Box<[Self]> {
        let told = |cluster: Cluster<'_>| Self {
            members: Members::from_slice(cluster.members),
            fresh: cluster.fresh,
        };
        clusters.iter().map(told).collect()
    }
}

/// A whole trace: what one process saw, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The first line.
    pub header: Header,
    /// The lines after it.
    pub lines: alloc::vec::Vec<Line>,
}

/// A record and where it stands in its trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The number of the line, from 1 (the header).
    pub number: u64,
    /// The record.
    pub record: Record,
}

impl Trace {
    /// A trace of records that were never written down: numbered as if they had been.
    #[must_use]
    pub fn from_records(header: Header, records: alloc::vec::Vec<Record>) -> Self {
        let lines = (2..).zip(records).map(|(number, record)| Line { number, record }).collect();
        Self { header, lines }
    }
}

/// Where a node's events go.
///
/// A tracer is shown what happens, and can neither answer nor reach the node. `()` observes nothing
/// and costs nothing.
pub trait Tracer {
    /// Whether [`Tracer::record`] wants to be called. Payloads are hashed only then.
    fn enabled(&self) -> bool {
        true
    }

    /// Takes one event of `process` in `group`. `now` never goes backwards.
    fn record(&mut self, now: Time, process: ProcessId, group: &GroupName, event: Event);

    /// Is shown each step of an endpoint before it is recorded. Without an action, the step is
    /// something that arrived. `state` copies the state after the step; a tracer that does not call
    /// it costs nothing.
    fn observe(
        &mut self,
        _now: Time,
        _group: &GroupName,
        _action: Option<&Event>,
        _state: &dyn Fn() -> Observation,
    ) {
    }

    /// Is told of a rare situation.
    fn mark(&mut self, _mark: Mark) {}
}

impl Tracer for () {
    fn enabled(&self) -> bool {
        false
    }

    fn record(&mut self, _: Time, _: ProcessId, _: &GroupName, _: Event) {}
}

/// Collects records in memory, for tests and the simulator.
impl Tracer for alloc::vec::Vec<Record> {
    fn record(&mut self, ts: Time, process: ProcessId, group: &GroupName, event: Event) {
        self.push(Record { ts, process, group: group.clone(), event });
    }
}
