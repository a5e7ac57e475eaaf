//! What is promised, through all served views: T8 and T10 between members.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::walk::{Answered, Entry, InView, Known, Name, Promise, Walks};
use crate::spec::log::ViewIndex;
use crate::spec::model::{At, Group};
use crate::spec::property::Property;
use crate::spec::report::Findings;
use crate::trace::CallKind;

/// Where in the order something is. Places of two eras cannot be compared: between them a new state
/// was made, or an operator decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) era: u32,
    pub(super) at: u64,
}

/// What became of calls and reads.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Where each operation was applied, or read was answered, last.
    pub(super) of: HashMap<Name, Place>,
    /// Each answer, and its place.
    pub(super) answers: Vec<(Answered, Place)>,
}

/// The sequence that is promised, up to a view.
struct History<'a> {
    group: &'a Group,
    era: u32,
    /// What was done at each place.
    entries: BTreeMap<u64, (Entry, At)>,
    /// The hash of the state that has come to a place.
    states: BTreeMap<u64, (u64, At)>,
    /// Where each operation was applied.
    ops: HashMap<(u64, u64), (u64, At)>,
    /// What was asked for.
    asked: HashMap<(u64, u64), (u64, At)>,
    /// Whether nothing that members did may be missing in the traces.
    is_complete: bool,
    places: Places,
}

/// Judges the views one after the other: those that are served follow each other by their ids.
pub(super) fn judge(group: &Group, findings: &mut Findings, walks: &Walks) -> Places {
    let calls = walks.asked.iter().filter(|asked| asked.name.2 == CallKind::Call);
    let asked = calls.map(|a| ((a.name.0, a.name.1), (a.hash, a.by))).collect();
    let mut history = History {
        group,
        era: 0,
        entries: BTreeMap::new(),
        states: BTreeMap::new(),
        ops: HashMap::new(),
        asked,
        is_complete: is_complete(group),
        places: Places::default(),
    };
    let mut views: Vec<ViewIndex> = (0..).take(group.views.len()).collect();
    views.sort_by_key(|view| group.view(*view).id());
    for view in views {
        history.view(findings, &walks.views[view as usize]);
    }
    history.places
}

/// Whether the traces of all members of all views are there, and none breaks off.
fn is_complete(group: &Group) -> bool {
    let mut members = group.views.iter().flat_map(|view| view.members());
    !group.logs.iter().any(|log| log.has_gap) && members.all(|p| !group.logs_of(*p).is_empty())
}

impl History<'_> {
    fn view(&mut self, findings: &mut Findings, view: &InView) {
        if let Some((base, by)) = view.base {
            self.begin(findings, view, base, by);
        }
        for promise in &view.promises {
            match promise.known {
                Known::Entry(entry) => self.entry(findings, promise, entry),
                Known::State(hash) => self.state(findings, promise, hash),
            }
        }
        view.answers.iter().for_each(|answered| self.answer(findings, answered));
    }

    /// A view is served from place `base` on: what is promised beyond it is lost.
    fn begin(&mut self, findings: &mut Findings, view: &InView, base: u64, by: At) {
        let (last, promised) = match self.entries.last_key_value() {
            Some((last, (_, at))) => (*last, Some(*at)),
            None => (0, None),
        };
        if view.begins_anew {
            // A branch that did not count may count from here on.
            let told = view.promises.iter().map(|promise| promise.at).min();
            self.era += 1;
            self.forget_from(
                told.map_or(base.saturating_add(1), |told| told.min(base.saturating_add(1))),
            );
        } else if base < last {
            findings.add(Property::T10, || {
                let p = self.group.process(by);
                let what = format!(
                    "{p} serves a view from place {base} on, and places up to {last} were promised"
                );
                self.group.violation(Property::T10, by, promised, what)
            });
            self.forget_from(base.saturating_add(1));
        }
    }

    fn forget_from(&mut self, at: u64) {
        self.entries.split_off(&at);
        self.states.split_off(&at);
        self.ops.retain(|_, (place, _)| *place < at);
    }

    fn entry(&mut self, findings: &mut Findings, promise: &Promise, entry: Entry) {
        let Promise { at, by, .. } = *promise;
        if let Some((known, first)) = self.entries.get(&at).copied() {
            if known != entry {
                findings.add(Property::T8, || {
                    let (p, q) = (self.group.process(by), self.group.process(first));
                    let what = format!("{p} did another thing at place {at} than {q}");
                    self.group.violation(Property::T8, by, Some(first), what)
                });
            }
            return;
        }
        self.entries.insert(at, (entry, by));
        let Entry::Apply { client, no, hash } = entry else { return };
        if let Some((other, asked)) = self.asked.get(&(client, no)).copied()
            && other != hash
        {
            findings.add(Property::T10, || {
                let (p, q) = (self.group.process(by), self.group.process(asked));
                let what = format!("{p} applied another operation {no} than {q} asked for");
                self.group.violation(Property::T10, by, Some(asked), what)
            });
        }
        let place = Place { era: self.era, at };
        self.places.of.insert((client, no, CallKind::Call), place);
        if let Some((other, first)) = self.ops.insert((client, no), (at, by)) {
            findings.add(Property::T10, || {
                let p = self.group.process(by);
                let what = format!("{p} applied operation {no} at place {at}, and at {other}");
                self.group.violation(Property::T10, by, Some(first), what)
            });
        }
    }

    /// States that have come to one place are equal.
    fn state(&mut self, findings: &mut Findings, promise: &Promise, hash: u64) {
        let Promise { at, by, .. } = *promise;
        let (known, first) = *self.states.entry(at).or_insert((hash, by));
        if known != hash {
            findings.add(Property::T8, || {
                let (p, q) = (self.group.process(by), self.group.process(first));
                let what = format!("the state of {p} at place {at} is not that of {q}");
                self.group.violation(Property::T8, by, Some(first), what)
            });
        }
    }

    /// What is answered is promised by then.
    fn answer(&mut self, findings: &mut Findings, answered: &Answered) {
        let (client, no, kind) = answered.name;
        let at = match (kind, self.ops.get(&(client, no))) {
            (CallKind::Read, _) => answered.at,
            (CallKind::Call, Some((at, _))) => *at,
            (CallKind::Call, None) => {
                if self.is_complete {
                    findings.add(Property::T10, || {
                        let p = self.group.process(answered.by);
                        let what =
                            format!("{p} was answered operation {no}, which is not promised");
                        self.group.violation(Property::T10, answered.by, None, what)
                    });
                }
                return;
            }
        };
        let place = Place { era: self.era, at };
        if kind == CallKind::Read {
            self.places.of.insert(answered.name, place);
        }
        self.places.answers.push((*answered, place));
    }
}
