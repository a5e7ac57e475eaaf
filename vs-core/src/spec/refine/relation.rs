//! The simulation relation: a real end-point in the variables of the specification.

use alloc::collections::BTreeSet;

use super::end_point::{EndPoint, Sync};
use crate::trace::{Observation, ObservedSync};

/// The state of the specification that the state of an implementation stands for.
///
/// Most variables are the same by another name. The others:
///
/// - `sync[q][cid]` are the sync messages that are here in whole; one of which parts are missing
///   counts for nothing yet but takes room, and of its view only the key is kept (M5 makes it as
///   good as the view);
/// - the paper's `msgs[q][v][i]`, with holes, is its gap-free prefix, up to the end of a message:
///   what lies beyond a gap, or is a part of a message, is in the channel still;
/// - `last_dlvrd` is counted in packets, since that is what cuts are made of: those of which a
///   message is delivered, which no bound may be below, and those of which all are, without which
///   no view is installed;
/// - what is derived there and kept here (`matched`, T, `agreed`) has no counterpart: that it is
///   right shows in what is done with it.
impl From<Observation> for EndPoint {
    fn from(seen: Observation) -> Self {
        let (whole, parts): (alloc::vec::Vec<_>, alloc::vec::Vec<_>) =
            seen.syncs.into_iter().partition(|sync| sync.cut.is_some());
        let sync =
            |ObservedSync { from, cid, view, cut }| Some(((from, cid), Sync { view, cut: cut? }));
        Self {
            me: seen.process,
            current: seen.current,
            announced: seen.announced,
            change: seen.change,
            block: seen.block,
            syncs: whole.into_iter().filter_map(sync).collect(),
            parts: parts.iter().map(|sync| (sync.from, sync.cid)).collect(),
            arrived: seen.arrived,
            received: seen.received,
            touched: seen.touched,
            delivered: seen.delivered,
            freed: seen.freed,
            sent: seen.sent,
            open: seen.open,
            handed: BTreeSet::new(),
        }
    }
}
