//! Configuration: every bound and every time has a name, a unit and a default.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;

use crate::ident::{Deployment, NUMBER_MAX, ProcessId};
use crate::view::VIEW_MEMBERS_MAX;
use crate::wire::frame::FRAME_BYTES_MAX;

/// Least and greatest size of a datagram, in bytes.
pub const DATAGRAM_BYTES: RangeInclusive<usize> = 512..=65_000;

/// Longest that any time of a configuration may be, in ms: a day.
pub const TIME_MS_LIMIT: u64 = 24 * 60 * 60 * 1000;

/// Longest that [`GroupConfig::nak_delay_us`] and [`GroupConfig::nak_delay_max_us`] may be, in µs: a second.
pub const NAK_DELAY_US_LIMIT: u64 = 1_000_000;

/// Greatest [`NodeConfig::pool_slots`].
pub const POOL_SLOTS_LIMIT: usize = 1 << 26;

/// Greatest [`NodeConfig::groups_max`].
pub const GROUPS_LIMIT: usize = 1 << 16;

/// Greatest [`GroupConfig::window_packets`] and [`GroupConfig::early_packets_max`].
pub const PACKETS_LIMIT: usize = 1 << 20;

/// Greatest [`GroupConfig::message_bytes_max`]: its length goes over the wire as a number below 2^32.
pub const MESSAGE_BYTES_LIMIT: usize = 1 << 29;

/// Greatest [`GroupConfig::queue_bytes`] and [`ClientConfig::output_bytes_max`].
pub const BUFFER_BYTES_LIMIT: usize = 1 << 30;

/// Longest pause between attempts to connect that follows from a long silence, in ms.
pub(crate) const REDIAL_MOST_MS: u64 = 1000;

/// How long an attempt to connect may take, where so long a silence counts as death, in ms: half of that; no less than
/// serves round trips of 300 ms, and no more than 2 s.
pub(crate) fn attempt_ms(silence_ms: u64) -> u64 {
    (silence_ms / 2).clamp(400, 2000)
}

/// What holds for all groups of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// Largest datagram, in bytes of UDP payload. Default 1472: what an Ethernet frame of 1500 bytes carries over
    /// IPv4. All members of a group must agree on it.
    pub datagram_bytes: usize,
    /// Slots for packets in the pool that all groups share. Reserved when the node is made, touched when used.
    /// Default 135,168 (194 MB of address space). [`GroupConfig::slots`] says what a group takes.
    pub pool_slots: usize,
    /// Most groups of the node. Default 64.
    pub groups_max: usize,
    /// The connection to the membership service.
    pub client: ClientConfig,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            datagram_bytes: 1472,
            pool_slots: 135_168,
            groups_max: 64,
            client: ClientConfig::default(),
        }
    }
}

/// How a process holds on to its membership servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// What this process belongs to; servers of another deployment refuse it. Default "default".
    pub deployment: Deployment,
    /// A server that has been silent for so long is taken for dead, in ms. Default 1000.
    pub server_silence_ms: u64,
    /// A sign of life goes to the server after so much own silence, in ms. Default 100.
    pub heartbeat_ms: u64,
    /// Pause before a lost or refused connection is tried again, in ms; doubled up to `reconnect_max_ms` while it
    /// fails. Default 20.
    pub reconnect_ms: u64,
    /// Longest such pause, in ms. Default 250.
    pub reconnect_max_ms: u64,
    /// An attempt to connect may take so long, in ms: longer than a round trip to the farthest server. Default 500.
    pub connect_ms: u64,
    /// Bytes that may wait to be written to the server; beyond, the connection is given up. Default 1 MiB.
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

/// Who answers when a group has to stop sending for a change of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Blocking {
    /// The node answers at once; what the application sends meanwhile goes into the next view.
    #[default]
    Auto,
    /// The application gets [`crate::Action::Block`] and answers with [`crate::Node::block_ok`]; sends in between
    /// fail with [`crate::SendError::Blocked`].
    Manual,
}

