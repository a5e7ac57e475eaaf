//! A run of datagrams in one buffer.

use super::message::{CastDest, CastTransmit};
use crate::wire::datagram::Header;
use crate::wire::packet::{self, Data};

/// A packet that is shorter than those before it by at most this part of their length is padded if
/// others follow: a run of datagrams is cheap, each run is not.
const PADDING_SHARE: usize = 8;

/// Datagrams of one length, the last may be shorter, in one buffer. Lengths are with the room for a
/// tag.
pub(super) struct Batch<'a> {
    out: &'a mut [u8],
    used: usize,
    /// Length of each datagram but the last; 0 while there is none.
    segment_bytes: usize,
    /// Length of the last one.
    last: usize,
    left: usize,
    /// Room at the end of each.
    tag_bytes: usize,
}

impl<'a> Batch<'a> {
    pub(super) fn new(out: &'a mut [u8], segments_max: usize, tag_bytes: usize) -> Self {
        Self { out, used: 0, segment_bytes: 0, last: 0, left: segments_max.max(1), tag_bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// What the last datagram has to be padded with before another one can follow.
    fn padding(&self) -> usize {
        self.segment_bytes - self.last
    }

    /// Whether there is room for a datagram of `len` bytes besides its tag.
    pub(super) fn has_room(&self, len: usize) -> bool {
        let (place, len) = (self.used + self.padding(), len + self.tag_bytes);
        self.left > 0
            && (self.is_empty() || len <= self.segment_bytes)
            && self.padding() * PADDING_SHARE <= self.segment_bytes
            && place + len <= self.out.len()
    }

    /// Appends a data packet for which there is room.
    pub(super) fn push(&mut self, header: &Header, data: &Data<'_>) -> bool {
        let start = self.used - self.last;
        if self.padding() > 0 {
            let (end, len) = (start + self.segment_bytes, self.last - self.tag_bytes);
            packet::pad_data(&mut self.out[start..end - self.tag_bytes], len);
            self.used = end;
        }
        let Some(len) = packet::encode_data(&mut self.out[self.used..], header, data) else {
            return false;
        };
        let len = len + self.tag_bytes;
        self.used += len;
        self.last = len;
        self.segment_bytes = self.segment_bytes.max(len);
        self.left -= 1;
        true
    }

    pub(super) fn finish(self, dest: CastDest) -> Option<CastTransmit> {
        let Self { used: len, segment_bytes, .. } = self;
        (len > 0).then_some(CastTransmit { dest, len, segment_bytes })
    }
}
