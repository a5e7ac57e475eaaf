//! The verdict of the checker.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use smallvec::SmallVec;

use super::property::Property;
use crate::ident::{GroupName, ProcessId};
use crate::view::DisplaySet;

/// The place of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The process of the event.
    pub process: ProcessId,
    /// The number of its incarnation in the group, from 1, of those in the traces.
    pub nth_incarnation: u64,
    /// The position among the traces that were handed in, from 0.
    pub trace: usize,
    /// The line in that trace, from 1 (the header).
    pub line: u64,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { process, nth_incarnation, line, .. } = self;
        write!(f, "process {process}, incarnation {nth_incarnation}, line {line} of its trace")
    }
}

/// A property that does not hold, and the events that show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The property.
    pub property: Property,
    /// The group.
    pub group: GroupName,
    /// The processes that are involved: first the one that broke the property.
    pub processes: SmallVec<[ProcessId; 2]>,
    /// What happened, in one sentence.
    pub what: String,
    /// The event that must not happen, or after which something had to follow.
    pub event: Evidence,
    /// The event that contradicts it, where there is one.
    pub other: Option<Evidence>,
}

impl Violation {
    /// The violation in one line, with the places of its events as `place` writes them.
    pub fn told(&self, place: impl Fn(&Evidence) -> String) -> String {
        let Self { property, group, processes, what, event, other } = self;
        let other = other.map_or_else(String::new, |other| format!("; {}", place(&other)));
        let (processes, event) = (DisplaySet(processes), place(event));
        format!("{property} in group {group} at {processes}: {what} ({event}{other})")
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told(Evidence::to_string))
    }
}

/// How much was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Traces handed in.
    pub traces: u64,
    /// Events in them.
    pub events: u64,
    /// Groups.
    pub groups: u64,
    /// Processes, counted once for each group.
    pub processes: u64,
    /// Different views that somebody installed.
    pub views: u64,
    /// Installations of views.
    pub installations: u64,
    /// Messages sent.
    pub sent: u64,
    /// Messages delivered.
    pub delivered: u64,
    /// How often a trace broke off: it is judged up to there.
    pub broken_off: u64,
    /// Deliveries whose sender's trace was not handed in, or broke off before: S5 and S7 are not
    /// judged for them, beyond that receivers agree on the content.
    pub unjudged: u64,
}

/// The verdict over a set of traces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How much was checked.
    pub counts: Counts,
    /// What does not hold, ordered by group and family of properties, at most
    /// [`super::Options::violations_max`] for each property.
    pub violations: Vec<Violation>,
    /// How many violations there are of each property that has any, listed or not.
    pub totals: Vec<(Property, u64)>,
}

impl Report {
    /// Whether every property holds.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.totals.is_empty()
    }

    /// The number of violations of `property`.
    #[must_use]
    pub fn total(&self, property: Property) -> u64 {
        self.totals.iter().find(|(p, _)| *p == property).map_or(0, |(_, n)| *n)
    }

    /// The properties that do not hold.
    pub fn violated(&self) -> impl Iterator<Item = Property> + '_ {
        self.totals.iter().map(|(property, _)| *property)
    }
}

/// The verdict in one line, without the violations.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            f.write_str("every property holds")?;
        } else {
            f.write_str("violated:")?;
            for (property, n) in &self.totals {
                write!(f, " {property} ({n})")?;
            }
        }
        let c = &self.counts;
        write!(
            f,
            "; {} traces, {} events, {} processes, {} views installed {} times, {} messages sent, {} delivered",
            c.traces, c.events, c.processes, c.views, c.installations, c.sent, c.delivered
        )?;
        if c.unjudged > 0 {
            write!(f, ", {} of them by senders whose trace is not here or broke off", c.unjudged)?;
        }
        if c.broken_off > 0 {
            write!(f, "; {} traces broke off, and were judged up to there", c.broken_off)?;
        }
        Ok(())
    }
}

/// Collects violations while the families of properties are judged.
#[derive(Debug)]
pub(super) struct Findings {
    report: Report,
    totals: [u64; Property::ALL.len()],
    violations_max: usize,
}

impl Findings {
    pub(super) fn new(violations_max: usize, counts: Counts) -> Self {
        let report = Report { counts, ..Report::default() };
        Self { report, totals: [0; Property::ALL.len()], violations_max }
    }

    pub(super) fn counts(&mut self) -> &mut Counts {
        &mut self.report.counts
    }

    /// Counts a violation; puts it together only if there is still room to list it, since the
    /// search for the other event may take a while and a broken trace may hold a million of the
    /// same kind.
    pub(super) fn add(&mut self, property: Property, violation: impl FnOnce() -> Violation) {
        let total = &mut self.totals[property as usize];
        if usize::try_from(*total).unwrap_or(usize::MAX) < self.violations_max {
            self.report.violations.push(violation());
        }
        *total += 1;
    }

    pub(super) fn finish(self) -> Report {
        let totals = Property::ALL.iter().copied().zip(self.totals);
        Report { totals: totals.filter(|(_, n)| *n > 0).collect(), ..self.report }
    }
}
