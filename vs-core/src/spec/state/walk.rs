//! What each member did, life by life: T8 as far as one member and its donors can break it.

use alloc::format;
use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::ident::{ProcessId, ViewId};
use crate::order::Stage;
use crate::spec::log::{Step, ViewIndex};
use crate::spec::model::{At, Group};
use crate::spec::property::Property;
use crate::spec::report::Findings;
use crate::time::Time;
use crate::trace::{CallKind, CallResult, StateEvent};

/// A call or a read, by its session and its number.
pub(super) type Name = (u64, u64, CallKind);

/// What became of a place of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Open { client: u64 },
    Apply { client: u64, no: u64, hash: u64 },
    Pass { client: u64, no: u64, hash: u64 },
}

/// What is known of a place: what was done there, or the hash of the state that has come to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Entry(Entry),
    State(u64),
}

/// A member says something about a place that is promised in a view.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promise {
    pub(super) at: u64,
    pub(super) known: Known,
    pub(super) by: At,
}

/// A call or a read is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) name: Name,
    pub(super) hash: u64,
    pub(super) ts: Time,
    pub(super) by: At,
}

/// A call or a read is answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    pub(super) name: Name,
    /// How far the local copy has come.
    pub(super) at: u64,
    pub(super) ts: Time,
    pub(super) by: At,
}

/// What members did in one view.
#[derive(Debug, Default)]
pub(super) struct InView {
    /// A new state was made, or an operator decided, in this view or in one before it that was not
    /// served: what was promised before may be lost.
    pub(super) begins_anew: bool,
    /// How far the state had come when the view was served, at a member that had it by then.
    pub(super) base: Option<(u64, At)>,
    pub(super) promises: Vec<Promise>,
    pub(super) answers: Vec<Answered>,
}

impl InView {
    /// A member that has come to place `at` serves the view, and promises what it knows.
    fn serve(&mut self, at: Option<u64>, by: At, pending: Vec<Promise>, is_anew: bool) {
        self.begins_anew |= is_anew;
        self.promises.extend(pending);
        if let Some(at) = at
            && self.base.is_none_or(|(base, _)| at < base)
        {
            self.base = Some((at, by));
        }
    }
}

/// What all members did.
#[derive(Debug, Default)]
pub(super) struct Walks {
    /// Per view of the group.
    pub(super) views: Vec<InView>,
    pub(super) asked: Vec<Asked>,
}

pub(super) fn all(group: &Group, findings: &mut Findings) -> Walks {
    let views = group.views.iter().map(|_| InView::default()).collect();
    let mut walks = Walks { views, asked: Vec::new() };
    let (mut snapshots, mut restores) = (Snapshots::new(), Vec::new());
    for log in 0..group.logs.len() {
        let mut walk = Walk {
            group,
            life: Life::default(),
            walks: &mut walks,
            snapshots: &mut snapshots,
            restores: &mut restores,
        };
        for item in 0..group.logs[log].items.len() {
            walk.step(findings, At { log, item });
        }
    }
    restores.iter().for_each(|restore| came_from_donor(group, findings, &snapshots, restore));
    walks
}

/// By donor, joiner and place: hashes of the snapshots that were offered.
type Snapshots = HashMap<(ProcessId, ProcessId, u64), Vec<(u64, At)>>;

struct Restore {
    from: ProcessId,
    at: u64,
    hash: u64,
    by: At,
}

/// A state that was restored is one that its donor offered.
fn came_from_donor(
    group: &Group,
    findings: &mut Findings,
    snapshots: &Snapshots,
    restore: &Restore,
) {
    let Restore { from, at, hash, by } = *restore;
    let mut donors = group.logs_of(from).peekable();
    let is_unknown = donors.peek().is_none();
    if is_unknown || donors.any(|log| group.logs[log].has_gap) {
        return;
    }
    let p = group.process(by);
    let offered = snapshots.get(&(from, p, at)).map_or(&[][..], Vec::as_slice);
    if offered.iter().any(|(offer, _)| *offer == hash) {
        return;
    }
    findings.add(Property::T8, || {
        let what = match offered {
            [] => format!(
                "{p} restored the state of {from} at place {at}, which {from} never offered to it"
            ),
            _ => format!("{p} restored another state than {from} had at place {at}"),
        };
        group.violation(Property::T8, by, offered.first().map(|(_, at)| *at), what)
    });
}

/// One incarnation of a replica, as far as its trace has come.
#[derive(Debug, Default)]
struct Life {
    /// What was done is not known since the trace broke off.
    is_hidden: bool,
    /// How far the state has come.
    at: Option<u64>,
    /// The views that it installed.
    views: Vec<ViewIndex>,
    /// The last one that was served here. What is regular was delivered in it.
    served: Option<ViewIndex>,
    /// How far the state had come that is promised.
    promised: Option<u64>,
    /// Since a view was served, in this view the state was made, or an operator decided.
    anew_in: Option<ViewIndex>,
    /// What it knows of places that are not promised yet.
    pending: Vec<Promise>,
}

struct Walk<'a> {
    group: &'a Group,
    life: Life,
    walks: &'a mut Walks,
    snapshots: &'a mut Snapshots,
    restores: &'a mut Vec<Restore>,
}

