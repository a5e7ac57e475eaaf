//! Names of what is measured.

use vs_core::sim::WanChange;

/// The two stacks: the sync round beside that of the servers, or after it.
pub(crate) const STACKS: [&str; 2] = ["beside", "after"];

/// Name of the samples of a change.
pub(crate) fn name(how: &str, loss: f64, after: bool, change: WanChange) -> String {
    format!("{how}/{loss}/{}/{change:?}", STACKS[usize::from(after)])
}
