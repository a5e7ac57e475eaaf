//! L1, L2, L3, L4, L5, L7: liveness at the end of a run that settled.

use alloc::format;
use alloc::vec::Vec;

use super::log::{Item, Step, ViewIndex};
use super::model::{At, Delivered, Group, Stay};
use super::options::{Component, Stability};
use super::property::Property;
use super::report::Findings;
use crate::order::Stage;
use crate::trace::StateEvent;
use crate::view::DisplaySet;

pub(super) fn judge(group: &Group, stability: &Stability, findings: &mut Findings) {
    let components: Vec<&Component> =
        stability.components.iter().filter(|c| c.group == group.name).collect();
    let survived: Vec<bool> = group
        .logs
        .iter()
        .map(|log| {
            let listed = |c: &&Component| c.members.contains(&log.process);
            log.alive && (components.is_empty() || components.iter().any(listed))
        })
        .collect();
    let end = End { group, survived };
    for component in components {
        end.precision(findings, component);
    }
    for (view, at) in end.shared(|log| end.last_stay(log).and_then(|stay| stay.view).zip(Some(log)))
    {
        end.multicast(findings, view, &at);
        end.safety(findings, view, &at);
        end.settling(findings, view, &at);
    }
    end.self_delivery(findings);
    for (view, logs) in end.shared(|log| end.last_announced(log)) {
        end.installed(findings, view, &logs);
    }
}

/// The end of a run.
struct End<'a> {
    group: &'a Group,
    /// Per log.
    survived: Vec<bool>,
}

