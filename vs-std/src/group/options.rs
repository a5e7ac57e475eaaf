//! How a group is joined.

use core::net::SocketAddr;
use core::time::Duration;
use std::path::PathBuf;

use vs_core::GroupConfig;
use vs_core::NodeConfig;
use vs_core::ident::ProcessId;

use crate::clock::Clock;
use crate::driver::DriverConfig;
use crate::udp::UdpConfig;

/// Who joins, by which sockets, within which bounds.
#[derive(Clone, Debug)]
pub struct JoinOptions {
    /// Who this process is, and where it finds the others.
    pub driver: DriverConfig,
    /// Bounds and times of the group. Blocking is [`vs_core::Blocking::Auto`].
    pub group: GroupConfig,
    /// Bytes of events that wait to be received; while they are exceeded, by one event at most, no more are taken from
    /// the node, whose own bounds then make the senders wait. Default 4 MiB.
    pub inbox_bytes: usize,
    /// Bytes of messages that wait for the thread of a [`crate::SharedGroup`], 4 of framing for each included; one
    /// message alone may exceed them. With what the thread is handing to the node, up to four times as much memory.
    /// Default 256 KiB.
    pub outbox_bytes: usize,
    /// How long [`crate::Group::send`] and [`crate::SharedGroup::send`] wait for room, in ms. Default 10,000.
    pub send_ms: u64,
    /// Before it sleeps, a call that waits looks again and again for so long whether something came, and lets others
    /// have the core in between: that saves the time of being woken, and takes all of a core that nobody else asks for.
    /// Of a [`crate::SharedGroup`] it is the own thread that does so. Default zero: sleep at once.
    pub busy_poll: Duration,
    /// The core, counted from 0, that the thread which drives the group is pinned to: the one that calls
    /// [`crate::Group::join`], or the own one of a [`crate::SharedGroup`]. Linux alone. Default: the system chooses.
    pub pin: Option<usize>,
    /// Where to write a trace for `vs check`; one that an earlier life of this process left is gone on with. Default:
    /// nowhere.
    pub trace: Option<PathBuf>,
}

impl JoinOptions {
    /// Everything by default for `process` (the same id after every start, and nobody else's), which finds the
    /// membership service at any of `servers`.
    #[must_use]
    pub fn new(process: ProcessId, servers: Vec<SocketAddr>, udp: UdpConfig) -> Self {
        let clock = Clock::new();
        let driver = DriverConfig {
            node: NodeConfig::default(),
            process,
            incarnation: clock.incarnation(),
            seed: process.0 ^ clock.unix_offset(),
            servers,
            udp,
            clock,
        };
        Self {
            driver,
            group: GroupConfig::default(),
            inbox_bytes: 4 << 20,
            outbox_bytes: 256 << 10,
            send_ms: 10_000,
            busy_poll: Duration::ZERO,
            pin: None,
            trace: None,
        }
    }
}
