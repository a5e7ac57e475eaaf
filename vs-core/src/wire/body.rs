//! The body of a data packet: whole messages one after the other, or one fragment of a large message.
//!
//! ```text
//! messages   (length u32, payload) for each of them
//! fragment   the first one: length of the whole message u32, then its first part; the others: a part
//! ```

use crate::wire::packet::data_bytes;

/// Bytes before each message of a packet, and before the first fragment: the length of the message.
pub(crate) const LENGTH_BYTES: usize = 4;

/// Room for the body of a packet in a datagram of `datagram_bytes`.
#[must_use]
pub const fn body_bytes(datagram_bytes: usize) -> usize {
    datagram_bytes.saturating_sub(data_bytes(0))
}

/// Packets that a message of `len` bytes takes, with `body_bytes` bytes to a packet.
#[must_use]
pub fn packets_for(len: usize, body_bytes: usize) -> usize {
    len.saturating_add(LENGTH_BYTES).div_ceil(body_bytes.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::GroupKey;
    use crate::wire::datagram::Header;
    use crate::wire::packet::{Data, encode_data};

    #[test]
    fn the_longest_body_fills_the_datagram() {
        let header = Header { rank: 0, group: GroupKey(1), fingerprint: 2 };
        for datagram_bytes in [512, 1472, 65_000] {
            let body = alloc::vec![1; body_bytes(datagram_bytes)];
            let data = Data { flags: 0, origin: 0, seq: 1, stable: 0, body: &body };
            let mut out = alloc::vec![0; datagram_bytes];
            assert_eq!(encode_data(&mut out, &header, &data), Some(datagram_bytes));
            assert_eq!(encode_data(&mut out[1..], &header, &data), None);
        }
    }
}
