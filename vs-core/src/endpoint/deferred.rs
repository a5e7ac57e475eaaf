//! What the membership service said while a view ends: it waits until the next one is installed.

use crate::ident::{Cid, ViewId};
use crate::member::client::ClientEvent;
use crate::view::View;

/// The last proposal, and the last view after it. Earlier ones are of no use any more: a view that
/// a later proposal has overtaken is obsolete (S23).
#[derive(Debug, Default)]
pub(super) struct Deferred {
    start_change: Option<ClientEvent>,
    view: Option<ClientEvent>,
}

impl Deferred {
    /// Takes a proposal or a view; other events are handed back.
    pub(super) fn take(&mut self, event: ClientEvent) -> Option<ClientEvent> {
        match event {
            ClientEvent::StartChange { .. } => {
                (self.start_change, self.view) = (Some(event), None);
                None
            }
            ClientEvent::View { .. } => {
                self.view = Some(event);
                None
            }
            other => Some(other),
        }
    }

    /// What has waited, in its order.
    pub(super) fn into_events(self) -> impl Iterator<Item = ClientEvent> {
        self.start_change.into_iter().chain(self.view)
    }

    /// The local id of the proposal.
    pub(super) fn cid(&self) -> Option<Cid> {
        match &self.start_change {
            Some(ClientEvent::StartChange { cid, .. }) => Some(*cid),
            _ => None,
        }
    }

    /// The view.
    pub(super) fn view(&self) -> Option<&View> {
        match &self.view {
            Some(ClientEvent::View { view, .. }) => Some(view),
            _ => None,
        }
    }

    /// The id of the view; the least one if none waits.
    pub(super) fn view_id(&self) -> ViewId {
        self.view().map(View::id).unwrap_or_default()
    }
}
