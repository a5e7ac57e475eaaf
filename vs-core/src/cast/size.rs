//! The sizes that all casts of a group have, derived from its configuration.

use crate::config::{ConfigError, DATAGRAM_BYTES, GroupConfig, WINDOW_PACKETS};
use crate::order::{AHEAD_PACKETS_MAX, Order};
use crate::wire::body::{LENGTH_BYTES, body_bytes, packets_for};
use crate::wire::packet::data_bytes;
use crate::wire::trailer::{RECORDS_RESERVED, TRAILER_ROOM, records_in};

/// Packets that all members of a view together may have outstanding, where the window follows from
/// their number.
const VIEW_WINDOW_PACKETS: usize = 1 << 16;
/// Least and greatest window that follows from the number of members, unless the largest message
/// needs more.
const DERIVED_WINDOW_PACKETS: (usize, usize) = (256, 4096);

/// Records that a packet without messages has room for, in the shortest datagrams.
const RECORDS_ALONE: usize = records_in(body_bytes(*DATAGRAM_BYTES.start()));

/// A receiver tells apart what is ahead of it and what lies behind.
const _: () = assert!(*WINDOW_PACKETS.end() <= AHEAD_PACKETS_MAX as usize);

/// Packets without messages that may have to go before one message, so that it names all members of
/// which its sender had delivered something.
fn claims_packets_max(order: Order, members_max: usize) -> usize {
    match order {
        Order::Causal => members_max.saturating_sub(1 + RECORDS_RESERVED).div_ceil(RECORDS_ALONE),
        Order::Fifo | Order::Total | Order::Safe => 0,
    }
}

/// Sizes that all casts of a group have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CastSize {
    body_bytes: usize,
    /// Bytes of a body that are kept for a trailer.
    trailer_bytes: usize,
    window_packets: usize,
    /// Packets of the window that a message may need besides its own.
    claims_packets: usize,
    /// Room at the end of each datagram for the tag of one that is sealed.
    tag_bytes: usize,
}

impl CastSize {
    /// The sizes of a group of configuration `config` with datagrams of `datagram_bytes`.
    ///
    /// # Errors
    /// Names the field that does not fit, and why.
    pub(crate) fn new(config: &GroupConfig, datagram_bytes: usize) -> Result<Self, ConfigError> {
        config.validate()?;
        let body_bytes = body_bytes(datagram_bytes);
        let trailer_bytes = if config.order.has_trailers() { TRAILER_ROOM } else { 0 };
        let messages_bytes = body_bytes - trailer_bytes;
        let message = ("message_bytes_max", config.message_bytes_max as u64);
        let most_bytes = (WINDOW_PACKETS.end() - 1).saturating_mul(messages_bytes) - LENGTH_BYTES;
        ConfigError::check_given(
            message.0,
            message.1,
            1..=most_bytes as u64,
            Some(("datagram_bytes", datagram_bytes as u64)),
        )?;
        let claims_packets = claims_packets_max(config.order, config.members_max);
        let needed = packets_for(config.message_bytes_max, messages_bytes) + 1 + claims_packets;
        let window_packets = match config.window_packets {
            Some(packets) => packets,
            None => derived_window(config.members_max).max(needed),
        };
        ConfigError::check_given(
            "window_packets",
            window_packets as u64,
            needed as u64..=*WINDOW_PACKETS.end() as u64,
            Some(message),
        )?;
        let window = ("window_packets", window_packets as u64);
        let (acks, half) = (config.ack_packets as u64, window_packets as u64 / 2);
        ConfigError::check_given("ack_packets", acks, 1..=half, Some(window))?;
        Ok(Self { body_bytes, trailer_bytes, window_packets, claims_packets, tag_bytes: 0 })
    }

    #[cfg(test)]
    pub(crate) fn of(body_bytes: usize, window_packets: usize) -> Self {
        Self { body_bytes, trailer_bytes: 0, window_packets, claims_packets: 0, tag_bytes: 0 }
    }

