//! The progress of a change, from the own sync message to the agreed cut: carries numbers between
//! `sync` and `cast`.

use alloc::boxed::Box;
use alloc::vec::Vec;

use smallvec::SmallVec;

use super::{Cx, Endpoint};
use crate::ident::{ProcessId, Rank};
use crate::rule::Rule;
use crate::trace::{Event, Mark};

impl Endpoint {
    /// The application has stopped sending: the open packet is sealed before the cut is computed
    /// ([rule 5.7](crate::manual::algorithm#rule-5-7)).
    pub(super) fn handle_blocked(&mut self, cx: &mut Cx<'_>) {
        if self.sync.block_ok() {
            self.progress.handle_block_ok();
            self.trace(cx, Event::BlockOk);
            self.current.cast_mut().seal_last(cx.pool);
            self.advance(cx);
        }
    }

    /// Carries numbers between `sync` and `cast` after any change of what is known.
    pub(super) fn advance(&mut self, cx: &mut Cx<'_>) {
        if self.sync.wants_sync() {
            self.fix_sync(cx);
        }
        self.progress.set_limits(self.sync.limits());
        let cast = self.current.cast_mut();
        if !self.sync.matched() {
            cast.unsettle(cx.now);
            return;
        }
        let is_complete = self.sync.complete();
        if is_complete {
            self.handle_syncs_complete();
        }
        let cast = self.current.cast_mut();
        let together = self.sync.together();
        let mut sources = Vec::with_capacity(together.len());
        for (r, &upto) in self.sync.agreed().iter().enumerate() {
            let rank = r as Rank;
            let is_closed = is_complete && !self.sync.comes_along(self.sync.current().members()[r]);
            sources.clear();
            // Sources matter only for the streams of which something is missing here.
            if upto > cast.prefix(rank) {
                sources.extend(self.sync.sources(rank, &together));
            }
            cast.settle(cx.now, rank, upto, &sources, is_closed);
        }
        if is_complete && self.progress.begin_forwarding() {
            self.forward(cx);
        }
    }

    /// The sync message of `q` counts. Until it is the last one, only what it adds is looked at: in
    /// a large view each member sends one, with a number for each stream.
    pub(super) fn count_sync(&mut self, cx: &mut Cx<'_>, q: ProcessId) {
        if self.sync.complete() {
            return self.advance(cx);
        }
        let Some(rank) = self.sync.current().rank(q) else { return };
        let holder = self.sync.cut_of(q).map(|cut| (rank, cut));
        let cast = self.current.cast_mut();
        // Without limits the own sync message is still to come, and all streams are settled then.
        self.progress.raise_limits(self.sync.agreed(), |rank, upto| {
            let sources: SmallVec<[Rank; 2]> = self.sync.sources(rank, holder.as_slice()).collect();
            cast.settle(cx.now, rank, upto, &sources, false);
        });
    }

    /// Whether the announced view can be installed.
    pub(super) fn is_installable(&self) -> bool {
        self.progress.has_limits()
            && self.is_order_done()
            && self.sync.installable(|rank| self.current.done(rank))
    }

    /// Fixes the own sync message; it is sent from now on until it is not needed.
    fn fix_sync(&mut self, cx: &mut Cx<'_>) {
        let cast = self.current.cast();
        let is_by_receipt = self.sync.rules().keeps(Rule::CutReceived);
        let received = |r| if is_by_receipt { cast.prefix(r) } else { cast.delivered(r) };
        if (0..cast.ranks() as Rank).any(|r| cast.arrived(r) > cast.prefix(r)) {
            cx.mark(Mark::CutInMessage);
        }
        let safe = self.current.safe_upto(cx.pool);
        let Some(own) = self.sync.send_sync(received, (safe, self.note)) else { return };
        let (cid, cut) = (own.cid, own.cut.clone());
        self.handle_sync_fixed(safe, &cut);
        let view = self.sync.current();
        let cut: SmallVec<_> = view.members().iter().copied().zip(cut).collect();
        let view = Box::new(view.clone());
        self.trace(cx, Event::Sync { cid, view, cut, safe });
        self.resend.start(cx.now, self.config.sync_resend_ms);
    }

    /// Hands on the packets of members outside the transitional set that members of it lack.
    fn forward(&mut self, cx: &mut Cx<'_>) {
        for forward in self.sync.forwards() {
            let cast = self.current.cast_mut();
            let here = cast.forward(forward.to, forward.origin, forward.from, forward.upto);
            let Some(range) = here.filter(|_| cx.tracer.enabled()) else { continue };
            let view = self.sync.current();
            let member = |rank: Rank| view.members()[usize::from(rank)];
            let (to, from) = (member(forward.to), member(forward.origin));
            let view = Box::new(view.clone());
            for packet in range.from..=range.upto {
                self.trace(cx, Event::Forward { to, from, packet, view: view.clone() });
            }
        }
    }
}
