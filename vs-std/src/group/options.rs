//! How a group is joined.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::path::PathBuf;

use vs_core::ident::{NUMBER_MAX, ProcessId};
use vs_core::seal::Keys;
use vs_core::{GroupConfig, Note};

use super::reading::{Role, SlowReader};
use crate::driver::DriverConfig;
use crate::embedded::Membership;
use crate::name::ServerName;
use crate::random::random;
use crate::udp::{UdpConfig, address_towards_others};

/// Who joins, by which sockets, within which bounds.
///
/// ```
/// use core::time::Duration;
/// use vs_core::GroupConfig;
/// use vs_std::JoinOptions;
///
/// let options = JoinOptions::local()
///     .with_group(GroupConfig::default().with_members_max(5))
///     .with_join_timeout(Duration::from_secs(10))
///     .with_trace("member.jsonl");
/// assert_eq!(options.group.members_max, 5);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JoinOptions {
    /// Who this process is, and where it finds the others.
    pub driver: DriverConfig,
    /// Bounds and times of the group. Blocking is [`vs_core::Blocking::Auto`].
    pub group: GroupConfig,
    /// What this process hands in with its first view, in a group with clusters: see
    /// [`vs_core::Node::set_note`]. Default empty.
    pub note: Note,
    /// Bytes of events that wait to be received; while they are exceeded, by one event at most, no
    /// more are taken from the node, whose own bounds then make the senders wait. Default 4 MiB.
    pub inbox_bytes: usize,
    /// What this process does in the group. Default [`Role::Member`].
    pub role: Role,
    /// What happens while the application receives too slowly. Default: as the role says.
    pub slow_reader: Option<SlowReader>,
    /// Bytes of messages that wait for the thread of a [`crate::SharedGroup`], 4 of framing for
    /// each included; one message alone may exceed them. With what the thread is handing to the
    /// node, up to four times as much memory. Default 256 KiB.
    pub outbox_bytes: usize,
    /// How long [`crate::Group::send`] and [`crate::SharedGroup::send`] wait for room. Default 10
    /// s.
    pub send_timeout: Duration,
    /// How long the first view may take before the group is given up
    /// ([`crate::RecvError::JoinTimedOut`]). Default: as long as it takes;
    /// [`crate::Event::Unanswered`] tells meanwhile why.
    pub join_timeout: Option<Duration>,
    /// How long a call that waits polls the sockets before it sleeps. Polling saves the time of a
    /// wake-up and uses a whole core, which it yields to other threads in between. In a
    /// [`crate::SharedGroup`] its own thread polls. Default zero: sleep at once.
    pub busy_poll: Duration,
    /// The core, counted from 0, that the thread which drives the group is pinned to: the one that
    /// calls [`crate::Group::join`], or the own one of a [`crate::SharedGroup`]. Linux alone.
    /// Default: the system chooses.
    pub pin: Option<usize>,
    /// Where to write a trace for `vs check`; one that an earlier incarnation of this process left
    /// is appended to. Default: nowhere.
    pub trace: Option<PathBuf>,
}

impl JoinOptions {
    /// Everything by default for `process` (the same id after every start, and nobody else's),
    /// which finds the membership service at any of `servers`.
    #[must_use]
    pub fn new(process: ProcessId, servers: Vec<ServerName>, udp: UdpConfig) -> Self {
        Self::with(DriverConfig::new(process, Membership::Servers(servers), udp))
    }

    /// Everything by default for `process`, without a server to start: this process and those that
    /// it is to meet have a membership server inside each, and these find one another by beacons.
    #[must_use]
    pub fn without_server(process: ProcessId, udp: UdpConfig) -> Self {
        Self::with(DriverConfig::new(process, Membership::embedded(), udp))
    }

    /// Everything by default on the network that leads to others, without a server to start, under
    /// an id that this process draws for itself. It goes by IPv4, or by IPv6 on a host that has no
    /// way by IPv4. On a host without a network it meets those on the host.
    #[must_use]
    pub fn discover() -> Self {
        let here = address_towards_others().unwrap_or(Ipv4Addr::LOCALHOST.into());
        Self::without_server(ProcessId(random() & NUMBER_MAX), UdpConfig::on(here))
    }

