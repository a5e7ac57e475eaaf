//! S4: primary views form one sequence.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use super::log::{Step, ViewIndex};
use super::model::{At, Group, Stay};
use super::property::Property;
use super::report::Findings;
use crate::ident::{ProcessId, ViewId};

pub(super) fn judge(group: &Group, findings: &mut Findings) {
    // Two processes under one id are in two views at a time. Nothing is promised for them.
    if group.logs.windows(2).any(|pair| pair[0].process == pair[1].process) {
        return;
    }
    let mut primary: BTreeMap<(ViewId, ViewIndex), At> = BTreeMap::new();
    for stay in &group.stays {
        let Some(at) = said_in(group, stay) else { continue };
        let Some(view) = stay.view else {
            findings.add(Property::S4, || {
                let what = format!("{} is in no view that could be primary", group.process(at));
                group.violation(Property::S4, at, None, what)
            });
            continue;
        };
        primary.entry((group.view(view).id(), view)).or_insert(at);
    }
    let in_order: Vec<(ViewIndex, At)> =
        primary.iter().map(|((_, view), at)| (*view, *at)).collect();
    for pair in in_order.windows(2) {
        let [(before, first), (after, second)] = [pair[0], pair[1]];
        if !is_shared(group, before, after) {
            findings.add(Property::S4, || {
                let (before, after) = (group.view(before), group.view(after));
                let what = format!(
                    "{before} and {after} were primary, and no process has installed both, the one after the other"
                );
                group.violation(Property::S4, second, Some(first), what)
            });
        }
    }
}

/// The event that says that the view of `stay` is primary.
fn said_in(group: &Group, stay: &Stay) -> Option<At> {
    let items = &group.logs[stay.log].items[stay.items.clone()];
    let found = items.iter().position(|item| matches!(item.step, Step::Primary))?;
    Some(At { log: stay.log, item: stay.items.start + found })
}

/// Whether a process has installed `before` and later `after`; assumed of a member whose trace was
/// not handed in, or broke off there. No primary view lies between, as their ids do not, and ids of
/// one process increase (S2).
fn is_shared(group: &Group, before: ViewIndex, after: ViewIndex) -> bool {
    let entered = |p: ProcessId, view| {
        let stay = group.logs_of(p).find_map(|log| group.stay_in(log, view))?;
        Some(group.stays[stay].entered().item)
    };
    let members = group.view(before).members().iter();
    members.filter(|p| group.view(after).contains(**p)).any(|p| {
        let (first, second) = (entered(*p, before), entered(*p, after));
        let known_or_hidden =
            |at: Option<usize>, view| at.is_some() || group.may_have_been_in(*p, view);
        match (first, second) {
            (Some(first), Some(second)) => first < second,
            _ if group.logs_of(*p).is_empty() => true,
            _ => known_or_hidden(first, before) && known_or_hidden(second, after),
        }
    })
}
