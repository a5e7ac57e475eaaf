//! What a group did, put in order: the log of each process, and its stays in views.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use hashbrown::HashMap;

use super::log::{GroupLog, Item, Message, Part, Step, ViewIndex};
use super::property::Property;
use super::report::{Evidence, Violation};
use crate::ident::{GroupName, ProcessId};
use crate::order::Order;
use crate::time::Time;
use crate::trace::ToldCluster;
use crate::view::View;

/// An event: the log, and the position in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) log: usize,
    pub(super) item: usize,
}

/// All that one process did in a group, through all of its incarnations. Two that ran under one id
/// at the same time have a log each.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) process: ProcessId,
    pub(super) items: Vec<Item>,
    /// The process has neither crashed nor left when the log ends.
    pub(super) alive: bool,
    /// The log ends since its trace broke off.
    pub(super) broken_off: bool,
    /// A trace broke off somewhere in it.
    pub(super) has_gap: bool,
    /// The last stay.
    pub(super) last: Option<usize>,
}

/// The time that one process spent in one view.
#[derive(Debug)]
pub(super) struct Stay {
    pub(super) log: usize,
    /// `None` is the initial view. No other process and no other incarnation can be in it.
    pub(super) view: Option<ViewIndex>,
    /// What happened in it: after the item that began it, before the one that ended it.
    pub(super) items: Range<usize>,
    /// The stay before it, in the same incarnation.
    pub(super) previous: Option<usize>,
    /// The stay after it, in the same incarnation. If there is one, a view was installed.
    pub(super) next: Option<usize>,
    /// The trace broke off in it: what the process did then is not known.
    pub(super) broken_off: bool,
    /// Number and item of each message sent, ascending.
    pub(super) sent: Vec<(u64, usize)>,
    /// What was delivered, by rank of the sender.
    pub(super) delivered: Vec<Delivered>,
}

impl Stay {
    fn new(log: usize, view: Option<ViewIndex>, members: usize, begin: usize) -> Self {
        let delivered = (0..members).map(|_| Delivered::default()).collect();
        let items = begin..begin;
        Self {
            log,
            view,
            items,
            previous: None,
            next: None,
            broken_off: false,
            sent: Vec::new(),
            delivered,
        }
    }

    fn note(&mut self, item: usize, step: &Step, process: ProcessId, views: &[View]) {
        self.items.end = item + 1;
        match step {
            Step::Send(message) => self.sent.push((message.n, item)),
            Step::Deliver { from, message, .. } => {
                if let Some(rank) = rank(views, self.view, process, *from) {
                    self.delivered[rank].add(message.n);
                }
            }
            _ => {}
        }
    }

    /// The item that began this stay.
    pub(super) fn entered(&self) -> At {
        At { log: self.log, item: self.items.start.saturating_sub(1) }
    }

    /// The event at which the `n`-th message of this stay was sent.
    pub(super) fn sent(&self, n: u64) -> Option<At> {
        let direct = usize::try_from(n).ok()?.checked_sub(1)?;
        let found = match self.sent.get(direct) {
            Some(&(m, item)) if m == n => item,
            _ => self.sent[self.sent.binary_search_by_key(&n, |s| s.0).ok()?].1,
        };
        Some(At { log: self.log, item: found })
    }

    /// The first message of this stay that is not in `delivered`.
    pub(super) fn first_missing(&self, delivered: &Delivered) -> Option<(u64, At)> {
        let &(last, _) = self.sent.last()?;
        if delivered.prefix >= last {
            return None;
        }
        let missing = self.sent.iter().find(|(n, _)| !delivered.contains(*n));
        missing.map(|&(n, item)| (n, At { log: self.log, item }))
    }
}

/// The numbers of the messages that one process delivered from one sender in one view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Delivered {
    /// Messages from 1 to this are delivered without a gap.
    pub(super) prefix: u64,
    /// Messages that are delivered beyond a gap. Empty unless S13 is violated.
    pub(super) beyond: BTreeSet<u64>,
}

/// How a delivery follows those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Next,
    /// The delivery leaves a gap.
    Gap,
    /// The delivery came after a message with a greater number.
    Late,
    Duplicate,
}

impl Delivered {
    pub(super) fn add(&mut self, n: u64) -> Fit {
        if n <= self.prefix || self.beyond.contains(&n) {
            return Fit::Duplicate;
        }
        let late = self.beyond.last().is_some_and(|&last| n < last);
        if n - 1 > self.prefix {
            self.beyond.insert(n);
            return if late { Fit::Late } else { Fit::Gap };
        }
        self.prefix = n;
        while self.beyond.remove(&self.prefix.saturating_add(1)) {
            self.prefix += 1;
        }
        if late { Fit::Late } else { Fit::Next }
    }

