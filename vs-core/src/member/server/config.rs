//! What a server is given, and what it tells its operator.

use alloc::borrow::Cow;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{ConnId, Departure, LeftOut, PeerTrouble};
use crate::config::{REDIAL_MOST_MS, attempt_ms};
use crate::ident::{Deployment, GroupName, ProcessId, ServerId};
use crate::member::discovery::UselessBeacon;
use crate::view::{Members, View};

/// Bounds and times of a server.
///
/// Components that can reach each other again have one view within twice `silence_ms`, if that is 300 or more and the
/// link between them has not flapped: an attempt to reach a peer is given up after half of it, the pause to the next one
/// is at most a quarter, and so long a link has to hold before it counts. [`ServerConfig::for_silence`] sets these times
/// for another `silence_ms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// What this server belongs to; clients and servers of another deployment are refused. Default "default".
    pub deployment: Deployment,
    /// A client or server that has been silent for so long is taken for dead, in ms. Default 1000.
    pub silence_ms: u64,
    /// Signs of life go out after so much own silence, in ms. Default 100.
    pub heartbeat_ms: u64,
    /// A change that began with an arrival waits so long for more before the server proposes, in ms; clients are told of
    /// each one at once, see `announce_max`. Default 3.
    pub gather_join_ms: u64,
    /// The same for a change that began with a departure, in ms. Default 0.
    pub gather_crash_ms: u64,
    /// While more is waited for, clients of a group that would have more members than this are told of the first change
    /// at once, and of the others together when that time is over: to tell all of each takes the square of their number.
    /// In a smaller one each is told at once, so that the sync round runs beside the wait. Default 32.
    pub announce_max: usize,
    /// An arrival waits so long for servers that are about to have clients, too, since they have just started, in ms: so
    /// that many that start together share one view. Default 1500.
    pub gather_max_ms: u64,
    /// After the first accusation the server waits so long for others before it decides, in ms. Default 100.
    pub accuse_ms: u64,
    /// A member that was excluded by accusation stays out for so long, in ms; doubled with each repetition up to 16
    /// times. Default 500.
    pub readmit_ms: u64,
    /// Clients of a server that was lost stay members for so long, in ms. Default 1000.
    pub reattach_ms: u64,
    /// Pause before a peer that was lost or is not there is dialled again, in ms, counted from the beginning of an attempt;
    /// doubled up to `redial_max_ms` while it is not there. Default 100.
    pub redial_ms: u64,
    /// Longest such pause, in ms. Default 250.
    pub redial_max_ms: u64,
    /// First pause before one is dialled again that refuses this server or is none, in ms; doubled up to
    /// `refused_max_ms`. Default 1000.
    pub refused_ms: u64,
    /// Longest such pause, in ms. Default 60,000.
    pub refused_max_ms: u64,
    /// An attempt to reach a peer may take so long, in ms: longer than a round trip to the farthest one. What was sent
    /// into a network that was parted is lost, and sent again only after a second. Default 500.
    pub dial_ms: u64,
    /// Most addresses of peers. Default 256.
    pub peers_max: usize,
    /// A link to a server that was lost for longer than `reattach_ms` may count again, for all groups, once it has held for
    /// so long, in ms; doubled with each such loss up to `link_hold_max_ms`. It does when those with whom this server shares
    /// views are ready for that server, too, or after the longer of `dial_ms` and `redial_max_ms` more. Default 250; 0: at once.
    pub link_hold_ms: u64,
    /// Longest such time, in ms. Default 30,000.
    pub link_hold_max_ms: u64,
    /// A link that has held for so long, in ms, is as one that was never lost. Default 120,000.
    pub link_forgive_ms: u64,
    /// What another server says of its links is passed on to those that it does not reach after so long, in ms: servers
    /// that are about to reach each other need not be told. Default 50.
    pub pass_on_ms: u64,
    /// A server that knows of nobody in a group, since it has just started, say, waits so long for the members of the view
    /// that a client brings along, in ms: if all are still there, they need no other one. Default 3000.
    pub regroup_ms: u64,
    /// Most connections; those that the runtime is still closing are its own to bound. Default 4096.
    pub connections_max: usize,
    /// Most groups. Default 1024.
    pub groups_max: usize,
    /// Bytes that may wait to be written to one connection; beyond, it is closed. Default 4 MiB.
    pub output_bytes_max: usize,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            deployment: Deployment::default(),
            silence_ms: 1000,
            heartbeat_ms: 100,
            gather_join_ms: 3,
            gather_crash_ms: 0,
            announce_max: 32,
            gather_max_ms: 1500,
            accuse_ms: 100,
            readmit_ms: 500,
            reattach_ms: 1000,
            redial_ms: 100,
            redial_max_ms: 250,
            refused_ms: 1000,
            refused_max_ms: 60_000,
            dial_ms: 500,
            peers_max: 256,
            link_hold_ms: 250,
            link_hold_max_ms: 30_000,
            link_forgive_ms: 120_000,
            pass_on_ms: 50,
            regroup_ms: 3000,
            connections_max: 4096,
            groups_max: 1024,
            output_bytes_max: 4 << 20,
        }
    }
}

