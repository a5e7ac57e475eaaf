//! How much memory a server takes at most.

use core::mem::size_of;

use super::agreement::PROPOSED_MAX;
use super::config::ServerConfig;
use super::group::{Group, REMEMBERED_MAX};
use crate::ident::{Cid, ProcessId};
use crate::view::VIEW_MEMBERS_MAX;
use crate::wire::frame::FRAME_BYTES_MAX;

/// A connection, without what its buffers hold: its state, that of its seal, small buffers that it
/// keeps, and its places in maps.
const CONNECTION_BYTES: usize = 8 << 10;

/// An attachment of a client, here or at a peer: it stands in reports, proposals and cids, too, and
/// in a few of each while they change.
const ATTACHMENT_BYTES: usize = 1 << 10;

/// Room that a buffer has for each byte in it: it grows by doubling, and part of it was written.
const ROOM_PER_BYTE: usize = 4;

/// Bytes that a runtime may hand to [`Server::handle_stream`](super::Server::handle_stream) at once
/// without exceeding the footprint.
const READ_BYTES: usize = 64 << 10;

/// An entry of a map, for each byte that it needs.
const ENTRY_FACTOR: usize = 3;

/// Maps in which a group remembers processes that are no members, beside their cids.
const PAUSE_MAPS: usize = 4;

impl ServerConfig {
    /// Bytes that a server takes at most while it has so many groups, and so many attachments of
    /// clients in all of them together, here and at peers: an upper estimate. Strangers, clients
    /// that do not read, and peers that lie do not exceed it; what a runtime still writes to
    /// connections that were closed comes on top. Most servers take a small part of it.
    ///
    /// Whoever attaches counts: with keys these are members alone.
    #[must_use]
    pub fn footprint(&self, groups: usize, attachments: usize) -> usize {
        let connections = self.connections_max.saturating_add(2 * self.strangers_max);
        let frames = ROOM_PER_BYTE * (FRAME_BYTES_MAX + READ_BYTES);
        let buffers = self.buffers_bytes_max.saturating_add(self.output_bytes_max);
        let pair = size_of::<(ProcessId, Cid)>();
        let remembered = (REMEMBERED_MAX + VIEW_MEMBERS_MAX) * pair * ENTRY_FACTOR;
        let group = size_of::<Group>() + (1 + PAUSE_MAPS) * remembered + 2 * PROPOSED_MAX * pair;
        connections
            .saturating_mul(CONNECTION_BYTES)
            .saturating_add(buffers.saturating_mul(ROOM_PER_BYTE))
            .saturating_add(frames)
            .saturating_add(groups.min(self.groups_max).saturating_mul(group))
            .saturating_add(attachments.saturating_mul(ATTACHMENT_BYTES))
    }
}
