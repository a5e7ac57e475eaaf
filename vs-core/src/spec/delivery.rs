//! S5, S6, S7, S12, S13, S14: which messages a process delivers in a view, and in which order.

use alloc::format;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::log::{Message, Step, ViewIndex};
use super::model::{At, Delivered, Fit, Group, Stay};
use super::property::Property;
use super::report::Findings;
use crate::ident::ProcessId;

pub(super) fn judge(group: &Group, findings: &mut Findings) {
    let mut integrity = Integrity::default();
    for (i, stay) in group.stays.iter().enumerate() {
        deliveries(group, findings, stay, senders(group, stay, i), &mut integrity);
        self_delivery(group, findings, stay);
    }
}

/// What is known of one sender during a stay.
struct Sender {
    delivered: Delivered,
    /// A violation was found already: those that follow from it are not shown.
    gap: bool,
    late: bool,
    /// The message with the greatest number so far.
    greatest: (u64, Option<At>),
    source: Source,
}

/// The source of what a sender sent in the view.
#[derive(Clone, Copy)]
enum Source {
    Stay(usize),
    /// The sender's trace is there, but the sender never was in the view.
    Absent,
    /// The sender's trace was not handed in, or broke off before.
    Unknown,
}

fn deliveries(
    group: &Group,
    findings: &mut Findings,
    stay: &Stay,
    mut senders: Vec<Sender>,
    integrity: &mut Integrity,
) {
    let items = &group.logs[stay.log].items[stay.items.clone()];
    for (item, i) in items.iter().zip(stay.items.start..) {
        let Step::Deliver { from, message, .. } = &item.step else { continue };
        let at = At { log: stay.log, item: i };
        match group.rank_in(stay, *from) {
            Some(rank) => {
                let sender = &mut senders[rank];
                order(group, findings, stay, sender, (*from, message.n, at));
                integrity.judge(group, findings, stay, sender.source, (*from, *message, at));
            }
            None => findings.add(Property::S5, || {
                let (p, view) = (group.process(at), group.view_of(stay));
                let what =
                    format!("{p} delivered a message of {from}, which is not a member of {view}");
                group.violation(Property::S5, at, Some(stay.entered()), what)
            }),
        }
    }
}

/// The members of the view of `stay`, which stands at `own`, by rank.
fn senders(group: &Group, stay: &Stay, own: usize) -> Vec<Sender> {
    let source = |q: &ProcessId| {
        let mut logs = group.logs_of(*q);
        if group.logs[stay.log].process == *q {
            Source::Stay(own)
        } else if logs.is_empty() {
            Source::Unknown
        } else {
            let in_view = stay.view.and_then(|view| logs.find_map(|l| group.stay_in(l, view)));
            match (in_view, stay.view) {
                (Some(in_view), _) => Source::Stay(in_view),
                (None, Some(view)) if group.may_have_been_in(*q, view) => Source::Unknown,
                (None, _) => Source::Absent,
            }
        }
    };
    let sender = |q| Sender {
        delivered: Delivered::default(),
        gap: false,
        late: false,
        greatest: (0, None),
        source: source(q),
    };
    group.view_of(stay).members().iter().map(sender).collect()
}

/// S6, S12, S13.
fn order(
    group: &Group,
    findings: &mut Findings,
    stay: &Stay,
    sender: &mut Sender,
    (from, n, at): (ProcessId, u64, At),
) {
    let p = group.process(at);
    let missing = sender.delivered.prefix + 1;
    match sender.delivered.add(n) {
        Fit::Next => {}
        Fit::Duplicate => findings.add(Property::S6, || {
            let what = format!("{p} delivered message {n} of {from} twice");
            group.violation(Property::S6, at, group.delivery(stay, from, n), what)
        }),
        Fit::Gap if !sender.gap => {
            sender.gap = true;
            findings.add(Property::S13, || {
                let sent = match sender.source {
                    Source::Stay(s) => group.stays[s].sent(missing),
                    Source::Absent | Source::Unknown => None,
                };
                let what = format!("{p} delivered message {n} of {from} without message {missing}");
                group.violation(Property::S13, at, sent.or(sender.greatest.1), what)
            });
        }
        Fit::Late if !sender.late => {
            sender.late = true;
            findings.add(Property::S12, || {
                let (greater, before) = sender.greatest;
                let what = format!("{p} delivered message {n} of {from} after message {greater}");
                group.violation(Property::S12, at, before, what)
            });
        }
        Fit::Gap | Fit::Late => {}
    }
    if n > sender.greatest.0 {
        sender.greatest = (n, Some(at));
    }
}