impl ServerConfig {
    /// The default, with times that follow from another `silence_ms`: those of signs of life, of dialling, and for which
    /// a link has to hold. Where a round trip takes longer than half of that (or 2000, if that is less), give
    /// `dial_ms` more.
    #[must_use]
    pub fn for_silence(silence_ms: u64) -> Self {
        let default = Self::default();
        let quarter_ms = (silence_ms / 4).max(1);
        Self {
            silence_ms,
            heartbeat_ms: default.heartbeat_ms.min(quarter_ms),
            redial_ms: default.redial_ms.min(quarter_ms),
            redial_max_ms: quarter_ms.min(REDIAL_MOST_MS),
            dial_ms: attempt_ms(silence_ms),
            link_hold_ms: default.link_hold_ms.min(quarter_ms),
            ..default
        }
    }

    /// By how much later one server may reach a peer than another one that could since the same time, in ms.
    pub(super) fn reach_ms(&self) -> u64 {
        self.dial_ms.max(self.redial_max_ms)
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
    /// A beacon that was heard is of no use.
    UselessBeacon(UselessBeacon),
    /// The server has looked for others, and lets clients in.
    Settled {
        /// Servers that are connected.
        servers: usize,
    },
    /// A peer that was named is not connected; noted once, until it is or the reason changes.
    PeerTrouble {
        /// The address that was named.
        addr: SocketAddr,
        /// Why.
        why: PeerTrouble,
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
    /// Another server has the id of this one, and others hear the words of both.
    Twin {
        /// That id.
        server: ServerId,
    },
    /// A connection spoke another protocol or broke a rule and was closed.
    Refused {
        /// The connection.
        conn: ConnId,
        /// One sentence.
        why: Cow<'static, str>,
    },
}

/// What a server counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerCounters {
    /// start_changes, counted once a change and group.
    pub changes: u64,
    /// Proposals sent (to itself included, once a proposal).
    pub proposals: u64,
    /// Views decided in the fast mode.
    pub views_fast: u64,
    /// Views decided in the slow mode.
    pub views_slow: u64,
    /// From the first start_change of a change to its view, in ms: of all changes together.
    pub change_ms_sum: u64,
    /// … of the longest.
    pub change_ms_max: u64,
    /// Frames that were skipped, since they are of kinds that this version does not know.
    pub frames_skipped: u64,
}

impl ServerCounters {
    /// Adds what another server counted, or another life of this one.
    pub fn add(&mut self, other: &Self) {
        self.changes += other.changes;
        self.proposals += other.proposals;
        self.views_fast += other.views_fast;
        self.views_slow += other.views_slow;
        self.change_ms_sum += other.change_ms_sum;
        self.change_ms_max = self.change_ms_max.max(other.change_ms_max);
        self.frames_skipped += other.frames_skipped;
    }
}
