//! Which members have moved to the current view, as far as their datagrams show.

use crate::ident::ProcessId;
use crate::view::{Members, View};

/// The members of the current view, until all of them have shown that they have installed it.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// The members that came from the same view as this process.
    transitional: Members,
    /// Members that have not shown yet that they have installed the view, ascending.
    awaited: Members,
}

impl Moved {
    /// `view` is installed here, by `me`, together with the members of `transitional`.
    pub(super) fn new(view: &View, me: ProcessId, transitional: Members) -> Self {
        let awaited = view.members().iter().copied().filter(|&p| p != me).collect();
        Self { transitional, awaited }
    }

    pub(super) fn transitional(&self) -> &[ProcessId] {
        &self.transitional
    }

    /// Whether all members have shown that they have installed the view.
    pub(super) fn is_complete(&self) -> bool {
        self.awaited.is_empty()
    }

    /// Whether a member that came from the same view as this process may still be in that view.
    pub(super) fn needs_previous(&self) -> bool {
        self.awaited.iter().any(|p| self.transitional.binary_search(p).is_ok())
    }

    /// `member` sent something in the view. True if this is the first sign of it.
    pub(super) fn handle_sign(&mut self, member: ProcessId) -> bool {
        let Ok(at) = self.awaited.binary_search(&member) else { return false };
        self.awaited.remove(at);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::{Cid, ViewId};

    fn processes(list: &[u64]) -> Members {
        list.iter().map(|p| ProcessId(*p)).collect()
    }

    /// Members that have not moved yet may lack packets of the previous view (rule 5.9). Fault to
    /// avoid: these are freed when the first member has moved. Expected: when the last has that
    /// came along; others count for nothing.
    #[test]
    fn previous_view_is_needed_until_last_has_moved() {
        let (id, members) = (ViewId { major: 9, minor: 1 }, processes(&[1, 2, 3, 4]));
        let view = View::new(id, &members, &[Cid(1); 4]).unwrap();
        let mut moved = Moved::new(&view, ProcessId(1), processes(&[1, 2, 3]));
        for (sign, needed, complete) in [(2, true, false), (3, false, false), (4, false, true)] {
            assert!(moved.handle_sign(ProcessId(sign)) && !moved.handle_sign(ProcessId(sign)));
            assert_eq!((moved.needs_previous(), moved.is_complete()), (needed, complete), "{sign}");
        }
    }
}
