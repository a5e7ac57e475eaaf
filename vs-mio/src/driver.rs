//! A node with its sockets, for any loop around a [`mio::Poll`].

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::io;

use mio::event::Event;
use mio::{Registry, Token};
use vs_core::ident::{GroupKey, GroupName, Incarnation, ProcessId};
use vs_core::trace::Tracer;
use vs_core::{
    Action, BlockOkError, ConfigError, GroupConfig, Identity, JoinError, Node, NodeConfig,
    SendError, Sent, Time,
};
use vs_std::clock::Clock;
use vs_std::udp::{SetupError, UdpConfig, Which};

use crate::datagrams::{Datagrams, IoCounters};
use crate::link::{Link, LinkStatus};

/// Who a driver's node is, and where it finds the others.
#[derive(Clone, Debug)]
pub struct DriverConfig {
    /// Bounds and times of the node.
    pub node: NodeConfig,
    /// The process id, the same after every recovery.
    pub process: ProcessId,
    /// Grows with every start of the process: for example milliseconds of UNIX time.
    pub incarnation: Incarnation,
    /// Seed of the node's random choices.
    pub seed: u64,
    /// The membership servers.
    pub servers: Vec<SocketAddr>,
    /// The sockets for datagrams.
    pub udp: UdpConfig,
    /// The clock that the node sees; a trace of UNIX times has to know when it began.
    pub clock: Clock,
}

/// The tokens of a driver's sockets in the [`mio::Poll`] of its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// The socket that hears the multicast group.
    pub multicast: Token,
    /// The socket that everything is sent from, and that peers reach.
    pub unicast: Token,
    /// The connection to a membership server.
    pub server: Token,
}

/// Why a driver cannot be made: one sentence that says what to do.
#[derive(Debug)]
pub enum OpenError {
    /// The sockets could not be set up.
    Setup(SetupError),
    /// The configuration cannot be used.
    Config(ConfigError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setup(error) => error.fmt(f),
            Self::Config(error) => write!(f, "the configuration cannot be used: {error}"),
        }
    }
}

impl core::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Setup(error) => Some(error),
            Self::Config(error) => Some(error),
        }
    }
}

/// A [`Node`] with its sockets and a clock. See the crate's documentation for how it is driven.
#[derive(Debug)]
pub struct Driver<T: Tracer = ()> {
    node: Node<T>,
    clock: Clock,
    datagrams: Datagrams,
    link: Link,
    place: Option<(Registry, Tokens)>,
}

impl<T: Tracer> Driver<T> {
    /// Opens the sockets and makes the node. Nothing is sent before [`Driver::register`].
    ///
    /// # Errors
    /// Says which socket or which field of `config` is at fault.
    pub fn new(config: DriverConfig, tracer: T) -> Result<Self, OpenError> {
        config.node.validate().map_err(OpenError::Config)?;
        let datagrams =
            Datagrams::open(&config.udp, config.node.datagram_bytes).map_err(OpenError::Setup)?;
        let identity = Identity {
            process: config.process,
            incarnation: config.incarnation,
            addr: datagrams.local_addr(),
            seed: config.seed,
        };
        let node = Node::new(config.node, identity, config.servers.len(), tracer)
            .map_err(OpenError::Config)?;
        let link = Link::new(config.servers);
        Ok(Self { node, clock: config.clock, datagrams, link, place: None })
    }

    /// Registers the sockets; takes them out of another registry, if they are in one.
    ///
    /// # Errors
    /// The system's; the sockets may be registered in part.
    pub fn register(&mut self, registry: &Registry, tokens: Tokens) -> io::Result<()> {
        self.deregister()?;
        // A copy is kept for the connections to come.
        let copy = registry.try_clone()?;
        self.datagrams.register(registry, tokens.unicast, tokens.multicast)?;
        self.link.register(registry, tokens.server)?;
        self.place = Some((copy, tokens));
        Ok(())
    }

    /// Takes the sockets out of the registry.
    ///
    /// # Errors
    /// The system's.
    pub fn deregister(&mut self) -> io::Result<()> {
        let Some((registry, _)) = self.place.take() else { return Ok(()) };
        self.datagrams.deregister(&registry)?;
        self.link.deregister(&registry)
    }

    /// Takes an event of the poll and reads what it announces, within bounds. False if it belongs to somebody else.
    pub fn handle_event(&mut self, event: &Event) -> bool {
        let now = self.clock.now();
        let Some((registry, tokens)) = &self.place else { return false };
        let token = event.token();
        if token == tokens.unicast || token == tokens.multicast {
            // What waits to be written is tried with every call of `advance`.
            let which = if token == tokens.unicast { Which::Unicast } else { Which::Multicast };
            if event.is_readable() || event.is_error() {
                self.datagrams.mark_readable(which);
                self.datagrams.read(&mut self.node, now, which);
            }
        } else if token == tokens.server {
            self.link.handle_event(&mut self.node, now, event, registry);
            self.link.read(&mut self.node, now, registry);
        } else {
            return false;
        }
        true
    }

    /// How long a poll may last: until the node has something to do. `None`: until an event.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        if self.has_backlog() {
            return Some(Duration::ZERO);
        }
        let (at, _) = self.node.poll_timeout()?;
        Some(Duration::from_nanos(at - self.clock.now()))
    }

    /// Whether something was left unread for fairness. It is read by the next [`Driver::advance`], and
    /// [`Driver::timeout`] is zero until then.
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        self.datagrams.has_backlog() || self.link.has_backlog()
    }

    /// Reads what was left, lets time pass, and writes what follows. Returns when there is nothing more to write, or
    /// no room in the kernel.
    pub fn advance(&mut self) {
        let now = self.clock.now();
        let Some((registry, tokens)) = &self.place else { return };
        for which in [Which::Multicast, Which::Unicast] {
            self.datagrams.read(&mut self.node, now, which);
        }
        self.link.read(&mut self.node, now, registry);
        if self.node.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.node.handle_timeout(now);
        }
        while let Some(command) = self.node.poll_link() {
            self.link.command(&mut self.node, now, command, (registry, tokens.server));
        }
        self.link.write(&mut self.node, now, registry);
        self.datagrams.write(&mut self.node, now);
    }

    /// What the application has to hear next. What it does not ask for stays in the node, and the senders wait.
    pub fn poll_action(&mut self) -> Option<Action<'_>> {
        self.node.poll_action(self.clock.now())
    }

    /// See [`Node::join`].
    ///
    /// # Errors
    /// As there.
    pub fn join(&mut self, group: &GroupName, config: GroupConfig) -> Result<GroupKey, JoinError> {
        self.node.join(self.clock.now(), group, config)
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
        self.node.send(self.clock.now(), group, payload)
    }

    /// See [`Node::block_ok`].
    ///
    /// # Errors
    /// As there.
    pub fn block_ok(&mut self, group: GroupKey) -> Result<(), BlockOkError> {
        self.node.block_ok(self.clock.now(), group)
    }

    /// Whether bytes still wait to be written to the membership server, and can be.
    #[must_use]
    pub fn has_stream_output(&self) -> bool {
        self.link.status().server.is_some() && !self.node.stream_output().is_empty()
    }

    /// How the connection to the membership service fares.
    #[must_use]
    pub fn link_status(&self) -> &LinkStatus {
        self.link.status()
    }

    /// The membership servers.
    #[must_use]
    pub fn servers(&self) -> &[SocketAddr] {
        self.link.servers()
    }

    /// What the sockets counted.
    #[must_use]
    pub fn io_counters(&self) -> &IoCounters {
        self.datagrams.counters()
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
