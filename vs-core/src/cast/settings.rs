//! What of the configuration matters to the multicast.

use super::acks::slowness;
use super::size::CastSize;
use crate::config::GroupConfig;

/// The settings of a cast, fixed for its view.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    window: usize,
    body_bytes: usize,
    trailer_bytes: usize,
    tag_bytes: usize,
    acks_at_once: bool,
    message_bytes_max: usize,
    peer_ms: u64,
    nak_delay_us: u64,
    nak_delay_max_us: u64,
    nak_repeat_ms: u64,
    ack_ms: u64,
    ack_packets: u64,
    heartbeat_ms: u64,
    heartbeat_max_ms: u64,
}

impl Settings {
    pub(super) fn new(config: &GroupConfig, size: CastSize, ranks: usize) -> Self {
        let window = size.window_packets();
        Self {
            window,
            body_bytes: size.body_bytes(),
            trailer_bytes: size.trailer_bytes(),
            tag_bytes: size.tag_bytes(),
            acks_at_once: config.order.is_safe(),
            message_bytes_max: config.message_bytes_max,
            peer_ms: config.peer_ms,
            nak_delay_us: config.nak_delay_us,
            nak_delay_max_us: config.nak_delay_max_us,
            nak_repeat_ms: config.nak_repeat_ms,
            ack_ms: config.ack_ms.saturating_mul(slowness(ranks)),
            ack_packets: ack_packets(config, window, ranks),
            heartbeat_ms: config.heartbeat_ms,
            heartbeat_max_ms: config.heartbeat_max_ms,
        }
    }

    /// Packets that a sender may have outstanding.
    pub(super) fn window(&self) -> usize {
        self.window
    }

    /// Room for the body of a packet.
    pub(super) fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// Bytes of a body that are kept for a trailer; 0 if packets have none.
    pub(super) fn trailer_bytes(&self) -> usize {
        self.trailer_bytes
    }

    /// Room at the end of each datagram for the tag of one that is sealed.
    pub(super) fn tag_bytes(&self) -> usize {
        self.tag_bytes
    }

    /// Whether deliveries wait for acknowledgements. These never wait for further packets then, and
    /// are of whole messages: what is safe of the leader's stream never ends within one.
    pub(super) fn acks_at_once(&self) -> bool {
        self.acks_at_once
    }

    /// Length of the largest message.
    pub(super) fn message_bytes_max(&self) -> usize {
        self.message_bytes_max
    }

    /// How long a member may owe something.
    pub(super) fn peer_ms(&self) -> u64 {
        self.peer_ms
    }

    /// Upper bound of the random delay of a report of a gap.
    pub(super) fn nak_delay_us(&self) -> u64 {
        self.nak_delay_us
    }

    /// How long a report waits at most for overtaken packets.
    pub(super) fn nak_delay_max_us(&self) -> u64 {
        self.nak_delay_max_us
    }

    /// Upper bound of the pause between reports of a gap.
    pub(super) fn nak_repeat_ms(&self) -> u64 {
        self.nak_repeat_ms
    }

    /// How long an acknowledgement may wait.
    pub(super) fn ack_ms(&self) -> u64 {
        self.ack_ms
    }

    /// How many packets a member acknowledges at once.
    pub(super) fn ack_packets(&self) -> u64 {
        self.ack_packets
    }

    /// Pause before the first heartbeat.
    pub(super) fn heartbeat_ms(&self) -> u64 {
        self.heartbeat_ms
    }

    /// Longest pause between heartbeats.
    pub(super) fn heartbeat_max_ms(&self) -> u64 {
        self.heartbeat_max_ms
    }

    /// If two members ask for the same packet within this time, in ns, others may lack it, too.
    pub(super) fn repair_together_nanos(&self) -> u64 {
        self.nak_repeat_ms * 500_000
    }
}

/// How many packets a member acknowledges at once. The number grows with the view, so that all
/// members together acknowledge the same part of the packets. It stays below a part of the window,
/// so that a member acknowledges several times in a window.
fn ack_packets(config: &GroupConfig, window: usize, ranks: usize) -> u64 {
    let seldom = config.ack_packets.saturating_mul(ranks.saturating_sub(1).div_ceil(2));
    config.ack_packets.max(seldom.min(window / 4)) as u64
}