/// S14.
fn self_delivery(group: &Group, findings: &mut Findings, stay: &Stay) {
    let Some(next) = stay.next.map(|i| &group.stays[i]) else { return };
    let p = group.logs[stay.log].process;
    // A process that is not a member of its view (S1) has no rank to deliver its own messages from.
    let Some(rank) = group.rank_in(stay, p) else { return };
    if let Some((n, sent)) = stay.first_missing(&stay.delivered[rank]) {
        findings.add(Property::S14, || {
            let (old, new) = (group.view_of(stay), group.view_of(next));
            let what =
                format!("{p} went from {old} to {new} without delivering its own message {n}");
            group.violation(Property::S14, next.entered(), Some(sent), what)
        });
    }
}

/// S5 and S7: finds what was sent for what was delivered.
#[derive(Default)]
struct Integrity {
    /// What was first delivered from senders without a trace. For lookups only.
    heard: HashMap<(ProcessId, ViewIndex, u64), (Message, At)>,
    /// Everything that was sent. Built when a message was delivered that was not sent in the view.
    sent: Option<HashMap<(ProcessId, Message), At>>,
}

impl Integrity {
    fn judge(
        &mut self,
        group: &Group,
        findings: &mut Findings,
        stay: &Stay,
        source: Source,
        delivery: (ProcessId, Message, At),
    ) {
        let (from, message, at) = delivery;
        let sent = match source {
            Source::Stay(s) => group.stays[s].sent(message.n),
            Source::Absent => None,
            Source::Unknown => return self.among_receivers(group, findings, stay, delivery),
        };
        if sent.is_none() && matches!(source, Source::Stay(s) if group.stays[s].broken_off) {
            return self.among_receivers(group, findings, stay, delivery);
        }
        let Some(sent) = sent else { return self.sent_elsewhere(group, findings, stay, delivery) };
        if !matches!(group.item(sent).step, Step::Send(m) if m == message) {
            // Perhaps it is a message of another view with the same number.
            let all = self.sent.get_or_insert_with(|| group.all_sent());
            if all.contains_key(&(from, message)) {
                return self.sent_elsewhere(group, findings, stay, delivery);
            }
            findings.add(Property::S5, || {
                let (p, n) = (group.process(at), message.n);
                let what =
                    format!("{p} delivered message {n} of {from} with other content than was sent");
                group.violation(Property::S5, at, Some(sent), what)
            });
        }
    }

    /// The receivers must agree where the sender's trace is missing.
    fn among_receivers(
        &mut self,
        group: &Group,
        findings: &mut Findings,
        stay: &Stay,
        (from, message, at): (ProcessId, Message, At),
    ) {
        findings.counts().unjudged += 1;
        let Some(view) = stay.view else { return };
        let heard = self.heard.entry((from, view, message.n)).or_insert((message, at));
        let (first, before) = *heard;
        if first != message {
            findings.add(Property::S5, || {
                let (p, q, n) = (group.process(at), group.process(before), message.n);
                let what =
                    format!("{p} delivered message {n} of {from} with other content than {q}");
                group.violation(Property::S5, at, Some(before), what)
            });
        }
    }

    fn sent_elsewhere(
        &mut self,
        group: &Group,
        findings: &mut Findings,
        stay: &Stay,
        (from, message, at): (ProcessId, Message, At),
    ) {
        let all = self.sent.get_or_insert_with(|| group.all_sent());
        let sent = all.get(&(from, message)).copied();
        let (p, n) = (group.process(at), message.n);
        let property = if sent.is_some() { Property::S7 } else { Property::S5 };
        findings.add(property, || {
            let view = group.view_of(stay);
            let what = if sent.is_some() {
                format!("{p} delivered message {n} of {from} in {view}, not where it was sent")
            } else {
                format!("{p} delivered message {n} of {from}, which {from} did not send in {view}")
            };
            group.violation(property, at, sent, what)
        });
    }
}