/// What holds for one group. All members must agree on `window_packets` and `message_bytes_max`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// Most members of a view that this process can be in. Default 16.
    pub members_max: usize,
    /// Packets that a sender may have outstanding, that is not yet stable and delivered everywhere; also the slots of
    /// each ring. Must hold the largest message. As many are in use as losses and distance ask for. Default 4096.
    pub window_packets: usize,
    /// Largest message, in bytes. Default 1 MiB.
    pub message_bytes_max: usize,
    /// Bytes of messages that wait for the next view while the group is blocked, framing included. Default 2 MiB.
    pub queue_bytes: usize,
    /// Packets of views that are not installed yet that are kept. Default 1024.
    pub early_packets_max: usize,
    /// Who answers a block request.
    pub blocking: Blocking,
    /// An application that has not answered a block request for so long is detached, in ms. Below `peer_ms`: so it is
    /// told the reason before the others accuse it of owing its sync message. Default 1000.
    pub block_ok_ms: u64,
    /// A member that owes a sync message, an acknowledgement, a repair or credit for so long is accused before the
    /// membership service, in ms. Default 2000.
    pub peer_ms: u64,
    /// First repetition of a sync message or of the request for one, in ms; doubled up to 16 times this. Default 10.
    pub sync_resend_ms: u64,
    /// Upper bound of the random delay before a gap is reported, in µs. Default 500.
    pub nak_delay_us: u64,
    /// Where packets come later than that, since others overtake them on the way, the report waits for them, too, but not
    /// for longer than this, in µs. Default 20,000.
    pub nak_delay_max_us: u64,
    /// Repetition of a report of a gap, in ms, until it is known how long repairs take, from the third one on each twice as
    /// far apart; from then on half as long again as that. Reports that bring nothing are twice as far apart each time, up
    /// to this. Default 10.
    pub nak_repeat_ms: u64,
    /// An acknowledgement is sent at the latest after so much time with something to acknowledge, in ms. Default 5.
    pub ack_ms: u64,
    /// … or after so many packets, at most half a window; in a view of more than three members the less often, so that
    /// all acknowledgements together are two of so many packets. Default 128.
    pub ack_packets: usize,
    /// First heartbeat of a sender after its last packet, in ms; doubled up to `heartbeat_max_ms` while nothing
    /// happens. Default 5.
    pub heartbeat_ms: u64,
    /// Longest pause between heartbeats, in ms; in a node of more than 64 groups so many times as long that all its idle
    /// groups together send no more than those of 64. Default 1000.
    pub heartbeat_max_ms: u64,
    /// A member of which nothing that it sends to the group was heard for so long, beyond the longest pause between its
    /// heartbeats, is asked whether multicasts reach this process, in ms. Default 250.
    pub unheard_ms: u64,
    /// A view is primary ([`crate::Action::Primary`], S4) once more than half of these processes are known to have
    /// installed it. Ascending; at most [`VIEW_MEMBERS_MAX`], whether they run or not. All members must agree on the
    /// list, and it is the same for the life of the group. Default none: no view is primary.
    pub primary_of: Vec<ProcessId>,
    /// A rule of the algorithm that is left out, to see that the checker notices. For tests alone.
    #[cfg(feature = "sim")]
    pub left_out: crate::rule::LeftOut,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            members_max: 16,
            window_packets: 4096,
            message_bytes_max: 1 << 20,
            queue_bytes: 2 << 20,
            early_packets_max: 1024,
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
            #[cfg(feature = "sim")]
            left_out: crate::rule::LeftOut::default(),
        }
    }
}

impl GroupConfig {
    /// For members that are some 50 to 150 ms of round trip apart, with a jitter of a tenth of that. With the default times
    /// each view has to learn there that packets are only overtaken, and how long repairs take, and there are several times
    /// as many acknowledgements and heartbeats: that costs bandwidth, and no view. A repair takes `nak_delay_us` longer.
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

/// Why a configuration cannot be used: the field, its value and the bound that it breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(Breach);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Breach {
    /// A rule that is about more than one value.
    Rule(&'static str),
    Field {
        field: &'static str,
        value: u64,
        bound: Cow<'static, str>,
    },
}

impl ConfigError {
    /// The rule that is broken, in one sentence.
    pub(crate) const fn rule(rule: &'static str) -> Self {
        Self(Breach::Rule(rule))
    }

    /// The value of `field` is not within its bound.
    pub(crate) fn field(
        field: &'static str,
        value: u64,
        bound: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Breach::Field { field, value, bound: bound.into() })
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Breach::Rule(rule) => f.write_str(rule),
            Breach::Field { field, value, bound } => {
                write!(f, "{field} is {value}: it must be {bound}")
            }
        }
    }
}

impl core::error::Error for ConfigError {}

/// Checks that the value of `field` lies in `range`.
pub(crate) fn require_in(
    field: &'static str,
    value: u64,
    range: RangeInclusive<u64>,
) -> Result<(), ConfigError> {
    let (least, most) = range.into_inner();
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let bound = if least == 0 { format!("at most {most}") } else { format!("{least} to {most}") };
    Err(ConfigError::field(field, value, bound))
}

