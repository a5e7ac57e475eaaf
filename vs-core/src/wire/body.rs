//! The body of a data packet: whole messages one after the other, or one fragment of a large message.
//!
//! ```text
//! messages   (length u32, payload) for each of them
//! fragment   the first one: length of the whole message u32, then its first part; the others: a part
//! ```

use crate::wire::packet::DATA_HEADER_BYTES;

/// Bytes before each message of a packet, and before the first fragment: the length of the message.
pub(crate) const LENGTH_BYTES: usize = 4;

/// Room for the body of a packet in a datagram of `datagram_bytes`.
#[must_use]
pub fn body_bytes(datagram_bytes: usize) -> usize {
    datagram_bytes.saturating_sub(DATA_HEADER_BYTES)
}

/// Packets that a message of `len` bytes takes, with `body_bytes` bytes to a packet.
#[must_use]
pub fn packets_for(len: usize, body_bytes: usize) -> usize {
    len.saturating_add(LENGTH_BYTES).div_ceil(body_bytes.max(1))
}
