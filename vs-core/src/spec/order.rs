//! T1 to T6: causal order; one order for all members, and the signal at its end.

use alloc::format;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::log::{Message, Step, ViewIndex};
use super::model::{At, Group, Stay};
use super::property::Property;
use super::report::Findings;
use crate::ident::ProcessId;
use crate::order::Stage;
use crate::view::DisplaySet;

/// T3, and that there is no signal (T6): of a causal group.
pub(super) fn judge_causal(group: &Group, findings: &mut Findings) {
    let walks = walks(group);
    causality(group, findings, &walks);
    for (stay, walk) in group.stays.iter().zip(&walks) {
        let after =
            |(_, stage, at): &(Delivery, Stage, At)| (*stage != Stage::Regular).then_some(*at);
        let signal = walk.signals.first().map(|(_, at)| *at);
        if let Some(at) = signal.or(walk.deliveries.iter().find_map(after)) {
            findings.add(Property::T6, || {
                let p = group.logs[stay.log].process;
                let what = format!("{p} was given a signal in a causal group");
                group.violation(Property::T6, at, None, what)
            });
        }
    }
}

fn walks(group: &Group) -> Vec<Walk> {
    group.stays.iter().map(|stay| Walk::of(group, stay)).collect()
}

/// T1 to T6: of a group with one order for all members.
pub(super) fn judge(group: &Group, findings: &mut Findings) {
    let walks = walks(group);
    for (stay, walk) in group.stays.iter().zip(&walks) {
        signal(group, findings, stay, walk);
    }
    prefixes(group, findings, &walks);
    together(group, findings, &walks);
    causality(group, findings, &walks);
    if group.order.is_safe() {
        safety(group, findings, &walks);
    }
}

/// What is delivered: whose message, and which.
type Delivery = (ProcessId, Message);

/// What one process delivered in one view, in its order.
struct Walk {
    deliveries: Vec<(Delivery, Stage, At)>,
    /// How many of them stand before the signal, and the signal.
    signals: Vec<(usize, At)>,
}

impl Walk {
    fn of(group: &Group, stay: &Stay) -> Self {
        let items = &group.logs[stay.log].items[stay.items.clone()];
        let mut walk = Self { deliveries: Vec::new(), signals: Vec::new() };
        for (item, i) in items.iter().zip(stay.items.start..) {
            let at = At { log: stay.log, item: i };
            match &item.step {
                Step::Deliver { from, message, stage } => {
                    walk.deliveries.push(((*from, *message), *stage, at));
                }
                Step::Signal(_) => walk.signals.push((walk.deliveries.len(), at)),
                _ => {}
            }
        }
        walk
    }

    /// Those that were promised to all members.
    fn regular(&self) -> &[(Delivery, Stage, At)] {
        let end = self.signals.first().map_or(self.deliveries.len(), |(before, _)| *before);
        &self.deliveries[..end]
    }
}

/// T6.
fn signal(group: &Group, findings: &mut Findings, stay: &Stay, walk: &Walk) {
    let p = group.logs[stay.log].process;
    let mut add = |at, other, what: &dyn Fn() -> alloc::string::String| {
        findings.add(Property::T6, || group.violation(Property::T6, at, other, what()));
    };
    if let [(_, first), (_, second), ..] = walk.signals[..] {
        add(second, Some(first), &|| format!("{p} was given a second signal in one view"));
    }
    let signal = walk.signals.first().copied();
    for (i, (_, stage, at)) in walk.deliveries.iter().enumerate() {
        let is_after = signal.is_some_and(|(before, _)| i >= before);
        if is_after == (*stage == Stage::Regular) {
            let when = if is_after { "after" } else { "before" };
            let what = || format!("{p} delivered a {stage:?} message {when} the signal");
            return add(*at, signal.map(|s| s.1), &what);
        }
    }
    let Some(next) = stay.next.map(|i| &group.stays[i]) else { return };
    let Some((_, at)) = signal else {
        return add(next.entered(), None, &|| format!("{p} left its view without a signal"));
    };
    if let Step::Signal(set) = &group.item(at).step
        && **set != *group.transitional(next)
    {
        let (set, next_set) = (DisplaySet(set), DisplaySet(group.transitional(next)));
        let what = || format!("the signal of {p} names {set}, the next view {next_set}");
        add(at, Some(next.entered()), &what);
    }
}

/// Stays with their walks, by what `key` makes of them: each with those that have the same.
fn alike<'a, K: Ord + Copy>(
    group: &'a Group,
    walks: &'a [Walk],
    key: impl Fn(&Stay) -> Option<K>,
) -> Vec<Vec<(&'a Stay, &'a Walk)>> {
    let mut keyed: Vec<(K, usize)> =
        group.stays.iter().enumerate().filter_map(|(i, stay)| Some((key(stay)?, i))).collect();
    keyed.sort_unstable();
    let stays = |chunk: &[(K, usize)]| {
        chunk.iter().map(|&(_, i)| (&group.stays[i], &walks[i])).collect::<Vec<_>>()
    };
    keyed.chunk_by(|a, b| a.0 == b.0).map(stays).collect()
}

