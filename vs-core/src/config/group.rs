//! The configuration of a group.

use alloc::vec::Vec;

use crate::config::bounds::{
    BUFFER_BYTES_LIMIT, MESSAGE_BYTES_LIMIT, NAK_DELAY_US_LIMIT, PACKETS_LIMIT, WINDOW_PACKETS,
};
use crate::config::error::{ConfigError, check_rule, check_size, check_times};
use crate::config::setters::setters;
use crate::ident::{NUMBER_MAX, ProcessId};
use crate::order::Order;
use crate::view::VIEW_MEMBERS_MAX;

/// Who answers the request to stop sending before a change of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Blocking {
    /// The node answers at once. Messages that the application sends meanwhile go into the next
    /// view.
    #[default]
    Auto,
    /// The application gets [`crate::Action::Block`] and answers with [`crate::Node::block_ok`].
    /// From the answer to the next view, sends fail with [`crate::SendError::Blocked`].
    Manual,
}

/// What holds for one group. All members must agree on `window_packets` (or on `members_max`, if
/// the window follows from that), on `message_bytes_max`, on `order` and on `clusters`.
///
/// ```
/// use core::time::Duration;
/// use vs_core::{GroupConfig, ident::ProcessId};
///
/// let config = GroupConfig::default()
///     .with_members_max(5)
///     .with_window_packets(1024)
///     .with_peer(Duration::from_secs(3))
///     .with_nak_delay(Duration::from_micros(200))
///     .with_primary_of([1, 2, 3, 4, 5].map(ProcessId));
/// assert_eq!((config.window_packets, config.peer_ms), (Some(1024), 3000));
/// config.validate()?;
/// # Ok::<_, vs_core::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupConfig {
    /// Greatest number of members of a view that this process takes part in. The window and the
    /// pool follow from it. Default 16.
    pub members_max: usize,
    /// How many packets a sender may have outstanding: sent, and not yet stable and delivered
    /// everywhere. Each ring has as many places. A window holds the largest message and one packet
    /// more. Default `None`: it follows from `members_max`. All members together have 65,536
    /// packets then, and each member has 256 to 4096, or as many as the largest message needs.
    /// [`crate::GroupSize::window_packets`] tells the number.
    pub window_packets: Option<usize>,
    /// Length of the largest message, in bytes. Default 1 MiB.
    pub message_bytes_max: usize,
    /// How many bytes of messages may wait for the next view while the group is blocked; each
    /// message takes 4 bytes more. Default 2 MiB.
    pub queue_bytes: usize,
    /// How many packets are kept that belong to a view that is not installed here yet. Default
    /// 1024.
    pub early_packets_max: usize,
    /// In which order messages of different senders are delivered. Default [`Order::Fifo`].
    pub order: Order,
    /// Whether each view tells which members came together, with a note of each
    /// ([`crate::Clusters`]). A change of view waits for the sync messages of all its members then,
    /// those that join included. Default false.
    pub clusters: bool,
    /// Who answers the request to stop sending before a change of view.
    pub blocking: Blocking,
    /// How long the application may take to answer a block request, in ms. After that it is
    /// detached. This is below `peer_ms`, so that it is told the reason before others accuse it of
    /// owing its sync message. Default 1000.
    pub block_ok_ms: u64,
    /// How long a member may owe a sync message, an acknowledgement, a repair or credit, in ms.
    /// After that it is accused before the membership service. Default 2000.
    pub peer_ms: u64,
    /// Pause before a sync message or a request for one is repeated, in ms. It is doubled up to 16
    /// times this value. Default 10.
    pub sync_resend_ms: u64,
    /// Upper bound of the random delay before a gap is reported, in µs. Default 500.
    pub nak_delay_us: u64,
    /// How long a report waits at most for packets that others have overtaken on the way, in µs.
    /// Default 20,000.
    pub nak_delay_max_us: u64,
    /// Pause before a report of a gap is repeated, in ms, until it is known how long repairs take;
    /// from the third report on it is doubled each time. Once that is known, the pause is one and a
    /// half times as long as a repair takes. It is then doubled after each report that brings
    /// nothing, up to this value. Default 10.
    pub nak_repeat_ms: u64,
    /// How long an acknowledgement may wait for further packets, in ms. Default 5.
    pub ack_ms: u64,
    /// One acknowledgement is sent at once per this number of packets, at most half a window. In a
    /// view of more than three members the number grows with the view, so that all members together
    /// send two acknowledgements per this number of packets. Default 128.
    pub ack_packets: usize,
    /// Pause between the last packet of a sender and its first heartbeat, in ms. It is doubled up
    /// to `heartbeat_max_ms` while nothing happens. Default 5.
    pub heartbeat_ms: u64,
    /// Longest pause between heartbeats, in ms. In a node of more than 64 groups it is longer, so
    /// that all its idle groups together send no more heartbeats than 64 groups. Default 1000.
    pub heartbeat_max_ms: u64,
    /// How long no multicast of a member may arrive, beyond the longest pause between its
    /// heartbeats, in ms. After that this process asks the member whether multicasts get through.
    /// Default 250.
    pub unheard_ms: u64,
    /// How long a view holds for this process while it hears too little of the others, in ms. A
    /// primary view takes more than half of [`Self::primary_of`], this process among them. Then
    /// comes [`crate::Action::Lapsed`]. So a member that is cut off takes its view for primary for
    /// at most this time after the last datagram was read here. It is measured by the clock of this
    /// process alone: the rate of that clock is trusted, and the time of day does not matter. While
    /// the others have not noticed that it is gone (the silence of servers, `peer_ms`) nothing else
    /// is primary; where they notice sooner, two views are primary for the rest of this time.
    /// Default 3000.
    pub lease_ms: u64,
    /// A view is primary ([`crate::Action::Primary`], S4) once more than half of these processes
    /// are known to have installed it. Ascending; at most [`VIEW_MEMBERS_MAX`], whether they run or
    /// not. All members must agree on the list, and it is the same as long as the group exists.
    /// Default none: no view is primary.
    pub primary_of: Vec<ProcessId>,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            members_max: 16,
            window_packets: None,
            message_bytes_max: 1 << 20,
            queue_bytes: 2 << 20,
            early_packets_max: 1024,
            order: Order::Fifo,
            clusters: false,
            blocking: Blocking::Auto,
            block_ok_ms: 1000,
            peer_ms: 2000,
            sync_resend_ms: 10,
            nak_delay_us: 500,
            nak_delay_max_us: 20_000,
            nak_repeat_ms: 10,
            ack_ms: 5,
            ack_packets: 128,
            heartbeat_ms: 5,
            heartbeat_max_ms: 1000,
            unheard_ms: 250,
            lease_ms: 3000,
            primary_of: Vec::new(),
        }
    }
}

