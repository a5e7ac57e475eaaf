//! What the application is told next.

use super::{Action, Cx, Endpoint, observe};
use crate::ident::{FNV_OFFSET, Rank, fnv1a};
use crate::trace::Event;

/// What an endpoint can do next for the application. It holds until something happens to the
/// endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ready {
    /// Tell what happened.
    Event,
    /// Deliver the next message of this member.
    Deliver(Rank),
    /// Install the announced view.
    Install,
    /// Tell that there is room again.
    Writable,
}

impl Endpoint {
    /// Whose message is delivered next, if one waits that may be delivered.
    #[inline]
    fn next_to_deliver(&self) -> Option<Rank> {
        self.current.next_to_deliver(|rank| self.progress.limit(rank))
    }

    /// Whether a message waits that may be delivered.
    pub(super) fn has_delivery(&self) -> bool {
        self.next_to_deliver().is_some()
    }

    /// What [`Endpoint::next_action`] can do.
    pub(crate) fn ready(&self) -> Option<Ready> {
        if !self.events.is_empty() {
            return Some(Ready::Event);
        }
        if !self.attachment.is_active() {
            return None;
        }
        if let Some(rank) = self.next_to_deliver() {
            return Some(Ready::Deliver(rank));
        }
        if self.is_installable() {
            return Some(Ready::Install);
        }
        self.is_writable().then_some(Ready::Writable)
    }

    /// Whether the application has something to hear.
    pub(crate) fn has_action(&self) -> bool {
        self.ready().is_some()
    }

    /// Whether the application has to be asked: it has something to hear, or frees what the next
    /// message waits for; or the node has to drop the endpoint.
    pub(crate) fn is_busy(&self) -> bool {
        self.has_action() || self.is_gone() || (!self.queue.is_empty() && self.may_flush())
    }

    /// The application is done with the payload that it was lent last. What that frees is used at
    /// once, since nothing else may wake this group for it.
    pub(crate) fn take_back(&mut self, cx: &mut Cx<'_>) {
        if self.attachment.is_active() {
            self.current.cast_mut().take_back(cx.pool, cx.now);
            if self.current.cast().may_have_internal() {
                self.drop_internal(cx);
            }
            self.flush_queue(cx);
            self.reattach_when_caught_up(cx);
            self.try_leave(cx);
        }
    }

    /// The next event for the application, for which it is `ready`.
    pub(crate) fn next_action<'a>(
        &'a mut self,
        mut cx: Cx<'a>,
        ready: Ready,
    ) -> Option<Action<'a>> {
        match ready {
            Ready::Event => self.events.pop().map(|event| event.action(self.key)),
            Ready::Install => self.install(&mut cx),
            Ready::Writable => {
                self.refused = None;
                Some(Action::Writable { group: self.key })
            }
            Ready::Deliver(rank) => self.deliver(cx, rank),
        }
    }

    /// Delivers the next message of member `rank`.
    #[inline]
    fn deliver<'a>(&'a mut self, cx: Cx<'a>, rank: Rank) -> Option<Action<'a>> {
        let (limit, reassembly) = (self.progress.limit(rank), &mut self.reassembly);
        let delivered = self.current.take_message(cx.pool, cx.now, reassembly, rank, limit)?;
        let number = delivered.number?;
        let from = self.sync.current().members()[usize::from(delivered.from)];
        if cx.tracer.enabled() {
            let hash = fnv1a(FNV_OFFSET, delivered.payload);
            let len = delivered.payload.len() as u64;
            let event = Event::Deliver { from, n: number, hash, len };
            observe::show(
                cx.tracer,
                cx.now,
                &self.name,
                &self.sync,
                self.current.cast(),
                Some(&event),
            );
            cx.tracer.record(cx.now, cx.identity.process, &self.name, event);
        }
        cx.counters.delivered += 1;
        Some(Action::Deliver { group: self.key, from, number, payload: delivered.payload })
    }

    /// Takes messages between members for as long as one is next, and drops them: no kind of them
    /// is known.
    #[cold]
    fn drop_internal(&mut self, cx: &mut Cx<'_>) {
        while let Some(rank) = self.next_to_deliver()
            && self.current.cast().is_internal(rank)
        {
            let (limit, reassembly) = (self.progress.limit(rank), &mut self.reassembly);
            let taken = self.current.take_message(cx.pool, cx.now, reassembly, rank, limit);
            if taken.is_none() {
                return;
            }
            let cast = self.current.cast_mut();
            cast.take_back(cx.pool, cx.now);
            cast.count_unknown();
        }
    }
}
