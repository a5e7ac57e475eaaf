//! Who accuses whom, and who is excluded for it.

use alloc::vec::Vec;

use super::group::{Cx, Group, Send};
use super::{ConnId, Departure, notify};
use crate::ident::ProcessId;
use crate::member::DetachReason;
use crate::time::Time;
use crate::view::VIEW_MEMBERS_MAX;

/// The pause of an excluded member is doubled at most to this many times the first one.
const READMIT_FACTOR_MAX: u64 = 16;

/// An exclusion is forgotten so long after its pause without another, in ms: far longer than it takes to find out that
/// a member still does not answer.
pub(super) const FORGIVEN_MS: u64 = 60_000;

/// Accusers of an excluded member that are remembered, for it to be told again.
const ACCUSERS_MAX: usize = 8;

/// A member that was excluded stays out for a pause.
#[derive(Clone, Debug)]
pub(super) struct Exclusion {
    pub(super) until: Time,
    pub(super) pause_ms: u64,
    /// Some of the accusers.
    pub(super) by: Vec<ProcessId>,
}

impl Group {
    /// Whom the clients here accuse.
    pub(super) fn local_accusations(&self) -> Vec<(ProcessId, Vec<ProcessId>)> {
        let local = self.accusations.iter().filter(|(by, _)| self.locals.contains_key(by));
        local.map(|(by, accused)| (*by, accused.clone())).collect()
    }

    /// A client accuses others; false if it is not attached over this connection.
    pub(super) fn accuse_from_client(
        &mut self,
        cx: &mut Cx<'_>,
        conn: ConnId,
        by: ProcessId,
        accused: Vec<ProcessId>,
    ) -> bool {
        let known = self.locals.get(&by).is_some_and(|local| local.conn == conn);
        if known {
            self.accuse(cx, by, accused);
        }
        known
    }

    /// `by` accuses `accused`, instead of whomever it accused before.
    pub(super) fn accuse(&mut self, cx: &mut Cx<'_>, by: ProcessId, accused: Vec<ProcessId>) {
        let is_reported = || self.moshe.report().iter().any(|client| client.process == by);
        let is_waited_with = self.regroup.is_some() && self.locals.contains_key(&by);
        if !is_waited_with && !is_reported() {
            return;
        }
        if accused.is_empty() || accused.len() > VIEW_MEMBERS_MAX {
            self.accusations.remove(&by);
        } else {
            self.accusations.insert(by, accused);
            let at = cx.now.plus_ms(cx.config.accuse_ms);
            self.judge_at = Some(self.judge_at.map_or(at, |judge| judge.min(at)));
        }
        if self.accusations.is_empty() {
            self.judge_at = None;
        }
    }

    /// Excludes who is accused, once others have had the time to accuse, too.
    pub(super) fn judge(&mut self, cx: &mut Cx<'_>) {
        if self.regroup.is_some() {
            self.judge_at = Some(cx.now.plus_ms(cx.config.accuse_ms));
            return;
        }
        let members: Vec<ProcessId> = self.moshe.report().iter().map(|c| c.process).collect();
        self.accusations.retain(|by, _| members.binary_search(by).is_ok());
        let verdicts = notify::exclude(&members, &self.accusations);
        for (process, by) in verdicts {
            for accused in self.accusations.values_mut() {
                accused.retain(|p| *p != process);
            }
            self.accusations.remove(&process);
            // Each server excludes its own clients, and hears of the others.
            let Some(local) = self.locals.get(&process).copied() else { continue };
            let first = cx.config.readmit_ms;
            let before = self.excluded.get(&process);
            let repeated = before
                .filter(|e| cx.now < e.until.plus_ms(FORGIVEN_MS))
                .map(|e| (2 * e.pause_ms).min(READMIT_FACTOR_MAX * first));
            let pause_ms = repeated.unwrap_or(first);
            let until = cx.now.plus_ms(pause_ms);
            let some = by.iter().copied().take(ACCUSERS_MAX).collect();
            self.excluded.insert(process, Exclusion { until, pause_ms, by: some });
            let reason = DetachReason::Accused { by };
            let (group, retry_ms) = (self.name.clone(), pause_ms);
            let reply = local.detached(group, reason.clone(), retry_ms);
            cx.sends.push(Send::Client(local.conn, reply));
            self.remove(cx, process, Departure::Told(reason));
        }
    }
}
