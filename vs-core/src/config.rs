//! Configuration: every bound and every time has a name, a unit and a default.

use core::fmt;

use crate::view::VIEW_MEMBERS_MAX;

/// Least and greatest size of a datagram, in bytes.
pub const DATAGRAM_BYTES: core::ops::RangeInclusive<usize> = 512..=65_000;

/// What holds for all groups of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// Largest datagram, in bytes of UDP payload. Default 1472: what an Ethernet frame of 1500 bytes carries over
    /// IPv4. All members of a group must agree on it.
    pub datagram_bytes: usize,
    /// Slots for packets in the pool that all groups share. Reserved when the node is made, touched when used.
    /// Default 65,536 (94 MB of address space). [`GroupConfig::slots`] says what a group takes.
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
            pool_slots: 65_536,
            groups_max: 64,
            client: ClientConfig::default(),
        }
    }
}

/// How a process holds on to its membership servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// A server that has been silent for so long is taken for dead, in ms. Default 1000.
    pub server_silence_ms: u64,
    /// A sign of life goes to the server after so much own silence, in ms. Default 100.
    pub heartbeat_ms: u64,
    /// Pause before a lost or refused connection is tried again, in ms; doubled up to `reconnect_max_ms` while it
    /// fails. Default 20.
    pub reconnect_ms: u64,
    /// Longest such pause, in ms. Default 1000.
    pub reconnect_max_ms: u64,
    /// Bytes that may wait to be written to the server; beyond, the connection is given up. Default 1 MiB.
    pub output_bytes_max: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            server_silence_ms: 1000,
            heartbeat_ms: 100,
            reconnect_ms: 20,
            reconnect_max_ms: 1000,
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
    /// each ring. Must hold the largest message. Default 1024.
    pub window_packets: usize,
    /// Largest message, in bytes. Default 1 MiB.
    pub message_bytes_max: usize,
    /// Bytes of messages that wait for the next view while the group is blocked, framing included. Default 2 MiB.
    pub queue_bytes: usize,
    /// Packets of views that are not installed yet that are kept. Default 1024.
    pub early_packets_max: usize,
    /// Who answers a block request.
    pub blocking: Blocking,
    /// An application that has not answered a block request for so long is detached, in ms. Default 5000.
    pub block_ok_ms: u64,
    /// A member that owes a sync message, an acknowledgement, a repair or credit for so long is accused before the
    /// membership service, in ms. Default 2000.
    pub peer_ms: u64,
    /// First repetition of a sync message or of the request for one, in ms; doubled up to 16 times this. Default 10.
    pub sync_resend_ms: u64,
    /// Upper bound of the random delay before a gap is reported, in µs. Default 500.
    pub nak_delay_us: u64,
    /// Repetition of a report of a gap, in ms. Default 10.
    pub nak_repeat_ms: u64,
    /// An acknowledgement is sent at the latest after so much time with something to acknowledge, in ms. Default 5.
    pub ack_ms: u64,
    /// … or after so many packets, at most half a window. Default 128.
    pub ack_packets: usize,
    /// First heartbeat of a sender after its last packet, in ms; doubled up to `heartbeat_max_ms` while nothing
    /// happens. Default 5.
    pub heartbeat_ms: u64,
    /// Longest pause between heartbeats, in ms. Default 1000.
    pub heartbeat_max_ms: u64,
    /// A rule of the algorithm that is left out, to see that the checker notices. For tests alone.
    #[cfg(feature = "sim")]
    pub left_out: crate::rule::LeftOut,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            members_max: 16,
            window_packets: 1024,
            message_bytes_max: 1 << 20,
            queue_bytes: 2 << 20,
            early_packets_max: 1024,
            blocking: Blocking::Auto,
            block_ok_ms: 5000,
            peer_ms: 2000,
            sync_resend_ms: 10,
            nak_delay_us: 500,
            nak_repeat_ms: 10,
            ack_ms: 5,
            ack_packets: 128,
            heartbeat_ms: 5,
            heartbeat_max_ms: 1000,
            #[cfg(feature = "sim")]
            left_out: crate::rule::LeftOut::default(),
        }
    }
}

