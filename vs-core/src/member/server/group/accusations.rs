//! Who accuses whom, and who is excluded for it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::super::config::ServerConfig;
use super::super::notify;
use super::pauses::{FORGIVEN_MS, Pauses, REMEMBERED_MAX};
use crate::ident::ProcessId;
use crate::member::attached::{Attached, Attachment};
use crate::time::Time;
use crate::view::VIEW_MEMBERS_MAX;

/// Accusers of an excluded member that are remembered, for it to be told again.
const ACCUSERS_MAX: usize = 8;

/// Members of the smallest group in which an accuser can be alone: in a smaller one nobody is left
/// who could agree.
const ALONE_MEMBERS_MIN: usize = 3;

/// What one member alone brought about.
#[derive(Clone, Debug)]
struct Alone {
    /// When it was excluded last whom it accused.
    at: Time,
    /// Whom it accused then, in which attachment.
    accused: Vec<(ProcessId, Attachment)>,
}

/// The accusations in a group, and the exclusions that followed.
#[derive(Debug, Default)]
pub(super) struct Accusations {
    /// Whom each member accuses.
    accusations: BTreeMap<ProcessId, Vec<ProcessId>>,
    /// When the accusations are judged.
    judge_at: Option<Time>,
    /// Members that were excluded.
    excluded: Pauses,
    /// Some of the accusers of each.
    accusers: BTreeMap<ProcessId, Vec<ProcessId>>,
    /// Who alone had others excluded; at most [`REMEMBERED_MAX`].
    alone: BTreeMap<ProcessId, Alone>,
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

    /// Whom of `report` to exclude, and who accuses each. A member that is alone with what it says
    /// is believed once. If it has another one excluded alone within [`FORGIVEN_MS`], or the same
    /// one again, the fault is more likely its own: it goes instead, accused by nobody.
    pub(super) fn judge(
        &mut self,
        now: Time,
        report: &[Attached],
    ) -> Vec<(ProcessId, Vec<ProcessId>)> {
        let members: Vec<ProcessId> = report.iter().map(|client| client.process).collect();
        self.accusations.retain(|by, _| members.binary_search(by).is_ok());
        let mut verdicts = notify::exclude(&members, &self.accusations);
        if members.len() < ALONE_MEMBERS_MIN {
            return verdicts;
        }
        let mut by_one: BTreeMap<ProcessId, Vec<(ProcessId, Attachment)>> = BTreeMap::new();
        for (process, by) in &verdicts {
            let [by] = by[..] else { continue };
            let at = report.binary_search_by_key(process, |client| client.process);
            let accused = at.ok().map(|at| (*process, report[at].attachment));
            by_one.entry(by).or_default().extend(accused);
        }
        for (by, accused) in by_one {
            if verdicts.iter().all(|(process, _)| *process != by)
                && self.is_alone_again(now, by, accused)
            {
                verdicts.retain(|(_, accusers)| accusers[..] != [by]);
                verdicts.push((by, Vec::new()));
            }
        }
        verdicts
    }

    /// `by` alone accuses `accused`: whether it did the like before. Until the server of the
    /// accused has excluded it, it is the same accusation.
    fn is_alone_again(
        &mut self,
        now: Time,
        by: ProcessId,
        accused: Vec<(ProcessId, Attachment)>,
    ) -> bool {
        let last = self.alone.get(&by).filter(|last| now < last.at.plus_ms(FORGIVEN_MS));
        let again = last.is_some_and(|last| accused.iter().any(|p| !last.accused.contains(p)));
        self.alone.insert(by, Alone { at: now, accused });
        if self.alone.len() > REMEMBERED_MAX {
            self.alone.pop_first();
        }
        again
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
        let by = by.iter().copied().take(ACCUSERS_MAX).collect();
        self.accusers.insert(process, by);
        self.excluded.begin(now, process, config.readmit_ms)
    }

    /// Some of the accusers of a process that is excluded, and how long it still is, in ms.
    pub(super) fn excluded(&self, now: Time, process: ProcessId) -> Option<(Vec<ProcessId>, u64)> {
        let pause = self.excluded.of(now, process)?;
        let by = self.accusers.get(&process).cloned().unwrap_or_default();
        Some((by, pause.until.millis_since(now) + 1))
    }

    /// Those that are remembered as excluded, ascending.
    pub(super) fn all_excluded(&self) -> impl Iterator<Item = ProcessId> + '_ {
        self.excluded.processes()
    }

    /// Forgets whom `process` accuses.
    pub(super) fn forget(&mut self, process: ProcessId) {
        self.accusations.remove(&process);
    }

    /// Forgets whom those accuse of whom `stays` is false.
    pub(super) fn retain(&mut self, stays: impl Fn(&ProcessId) -> bool) {
        self.accusations.retain(|by, _| stays(by));
    }

    /// Forgets an exclusion if there are more than are remembered.
    pub(super) fn trim(&mut self) {
        if let Some(process) = self.excluded.trim() {
            self.accusers.remove(&process);
        }
    }

    /// When to judge.
    pub(super) fn next_timeout(&self) -> Option<Time> {
        self.judge_at
    }
}
