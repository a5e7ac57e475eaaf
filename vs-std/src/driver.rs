//! A node with its sockets and a clock, for any loop that waits for sockets.

mod config;
mod external;
mod log;
mod moved;
mod port;
mod rotation;
mod wipe;

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::net::{TcpStream, UdpSocket};

use vs_core::ident::{GroupKey, GroupName, Identity};
use vs_core::member::server::Note;
use vs_core::seal::Keys;
use vs_core::status::NodeStatus;
use vs_core::trace::Tracer;
use vs_core::{
    Action, BlockOkError, GroupConfig, JoinError, Node, NoteError, SendError, Sent, Time,
};

use crate::clock::Clock;
use crate::datagrams::Datagrams;
use crate::embedded::{EmbeddedServer, Membership};
use crate::faults::Faults;
use crate::keys;
use crate::link::Link;
use crate::name::ServerName;
use crate::server::{self, LookupFailure, Source};
use crate::udp::{Granted, SetupError, SmallBuffers, UdpConfig, Which};
use crate::unheard::{MissingUnicast, NarrowPath, Unheard};
use crate::watch::{AddressNote, Watch};

pub use crate::datagrams::IoCounters;
pub use crate::link::{ConnectFailure, LinkStatus};
pub use crate::open_error::OpenError;
pub use crate::overflow::Overflow;
use crate::owner::Owner;
pub use config::{DATAGRAM_BYTES_IPV6, DriverConfig};
pub use port::DriverPort;
use wipe::Wiper;

