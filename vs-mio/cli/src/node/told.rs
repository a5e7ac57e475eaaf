//! What a member is told, in words for people.

use core::fmt::Write as _;

use vs_core::ident::ProcessId;
use vs_core::order::Stage;
use vs_core::{Action, DetachReason, DisplaySet};

use crate::notify;
use crate::output::push_printable;

/// With a view that will never be primary.
const NOT_PRIMARY: &str =
    "the view is not primary: not more than half of the processes of --primary-of are in it\n";
/// With a view that was primary.
const LAPSED: &str = "the view is not primary any more: not more than half of the processes of --primary-of are heard\n";
/// With a view of which nothing is heard.
const CUT_OFF: &str =
    "the view does not hold any more: neither a membership server nor another member is heard\n";

/// What an action asks for once its loan has ended.
pub(super) enum Follow {
    Nothing,
    Delivered,
    View(usize),
    Block,
    Writable,
    Detached(DetachReason),
    Left,
}

/// Puts an action into words on a line if people read, or hands out a delivery's payload if
/// programs do. With the line comes whether there is a word about views that cannot be primary.
pub(super) fn told(
    action: &Action<'_>,
    process: ProcessId,
    reader: Option<(&mut String, bool)>,
    lent: &mut Option<Vec<u8>>,
) -> Follow {
    let (line, has_voters) = reader.map_or((None, false), |(line, has)| (Some(line), has));
    match action {
        Action::Deliver { from, payload, stage, .. } => {
            match line {
                Some(line) => {
                    // Writing to a string cannot fail.
                    let _ = write!(line, "{from}: ");
                    push_printable(line, payload);
                    line.push_str(end_of(*stage));
                }
                None => *lent = Some(payload.to_vec()),
            }
            if *from == process { Follow::Delivered } else { Follow::Nothing }
        }
        Action::View { view, transitional, quorum, .. } => {
            notify::ready(&format!("in view {view}"));
            if let Some(line) = line {
                let _ = writeln!(line, "view {view}, together with {}", DisplaySet(transitional));
                if has_voters && !quorum {
                    line.push_str(NOT_PRIMARY);
                }
            }
            Follow::View(view.len())
        }
        Action::Signal { transitional, .. } => {
            if let Some(line) = line {
                let _ = writeln!(line, "the view ends, together with {}", DisplaySet(transitional));
            }
            Follow::Nothing
        }
        Action::Primary { .. } => add(line, "the view is primary\n", Follow::Nothing),
        Action::Lapsed { .. } => {
            add(line, if has_voters { LAPSED } else { CUT_OFF }, Follow::Nothing)
        }
        Action::Restored { .. } => add(line, "the view holds again\n", Follow::Nothing),
        Action::Block { .. } => add(line, "block\n", Follow::Block),
        Action::Writable { .. } => Follow::Writable,
        Action::Detached { reason, .. } => Follow::Detached(reason.clone()),
        Action::Left { unsent, .. } => {
            if *unsent > 0 {
                tracing::warn!(
                    "{unsent} messages were waiting for the next view and were not sent"
                );
            }
            Follow::Left
        }
        _ => Follow::Nothing,
    }
}

/// What stands behind a message: how far the promise of the order reaches, if not to all.
fn end_of(stage: Stage) -> &'static str {
    match stage {
        Stage::Regular => "\n",
        Stage::Recorded => " [recorded]\n",
        Stage::Tail => " [tail]\n",
    }
}

/// Adds `words` to the line, if there is one, and goes on with `follow`.
fn add(line: Option<&mut String>, words: &str, follow: Follow) -> Follow {
    if let Some(line) = line {
        line.push_str(words);
    }
    follow
}
