//! How a group is left: by the application, or because the membership has ended for good.

use super::events::AppEvent;
use super::{Cx, Endpoint, Phase};
use crate::member::DetachReason;
use crate::pool::Pool;
use crate::trace::Event;

impl Endpoint {
    /// Gives up membership once own messages are stable. False if the group was left already.
    pub(crate) fn leave(&mut self, cx: &mut Cx<'_>) -> bool {
        match self.attachment.phase() {
            Phase::Live => {
                self.attachment.begin_leaving(cx.now.plus_ms(self.config.peer_ms));
                self.try_leave(cx);
                true
            }
            Phase::Ended => {
                self.finish(cx);
                true
            }
            Phase::Leaving(_) | Phase::Left => false,
        }
    }

    /// Leaves if own messages are stable, those of the view before, too ([rule
    /// 5.9](crate::manual::algorithm#rule-5-9)), or if that has taken too long.
    pub(super) fn try_leave(&mut self, cx: &mut Cx<'_>) {
        let Phase::Leaving(deadline) = self.attachment.phase() else { return };
        let is_flushed =
            self.queue.is_empty() && self.current.cast().is_flushed() && self.previous.is_none();
        if is_flushed || cx.now >= deadline {
            self.finish(cx);
        }
    }

    fn finish(&mut self, cx: &mut Cx<'_>) {
        if self.attachment.phase() != Phase::Ended {
            self.trace(cx, Event::Leave);
        }
        cx.membership.detach(cx.now, self.key);
        let unsent = self.queue.clear();
        self.release(cx.pool);
        self.events.replace_all(AppEvent::Left { unsent });
        self.attachment.leave();
    }

    /// Ends the membership for good, for a reason that the application is told.
    pub(super) fn end(&mut self, cx: &mut Cx<'_>, reason: DetachReason) {
        match self.attachment.phase() {
            Phase::Live => {}
            // Leaving was asked for, and that is what it comes to.
            Phase::Leaving(_) => return self.finish(cx),
            Phase::Ended | Phase::Left => return,
        }
        self.trace(cx, Event::Leave);
        cx.membership.detach(cx.now, self.key);
        self.release(cx.pool);
        self.attachment.end();
        self.events.push(AppEvent::Detached(reason));
    }

    /// Gives all pool slots back.
    fn release(&mut self, pool: &mut Pool) {
        self.current.clear(pool);
        if let Some(mut previous) = self.previous.take() {
            previous.clear(pool);
        }
        self.early.clear(pool);
    }
}
