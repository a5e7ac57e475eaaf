//! When an endpoint has to be woken, and what it does then.

use super::suspicions::{Debts, Review};
use super::{Cx, Endpoint};
use crate::ident::ProcessId;
use crate::member::DetachReason;
use crate::time::{Time, Wake, earlier};
use crate::trace::Mark;
use crate::view::Members;

impl Endpoint {
    /// The earliest time at which [`Endpoint::handle_timeout`] has something to do.
    pub(crate) fn poll_timeout(&self) -> Option<(Time, Wake)> {
        if !self.attachment.is_active() {
            return None;
        }
        // After each datagram somebody asks for this: nothing is put in a list first.
        let previous = self.previous.as_ref().and_then(|previous| previous.cast().poll_timeout());
        let next = earlier(self.current.cast().poll_timeout(), previous);
        let next = earlier(next, self.resend.poll_timeout(self.sync.is_waiting()));
        let next = earlier(next, self.suspicions.poll_timeout(self.config.peer_ms, self.debts()));
        let next = earlier(next, self.reach.poll_timeout());
        let next = earlier(next, self.path.poll_timeout());
        let is_told = self.lease.is_held() || self.events.is_empty();
        let next = earlier(next, is_told.then(|| self.lease.poll_timeout()).flatten());
        let next = earlier(next, self.block_timeout());
        earlier(earlier(next, self.reattach_timeout()), self.attachment.poll_timeout())
    }

    /// Finds out who has to be asked whether it is there.
    pub(super) fn look_who_is_heard(&mut self, now: Time) {
        let cast = self.current.cast();
        let (own, owed_since) = (self.current.header().rank, |rank| cast.acks_owed_since(rank));
        self.reach.handle_timeout(now, &self.config, own, owed_since);
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        if !self.attachment.is_active() {
            return;
        }
        self.current.cast_mut().handle_timeout(cx.now);
        if let Some(previous) = &mut self.previous {
            previous.cast_mut().handle_timeout(cx.now);
        }
        let is_waiting = self.sync.is_waiting();
        self.resend.handle_timeout(cx.now, self.config.sync_resend_ms, is_waiting);
        self.review_suspicions(cx);
        self.look_who_is_heard(cx.now);
        self.look_at_lease(cx);
        self.handle_block_timeout(cx);
        self.find_turn(cx);
        self.reattach_when_caught_up(cx);
        self.try_leave(cx);
    }

    /// Something happens to it after a time in which there was nothing to do.
    #[inline(never)]
    pub(crate) fn handle_woken(&mut self, now: Time) {
        self.suspicions.rest_until(now, self.config.peer_ms, self.debts());
    }

    fn debts(&self) -> Debts {
        let is_cast_owed = self.current.cast().next_accusation().is_some();
        Debts::new(self.sync.is_waiting(), is_cast_owed)
    }

    /// Accuses the members that owe a sync message, an acknowledgement, a repair or credit for
    /// longer than `peer_ms`, and withdraws accusations of members that owe nothing any more.
    fn review_suspicions(&mut self, cx: &mut Cx<'_>) {
        let debts = self.debts();
        let review = self.suspicions.handle_timeout(cx.now, self.config.peer_ms, debts);
        let Some(review) = review else { return };
        if review == Review::AfterSuspension {
            self.current.cast_mut().restart_detectors(cx.now);
        }
        let accused = self.members_in_debt(cx.now);
        if self.suspicions.accuse(&accused) {
            cx.membership.accuse(cx.now, self.key, &accused);
        }
    }

    /// The members that owe something for too long, ascending.
    fn members_in_debt(&self, now: Time) -> Members {
        let mut accused = Members::new();
        // Who does not come along to the announced view has left this one, and owes nothing in it.
        let is_here = |p: &ProcessId| !self.sync.matched() || self.sync.comes_along(*p);
        let cast = self.current.cast();
        cast.owing(now, |rank| accused.extend(self.current.member(rank).filter(is_here)));
        if self.suspicions.are_syncs_late(now, self.config.peer_ms) {
            accused.extend(self.sync.missing().map(|(p, _)| p));
        }
        let proposed = self.sync.change().map(|change| change.set.as_slice());
        accused.retain(|p| proposed.is_none_or(|set| set.contains(p)));
        accused.sort_unstable();
        accused.dedup();
        accused
    }

    fn block_timeout(&self) -> Option<(Time, Wake)> {
        self.progress.block_timeout(self.config.block_ok_ms)
    }

    fn handle_block_timeout(&mut self, cx: &mut Cx<'_>) {
        if self.block_timeout().is_some_and(|(at, _)| cx.now >= at) {
            self.progress.handle_block_ok();
            cx.mark(Mark::BlockTimeout);
            self.end(cx, DetachReason::BlockTimeout);
        }
    }

    fn reattach_timeout(&self) -> Option<(Time, Wake)> {
        self.may_reattach().then_some((Time::ZERO, Wake::Server))
    }
}
