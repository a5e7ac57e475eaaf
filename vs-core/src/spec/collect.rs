//! Collects records, in any order of traces, and keeps what the properties need.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::judge::judge;
use super::log::{GroupLog, Item, Part, Step, small};
use super::model::Group;
use super::options::Options;
use super::report::{Counts, Findings, Report};
use crate::ident::{GroupName, Incarnation};
use crate::trace::{Event, Header, Record};

/// The runtime of traces whose processes share one clock.
const SIMULATED: &str = "sim";

/// Takes the records of any number of traces, one by one, and judges them in the end. It keeps
/// about 50 bytes a record, so that the trace of a long run need not be in memory as a whole.
#[derive(Debug, Default)]
pub struct Collector {
    incarnations: Vec<Incarnation>,
    /// Whether a trace is of real processes, each of which has a clock of its own.
    has_clocks: bool,
    groups: BTreeMap<GroupName, GroupLog>,
    counts: Counts,
}

impl Collector {
    /// A collector without traces.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Announces a trace: its position, by which [`Collector::record`] and [`super::Evidence`]
    /// refer to it. Several traces of one process are put in the order of their incarnations. Where
    /// one begins before another one of the same id has ended, two processes ran under that id,
    /// each of which is judged for itself.
    pub fn trace(&mut self, header: &Header) -> usize {
        self.counts.traces += 1;
        self.incarnations.push(header.incarnation);
        self.has_clocks |= header.runtime != SIMULATED;
        self.incarnations.len() - 1
    }

    /// Takes the next record of `trace`, from line `line`. Traces may be interleaved.
    pub fn record(&mut self, trace: usize, line: u64, record: &Record) {
        if record.event == Event::BrokenOff {
            return self.break_off(trace, line);
        }
        if !self.groups.contains_key(&record.group) {
            self.groups.insert(record.group.clone(), GroupLog::default());
        }
        let Some(group) = self.groups.get_mut(&record.group) else { return };
        let step = group.step(record.ts, &record.event);
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

    /// A trace breaks off: in all groups that it tells of, whichever the line names.
    fn break_off(&mut self, trace: usize, line: u64) {
        self.counts.broken_off += 1;
        self.counts.events += 1;
        let item = Item { trace: small(trace as u64), line: small(line), step: Step::BrokenOff };
        for group in self.groups.values_mut() {
            for (_, part) in group.parts.iter_mut().filter(|((.., of), _)| *of == trace) {
                part.items.push(item.clone());
            }
        }
    }

    /// Judges what was collected.
    #[must_use]
    pub fn finish(self, options: &Options) -> Report {
        let mut counts = self.counts;
        counts.groups = self.groups.len() as u64;
        let mut findings = Findings::new(options.violations_max, counts);
        let one_clock = !self.has_clocks;
        for (name, log) in self.groups {
            judge(&Group::new(name, log, one_clock), options, &mut findings);
        }
        findings.finish()
    }
}
