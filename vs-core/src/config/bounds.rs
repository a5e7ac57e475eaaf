//! Least and greatest values of fields.

use core::ops::RangeInclusive;

/// Least and greatest size of a datagram, in bytes.
pub const DATAGRAM_BYTES: RangeInclusive<usize> = 512..=65_000;

/// Longest that any time of a configuration may be, in ms: a day.
pub const TIME_MS_LIMIT: u64 = 24 * 60 * 60 * 1000;

/// Longest that [`crate::GroupConfig::nak_delay_us`] and [`crate::GroupConfig::nak_delay_max_us`]
/// may be, in µs: a second.
pub const NAK_DELAY_US_LIMIT: u64 = 1_000_000;

/// Greatest [`crate::NodeConfig::pool_slots_max`].
pub const POOL_SLOTS_LIMIT: usize = 1 << 26;

/// Greatest [`crate::NodeConfig::groups_max`].
pub const GROUPS_LIMIT: usize = 1 << 16;

/// Greatest [`crate::GroupConfig::early_packets_max`].
pub const PACKETS_LIMIT: usize = 1 << 20;

/// Least and greatest [`crate::GroupConfig::window_packets`].
pub const WINDOW_PACKETS: RangeInclusive<usize> = 4..=PACKETS_LIMIT;

/// Greatest [`crate::GroupConfig::message_bytes_max`]: its length goes over the wire as a number
/// below 2^32.
pub const MESSAGE_BYTES_LIMIT: usize = 1 << 29;

/// Greatest [`crate::GroupConfig::queue_bytes`] and [`crate::ClientConfig::output_bytes_max`].
pub const BUFFER_BYTES_LIMIT: usize = 1 << 30;
