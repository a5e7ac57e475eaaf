//! What follows from the sync messages that the announced view names: which of them are missing,
//! who moves along, and how far each stream goes.
//!
//! It is kept up to date with each sync message. Each member of a large view sends one, and looking
//! at all of them again with each would take the square of their number.

use alloc::vec::Vec;

use super::{Automaton, Cut, SyncState, span};
use crate::ident::{Cid, ProcessId, Rank, Seq};
use crate::rule::Rule;
use crate::view::Members;

/// The count for one announced view. It does not depend on the order in which sync messages came.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tally {
    /// Members of both views whose sync message is not here.
    missing: Members,
    /// Members that, by the sync messages so far, move from the current to the announced view.
    together: Members,
    /// The greatest cut over those, by rank in the current view.
    agreed: Vec<Seq>,
}

impl Tally {
    pub(super) fn agreed(&self) -> &[Seq] {
        &self.agreed
    }

    /// Adds the cut of `q`, which moves along.
    fn join(&mut self, q: ProcessId, cut: &Cut) {
        if let Err(at) = self.together.binary_search(&q) {
            self.together.insert(at, q);
        }
        for (ranks, seq) in cut.runs().filter(|(_, seq)| *seq > 0) {
            for agreed in self.agreed.iter_mut().take(ranks.end).skip(ranks.start) {
                *agreed = (*agreed).max(seq);
            }
        }
    }
}

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
            let mut tally = Tally {
                missing: Members::new(),
                together: Members::new(),
                agreed: alloc::vec![0; self.current.len()],
            };
            for &q in self.current.members().iter().filter(|&&q| self.announced.contains(q)) {
                match self.counting_sync(q).map(|sync| sync.cut_in(&self.current, q)) {
                    None => tally.missing.push(q),
                    Some(Some(cut)) => tally.join(q, cut),
                    Some(None) => {}
                }
            }
            tally
        });
    }

    /// Counts a sync message of `q`. True if it was missing, and is here now.
    pub(super) fn count_one(&mut self, q: ProcessId) -> bool {
        if !self.rules.keeps(Rule::ExactSync) {
            self.count(); // any sync message of q may have taken the place of one that counted
            return self.matched();
        }
        let Some(mut tally) = self.tally.take() else { return false };
        let at = tally.missing.binary_search(&q).ok();
        let counted = at.zip(self.counting_sync(q));
        if let Some((at, sync)) = counted {
            tally.missing.remove(at);
            if let Some(cut) = sync.cut_in(&self.current, q) {
                tally.join(q, cut);
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
        let missing = self.tally.iter().flat_map(|tally| &tally.missing);
        missing.filter_map(|&q| Some((q, self.announced.start(q)?)))
    }

    /// Whether a sync message is missing.
    pub(crate) fn is_waiting(&self) -> bool {
        self.tally.as_ref().is_some_and(|tally| !tally.missing.is_empty())
    }

    /// Whether all sync messages are here that the announced view names.
    pub(crate) fn complete(&self) -> bool {
        self.tally.as_ref().is_some_and(|tally| tally.missing.is_empty())
    }

    /// Whether `q`, by the sync messages so far, moves from the current to the announced view.
    pub(crate) fn comes_along(&self, q: ProcessId) -> bool {
        self.tally.as_ref().is_some_and(|tally| tally.together.binary_search(&q).is_ok())
    }

    /// The members that move along, by rank in the current view, with their cuts: the transitional
    /// set, once [`Automaton::complete`].
    pub(crate) fn together(&self) -> Vec<(Rank, &Cut)> {
        let together = self.tally.iter().flat_map(|tally| &tally.together);
        together.filter_map(|&q| Some((self.current.rank(q)?, self.cut_of(q)?))).collect()
    }

    /// The cut of `q`, if `q` moves along.
    pub(crate) fn cut_of(&self, q: ProcessId) -> Option<&Cut> {
        self.counting_sync(q).filter(|_| self.comes_along(q)).and_then(SyncState::cut)
    }

    /// The transitional set; `None` until it is known.
    pub(crate) fn transitional(&self) -> Option<Members> {
        self.tally.as_ref().filter(|_| self.complete()).map(|tally| tally.together.clone())
    }

    /// The greatest cut over the transitional set, as far as it is known; empty unless matched.
    pub(crate) fn agreed(&self) -> &[Seq] {
        self.tally.as_ref().map_or(&[], Tally::agreed)
    }
}
