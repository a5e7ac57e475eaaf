//! Configuration: every bound and every time has a name, a unit and a default.

use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;

use crate::ident::{Deployment, NUMBER_MAX, ProcessId};
use crate::order::Order;
use crate::view::VIEW_MEMBERS_MAX;

/// Least and greatest size of a datagram, in bytes.
pub const DATAGRAM_BYTES: RangeInclusive<usize> = 512..=65_000;

/// Longest that any time of a configuration may be, in ms: a day.
pub const TIME_MS_LIMIT: u64 = 24 * 60 * 60 * 1000;

/// Longest that [`GroupConfig::nak_delay_us`] and [`GroupConfig::nak_delay_max_us`] may be, in µs:
/// a second.
pub const NAK_DELAY_US_LIMIT: u64 = 1_000_000;

/// Greatest [`NodeConfig::pool_slots_max`].
pub const POOL_SLOTS_LIMIT: usize = 1 << 26;

/// Greatest [`NodeConfig::groups_max`].
pub const GROUPS_LIMIT: usize = 1 << 16;

/// Greatest [`GroupConfig::early_packets_max`].
pub const PACKETS_LIMIT: usize = 1 << 20;

/// Least and greatest [`GroupConfig::window_packets`].
pub const WINDOW_PACKETS: RangeInclusive<usize> = 4..=PACKETS_LIMIT;

/// Greatest [`GroupConfig::message_bytes_max`]: its length goes over the wire as a number below
/// 2^32.
pub const MESSAGE_BYTES_LIMIT: usize = 1 << 29;

/// Greatest [`GroupConfig::queue_bytes`] and [`ClientConfig::output_bytes_max`].
pub const BUFFER_BYTES_LIMIT: usize = 1 << 30;

/// Longest pause between attempts to connect that follows from a long silence, in ms.
pub(crate) const REDIAL_MOST_MS: u64 = 1000;

/// How long an attempt to connect may take, in ms: half of the silence that counts as death. It is
/// at least 400 ms, which serves round trips of 300 ms, and at most 2 s.
pub(crate) fn attempt_ms(silence_ms: u64) -> u64 {
    (silence_ms / 2).clamp(400, 2000)
}

/// What holds for all groups of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// Size of the largest datagram, in bytes of UDP payload. All members of a group must agree on
    /// it. Default 1472: what an Ethernet frame of 1500 bytes carries over IPv4.
    pub datagram_bytes: usize,
    /// Greatest number of slots in the pool of packets that all groups share. The pool grows when a
    /// group is joined, by what that group needs ([`crate::GroupSize::slots`]). Memory is touched
    /// only when a packet uses it. Default 67,108,864: the groups decide.
    pub pool_slots_max: usize,
    /// Greatest number of groups. Default 64.
    pub groups_max: usize,
    /// The connection to the membership service.
    pub client: ClientConfig,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            datagram_bytes: 1472,
            pool_slots_max: POOL_SLOTS_LIMIT,
            groups_max: 64,
            client: ClientConfig::default(),
        }
    }
}

