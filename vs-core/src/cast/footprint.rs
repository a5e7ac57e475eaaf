//! The memory of a cast.

use super::{Cast, CastSize, peers, repair, stability, stream, window};
use crate::ring::ENTRY_BYTES;

/// Bytes of a cast with `members` members, besides its slots: a stream with its ring, a row and a
/// column of what was received, and what is known of a peer, for each member.
pub(crate) fn footprint(size: CastSize, members: usize) -> usize {
    let ring = size.window_packets().saturating_mul(ENTRY_BYTES);
    let received = members.saturating_mul(stability::RECEIVED_BYTES);
    let rows = received.saturating_add(repair::SOURCE_BYTES);
    let member = size_of::<stream::Stream>()
        + stability::FLOOR_BYTES
        + peers::PEER_BYTES
        + window::ASKED_BYTES;
    let members = ring.saturating_add(rows).saturating_add(member).saturating_mul(members);
    members.saturating_add(size_of::<Cast>() + repair::FORWARDS_BYTES)
}
