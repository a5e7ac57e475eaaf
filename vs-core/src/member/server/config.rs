//! What a server is given, and what it tells its operator.

use core::fmt;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{ConnId, LeftOut};
use crate::action::DetachReason;
use crate::ident::{GroupName, ProcessId, ServerId};
use crate::view::{Members, View};

/// Bounds and times of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// A client or server that has been silent for so long is taken for dead, in ms. Default 1000.
    pub silence_ms: u64,
    /// Signs of life go out after so much own silence, in ms. Default 100.
    pub heartbeat_ms: u64,
    /// A change that began with an arrival waits so long for more before the server proposes, in ms. Default 3.
    pub gather_join_ms: u64,
    /// The same for a change that began with a departure, in ms. Default 0.
    pub gather_crash_ms: u64,
    /// After the first accusation the server waits so long for others before it decides, in ms. Default 100.
    pub accuse_ms: u64,
    /// A member that was excluded by accusation stays out for so long, in ms; doubled with each repetition up to 16
    /// times. Default 500.
    pub readmit_ms: u64,
    /// Clients of a server that was lost stay members for so long, in ms. Default 1000.
    pub reattach_ms: u64,
    /// A link to a server that was lost for longer than `reattach_ms` counts again, for all groups, once it has held for
    /// so long, in ms; doubled with each such loss up to `link_hold_max_ms`. Default 250; 0: at once.
    pub link_hold_ms: u64,
    /// Longest such time, in ms. Default 30,000.
    pub link_hold_max_ms: u64,
    /// A link that has held for so long, in ms, is as one that was never lost. Default 120,000.
    pub link_forgive_ms: u64,
    /// Most connections. Default 4096.
    pub connections_max: usize,
    /// Most groups. Default 1024.
    pub groups_max: usize,
    /// Bytes that may wait to be written to one connection; beyond, it is closed. Default 4 MiB.
    pub output_bytes_max: usize,
    /// A rule of the algorithm that is left out, to see that the checker notices. For tests alone.
    #[cfg(feature = "sim")]
    pub left_out: crate::rule::LeftOut,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            silence_ms: 1000,
            heartbeat_ms: 100,
            gather_join_ms: 3,
            gather_crash_ms: 0,
            accuse_ms: 100,
            readmit_ms: 500,
            reattach_ms: 1000,
            link_hold_ms: 250,
            link_hold_max_ms: 30_000,
            link_forgive_ms: 120_000,
            connections_max: 4096,
            groups_max: 1024,
            output_bytes_max: 4 << 20,
            #[cfg(feature = "sim")]
            left_out: crate::rule::LeftOut::default(),
        }
    }
}

impl ServerConfig {
    /// The rule that is left out; none without feature `sim`.
    pub(super) fn left_out(&self) -> crate::rule::LeftOut {
        #[cfg(feature = "sim")]
        return self.left_out;
        #[cfg(not(feature = "sim"))]
        return crate::rule::LeftOut::default();
    }
}

/// Why a client is attached no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Departure {
    /// It left.
    Left,
    /// Its connection ended: it crashed, or lost its server and looks for another.
    Ended,
    /// It was refused or excluded, and told why.
    Told(DetachReason),
    /// Its server was lost, and it came to no other one within `reattach_ms`.
    ServerLost,
}

impl fmt::Display for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left => f.write_str("it left"),
            Self::Ended => f.write_str("its connection ended"),
            Self::Told(reason) => reason.fmt(f),
            Self::ServerLost => f.write_str("its server was lost and it came to no other one"),
        }
    }
}

/// What an operator may want to read; bounded, the oldest is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A client attached to a group.
    Attached {
        /// The group.
        group: GroupName,
        /// The client.
        process: ProcessId,
        /// Its data address.
        addr: SocketAddr,
    },
    /// A client's attachment ended, at this server or at a peer.
    Detached {
        /// The group.
        group: GroupName,
        /// The client.
        process: ProcessId,
        /// Where it was attached.
        server: ServerId,
        /// Why.
        why: Departure,
    },
    /// A change began, for this set.
    StartChange {
        /// The group.
        group: GroupName,
        /// The set.
        set: Members,
    },
    /// A view was decided.
    View {
        /// The group.
        group: GroupName,
        /// The view.
        view: View,
        /// Whether the fast mode decided it.
        fast: bool,
    },
    /// A peer server came (`true`) or was lost.
    Peer {
        /// The server.
        server: ServerId,
        /// Whether it is connected now.
        connected: bool,
    },
    /// The clients of a connected server are in no view with those of this one, in no group.
    LeftOut {
        /// The server.
        server: ServerId,
        /// Why.
        why: LeftOut,
    },
    /// They are again.
    TakenIn {
        /// The server.
        server: ServerId,
    },
    /// A connection spoke another protocol or broke a rule and was closed.
    Refused {
        /// The connection.
        conn: ConnId,
        /// One sentence.
        why: &'static str,
    },
}

/// What a server counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerCounters {
    /// start_changes, counted once a change and group.
    pub changes: u64,
    /// Proposals sent (to itself included, once a proposal).
    pub proposals: u64,
    /// Views decided in the fast mode.
    pub views_fast: u64,
    /// Views decided in the slow mode.
    pub views_slow: u64,
}
