//! Messages that are written in place.

use core::ops::{Deref, DerefMut};

use super::exchange::Exchange;
use super::outbox::{LENGTH_BYTES, Segment};
use crate::group::SendError;

/// Room for a message in the outbox of a [`crate::SharedGroup`], to be written in place: see
/// [`crate::SharedGroup::reserve`]. No other thread waits while the message is written.
#[derive(Debug)]
pub struct Reservation<'a> {
    exchange: &'a Exchange,
    /// The message, behind room for its length. Taken when it is committed.
    segment: Option<Segment>,
    /// Bytes that were set aside.
    reserved: usize,
}

impl<'a> Reservation<'a> {
    pub(super) fn new(exchange: &'a Exchange, segment: Segment) -> Self {
        let reserved = segment.len();
        Self { exchange, segment: Some(segment), reserved }
    }

    /// Shortens the message to `len` bytes; what is not longer stays as it is.
    pub fn truncate(&mut self, len: usize) {
        if let Some(segment) = &mut self.segment {
            segment.truncate(LENGTH_BYTES.saturating_add(len));
        }
    }

    /// Multicasts the message. It takes its place behind what was sent up to now. Does not wait.
    ///
    /// # Errors
    /// [`SendError::Left`], [`SendError::Detached`], [`SendError::Wait`]: membership ended
    /// meanwhile.
    pub fn commit(mut self) -> Result<(), SendError> {
        let Some(segment) = self.segment.take() else { return Ok(()) };
        let result = self.exchange.outbox.commit(segment, self.reserved);
        self.exchange.taken(result)
    }
}

impl Deref for Reservation<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.segment.as_ref().map_or(&[], |segment| &segment[LENGTH_BYTES..])
    }
}

impl DerefMut for Reservation<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.segment.as_mut().map_or(&mut [], |segment| &mut segment[LENGTH_BYTES..])
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if let Some(segment) = self.segment.take() {
            self.exchange.outbox.roll_back(segment, self.reserved);
        }
    }
}