    /// The same with room for a tag at the end of each datagram.
    pub(crate) fn with_tag(self, tag_bytes: usize) -> Self {
        Self { tag_bytes, ..self }
    }

    /// Room at the end of each datagram, besides those bytes that sizes speak of.
    pub(crate) fn tag_bytes(&self) -> usize {
        self.tag_bytes
    }

    /// Room for the body of a packet.
    pub(crate) fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// Room for messages in the body of a packet.
    pub(crate) fn messages_bytes(&self) -> usize {
        self.body_bytes - self.trailer_bytes
    }

    /// Bytes of a body that are kept for what the order of the group needs.
    pub(crate) fn trailer_bytes(&self) -> usize {
        self.trailer_bytes
    }

    /// The shortest datagrams of which the window holds the largest message, what may have to go
    /// before it and one packet more.
    pub(crate) fn least_datagram_bytes(&self, message_bytes_max: usize) -> usize {
        let packets = self.window_packets.saturating_sub(1 + self.claims_packets).max(1);
        let part = message_bytes_max.saturating_add(LENGTH_BYTES).div_ceil(packets);
        data_bytes(part.saturating_add(self.trailer_bytes))
    }

    /// The length of a full datagram.
    pub(crate) fn datagram_bytes(&self) -> usize {
        data_bytes(self.body_bytes)
    }

    /// Packets that a sender may have outstanding.
    pub(crate) fn window_packets(&self) -> usize {
        self.window_packets
    }
}

/// The window in a view of up to `members_max`.
fn derived_window(members_max: usize) -> usize {
    let (least, most) = DERIVED_WINDOW_PACKETS;
    (VIEW_WINDOW_PACKETS / members_max.max(1)).clamp(least, most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::VIEW_MEMBERS_MAX;

    fn size_of(config: &GroupConfig) -> Result<CastSize, ConfigError> {
        CastSize::new(config, 1472)
    }

    #[test]
    fn the_window_follows_from_the_number_of_members() {
        let window = |members_max, message_bytes_max| {
            let config = GroupConfig { members_max, message_bytes_max, ..GroupConfig::default() };
            size_of(&config).unwrap().window_packets()
        };
        let windows = [1, 2, 16, 17, 64, 2048].map(|members_max| window(members_max, 1024));
        assert_eq!(windows, [4096, 4096, 4096, 3855, 1024, 256]);
        let needed = packets_for(1 << 20, body_bytes(1472)) + 1;
        assert_eq!(window(VIEW_MEMBERS_MAX, 1 << 20), needed, "the largest message decides");
    }

    #[test]
    fn a_window_that_does_not_fit_is_named_with_both_values() {
        let with = |window_packets| GroupConfig {
            window_packets: Some(window_packets),
            ..GroupConfig::default()
        };
        let needed = packets_for(1 << 20, body_bytes(1472)) + 1;
        assert_eq!(size_of(&with(needed)).unwrap().window_packets(), needed);
        let error = size_of(&with(needed - 1)).unwrap_err();
        assert_eq!(
            alloc::format!("{error}"),
            alloc::format!(
                "window_packets must be {needed} to 1048576 since message_bytes_max is 1048576, but is {}",
                needed - 1
            )
        );
        let small = GroupConfig { message_bytes_max: 100, ..with(100) };
        assert_eq!(
            alloc::format!("{}", size_of(&small).unwrap_err()),
            "ack_packets must be 1 to 50 since window_packets is 100, but is 128"
        );
    }

    #[test]
    fn a_message_that_no_window_holds_is_refused() {
        let config = GroupConfig {
            message_bytes_max: 1 << 29,
            queue_bytes: 1 << 30,
            ..GroupConfig::default()
        };
        assert!(CastSize::new(&config, 512).is_err() && CastSize::new(&config, 65_000).is_ok());
    }
}
