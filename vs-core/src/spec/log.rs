//! What the traces say about one group, as small as a run with millions of events asks for.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::ident::{Cid, Incarnation, ProcessId};
use crate::order::{Order, Stage};
use crate::time::Time;
use crate::trace::{CallKind, CallResult, Event, StateEvent, ToldCluster};
use crate::view::View;

/// The number of a view in a group, in the order of first mention. Views are equal only if all
/// three components are.
pub(super) type ViewIndex = u32;

/// A record, kept small: a run may have millions.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) trace: u32,
    pub(super) line: u32,
    pub(super) step: Step,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A trace begins: the process is in its initial view, whatever came before.
    Begin,
    /// What its members were promised.
    Join {
        order: Order,
        clusters: bool,
    },
    Start,
    StartChange {
        cid: Cid,
        set: Box<[ProcessId]>,
    },
    MbrView(ViewIndex),
    Block,
    BlockOk,
    Send(Message),
    Deliver {
        from: ProcessId,
        message: Message,
        stage: Stage,
    },
    /// From here on promises reach to this set alone.
    Signal(Box<[ProcessId]>),
    Sync,
    /// A packet is forwarded. The trace does not tell which messages the packet holds.
    Forward,
    View {
        view: ViewIndex,
        transitional: Box<[ProcessId]>,
        clusters: Option<Box<[ToldCluster]>>,
    },
    Primary,
    Lapsed,
    Restored,
    /// The application did not take some of what was delivered to it.
    Gap,
    /// The replica of the process did something, and neither asked nor was answered.
    State(StateEvent),
    Call {
        client: u64,
        no: u64,
        kind: CallKind,
        hash: u64,
        ts: Time,
    },
    Reply {
        client: u64,
        no: u64,
        kind: CallKind,
        result: CallResult,
        ts: Time,
    },
    Leave,
    Crash,
    /// What the process does until it starts again is not in the trace.
    BrokenOff,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Message {
    pub(super) n: u64,
    pub(super) hash: u64,
    pub(super) len: u64,
}

/// What one trace says about a process in one group.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) items: Vec<Item>,
    pub(super) from: Time,
    pub(super) to: Time,
}

/// What was said about one group.
#[derive(Debug, Default)]
pub(super) struct GroupLog {
    /// By process, then incarnation, then position among the traces.
    pub(super) parts: BTreeMap<(ProcessId, Incarnation, usize), Part>,
    pub(super) views: Vec<View>,
    /// Whether its members have a replicated state.
    pub(super) has_state: bool,
    /// For lookups only.
    view_index: HashMap<View, ViewIndex>,
}

impl GroupLog {
    fn view(&mut self, view: &View) -> ViewIndex {
        if let Some(&index) = self.view_index.get(view) {
            return index;
        }
        let index = small(self.views.len() as u64);
        self.views.push(view.clone());
        self.view_index.insert(view.clone(), index);
        index
    }

    /// The step that an event at `ts` is.
    pub(super) fn step(&mut self, ts: Time, event: &Event) -> Step {
        match event {
            Event::Join { order, clusters } => Step::Join { order: *order, clusters: *clusters },
            Event::Signal { transitional } => Step::Signal(transitional.as_slice().into()),
            Event::Start { .. } => Step::Start,
            Event::StartChange { cid, set } => {
                Step::StartChange { cid: *cid, set: set.as_slice().into() }
            }
            Event::MbrView { view } => Step::MbrView(self.view(view)),
            Event::Block => Step::Block,
            Event::BlockOk => Step::BlockOk,
            &Event::Send { n, hash, len } => Step::Send(Message { n, hash, len }),
            &Event::Deliver { from, n, hash, len, stage } => {
                Step::Deliver { from, message: Message { n, hash, len }, stage }
            }
            Event::Sync { .. } => Step::Sync,
            Event::Forward { .. } => Step::Forward,
            Event::View { view, transitional, clusters } => {
                let (transitional, clusters) = (transitional.as_slice().into(), clusters.clone());
                Step::View { view: self.view(view), transitional, clusters }
            }
            Event::Primary => Step::Primary,
            Event::Lapsed => Step::Lapsed,
            Event::Restored => Step::Restored,
            Event::Gap { .. } => Step::Gap,
            Event::State(event) => {
                self.has_state = true;
                match *event {
                    StateEvent::Call { client, no, kind, hash } => {
                        Step::Call { client, no, kind, hash, ts }
                    }
                    StateEvent::Reply { client, no, kind, result, .. } => {
                        Step::Reply { client, no, kind, result, ts }
                    }
                    event => Step::State(event),
                }
            }
            Event::Leave => Step::Leave,
            Event::Crash => Step::Crash,
            Event::BrokenOff => Step::BrokenOff,
        }
    }
}

/// Positions beyond 2^32 are shown as 2^32 - 1; nothing is decided by them.
pub(super) fn small(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