impl GroupConfig {
    /// Times for members that are 50 to 150 ms of round trip apart, with a jitter of a tenth of
    /// that. The default times work there, too, but cost bandwidth: each view has to learn that
    /// packets are only overtaken and how long repairs take, and there are several times as many
    /// acknowledgements and heartbeats. With these times a repair takes `nak_delay_us` longer.
    #[must_use]
    pub fn wan() -> Self {
        Self {
            sync_resend_ms: 50,
            nak_delay_us: 20_000,
            nak_repeat_ms: 250,
            ack_ms: 20,
            heartbeat_ms: 20,
            ..Self::default()
        }
    }
}

impl GroupConfig {
    /// Checks the fields. What also depends on the size of datagrams is checked by
    /// [`crate::GroupSize::new`].
    ///
    /// # Errors
    /// Names the field and the rule that it breaks.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_size("members_max", self.members_max, 1..=VIEW_MEMBERS_MAX)?;
        self.validate_sizes()?;
        self.validate_primary()?;
        self.validate_times()
    }

    fn validate_primary(&self) -> Result<(), ConfigError> {
        let of = &self.primary_of;
        check_rule(of.len() <= VIEW_MEMBERS_MAX, "primary_of must name at most 2048 processes")?;
        check_rule(
            of.iter().all(|p| p.0 <= NUMBER_MAX),
            "primary_of must name processes of at most 2^53 - 1",
        )?;
        check_rule(
            of.windows(2).all(|pair| pair[0] < pair[1]),
            "primary_of must name each process once, in ascending order",
        )
    }

    fn validate_sizes(&self) -> Result<(), ConfigError> {
        if let Some(window) = self.window_packets {
            check_size("window_packets", window, WINDOW_PACKETS)?;
        }
        check_size("message_bytes_max", self.message_bytes_max, 1..=MESSAGE_BYTES_LIMIT)?;
        ConfigError::check_given(
            "queue_bytes",
            self.queue_bytes as u64,
            self.message_bytes_max as u64 + 8..=BUFFER_BYTES_LIMIT as u64,
            Some(("message_bytes_max", self.message_bytes_max as u64)),
        )?;
        check_size("early_packets_max", self.early_packets_max, 0..=PACKETS_LIMIT)?;
        check_size("ack_packets", self.ack_packets, 1..=PACKETS_LIMIT)
    }

    fn validate_times(&self) -> Result<(), ConfigError> {
        check_times([
            ("block_ok_ms", self.block_ok_ms),
            ("peer_ms", self.peer_ms),
            ("sync_resend_ms", self.sync_resend_ms),
            ("nak_repeat_ms", self.nak_repeat_ms),
            ("ack_ms", self.ack_ms),
            ("heartbeat_ms", self.heartbeat_ms),
            ("heartbeat_max_ms", self.heartbeat_max_ms),
            ("unheard_ms", self.unheard_ms),
            ("lease_ms", self.lease_ms),
        ])?;
        for (field, us) in
            [("nak_delay_us", self.nak_delay_us), ("nak_delay_max_us", self.nak_delay_max_us)]
        {
            ConfigError::check(field, us, 0..=NAK_DELAY_US_LIMIT)?;
        }
        ConfigError::check_given(
            "block_ok_ms",
            self.block_ok_ms,
            0..=self.peer_ms - 1,
            Some(("peer_ms", self.peer_ms)),
        )?;
        ConfigError::check_given(
            "heartbeat_max_ms",
            self.heartbeat_max_ms,
            self.heartbeat_ms..=u64::MAX,
            Some(("heartbeat_ms", self.heartbeat_ms)),
        )
    }
}

/// Setters.
impl GroupConfig {
    setters! {
        with_members_max(members_max: usize);
        with_window_packets(window_packets: into Option<usize>);
        with_message_bytes_max(message_bytes_max: usize);
        with_queue_bytes(queue_bytes: usize);
        with_early_packets_max(early_packets_max: usize);
        with_order(order: Order);
        with_clusters(clusters: bool);
        with_blocking(blocking: Blocking);
        with_block_ok(block_ok_ms: ms);
        with_peer(peer_ms: ms);
        with_sync_resend(sync_resend_ms: ms);
        with_nak_delay(nak_delay_us: us);
        with_nak_delay_max(nak_delay_max_us: us);
        with_nak_repeat(nak_repeat_ms: ms);
        with_ack(ack_ms: ms);
        with_ack_packets(ack_packets: usize);
        with_heartbeat(heartbeat_ms: ms);
        with_heartbeat_max(heartbeat_max_ms: ms);
        with_unheard(unheard_ms: ms);
        with_lease(lease_ms: ms);
        with_primary_of(primary_of: into Vec<ProcessId>);
    }
}
