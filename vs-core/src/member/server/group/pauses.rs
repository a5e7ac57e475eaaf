//! Pauses that grow with each repetition.

use alloc::collections::BTreeMap;

use crate::ident::ProcessId;
use crate::time::Time;
use crate::view::VIEW_MEMBERS_MAX;

/// Processes whose pauses are remembered.
pub(in super::super) const REMEMBERED_MAX: usize = 4 * VIEW_MEMBERS_MAX;

/// A pause is doubled at most to this many times the first one.
const FACTOR_MAX: u64 = 16;

/// A pause is forgotten so long after its end without another, in ms: far longer than it takes to
/// find out that its cause is still there.
pub(in super::super) const FORGIVEN_MS: u64 = 60_000;

/// A process is to stay out for a pause.
#[derive(Clone, Debug)]
pub(super) struct Pause {
    pub(super) until: Time,
    ms: u64,
}

/// Pauses of processes.
#[derive(Debug, Default)]
pub(super) struct Pauses(BTreeMap<ProcessId, Pause>);

impl Pauses {
    /// The pause of `process` begins. Returns its length in ms: `first_ms`, or twice the last one
    /// if that is not forgotten.
    pub(super) fn begin(&mut self, now: Time, process: ProcessId, first_ms: u64) -> u64 {
        let last = self.0.get(&process).filter(|last| now < last.until.plus_ms(FORGIVEN_MS));
        let repeated = last.map(|last| (2 * last.ms).min(FACTOR_MAX * first_ms));
        let ms = repeated.unwrap_or(first_ms);
        self.0.insert(process, Pause { until: now.plus_ms(ms), ms });
        ms
    }

    /// The pause of `process`, if it is not over.
    pub(super) fn of(&self, now: Time, process: ProcessId) -> Option<&Pause> {
        self.0.get(&process).filter(|pause| now < pause.until)
    }

    /// Processes whose pauses are remembered, ascending.
    pub(super) fn processes(&self) -> impl Iterator<Item = ProcessId> + '_ {
        self.0.keys().copied()
    }

    /// Forgets one if there are more than [`REMEMBERED_MAX`]. It is returned.
    pub(super) fn trim(&mut self) -> Option<ProcessId> {
        if self.0.len() <= REMEMBERED_MAX {
            return None;
        }
        self.0.pop_first().map(|(process, _)| process)
    }
}