/// Why a configuration cannot be used: the field and the rule, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub &'static str);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for ConfigError {}

fn require(condition: bool, rule: &'static str) -> Result<(), ConfigError> {
    if condition { Ok(()) } else { Err(ConfigError(rule)) }
}

impl NodeConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// Names the field and the rule that it breaks.
    pub fn validate(&self) -> Result<(), ConfigError> {
        require(
            DATAGRAM_BYTES.contains(&self.datagram_bytes),
            "datagram_bytes must be 512 to 65000",
        )?;
        require(self.pool_slots >= 1, "pool_slots must be at least 1")?;
        require(self.pool_slots < u32::MAX as usize, "pool_slots must be below 2^32 - 1")?;
        require(self.groups_max >= 1, "groups_max must be at least 1")?;
        require(self.client.heartbeat_ms >= 1, "client.heartbeat_ms must be at least 1")?;
        require(
            self.client.server_silence_ms > self.client.heartbeat_ms,
            "client.server_silence_ms must be above client.heartbeat_ms",
        )?;
        require(self.client.reconnect_ms >= 1, "client.reconnect_ms must be at least 1")
    }

    /// Bytes of a packet's body: what is left of a datagram after the header.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.datagram_bytes - crate::wire::packet::DATA_HEADER_BYTES
    }

    /// Bytes that the pool reserves. A group's own bytes: [`GroupConfig::footprint`].
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.pool_slots * (self.body_bytes() + crate::pool::SLOT_OVERHEAD_BYTES)
    }
}

impl GroupConfig {
    /// Checks the fields against each other and against `node`.
    ///
    /// # Errors
    /// Names the field and the rule that it breaks.
    pub fn validate(&self, node: &NodeConfig) -> Result<(), ConfigError> {
        require(
            (1..=VIEW_MEMBERS_MAX).contains(&self.members_max),
            "members_max must be 1 to 1024",
        )?;
        require(
            self.window_packets >= 4 && self.window_packets <= 1 << 20,
            "window_packets must be 4 to 1048576",
        )?;
        require(self.message_bytes_max >= 1, "message_bytes_max must be at least 1")?;
        require(
            crate::cast::packets_for(self.message_bytes_max, node.body_bytes())
                < self.window_packets,
            "window_packets must hold a message of message_bytes_max and one packet more",
        )?;
        require(
            self.queue_bytes >= self.message_bytes_max + 8,
            "queue_bytes must hold a message of message_bytes_max and 8 bytes",
        )?;
        require(
            (1..=self.window_packets / 2).contains(&self.ack_packets),
            "ack_packets must be 1 to half of window_packets",
        )?;
        for (value, rule) in [
            (self.block_ok_ms, "block_ok_ms must be at least 1"),
            (self.peer_ms, "peer_ms must be at least 1"),
            (self.sync_resend_ms, "sync_resend_ms must be at least 1"),
            (self.nak_repeat_ms, "nak_repeat_ms must be at least 1"),
            (self.ack_ms, "ack_ms must be at least 1"),
            (self.heartbeat_ms, "heartbeat_ms must be at least 1"),
        ] {
            require(value >= 1, rule)?;
        }
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
        2 * self.members_max * self.window_packets + self.early_packets_max
    }

    /// Upper bound of the bytes that a group takes in a node of configuration `node`: its share of the pool, its
    /// rings of indices, the buffer in which large messages are put together and the queue for the next view.
    #[must_use]
    pub fn footprint(&self, node: &NodeConfig) -> usize {
        let slot = node.body_bytes() + crate::pool::SLOT_OVERHEAD_BYTES;
        let rings = 2 * self.members_max * self.window_packets * crate::ring::ENTRY_BYTES;
        let per_pair = 2 * self.members_max * self.members_max * 16;
        let processes = 2 * self.members_max + crate::sync::EARLY_PROCESSES_MAX;
        let syncs = processes * crate::sync::SYNCS_MAX * (8 * self.members_max + 256);
        self.slots() * slot + rings + per_pair + syncs + self.message_bytes_max + self.queue_bytes
    }
}
