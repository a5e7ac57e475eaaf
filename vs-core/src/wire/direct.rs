//! A message from one member of a view to another: not ordered, not repaired, in one datagram.
//!
//! ```text
//! 34 rank of the target u16 | 36 reserved | 40 message
//! ```

use crate::ident::Rank;
use crate::wire::bytes::{Raw, put_u16};
use crate::wire::datagram::{self, Header, Kind, Malformed};

/// Bytes before the message.
pub const DIRECT_HEADER_BYTES: usize = 40;

/// A message to one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direct<'a> {
    /// Who it is for.
    pub target: Rank,
    /// The bytes that were sent.
    pub message: &'a [u8],
}

/// Bytes of a direct message in a datagram of `datagram_bytes`.
#[must_use]
pub const fn direct_bytes(datagram_bytes: usize) -> usize {
    datagram_bytes.saturating_sub(DIRECT_HEADER_BYTES)
}

/// Writes it; its length, or `None` if `out` is too short.
pub fn encode(out: &mut [u8], header: &Header, direct: &Direct<'_>) -> Option<usize> {
    let len = DIRECT_HEADER_BYTES + direct.message.len();
    if out.len() < len {
        return None;
    }
    let head = datagram::begin(out, DIRECT_HEADER_BYTES, Kind::Direct, 0, header)?;
    put_u16(head, 34, direct.target);
    out[DIRECT_HEADER_BYTES..len].copy_from_slice(direct.message);
    Some(len)
}

pub(super) fn decode(content: &[u8]) -> Result<Direct<'_>, Malformed> {
    let message = content.get(DIRECT_HEADER_BYTES..).ok_or(Malformed::Length)?;
    Ok(Direct { target: Raw(content).u16_at(34), message })
}
