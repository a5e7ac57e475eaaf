//! Counts the sync messages that the announced view names.

use alloc::vec::Vec;

use super::cut::{Cut, SyncState};
use super::tally::Tally;
use super::{Automaton, span};
use crate::ident::{Cid, ProcessId, Rank, Seq};
use crate::rule::Rule;
use crate::view::{Clusters, Members, Note, View, ViewKey};

impl Automaton {
    /// Whether the announced view answers the change under way.
    pub(crate) fn matched(&self) -> bool {
        self.tally.is_some()
    }

    /// Counts all sync messages again: a view or the change is another one now.
    pub(super) fn count(&mut self) {
        let matches = self.change.as_ref().is_some_and(|change| {
            let answered = self.announced.start(self.me) == Some(change.cid);
            (answered || !self.rules.keeps(Rule::NoObsoleteView))
                && self.announced.id() > self.current.id()
        });
        self.tally = matches.then(|| {
            let mut tally = Tally::new(self.current.len());
            for &q in self.announced.members().iter().filter(|&&q| self.awaits(q)) {
                match self.counting_sync(q).map(|sync| (sync.cut_in(&self.current, q), sync.safe()))
                {
                    None => tally.lack(q),
                    Some((Some(cut), safe)) => tally.join(q, cut, safe),
                    Some((None, _)) => {}
                }
            }
            tally
        });
    }

    /// Whether the announced view needs the sync message of its member `q`. The cuts of those who
    /// were in the current view, too, bound what is delivered in it ([point
    /// 6](crate::manual::algorithm#point-6)); the others say where they come from.
    fn awaits(&self, q: ProcessId) -> bool {
        let awaits_all = self.has_clusters && self.rules.keeps(Rule::ClusterSyncs);
        awaits_all || self.current.contains(q)
    }

    /// Counts a sync message of `q`. True if it was missing, and is here now.
    pub(super) fn count_one(&mut self, q: ProcessId) -> bool {
        if !self.rules.keeps(Rule::ExactSync) {
            self.count(); // any sync message of q may have taken the place of one that counted
            return self.matched();
        }
        let Some(mut tally) = self.tally.take() else { return false };
        let counted = self.counting_sync(q).filter(|_| tally.lacks(q));
        if let Some(sync) = counted {
            tally.handle_sync(q);
            if let Some(cut) = sync.cut_in(&self.current, q) {
                tally.join(q, cut, sync.safe());
            }
        }
        let counted = counted.is_some();
        self.tally = Some(tally);
        counted
    }

    /// The sync message of `q` that the announced view names, if it is here.
    fn counting_sync(&self, q: ProcessId) -> Option<&SyncState> {
        let state = if self.rules.keeps(Rule::ExactSync) || q == self.me {
            self.syncs.get(&(q, self.announced.start(q)?))
        } else {
            self.syncs.range(span(q)).next_back().map(|(_, state)| state)
        };
        let of_incarnation = |s: &&SyncState| {
            q == self.me || self.incarnation_of(q).is_none_or(|l| l == s.incarnation())
        };
        state.filter(|s| s.is_whole()).filter(of_incarnation)
    }

    /// Members whose sync message is still missing, with the cid that it will have; empty unless
    /// matched.
    pub(crate) fn missing(&self) -> impl Iterator<Item = (ProcessId, Cid)> + '_ {
        let missing = self.tally.iter().flat_map(Tally::missing);
        missing.filter_map(|&q| Some((q, self.announced.start(q)?)))
    }

    /// Whether a sync message is missing.
    pub(crate) fn is_waiting(&self) -> bool {
        self.tally.as_ref().is_some_and(|tally| !tally.is_complete())
    }

    /// Whether all sync messages are here that the announced view names.
    pub(crate) fn complete(&self) -> bool {
        self.tally.as_ref().is_some_and(Tally::is_complete)
    }

    /// Whether `q`, by the sync messages so far, moves from the current to the announced view.
    pub(crate) fn comes_along(&self, q: ProcessId) -> bool {
        self.tally.as_ref().is_some_and(|tally| tally.together().binary_search(&q).is_ok())
    }

    /// The members that move along, by rank in the current view, with their cuts: the transitional
    /// set, once [`Automaton::complete`].
    pub(crate) fn together(&self) -> Vec<(Rank, &Cut)> {
        let together = self.tally.iter().flat_map(Tally::together);
        together.filter_map(|&q| Some((self.current.rank(q)?, self.cut_of(q)?))).collect()
    }

    /// The cut of `q`, if `q` moves along.
    pub(crate) fn cut_of(&self, q: ProcessId) -> Option<&Cut> {
        self.counting_sync(q).filter(|_| self.comes_along(q)).and_then(SyncState::cut)
    }

    /// The transitional set; `None` until it is known.
    pub(crate) fn transitional(&self) -> Option<Members> {
        self.tally.as_ref().filter(|_| self.complete()).map(|tally| tally.together().clone())
    }

    /// Those who, by the sync messages so far, come along; the transitional set, once
    /// [`Automaton::complete`].
    pub(crate) fn transitional_members(&self) -> &[ProcessId] {
        self.tally.as_ref().map_or(&[], |tally| tally.together())
    }

    /// Who comes with whom to the announced view, by the sync messages that it names; `None` in
    /// groups without clusters.
    pub(super) fn clusters(&self) -> Option<Clusters> {
        self.has_clusters.then(|| {
            let origins = self.announced.members().iter().filter_map(|&q| {
                let said = self.counting_sync(q).map(|sync| (q, sync.view(), sync.note()));
                // Without the rule some are missing, and pass for fresh.
                said.or_else(|| Some((q, ViewKey::of(&View::initial(q), q)?, Note::default())))
            });
            Clusters::new(origins)
        })
    }

    /// The greatest number of safe slots over the transitional set; 0 unless matched.
    pub(crate) fn agreed_safe(&self) -> Seq {
        self.tally.as_ref().map_or(0, Tally::safe)
    }

    /// The greatest cut over the transitional set, as far as it is known; empty unless matched.
    pub(crate) fn agreed(&self) -> &[Seq] {
        self.tally.as_ref().map_or(&[], Tally::agreed)
    }
}
