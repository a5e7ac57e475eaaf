//! Records the events of simulated nodes and steps the specification beside them.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;

use crate::ident::{GroupKey, GroupName, ProcessId};
use crate::sim::arrived::Arrived;
use crate::sim::defect::Defect;
use crate::sim::mark::Marks;
use crate::sim::moment::Moment;
use crate::sim::site::Site;
use crate::spec::refine::{EndPoint, Refinement, Refuted};
use crate::time::Time;
use crate::trace::{Event, Mark, Observation, ObservedStep, Record, Tracer};
use crate::wire::packet;

/// The specification of a group, and the processes that step in it.
#[derive(Debug, Default)]
struct Stepped {
    refinement: Refinement,
    /// Of two processes under one id the one that was alone when it began; the other does not exist
    /// for the specification.
    known: BTreeMap<ProcessId, Site>,
    /// The other one was told of a change. To the specification they are one process, whose lives
    /// follow each other: nothing more can be said.
    split: bool,
}

impl Stepped {
    /// Whether what is done at `site` is a step of the process `p` of the specification.
    fn admits(&mut self, site: Site, p: ProcessId, action: Option<&Event>) -> bool {
        let known = self.known.get(&p).copied();
        match action {
            Some(Event::Start { .. }) if known.is_none() => {
                self.known.insert(p, site);
                return true;
            }
            Some(Event::Leave | Event::Crash) if known == Some(site) => {
                self.known.remove(&p);
                return true;
            }
            Some(Event::Join { .. }) => return true,
            Some(Event::StartChange { .. }) => self.split |= known != Some(site),
            _ => {}
        }
        known == Some(site) && !self.split
    }
}

/// Is shown each step that the specification is told of, before it judges it.
pub type StepObserver = Box<dyn FnMut(&GroupName, &ObservedStep<'_>)>;

/// The specification of each group, stepped beside the nodes of a world.
#[derive(Default)]
pub(crate) struct Beside {
    groups: BTreeMap<GroupName, Stepped>,
    /// What came to each incarnation. Nothing is known of that in a world that seals.
    arrived: BTreeMap<(Site, GroupKey), Arrived>,
    seals: bool,
    observer: Option<StepObserver>,
    /// Steps that were checked.
    pub(crate) steps: u64,
    /// The first step that is not allowed. Nothing can be said after it.
    refuted: Option<Defect>,
}

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beside").field("steps", &self.steps).finish_non_exhaustive()
    }
}

impl Beside {
    pub(crate) fn new(seals: bool, observer: Option<StepObserver>) -> Self {
        Self { seals, observer, ..Self::default() }
    }

    /// A datagram is handed to the process at `site`.
    pub(crate) fn hand_over(&mut self, site: Site, bytes: &mut [u8]) {
        if let Ok(packet) = packet::open(bytes) {
            self.arrived.entry((site, packet.header.group)).or_default().note(&packet);
        }
    }

    /// A step of the process at `site`. Without a state, its incarnation has ended.
    pub(crate) fn step(
        &mut self,
        at: Time,
        group: &GroupName,
        site: Site,
        action: Option<&Event>,
        after: Option<&Observation>,
    ) {
        let Some(p) = site.process().filter(|_| self.refuted.is_none()) else { return };
        if !self.groups.contains_key(group) {
            self.groups.insert(group.clone(), Stepped::default());
        }
        let Some(stepped) = self.groups.get_mut(group) else { return };
        if stepped.split || !stepped.admits(site, p, action) {
            return;
        }
        self.steps += 1;
        if let Some(observer) = &mut self.observer {
            observer(group, &ObservedStep { process: p, action, after });
        }
        if after.is_none() {
            self.arrived.remove(&(site, group.key()));
        }
        let judged = match after.filter(|_| !self.seals) {
            Some(seen) => {
                let arrived = self.arrived.entry((site, group.key())).or_default();
                let refuted = |refused| Refuted { process: p, action: None, refused };
                arrived.judge(seen).map_err(refuted)
            }
            None => Ok(()),
        };
        let end_point = after.cloned().map(EndPoint::from);
        let stepped = judged.and_then(|()| stepped.refinement.step(p, action, end_point.as_ref()));
        if let Err(refuted) = stepped {
            let (group, refuted) = (group.clone(), Box::new(refuted));
            self.refuted = Some(Defect::Refuted { group, refuted, at });
        }
    }

    pub(crate) fn take_refuted(&mut self) -> Option<Defect> {
        self.refuted.take()
    }
}

/// Messages of one process in its current view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// Own messages that were accepted.
    pub(crate) sent: u64,
    /// Messages that were delivered, of all senders.
    pub(crate) delivered: u64,
}

/// What the processes of a world have shown, besides their traces.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    pub(crate) marks: Marks,
    /// Moments that nobody has taken yet, if anybody asked for them.
    pub(crate) seen: Option<VecDeque<(ProcessId, Moment)>>,
}

/// The tracer of one incarnation of a process.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) site: Site,
    /// How far the clock of its host is ahead, in ns: the times in traces are of one clock.
    pub(crate) ahead_ns: u64,
    pub(crate) records: Vec<Record>,
    /// By group.
    pub(crate) traffic: Vec<(GroupName, Traffic)>,
    pub(crate) watch: Rc<RefCell<Watch>>,
    pub(crate) beside: Option<Rc<RefCell<Beside>>>,
}

impl Recorder {
    /// The messages of the current view of a group.
    pub(crate) fn traffic(&self, group: GroupKey) -> Traffic {
        let found = self.traffic.iter().find(|(name, _)| name.key() == group);
        found.map_or_else(Traffic::default, |(_, traffic)| *traffic)
    }

    fn count(&mut self, group: &GroupName, event: &Event) {
        let found = self.traffic.iter_mut().find(|(name, _)| name == group);
        match (event, found) {
            (Event::Send { .. }, Some((_, traffic))) => traffic.sent += 1,
            (Event::Deliver { .. }, Some((_, traffic))) => traffic.delivered += 1,
            (Event::View { .. }, Some((_, traffic))) => *traffic = Traffic::default(),
            (Event::Leave, _) => self.traffic.retain(|(name, _)| name != group),
            (Event::Start { .. }, _) => self.traffic.push((group.clone(), Traffic::default())),
            _ => {}
        }
    }
}

impl Tracer for Recorder {
    fn record(&mut self, ts: Time, process: ProcessId, group: &GroupName, event: Event) {
        if let (Some(seen), Some(moment), Site::Process(p)) =
            (&mut self.watch.borrow_mut().seen, Moment::of(&event), self.site)
        {
            seen.push_back((p, moment));
        }
        self.count(group, &event);
        let ts = Time(ts.0.saturating_sub(self.ahead_ns));
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
        state: &dyn Fn() -> Observation,
    ) {
        let Some(beside) = &self.beside else { return };
        let left = matches!(action, Some(Event::Leave));
        let after = (!left).then(state);
        beside.borrow_mut().step(now, group, self.site, action, after.as_ref());
    }
}
