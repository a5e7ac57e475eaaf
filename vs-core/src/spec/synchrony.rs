//! S8, S9, S10: what processes share that go from one view to the next together.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::log::ViewIndex;
use super::model::{At, Group, Stay};
use super::property::Property;
use super::report::Findings;
use crate::ident::ProcessId;
use crate::view::DisplaySet;

pub(super) fn judge(group: &Group, findings: &mut Findings) {
    virtual_synchrony(group, findings);
    transitional_sets(group, findings);
}

/// S8. All who go from one view to another are compared with the first of them.
fn virtual_synchrony(group: &Group, findings: &mut Findings) {
    // No two processes share an initial view.
    let moved =
        |(i, stay): (usize, &Stay)| Some((stay.view?, group.stays[stay.next?].view?, stay.log, i));
    let mut moves: Vec<(ViewIndex, ViewIndex, usize, usize)> =
        group.stays.iter().enumerate().filter_map(moved).collect();
    moves.sort_unstable();
    for together in moves.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        let first = &group.stays[together[0].3];
        for &(.., i) in &together[1..] {
            let stay = &group.stays[i];
            let ranks = first.delivered.iter().zip(&stay.delivered).enumerate();
            let mut differences =
                ranks.filter_map(|(rank, (a, b))| a.difference(b).map(|(n, a)| (rank, n, a)));
            if let Some((rank, n, first_has)) = differences.next() {
                let (has, lacks) = if first_has { (first, stay) } else { (stay, first) };
                findings.add(Property::S8, || differ(group, has, lacks, rank, n));
            }
        }
    }
}

/// `has` delivered message `n` of the sender at `rank`; `lacks` installed the same next view
/// without it.
fn differ(group: &Group, has: &Stay, lacks: &Stay, rank: usize, n: u64) -> super::Violation {
    let view = group.view_of(lacks);
    let from = view.members()[rank];
    let (p, q) = (group.logs[lacks.log].process, group.logs[has.log].process);
    let next = &group.stays[lacks.next.unwrap_or_default()];
    let what = format!(
        "{p} and {q} went from {view} to {} together, but only {q} delivered message {n} of {from}",
        group.view_of(next)
    );
    group.violation(Property::S8, next.entered(), group.delivery(has, from, n), what)
}

/// S9, S10.
fn transitional_sets(group: &Group, findings: &mut Findings) {
    let mut installers: Vec<Vec<usize>> = (0..group.views.len()).map(|_| Vec::new()).collect();
    for (i, stay) in group.stays.iter().enumerate() {
        if let Some(view) = stay.view {
            installers[view as usize].push(i);
            within_both(group, findings, stay);
        }
    }
    for together in installers {
        for &i in &together {
            let mine = &group.stays[i];
            let p = group.logs[mine.log].process;
            if !group.transitional(mine).contains(&p) {
                let what = || format!("{p} is not in its own transitional set");
                add(group, findings, mine.entered(), None, &what);
            }
            let others = together.iter().map(|&j| &group.stays[j]);
            for other in others.filter(|other| other.log != mine.log) {
                came_together(group, findings, mine, other);
            }
        }
    }
}

/// S9.
fn within_both(group: &Group, findings: &mut Findings, stay: &Stay) {
    let Some(previous) = stay.previous.map(|p| &group.stays[p]) else { return };
    let (old, new) = (group.view_of(previous), group.view_of(stay));
    let set = group.transitional(stay);
    let outside = |q: &&ProcessId| !(old.contains(**q) && new.contains(**q));
    if let Some(q) = set.iter().find(outside) {
        findings.add(Property::S9, || {
            let set = DisplaySet(set);
            let what =
                format!("the transitional set {set} has {q}, a member not of both {old} and {new}");
            group.violation(Property::S9, stay.entered(), Some(previous.entered()), what)
        });
    }
}

/// S10, for two processes that both installed a view.
fn came_together(group: &Group, findings: &mut Findings, mine: &Stay, other: &Stay) {
    let q = group.logs[other.log].process;
    let from = |stay: &Stay| stay.previous.and_then(|i| group.stays[i].view);
    let together = from(mine).is_some() && from(mine) == from(other);
    let set = group.transitional(mine);
    if set.contains(&q) == together {
        return;
    }
    let view = group.view_of(mine);
    let what = || {
        let set = DisplaySet(set);
        if together {
            format!(
                "{q} came to {view} from the same view, but is not in the transitional set {set}"
            )
        } else {
            format!("{q} came to {view} from another view, but is in the transitional set {set}")
        }
    };
    add(group, findings, mine.entered(), Some(other.entered()), &what);
}

fn add(
    group: &Group,
    findings: &mut Findings,
    at: At,
    other: Option<At>,
    what: &dyn Fn() -> String,
) {
    findings.add(Property::S10, || group.violation(Property::S10, at, other, what()));
}
