//! Who accuses whom, and who is excluded for it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::super::config::ServerConfig;
use super::super::notify;
use crate::ident::ProcessId;
use crate::time::Time;
use crate::view::VIEW_MEMBERS_MAX;

/// Processes whose cids are remembered after they have gone, and exclusions that are remembered.
pub(super) const REMEMBERED_MAX: usize = 4 * VIEW_MEMBERS_MAX;

/// The pause of an excluded member is doubled at most to this many times the first one.
const READMIT_FACTOR_MAX: u64 = 16;

/// An exclusion is forgotten so long after its pause without another, in ms: far longer than it
/// takes to find out that a member still does not answer.
pub(in super::super) const FORGIVEN_MS: u64 = 60_000;

/// Accusers of an excluded member that are remembered, for it to be told again.
const ACCUSERS_MAX: usize = 8;

/// A member that was excluded stays out for a pause.
#[derive(Clone, Debug)]
struct Exclusion {
    until: Time,
    pause_ms: u64,
    /// Some of the accusers.
    by: Vec<ProcessId>,
}

/// The accusations in a group, and the exclusions that followed.
#[derive(Debug, Default)]
pub(super) struct Accusations {
    /// Whom each member accuses.
    accusations: BTreeMap<ProcessId, Vec<ProcessId>>,
    /// When the accusations are judged.
    judge_at: Option<Time>,
    /// At most [`REMEMBERED_MAX`].
    excluded: BTreeMap<ProcessId, Exclusion>,
}

impl Accusations {
    /// Whom those accuse of whom `is_local` is true.
    pub(super) fn of_locals(
        &self,
        is_local: impl Fn(ProcessId) -> bool,
    ) -> Vec<(ProcessId, Vec<ProcessId>)> {
        let local = self.accusations.iter().filter(|(by, _)| is_local(**by));
        local.map(|(by, accused)| (*by, accused.clone())).collect()
    }

    /// `by` accuses `accused`, instead of whomever it accused before.
    pub(super) fn handle_accuse(
        &mut self,
        now: Time,
        by: ProcessId,
        accused: Vec<ProcessId>,
        config: &ServerConfig,
    ) {
        if accused.is_empty() || accused.len() > VIEW_MEMBERS_MAX {
            self.accusations.remove(&by);
        } else {
            self.accusations.insert(by, accused);
            let at = now.plus_ms(config.accuse_ms);
            self.judge_at = Some(self.judge_at.map_or(at, |judge| judge.min(at)));
        }
        if self.accusations.is_empty() {
            self.judge_at = None;
        }
    }

    /// Whether it is time to judge. Asked once: then nothing is due.
    pub(super) fn take_due(&mut self, now: Time) -> bool {
        let is_due = self.judge_at.is_some_and(|at| now >= at);
        if is_due {
            self.judge_at = None;
        }
        is_due
    }

    /// Judges later.
    pub(super) fn postpone(&mut self, now: Time, config: &ServerConfig) {
        self.judge_at = Some(now.plus_ms(config.accuse_ms));
    }

    /// Whom of `members` to exclude, and who accuses each. `members` ascend.
    pub(super) fn judge(&mut self, members: &[ProcessId]) -> Vec<(ProcessId, Vec<ProcessId>)> {
        self.accusations.retain(|by, _| members.binary_search(by).is_ok());
        notify::exclude(members, &self.accusations)
    }

    /// `process` is excluded here or elsewhere: nobody accuses it any more, and it accuses nobody.
    pub(super) fn handle_verdict(&mut self, process: ProcessId) {
        for accused in self.accusations.values_mut() {
            accused.retain(|p| *p != process);
        }
        self.accusations.remove(&process);
    }

    /// Excludes a client of this server. Returns how long it stays out, in ms.
    pub(super) fn exclude(
        &mut self,
        now: Time,
        process: ProcessId,
        by: &[ProcessId],
        config: &ServerConfig,
    ) -> u64 {
        let first = config.readmit_ms;
        let before = self.excluded.get(&process);
        let repeated = before
            .filter(|e| now < e.until.plus_ms(FORGIVEN_MS))
            .map(|e| (2 * e.pause_ms).min(READMIT_FACTOR_MAX * first));
        let pause_ms = repeated.unwrap_or(first);
        let until = now.plus_ms(pause_ms);
        let by = by.iter().copied().take(ACCUSERS_MAX).collect();
        self.excluded.insert(process, Exclusion { until, pause_ms, by });
        pause_ms
    }

    /// Some of the accusers of a process that is excluded, and how long it still is, in ms.
    pub(super) fn excluded(&self, now: Time, process: ProcessId) -> Option<(Vec<ProcessId>, u64)> {
        let exclusion = self.excluded.get(&process).filter(|e| now < e.until)?;
        Some((exclusion.by.clone(), exclusion.until.millis_since(now) + 1))
    }

    /// Those that are remembered as excluded, ascending.
    pub(super) fn all_excluded(&self) -> impl Iterator<Item = ProcessId> + '_ {
        self.excluded.keys().copied()
    }

    /// Forgets whom `process` accuses.
    pub(super) fn forget(&mut self, process: ProcessId) {
        self.accusations.remove(&process);
    }

    /// Forgets whom those accuse of whom `stays` is false.
    pub(super) fn retain(&mut self, stays: impl Fn(&ProcessId) -> bool) {
        self.accusations.retain(|by, _| stays(by));
    }

    /// Forgets an exclusion if there are more than [`REMEMBERED_MAX`].
    pub(super) fn trim(&mut self) {
        if self.excluded.len() > REMEMBERED_MAX {
            self.excluded.pop_first();
        }
    }

    /// When to judge.
    pub(super) fn next_timeout(&self) -> Option<Time> {
        self.judge_at
    }
}
