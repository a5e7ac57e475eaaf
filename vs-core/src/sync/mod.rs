//! Virtual synchrony: the end-point automaton of Keidar and Khazan.
//!
//! A pure value, `Clone + Eq + Hash`: counts and ids, no bytes, no time. It asks its surroundings
//! only for numbers ("how much of r's stream is here without a gap?"), and answers with numbers
//! ("deliver r up to n", "hand packets i..j of r to q"). Of the paper's variables, `current` is cv
//! and `announced` is mv.
//!
//! # How a change proceeds
//!
//! 1. [`Automaton::start_change`]: the membership service proposes a set under a local id (cid).
//!    [`Automaton::ask_to_block`]: the application is to stop sending. It is asked once, however
//!    many proposals follow.
//! 2. [`Automaton::send_sync`], when it has stopped: the cut is sent, with the cid. Until a view
//!    answers the change, nothing beyond the own cut is delivered.
//! 3. [`Automaton::announce`]: the view arrives, and with it the vector of cids that says which
//!    sync messages count. Once these are here, the transitional set T and the agreed cut are
//!    known, and they are the same at all members of T (S8, S9, S10).
//! 4. [`Automaton::forwards`]: packets of members outside T are handed on to members of T that lack
//!    them.
//!    In a group with clusters step 3 asks for the sync messages of all members of the view, also
//!    of those that come from elsewhere: they say from where.
//! 5. [`Automaton::install`], when everything agreed is delivered: the application gets the view.
//!
//! A new start_change before the installation leads back to 2. The announced view can then never be
//! installed, so an obsolete view is never installed (S23).

mod count;
mod cut;
mod forward;
mod tally;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use smallvec::SmallVec;

use crate::ident::{CREDIBLE_MAX, Cid, Incarnation, ProcessId, Rank, Seq, ViewId};
use crate::rule::{Rule, Rules};
use crate::view::{Clusters, Members, Note, View, ViewKey};

pub(crate) use cut::{Cut, SyncHead, SyncState};

use tally::Tally;

/// The latest sync messages that are kept of one process. An older one could only count for a view
/// that its sender will not install.
pub(crate) const SYNCS_MAX: usize = 4;

/// Processes outside the view and the change whose sync messages are kept, at least: the latest
/// senders. They may know of a change that the membership service has not proposed to this process
/// yet.
pub(crate) const EARLY_PROCESSES_MAX: usize = 64;

/// The same in a group of at most `members_max` with clusters.
pub(crate) fn strangers_max(members_max: usize) -> usize {
    members_max.max(EARLY_PROCESSES_MAX)
}

/// Whether the application may send in the current view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Block {
    Unblocked,
    Requested,
    Blocked,
}

/// A proposed change: the last start_change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Change {
    pub(crate) cid: Cid,
    pub(crate) set: Members,
}

/// A sync message of this process, kept verbatim for those who ask.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct OwnSync {
    pub(crate) cid: Cid,
    pub(crate) view: ViewKey,
    pub(crate) cut: Vec<Seq>,
    /// Up to which slot of the order all members are known to have everything; 0 where no order
    /// asks for it.
    pub(crate) safe: Seq,
    /// What the application hands in.
    pub(crate) note: Note,
}

/// What became of a part of a sync message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// It was refused, or told nothing new.
    Nothing,
    /// It was kept; nothing follows from it yet.
    Kept,
    /// It completed a sync message that the announced view waited for.
    Counted,
}

/// The state of the end-point.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Automaton {
    me: ProcessId,
    current: View,
    announced: View,
    change: Option<Change>,
    block: Block,
    /// The incarnations of the processes in the last proposal, ascending by process.
    incarnations: SmallVec<[(ProcessId, Incarnation); 4]>,
    /// The sync messages that are here, the own ones included.
    syncs: BTreeMap<(ProcessId, Cid), SyncState>,
    /// The last own sync message of the current view.
    own: Option<OwnSync>,
    /// The own sync message that led into the current view ([rule
    /// 5.6](crate::manual::algorithm#rule-5-6)).
    previous: Option<OwnSync>,
    /// The highest cid that the membership service gave this process.
    last_cid: Cid,
    /// Processes outside the views and the change whose sync messages are kept, in the order in
    /// which they first sent one.
    strangers: SmallVec<[ProcessId; 4]>,
    /// Whether a view is to tell from where each of its members came.
    has_clusters: bool,
    /// Most of the strangers.
    strangers_max: usize,
    rules: Rules,
    /// What follows from the sync messages so far, while the announced view answers the change
    /// under way.
    tally: Option<Tally>,
}

