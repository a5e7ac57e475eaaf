//! Cuts, and the sync messages that carry them.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::ident::{Cid, Incarnation, ProcessId, Seq, ViewId};
use crate::view::View;

/// Stands for a part of a cut that has not arrived.
const UNKNOWN: Seq = Seq::MAX;

/// Names the view that a sync message's sender `q` is in, beyond doubt: a process is given one view at most for each
/// of its cids (M5), so the id and `start(q)` decide; the fingerprint guards against a sender that breaks the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct ViewKey {
    pub(crate) id: ViewId,
    /// The view's local id at the sender.
    pub(crate) start: Cid,
    pub(crate) fingerprint: u64,
}

impl ViewKey {
    /// The key of `view` in the mouth of `q`; `None` if `q` is not a member.
    pub(crate) fn of(view: &View, q: ProcessId) -> Option<Self> {
        Some(Self { id: view.id(), start: view.start(q)?, fingerprint: view.fingerprint() })
    }
}

/// What is known of one sync message; large cuts arrive in parts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SyncState {
    /// Of which life of its sender it is.
    life: Incarnation,
    view: ViewKey,
    cut: Vec<Seq>,
    unknown: usize,
}

impl SyncState {
    pub(crate) fn empty(life: Incarnation, view: ViewKey, total: usize) -> Self {
        Self { life, view, cut: alloc::vec![UNKNOWN; total], unknown: total }
    }

    /// The own one.
    pub(crate) fn whole(view: ViewKey, cut: Vec<Seq>) -> Self {
        Self { life: Incarnation::default(), view, cut, unknown: 0 }
    }

    /// Takes a part; false if it contradicts what is known or tells nothing new. A sync message never changes, so the
    /// first word counts.
    pub(crate) fn fill(
        &mut self,
        view: ViewKey,
        total: usize,
        first: usize,
        part: impl Iterator<Item = Seq>,
    ) -> bool {
        if self.is_whole() || view != self.view || total != self.cut.len() {
            return false;
        }
        let before = self.unknown;
        for (slot, seq) in self.cut.iter_mut().skip(first).zip(part) {
            if *slot == UNKNOWN && seq != UNKNOWN {
                *slot = seq;
                self.unknown -= 1;
            }
        }
        self.unknown < before
    }

    pub(crate) fn life(&self) -> Incarnation {
        self.life
    }

    /// Where its sender was.
    #[cfg(feature = "sim")]
    pub(crate) fn view(&self) -> ViewKey {
        self.view
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.unknown == 0
    }

    /// Whether `q`, who sent it, was in `view`.
    pub(crate) fn in_view(&self, view: &View, q: ProcessId) -> bool {
        ViewKey::of(view, q) == Some(self.view) && self.cut.len() == view.len()
    }

    pub(crate) fn cut(&self) -> &[Seq] {
        &self.cut
    }
}
