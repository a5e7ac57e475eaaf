//! Events as columns of numbers: short to write, and quick to read for the page.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vs_core::ident::{GroupName, ProcessId};
use vs_core::order::Stage;
use vs_core::trace::{Event, Record};
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
    process: usize,
    group: usize,
    ts: Time,
    kind: u8,
    of: [u64; 3],
}

/// Everything that is drawn.
#[derive(Debug, Default)]
pub(super) struct Columns {
    processes: Table<ProcessId>,
    groups: Table<GroupName>,
    /// Id and members.
    views: Table<(String, usize)>,
    sets: Table<Vec<u64>>,
    words: Table<String>,
    rows: Vec<Row>,
}

impl Columns {
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn events(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn processes(&self) -> usize {
        self.processes.values.len()
    }

    /// Adds an event. Those of one process come in the order in which they happened.
    pub(super) fn push(&mut self, record: &Record) {
        let Some((kind, of)) = self.numbers(&record.event) else { return };
        let process = self.processes.place(record.process);
        let group = self.groups.place(record.group.clone());
        self.rows.push(Row { process, group, ts: record.ts, kind, of });
    }

    fn set(&mut self, members: &[ProcessId]) -> u64 {
        self.sets.place(members.iter().map(|p| p.0).collect()) as u64
    }

    fn view(&mut self, view: &View) -> u64 {
        let members = self.sets.place(view.members().iter().map(|p| p.0).collect());
        self.views.place((view.id().to_string(), members)) as u64
    }

    /// The kind of an event, and what there is to know of it. Nothing of what is not drawn.
    fn numbers(&mut self, event: &Event) -> Option<(u8, [u64; 3])> {
        let process = |columns: &mut Self, p: ProcessId| columns.processes.place(p) as u64;
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
                (9, [process(self, *from), *n, u64::from(*stage != Stage::Regular)])
            }
            Event::Sync { cid, view, .. } => (10, [cid.0, self.view(view), 0]),
            Event::Forward { to, from, packet, .. } => {
                (11, [process(self, *to), process(self, *from), *packet])
            }
            Event::View { view, transitional, .. } => {
                (12, [self.view(view), self.set(transitional), 0])
            }
            Event::Signal { transitional } => (13, [0, self.set(transitional), 0]),
            Event::Primary => (14, [0; 3]),
            Event::Lapsed => (15, [0; 3]),
            Event::Restored => (16, [0; 3]),
            Event::Gap { messages } => (17, [*messages, 0, 0]),
            Event::State(event) => (18, [self.words.place(format!("{event:?}")) as u64, 0, 0]),
            _ => return None,
        })
    }

    /// What the page reads. Processes are in the order of their ids, times count from the first.
    pub(super) fn into_json(self) -> Value {
        let mut order: Vec<usize> = (0..self.processes.values.len()).collect();
        order.sort_by_key(|place| self.processes.values[*place]);
        let mut rank = vec![0; order.len()];
        for (row, place) in order.iter().enumerate() {
            rank[*place] = row as u64;
        }
        let first = self.rows.iter().map(|row| row.ts).min().unwrap_or_default();
        let column = |of: &dyn Fn(&Row) -> u64| self.rows.iter().map(of).collect::<Vec<u64>>();
        // Events that name processes name their rows.
        let named = |row: &Row, at: usize| match (row.kind, at) {
            (9 | 11, 0) | (11, 1) => rank[row.of[at] as usize],
            _ => row.of[at],
        };
        let views =
            self.views.values.iter().map(|(id, members)| json!({"id": id, "members": members}));
        json!({
            "processes": order.iter().map(|place| self.processes.values[*place].0).collect::<Vec<_>>(),
            "groups": self.groups.values.iter().map(GroupName::as_str).collect::<Vec<_>>(),
            "views": views.collect::<Vec<_>>(),
            "sets": self.sets.values,
            "words": self.words.values,
            "events": {
                "p": column(&|row| rank[row.process]),
                "g": column(&|row| row.group as u64),
                "t": column(&|row| row.ts - first),
                "k": column(&|row| u64::from(row.kind)),
                "a": column(&|row| named(row, 0)),
                "b": column(&|row| named(row, 1)),
                "c": column(&|row| named(row, 2)),
            },
        })
    }
}