/// A socket that is new, for a loop that has to know it.
#[derive(Clone, Copy, Debug)]
pub enum Opened<'a> {
    /// A connection to a membership server: [`Driver::stream`].
    Stream(&'a TcpStream),
    /// A socket for datagrams in place of another: [`Driver::udp_socket`].
    Udp(Which, &'a UdpSocket),
    /// One of the server inside.
    Embedded(server::Opened<'a>),
}

/// A [`Node`] with its sockets, a clock, and the membership server inside, if its [`Membership`]
/// asks for one. The loop around it waits. In each round the loop
///
/// 1. waits for [`Driver::udp_socket`], [`Driver::stream`] and the sockets of [`Driver::embedded`],
///    for at most [`Driver::timeout`];
/// 2. says what is ready with [`Driver::handle_udp`], [`Driver::handle_stream`] and
///    [`Driver::handle_embedded`];
/// 3. calls [`Driver::advance`];
/// 4. polls actions, as many as the application wants to hear, and gives commands; then calls
///    [`Driver::flush`].
///
/// Readiness is remembered until the kernel said that it ended, so a loop may wait for edges.
#[derive(Debug)]
pub struct Driver<T: Tracer = ()> {
    node: Node<T>,
    /// The process whose sockets these are.
    owner: Owner,
    /// Whether it was found that this is another one.
    forked: bool,
    clock: Clock,
    /// The time of the last [`Driver::advance`] or [`Driver::flush`]: good enough for a send and a
    /// delivery in between, and no clock is read for each.
    now: Time,
    datagrams: Datagrams,
    datagram_bytes: usize,
    /// With what the sockets were opened.
    udp: UdpConfig,
    watch: Watch,
    address_note: Option<AddressNote>,
    /// The connection to servers that were named; without any if there is a server inside.
    link: Link,
    embedded: Option<Box<EmbeddedServer>>,
    /// Whether views come from a source of the application's own.
    is_external: bool,
    /// Whether the application has asked for actions until there was none since the last
    /// [`Driver::advance`].
    heard_all: bool,
    /// Where there are keys.
    wiper: Option<Wiper>,
}

/// While the kernel has no room for datagrams, what is due to be sent stays due: the loop looks at
/// its other times so often, and is woken when there is room.
const BLOCKED_WAIT: Duration = Duration::from_millis(5);

impl<T: Tracer> Driver<T> {
    /// Opens the sockets and makes the node. Nothing is sent before [`Driver::advance`].
    ///
    /// # Errors
    /// Says which socket or which field of `config` is at fault.
    pub fn new(mut config: DriverConfig, tracer: T) -> Result<Self, OpenError> {
        config.node.validate().map_err(OpenError::Config)?;
        let deployment = config.node.client.deployment.clone();
        let keys = config.keys.take().map(|keys| keys::with_fresh_seed(&keys)).transpose();
        let mut keys = keys.map_err(OpenError::NoRandomNumbers)?;
        let (mut servers, mut embedded) = (Vec::new(), None);
        match &config.membership {
            Membership::Servers(named) if named.is_empty() => return Err(OpenError::NoServers),
            Membership::Servers(named) => servers.clone_from(named),
            Membership::Embedded(inside) => {
                let keys = keys.as_mut().map(Keys::fork);
                let here = (&config.udp, &config.clock);
                let server = EmbeddedServer::open(inside, config.process, deployment, here, keys)?;
                embedded = Some(Box::new(server));
            }
            Membership::External => {}
        }
        let datagrams = open_datagrams(&mut config).map_err(OpenError::Setup)?;
        let datagram_bytes = config.node.datagram_bytes;
        if let (Membership::Embedded(inside), Some(server)) = (&config.membership, &mut embedded) {
            server.open_beacons(inside, &config.udp)?;
        }
        let identity = Identity {
            process: config.process,
            incarnation: config.incarnation,
            addr: datagrams.local_addr(),
            seed: config.seed,
        };
        let servers_count = servers.len() + usize::from(embedded.is_some());
        let mut node =
            Node::new(config.node, identity, servers_count, tracer).map_err(OpenError::Config)?;
        if let Some(keys) = keys {
            node.set_keys(keys).map_err(OpenError::Config)?;
        }
        let wiper = node.has_keys().then(Wiper::default);
        let link = Link::new(servers);
        let (clock, now) = (config.clock, config.clock.now());
        let is_external = matches!(config.membership, Membership::External);
        Ok(Self {
            node,
            owner: Owner::here(),
            forked: false,
            clock,
            now,
            datagrams,
            datagram_bytes,
            watch: Watch::new(&config.udp),
            udp: config.udp,
            address_note: None,
            link,
            embedded,
            is_external,
            heard_all: false,
            wiper,
        })
    }

    /// Leaves a rule of the algorithm out of each group that is joined from now on.
    #[cfg(feature = "mutants")]
    pub fn leave_out(&mut self, rule: vs_core::rule::Rule) {
        self.node.leave_out(rule);
    }

    /// A socket of datagrams has something to read. It is read by [`Driver::advance`].
    pub fn handle_udp(&mut self, which: Which) {
        self.datagrams.mark_readable(which);
    }

    /// The connection to the server can be read or written, or has come up or failed (both). What
    /// there is to read is read by [`Driver::advance`].
    pub fn handle_stream(&mut self, readable: bool, writable: bool) {
        self.link.handle_ready(&mut self.node, self.clock.now(), readable, writable);
    }

    /// A socket of the server inside can be read or written, or has failed (both).
    pub fn handle_embedded(&mut self, source: Source, readable: bool, writable: bool) {
        if let Some(embedded) = &mut self.embedded {
            embedded.driver_mut().handle_ready(source, readable, writable);
        }
    }

    /// How long a loop may wait: until the node has something to do, also for an application that
    /// has heard everything in this round, and for which commands or a flush then made more (one
    /// that does not ask for actions has no use for a round). `None`: until a socket is ready.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        if self.has_backlog() || (self.heard_all && self.node.has_action()) {
            return Some(Duration::ZERO);
        }
        let node = self.node.poll_timeout().map(|(at, _)| {
            wait(Duration::from_nanos(at - self.clock.now()), self.has_udp_waiting())
        });
        let embedded = self.embedded.as_ref().and_then(|embedded| embedded.driver().timeout());
        let look = Duration::from_nanos(self.watch.poll_timeout() - self.clock.now());
        node.into_iter().chain(self.link.timeout()).chain(embedded).chain([look]).min()
    }

    /// Whether something was left unread for fairness. It is read by the next [`Driver::advance`],
    /// and [`Driver::timeout`] is zero until then.
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        let inside = self.embedded.as_ref().is_some_and(|embedded| embedded.has_word_inside());
        self.datagrams.has_backlog() || self.link.has_backlog() || inside
    }

    /// Reads what arrived, within bounds, lets time pass, and writes what follows. Returns when
    /// there is nothing more to write, or no room in the kernel. A socket that is new is shown
    /// to `opened`, for a loop that has to know it; an error of `opened` counts as one of
    /// connecting.
    pub fn advance(&mut self, mut opened: impl FnMut(Opened<'_>) -> io::Result<()>) {
        if self.look_for_fork() {
            return;
        }
        self.heard_all = false;
        if let Some(embedded) = &mut self.embedded {
            let opened = |inside: server::Opened<'_>| opened(Opened::Embedded(inside));
            embedded.driver_mut().advance(opened);
        }
        let now = self.look_at_clock();
        self.look_at_addresses(now, &mut opened);
        self.datagrams.look_for_overflow(now);
        for which in [Which::Multicast, Which::Unicast] {
            self.datagrams.read(&mut self.node, now, which);
        }
        self.link.read(&mut self.node, now);
        if let Some(embedded) = &mut self.embedded {
            embedded.exchange(&mut self.node, now);
        }
        if self.node.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.node.handle_timeout(now);
        }
        self.write(opened);
        if let Some(wiper) = &mut self.wiper {
            wiper.look(now);
        }
    }

    /// Whether [`Driver::advance`] or [`Driver::flush`] found that this process was forked from the
    /// one that opened the sockets. That one goes on; here nothing is read or written any more.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        self.forked
    }

    /// [`Driver::is_forked`], looked at now.
    pub(crate) fn look_for_fork(&mut self) -> bool {
        self.forked |= self.owner.is_elsewhere();
        self.forked
    }

    /// Reads what multicasts there are, within bounds, without being told that there are any: for a
    /// loop that looks again and again. Whether something came; then [`Driver::advance`] answers
    /// it.
    pub fn read_multicasts(&mut self) -> bool {
        let before = self.datagrams.counters().received;
        self.datagrams.mark_readable(Which::Multicast);
        let now = self.look_at_clock();
        self.datagrams.read(&mut self.node, now, Which::Multicast);
        self.datagrams.counters().received != before
    }

    /// Writes what follows from commands and from what the application heard, as
    /// [`Driver::advance`] does. Reads nothing: what a loop reads after it asked for actions, its
    /// application would hear when something wakes it again.
    pub fn flush(&mut self, opened: impl FnMut(Opened<'_>) -> io::Result<()>) {
        if !self.look_for_fork() {
            self.write(opened);
        }
    }

    fn write(&mut self, mut opened: impl FnMut(Opened<'_>) -> io::Result<()>) {
        let now = self.look_at_clock();
        while let Some(command) = self.node.poll_link() {
            match &mut self.embedded {
                Some(embedded) => embedded.command(&mut self.node, now, command),
                None => self.link.command(&mut self.node, now, command),
            }
        }
        if let Some(embedded) = &mut self.embedded {
            embedded.exchange(&mut self.node, now);
            if embedded.take_carried() {
                let opened = |inside: server::Opened<'_>| opened(Opened::Embedded(inside));
                embedded.driver_mut().flush_inside(opened);
            }
        }
        self.link.dial(&mut self.node, now, &mut |stream| opened(Opened::Stream(stream)));
        self.link.write(&mut self.node, now);
        self.datagrams.write(&mut self.node, now);
    }

    fn look_at_clock(&mut self) -> Time {
        self.now = self.clock.now();
        self.now
    }

    /// The time of the last look at the clock; a trace wants it exactly.
    fn recent_time(&mut self) -> Time {
        if self.node.tracer_mut().enabled() { self.look_at_clock() } else { self.now }
    }

    /// A socket of datagrams, to wait for; the one for multicasts is missing with
    /// [`crate::udp::UdpConfig::unicast`].
    #[must_use]
    pub fn udp_socket(&self, which: Which) -> Option<&UdpSocket> {
        self.datagrams.socket(which)
    }

    /// Whether datagrams wait until the unicast socket is writable.
    #[must_use]
    pub fn has_udp_waiting(&self) -> bool {
        self.datagrams.is_waiting()
    }

    /// The connection to the server, up or coming up, to wait for. There is none to a server
    /// inside.
    #[must_use]
    pub fn stream(&self) -> Option<&TcpStream> {
        self.link.stream()
    }

    /// Whether the connection is worth waiting for until it is writable.
    #[must_use]
    pub fn has_stream_waiting(&self) -> bool {
        self.link.is_waiting()
    }

    /// What the application has to hear next. What it does not ask for stays in the node, and the
    /// senders wait.
    pub fn poll_action(&mut self) -> Option<Action<'_>> {
        let now = self.recent_time();
        let action = self.node.poll_action(now);
        self.heard_all = action.is_none();
        if let Some(action) = &action
            && !matches!(action, Action::Deliver { .. })
        {
            log::action(action);
        }
        action
    }

    /// See [`Node::join`], and with [`Membership::External`] [`Node::join_external`].
    ///
    /// # Errors
    /// As there.
    pub fn join(&mut self, group: &GroupName, config: GroupConfig) -> Result<GroupKey, JoinError> {
        match self.is_external {
            true => self.node.join_external(self.clock.now(), group, config),
            false => self.node.join(self.clock.now(), group, config),
        }
    }

    /// See [`Node::leave`].
    pub fn leave(&mut self, group: GroupKey) -> bool {
        self.node.leave(self.clock.now(), group)
    }

    /// See [`Node::send`]. The message goes out with the next [`Driver::advance`].
    ///
    /// # Errors
    /// As there.
    pub fn send(&mut self, group: GroupKey, payload: &[u8]) -> Result<Sent, SendError> {
        let now = self.recent_time();
        self.node.send(now, group, payload)
    }

    /// See [`Node::block_ok`].
    ///
    /// # Errors
    /// As there.
    pub fn block_ok(&mut self, group: GroupKey) -> Result<(), BlockOkError> {
        self.node.block_ok(self.clock.now(), group)
    }

    /// See [`Node::set_note`].
    ///
    /// # Errors
    /// As there.
    pub fn set_note(&mut self, group: GroupKey, note: vs_core::Note) -> Result<(), NoteError> {
        self.node.set_note(group, note)
    }

    /// Whether bytes still wait to be written to the membership server, and can be.
    #[must_use]
    pub fn has_stream_output(&self) -> bool {
        self.link_status().server.is_some() && !self.node.stream_output().is_empty()
    }

    /// How the connection to the membership service fares.
    #[must_use]
    pub fn link_status(&self) -> &LinkStatus {
        self.embedded.as_ref().map_or(self.link.status(), |embedded| embedded.link_status())
    }

    /// The membership servers.
    #[must_use]
    pub fn servers(&self) -> &[ServerName] {
        self.embedded.as_ref().map_or(self.link.servers(), |embedded| embedded.names())
    }

    /// The server inside, with [`Membership::Embedded`].
    #[must_use]
    pub fn embedded(&self) -> Option<&EmbeddedServer> {
        self.embedded.as_deref()
    }

    /// The next note of the server inside for the operator.
    pub fn poll_note(&mut self) -> Option<Note> {
        self.embedded.as_mut()?.poll_note()
    }

    /// A peer of the server inside whose name cannot be looked up; told once until a lookup
    /// succeeds.
    pub fn poll_lookup_failure(&mut self) -> Option<LookupFailure> {
        self.embedded.as_mut()?.poll_lookup_failure()
    }

    /// Why the system did not accept a connection to the server inside. It is told once until one
    /// is accepted, and at most once a second.
    pub fn poll_accept_failure(&mut self) -> Option<io::Error> {
        self.embedded.as_mut()?.poll_accept_failure()
    }

    /// What the sockets counted.
    #[must_use]
    pub fn io_counters(&self) -> &IoCounters {
        self.datagrams.counters()
    }

    /// Bytes of a full datagram: [`vs_core::NodeConfig::datagram_bytes`], or what the interface
    /// takes if that is less ([`DriverConfig::fit_datagrams`]). A group may use less.
    #[must_use]
    pub fn datagram_bytes(&self) -> usize {
        self.datagram_bytes
    }

    /// What the system granted for the sockets' buffers.
    #[must_use]
    pub fn granted(&self) -> Granted {
        self.datagrams.granted()
    }

    /// What to tell an operator, if the system granted less for received datagrams than was asked
    /// for.
    #[must_use]
    pub fn small_buffers(&self) -> Option<SmallBuffers> {
        self.datagrams.small_buffers()
    }

    /// What to tell an operator, if the system dropped datagrams since this process read them too
    /// late; the number grows with each further one.
    #[must_use]
    pub fn overflow(&self) -> Option<Overflow> {
        self.datagrams.overflow()
    }

    /// What to tell an operator, if members hear no multicasts of this node and are sent copies by
    /// unicast instead.
    #[must_use]
    pub fn unheard(&self, group: GroupKey) -> Option<Unheard> {
        let by = self.node.unheard_by(group);
        (!by.is_empty() && self.datagrams.multicasts()).then(|| Unheard { by: by.into() })
    }

    /// What to tell an operator, if multicasts of members arrive and what they send to this node
    /// alone does not.
    #[must_use]
    pub fn missing_unicast(&self, group: GroupKey) -> Option<MissingUnicast> {
        let from = self.node.unicast_missing_from(group);
        (!from.is_empty()).then(|| MissingUnicast { from: from.into(), at: self.local_addr() })
    }

    /// What to tell an operator, if full datagrams do not come through to all members.
    #[must_use]
    pub fn narrow_path(&self, group: GroupKey) -> Option<NarrowPath> {
        let (bytes, members) = self.node.narrow_path(group)?;
        Some(NarrowPath { bytes, members: members.into() })
    }

    /// What to tell an operator, if a process sends datagrams of another version to this one.
    #[must_use]
    pub fn other_version(&self) -> Option<vs_core::OtherVersion> {
        self.node.other_version()
    }

    /// The first process that was heard to seal otherwise than this one, for an operator to know.
    #[must_use]
    pub fn other_keys(&self) -> Option<vs_core::OtherKeys> {
        self.node.other_keys()
    }

    /// What to tell an operator, if somebody sends datagrams in the name of this process.
    #[must_use]
    pub fn impostor(&self) -> Option<vs_core::Impostor> {
        self.node.impostor()
    }

    /// What datagrams are lost on purpose from now on: see [`Faults`].
    pub fn set_faults(&mut self, faults: Faults) {
        self.datagrams.set_faults(faults);
    }

    /// Where peers reach this node.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.datagrams.local_addr()
    }

    /// The time that the node sees.
    #[must_use]
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// The time when the clock was looked at last: of the last [`Driver::advance`] or
    /// [`Driver::flush`], or later.
    #[must_use]
    pub fn recent(&self) -> Time {
        self.now
    }

    /// What the node sees now, for operators.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        let mut status = self.node.status(self.link_status().server);
        status.overflowed = self.datagrams.counters().overflowed;
        status
    }

    /// The node, to look at.
    #[must_use]
    pub fn node(&self) -> &Node<T> {
        &self.node
    }

    /// The tracer.
    pub fn tracer_mut(&mut self) -> &mut T {
        self.node.tracer_mut()
    }
}

/// Opens the sockets for datagrams of the length that is configured, or if it may be less, of one
/// that the interface takes.
fn open_datagrams(config: &mut DriverConfig) -> Result<Datagrams, SetupError> {
    match Datagrams::open(&config.udp, config.node.datagram_bytes) {
        Err(SetupError::DatagramTooLong { fits: Some(fits), .. }) if config.fit_datagrams => {
            config.node.datagram_bytes = fits;
            Datagrams::open(&config.udp, fits)
        }
        opened => opened,
    }
}

/// How long to wait for a time that is `left` ahead, while datagrams wait for room in the kernel or
/// not.
fn wait(left: Duration, is_blocked: bool) -> Duration {
    if is_blocked { left.max(BLOCKED_WAIT) } else { left }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_socket_does_not_spin_the_loop() {
        assert_eq!(wait(Duration::ZERO, true), BLOCKED_WAIT);
        assert_eq!(wait(Duration::ZERO, false), Duration::ZERO);
        assert_eq!(wait(2 * BLOCKED_WAIT, true), 2 * BLOCKED_WAIT);
    }
}