impl End<'_> {
    fn survivors(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.group.logs.len()).filter(|log| self.survived[*log])
    }

    fn last_stay(&self, log: usize) -> Option<&Stay> {
        self.group.logs[log].last.map(|stay| &self.group.stays[stay])
    }

    /// Each view that `of` returns for all of the view's members, with the other value of `of` for
    /// each of them.
    fn shared<T: Clone>(
        &self,
        of: impl Fn(usize) -> Option<(ViewIndex, T)>,
    ) -> Vec<(ViewIndex, Vec<T>)> {
        let named = |log: usize| of(log).map(|(view, t)| (view, log, t));
        let mut all: Vec<(ViewIndex, usize, T)> = self.survivors().filter_map(named).collect();
        all.sort_by_key(|(view, log, _)| (*view, *log));
        let by_view = all.chunk_by(|a, b| a.0 == b.0);
        let complete = by_view.filter(|same| {
            let members = self.group.view(same[0].0).members();
            members
                .iter()
                .all(|q| self.group.logs_of(*q).any(|l| same.iter().any(|(_, log, _)| *log == l)))
        });
        complete.map(|same| (same[0].0, same.iter().map(|(.., t)| t.clone()).collect())).collect()
    }

    /// The view that the membership service announced last to a process, with no start_change after
    /// it, and that event.
    fn last_announced(&self, log: usize) -> Option<(ViewIndex, At)> {
        for (i, item) in self.group.logs[log].items.iter().enumerate().rev() {
            match item.step {
                Step::MbrView(view) => return Some((view, At { log, item: i })),
                Step::StartChange { .. }
                | Step::Begin
                | Step::Start
                | Step::Leave
                | Step::Crash
                | Step::BrokenOff => {
                    return None;
                }
                _ => {}
            }
        }
        None
    }

    /// The last start_change of a process, if no view has answered it.
    fn unanswered(&self, log: usize) -> Option<At> {
        for (i, item) in self.group.logs[log].items.iter().enumerate().rev() {
            match item.step {
                Step::StartChange { .. } => return Some(At { log, item: i }),
                Step::View { .. }
                | Step::Begin
                | Step::Start
                | Step::Leave
                | Step::Crash
                | Step::BrokenOff => {
                    return None;
                }
                _ => {}
            }
        }
        None
    }

    /// L1: one last view, and no unanswered start_change.
    fn precision(&self, findings: &mut Findings, component: &Component) {
        let group = self.group;
        let mut first: Option<&Stay> = None;
        for p in &component.members {
            let (mut logs, last) = (group.logs_of(*p), group.logs_of(*p).last());
            let Some(log) = logs.find(|log| group.logs[*log].alive).or(last) else { continue };
            if group.logs[log].broken_off {
                continue; // where it ended is not known
            }
            if let Some(change) = self.unanswered(log) {
                findings.add(Property::L1, || {
                    let what = format!("{p} was told of a change that it never came out of");
                    group.violation(Property::L1, change, Some(group.end(log)), what)
                });
            }
            let stay = self.last_stay(log);
            let view = stay.and_then(|stay| stay.view);
            let wrong =
                view.is_none_or(|v| group.view(v).members() != component.members.as_slice());
            let differs = first.is_some_and(|f| f.view != view);
            if wrong || differs {
                findings.add(Property::L1, || {
                    let set = DisplaySet(&component.members);
                    let what = match stay.map(|stay| group.view_of(stay)) {
                        Some(view) if wrong => format!("{p} ended in {view}, all of {set} stayed"),
                        Some(view) => {
                            format!("{p} ended in {view}, others of {set} in another view")
                        }
                        None => format!("{p} ended in no view, all of {set} stayed"),
                    };
                    let event = stay.map_or(group.end(log), Stay::entered);
                    group.violation(Property::L1, event, first.map(Stay::entered), what)
                });
            }
            first = first.or(stay);
        }
    }

    /// L2, for a view in which all of its members ended. Own messages are L3's.
    fn multicast(&self, findings: &mut Findings, view: ViewIndex, logs: &[usize]) {
        let group = self.group;
        for sender in logs.iter().filter_map(|log| self.last_stay(*log)) {
            let from = group.logs[sender.log].process;
            for receiver in logs.iter().filter_map(|log| self.last_stay(*log)) {
                let Some(rank) = group.rank_in(receiver, from) else { continue };
                let missing = sender.first_missing(&receiver.delivered[rank]);
                let (Some((n, sent)), false) = (missing, receiver.log == sender.log) else {
                    continue;
                };
                findings.add(Property::L2, || {
                    let (q, view) = (group.logs[receiver.log].process, group.view(view));
                    let what = format!(
                        "{q} never delivered message {n} of {from} in the last view {view}"
                    );
                    group.violation(Property::L2, sent, Some(group.end(receiver.log)), what)
                });
            }
        }
    }

    /// L4, for a view in which all of its members ended.
    fn safety(&self, findings: &mut Findings, view: ViewIndex, logs: &[usize]) {
        let group = self.group;
        if !group.order.is_safe() {
            return;
        }
        for receiver in logs.iter().filter_map(|log| self.last_stay(*log)) {
            let regular = self.regular(receiver);
            for sender in logs.iter().filter_map(|log| self.last_stay(*log)) {
                let from = group.logs[sender.log].process;
                let Some(rank) = group.rank_in(receiver, from) else { continue };
                let Some((n, sent)) = sender.first_missing(&regular[rank]) else { continue };
                findings.add(Property::L4, || {
                    let (q, view) = (group.logs[receiver.log].process, group.view(view));
                    let what = format!(
                        "message {n} of {from} never became safe at {q} in the last view {view}"
                    );
                    group.violation(Property::L4, sent, Some(group.end(receiver.log)), what)
                });
            }
        }
    }

    /// What was delivered before the signal, by rank of the sender.
    fn regular(&self, stay: &Stay) -> Vec<Delivered> {
        let mut regular: Vec<Delivered> = stay.delivered.iter().map(|_| <_>::default()).collect();
        for item in &self.group.logs[stay.log].items[stay.items.clone()] {
            if let Step::Deliver { from, message, stage: Stage::Regular } = &item.step
                && let Some(rank) = self.group.rank_in(stay, *from)
            {
                regular[rank].add(message.n);
            }
        }
        regular
    }

    /// L7, for a view in which all of its members ended.
    fn settling(&self, findings: &mut Findings, view: ViewIndex, logs: &[usize]) {
        let group = self.group;
        if !group.has_state {
            return;
        }
        let settled = |stay: &Stay| {
            let mut items = group.logs[stay.log].items[stay.items.clone()].iter().zip(0..);
            let is = |item: &Item| matches!(item.step, Step::State(StateEvent::Settled));
            let found = items.find(|(item, _)| is(item));
            found.map(|(_, i)| At { log: stay.log, item: stay.items.start + i })
        };
        let stays = || logs.iter().filter_map(|log| self.last_stay(*log));
        let Some(first) = stays().find_map(settled) else { return };
        for stay in stays().filter(|stay| settled(stay).is_none()) {
            findings.add(Property::L7, || {
                let (p, view) = (group.logs[stay.log].process, group.view(view));
                let what = format!("{p} never settled in the last view {view}");
                group.violation(Property::L7, stay.entered(), Some(first), what)
            });
        }
    }

    /// L3. Before a further view it is S14's.
    fn self_delivery(&self, findings: &mut Findings) {
        let group = self.group;
        for stay in self.survivors().filter_map(|log| self.last_stay(log)) {
            let p = group.logs[stay.log].process;
            let Some(rank) = group.rank_in(stay, p) else { continue };
            if let Some((n, sent)) = stay.first_missing(&stay.delivered[rank]) {
                findings.add(Property::L3, || {
                    let what = format!("{p} never delivered its own message {n}");
                    group.violation(Property::L3, sent, Some(group.end(stay.log)), what)
                });
            }
        }
    }

    /// L5, for a view that is the last announcement to all of its members.
    fn installed(&self, findings: &mut Findings, view: ViewIndex, announced: &[At]) {
        let group = self.group;
        for &at in announced {
            let last = self.last_stay(at.log);
            if last.and_then(|stay| stay.view) != Some(view) {
                findings.add(Property::L5, || {
                    let (p, view) = (group.process(at), group.view(view));
                    let what =
                        format!("{p} never installed {view}, the last view announced to all of it");
                    group.violation(Property::L5, at, Some(group.end(at.log)), what)
                });
            }
        }
    }
}
