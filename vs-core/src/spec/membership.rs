//! M1 to M6: what the membership service may say to a process.

use alloc::collections::BTreeMap;
use alloc::format;

use super::log::{Step, ViewIndex};
use super::model::{At, Group};
use super::property::Property;
use super::report::Findings;
use crate::ident::{Cid, ProcessId, ViewId};
use crate::view::DisplaySet;

/// What the membership service has told one process so far.
#[derive(Default)]
struct Said<'a> {
    /// Over all incarnations.
    cid: Option<(Cid, At)>,
    view: Option<(ViewId, At)>,
    /// Of this incarnation.
    change: Option<Change<'a>>,
    /// The view that answered the last start_change.
    answered: Option<At>,
}

#[derive(Clone, Copy)]
struct Change<'a> {
    cid: Cid,
    set: &'a [ProcessId],
    at: At,
}

pub(super) fn judge(group: &Group, findings: &mut Findings) {
    given_once(group, findings);
    for (l, log) in group.logs.iter().enumerate() {
        let mut said = Said::default();
        for (i, item) in log.items.iter().enumerate() {
            let at = At { log: l, item: i };
            match &item.step {
                Step::Begin | Step::Start | Step::Leave | Step::Crash | Step::BrokenOff => {
                    said = Said { cid: said.cid, view: said.view, ..Said::default() };
                }
                Step::StartChange { cid, set } => {
                    start_change(group, findings, &mut said, Change { cid: *cid, set, at });
                }
                Step::MbrView(view) => mbr_view(group, findings, &mut said, *view, at),
                _ => {}
            }
        }
    }
}

/// M2, for two processes under one id: no view is announced to both of them.
fn given_once(group: &Group, findings: &mut Findings) {
    for (l, log) in group.logs.iter().enumerate() {
        let rivals = group.logs_of(log.process).filter(|rival| *rival < l);
        let rivals: BTreeMap<ViewIndex, At> = rivals.flat_map(|r| announced(group, r)).collect();
        if rivals.is_empty() {
            continue;
        }
        for (view, at) in announced(group, l) {
            let Some(before) = rivals.get(&view) else { continue };
            findings.add(Property::M2, || {
                let (p, view) = (log.process, group.view(view));
                let what = format!("the local id in {view} was given to two processes under {p}");
                group.violation(Property::M2, at, Some(*before), what)
            });
        }
    }
}

fn announced(group: &Group, log: usize) -> impl Iterator<Item = (ViewIndex, At)> {
    group.logs[log].items.iter().enumerate().filter_map(move |(item, i)| match i.step {
        Step::MbrView(view) => Some((view, At { log, item })),
        _ => None,
    })
}

fn start_change<'a>(
    group: &Group,
    findings: &mut Findings,
    said: &mut Said<'a>,
    change: Change<'a>,
) {
    let Change { cid, set, at } = change;
    let p = group.process(at);
    if !set.contains(&p) {
        findings.add(Property::M1, || {
            let what = format!("the start_change's set {} lacks {p}", DisplaySet(set));
            group.violation(Property::M1, at, None, what)
        });
    }
    if let Some((last, before)) = said.cid.filter(|(last, _)| cid <= *last) {
        findings.add(Property::M2, || {
            let what = format!("{p} was given the local id {cid} after {last}");
            group.violation(Property::M2, at, Some(before), what)
        });
    }
    said.cid = Some((cid, at));
    said.change = Some(change);
    said.answered = None;
}

fn mbr_view(group: &Group, findings: &mut Findings, said: &mut Said<'_>, index: ViewIndex, at: At) {
    let p = group.process(at);
    let view = group.view(index);
    let mut add = |property, other, what: &dyn Fn() -> alloc::string::String| {
        findings.add(property, || group.violation(property, at, other, what()));
    };
    if !view.contains(p) {
        add(Property::M1, None, &|| format!("{p} is not a member of {view}"));
    }
    if let Some((last, before)) = said.view.filter(|(last, _)| view.id() <= *last) {
        let what = || format!("{p} was given {view} after a view with id {last}");
        add(Property::M6, Some(before), &what);
    }
    match said.change {
        None => add(Property::M5, None, &|| {
            format!("{p} was given {view} without a start_change in this incarnation")
        }),
        Some(change) => {
            if let Some(before) = said.answered {
                let what =
                    || format!("{p} was given {view} without a start_change since the last view");
                add(Property::M5, Some(before), &what);
            }
            if let Some(q) = view.members().iter().find(|q| !change.set.contains(q)) {
                let set = DisplaySet(change.set);
                let what = || format!("{view} has {q}, which the start_change's set {set} lacks");
                add(Property::M3, Some(change.at), &what);
            }
            if let Some(start) = view.start(p).filter(|start| *start != change.cid) {
                let cid = change.cid;
                let what =
                    || format!("{view} carries the local id {start} for {p}, the last was {cid}");
                add(Property::M4, Some(change.at), &what);
            }
        }
    }
    said.view = Some((view.id(), at));
    said.answered = Some(at);
}