/// How a process connects to its membership servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// The deployment that this process belongs to. Servers of another deployment refuse it.
    /// Default "default".
    pub deployment: Deployment,
    /// How long a server may be silent before it counts as dead, in ms. Default 1000.
    pub server_silence_ms: u64,
    /// How long this process is silent before it sends the server a heartbeat, in ms. Default 100.
    pub heartbeat_ms: u64,
    /// Pause before the next attempt after a connection was lost or refused, in ms. It is doubled
    /// up to `reconnect_max_ms` while attempts fail. Default 20.
    pub reconnect_ms: u64,
    /// Longest pause between attempts to connect, in ms. Default 250.
    pub reconnect_max_ms: u64,
    /// How long an attempt to connect may take, in ms: longer than a round trip to the farthest
    /// server. Default 500.
    pub connect_ms: u64,
    /// How many bytes may wait to be written to the server. The connection is closed when more
    /// wait. Default 1 MiB.
    pub output_bytes_max: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            deployment: Deployment::default(),
            server_silence_ms: 1000,
            heartbeat_ms: 100,
            reconnect_ms: 20,
            reconnect_max_ms: 250,
            connect_ms: 500,
            output_bytes_max: 1 << 20,
        }
    }
}

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
/// the window follows from that), on `message_bytes_max` and on `order`.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A field has a value that is not within its bounds.
    Field {
        /// The name of the field.
        field: &'static str,
        /// Its value.
        value: u64,
        /// The least possible value.
        least: u64,
        /// The greatest possible value.
        most: u64,
        /// The other field that the bounds follow from, and its value.
        given: Option<(&'static str, u64)>,
    },
    /// Another rule is broken: one sentence that names the fields.
    Rule(&'static str),
}

impl ConfigError {
    /// Checks that the value of `field` is within `bounds`.
    pub(crate) fn check(
        field: &'static str,
        value: u64,
        bounds: RangeInclusive<u64>,
    ) -> Result<(), Self> {
        Self::check_given(field, value, bounds, None)
    }

    /// Checks that the value of `field` is within `bounds`, which follow from the field `given`.
    pub(crate) fn check_given(
        field: &'static str,
        value: u64,
        bounds: RangeInclusive<u64>,
        given: Option<(&'static str, u64)>,
    ) -> Result<(), Self> {
        if bounds.contains(&value) {
            return Ok(());
        }
        let (least, most) = bounds.into_inner();
        Err(Self::Field { field, value, least, most, given })
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Self::Field { field, value, least, most, given } = self else {
            let Self::Rule(rule) = self else { return Ok(()) };
            return f.write_str(rule);
        };
        write!(f, "{field} must be ")?;
        match (least, most) {
            (0, most) => write!(f, "at most {most}")?,
            (least, u64::MAX) => write!(f, "at least {least}")?,
            (least, most) => write!(f, "{least} to {most}")?,
        }
        if let Some((other, other_value)) = given {
            write!(f, " since {other} is {other_value}")?;
        }
        write!(f, ", but is {value}")
    }
}

impl core::error::Error for ConfigError {}

fn check_rule(condition: bool, rule: &'static str) -> Result<(), ConfigError> {
    if condition { Ok(()) } else { Err(ConfigError::Rule(rule)) }
}

fn check_size(
    field: &'static str,
    value: usize,
    bounds: RangeInclusive<usize>,
) -> Result<(), ConfigError> {
    ConfigError::check(field, value as u64, *bounds.start() as u64..=*bounds.end() as u64)
}

fn check_times<const N: usize>(times: [(&'static str, u64); N]) -> Result<(), ConfigError> {
    times.into_iter().try_for_each(|(field, ms)| ConfigError::check(field, ms, 1..=TIME_MS_LIMIT))
}

impl NodeConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// Names the field, its value and its bounds.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_size("datagram_bytes", self.datagram_bytes, DATAGRAM_BYTES)?;
        check_size("pool_slots_max", self.pool_slots_max, 1..=POOL_SLOTS_LIMIT)?;
        check_size("groups_max", self.groups_max, 1..=GROUPS_LIMIT)?;
        self.client.validate()
    }
}

impl ClientConfig {
    /// The default with another `server_silence_ms` and with the times of heartbeats and of
    /// connecting that follow from it: a server that can be reached again is reached within that
    /// time. Set a greater `connect_ms` where a round trip takes longer than half of it.
    #[must_use]
    pub fn for_silence(server_silence_ms: u64) -> Self {
        let default = Self::default();
        let quarter_ms = (server_silence_ms / 4).max(1);
        Self {
            server_silence_ms,
            heartbeat_ms: default.heartbeat_ms.min(quarter_ms),
            reconnect_ms: default.reconnect_ms.min(quarter_ms),
            reconnect_max_ms: quarter_ms.min(REDIAL_MOST_MS),
            connect_ms: attempt_ms(server_silence_ms),
            ..default
        }
    }

    fn validate(&self) -> Result<(), ConfigError> {
        check_times([
            ("client.server_silence_ms", self.server_silence_ms),
            ("client.heartbeat_ms", self.heartbeat_ms),
            ("client.reconnect_ms", self.reconnect_ms),
            ("client.reconnect_max_ms", self.reconnect_max_ms),
            ("client.connect_ms", self.connect_ms),
        ])?;
        ConfigError::check_given(
            "client.server_silence_ms",
            self.server_silence_ms,
            self.heartbeat_ms + 1..=u64::MAX,
            Some(("client.heartbeat_ms", self.heartbeat_ms)),
        )?;
        check_size("client.output_bytes_max", self.output_bytes_max, 0..=BUFFER_BYTES_LIMIT)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GroupSize;

    /// Sets one field.
    type Set<C, V> = fn(&mut C, V);

    const NODE_SIZES: [Set<NodeConfig, usize>; 4] = [
        |c, v| c.datagram_bytes = v,
        |c, v| c.pool_slots_max = v,
        |c, v| c.groups_max = v,
        |c, v| c.client.output_bytes_max = v,
    ];
    const NODE_TIMES: [Set<NodeConfig, u64>; 5] = [
        |c, v| c.client.server_silence_ms = v,
        |c, v| c.client.heartbeat_ms = v,
        |c, v| c.client.reconnect_ms = v,
        |c, v| c.client.reconnect_max_ms = v,
        |c, v| c.client.connect_ms = v,
    ];
    const GROUP_SIZES: [Set<GroupConfig, usize>; 6] = [
        |c, v| c.members_max = v,
        |c, v| c.window_packets = Some(v),
        |c, v| c.message_bytes_max = v,
        |c, v| c.queue_bytes = v,
        |c, v| c.early_packets_max = v,
        |c, v| c.ack_packets = v,
    ];
    const GROUP_TIMES: [Set<GroupConfig, u64>; 10] = [
        |c, v| c.block_ok_ms = v,
        |c, v| c.peer_ms = v,
        |c, v| c.sync_resend_ms = v,
        |c, v| c.nak_delay_us = v,
        |c, v| c.nak_delay_max_us = v,
        |c, v| c.nak_repeat_ms = v,
        |c, v| c.ack_ms = v,
        |c, v| c.heartbeat_ms = v,
        |c, v| c.heartbeat_max_ms = v,
        |c, v| c.unheard_ms = v,
    ];

    const HUGE: [usize; 5] =
        [usize::MAX, usize::MAX - 3, usize::MAX - 8, usize::MAX / 2 + 1, u32::MAX as usize];
    const LONG: [u64; 3] = [u64::MAX, u64::MAX / 2, u32::MAX as u64];

    /// Each field of a good configuration with each value.
    fn each<C: Clone + Default, V: Copy>(fields: &[Set<C, V>], values: &[V]) -> Vec<C> {
        let mut all = Vec::new();
        for set in fields {
            for value in values {
                let mut config = C::default();
                set(&mut config, *value);
                all.push(config);
            }
        }
        all
    }

    #[test]
    fn extreme_value_of_any_field_is_an_error() {
        let mut nodes = each(&NODE_SIZES, &HUGE);
        nodes.extend(each(&NODE_TIMES, &LONG));
        for node in &nodes {
            assert!(node.validate().is_err(), "{node:?}");
            assert!(GroupSize::new(&GroupConfig::default(), node).is_err(), "{node:?}");
        }
        let mut groups = each(&GROUP_SIZES, &HUGE);
        groups.extend(each(&GROUP_TIMES, &LONG));
        for group in &groups {
            assert!(group.validate().is_err(), "{group:?}");
            assert!(GroupSize::new(group, &NodeConfig::default()).is_err(), "{group:?}");
        }
    }

    #[test]
    fn zero_or_one_in_any_field_is_no_panic() {
        for node in each(&NODE_SIZES, &[0, 1]).iter().chain(&each(&NODE_TIMES, &[0, 1])) {
            let _ = (node.validate(), GroupSize::new(&GroupConfig::default(), node));
        }
        for group in each(&GROUP_SIZES, &[0, 1]).iter().chain(&each(&GROUP_TIMES, &[0, 1])) {
            let _ = (group.validate(), GroupSize::new(group, &NodeConfig::default()));
        }
    }

    #[test]
    fn all_fields_extreme_is_an_error() {
        let (mut node, mut group) = (NodeConfig::default(), GroupConfig::default());
        NODE_SIZES.iter().for_each(|set| set(&mut node, usize::MAX));
        NODE_TIMES.iter().for_each(|set| set(&mut node, u64::MAX));
        GROUP_SIZES.iter().for_each(|set| set(&mut group, usize::MAX));
        GROUP_TIMES.iter().for_each(|set| set(&mut group, u64::MAX));
        assert!(node.validate().is_err() && group.validate().is_err());
        assert!(GroupSize::new(&group, &node).is_err());
    }

    #[test]
    fn an_error_names_the_field_its_value_and_its_bounds() {
        let said = |group: GroupConfig| alloc::format!("{}", group.validate().unwrap_err());
        let group = GroupConfig { members_max: 5000, ..GroupConfig::default() };
        assert_eq!(said(group), "members_max must be 1 to 2048, but is 5000");
        let group = GroupConfig { block_ok_ms: 3000, ..GroupConfig::default() };
        assert_eq!(
            said(group),
            "block_ok_ms must be at most 1999 since peer_ms is 2000, but is 3000"
        );
        let group = GroupConfig { heartbeat_max_ms: 2, ..GroupConfig::default() };
        let rule = "heartbeat_max_ms must be at least 5 since heartbeat_ms is 5, but is 2";
        assert_eq!(said(group), rule);
    }

    #[test]
    fn primary_of_out_of_order_is_refused() {
        let accepts = |list: &[u64]| {
            let primary_of = list.iter().map(|p| ProcessId(*p)).collect();
            let group = GroupConfig { primary_of, ..GroupConfig::default() };
            group.validate().is_ok()
        };
        assert!(accepts(&[]) && accepts(&[7]) && accepts(&[1, 2, NUMBER_MAX]));
        assert!(!accepts(&[2, 1]) && !accepts(&[1, 1]) && !accepts(&[NUMBER_MAX + 1]));
        let many: Vec<u64> = (0..=VIEW_MEMBERS_MAX as u64).collect();
        assert!(accepts(&many[1..]) && !accepts(&many));
    }

    #[test]
    fn block_ok_ms_not_below_peer_ms_is_refused() {
        let group = GroupConfig::default();
        assert!(group.validate().is_ok());
        assert!(GroupConfig::wan().validate().is_ok());
        let late = GroupConfig { block_ok_ms: group.peer_ms, ..group };
        assert!(late.validate().is_err());
    }
}
