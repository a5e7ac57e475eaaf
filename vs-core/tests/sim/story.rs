//! Scenarios that are written by hand, and what their processes saw.

use std::collections::BTreeMap;

use vs_core::ident::ProcessId;
use vs_core::sim::{Moment, Outcome, ProcessPlan, Scenario, Site, Step, Trigger, World};
use vs_core::trace::{Event, Mark, Record};
use vs_core::{Time, View};

use crate::talker::Talker;

/// Microseconds from the start of a scenario to the begin of its story. The processes that run
/// share a view by then.
pub(crate) const BEGIN_US: u64 = 100_000;

pub(crate) fn site(p: u64) -> Site {
    Site::Process(ProcessId(p))
}

/// Processes 1 to `processes`. Each sends a message each `every_us` µs (none if 0) for `us` µs of
/// story. The specification is stepped beside.
pub(crate) fn together(seed: u64, processes: u64, every_us: u64, us: u64) -> Scenario {
    let mut scenario = Scenario::calm(seed, processes).refined();
    scenario.heal_us = BEGIN_US + us;
    for plan in &mut scenario.processes {
        plan.load.interval_us = every_us;
        plan.load.bytes_max = 64;
        plan.load.until = scenario.world.start.plus_us(scenario.heal_us);
    }
    scenario
}

pub(crate) trait Telling {
    /// Plays `step` at `us` µs of the story.
    fn then(self, us: u64, step: Step) -> Self;

    /// Plays `step` `us` µs after `p` has come to `moment` for the first time in the story.
    fn at(self, p: u64, moment: Moment, us: u64, step: Step) -> Self;

    /// `p` does not run before the story starts it.
    fn without(self, p: u64) -> Self;

    /// Plays the scenario. It settles, and neither the checker nor the specification objects.
    fn play(&self) -> Story {
        self.play_with(Talker::new, |_| ())
    }

    /// As [`Telling::play`], with talkers that `make` makes; `look` is shown them in the end.
    fn play_with(
        &self,
        make: impl FnMut(&ProcessPlan) -> Talker,
        look: impl FnOnce(&World<Talker>),
    ) -> Story;
}

impl Telling for Scenario {
    fn then(mut self, us: u64, step: Step) -> Self {
        self.steps.push((BEGIN_US + us, step));
        self.steps.sort_by_key(|(at, _)| *at);
        self
    }

    fn at(self, p: u64, moment: Moment, us: u64, step: Step) -> Self {
        let steps = vec![(us, step)];
        self.then(0, Step::When(Trigger { process: Some(ProcessId(p)), moment, nth: 1, steps }))
    }

    fn without(mut self, p: u64) -> Self {
        self.steps.retain(|(_, step)| *step != Step::Start(ProcessId(p)));
        self
    }

    fn play_with(
        &self,
        make: impl FnMut(&ProcessPlan) -> Talker,
        look: impl FnOnce(&World<Talker>),
    ) -> Story {
        let outcome = self.run_with(make, |world| {
            look(world);
            Ok(())
        });
        if let Some(failure) = &outcome.failure {
            panic!("{failure}\nof the story {:?}", self.steps);
        }
        assert!(outcome.stats.refined_steps > 0, "the specification was stepped beside");
        Story { begin: self.world.start.plus_us(BEGIN_US), outcome }
    }
}

/// A story that was played.
pub(crate) struct Story {
    pub(crate) begin: Time,
    pub(crate) outcome: Outcome,
}

/// A view that was installed.
#[derive(Debug)]
pub(crate) struct Installed<'a> {
    /// In µs of the story.
    pub(crate) at_us: u64,
    pub(crate) members: Vec<u64>,
    /// The transitional set.
    pub(crate) with: Vec<u64>,
    pub(crate) view: &'a View,
}

fn numbers(set: &[ProcessId]) -> Vec<u64> {
    set.iter().map(|p| p.0).collect()
}

impl Story {
    /// How often a rare situation came up.
    pub(crate) fn marks(&self, mark: Mark) -> u64 {
        self.outcome.stats.marks.count(mark)
    }

    /// All that `p` saw.
    pub(crate) fn whole(&self, p: u64) -> impl Iterator<Item = &Record> {
        let traces = &self.outcome.traces;
        let trace = traces.iter().find(|trace| trace.header.process == ProcessId(p)).unwrap();
        trace.lines.iter().map(|line| &line.record)
    }

    /// All that the impostor of `p` saw.
    pub(crate) fn of_impostor(&self, p: u64) -> Vec<&Event> {
        let traces = &self.outcome.traces;
        let under_id = traces.iter().filter(|trace| trace.header.process == ProcessId(p));
        let lines = under_id.skip(1).flat_map(|trace| &trace.lines);
        lines.map(|line| &line.record.event).collect()
    }

    /// What `p` saw since the story began, with the times in µs of the story.
    pub(crate) fn seen(&self, p: u64) -> impl Iterator<Item = (u64, &Event)> {
        let since = self.whole(p).filter(|record| record.ts >= self.begin);
        since.map(|record| ((record.ts - self.begin) / 1_000, &record.event))
    }

    /// When `p` first saw `what`, in µs of the story.
    pub(crate) fn first(&self, p: u64, what: impl Fn(&Event) -> bool) -> Option<u64> {
        self.seen(p).find(|(_, event)| what(event)).map(|(at, _)| at)
    }

    /// The views that `p` has installed since the story began.
    pub(crate) fn views(&self, p: u64) -> Vec<Installed<'_>> {
        self.seen(p).filter_map(|(at_us, event)| installed(at_us, event)).collect()
    }

    /// Messages that were not delivered by all who were in the view in which they were sent until
    /// its end.
    pub(crate) fn lost(&self) -> usize {
        let (mut within, mut sent, mut delivered) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        for trace in &self.outcome.traces {
            let me = trace.header.process;
            let (mut view, mut heard) = (View::initial(me), Vec::new());
            let mut end_of = |view: &View, heard: &mut Vec<(ProcessId, u64)>| {
                *within.entry(view.clone()).or_insert(0) += 1;
                for (from, n) in heard.drain(..) {
                    *delivered.entry((view.clone(), from, n)).or_insert(0) += 1;
                }
            };
            for line in &trace.lines {
                match &line.record.event {
                    Event::View { view: next, .. } => {
                        end_of(&view, &mut heard);
                        view = (**next).clone();
                    }
                    Event::Send { n, .. } => sent.push((view.clone(), me, *n)),
                    Event::Deliver { from, n, .. } => heard.push((*from, *n)),
                    Event::Leave | Event::Crash => {
                        (view, heard) = (View::initial(me), Vec::new());
                    }
                    _ => {}
                }
            }
            end_of(&view, &mut heard);
        }
        sent.iter().filter(|message| delivered.get(message) != within.get(&message.0)).count()
    }
}

fn installed(at_us: u64, event: &Event) -> Option<Installed<'_>> {
    match event {
        Event::View { view, transitional, .. } => {
            let (members, with) = (numbers(view.members()), numbers(transitional));
            Some(Installed { at_us, members, with, view })
        }
        _ => None,
    }
}