/// What the installation of a view yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installed {
    pub(crate) transitional: Members,
    /// The view that was left.
    pub(crate) old: View,
    /// Who came with whom, in a group with clusters.
    pub(crate) clusters: Option<Clusters>,
}

impl Automaton {
    /// The state in which each incarnation starts: the initial singleton view.
    pub(crate) fn new(me: ProcessId, rules: Rules) -> Self {
        Self {
            me,
            current: View::initial(me),
            announced: View::initial(me),
            change: None,
            block: Block::Unblocked,
            incarnations: SmallVec::new(),
            syncs: BTreeMap::new(),
            own: None,
            previous: None,
            last_cid: Cid(0),
            strangers: SmallVec::new(),
            has_clusters: false,
            strangers_max: EARLY_PROCESSES_MAX,
            rules,
            tally: None,
        }
    }

    /// The same for a group of at most `members_max` whose views tell clusters. It waits for sync
    /// messages of all members, so it keeps those that come early of all.
    pub(crate) fn with_clusters(self, members_max: usize) -> Self {
        let strangers_max = strangers_max(members_max);
        Self { has_clusters: true, strangers_max, ..self }
    }

    /// The rules that this end-point keeps.
    pub(crate) fn rules(&self) -> Rules {
        self.rules
    }

    pub(crate) fn me(&self) -> ProcessId {
        self.me
    }

    /// The sync messages that are here, the own ones included.
    pub(crate) fn syncs(&self) -> impl Iterator<Item = ((ProcessId, Cid), &SyncState)> {
        self.syncs.iter().map(|(key, state)| (*key, state))
    }

    pub(crate) fn current(&self) -> &View {
        &self.current
    }

    pub(crate) fn announced(&self) -> &View {
        &self.announced
    }

    pub(crate) fn change(&self) -> Option<&Change> {
        self.change.as_ref()
    }

    pub(crate) fn block(&self) -> Block {
        self.block
    }

    pub(crate) fn last_cid(&self) -> Cid {
        self.last_cid
    }

    /// Whether the application may send in the current view.
    pub(crate) fn may_send(&self) -> bool {
        self.block != Block::Blocked
    }

    /// The own sync message for the change under way, if it was sent.
    pub(crate) fn own_sync(&self) -> Option<&OwnSync> {
        let cid = self.change.as_ref()?.cid;
        self.own.as_ref().filter(|own| own.cid == cid)
    }

    /// The own sync message for `cid`, of the current view or of the one before.
    pub(crate) fn own_sync_for(&self, cid: Cid) -> Option<&OwnSync> {
        [&self.own, &self.previous].into_iter().flatten().find(|own| own.cid == cid)
    }

    /// The cid of the own sync message that led into the current view.
    pub(crate) fn previous_cid(&self) -> Option<Cid> {
        self.previous.as_ref().map(|own| own.cid)
    }

    /// All members have installed the current view: nobody asks for the sync message that led into
    /// it any more.
    pub(crate) fn forget_previous(&mut self) {
        self.previous = None;
    }

    /// The membership service proposes the processes of `set`, with their incarnations, under
    /// `cid`.
    pub(crate) fn start_change(
        &mut self,
        cid: Cid,
        set: impl Iterator<Item = (ProcessId, Incarnation)>,
    ) {
        self.incarnations = set.collect();
        self.incarnations.sort_unstable();
        self.change =
            Some(Change { cid, set: self.incarnations.iter().map(|(q, _)| *q).collect() });
        self.last_cid = self.last_cid.max(cid);
        self.prune();
        self.count();
    }

    /// Asks the application to stop sending for the change under way: once for each view, however
    /// many proposals there are (S21). False if it was asked before.
    pub(crate) fn ask_to_block(&mut self) -> bool {
        let ask = self.change.is_some() && self.block == Block::Unblocked;
        if ask {
            self.block = Block::Requested;
        }
        ask
    }

    /// The application has stopped sending. False if it was not asked to.
    pub(crate) fn block_ok(&mut self) -> bool {
        let asked = self.block == Block::Requested;
        if asked {
            self.block = Block::Blocked;
        }
        asked
    }