    pub(super) fn contains(&self, n: u64) -> bool {
        n <= self.prefix || self.beyond.contains(&n)
    }

    /// A message that only one of the two has, and whether this one has it.
    pub(super) fn difference(&self, other: &Self) -> Option<(u64, bool)> {
        if self.prefix != other.prefix {
            return Some((self.prefix.min(other.prefix) + 1, self.prefix > other.prefix));
        }
        let n = *self.beyond.symmetric_difference(&other.beyond).next()?;
        Some((n, self.beyond.contains(&n)))
    }
}

/// All that is known of one group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: GroupName,
    /// The order that its members were promised.
    pub(super) order: Order,
    /// Whether views tell clusters.
    pub(super) has_clusters: bool,
    /// Whether its members have a replicated state.
    pub(super) has_state: bool,
    /// Whether the times of all logs are of one clock.
    pub(super) one_clock: bool,
    /// Logs, ascending by process.
    pub(super) logs: Vec<Log>,
    pub(super) views: Vec<View>,
    pub(super) stays: Vec<Stay>,
    /// The first stay of each log in each view. For lookups only.
    in_view: HashMap<(usize, ViewIndex), usize>,
}

impl Group {
    pub(super) fn new(name: GroupName, collected: GroupLog, one_clock: bool) -> Self {
        let (mut logs, mut ends): (Vec<Log>, Vec<Time>) = (Vec::new(), Vec::new());
        for ((process, ..), Part { mut items, from, to }) in collected.parts {
            let earlier = |(log, end): (&Log, &Time)| log.process == process && *end <= from;
            match logs.iter().zip(&ends).rposition(earlier) {
                Some(log) => {
                    logs[log].items.append(&mut items);
                    ends[log] = to;
                }
                None => {
                    let (alive, broken_off, has_gap, last) = (false, false, false, None);
                    logs.push(Log { process, items, alive, broken_off, has_gap, last });
                    ends.push(to);
                }
            }
        }
        let (order, has_clusters) = promised_by(&logs);
        let mut group = Self {
            name,
            order,
            has_clusters,
            has_state: collected.has_state,
            one_clock,
            logs,
            views: collected.views,
            stays: Vec::new(),
            in_view: HashMap::new(),
        };
        for log in 0..group.logs.len() {
            group.find_stays(log);
        }
        for (i, stay) in group.stays.iter_mut().enumerate() {
            // The messages are in order already, unless the numbering is wrong (S3).
            stay.sent.sort_by_key(|s| s.0);
            if let Some(view) = stay.view {
                group.in_view.entry((stay.log, view)).or_insert(i);
            }
        }
        group
    }

    fn find_stays(&mut self, log: usize) {
        let Self { logs, views, stays, .. } = self;
        let of_process = &mut logs[log];
        let (mut open, mut has_gap): (Option<usize>, bool) = (None, false);
        for (i, item) in of_process.items.iter().enumerate() {
            let begins = match &item.step {
                Step::Begin | Step::Start | Step::Leave => Some(Stay::new(log, None, 1, i + 1)),
                Step::View { view, .. } => {
                    let members = views[*view as usize].len();
                    let mut stay = Stay::new(log, Some(*view), members, i + 1);
                    stay.previous = open;
                    if let Some(o) = open {
                        stays[o].next = Some(stays.len());
                    }
                    Some(stay)
                }
                Step::Crash => {
                    open = None;
                    None
                }
                Step::BrokenOff => {
                    has_gap = true;
                    if let Some(o) = open.take() {
                        stays[o].broken_off = true;
                    }
                    None
                }
                step => {
                    if let Some(o) = open {
                        stays[o].note(i, step, of_process.process, views);
                    }
                    None
                }
            };
            if let Some(stay) = begins {
                open = Some(stays.len());
                stays.push(stay);
            }
        }
        let last = of_process.items.last().map(|item| &item.step);
        of_process.alive = !matches!(last, Some(Step::Leave | Step::Crash | Step::BrokenOff));
        of_process.broken_off = matches!(last, Some(Step::BrokenOff));
        of_process.has_gap = has_gap;
        of_process.last = open;
    }

    /// The logs of `process`: none if no trace of it was handed in.
    pub(super) fn logs_of(&self, process: ProcessId) -> Range<usize> {
        let begin = self.logs.partition_point(|log| log.process < process);
        let of_process = self.logs[begin..].iter().take_while(|log| log.process == process);
        begin..begin + of_process.count()
    }

