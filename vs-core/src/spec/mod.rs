//! The executable specification: a checker over traces, and automata that are stepped beside the
//! code.
//!
//! [`automata`] are the services of the paper as small state machines; `refine` (feature `sim`)
//! holds real end-points against them and against the algorithm, step by step; [`proof`] is the
//! argument, and says who checks what. What follows is about the checker over traces.
//!
//! Each family of properties is judged in a module of its own, from traces alone, independently of
//! the code that wrote them: [`Property`] names and states them. A run may have lasted any time and
//! its traces may end anywhere (a killed process's trace just ends), so what can be judged in every
//! run is safety; liveness is judged only when [`Options::stable`] says that the run settled before
//! it ended.
//!
//! The checker judges what is there. Traces may lack a process altogether, lines about blocking and
//! forwarding, and the first `start` of a process. Groups are judged apart.
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
mod clusters;
mod collect;
mod delivery;
pub mod history;
mod judge;
mod liveness;
mod log;
mod membership;
mod model;
mod options;
mod order;
mod primary;
mod property;
#[cfg(feature = "sim")]
pub mod refine;
#[doc = include_str!("../../PROOF.md")]
pub mod proof {}
mod report;
mod state;
mod synchrony;
mod views;

pub use collect::Collector;
pub use options::{Component, Options, Stability};
pub use property::Property;
pub use report::{Counts, Evidence, Report, Violation};

use crate::trace::Trace;

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
