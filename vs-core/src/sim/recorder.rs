//! Where the events of simulated nodes go: into traces, and past the specification.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

use crate::ident::{GroupName, ProcessId};
use crate::sim::mark::{Mark, Marks};
use crate::sim::scenario::Moment;
use crate::sim::world::Defect;
use crate::spec::refine::{EndPoint, Refinement};
use crate::time::Time;
use crate::trace::{Event, Record, Tracer};

/// The specification of each group, stepped beside the nodes of a world.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    groups: BTreeMap<GroupName, Refinement>,
    /// Steps that were looked at.
    pub(crate) steps: u64,
    /// The first step that is not allowed. Nothing can be said after it.
    refuted: Option<Defect>,
}

impl Beside {
    /// A step of `p`; without a state its life has ended.
    pub(crate) fn step(
        &mut self,
        at: Time,
        group: &GroupName,
        p: ProcessId,
        action: Option<&Event>,
        after: Option<&EndPoint>,
    ) {
        if self.refuted.is_some() {
            return;
        }
        if !self.groups.contains_key(group) {
            self.groups.insert(group.clone(), Refinement::new());
        }
        let Some(refinement) = self.groups.get_mut(group) else { return };
        self.steps += 1;
        if let Err(refuted) = refinement.step(p, action, after) {
            let (group, refuted) = (group.clone(), Box::new(refuted));
            self.refuted = Some(Defect::Refuted { group, refuted, at });
        }
    }

    pub(crate) fn take_refuted(&mut self) -> Option<Defect> {
        self.refuted.take()
    }
}

/// What the processes of a world have shown, besides their traces.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    pub(crate) marks: Marks,
    /// Moments that nobody has looked at yet, if anybody wants to know.
    pub(crate) seen: Option<VecDeque<(ProcessId, Moment)>>,
}

/// The tracer of one life of a process.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) process: ProcessId,
    pub(crate) records: Vec<Record>,
    pub(crate) watch: Rc<RefCell<Watch>>,
    pub(crate) beside: Option<Rc<RefCell<Beside>>>,
}

impl Tracer for Recorder {
    fn record(&mut self, ts: Time, process: ProcessId, group: &GroupName, event: Event) {
        if let (Some(seen), Some(moment)) = (&mut self.watch.borrow_mut().seen, Moment::of(&event))
        {
            seen.push_back((process, moment));
        }
        self.records.push(Record { ts, process, group: group.clone(), event });
    }

    fn mark(&mut self, mark: Mark) {
        self.watch.borrow_mut().marks.add(mark);
    }

    fn observe(
        &mut self,
        now: Time,
        group: &GroupName,
        action: Option<&Event>,
        state: &dyn Fn() -> EndPoint,
    ) {
        let Some(beside) = &self.beside else { return };
        let left = matches!(action, Some(Event::Leave));
        let after = (!left).then(state);
        beside.borrow_mut().step(now, group, self.process, action, after.as_ref());
    }
}