    /// Whether `process` may have been in `view` while its trace was broken off: no log says so,
    /// and its ids of views increase (S2).
    pub(super) fn may_have_been_in(&self, process: ProcessId, view: ViewIndex) -> bool {
        let id = self.view(view).id();
        self.logs_of(process).any(|log| {
            let stays = || self.stays.iter().filter(move |stay| stay.log == log);
            let of = |stay: &Stay| stay.view.map(|view| self.view(view).id());
            stays().filter(|stay| stay.broken_off).any(|broken| {
                let later = |stay: &&Stay| stay.items.start > broken.items.start;
                of(broken).is_none_or(|before| before < id)
                    && stays().filter(later).filter_map(of).all(|after| id < after)
            })
        })
    }

    /// The stay of `log` in `view`.
    pub(super) fn stay_in(&self, log: usize, view: ViewIndex) -> Option<usize> {
        self.in_view.get(&(log, view)).copied()
    }

    pub(super) fn view(&self, view: ViewIndex) -> &View {
        &self.views[view as usize]
    }

    /// The view of a stay as a value.
    pub(super) fn view_of(&self, stay: &Stay) -> View {
        match stay.view {
            Some(view) => self.view(view).clone(),
            None => View::initial(self.logs[stay.log].process),
        }
    }

    /// The rank under which a stay counts the messages of `from`, a member of its view.
    pub(super) fn rank_in(&self, stay: &Stay, from: ProcessId) -> Option<usize> {
        rank(&self.views, stay.view, self.logs[stay.log].process, from)
    }

    pub(super) fn process(&self, at: At) -> ProcessId {
        self.logs[at.log].process
    }

    pub(super) fn item(&self, at: At) -> &Item {
        &self.logs[at.log].items[at.item]
    }

    /// The transitional set of the view that began `stay`.
    pub(super) fn transitional(&self, stay: &Stay) -> &[ProcessId] {
        match &self.item(stay.entered()).step {
            Step::View { transitional, .. } => transitional,
            _ => &[],
        }
    }

    /// The clusters that the view which began `stay` told.
    pub(super) fn clusters(&self, stay: &Stay) -> Option<&[ToldCluster]> {
        match &self.item(stay.entered()).step {
            Step::View { clusters, .. } => clusters.as_deref(),
            _ => None,
        }
    }

    /// The event at which `stay` delivered the `n`-th message of `from`.
    pub(super) fn delivery(&self, stay: &Stay, from: ProcessId, n: u64) -> Option<At> {
        let items = &self.logs[stay.log].items[stay.items.clone()];
        let found = items.iter().position(|item| {
            matches!(&item.step, Step::Deliver { from: f, message, .. } if *f == from && message.n == n)
        })?;
        Some(At { log: stay.log, item: stay.items.start + found })
    }

    /// The last event of a log.
    pub(super) fn end(&self, log: usize) -> At {
        At { log, item: self.logs[log].items.len().saturating_sub(1) }
    }

    /// Each message that was sent in any view. Only a violation needs it.
    pub(super) fn all_sent(&self) -> HashMap<(ProcessId, Message), At> {
        let mut all = HashMap::new();
        for (l, log) in self.logs.iter().enumerate() {
            for (item, i) in log.items.iter().zip(0..) {
                if let Step::Send(message) = item.step {
                    all.insert((log.process, message), At { log: l, item: i });
                }
            }
        }
        all
    }

    fn evidence(&self, at: At) -> Evidence {
        let item = self.item(at);
        let (trace, line) = (item.trace as usize, u64::from(item.line));
        let before = &self.logs[at.log].items[..=at.item];
        let begins = |i: &&Item| i.trace == item.trace && matches!(i.step, Step::Start);
        let nth_incarnation = before.iter().filter(begins).count().max(1) as u64;
        Evidence { process: self.process(at), nth_incarnation, trace, line }
    }

    /// Builds a violation.
    pub(super) fn violation(
        &self,
        property: Property,
        event: At,
        other: Option<At>,
        what: String,
    ) -> Violation {
        let event = self.evidence(event);
        let other = other.map(|at| self.evidence(at));
        let mut processes = smallvec::smallvec![event.process];
        processes.extend(other.map(|o| o.process).filter(|p| *p != event.process));
        Violation { property, group: self.name.clone(), processes, what, event, other }
    }
}

/// The order that the logs name first, and whether there are clusters. A trace that says nothing is
/// of a FIFO group without clusters.
fn promised_by(logs: &[Log]) -> (Order, bool) {
    let mut steps = logs.iter().flat_map(|log| &log.items).map(|item| &item.step);
    let named = steps.find_map(|step| match step {
        Step::Join { order, clusters } => Some((*order, *clusters)),
        _ => None,
    });
    named.unwrap_or_default()
}

fn rank(views: &[View], view: Option<ViewIndex>, own: ProcessId, from: ProcessId) -> Option<usize> {
    match view {
        Some(view) => views[view as usize].rank(from).map(usize::from),
        None => (own == from).then_some(0),
    }
}
