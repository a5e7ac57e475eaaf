//! How a world is gone through, and what is written down of it.

use alloc::vec::Vec;

use super::plan::Plan;
use crate::ident::ProcessId;
use crate::rule::Rules;
use crate::spec::refine::Refuted;
use crate::trace::{Event, Observation};

/// How a world is explored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting<'a> {
    pub(super) plan: &'a Plan,
    pub(super) rules: Rules,
    /// The algorithm's own automaton and the services below are stepped beside, too. Without: only
    /// what is promised.
    pub(super) refine: bool,
    /// Of orders of independent actions one is gone through.
    pub(super) reduce: bool,
}

/// The record of a step.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The first event that is not allowed.
    pub(super) refuted: Option<Refuted>,
    /// All events, if they are wanted.
    pub(super) events: Option<Vec<(ProcessId, Event)>>,
    /// All steps of end-points, and where they lead, if they are wanted.
    pub(super) steps: Option<Vec<EndPointStep>>,
}

/// What an end-point did, and its state after it.
pub(super) type EndPointStep = (ProcessId, Option<Event>, Option<Observation>);

impl Log {
    pub(super) fn note(
        &mut self,
        p: ProcessId,
        event: Option<&Event>,
        after: Option<&Observation>,
    ) {
        if let Some(steps) = &mut self.steps {
            steps.push((p, event.cloned(), after.cloned()));
        }
    }

    /// Whether somebody asks for the states of end-points.
    pub(super) fn asks(&self, setting: Setting<'_>) -> bool {
        setting.refine || self.steps.is_some()
    }
}
