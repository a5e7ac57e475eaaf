//! What the application is to be told, besides messages and views, which follow from state.

use alloc::collections::VecDeque;

use super::Action;
use crate::ident::GroupKey;
use crate::member::DetachReason;

/// Events that wait for the application before further detachments that are not final are dropped.
const EVENTS_MAX: usize = 16;

/// One event.
#[derive(Debug)]
pub(super) enum AppEvent {
    Block,
    /// One per view. Once the application has taken an [`AppEvent::Lapsed`], one more of these or
    /// an [`AppEvent::Restored`]. The next view is installed only when no event waits.
    Primary,
    /// The view does not hold any more.
    Lapsed,
    /// It holds again, without a list of those who make a view primary.
    Restored,
    Detached(DetachReason),
    Left {
        unsent: usize,
    },
}

impl AppEvent {
    /// The event of `group` as the application sees it.
    pub(super) fn action(self, group: GroupKey) -> Action<'static> {
        match self {
            Self::Block => Action::Block { group },
            Self::Primary => Action::Primary { group },
            Self::Lapsed => Action::Lapsed { group },
            Self::Restored => Action::Restored { group },
            Self::Detached(reason) => Action::Detached { group, reason },
            Self::Left { unsent } => Action::Left { group, unsent },
        }
    }
}

/// The events that wait, in order.
#[derive(Debug)]
pub(super) struct Events(VecDeque<AppEvent>);

impl Events {
    pub(super) fn new() -> Self {
        Self(VecDeque::with_capacity(EVENTS_MAX))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push(&mut self, event: AppEvent) {
        self.0.push_back(event);
    }

    /// Appends an event that the application can do without: it is dropped if too many wait.
    pub(super) fn push_if_room(&mut self, event: AppEvent) {
        if self.0.len() < EVENTS_MAX {
            self.0.push_back(event);
        }
    }

    /// The group was left: nothing else is of interest any more.
    pub(super) fn replace_all(&mut self, event: AppEvent) {
        self.0.clear();
        self.0.push_back(event);
    }

    pub(super) fn pop(&mut self) -> Option<AppEvent> {
        self.0.pop_front()
    }
}
