//! The run that was found, to be read and judged.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::action::Action;
use super::log::{Log, Setting};
use super::plan::{Client, Op};
use super::world::World;
use crate::ident::{GroupName, Incarnation, ProcessId, ServerId};
use crate::spec::refine::{Refuted, Shown};
use crate::spec::{self, Component, Options, Report, Stability};
use crate::time::Time;
use crate::trace::{Event, Header, Record, Trace};
use crate::view::{DisplaySet, Members};

/// What is wrong at the end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The specification does not allow the last step.
    Refuted(Refuted),
    /// Nothing happens any more, and these processes do not share a view.
    Stuck(Vec<ProcessId>),
    /// An invariant of the proof does not hold at this server.
    Broken(ServerId, &'static str),
    /// The run has no end.
    Endless,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refuted(refuted) => write!(f, "the specification does not allow this: {refuted}"),
            Self::Stuck(set) => {
                write!(f, "nothing happens any more, and {} are not together", DisplaySet(set))
            }
            Self::Broken(server, name) => {
                write!(f, "an invariant of the proof does not hold at server {server}: {name}")
            }
            Self::Endless => f.write_str("it goes on for ever"),
        }
    }
}

/// A shortest run to what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What is wrong.
    pub wrong: Wrong,
    /// What happens, and what each process sees of it.
    pub steps: Vec<(String, Vec<(ProcessId, Event)>)>,
    /// What each process saw, for `vs check`; a step takes a microsecond.
    pub traces: Vec<Trace>,
    /// What [`spec::check_with`] says of the traces.
    pub report: Report,
}

impl Found {
    /// Plays the choices again and records what happens.
    pub(super) fn replay(setting: Setting<'_>, choices: &[u16], wrong: Wrong) -> Self {
        let mut log = Log { events: Some(Vec::new()), ..Log::default() };
        let take = |log: &mut Log| log.events.replace(Vec::new()).unwrap_or_default();
        let mut world = World::prelude(setting, &mut log);
        let mut steps = Vec::from([("so it begins".to_string(), take(&mut log))]);
        for &choice in choices {
            let Some(action) = world.chosen(setting, choice) else { break };
            let what = describe(&world, setting, action);
            world.apply(setting, &mut log, action);
            steps.push((what, take(&mut log)));
        }
        let traces = traces(&steps, &world);
        let options = match &wrong {
            Wrong::Stuck(set) => Options::settled(Stability {
                components: group()
                    .map(|group| Component { group, members: Members::from_slice(set) })
                    .into_iter()
                    .collect(),
            }),
            _ => Options::default(),
        };
        let report = spec::check_with(&traces, &options);
        Self { wrong, steps, traces, report }
    }

    /// The processes that should have come together, if that is what is wrong: for `vs check
    /// --settled`.
    #[must_use]
    pub fn settled(&self) -> &[ProcessId] {
        match &self.wrong {
            Wrong::Stuck(set) => set,
            _ => &[],
        }
    }
}

fn group() -> Option<GroupName> {
    GroupName::new("small").ok()
}

fn traces(steps: &[(String, Vec<(ProcessId, Event)>)], world: &World) -> Vec<Trace> {
    let Some(group) = group() else { return Vec::new() };
    let trace = |process| {
        let events = (0..).zip(steps).flat_map(|(at, (_, events))| {
            let own = events.iter().filter(|(p, _)| *p == process);
            own.map(move |(_, event)| (Time(at * 1000), event.clone()))
        });
        let record = |(ts, event)| Record { ts, process, group: group.clone(), event };
        let header =
            Header { process, incarnation: Incarnation::new(1), runtime: "explore".into() };
        Trace::from_records(header, events.map(record).collect())
    };
    world.processes().map(trace).collect()
}

/// What an action is in a world.
fn describe(world: &World, setting: Setting<'_>, action: Action) -> String {
    let op = match action {
        Action::Track(track) => world.next_op(setting.plan, track),
        _ => None,
    };
    op.map_or_else(|| action.to_string(), ToString::to_string)
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Report(server, clients) => {
                write!(f, "server {server} is told of")?;
                clients.iter().try_for_each(|client| write!(f, " {client}"))
            }
            Self::Crash(p) => write!(f, "{p} crashes"),
            Self::Recover(p) => write!(f, "{p} starts again"),
            Self::Break(a, b) => {
                write!(f, "the connection of servers {a} and {b} breaks and is up again")
            }
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { process, incarnation, count } = self;
        write!(f, "{process}")?;
        if (*incarnation, *count) != (1, 1) {
            write!(f, " (incarnation {incarnation}, attachment {count})")?;
        }
        Ok(())
    }
}

/// Shows each step with its events, then what is wrong and the verdict of the checker.
impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (what, events)) in self.steps.iter().enumerate() {
            writeln!(f, "{at:>3}. {what}")?;
            for (p, event) in events {
                writeln!(f, "       {p}: {}", Shown(event))?;
            }
        }
        writeln!(f, "     {}", self.wrong)?;
        for violation in &self.report.violations {
            writeln!(f, "     {}: {}", violation.property.name(), violation.what)?;
        }
        write!(f, "     {}", self.report)
    }
}