/// Checks that the value of `field` is not below that of `other`.
pub(crate) fn require_at_least(
    (field, value): (&'static str, u64),
    (other, least): (&'static str, u64),
) -> Result<(), ConfigError> {
    if value >= least {
        return Ok(());
    }
    Err(ConfigError::field(field, value, format!("at least {other}, which is {least}")))
}

/// Checks that the value of `field` is above that of `other`.
pub(crate) fn require_above(
    (field, value): (&'static str, u64),
    (other, below): (&'static str, u64),
) -> Result<(), ConfigError> {
    if value > below {
        return Ok(());
    }
    Err(ConfigError::field(field, value, format!("above {other}, which is {below}")))
}

fn require(condition: bool, rule: &'static str) -> Result<(), ConfigError> {
    if condition { Ok(()) } else { Err(ConfigError::rule(rule)) }
}

fn require_time(ms: u64, rule: &'static str) -> Result<(), ConfigError> {
    require((1..=TIME_MS_LIMIT).contains(&ms), rule)
}

impl NodeConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// Names the field and the rule that it breaks.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.validate_datagrams()?;
        require(
            (1..=POOL_SLOTS_LIMIT).contains(&self.pool_slots),
            "pool_slots must be 1 to 67108864",
        )?;
        require((1..=GROUPS_LIMIT).contains(&self.groups_max), "groups_max must be 1 to 65536")?;
        self.client.validate()
    }

    fn validate_datagrams(&self) -> Result<(), ConfigError> {
        let possible = DATAGRAM_BYTES.contains(&self.datagram_bytes);
        require(possible, "datagram_bytes must be 512 to 65000")
    }

    /// Bytes of a packet's body: what is left of a datagram after the header.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.datagram_bytes.saturating_sub(crate::wire::packet::DATA_HEADER_BYTES)
    }

    /// Bytes that a node takes without groups, estimated: the pool, and the connection to the membership service. A group's own bytes: [`GroupConfig::footprint`].
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.slot_bytes().saturating_mul(self.pool_slots).saturating_add(self.client.footprint())
    }

    fn slot_bytes(&self) -> usize {
        self.body_bytes().saturating_add(crate::pool::SLOT_OVERHEAD_BYTES)
    }
}

impl ClientConfig {
    /// The default, with times that follow from another `server_silence_ms`: those of signs of life and of connecting, so
    /// that a server that can be reached again is, within that time. Where a round trip takes longer than half of it, give
    /// `connect_ms` more.
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
        for (ms, rule) in [
            (self.server_silence_ms, "client.server_silence_ms must be 1 to 86400000"),
            (self.heartbeat_ms, "client.heartbeat_ms must be 1 to 86400000"),
            (self.reconnect_ms, "client.reconnect_ms must be 1 to 86400000"),
            (self.reconnect_max_ms, "client.reconnect_max_ms must be 1 to 86400000"),
            (self.connect_ms, "client.connect_ms must be 1 to 86400000"),
        ] {
            require_time(ms, rule)?;
        }
        require(
            self.server_silence_ms > self.heartbeat_ms,
            "client.server_silence_ms must be above client.heartbeat_ms",
        )?;
        require(
            self.output_bytes_max <= BUFFER_BYTES_LIMIT,
            "client.output_bytes_max must be at most 1073741824",
        )
    }

    /// What was read of a frame and a read more, and what waits to be written and a frame more, which is also encoded
    /// apart. Buffers that grow have up to twice the room that they need.
    fn footprint(&self) -> usize {
        let decoder = 2 * (FRAME_BYTES_MAX + READ_BYTES);
        let output = self.output_bytes_max.saturating_add(2 * FRAME_BYTES_MAX).saturating_mul(2);
        output.saturating_add(decoder)
    }
}

/// Bytes that a runtime may hand to [`crate::Node::handle_stream`] at once without exceeding the footprint.
const READ_BYTES: usize = 64 << 10;

impl GroupConfig {
    /// Checks the fields against each other and against `node`.
    ///
    /// # Errors
    /// Names the field and the rule that it breaks.
    pub fn validate(&self, node: &NodeConfig) -> Result<(), ConfigError> {
        require(
            (1..=VIEW_MEMBERS_MAX).contains(&self.members_max),
            "members_max must be 1 to 2048",
        )?;
        self.validate_packets(node)?;
        self.validate_primary()?;
        self.validate_times()
    }

    fn validate_primary(&self) -> Result<(), ConfigError> {
        let of = &self.primary_of;
        require(of.len() <= VIEW_MEMBERS_MAX, "primary_of must name at most 2048 processes")?;
        require(
            of.iter().all(|p| p.0 <= NUMBER_MAX),
            "primary_of must name processes of at most 2^53 - 1",
        )?;
        require(
            of.windows(2).all(|pair| pair[0] < pair[1]),
            "primary_of must name each process once, in ascending order",
        )
    }

