//! What a group tells.

use bytes::Bytes;
use vs_core::ident::ProcessId;
use vs_core::member::MembershipRequest;
use vs_core::order::Stage;
use vs_core::{Clusters, DetachReason, View};

use super::answer::Unanswered;

/// What a group tells, in the order in which it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A message, in the view that the last [`Event::View`] named (S7). Own messages come back, too
    /// (S14).
    Message {
        /// The sender.
        from: ProcessId,
        /// The sender's number of the message in the view, from 1.
        number: u64,
        /// The bytes that were sent. Messages up to 16 KiB share a piece of memory of 64 KiB, which
        /// is free again when all of them were dropped: copy what is kept for long.
        payload: Bytes,
        /// How far the promise of the group's order reaches.
        stage: Stage,
    },
    /// The view ends. What comes from here on is promised to the transitional set alone. Only in a
    /// group with one order for all members: see [`vs_core::Action::Signal`].
    Signal {
        /// The members of the next view that come from this one, ascending.
        transitional: Vec<ProcessId>,
    },
    /// A message that another member of the view sent to this one alone: see
    /// [`crate::driver::Driver::send_direct`].
    Direct {
        /// The sender.
        from: ProcessId,
        /// The bytes that were sent.
        payload: Bytes,
    },
    /// A new view.
    View {
        /// The view.
        view: View,
        /// Its members that came from the same view as this process, ascending (S9, S10): they have
        /// received the same messages up to here.
        transitional: Vec<ProcessId>,
        /// Whether more than half of [`vs_core::GroupConfig::primary_of`] are members. Without that
        /// the view will never be primary; with it, [`Event::Primary`] may follow.
        quorum: bool,
        /// Which members came together, and each member's note: in groups with clusters alone (see
        /// [`vs_core::Action::View`]).
        clusters: Option<Clusters>,
    },
    /// The view that the last [`Event::View`] named is primary from here on: see
    /// [`vs_core::Action::Primary`].
    Primary,
    /// The view that the last [`Event::View`] named does not hold for this process any more, since
    /// it hears too little of the others: see [`vs_core::Action::Lapsed`].
    Lapsed,
    /// The view of [`Event::Lapsed`] holds again: see [`vs_core::Action::Restored`].
    Restored,
    /// Messages are missing here, since this process receives too slowly: it was told to skip them
    /// ([`crate::SlowReader`]). They were delivered in the views between the last event and the
    /// next one. Others may have received them.
    Gap {
        /// How many.
        messages: u64,
    },
    /// The membership service dropped this process. It comes back by itself, unless the reason is
    /// final ([`DetachReason::is_final`]).
    Detached {
        /// Why.
        reason: DetachReason,
    },
    /// No membership server answers: told after 2 s, and every 5 s from then on, until one does.
    Unanswered(Box<Unanswered>),
    /// What the application's own source of views has to learn: with
    /// [`crate::Membership::External`] alone.
    Membership(Box<MembershipRequest>),
    /// The group was left, as asked for.
    Left {
        /// Messages that were waiting for the next view, and that nobody will see.
        unsent: usize,
    },
}

/// An [`Event`] that is lent: nothing was allocated or copied for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventRef<'a> {
    /// See [`Event::Message`].
    Message {
        /// The sender.
        from: ProcessId,
        /// The sender's number of the message in the view, from 1.
        number: u64,
        /// The bytes that were sent.
        payload: &'a [u8],
        /// How far the promise of the group's order reaches.
        stage: Stage,
    },
    /// See [`Event::Signal`].
    Signal {
        /// The members of the next view that come from this one, ascending.
        transitional: &'a [ProcessId],
    },
    /// See [`Event::Direct`].
    Direct {
        /// The sender.
        from: ProcessId,
        /// The bytes that were sent.
        payload: &'a [u8],
    },
    /// See [`Event::View`].
    View {
        /// The view.
        view: &'a View,
        /// Its members that came from the same view as this process, ascending.
        transitional: &'a [ProcessId],
        /// Whether more than half of [`vs_core::GroupConfig::primary_of`] are members.
        quorum: bool,
        /// Which members came together, and each member's note: in groups with clusters alone.
        clusters: Option<&'a Clusters>,
    },
    /// See [`Event::Primary`].
    Primary,
    /// See [`Event::Lapsed`].
    Lapsed,
    /// See [`Event::Restored`].
    Restored,
    /// See [`Event::Gap`].
    Gap {
        /// How many messages.
        messages: u64,
    },
    /// See [`Event::Detached`].
    Detached {
        /// Why.
        reason: &'a DetachReason,
    },
    /// See [`Event::Unanswered`].
    Unanswered(&'a Unanswered),
    /// See [`Event::Membership`].
    Membership(&'a MembershipRequest),
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
            Self::Message { from, number, payload, stage } => {
                Event::Message { from, number, payload: bytes(payload), stage }
            }
            Self::Signal { transitional } => Event::Signal { transitional: transitional.to_vec() },
            Self::Direct { from, payload } => Event::Direct { from, payload: bytes(payload) },
            Self::View { view, transitional, quorum, clusters } => Event::View {
                view: view.clone(),
                transitional: transitional.to_vec(),
                quorum,
                clusters: clusters.cloned(),
            },
            Self::Primary => Event::Primary,
            Self::Lapsed => Event::Lapsed,
            Self::Restored => Event::Restored,
            Self::Gap { messages } => Event::Gap { messages },
            Self::Detached { reason } => Event::Detached { reason: reason.clone() },
            Self::Unanswered(unanswered) => Event::Unanswered(Box::new(unanswered.clone())),
            Self::Membership(request) => Event::Membership(Box::new(request.clone())),
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
            Event::Message { from, number, payload, stage } => {
                Self::Message { from: *from, number: *number, payload, stage: *stage }
            }
            Event::Signal { transitional } => Self::Signal { transitional },
            Event::Direct { from, payload } => Self::Direct { from: *from, payload },
            Event::View { view, transitional, quorum, clusters } => {
                let clusters = clusters.as_ref();
                Self::View { view, transitional, quorum: *quorum, clusters }
            }
            Event::Primary => Self::Primary,
            Event::Lapsed => Self::Lapsed,
            Event::Restored => Self::Restored,
            Event::Gap { messages } => Self::Gap { messages: *messages },
            Event::Detached { reason } => Self::Detached { reason },
            Event::Unanswered(unanswered) => Self::Unanswered(unanswered),
            Event::Membership(request) => Self::Membership(request),
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
                Self::Message { payload, .. } | Self::Direct { payload, .. } => payload.len(),
                Self::Signal { transitional } => size_of::<ProcessId>() * transitional.len(),
                // Of each member its id twice, and the local id.
                Self::View { view, .. } => 3 * size_of::<ProcessId>() * view.len(),
                Self::Primary
                | Self::Lapsed
                | Self::Restored
                | Self::Gap { .. }
                | Self::Detached { .. }
                | Self::Unanswered(_)
                | Self::Membership(_)
                | Self::Left { .. } => 0,
            }
    }
}
