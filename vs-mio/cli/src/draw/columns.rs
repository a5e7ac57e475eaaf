//! Events as columns of numbers: short to write, and quick to read for the page.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use vs_core::ident::{GroupName, Incarnation, ProcessId};
use vs_core::order::Stage;
use vs_core::trace::{CallKind, Event, Header, Record, StateEvent};
use vs_core::{Time, View};

/// Numbers for values that come again and again.
#[derive(Debug)]
struct Table<T> {
    places: BTreeMap<T, usize>,
    values: Vec<T>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { places: BTreeMap::new(), values: Vec::new() }
    }
}

impl<T: Ord + Clone> Table<T> {
    fn place(&mut self, value: T) -> usize {
        if let Some(place) = self.places.get(&value) {
            return *place;
        }
        self.places.insert(value.clone(), self.values.len());
        self.values.push(value);
        self.values.len() - 1
    }
}

/// An event as numbers: what `a`, `b` and `c` are depends on the kind, which `model.js` knows.
#[derive(Clone, Copy, Debug)]
struct Row {
    group: usize,
    ts: Time,
    kind: u8,
    of: [u64; 3],
}

/// One trace: its process, and its events in the order in which they happened.
#[derive(Debug)]
struct OfTrace {
    process: usize,
    incarnation: Incarnation,
    rows: Vec<Row>,
}

impl OfTrace {
    /// First and last time.
    fn times(&self) -> (Time, Time) {
        let times = || self.rows.iter().map(|row| row.ts);
        (times().min().unwrap_or_default(), times().max().unwrap_or_default())
    }
}

/// Traces that follow each other in time: one line of the picture.
#[derive(Debug)]
struct Lane {
    process: usize,
    last: Time,
    traces: Vec<usize>,
}

/// Everything that is drawn.
#[derive(Debug, Default)]
pub(super) struct Columns {
    /// Those that have a trace, and those that are named in one.
    processes: Table<ProcessId>,
    groups: Table<GroupName>,
    /// Id and members.
    views: Table<(String, usize)>,
    sets: Table<Vec<u64>>,
    traces: Vec<OfTrace>,
}

impl Columns {
    pub(super) fn is_empty(&self) -> bool {
        self.events() == 0
    }

    pub(super) fn events(&self) -> usize {
        self.traces.iter().map(|trace| trace.rows.len()).sum()
    }

    /// How many processes have a trace.
    pub(super) fn processes(&self) -> usize {
        self.traces.iter().map(|trace| trace.process).collect::<BTreeSet<_>>().len()
    }

    /// Begins a trace: what is pushed from here on belongs to it.
    pub(super) fn begin(&mut self, header: &Header) {
        let process = self.processes.place(header.process);
        self.traces.push(OfTrace { process, incarnation: header.incarnation, rows: Vec::new() });
    }

    /// Adds an event to the trace that was begun last.
    pub(super) fn push(&mut self, record: &Record) {
        let Some((kind, of)) = self.numbers(&record.event) else { return };
        let group = self.groups.place(record.group.clone());
        if let Some(trace) = self.traces.last_mut() {
            trace.rows.push(Row { group, ts: record.ts, kind, of });
        }
    }

    fn set(&mut self, members: &[ProcessId]) -> u64 {
        self.sets.place(members.iter().map(|p| p.0).collect()) as u64
    }

    fn view(&mut self, view: &View) -> u64 {
        let members = self.sets.place(view.members().iter().map(|p| p.0).collect());
        self.views.place((view.id().to_string(), members)) as u64
    }

    fn process(&mut self, process: ProcessId) -> u64 {
        self.processes.place(process) as u64
    }

    /// The kind of an event, and what there is to know of it. Nothing of what is not drawn.
    fn numbers(&mut self, event: &Event) -> Option<(u8, [u64; 3])> {
        Some(match event {
            Event::Start { incarnation } => (0, [incarnation.millis(), 0, 0]),
            Event::Leave => (1, [0; 3]),
            Event::Crash => (2, [0; 3]),
            Event::BrokenOff => (3, [0; 3]),
            Event::StartChange { cid, set } => (4, [cid.0, self.set(set), 0]),
            Event::MbrView { view } => (5, [self.view(view), 0, 0]),
            Event::Block => (6, [0; 3]),
            Event::BlockOk => (7, [0; 3]),
            Event::Send { n, len, .. } => (8, [*n, *len, 0]),
            Event::Deliver { from, n, stage, .. } => {
                (9, [self.process(*from), *n, u64::from(*stage != Stage::Regular)])
            }
            Event::Sync { cid, view, .. } => (10, [cid.0, self.view(view), 0]),
            Event::Forward { to, from, packet, .. } => {
                (11, [self.process(*to), self.process(*from), *packet])
            }
            Event::View { view, transitional, .. } => {
                (12, [self.view(view), self.set(transitional), 0])
            }
            Event::Signal { transitional } => (13, [0, self.set(transitional), 0]),
            Event::Primary => (14, [0; 3]),
            Event::Lapsed => (15, [0; 3]),
            Event::Restored => (16, [0; 3]),
            Event::Gap { messages } => (17, [*messages, 0, 0]),
            Event::State(event) => return self.state(event),
            _ => return None,
        })
    }

