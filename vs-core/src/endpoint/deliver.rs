//! Delivery: the cast offers what is next of each member, the order decides whose turn it is.

use super::{Action, Cx, Endpoint, observe};
use crate::cast::Cast;
use crate::ident::{FNV_OFFSET, Rank, Seq, fnv1a};
use crate::order::{Head, Offers};
use crate::trace::Event;

/// What may be delivered in the current view.
struct Deliverable<'a> {
    cast: &'a Cast,
    limits: Option<&'a [Seq]>,
}

impl Offers for Deliverable<'_> {
    fn ranks(&self) -> usize {
        self.cast.ranks()
    }

    fn may_have_some(&self) -> bool {
        self.cast.may_deliver()
    }

    fn peek(&self, rank: Rank) -> Option<Head> {
        self.cast.peek(rank, limit(self.limits, rank))
    }
}

/// Up to where the stream of `rank` may be delivered.
fn limit(limits: Option<&[Seq]>, rank: Rank) -> Seq {
    limits.map_or(Seq::MAX, |limits| limits.get(usize::from(rank)).copied().unwrap_or(0))
}

impl Endpoint {
    /// Whose message is delivered next, if one waits that may be.
    fn next_to_deliver(&self) -> Option<Rank> {
        self.policy.next(&Deliverable { cast: &self.cast, limits: self.limits.as_deref() })
    }

    /// Whether a message waits that may be delivered.
    pub(super) fn has_delivery(&self) -> bool {
        self.next_to_deliver().is_some()
    }

    /// Delivers the next message.
    pub(super) fn deliver<'a>(&'a mut self, cx: Cx<'a>) -> Option<Action<'a>> {
        let rank = self.next_to_deliver()?;
        let limit = limit(self.limits.as_deref(), rank);
        let delivered = self.cast.take(cx.pool, cx.now, &mut self.reassembly, rank, limit)?;
        self.policy.handle_taken(rank, self.sync.current().len(), delivered.ends_packet);
        let from = self.sync.current().members()[usize::from(rank)];
        let number = delivered.number?;
        if cx.tracer.enabled() {
            let hash = fnv1a(FNV_OFFSET, delivered.payload);
            let len = delivered.payload.len() as u64;
            let event = Event::Deliver { from, n: number, hash, len };
            observe::show(cx.tracer, cx.now, &self.name, &self.sync, &self.cast, Some(&event));
            cx.tracer.record(cx.now, cx.identity.process, &self.name, event);
        }
        cx.counters.delivered += 1;
        Some(Action::Deliver { group: self.key, from, number, payload: delivered.payload })
    }

    /// Takes messages between members for as long as one is next, and drops them: no kind of them is known.
    pub(super) fn drop_internal(&mut self, cx: &mut Cx<'_>) {
        while self.cast.may_have_internal()
            && let Some(rank) = self.next_to_deliver().filter(|&rank| self.cast.is_internal(rank))
        {
            let limit = limit(self.limits.as_deref(), rank);
            let taken = self.cast.take(cx.pool, cx.now, &mut self.reassembly, rank, limit);
            let Some(ends_packet) = taken.map(|taken| taken.ends_packet) else { return };
            self.policy.handle_taken(rank, self.sync.current().len(), ends_packet);
            self.cast.count_unknown();
            self.cast.take_back(cx.pool, cx.now);
        }
    }
}
