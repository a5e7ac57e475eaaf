//! T7: which members of a view came together.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::log::ViewIndex;
use super::model::{At, Group, Stay};
use super::property::Property;
use super::report::Findings;
use crate::ident::ProcessId;
use crate::trace::ToldCluster;
use crate::view::{DisplaySet, Members, View};

pub(super) fn judge(group: &Group, findings: &mut Findings) {
    let mut installers: Vec<Vec<&Stay>> = (0..group.views.len()).map(|_| Vec::new()).collect();
    for stay in &group.stays {
        if let Some(view) = stay.view {
            installers[view as usize].push(stay);
        }
    }
    for together in installers {
        let mut told = together.iter().filter_map(|stay| Some((*stay, group.clusters(stay)?)));
        let first = told.next();
        for stay in &together {
            alone(group, findings, stay);
        }
        let Some((first, clusters)) = first else { continue };
        for (stay, other) in told {
            same(group, findings, (first, clusters), (stay, other));
        }
        origins(group, findings, first, &together);
    }
}

/// What one member was told: each member of the view once, and its own transitional set.
fn alone(group: &Group, findings: &mut Findings, stay: &Stay) {
    let p = group.logs[stay.log].process;
    let Some(clusters) = group.clusters(stay) else {
        let what = || format!("{p} was told no clusters of {}", group.view_of(stay));
        return add(group, findings, stay.entered(), None, &what);
    };
    let view = group.view_of(stay);
    if !covers(clusters, &view) {
        let what =
            || format!("{p} was told {}, which is not each member of {view} once", Shown(clusters));
        return add(group, findings, stay.entered(), None, &what);
    }
    let own = clusters.iter().find(|cluster| cluster.members.contains(&p));
    let transitional = group.transitional(stay);
    if own.is_some_and(|own| *own.members != *transitional) {
        let what = || {
            let (set, told) = (DisplaySet(transitional), Shown(clusters));
            format!("{p} has the transitional set {set}, and was told {told}")
        };
        add(group, findings, stay.entered(), None, &what);
    }
}

/// Whether each member of `view` is in one of `clusters`, and nobody else.
fn covers(clusters: &[ToldCluster], view: &View) -> bool {
    let mut all: Members = clusters.iter().flat_map(|c| c.members.iter().copied()).collect();
    all.sort_unstable();
    *all == *view.members()
}

/// What two members of a view were told.
fn same(
    group: &Group,
    findings: &mut Findings,
    (first, of_first): (&Stay, &[ToldCluster]),
    (stay, of_stay): (&Stay, &[ToldCluster]),
) {
    if of_first == of_stay {
        return;
    }
    let (p, q) = (group.logs[stay.log].process, group.logs[first.log].process);
    let what = || {
        let (mine, theirs, view) = (Shown(of_stay), Shown(of_first), group.view_of(stay));
        format!("in {view} {p} was told {mine}, and {q} {theirs}")
    };
    add(group, findings, stay.entered(), Some(first.entered()), &what);
}

/// Where a process that installs a view comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// From its initial view.
    Fresh,
    From(ViewIndex),
}

/// What `first` was told, beside where those come from that installed the view.
fn origins(group: &Group, findings: &mut Findings, first: &Stay, installers: &[&Stay]) {
    let Some(clusters) = group.clusters(first) else { return };
    let mut known: Vec<(ProcessId, Origin, usize, &Stay)> = Vec::new();
    for stay in installers {
        let p = group.logs[stay.log].process;
        // If the trace does not tell the view before, nothing is known.
        let Some(previous) = stay.previous.map(|i| &group.stays[i]) else { continue };
        let Some(cluster) = clusters.iter().position(|c| c.members.contains(&p)) else { continue };
        let origin = previous.view.map_or(Origin::Fresh, Origin::From);
        let fresh = clusters[cluster].fresh;
        if fresh != (origin == Origin::Fresh) {
            let what = || {
                let (told, from) = (Shown(clusters), group.view_of(previous));
                format!("{p} came from {from}, and the clusters are {told}")
            };
            add(group, findings, first.entered(), Some(stay.entered()), &what);
        }
        known.push((p, origin, cluster, stay));
    }
    for (i, &(p, origin, cluster, stay)) in known.iter().enumerate() {
        let apart = known[..i].iter().find(|&&(_, other, c, _)| {
            let together = origin == other && origin != Origin::Fresh;
            together != (c == cluster)
        });
        let Some(&(q, other, ..)) = apart else { continue };
        let what = || {
            let from = if origin == other { "the same view" } else { "other views" };
            format!("{p} and {q} came from {from}, and the clusters are {}", Shown(clusters))
        };
        add(group, findings, first.entered(), Some(stay.entered()), &what);
    }
}

/// `{1,2} {3} fresh`.
struct Shown<'a>(&'a [ToldCluster]);

impl core::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (i, cluster) in self.0.iter().enumerate() {
            let (gap, fresh) =
                (if i == 0 { "" } else { " " }, if cluster.fresh { " fresh" } else { "" });
            write!(f, "{gap}{}{fresh}", DisplaySet(&cluster.members))?;
        }
        Ok(())
    }
}

fn add(
    group: &Group,
    findings: &mut Findings,
    at: At,
    other: Option<At>,
    what: &dyn Fn() -> String,
) {
    findings.add(Property::T7, || group.violation(Property::T7, at, other, what()));
}