    /// The same of a replicated state.
    fn state(&mut self, event: &StateEvent) -> Option<(u8, [u64; 3])> {
        let read = |kind: CallKind| u64::from(kind == CallKind::Read);
        Some(match *event {
            StateEvent::Create => (18, [0; 3]),
            StateEvent::Recover { from } => (19, [self.process(from), 0, 0]),
            StateEvent::Snapshot { to, at, .. } => (20, [self.process(to), at, 0]),
            StateEvent::Restore { from, at, .. } => (21, [self.process(from), at, 0]),
            StateEvent::Settled => (22, [0; 3]),
            StateEvent::Serve { .. } => (23, [0; 3]),
            StateEvent::Open { at, .. } => (24, [0, at, 0]),
            StateEvent::Apply { no, at, .. } => (25, [no, at, 0]),
            StateEvent::Pass { no, at, .. } => (26, [no, at, 0]),
            StateEvent::Call { no, kind, .. } => (27, [no, 0, read(kind)]),
            StateEvent::Reply { no, kind, result, .. } => (28, [no, result as u64, read(kind)]),
            StateEvent::Collect { no, want, .. } => (29, [no, want, 0]),
            StateEvent::Heard { no, from, result, .. } => {
                (30, [self.process(from), no, result as u64])
            }
            StateEvent::Collected { no, is_enough, .. } => (31, [no, u64::from(is_enough), 0]),
            _ => return None,
        })
    }

    /// The lines of the picture, by process. A process that started again goes on in its line,
    /// whatever the order of the files. Two of one id at one time have a line each.
    fn lanes(&self) -> Vec<Lane> {
        let mut order: Vec<usize> = (0..self.traces.len()).collect();
        order.retain(|at| !self.traces[*at].rows.is_empty());
        order.sort_by_key(|at| {
            let trace = &self.traces[*at];
            (self.processes.values[trace.process], trace.incarnation, trace.times().0)
        });
        let mut lanes: Vec<Lane> = Vec::new();
        for at in order {
            let (first, last) = self.traces[at].times();
            let process = self.traces[at].process;
            let lane = lanes.iter_mut().find(|lane| lane.process == process && lane.last <= first);
            match lane {
                Some(lane) => {
                    lane.traces.push(at);
                    lane.last = last;
                }
                None => lanes.push(Lane { process, last, traces: vec![at] }),
            }
        }
        lanes
    }

    fn rows_of<'a>(&'a self, lane: &'a Lane) -> impl Iterator<Item = &'a Row> {
        lane.traces.iter().flat_map(|at| &self.traces[*at].rows)
    }

    /// What the page reads: the events of one line after those of another, each time as the
    /// difference from the one before it.
    pub(super) fn into_json(self) -> Value {
        let lanes = self.lanes();
        let first = self.traces.iter().flat_map(|trace| &trace.rows).map(|row| row.ts).min();
        let rows: Vec<&Row> = lanes.iter().flat_map(|lane| self.rows_of(lane)).collect();
        let mut differences = Vec::with_capacity(rows.len());
        for lane in &lanes {
            let mut now = first.unwrap_or_default();
            for row in self.rows_of(lane) {
                // A clock that was set back: what happened later stays behind what was before it.
                differences.push(row.ts - now);
                now = now.max(row.ts);
            }
        }
        let column = |of: &dyn Fn(&Row) -> u64| rows.iter().map(|row| of(row)).collect::<Vec<_>>();
        let views =
            self.views.values.iter().map(|(id, members)| json!({"id": id, "members": members}));
        let lines = lanes
            .iter()
            .map(|lane| json!({"process": lane.process, "events": self.rows_of(lane).count()}));
        json!({
            "processes": self.processes.values.iter().map(|p| p.0).collect::<Vec<_>>(),
            "rows": lines.collect::<Vec<_>>(),
            "groups": self.groups.values.iter().map(GroupName::as_str).collect::<Vec<_>>(),
            "views": views.collect::<Vec<_>>(),
            "sets": self.sets.values,
            "events": {
                "t": differences,
                "g": column(&|row| row.group as u64),
                "k": column(&|row| u64::from(row.kind)),
                "a": column(&|row| row.of[0]),
                "b": column(&|row| row.of[1]),
                "c": column(&|row| row.of[2]),
            },
        })
    }
}