    /// Whether a sync message for the change under way is to be sent.
    pub(crate) fn wants_sync(&self) -> bool {
        let stopped = self.block == Block::Blocked || !self.rules.keeps(Rule::Blocking);
        let in_time = self.rules.keeps(Rule::ParallelSync) || self.matched();
        stopped && in_time && self.change.is_some() && self.own_sync().is_none()
    }

    /// Fixes the own cut: `prefix(r)` packets of each member r, which are received without a gap;
    /// of the own stream, all that were accepted. `safe` is a number of the order that all who come
    /// along learn the greatest of; all members of the next view are told `note`. Call only when
    /// [`Automaton::wants_sync`].
    pub(crate) fn send_sync(
        &mut self,
        prefix: impl Fn(Rank) -> Seq,
        (safe, note): (Seq, Note),
    ) -> Option<&OwnSync> {
        let cid = self.change.as_ref()?.cid;
        let cut: Vec<Seq> = (0..self.current.len()).map(|r| prefix(r as Rank)).collect();
        let view = ViewKey::of(&self.current, self.me)?;
        self.syncs.insert((self.me, cid), SyncState::whole(view, &cut, (safe, note)));
        self.trim(self.me);
        self.own = Some(OwnSync { cid, view, cut, safe, note });
        self.count();
        self.own.as_ref()
    }

    /// Whether the whole sync message of `from` for `cid` has arrived: more of it is no news.
    pub(crate) fn has_whole(
        &self,
        (from, incarnation): (ProcessId, Incarnation),
        cid: Cid,
    ) -> bool {
        let known = self.syncs.get(&(from, cid));
        known.is_some_and(|sync| sync.is_whole() && sync.incarnation() == incarnation)
    }

    /// A part of the sync message of `from` for `cid` arrives: the ranks from `first` of the cut
    /// that `head` announces. It is kept within a bound, also for cids and views that are not known
    /// here yet.
    pub(crate) fn receive_sync(
        &mut self,
        (from, incarnation): (ProcessId, Incarnation),
        cid: Cid,
        head: &SyncHead,
        first: usize,
        part: impl Iterator<Item = Seq>,
    ) -> Received {
        if from == self.me || cid.0 > CREDIBLE_MAX {
            return Received::Nothing;
        }
        if self.current.start(from).is_some_and(|start| self.is_garbage(cid, start)) {
            return Received::Nothing; // of a change that was decided before
        }
        self.make_room_for(from);
        self.make_way_for(from, incarnation, cid);
        let mut is_first = false;
        let state = self.syncs.entry((from, cid)).or_insert_with(|| {
            is_first = true;
            SyncState::empty(incarnation, head)
        });
        if state.incarnation() != incarnation {
            return Received::Nothing;
        }
        let news = state.fill(head, first, part) || is_first;
        if is_first {
            self.trim(from);
        }
        match news {
            false => Received::Nothing,
            true if self.count_one(from) => Received::Counted,
            true => Received::Kept,
        }
    }

    /// Two incarnations under one id may be given the same cid by servers that do not know of each
    /// other. The incarnation that was proposed counts; if none was, the later one.
    fn make_way_for(&mut self, from: ProcessId, incarnation: Incarnation, cid: Cid) {
        let Some(known) = self.syncs.get(&(from, cid)).map(SyncState::incarnation) else { return };
        let weight = |incarnation| (self.incarnation_of(from) == Some(incarnation), incarnation);
        if weight(incarnation) > weight(known) {
            self.syncs.remove(&(from, cid));
        }
    }

    /// The incarnation of `p` in the last proposal.
    fn incarnation_of(&self, p: ProcessId) -> Option<Incarnation> {
        let at = self.incarnations.binary_search_by_key(&p, |(q, _)| *q).ok()?;
        Some(self.incarnations[at].1)
    }

    /// Whether `p` is in the current view, in the announced one or in the proposed set.
    fn is_expected(&self, p: ProcessId) -> bool {
        self.current.contains(p)
            || self.announced.contains(p)
            || self.change.as_ref().is_some_and(|c| c.set.binary_search(&p).is_ok())
    }