    fn validate_packets(&self, node: &NodeConfig) -> Result<(), ConfigError> {
        require(
            (4..=PACKETS_LIMIT).contains(&self.window_packets),
            "window_packets must be 4 to 1048576",
        )?;
        require(
            (1..=MESSAGE_BYTES_LIMIT).contains(&self.message_bytes_max),
            "message_bytes_max must be 1 to 536870912",
        )?;
        node.validate_datagrams()?;
        require(
            crate::cast::packets_for(self.message_bytes_max, node.body_bytes())
                < self.window_packets,
            "window_packets must hold a message of message_bytes_max and one packet more",
        )?;
        require(
            self.queue_bytes >= self.message_bytes_max + 8,
            "queue_bytes must hold a message of message_bytes_max and 8 bytes",
        )?;
        require(self.queue_bytes <= BUFFER_BYTES_LIMIT, "queue_bytes must be at most 1073741824")?;
        require(
            self.early_packets_max <= PACKETS_LIMIT,
            "early_packets_max must be at most 1048576",
        )?;
        require(
            (1..=self.window_packets / 2).contains(&self.ack_packets),
            "ack_packets must be 1 to half of window_packets",
        )
    }

    fn validate_times(&self) -> Result<(), ConfigError> {
        for (ms, rule) in [
            (self.block_ok_ms, "block_ok_ms must be 1 to 86400000"),
            (self.peer_ms, "peer_ms must be 1 to 86400000"),
            (self.sync_resend_ms, "sync_resend_ms must be 1 to 86400000"),
            (self.nak_repeat_ms, "nak_repeat_ms must be 1 to 86400000"),
            (self.ack_ms, "ack_ms must be 1 to 86400000"),
            (self.heartbeat_ms, "heartbeat_ms must be 1 to 86400000"),
            (self.heartbeat_max_ms, "heartbeat_max_ms must be 1 to 86400000"),
            (self.unheard_ms, "unheard_ms must be 1 to 86400000"),
        ] {
            require_time(ms, rule)?;
        }
        for (us, rule) in [
            (self.nak_delay_us, "nak_delay_us must be at most 1000000"),
            (self.nak_delay_max_us, "nak_delay_max_us must be at most 1000000"),
        ] {
            require(us <= NAK_DELAY_US_LIMIT, rule)?;
        }
        require(self.block_ok_ms < self.peer_ms, "block_ok_ms must be below peer_ms")?;
        require(
            self.heartbeat_max_ms >= self.heartbeat_ms,
            "heartbeat_max_ms must not be below heartbeat_ms",
        )
    }

    /// The rule that is left out; none without feature `sim`.
    pub(crate) fn left_out(&self) -> crate::rule::LeftOut {
        #[cfg(feature = "sim")]
        return self.left_out;
        #[cfg(not(feature = "sim"))]
        return crate::rule::LeftOut::default();
    }

    /// Pool slots that the group reserves: a ring for each member of the current and of the previous view, and the
    /// early packets.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.members_max
            .saturating_mul(2)
            .saturating_mul(self.window_packets)
            .saturating_add(self.early_packets_max)
    }

    /// Bytes that a group takes in a node of configuration `node`: its share of the pool, and what it has besides. An
    /// estimate: while a view is installed there are for a moment three sets of rings, and two are counted; nor are sync
    /// messages that are kept because they may still count.
    #[must_use]
    pub fn footprint(&self, node: &NodeConfig) -> usize {
        self.slots()
            .saturating_mul(node.slot_bytes())
            .saturating_add(self.footprint_besides_slots())
    }

    /// The multicast of the current and of the previous view, the table of early packets, sync messages, views and
    /// addresses, the buffer in which large messages are put together and the queue for the next view.
    pub(crate) fn footprint_besides_slots(&self) -> usize {
        let members = self.members_max;
        let casts = crate::cast::footprint(members, self.window_packets).saturating_mul(2);
        let early = self.early_packets_max.saturating_mul(EARLY_BYTES);
        let processes = members.saturating_mul(2).saturating_add(crate::sync::EARLY_PROCESSES_MAX);
        let syncs = members
            .saturating_mul(8)
            .saturating_add(SYNC_BYTES)
            .saturating_mul(crate::sync::SYNCS_MAX)
            .saturating_mul(processes);
        [casts, early, syncs, members.saturating_mul(MEMBER_BYTES), GROUP_BYTES, self.queue_bytes]
            .into_iter()
            .fold(self.message_bytes_max, usize::saturating_add)
    }
}

