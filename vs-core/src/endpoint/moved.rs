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
