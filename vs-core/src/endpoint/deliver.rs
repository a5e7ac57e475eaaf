//! What the application is told next.

use super::{Action, Cx, Endpoint, observe};
use crate::ident::{FNV_OFFSET, Rank, fnv1a};
use crate::trace::Event;

/// What an endpoint can do next for the application.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ready {
    Event,
    /// The signal of an ordered view that ends.
    Signal,
    /// A message of the member of this rank is delivered.
    Deliver(Rank),
    Install,
    Writable,
}

impl Endpoint {
    /// Whether a message waits that may be delivered.
    pub(super) fn has_delivery(&self) -> bool {
        self.next_to_deliver().is_some()
    }

    /// Whose message is delivered next.
    #[inline]
    fn next_to_deliver(&self) -> Option<Rank> {
        self.current.next_to_deliver(|rank| self.progress.limit(rank))
    }

    /// What [`Endpoint::take_action`] can do now.
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
        // Until it is told nobody is next.
        if self.is_signal_due() {
            return Some(Ready::Signal);
        }
        if self.is_installable() {
            return Some(Ready::Install);
        }
        self.is_writable().then_some(Ready::Writable)
    }

    /// Whether [`Endpoint::take_action`] can do something now.
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
            self.find_turn(cx);
            self.drop_internal(cx);
            self.flush_queue(cx);
            self.reattach_when_caught_up(cx);
            self.try_leave(cx);
        }
    }

    /// Does what [`Endpoint::ready`] has just answered: the next event for the application. It is
    /// handed in since with each message it would take time to find out twice.
    pub(crate) fn take_action<'a>(
        &'a mut self,
        ready: Ready,
        mut cx: Cx<'a>,
    ) -> Option<Action<'a>> {
        match ready {
            Ready::Event => self.events.pop().map(|event| event.action(self.key)),
            Ready::Signal => self.signal(&mut cx),
            Ready::Install => self.install(&mut cx),
            Ready::Writable => {
                self.refused = None;
                Some(Action::Writable { group: self.key })
            }
            Ready::Deliver(rank) => self.deliver(rank, cx),
        }
    }

    fn deliver<'a>(&'a mut self, rank: Rank, cx: Cx<'a>) -> Option<Action<'a>> {
        let limit = self.progress.limit(rank);
        let stage = self.current.stage();
        let reassembly = &mut self.reassembly;
        let delivered = self.current.take_message(cx.pool, cx.now, reassembly, rank, limit)?;
        let number = delivered.number?;
        let from = self.sync.current().members()[usize::from(delivered.from)];
        if cx.tracer.enabled() {
            let hash = fnv1a(FNV_OFFSET, delivered.payload);
            let len = delivered.payload.len() as u64;
            let event = Event::Deliver { from, n: number, hash, len, stage };
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
        Some(Action::Deliver { group: self.key, from, number, payload: delivered.payload, stage })
    }

    /// Takes messages between members for as long as one is next, and drops them: no kind of them
    /// is known.
    fn drop_internal(&mut self, cx: &mut Cx<'_>) {
        while self.current.cast().may_have_internal()
            && let Some(rank) = self.next_to_deliver()
            && self.current.cast().is_internal(rank)
        {
            let reassembly = &mut self.reassembly;
            let limit = self.progress.limit(rank);
            let taken =
                self.current.take_message(cx.pool, cx.now, reassembly, rank, limit).is_some();
            let cast = self.current.cast_mut();
            cast.take_back(cx.pool, cx.now);
            if !taken {
                return;
            }
            cast.count_unknown();
            self.find_turn(cx);
        }
    }
}
