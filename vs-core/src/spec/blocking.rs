//! S21: the contract between the end-point and the application around a change of views.

use alloc::format;

use super::log::Step;
use super::model::{At, Group};
use super::property::Property;
use super::report::Findings;

#[derive(Clone, Copy)]
enum Block {
    /// The event since which this holds: the view, or the start of the process.
    Unblocked(Option<At>),
    Requested(At),
    Blocked(At),
}

pub(super) fn judge(group: &Group, findings: &mut Findings) {
    for (l, log) in group.logs.iter().enumerate() {
        let mut block = Block::Unblocked(None);
        for (i, item) in log.items.iter().enumerate() {
            let at = At { log: l, item: i };
            let mut broken = |other, what: &str| {
                findings.add(Property::S21, || {
                    let what = format!("{} {what}", log.process);
                    group.violation(Property::S21, at, other, what)
                });
            };
            match (&item.step, block) {
                (Step::Block, Block::Unblocked(_)) => block = Block::Requested(at),
                (Step::Block, Block::Requested(before) | Block::Blocked(before)) => {
                    broken(Some(before), "was asked to block a second time in the same view");
                }
                (Step::BlockOk, Block::Requested(_)) => block = Block::Blocked(at),
                (Step::BlockOk, Block::Unblocked(since)) => {
                    broken(since, "answered block_ok without having been asked to block");
                }
                (Step::BlockOk, Block::Blocked(before)) => {
                    broken(Some(before), "answered block_ok twice");
                }
                (Step::Sync, Block::Unblocked(since)) => {
                    broken(since, "sent a sync message without block_ok");
                }
                (Step::Sync, Block::Requested(asked)) => {
                    broken(Some(asked), "sent a sync message before block_ok");
                }
                (Step::Send(_), Block::Blocked(since)) => {
                    broken(Some(since), "sent a message after block_ok and before the view");
                }
                (
                    Step::Begin
                    | Step::Start
                    | Step::View { .. }
                    | Step::Leave
                    | Step::Crash
                    | Step::BrokenOff,
                    _,
                ) => block = Block::Unblocked(Some(at)),
                _ => {}
            }
        }
    }
}
