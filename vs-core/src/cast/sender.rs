//! The own stream before it is transmitted: messages are packed into packets.

use crate::ident::Seq;
use crate::pool::{Pool, Slot};
use crate::wire::body::{self, Audience, packets_for};

/// The packet that messages are being written into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    slot: Slot,
    len: usize,
    audience: Audience,
}

impl Open {
    /// An empty packet in `slot`.
    pub(super) fn new(slot: Slot, audience: Audience) -> Self {
        Self { slot, len: 0, audience }
    }

    pub(super) fn slot(&self) -> Slot {
        self.slot
    }

    /// Bytes that are written.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whom its messages are for.
    pub(super) fn audience(&self) -> Audience {
        self.audience
    }

    /// Whether a message of `len` bytes for `audience` can be appended.
    #[inline]
    fn takes(&self, len: usize, audience: Audience, body_bytes: usize) -> bool {
        self.audience == audience && body::fits(len, self.len, body_bytes)
    }
}

/// What of the own stream is written, sealed and transmitted.
#[derive(Debug)]
pub(super) struct Sender {
    /// Room for the body of a packet that is made now. All members have room for as much or more.
    body_bytes: usize,
    /// A longer packet would have been filled.
    is_limited: bool,
    open: Option<Open>,
    /// The last packet whose bytes never change again.
    sealed: Seq,
    /// The last packet that was transmitted.
    transmitted: Seq,
    /// Messages of the application that were accepted.
    messages: u64,
}

impl Sender {
    /// Nothing is written yet; packets have bodies of `body_bytes`.
    pub(super) fn new(body_bytes: usize) -> Self {
        Self { body_bytes, is_limited: false, open: None, sealed: 0, transmitted: 0, messages: 0 }
    }

    /// Room for the body of a packet that is made now.
    #[inline]
    pub(super) fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// Packets that are made from now on have longer bodies, of `body_bytes`.
    pub(super) fn set_body_bytes(&mut self, body_bytes: usize) {
        self.body_bytes = body_bytes;
    }

    /// A longer packet would have been filled.
    pub(super) fn handle_limited(&mut self) {
        self.is_limited = true;
    }

    /// Whether a longer packet would have been filled once.
    pub(super) fn is_limited(&self) -> bool {
        self.is_limited
    }

    /// The packet that messages are being written into.
    #[inline]
    pub(super) fn open(&self) -> Option<&Open> {
        self.open.as_ref()
    }

    /// The last packet whose bytes never change again.
    #[inline]
    pub(super) fn sealed(&self) -> Seq {
        self.sealed
    }

    /// The last packet that was transmitted.
    pub(super) fn transmitted(&self) -> Seq {
        self.transmitted
    }

    /// Messages of the application that were accepted.
    #[inline]
    pub(super) fn messages(&self) -> u64 {
        self.messages
    }

    /// The number of the last packet that a message of `len` bytes would be in.
    #[inline]
    pub(super) fn last_packet_of(&self, len: usize, audience: Audience) -> Seq {
        let body_bytes = self.body_bytes;
        let opened = self.sealed + u64::from(self.open.is_some());
        match self.open {
            Some(open) if open.takes(len, audience, body_bytes) => opened,
            _ => opened + packets_for(len, body_bytes) as u64,
        }
    }

    /// Whether there is an open packet that a message of `len` bytes cannot be appended to.
    #[inline]
    pub(super) fn must_seal(&self, len: usize, audience: Audience) -> bool {
        self.open.is_some_and(|open| !open.takes(len, audience, self.body_bytes))
    }

    /// Appends a message to the open packet; there is one, in `slot` if there was none.
    #[inline]
    pub(super) fn append(&mut self, pool: &mut Pool, mut open: Open, payload: &[u8]) {
        open.len = body::append(pool.body_mut(open.slot), open.len, payload);
        self.open = Some(open);
    }

    /// The open packet is to be sealed.
    #[inline]
    pub(super) fn take_open(&mut self) -> Option<Open> {
        self.open.take()
    }

    /// One more packet is sealed: its number.
    pub(super) fn seal_next(&mut self) -> Seq {
        self.sealed += 1;
        self.sealed
    }

    /// Packets up to `seq` were transmitted.
    pub(super) fn handle_transmitted(&mut self, seq: Seq) {
        self.transmitted = seq;
    }

    /// A message of the application was accepted.
    #[inline]
    pub(super) fn count_message(&mut self) {
        self.messages += 1;
    }
}
