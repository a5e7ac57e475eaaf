//! T8 to T10: one state at all who are served, and each answer holds.
//!
//! A place of the order is *promised* once it was delivered before the signal in a view that is
//! served, or is part of the state with which a view is served before its signal. Whatever else a
//! member applied may be of a branch that does not count, and is judged by its own places alone.

mod collect;
mod history;
mod instants;
mod walk;

use super::model::Group;
use super::report::Findings;

pub(super) fn judge(group: &Group, findings: &mut Findings) {
    collect::judge(group, findings);
    let walks = walk::all(group, findings);
    let places = history::judge(group, findings, &walks);
    instants::judge(group, findings, &walks, &places);
}
