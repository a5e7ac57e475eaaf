//! What a node tells whoever logs (`tracing`): changes of what it is in, never a message.

use tracing::{debug, info, warn};
use vs_core::{Action, DisplaySet};

/// Logs what the application is told besides messages.
pub(super) fn action(action: &Action<'_>) {
    let group = format_args!("{:016x}", action.group().0);
    match action {
        Action::View { view, transitional, .. } => {
            info!(group, %view, together = %DisplaySet(transitional), "a view is installed");
        }
        Action::Signal { transitional, .. } => {
            debug!(group, together = %DisplaySet(transitional), "the view ends");
        }
        Action::Primary { .. } => info!(group, "the view is primary"),
        Action::Lapsed { .. } => warn!(group, "the view does not hold here any more"),
        Action::Restored { .. } => info!(group, "the view holds again"),
        Action::Block { .. } => debug!(group, "the application is asked to stop sending"),
        Action::Detached { reason, .. } => warn!(group, %reason, "detached from the group"),
        Action::Left { unsent, .. } => info!(group, unsent, "the group was left"),
        _ => {}
    }
}
