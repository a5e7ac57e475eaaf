//! S1, S2, S3, S23, S24: which views a process installs, and that every event happens in a view.

use alloc::format;

use super::log::{Step, ViewIndex};
use super::model::{At, Group};
use super::property::Property;
use super::report::Findings;
use crate::ident::{Cid, ViewId};

/// What is known of one process when it installs a view.
struct Seen {
    /// Over all incarnations.
    installed: Option<(ViewId, At)>,
    /// In this incarnation: the last start_change, and each view announced after a start_change.
    change: Option<(Cid, At)>,
    announced: alloc::vec::Vec<(ViewIndex, At)>,
    /// The event at which the process crashed, until it starts again.
    crashed: Option<At>,
    /// The number of the last message sent in the current view, and where.
    sent: (u64, Option<At>),
}

pub(super) fn judge(group: &Group, findings: &mut Findings) {
    for (l, log) in group.logs.iter().enumerate() {
        let mut seen = Seen::new(None);
        for (i, item) in log.items.iter().enumerate() {
            let at = At { log: l, item: i };
            match &item.step {
                Step::Begin | Step::Start | Step::Leave | Step::BrokenOff => {
                    seen = Seen::new(seen.installed)
                }
                Step::Crash => seen = Seen { crashed: Some(at), ..Seen::new(seen.installed) },
                Step::StartChange { cid, .. } => seen.change = Some((*cid, at)),
                Step::MbrView(view) if seen.change.is_some() => seen.announced.push((*view, at)),
                Step::View { view, .. } => {
                    installed(group, findings, &mut seen, *view, at);
                    obsolete_or_unannounced(group, findings, &seen, *view, at);
                }
                Step::Send(message) => {
                    in_a_view(group, findings, &seen, at);
                    numbered(group, findings, &mut seen, message.n, at);
                }
                Step::Deliver { .. } => in_a_view(group, findings, &seen, at),
                _ => {}
            }
        }
    }
}

impl Seen {
    fn new(installed: Option<(ViewId, At)>) -> Self {
        let announced = alloc::vec::Vec::new();
        Self { installed, change: None, announced, crashed: None, sent: (0, None) }
    }
}

/// S1, S2.
fn installed(group: &Group, findings: &mut Findings, seen: &mut Seen, index: ViewIndex, at: At) {
    let (p, view) = (group.process(at), group.view(index));
    if !view.contains(p) {
        findings.add(Property::S1, || {
            let what = format!("{p} installed {view} without being a member");
            group.violation(Property::S1, at, None, what)
        });
    }
    // The initial view has the least id there is.
    let (last, before) =
        seen.installed.map_or((ViewId::default(), None), |(id, at)| (id, Some(at)));
    if view.id() <= last {
        findings.add(Property::S2, || {
            let what = format!("{p} installed {view} after a view with id {last}");
            group.violation(Property::S2, at, before, what)
        });
    }
    seen.installed = Some((view.id(), at));
    seen.sent = (0, Some(at));
}

/// S23, S24.
fn obsolete_or_unannounced(
    group: &Group,
    findings: &mut Findings,
    seen: &Seen,
    index: ViewIndex,
    at: At,
) {
    let (p, view) = (group.process(at), group.view(index));
    let announced = seen.announced.iter().rev().find(|(v, _)| *v == index).map(|(_, at)| *at);
    if announced.is_none() {
        findings.add(Property::S24, || {
            let same_id = |(v, _): &&(ViewIndex, At)| group.view(*v).id() == view.id();
            let nearest = seen.announced.iter().rev().find(same_id).or(seen.announced.last());
            let what =
                format!("{p} installed {view}, which was not announced to it in this incarnation");
            group.violation(Property::S24, at, nearest.map(|(_, at)| *at), what)
        });
    }
    if let Some((cid, change)) = seen.change
        && (view.start(p).is_some_and(|start| start < cid)
            || announced.is_some_and(|announced| announced.item < change.item))
    {
        findings.add(Property::S23, || {
            let what =
                format!("{p} installed {view} after the later start_change with local id {cid}");
            group.violation(Property::S23, at, Some(change), what)
        });
    }
}

/// S3: a crashed process is in no view.
fn in_a_view(group: &Group, findings: &mut Findings, seen: &Seen, at: At) {
    if let Some(crash) = seen.crashed {
        findings.add(Property::S3, || {
            let what =
                format!("{} sent or delivered after its crash, in no view", group.process(at));
            group.violation(Property::S3, at, Some(crash), what)
        });
    }
}

/// S3: a number that does not go on from the last one in this view belongs to some other view, or
/// to none.
fn numbered(group: &Group, findings: &mut Findings, seen: &mut Seen, n: u64, at: At) {
    let (last, before) = seen.sent;
    if Some(n) != last.checked_add(1) {
        findings.add(Property::S3, || {
            let p = group.process(at);
            let what = format!("{p} sent message {n} after {last} messages in its current view");
            group.violation(Property::S3, at, before, what)
        });
    }
    seen.sent = (n, Some(at));
}
