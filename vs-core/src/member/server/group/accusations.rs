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

/// How long it is remembered that a member alone had others excluded, in ms: an hour. Within it one
/// that lies has six of them excluded, and not one a minute.
const REMEMBERED_MS: u64 = 3_600_000;

/// What one member alone brought about.
#[derive(Clone, Debug)]
struct Alone {
    /// When it was excluded last whom it accused.
    at: Time,
    /// Whom it accused then, in which attachment.
    accused: Vec<(ProcessId, Attachment)>,
    /// How often it was believed before within [`REMEMBERED_MS`].
    believed: u32,
}

impl Alone {
    /// After how long it is believed again, in ms; doubled each time.
    fn forgiven_ms(&self) -> u64 {
        (FORGIVEN_MS << self.believed.min(u64::BITS / 2)).min(REMEMBERED_MS)
    }
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
    /// one again, the fault is more likely its own: it goes instead, accused by nobody. That time
    /// is doubled whenever it is believed.
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
        let last = self.alone.get(&by).filter(|last| now < last.at.plus_ms(REMEMBERED_MS));
        let is_other = last.is_some_and(|last| accused.iter().any(|p| !last.accused.contains(p)));
        let is_early = last.is_some_and(|last| now < last.at.plus_ms(last.forgiven_ms()));
        let again = is_other && is_early;
        let before = last.map_or(0, |last| last.believed);
        let believed = before + u32::from(is_other && !is_early);
        self.alone.insert(by, Alone { at: now, accused, believed });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::{Incarnation, ServerId};

    /// Who waited for a minute each time had one excluded a minute, for ever.
    #[test]
    fn patient_liar_is_believed_six_times_an_hour() {
        let member = |p: u64, counter: u64| Attached {
            process: ProcessId(p),
            attachment: Attachment { incarnation: Incarnation::new(1), counter },
            home: ServerId(1),
            members_max: 16,
            settled: None,
            profile: 0,
        };
        let (mut accusations, config) = (Accusations::default(), ServerConfig::default());
        let liar = ProcessId(1);
        let (mut believed, mut excluded) = (0, 0);
        for minute in 0..60 {
            let now = Time::from_millis(minute * FORGIVEN_MS);
            let report: Vec<Attached> = (1..=4).map(|p| member(p, minute)).collect();
            accusations.handle_accuse(now, liar, Vec::from([ProcessId(3)]), &config);
            match accusations.judge(now, &report)[..] {
                [(process, _)] if process == liar => excluded += 1,
                [(ProcessId(3), _)] => believed += 1,
                ref other => panic!("{other:?}"),
            }
        }
        assert_eq!((believed, excluded), (2, 58), "it waits for a minute each time");

        let mut accusations = Accusations::default();
        let mut believed = Vec::new();
        let mut at_min = 0;
        for turn in 0..7 {
            let now = Time::from_millis(at_min * FORGIVEN_MS);
            let report: Vec<Attached> = (1..=4).map(|p| member(p, turn)).collect();
            accusations.handle_accuse(now, liar, Vec::from([ProcessId(3)]), &config);
            assert_eq!(accusations.judge(now, &report)[0].0, ProcessId(3), "{at_min}");
            believed.push(at_min);
            at_min += 1 << turn;
        }
        assert_eq!(believed, [0, 1, 3, 7, 15, 31, 63], "minutes");
    }
}
