//! Events that wait for the application.

use std::collections::VecDeque;

use bytes::Bytes;
use vs_core::ident::ProcessId;
use vs_core::{DetachReason, View};

/// What a group tells, in the order in which it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message, in the view that the last [`Event::View`] named (S7). Own messages come back, too (S14).
    Message {
        /// The sender.
        from: ProcessId,
        /// The sender's number of the message in the view, from 1.
        number: u64,
        /// The bytes that were sent.
        payload: Bytes,
    },
    /// A new view.
    View {
        /// The view.
        view: View,
        /// Its members that came from the same view as this process, ascending (S9, S10): they have received the same
        /// messages up to here.
        transitional: Vec<ProcessId>,
    },
    /// The membership service dropped this process. It comes back by itself, unless the reason is final
    /// ([`DetachReason::is_final`]).
    Detached {
        /// Why.
        reason: DetachReason,
    },
    /// The group was left, as asked for.
    Left {
        /// Messages that were waiting for the next view, and that nobody will see.
        unsent: usize,
    },
}

/// Bytes that an event counts besides what it carries.
const EVENT_BYTES: usize = size_of::<Event>();

impl Event {
    fn bytes(&self) -> usize {
        EVENT_BYTES
            + match self {
                Self::Message { payload, .. } => payload.len(),
                // Of each member its id twice, and the local id.
                Self::View { view, .. } => 3 * size_of::<ProcessId>() * view.len(),
                Self::Detached { .. } | Self::Left { .. } => 0,
            }
    }
}

/// A queue with a bound, which the last event in it may exceed.
#[derive(Debug)]
pub(super) struct Inbox {
    events: VecDeque<Event>,
    bytes: usize,
    bytes_max: usize,
}

impl Inbox {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { events: VecDeque::new(), bytes: 0, bytes_max }
    }

    pub(super) fn has_room(&self) -> bool {
        self.events.is_empty() || self.bytes < self.bytes_max
    }

    pub(super) fn push(&mut self, event: Event) {
        self.bytes += event.bytes();
        self.events.push_back(event);
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        self.bytes -= event.bytes();
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inbox_is_full_until_something_was_taken_out() {
        let message = Event::Message {
            from: ProcessId(1),
            number: 1,
            payload: Bytes::from_static(&[7; 100]),
        };
        let mut inbox = Inbox::new(2 * (EVENT_BYTES + 100));
        for _ in 0..2 {
            assert!(inbox.has_room());
            inbox.push(message.clone());
        }
        assert!(!inbox.has_room());
        assert_eq!(inbox.pop(), Some(message));
        assert!(inbox.has_room());
        inbox.pop();
        assert_eq!((inbox.pop(), inbox.bytes), (None, 0));
        assert!(Inbox::new(0).has_room(), "one event always finds room");
    }
}