impl Walk<'_> {
    fn step(&mut self, findings: &mut Findings, by: At) {
        match self.group.item(by).step {
            Step::Begin | Step::Start | Step::Leave | Step::Crash => self.life = Life::default(),
            Step::BrokenOff => self.life = Life { is_hidden: true, ..Life::default() },
            Step::View { view, .. } => self.life.views.push(view),
            Step::Call { client, no, kind, hash, ts } => {
                self.walks.asked.push(Asked { name: (client, no, kind), hash, ts, by });
            }
            Step::Reply { client, no, kind, result: CallResult::Ok, ts } => {
                let at = self.life.at.unwrap_or(0);
                let answered = Answered { name: (client, no, kind), at, ts, by };
                let view = self.life.served.or(self.life.views.last().copied());
                self.view(view).into_iter().for_each(|view| view.answers.push(answered));
            }
            Step::State(event) if !self.life.is_hidden => self.state(findings, event, by),
            _ => {}
        }
    }

    fn view(&mut self, view: Option<ViewIndex>) -> Option<&mut InView> {
        view.map(|view| &mut self.walks.views[view as usize])
    }

    /// What was promised before may be lost from the next served view on.
    fn begin_anew(&mut self) {
        self.life.anew_in = self.life.views.last().copied();
    }

    fn state(&mut self, findings: &mut Findings, event: StateEvent, by: At) {
        match event {
            StateEvent::Create => {
                self.take(0);
                self.begin_anew();
            }
            StateEvent::Recover { .. } => self.begin_anew(),
            StateEvent::Snapshot { to, at, hash } => {
                self.offered(findings, at, by);
                let key = (self.group.process(by), to, at);
                self.snapshots.entry(key).or_default().push((hash, by));
                let is_promised = self.life.promised.is_some_and(|promised| at <= promised);
                self.know(Promise { at, known: Known::State(hash), by }, is_promised);
            }
            StateEvent::Restore { from, at, hash } => {
                // What was begun in an earlier view did not count.
                let now = self.life.views.last().copied();
                self.life.anew_in.take_if(|view| Some(*view) != now);
                self.take(at);
                self.restores.push(Restore { from, at, hash, by });
                self.know(Promise { at, known: Known::State(hash), by }, false);
            }
            StateEvent::Serve { epoch } => self.serve(epoch, by),
            StateEvent::Open { client, at, stage } => {
                self.apply(findings, at, Entry::Open { client }, stage, by);
            }
            StateEvent::Apply { client, no, at, hash, stage } => {
                self.apply(findings, at, Entry::Apply { client, no, hash }, stage, by);
            }
            StateEvent::Pass { client, no, at, hash, stage } => {
                self.apply(findings, at, Entry::Pass { client, no, hash }, stage, by);
            }
            StateEvent::Settled
            | StateEvent::Call { .. }
            | StateEvent::Reply { .. }
            | StateEvent::Collect { .. }
            | StateEvent::Heard { .. }
            | StateEvent::Collected { .. } => {}
        }
    }

    /// Another state takes the place of the one before.
    fn take(&mut self, at: u64) {
        (self.life.at, self.life.promised, self.life.served) = (Some(at), None, None);
        self.life.pending.clear();
    }

    /// What is known so far is promised in this view, and what is delivered in it as regular.
    fn serve(&mut self, epoch: ViewId, by: At) {
        let group = self.group;
        let views = self.life.views.iter().rev();
        let Some(view) = views.copied().find(|view| group.view(*view).id() == epoch) else {
            return;
        };
        (self.life.served, self.life.promised) = (Some(view), self.life.at);
        let (at, pending) = (self.life.at, core::mem::take(&mut self.life.pending));
        let is_anew = self.life.anew_in.take().is_some();
        self.walks.views[view as usize].serve(at, by, pending, is_anew);
    }

    fn know(&mut self, promise: Promise, is_promised: bool) {
        match self.life.served.filter(|_| is_promised) {
            Some(view) => self.walks.views[view as usize].promises.push(promise),
            None => self.life.pending.push(promise),
        }
    }

    /// Places follow each other in each life.
    fn apply(&mut self, findings: &mut Findings, at: u64, entry: Entry, stage: Stage, by: At) {
        let before = self.life.at.replace(at);
        let is_promised = stage == Stage::Regular && self.life.served.is_some();
        if is_promised {
            self.life.promised = Some(at);
        }
        self.know(Promise { at, known: Known::Entry(entry), by }, is_promised);
        if before.and_then(|before| before.checked_add(1)) == Some(at) {
            return;
        }
        findings.add(Property::T8, || {
            let p = self.group.process(by);
            let what = match before {
                Some(before) => format!("{p} applied place {at} after place {before}"),
                None => format!("{p} applied place {at} without a state"),
            };
            self.group.violation(Property::T8, by, None, what)
        });
    }

    /// A donor has come to the place of what it offers.
    fn offered(&self, findings: &mut Findings, at: u64, by: At) {
        if self.life.at.is_some_and(|here| at <= here) {
            return;
        }
        findings.add(Property::T8, || {
            let p = self.group.process(by);
            let what = format!("{p} offered a state of place {at}, to which it had not come");
            self.group.violation(Property::T8, by, None, what)
        });
    }
}
