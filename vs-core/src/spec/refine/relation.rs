//! The simulation relation: a real end-point in the variables of the specification.

use alloc::collections::BTreeSet;

use super::end_point::{EndPoint, Sync};
use crate::ident::{Rank, Seq};
use crate::spec::automata::Block;
use crate::sync::{Automaton, Block as Asked};

/// What the multicast below an end-point has, in its current view.
pub(crate) trait Streams {
    /// Packets of the stream that are here without a gap; of the own stream: that can be sent.
    fn arrived(&self, rank: Rank) -> Seq;
    /// The same up to the end of a message.
    fn received(&self, rank: Rank) -> Seq;
    /// Packets of it that are delivered, in whole or in part.
    fn delivered(&self, rank: Rank) -> Seq;
    /// Packets of it that are given up.
    fn freed(&self, rank: Rank) -> Seq;
    /// Messages accepted.
    fn sent(&self) -> u64;
    /// Whether an accepted message is in no packet yet that could be sent.
    fn is_open(&self) -> bool;
}

/// The state of the specification that the state of an implementation stands for.
///
/// Most variables are the same by another name. The others:
///
/// - `sync[q][cid]` are the sync messages that are here in whole; one of which parts are missing counts for nothing yet but
///   takes room, and of its view only the key is kept (M5 makes it as good as the view);
/// - the paper's `msgs[q][v][i]`, with holes, is its gap-free prefix, up to the end of a message: what lies
///   beyond a gap, or is a part of a message, is in the channel still;
/// - `last_dlvrd` is counted in packets, since that is what cuts are made of;
/// - what is derived there and kept here (`matched`, T, `agreed`) has no counterpart: that it is right shows in what is
///   done with it.
pub(crate) fn relate(sync: &Automaton, streams: &impl Streams) -> EndPoint {
    let ranks = || 0..sync.current().len() as Rank;
    let whole = sync.syncs().filter_map(|(key, state)| {
        Some((key, Sync { view: state.view(), cut: state.cut()?.to_vec() }))
    });
    let parts = sync.syncs().filter(|(_, state)| !state.is_whole());
    EndPoint {
        me: sync.me(),
        current: sync.current().clone(),
        announced: sync.announced().clone(),
        change: sync.change().map(|change| (change.cid, change.set.clone())),
        block: match sync.block() {
            Asked::Unblocked => Block::Unblocked,
            Asked::Requested => Block::Requested,
            Asked::Blocked => Block::Blocked,
        },
        syncs: whole.collect(),
        parts: parts.map(|(key, _)| key).collect(),
        arrived: ranks().map(|r| streams.arrived(r)).collect(),
        received: ranks().map(|r| streams.received(r)).collect(),
        delivered: ranks().map(|r| streams.delivered(r)).collect(),
        freed: ranks().map(|r| streams.freed(r)).collect(),
        sent: streams.sent(),
        open: streams.is_open(),
        handed: BTreeSet::new(),
    }
}