/// T1. Each is compared with the one that delivered most.
fn prefixes(group: &Group, findings: &mut Findings, walks: &[Walk]) {
    for members in alike(group, walks, |stay| stay.view) {
        let longest = members.iter().max_by_key(|(_, walk)| walk.regular().len());
        let Some((first, most)) = longest else { continue };
        for (stay, walk) in &members {
            let pairs = walk.regular().iter().zip(most.regular());
            let Some((mine, theirs)) = pairs.into_iter().find(|(a, b)| a.0 != b.0) else {
                continue;
            };
            findings.add(Property::T1, || {
                let (p, q) = (group.logs[stay.log].process, group.logs[first.log].process);
                let ((a, m), (b, n)) = (mine.0, theirs.0);
                let what = format!(
                    "{p} delivered message {} of {a} where {q} delivered message {} of {b}",
                    m.n, n.n
                );
                group.violation(Property::T1, mine.2, Some(theirs.2), what)
            });
        }
    }
}

/// T2. All who go from one view to another are compared with the first of them.
fn together(group: &Group, findings: &mut Findings, walks: &[Walk]) {
    let moved = |stay: &Stay| -> Option<(ViewIndex, ViewIndex)> {
        Some((stay.view?, group.stays[stay.next?].view?))
    };
    for movers in alike(group, walks, moved) {
        let (_, first) = movers[0];
        for (stay, walk) in &movers[1..] {
            let same = walk.deliveries.iter().map(|d| (d.0, d.1));
            let is_same = same.eq(first.deliveries.iter().map(|d| (d.0, d.1)));
            if is_same {
                continue;
            }
            let differs = |(a, b): &(&(Delivery, Stage, At), &(Delivery, Stage, At))| {
                (a.0, a.1) != (b.0, b.1)
            };
            let at = walk.deliveries.iter().zip(&first.deliveries).find(differs);
            let (at, other) = match at {
                Some((a, b)) => (a.2, Some(b.2)),
                None => (group.end(stay.log), None),
            };
            findings.add(Property::T2, || {
                let p = group.logs[stay.log].process;
                let view = group.view_of(stay);
                let what = format!("{p} delivered another sequence in {view} than who came along");
                group.violation(Property::T2, at, other, what)
            });
        }
    }
}

/// T4, T5. What is regular at any member is the start of what each delivers that goes on.
fn safety(group: &Group, findings: &mut Findings, walks: &[Walk]) {
    for members in alike(group, walks, |stay| stay.view) {
        let longest = members.iter().max_by_key(|(_, walk)| walk.regular().len());
        let Some((first, most)) = longest else { continue };
        for (stay, walk) in members.iter().filter(|(stay, _)| stay.next.is_some()) {
            let lacks = most.regular().iter().enumerate().find(|(i, regular)| {
                walk.deliveries.get(*i).is_none_or(|delivery| delivery.0 != regular.0)
            });
            let Some((_, (delivery, _, at))) = lacks else { continue };
            let has = walk.deliveries.iter().any(|other| other.0 == *delivery);
            let property = if has { Property::T5 } else { Property::T4 };
            findings.add(property, || {
                let (p, q) = (group.logs[stay.log].process, group.logs[first.log].process);
                let (from, n) = (delivery.0, delivery.1.n);
                let view = group.view_of(stay);
                let what = if has {
                    format!("{p} delivered message {n} of {from} elsewhere in {view} than {q}, where it is safe")
                } else {
                    format!("{p} left {view} without message {n} of {from}, which is safe at {q}")
                };
                let after = stay.next.map_or_else(|| group.end(stay.log), |next| group.stays[next].entered());
                group.violation(property, after, Some(*at), what)
            });
        }
    }
}

/// How many messages of each member a sender had delivered when it sent one.
type Past = Vec<(ProcessId, u64)>;

/// T3.
fn causality(group: &Group, findings: &mut Findings, walks: &[Walk]) {
    for members in alike(group, walks, |stay| stay.view) {
        let pasts: HashMap<(ProcessId, u64), Past> =
            members.iter().flat_map(|(stay, _)| pasts(group, stay)).collect();
        for (stay, walk) in &members {
            if let Some((at, from, n)) = first_without_past(walk, &pasts) {
                findings.add(Property::T3, || {
                    let p = group.logs[stay.log].process;
                    let what = format!(
                        "{p} delivered message {n} of {from} without what {from} had delivered before it"
                    );
                    group.violation(Property::T3, at, None, what)
                });
            }
        }
    }
}

/// What a process had delivered before each message that it sent in a view.
fn pasts(group: &Group, stay: &Stay) -> Vec<((ProcessId, u64), Past)> {
    let process = group.logs[stay.log].process;
    let (mut past, mut pasts) = (Past::new(), Vec::new());
    for item in &group.logs[stay.log].items[stay.items.clone()] {
        match &item.step {
            Step::Deliver { from, message, .. } => count(&mut past, *from, message.n),
            Step::Send(message) => pasts.push(((process, message.n), past.clone())),
            _ => {}
        }
    }
    pasts
}

fn count(past: &mut Past, from: ProcessId, n: u64) {
    match past.iter_mut().find(|(process, _)| *process == from) {
        Some((_, known)) => *known = n,
        None => past.push((from, n)),
    }
}

/// The first delivery of something that follows from a message which is not delivered before it.
fn first_without_past(
    walk: &Walk,
    pasts: &HashMap<(ProcessId, u64), Past>,
) -> Option<(At, ProcessId, u64)> {
    let mut here = Past::new();
    for ((from, message), _, at) in &walk.deliveries {
        let past = pasts.get(&(*from, message.n)).into_iter().flatten();
        let known = |p: &ProcessId| here.iter().find(|(q, _)| q == p).map_or(0, |(_, n)| *n);
        if past.into_iter().any(|(p, n)| known(p) < *n) {
            return Some((*at, *from, message.n));
        }
        count(&mut here, *from, message.n);
    }
    None
}
