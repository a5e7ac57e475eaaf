//! What follows from the sync messages that the announced view names: which of them are missing,
//! who moves along, and how far each stream goes.
//!
//! It is kept up to date with each sync message. Each member of a large view sends one, and looking
//! at all of them again with each would take the square of their number.

use alloc::vec::Vec;

use super::cut::Cut;
use crate::ident::{ProcessId, Seq};
use crate::view::Members;

/// The count for one announced view. It does not depend on the order in which sync messages came.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tally {
    /// Members of the announced view whose sync message is needed and not here.
    missing: Members,
    /// Members that, by the sync messages so far, move from the current to the announced view.
    together: Members,
    /// The greatest cut over those, by rank in the current view.
    agreed: Vec<Seq>,
    /// The greatest `safe` over those.
    safe: Seq,
}

impl Tally {
    /// Nothing is counted yet of `ranks` members of the current view.
    pub(super) fn new(ranks: usize) -> Self {
        let (missing, together) = (Members::new(), Members::new());
        Self { missing, together, agreed: alloc::vec![0; ranks], safe: 0 }
    }

    /// Members of the announced view whose sync message is needed and not here, ascending.
    pub(super) fn missing(&self) -> &Members {
        &self.missing
    }

    /// Whether all sync messages are here.
    pub(super) fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// Members that, by the sync messages so far, come along, ascending.
    pub(super) fn together(&self) -> &Members {
        &self.together
    }

    /// Whether the sync message of `q` is missing.
    pub(super) fn lacks(&self, q: ProcessId) -> bool {
        self.missing.binary_search(&q).is_ok()
    }

    /// The sync message of `q`, which is greater than all before, is missing.
    pub(super) fn lack(&mut self, q: ProcessId) {
        self.missing.push(q);
    }

    /// The sync message of `q` is here now.
    pub(super) fn handle_sync(&mut self, q: ProcessId) {
        if let Ok(at) = self.missing.binary_search(&q) {
            self.missing.remove(at);
        }
    }

    pub(super) fn agreed(&self) -> &[Seq] {
        &self.agreed
    }

    /// The greatest number of safe slots over those that come along.
    pub(super) fn safe(&self) -> Seq {
        self.safe
    }

    /// Adds the cut of `q`, which moves along and knows so many slots to be safe.
    pub(super) fn join(&mut self, q: ProcessId, cut: &Cut, safe: Seq) {
        self.safe = self.safe.max(safe);
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