    /// Everything by default among the processes of this host, without a server to start, under an
    /// id that this process draws for itself.
    #[must_use]
    pub fn local() -> Self {
        let udp = UdpConfig::on(Ipv4Addr::LOCALHOST);
        Self::without_server(ProcessId(random() & NUMBER_MAX), udp)
    }

    /// Everything by default for `process`, whose views come from a source of the application's
    /// own: see [`vs_core::member::external`].
    #[must_use]
    pub fn external(process: ProcessId, udp: UdpConfig) -> Self {
        Self::with(DriverConfig::new(process, Membership::External, udp))
    }

    /// Everything but `driver` by default.
    #[must_use]
    pub fn with(driver: DriverConfig) -> Self {
        Self {
            driver,
            group: GroupConfig::default(),
            note: Note::default(),
            role: Role::default(),
            slow_reader: None,
            inbox_bytes: 4 << 20,
            outbox_bytes: 256 << 10,
            send_timeout: Duration::from_secs(10),
            join_timeout: None,
            busy_poll: Duration::ZERO,
            pin: None,
            trace: None,
        }
    }
}

/// Setters.
impl JoinOptions {
    /// Sets [`Self::driver`].
    #[must_use]
    pub fn with_driver(mut self, driver: DriverConfig) -> Self {
        self.driver = driver;
        self
    }

    /// Sets [`DriverConfig::keys`]: everything is sealed that goes over the network.
    #[must_use]
    pub fn with_keys(mut self, keys: impl Into<Option<Keys>>) -> Self {
        self.driver.keys = keys.into();
        self
    }

    /// Sets [`Self::group`].
    #[must_use]
    pub fn with_group(mut self, group: GroupConfig) -> Self {
        self.group = group;
        self
    }

    /// Sets [`Self::note`].
    #[must_use]
    pub fn with_note(mut self, note: Note) -> Self {
        self.note = note;
        self
    }

    /// Sets [`Self::role`].
    #[must_use]
    pub fn with_role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// Sets [`Self::slow_reader`].
    #[must_use]
    pub fn with_slow_reader(mut self, slow_reader: impl Into<Option<SlowReader>>) -> Self {
        self.slow_reader = slow_reader.into();
        self
    }

    /// What happens while the application receives too slowly.
    pub(crate) fn reading(&self) -> SlowReader {
        self.slow_reader.unwrap_or(self.role.slow_reader())
    }

    /// Sets [`Self::inbox_bytes`].
    #[must_use]
    pub fn with_inbox_bytes(mut self, inbox_bytes: usize) -> Self {
        self.inbox_bytes = inbox_bytes;
        self
    }

    /// Sets [`Self::outbox_bytes`].
    #[must_use]
    pub fn with_outbox_bytes(mut self, outbox_bytes: usize) -> Self {
        self.outbox_bytes = outbox_bytes;
        self
    }

    /// Sets [`Self::send_timeout`].
    #[must_use]
    pub fn with_send_timeout(mut self, send_timeout: Duration) -> Self {
        self.send_timeout = send_timeout;
        self
    }

    /// Sets [`Self::join_timeout`].
    #[must_use]
    pub fn with_join_timeout(mut self, join_timeout: impl Into<Option<Duration>>) -> Self {
        self.join_timeout = join_timeout.into();
        self
    }

    /// Sets [`Self::busy_poll`].
    #[must_use]
    pub fn with_busy_poll(mut self, busy_poll: Duration) -> Self {
        self.busy_poll = busy_poll;
        self
    }

    /// Sets [`Self::pin`].
    #[must_use]
    pub fn with_pin(mut self, pin: impl Into<Option<usize>>) -> Self {
        self.pin = pin.into();
        self
    }

    /// Sets [`Self::trace`].
    #[must_use]
    pub fn with_trace(mut self, trace: impl Into<PathBuf>) -> Self {
        self.trace = Some(trace.into());
        self
    }
}
