//! What a group tells.

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
        /// The bytes that were sent. Messages up to 16 KiB share a piece of memory of 64 KiB, which is free again when
        /// all of them were dropped: copy what is kept for long.
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
    /// The view that the last [`Event::View`] named is primary from here on: see [`vs_core::Action::Primary`].
    Primary,
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

/// An [`Event`] that is lent: nothing was allocated or copied for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventRef<'a> {
    /// See [`Event::Message`].
    Message {
        /// The sender.
        from: ProcessId,
        /// The sender's number of the message in the view, from 1.
        number: u64,
        /// The bytes that were sent.
        payload: &'a [u8],
    },
    /// See [`Event::View`].
    View {
        /// The view.
        view: &'a View,
        /// Its members that came from the same view as this process, ascending.
        transitional: &'a [ProcessId],
    },
    /// See [`Event::Primary`].
    Primary,
    /// See [`Event::Detached`].
    Detached {
        /// Why.
        reason: &'a DetachReason,
    },
    /// See [`Event::Left`].
    Left {
        /// Messages that were waiting for the next view, and that nobody will see.
        unsent: usize,
    },
}

impl EventRef<'_> {
    /// The event to keep, its payload made by `bytes`.
    pub(crate) fn keep(self, bytes: impl FnOnce(&[u8]) -> Bytes) -> Event {
        match self {
            Self::Message { from, number, payload } => {
                Event::Message { from, number, payload: bytes(payload) }
            }
            Self::View { view, transitional } => {
                Event::View { view: view.clone(), transitional: transitional.to_vec() }
            }
            Self::Primary => Event::Primary,
            Self::Detached { reason } => Event::Detached { reason: reason.clone() },
            Self::Left { unsent } => Event::Left { unsent },
        }
    }
}

impl From<EventRef<'_>> for Event {
    /// Copies what was lent into memory of its own.
    fn from(event: EventRef<'_>) -> Self {
        event.keep(Bytes::copy_from_slice)
    }
}

impl<'a> From<&'a Event> for EventRef<'a> {
    fn from(event: &'a Event) -> Self {
        match event {
            Event::Message { from, number, payload } => {
                Self::Message { from: *from, number: *number, payload }
            }
            Event::View { view, transitional } => Self::View { view, transitional },
            Event::Primary => Self::Primary,
            Event::Detached { reason } => Self::Detached { reason },
            Event::Left { unsent } => Self::Left { unsent: *unsent },
        }
    }
}

/// Bytes that an event counts besides what it carries.
pub(crate) const EVENT_BYTES: usize = size_of::<Event>();

impl Event {
    /// What it counts in an inbox.
    pub(crate) fn bytes(&self) -> usize {
        EVENT_BYTES
            + match self {
                Self::Message { payload, .. } => payload.len(),
                // Of each member its id twice, and the local id.
                Self::View { view, .. } => 3 * size_of::<ProcessId>() * view.len(),
                Self::Primary | Self::Detached { .. } | Self::Left { .. } => 0,
            }
    }
}