/// Bytes of an early packet in its table, rounded up.
const EARLY_BYTES: usize = 64;

/// Bytes of a sync message that is kept, besides its cut: its view, and its share of a tree.
const SYNC_BYTES: usize = 256;

/// Bytes that a member takes in the views (current, announced, of the cast before, of the last attachment), in sets of
/// processes, in the book of addresses and in events of the membership service, each twice while it is replaced.
const MEMBER_BYTES: usize = 1024;

/// Bytes of a group's own fields.
const GROUP_BYTES: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// Sets one field.
    type Set<C, V> = fn(&mut C, V);

    const NODE_SIZES: [Set<NodeConfig, usize>; 4] = [
        |c, v| c.datagram_bytes = v,
        |c, v| c.pool_slots = v,
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
        |c, v| c.window_packets = v,
        |c, v| c.message_bytes_max = v,
        |c, v| c.queue_bytes = v,
        |c, v| c.early_packets_max = v,
        |c, v| c.ack_packets = v,
    ];
    const GROUP_TIMES: [Set<GroupConfig, u64>; 9] = [
        |c, v| c.block_ok_ms = v,
        |c, v| c.peer_ms = v,
        |c, v| c.sync_resend_ms = v,
        |c, v| c.nak_delay_us = v,
        |c, v| c.nak_delay_max_us = v,
        |c, v| c.nak_repeat_ms = v,
        |c, v| c.ack_ms = v,
        |c, v| c.heartbeat_ms = v,
        |c, v| c.heartbeat_max_ms = v,
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
    fn an_extreme_value_of_any_field_is_an_error_and_never_a_panic() {
        let mut nodes = each(&NODE_SIZES, &HUGE);
        nodes.extend(each(&NODE_TIMES, &LONG));
        for node in &nodes {
            assert!(node.validate().is_err(), "{node:?}");
            let _ = (node.footprint(), GroupConfig::default().footprint(node));
        }
        let mut groups = each(&GROUP_SIZES, &HUGE);
        groups.extend(each(&GROUP_TIMES, &LONG));
        for group in &groups {
            assert!(group.validate(&NodeConfig::default()).is_err(), "{group:?}");
            let _ = (group.slots(), group.footprint(&NodeConfig::default()));
        }
        // Zeros are errors where they make no sense, and never a panic.
        for node in each(&NODE_SIZES, &[0]).iter().chain(&each(&NODE_TIMES, &[0])) {
            let _ = (node.validate(), node.footprint(), GroupConfig::default().validate(node));
        }
        for group in each(&GROUP_SIZES, &[0]).iter().chain(&each(&GROUP_TIMES, &[0])) {
            let _ = (group.validate(&NodeConfig::default()), group.slots());
        }
    }

    #[test]
    fn everything_extreme_at_once_is_no_panic_either() {
        let (mut node, mut group) = (NodeConfig::default(), GroupConfig::default());
        NODE_SIZES.iter().for_each(|set| set(&mut node, usize::MAX));
        GROUP_SIZES.iter().for_each(|set| set(&mut group, usize::MAX));
        assert_eq!((node.footprint(), group.footprint(&node)), (usize::MAX, usize::MAX));
        assert!(node.validate().is_err() && group.validate(&node).is_err());
    }

    #[test]
    fn the_processes_that_make_a_view_primary_are_named_once_and_in_order() {
        let accepts = |list: &[u64]| {
            let primary_of = list.iter().map(|p| ProcessId(*p)).collect();
            let group = GroupConfig { primary_of, ..GroupConfig::default() };
            group.validate(&NodeConfig::default()).is_ok()
        };
        assert!(accepts(&[]) && accepts(&[7]) && accepts(&[1, 2, NUMBER_MAX]));
        assert!(!accepts(&[2, 1]) && !accepts(&[1, 1]) && !accepts(&[NUMBER_MAX + 1]));
        let many: Vec<u64> = (0..=VIEW_MEMBERS_MAX as u64).collect();
        assert!(accepts(&many[1..]) && !accepts(&many));
    }

    #[test]
    fn who_does_not_answer_a_block_request_is_told_before_it_is_accused() {
        let group = GroupConfig::default();
        assert!(group.validate(&NodeConfig::default()).is_ok());
        assert!(GroupConfig::wan().validate(&NodeConfig::default()).is_ok());
        let late = GroupConfig { block_ok_ms: group.peer_ms, ..group };
        assert!(late.validate(&NodeConfig::default()).is_err());
    }
}
