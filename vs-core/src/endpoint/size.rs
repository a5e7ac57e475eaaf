//! What a group of a given configuration takes: packets, slots of the pool, bytes.

use crate::cast::{Cast, CastSize};
use crate::config::{ConfigError, GroupConfig, NodeConfig};
use crate::pool::slot_footprint;
use crate::sync::{EARLY_PROCESSES_MAX, SYNCS_MAX, strangers_max};

/// Bytes of an early packet in its table, rounded up.
const EARLY_BYTES: usize = 64;

/// Bytes of a sync message that is kept, besides its cut: its view, and its share of a tree.
const SYNC_BYTES: usize = 256;

/// Bytes that a member takes in the views (current, announced, of the cast before, of the last
/// attachment), in sets of processes, in the book of addresses and in events of the membership
/// service, each twice while it is replaced.
const MEMBER_BYTES: usize = 1024;

/// Bytes of a group's own fields.
const GROUP_BYTES: usize = 8 << 10;

/// What a group of a given configuration takes in a node of a given configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupSize {
    cast: CastSize,
    datagram_bytes: usize,
    slots: usize,
    bytes_besides_slots: usize,
}

impl GroupSize {
    /// Derives the sizes of a group that `group` configures, in a node that `node` configures.
    ///
    /// # Errors
    /// Names the field that cannot be used, its value and its bounds.
    pub fn new(group: &GroupConfig, node: &NodeConfig) -> Result<Self, ConfigError> {
        node.validate()?;
        let cast = CastSize::new(group, node.datagram_bytes)?.with_tag(node.tag_bytes);
        let rings = group.members_max.saturating_mul(2).saturating_mul(cast.window_packets());
        let slots = rings.saturating_add(group.early_packets_max);
        let sealed_early = match node.tag_bytes {
            0 => 0,
            tag_bytes => group.early_packets_max.saturating_mul(node.datagram_bytes + tag_bytes),
        };
        let bytes_besides_slots = bytes_besides_slots(group, cast).saturating_add(sealed_early);
        Ok(Self { cast, datagram_bytes: node.datagram_bytes, slots, bytes_besides_slots })
    }

    /// Packets that a sender may have outstanding: [`GroupConfig::window_packets`], or what follows
    /// from `members_max`.
    #[must_use]
    pub fn window_packets(&self) -> usize {
        self.cast.window_packets()
    }

    /// Pool slots that the group reserves: a ring for each member of the current and of the
    /// previous view, and the early packets.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Bytes that the group takes: its share of the pool, and what it has besides. An estimate:
    /// while a view is installed there are for a moment three sets of rings, and two are counted;
    /// nor are sync messages that are kept because they may still count.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let slots = self.slots.saturating_mul(slot_footprint(self.cast.body_bytes()));
        slots.saturating_add(self.bytes_besides_slots)
    }

    pub(crate) fn footprint_besides_slots(&self) -> usize {
        self.bytes_besides_slots
    }

    pub(super) fn datagram_bytes(&self) -> usize {
        self.datagram_bytes
    }

    /// The length of the longest datagram with its tag.
    pub(super) fn sealed_bytes(&self) -> usize {
        self.datagram_bytes.saturating_add(self.cast.tag_bytes())
    }

    pub(super) fn cast(&self) -> CastSize {
        self.cast
    }
}

/// The multicast of the current and of the previous view, the table of early packets, sync
/// messages, views and addresses, the buffer in which large messages are put together and the queue
/// for the next view.
fn bytes_besides_slots(group: &GroupConfig, cast: CastSize) -> usize {
    let members = group.members_max;
    let casts = Cast::footprint(cast, members).saturating_mul(2);
    let early = group.early_packets_max.saturating_mul(EARLY_BYTES);
    let strangers = if group.clusters { strangers_max(members) } else { EARLY_PROCESSES_MAX };
    let processes = members.saturating_mul(2).saturating_add(strangers);
    let syncs = members
        .saturating_mul(8)
        .saturating_add(SYNC_BYTES)
        .saturating_mul(SYNCS_MAX)
        .saturating_mul(processes);
    [casts, early, syncs, members.saturating_mul(MEMBER_BYTES), GROUP_BYTES, group.queue_bytes]
        .into_iter()
        .fold(group.message_bytes_max, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_members_needs_no_other_field() {
        let node = NodeConfig::default();
        for (members_max, slots) in [(1, 9216), (16, 132_096), (17, 132_094), (64, 132_096)] {
            let group =
                GroupConfig { members_max, message_bytes_max: 64 << 10, ..GroupConfig::default() };
            let size = GroupSize::new(&group, &node).unwrap();
            assert_eq!(size.slots(), slots, "{members_max}");
            assert!(size.footprint() > slots * 1424 && slots <= node.pool_slots_max);
        }
        for members_max in [1, 2, 16, 17, 64, 2048] {
            let group = GroupConfig { members_max, ..GroupConfig::default() };
            assert!(GroupSize::new(&group, &node).is_ok(), "{members_max}");
        }
    }
}
