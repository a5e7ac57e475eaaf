//! Shows each step of an endpoint to a tracer that checks it against the specification.

use super::{Cx, Endpoint};
use crate::cast::Cast;
use crate::ident::{GroupName, Rank, Seq};
use crate::sync::{Automaton, Block};
use crate::time::Time;
use crate::trace::{BlockState, Event, Observation, ObservedSync, Tracer};

/// What the multicast below an endpoint has, in its current view.
pub(crate) trait Streams {
    /// Packets of the stream that are here without a gap; of the own stream: that can be sent.
    fn arrived(&self, rank: Rank) -> Seq;
    /// The same up to the end of a message.
    fn received(&self, rank: Rank) -> Seq;
    /// Packets of it that are delivered, in whole or in part.
    fn touched(&self, rank: Rank) -> Seq;
    /// Packets of it that are delivered in whole.
    fn delivered(&self, rank: Rank) -> Seq;
    /// Packets of it that are no longer kept.
    fn freed(&self, rank: Rank) -> Seq;
    /// Messages accepted.
    fn sent(&self) -> u64;
    /// Whether an accepted message is in no packet yet that could be sent.
    fn is_open(&self) -> bool;
}

/// Copies the state of an endpoint.
pub(crate) fn observation(sync: &Automaton, streams: &impl Streams) -> Observation {
    let ranks = || 0..sync.current().len() as Rank;
    let syncs = sync.syncs().map(|((from, cid), state)| ObservedSync {
        from,
        cid,
        view: state.view(),
        cut: state.cut().map(crate::sync::Cut::to_vec),
    });
    Observation {
        process: sync.me(),
        current: sync.current().clone(),
        announced: sync.announced().clone(),
        change: sync.change().map(|change| (change.cid, change.set.clone())),
        block: match sync.block() {
            Block::Unblocked => BlockState::Unblocked,
            Block::Requested => BlockState::Requested,
            Block::Blocked => BlockState::Blocked,
        },
        syncs: syncs.collect(),
        arrived: ranks().map(|r| streams.arrived(r)).collect(),
        received: ranks().map(|r| streams.received(r)).collect(),
        touched: ranks().map(|r| streams.touched(r)).collect(),
        delivered: ranks().map(|r| streams.delivered(r)).collect(),
        freed: ranks().map(|r| streams.freed(r)).collect(),
        sent: streams.sent(),
        open: streams.is_open(),
    }
}

impl Streams for Cast {
    fn arrived(&self, rank: Rank) -> Seq {
        Self::arrived(self, rank)
    }

    fn received(&self, rank: Rank) -> Seq {
        self.prefix(rank)
    }

    fn touched(&self, rank: Rank) -> Seq {
        Self::touched(self, rank)
    }

    fn delivered(&self, rank: Rank) -> Seq {
        Self::delivered(self, rank)
    }

    fn freed(&self, rank: Rank) -> Seq {
        Self::freed(self, rank)
    }

    fn sent(&self) -> u64 {
        self.accepted()
    }

    fn is_open(&self) -> bool {
        Self::is_open(self)
    }
}

pub(super) fn show(
    tracer: &mut dyn Tracer,
    now: Time,
    group: &GroupName,
    sync: &Automaton,
    cast: &Cast,
    action: Option<&Event>,
) {
    tracer.observe(now, group, action, &|| observation(sync, cast));
}

impl Endpoint {
    pub(super) fn show(&self, cx: &mut Cx<'_>, action: Option<&Event>) {
        show(cx.tracer, cx.now, &self.name, &self.sync, self.current.cast(), action);
    }
}
