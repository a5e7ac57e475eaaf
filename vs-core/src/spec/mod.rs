//! The executable specification: a checker over traces, and automata that are stepped beside the code.
//!
//! [`automata`] are the services of the paper as small state machines; `refine` (feature `sim`) holds real
//! end-points against them and against the algorithm, step by step; [`proof`] is the argument, and says who checks what.
//! What follows is about the checker over traces.
//!
//! Each family of properties is judged in a module of its own, from traces alone, independently of the code that
//! wrote them: [`Property`] names and states them. A run may have lasted any time and its traces may end anywhere
//! (a killed process's trace just ends), so what can be judged in every run is safety; liveness is judged only when
//! [`Options::stable`] says that the run settled before it ended.
//!
//! The checker judges what is there. Traces may lack a process altogether, lines about blocking and forwarding, and
//! the first `start` of a process. Groups are judged apart.
//!
//! ```
//! use vs_core::spec::{self, Property};
//! use vs_core::trace::{Event, Header, Record, Trace};
//! use vs_core::ident::{Cid, GroupName, Incarnation, ProcessId};
//! use vs_core::{Members, Time};
//!
//! let process = ProcessId(1);
//! let set = Members::from_slice(&[ProcessId(2)]);
//! let event = Event::StartChange { cid: Cid(1), set };
//! let group = GroupName::new("g").unwrap();
//! let record = Record { ts: Time(0), process, group, event };
//! let header = Header { process, incarnation: Incarnation::new(0), runtime: "doc".into() };
//! let report = spec::check(&[Trace::from_records(header, vec![record])]);
//! assert_eq!(report.total(Property::M1), 1);
//! assert_eq!(report.violations[0].event.line, 2);
//! ```

pub mod automata;
mod blocking;
mod collect;
mod delivery;
mod liveness;
mod membership;
mod model;
mod primary;
mod property;
#[cfg(feature = "sim")]
pub mod refine;
#[doc = include_str!("../../PROOF.md")]
pub mod proof {}
mod report;
mod synchrony;
mod views;

use alloc::vec::Vec;

pub use collect::Collector;
pub use property::Property;
pub use report::{Counts, Evidence, Report, Violation};

use crate::ident::GroupName;
use crate::trace::Trace;
use crate::view::Members;

/// How to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What is known about a run that settled before it ended; `None` leaves liveness out.
    pub stable: Option<Stability>,
    /// Most violations of one property that are listed; all are counted.
    pub violations_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { stable: None, violations_max: 20 }
    }
}

impl Options {
    /// Judges liveness, too.
    #[must_use]
    pub fn settled(stability: Stability) -> Self {
        Self { stable: Some(stability), ..Self::default() }
    }
}

/// What is known about a run that settled: in each group the notification service told all of its servers the same,
/// nothing changed any more, and nothing was under way at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stability {
    /// The sets on which the groups settled. L1 is judged for each of them. A group may have several that are disjoint,
    /// if it stayed partitioned; whoever is in none of them did not survive. In a group without any, every process
    /// survived whose trace does not end in a leave or a crash.
    pub components: Vec<Component>,
}

/// Processes that were connected with each other, and nobody else, until the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// The group.
    pub group: GroupName,
    /// The processes, ascending.
    pub members: Members,
}

/// Judges the safety of `traces` of any number of groups and processes.
#[must_use]
pub fn check(traces: &[Trace]) -> Report {
    check_with(traces, &Options::default())
}

/// Judges `traces`, with `options`.
#[must_use]
pub fn check_with(traces: &[Trace], options: &Options) -> Report {
    let mut collector = Collector::new();
    for trace in traces {
        let index = collector.trace(&trace.header);
        for line in &trace.lines {
            collector.record(index, line.number, &line.record);
        }
    }
    collector.finish(options)
}

fn judge(group: &model::Group, options: &Options, findings: &mut report::Findings) {
    let counts = findings.counts();
    counts.processes += group.logs.len() as u64;
    let mut installed: Vec<_> = group.stays.iter().filter_map(|stay| stay.view).collect();
    installed.sort_unstable();
    installed.dedup();
    counts.views += installed.len() as u64;

    membership::judge(group, findings);
    views::judge(group, findings);
    primary::judge(group, findings);
    delivery::judge(group, findings);
    synchrony::judge(group, findings);
    blocking::judge(group, findings);
    if let Some(stability) = &options.stable {
        liveness::judge(group, stability, findings);
    }
}
