//! Orders other than FIFO: who is looked for, and the end of a view.
//!
//! In a causal group, what is left once nothing more can be delivered is left out.
//!
//! With one order for all there is the signal, and what is delivered after it.
//! From the signal to the view all is settled: everything that counts is here, and only the
//! application has to take it. What the membership service says meanwhile waits until then. So who
//! is told that its promises reach to the transitional set goes to the next view with exactly that
//! set (T6).

use super::{Action, Cx, Endpoint};
use crate::ident::{Rank, Seq};
use crate::member::client::ClientEvent;
use crate::order::Total;
use crate::rule::Rule;
use crate::trace::{Event, Mark};

impl Endpoint {
    /// Finds out whose message is next, and whether the view ends.
    #[inline(always)] // It is called for each message, and does nothing in FIFO groups.
    pub(super) fn find_turn(&mut self, cx: &mut Cx<'_>) {
        if self.current.looks() {
            self.find_turn_in_order(cx);
        }
    }

    /// In an ordered group a packet without messages may have been sealed, of which no event tells.
    pub(super) fn show_sealed(&self, cx: &mut Cx<'_>) {
        if self.current.looks() && cx.tracer.enabled() {
            self.show(cx, None);
        }
    }

    #[inline(never)]
    fn find_turn_in_order(&mut self, cx: &mut Cx<'_>) {
        if !self.attachment.is_active() {
            return;
        }
        let progress = &self.progress;
        if self.current.find_turn(cx.pool, cx.now, |rank| progress.limit(rank)) {
            cx.mark(Mark::LeadTaken);
        }
        if !self.current.waits() || !self.is_all_here() {
            return;
        }
        if self.current.leave_rest() {
            return;
        }
        let (together, agreed) = (self.sync.transitional_members(), self.sync.agreed());
        self.current.begin_tail(cx.pool, together, agreed);
        let progress = &self.progress;
        self.current.find_turn(cx.pool, cx.now, |rank| progress.limit(rank));
    }

    /// Whether something that counts is not delivered.
    pub(super) fn has_rest(&self) -> bool {
        let cast = self.current.cast();
        let is_left = |(rank, upto): (usize, &Seq)| cast.delivered(rank as Rank) < *upto;
        self.sync.agreed().iter().enumerate().any(is_left)
    }

    /// Whether the change is settled, and all that counts of the view is here.
    fn is_all_here(&self) -> bool {
        let cast = self.current.cast();
        let is_here = |(rank, upto): (usize, &Seq)| cast.prefix(rank as Rank) >= *upto;
        self.progress.has_limits()
            && self.sync.own_sync().is_some()
            && self.sync.complete()
            && self.sync.agreed().iter().enumerate().all(is_here)
    }

    /// The own sync message is fixed. Until a view answers it nothing is delivered that was not
    /// known to be at all members by then, and nothing is acknowledged beyond its cut.
    pub(super) fn handle_sync_fixed(&mut self, safe: Seq, cut: &[Seq]) {
        if !self.config.order.is_safe() {
            return;
        }
        if self.sync.rules().keeps(Rule::OrderFreeze) {
            self.current.freeze_order(safe);
        }
        if self.sync.rules().keeps(Rule::OrderAckCap) {
            let end = |rank: Rank| cut.get(usize::from(rank)).copied().unwrap_or(0);
            self.current.cast_mut().bound_acks(end);
        }
    }

    /// Another change is proposed. What the last own sync message fixed is fixed no more.
    pub(super) fn handle_sync_void(&mut self, cx: &Cx<'_>) {
        if self.config.order.is_safe() {
            self.current.unfreeze_order();
            self.current.cast_mut().unbound_acks(cx.now);
        }
    }

    /// All sync messages that count are here. What one who comes along knew to be at all members,
    /// all who come along deliver as that.
    pub(super) fn handle_syncs_complete(&mut self) {
        if self.sync.rules().keeps(Rule::OrderSafeMax) {
            self.current.freeze_order(self.sync.agreed_safe());
        }
    }

    /// Whether the view ends here with what has been announced, whatever else happens.
    pub(super) fn is_ending(&self) -> bool {
        self.current.walk().is_some_and(Total::has_tail)
    }

    /// Whether the order has nothing left to deliver before the next view.
    pub(super) fn is_order_done(&self) -> bool {
        self.current.walk().is_none_or(Total::is_done)
    }

    /// Whether the application has to take the signal.
    pub(super) fn is_signal_due(&self) -> bool {
        self.current.walk().is_some_and(Total::is_signal_due)
    }

    /// The application takes the signal.
    pub(super) fn signal(&mut self, cx: &mut Cx<'_>) -> Option<Action<'_>> {
        self.current.handle_signal_told();
        let transitional = self.sync.transitional_members().into();
        self.trace(cx, Event::Signal { transitional });
        Some(Action::Signal { group: self.key, transitional: self.sync.transitional_members() })
    }

    /// Takes up what waited for the view that is installed now.
    pub(super) fn take_deferred(&mut self, cx: &mut Cx<'_>) {
        for event in core::mem::take(&mut self.deferred).into_events() {
            self.handle_membership(cx, event);
            // If all this follows from a timeout, the next one has to lie ahead.
            self.look_who_is_heard(cx.now);
        }
    }

    /// Keeps a proposal or a view while the view ends. Answers an event that need not wait.
    pub(super) fn defer(&mut self, event: ClientEvent) -> Option<ClientEvent> {
        if self.is_ending() { self.deferred.take(event) } else { Some(event) }
    }
}