    /// Makes room for the sync messages of `from`. A process that is not expected takes the place
    /// of the one that came first.
    fn make_room_for(&mut self, from: ProcessId) {
        if self.strangers.contains(&from) || self.is_expected(from) {
            return;
        }
        if self.strangers.len() == self.strangers_max {
            let first = self.strangers.remove(0);
            if !self.is_expected(first) {
                self.syncs.retain(|&(q, _), _| q != first);
            }
        }
        self.strangers.push(from);
    }

    /// Keeps the latest [`SYNCS_MAX`] sync messages of `p`, and those that the current and the
    /// announced view name.
    fn trim(&mut self, p: ProcessId) {
        let counting = [self.current.start(p), self.announced.start(p)];
        while self.syncs.range(span(p)).count() > SYNCS_MAX {
            let keys = self.syncs.range(span(p)).map(|(&key, _)| key);
            let Some(oldest) = keys.into_iter().find(|key| !counting.contains(&Some(key.1))) else {
                return;
            };
            self.syncs.remove(&oldest);
        }
    }

    /// Forgets the sync messages of processes that are neither expected nor among the strangers,
    /// and those that can count no more. If a later view names one of them after all, it is asked
    /// for.
    fn prune(&mut self) {
        let mut strangers = core::mem::take(&mut self.strangers);
        strangers.retain(|q| !self.is_expected(*q));
        let mut syncs = core::mem::take(&mut self.syncs);
        syncs.retain(|&(q, cid), _| {
            let garbage = self.current.start(q).is_some_and(|start| self.is_garbage(cid, start));
            !garbage && (self.is_expected(q) || strangers.contains(&q))
        });
        (self.strangers, self.syncs) = (strangers, syncs);
    }

    /// The current view has just been installed. Sync messages from it may have come before, when
    /// nobody could say whether they are possible: forgets those that say more than `most` of a
    /// rank, or a slot above `safe_most`. Answers how many.
    pub(crate) fn forget_false(&mut self, most: impl Fn(usize) -> Seq, safe_most: Seq) -> usize {
        let (me, view, before) = (self.me, &self.current, self.syncs.len());
        self.syncs.retain(|&(q, _), sync| q == me || !sync.is_false((view, q), &most, safe_most));
        before - self.syncs.len()
    }

    /// The membership service announces `view`. An obsolete one is remembered, but never installed
    /// ([point 4](crate::manual::algorithm#point-4)).
    pub(crate) fn announce(&mut self, view: View) {
        self.announced = view;
        self.count();
    }

    /// Up to where packets of each member may be delivered; `None`: no bound. The bounds only grow
    /// while the announced view answers the change.
    pub(crate) fn limits(&self) -> Option<&[Seq]> {
        let own = self.own_sync()?;
        match &self.tally {
            Some(tally) => Some(tally.agreed()),
            None => self.rules.keeps(Rule::OwnCut).then_some(&own.cut),
        }
    }

    /// Whether the announced view can be installed, given what was delivered.
    pub(crate) fn installable(&self, delivered: impl Fn(Rank) -> Seq) -> bool {
        if self.own_sync().is_none() || !self.complete() {
            return false;
        }
        self.agreed().iter().enumerate().all(|(r, &a)| delivered(r as Rank) >= a)
    }

    /// Installs the announced view; call only when [`Automaton::installable`].
    pub(crate) fn install(&mut self) -> Option<Installed> {
        let (transitional, clusters) = (self.transitional()?, self.clusters());
        let old = core::mem::replace(&mut self.current, self.announced.clone());
        self.change = None;
        self.tally = None;
        self.block = Block::Unblocked;
        self.previous = self.own.take();
        self.prune();
        Some(Installed { transitional, old, clusters })
    }

    /// Whether a sync message of `q` for `cid` is of no more use in a view with `start(q) = start`.
    /// The one for `start` itself is of use: `q` may never be told of this view, and its next view
    /// then names the same cid again.
    fn is_garbage(&self, cid: Cid, start: Cid) -> bool {
        cid < start || (cid == start && !self.rules.keeps(Rule::CollectBelow))
    }

    /// The highest view id that the membership service announced.
    pub(crate) fn last_view_id(&self) -> ViewId {
        self.announced.id().max(self.current.id())
    }
}

/// The keys of all sync messages of `p`.
fn span(p: ProcessId) -> core::ops::RangeInclusive<(ProcessId, Cid)> {
    (p, Cid(0))..=(p, Cid(u64::MAX))
}
