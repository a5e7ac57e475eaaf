//! Takes records in, in any order of traces, and keeps of them what the properties ask for.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::model::Group;
use super::report::{Counts, Findings, Report};
use super::{Options, judge};
use crate::ident::{Cid, GroupName, Incarnation, ProcessId};
use crate::time::Time;
use crate::trace::{Event, Header, Record};
use crate::view::View;

/// A view of a group, by the order in which it was first mentioned. Equal only if all three components are equal.
pub(super) type ViewIndex = u32;

/// A record, as small as a run with millions of them asks for.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) trace: u32,
    pub(super) line: u32,
    pub(super) step: Step,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A trace begins: whatever came before it, the process is in its initial view.
    Begin,
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
    },
    Sync,
    /// Which messages a forwarded packet holds is not in the trace.
    Forward,
    View {
        view: ViewIndex,
        transitional: Box<[ProcessId]>,
    },
    Primary,
    Leave,
    Crash,
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
    /// For looking up only.
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

    fn step(&mut self, event: &Event) -> Step {
        match event {
            Event::Start { .. } => Step::Start,
            Event::StartChange { cid, set } => {
                Step::StartChange { cid: *cid, set: set.as_slice().into() }
            }
            Event::MbrView { view } => Step::MbrView(self.view(view)),
            Event::Block => Step::Block,
            Event::BlockOk => Step::BlockOk,
            &Event::Send { n, hash, len } => Step::Send(Message { n, hash, len }),
            &Event::Deliver { from, n, hash, len } => {
                Step::Deliver { from, message: Message { n, hash, len } }
            }
            Event::Sync { .. } => Step::Sync,
            Event::Forward { .. } => Step::Forward,
            Event::View { view, transitional } => {
                let transitional = transitional.as_slice().into();
                Step::View { view: self.view(view), transitional }
            }
            Event::Primary => Step::Primary,
            Event::Leave => Step::Leave,
            Event::Crash => Step::Crash,
        }
    }
}

/// Takes the records of any number of traces, one by one, and judges them in the end. It keeps about 50 bytes a
/// record, so that the trace of a long run need not be in memory as a whole.
#[derive(Debug, Default)]
pub struct Collector {
    incarnations: Vec<Incarnation>,
    groups: BTreeMap<GroupName, GroupLog>,
    counts: Counts,
}

impl Collector {
    /// A collector without traces.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Announces a trace: its position, by which [`Collector::record`] and [`super::Evidence`] refer to it. Several
    /// traces of one process are put in the order of their incarnations. Where one begins before another one of the same id
    /// has ended, two processes ran under that id, each of which is judged for itself.
    pub fn trace(&mut self, header: &Header) -> usize {
        self.counts.traces += 1;
        self.incarnations.push(header.incarnation);
        self.incarnations.len() - 1
    }

    /// Takes the next record of `trace`, which stands on `line`. Traces may be interleaved.
    pub fn record(&mut self, trace: usize, line: u64, record: &Record) {
        if !self.groups.contains_key(&record.group) {
            self.groups.insert(record.group.clone(), GroupLog::default());
        }
        let Some(group) = self.groups.get_mut(&record.group) else { return };
        let step = group.step(&record.event);
        self.counts.events += 1;
        match step {
            Step::Send(_) => self.counts.sent += 1,
            Step::Deliver { .. } => self.counts.delivered += 1,
            Step::View { .. } => self.counts.installations += 1,
            _ => {}
        }
        let incarnation = self.incarnations.get(trace).copied().unwrap_or_default();
        let (index, ts) = (small(trace as u64), record.ts);
        let part = group.parts.entry((record.process, incarnation, trace)).or_insert_with(|| {
            let begin = Item { trace: index, line: 1, step: Step::Begin };
            Part { items: Vec::from([begin]), from: ts, to: ts }
        });
        part.to = part.to.max(ts);
        part.items.push(Item { trace: index, line: small(line), step });
    }

    /// Judges what was collected.
    #[must_use]
    pub fn finish(self, options: &Options) -> Report {
        let mut counts = self.counts;
        counts.groups = self.groups.len() as u64;
        let mut findings = Findings::new(options.violations_max, counts);
        for (name, log) in self.groups {
            judge(&Group::new(name, log), options, &mut findings);
        }
        findings.finish()
    }
}

/// Positions beyond 2^32 are shown as 2^32 - 1; nothing is decided by them.
fn small(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
