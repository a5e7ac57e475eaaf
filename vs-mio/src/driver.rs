//! A node with its sockets, for any loop around a [`mio::Poll`].

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::net::TcpStream;
use std::os::fd::{AsRawFd, RawFd};

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use vs_core::ident::{Cid, GroupKey, GroupName, ProcessId};
use vs_core::member::server::Note;
use vs_core::member::{MembershipError, MembershipRequest, Peer};
use vs_core::replica::Port;
use vs_core::seal::{Keys, Secret};
use vs_core::status::NodeStatus;
use vs_core::trace::Tracer;
use vs_core::{
    Action, BlockOkError, DirectError, GroupConfig, JoinError, Node, NoteError, SendError, Sent,
    Time, View,
};
use vs_std::driver::{
    self, DriverConfig, DriverPort, IoCounters, LinkStatus, OpenError, Opened, Overflow,
};
use vs_std::faults::Faults;
use vs_std::keys::KeysError;
use vs_std::server::LookupFailure;
use vs_std::udp::{Granted, SmallBuffers, Which};
use vs_std::unheard::{MissingUnicast, NarrowPath, Unheard};
use vs_std::{AddressNote, EmbeddedServer, ServerName};

use crate::serve::Place;

/// The tokens of a driver's sockets in the [`mio::Poll`] of its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// The socket that hears the multicast group.
    pub multicast: Token,
    /// The socket that everything is sent from, and that peers reach.
    pub unicast: Token,
    /// The connection to a membership server.
    pub server: Token,
    /// The sockets of the membership server inside, with [`vs_std::Membership::Embedded`]: all
    /// tokens from this one on. Those of others have to be lower.
    pub embedded: Token,
}

impl Tokens {
    /// The tokens from `base` on: three, and where there is a membership server inside, all the
    /// others.
    #[must_use]
    pub fn from_base(base: Token) -> Self {
        let at = |offset| Token(base.0 + offset);
        Self { multicast: base, unicast: at(1), server: at(2), embedded: at(3) }
    }
}

/// A [`Node`] with its sockets and a clock. See the crate's documentation for how it is driven.
#[derive(Debug)]
pub struct Driver<T: Tracer = ()> {
    inner: driver::Driver<T>,
    place: Option<(Registry, Tokens)>,
}

impl<T: Tracer> Driver<T> {
    /// Opens the sockets and makes the node. Nothing is sent before [`Driver::register`].
    ///
    /// # Errors
    /// Says which socket or which field of `config` is at fault.
    pub fn new(config: DriverConfig, tracer: T) -> Result<Self, OpenError> {
        Ok(Self { inner: driver::Driver::new(config, tracer)?, place: None })
    }

    /// Registers the sockets; takes them out of another registry, if they are in one.
    ///
    /// # Errors
    /// The system's; the sockets may be registered in part.
    pub fn register(&mut self, registry: &Registry, tokens: Tokens) -> io::Result<()> {
        self.deregister()?;
        // A copy is kept for the connections to come.
        let copy = registry.try_clone()?;
        for which in [Which::Unicast, Which::Multicast] {
            if let Some(fd) = self.udp_fd(which) {
                register_udp(registry, tokens, which, fd)?;
            }
        }
        if let Some(stream) = self.inner.stream() {
            register_stream(registry, tokens, stream)?;
        }
        if let Some(server) = self.inner.embedded() {
            Place::new(tokens.embedded).register(registry, server.driver())?;
        }
        self.place = Some((copy, tokens));
        Ok(())
    }

    /// Takes the sockets out of the registry.
    ///
    /// # Errors
    /// The system's.
    pub fn deregister(&mut self) -> io::Result<()> {
        let Some((registry, tokens)) = self.place.take() else { return Ok(()) };
        if let Some(server) = self.inner.embedded() {
            Place::new(tokens.embedded).deregister(&registry, server.driver())?;
        }
        for fd in [Which::Unicast, Which::Multicast].into_iter().filter_map(|w| self.udp_fd(w)) {
            registry.deregister(&mut SourceFd(&fd))?;
        }
        match self.inner.stream() {
            Some(stream) => registry.deregister(&mut SourceFd(&stream.as_raw_fd())),
            None => Ok(()),
        }
    }

    fn udp_fd(&self, which: Which) -> Option<RawFd> {
        self.inner.udp_socket(which).map(AsRawFd::as_raw_fd)
    }

    /// Takes an event of the poll; what it announces is read by the next [`Driver::advance`]. False
    /// if it belongs to somebody else.
    pub fn handle_event(&mut self, event: &Event) -> bool {
        let Some((_, tokens)) = &self.place else { return false };
        let token = event.token();
        if token == tokens.unicast || token == tokens.multicast {
            // What waits to be written is tried with every call of `advance`.
            let which = if token == tokens.unicast { Which::Unicast } else { Which::Multicast };
            if event.is_readable() || event.is_error() {
                self.inner.handle_udp(which);
            }
        } else if token == tokens.server {
            let readable = event.is_readable() || event.is_read_closed() || event.is_error();
            self.inner.handle_stream(readable, event.is_writable());
        } else if self.inner.embedded().is_some()
            && let Some((source, readable, writable)) = Place::new(tokens.embedded).of(event)
        {
            self.inner.handle_embedded(source, readable, writable);
        } else {
            return false;
        }
        true
    }

    /// How long a poll may last: until the node has something to do. `None`: until an event.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.inner.timeout()
    }

    /// See [`driver::Driver::is_forked`].
    #[must_use]
    pub fn is_forked(&self) -> bool {
        self.inner.is_forked()
    }

    /// Whether something was left unread for fairness. It is read by the next [`Driver::advance`],
    /// and [`Driver::timeout`] is zero until then.
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        self.inner.has_backlog()
    }

    /// Reads what was left, lets time pass, and writes what follows. Returns when there is nothing
    /// more to write, or no room in the kernel.
    pub fn advance(&mut self) {
        let Some((registry, tokens)) = &self.place else { return };
        self.inner.advance(|opened| register_opened(registry, *tokens, opened));
    }

    /// Writes what follows from commands and from what the application heard; reads nothing.
    pub fn flush(&mut self) {
        let Some((registry, tokens)) = &self.place else { return };
        self.inner.flush(|opened| register_opened(registry, *tokens, opened));
    }

    /// What the application has to hear next. What it does not ask for stays in the node, and the
    /// senders wait.
    pub fn poll_action(&mut self) -> Option<Action<'_>> {
        self.inner.poll_action()
    }

    /// Leaves a rule of the algorithm out of each group that is joined from now on.
    #[cfg(feature = "mutants")]
    pub fn leave_out(&mut self, rule: vs_core::rule::Rule) {
        self.inner.leave_out(rule);
    }

    /// See [`driver::Driver::join`].
    ///
    /// # Errors
    /// As there.
    pub fn join(&mut self, group: &GroupName, config: GroupConfig) -> Result<GroupKey, JoinError> {
        self.inner.join(group, config)
    }

    /// See [`Node::poll_membership`].
    pub fn poll_membership(&mut self) -> Option<MembershipRequest> {
        self.inner.poll_membership()
    }

    /// See [`Node::handle_start_change`].
    ///
    /// # Errors
    /// As there.
    pub fn handle_start_change(
        &mut self,
        group: GroupKey,
        cid: Cid,
        peers: &[Peer],
    ) -> Result<(), MembershipError> {
        self.inner.handle_start_change(group, cid, peers)
    }

    /// See [`Node::handle_mbr_view`].
    ///
    /// # Errors
    /// As there.
    pub fn handle_mbr_view(
        &mut self,
        group: GroupKey,
        view: View,
        secret: Option<Secret>,
    ) -> Result<(), MembershipError> {
        self.inner.handle_mbr_view(group, view, secret)
    }

    /// See [`Node::handle_excluded`].
    ///
    /// # Errors
    /// As there.
    pub fn handle_excluded(&mut self, group: GroupKey) -> Result<(), MembershipError> {
        self.inner.handle_excluded(group)
    }

    /// See [`Node::leave`].
    pub fn leave(&mut self, group: GroupKey) -> bool {
        self.inner.leave(group)
    }

    /// See [`Node::send`]. The message goes out with the next [`Driver::flush`] or
    /// [`Driver::advance`].
    ///
    /// # Errors
    /// As there.
    pub fn send(&mut self, group: GroupKey, payload: &[u8]) -> Result<Sent, SendError> {
        self.inner.send(group, payload)
    }

    /// See [`Node::block_ok`].
    ///
    /// # Errors
    /// As there.
    pub fn block_ok(&mut self, group: GroupKey) -> Result<(), BlockOkError> {
        self.inner.block_ok(group)
    }

    /// See [`Node::send_direct`].
    ///
    /// # Errors
    /// As there.
    pub fn send_direct(
        &mut self,
        group: GroupKey,
        to: ProcessId,
        message: &[u8],
    ) -> Result<(), DirectError> {
        self.inner.send_direct(group, to, message)
    }

    /// See [`Node::poll_direct`].
    pub fn poll_direct(&mut self, group: GroupKey) -> Option<(ProcessId, &[u8])> {
        self.inner.poll_direct(group)
    }

    /// What a [`vs_core::replica::Replica`] needs of the group.
    pub fn port(&mut self, group: GroupKey) -> impl Port + '_ {
        DriverPort { driver: &mut self.inner, group }
    }

    /// See [`Node::set_note`].
    ///
    /// # Errors
    /// As there.
    pub fn set_note(&mut self, group: GroupKey, note: vs_core::Note) -> Result<(), NoteError> {
        self.inner.set_note(group, note)
    }

    /// Whether bytes still wait to be written to the membership server, and can be.
    #[must_use]
    pub fn has_stream_output(&self) -> bool {
        self.inner.has_stream_output()
    }

    /// How the connection to the membership service fares.
    #[must_use]
    pub fn link_status(&self) -> &LinkStatus {
        self.inner.link_status()
    }

    /// The membership servers.
    #[must_use]
    pub fn servers(&self) -> &[ServerName] {
        self.inner.servers()
    }

    /// The server inside, with [`vs_std::Membership::Embedded`].
    #[must_use]
    pub fn embedded(&self) -> Option<&EmbeddedServer> {
        self.inner.embedded()
    }

    /// The next note of the server inside for the operator.
    pub fn poll_note(&mut self) -> Option<Note> {
        self.inner.poll_note()
    }

    /// See [`driver::Driver::poll_address_note`].
    pub fn poll_address_note(&mut self) -> Option<AddressNote> {
        self.inner.poll_address_note()
    }

    /// See [`driver::Driver::poll_lookup_failure`].
    pub fn poll_lookup_failure(&mut self) -> Option<LookupFailure> {
        self.inner.poll_lookup_failure()
    }

    /// See [`driver::Driver::poll_accept_failure`].
    pub fn poll_accept_failure(&mut self) -> Option<io::Error> {
        self.inner.poll_accept_failure()
    }

    /// What the sockets counted.
    #[must_use]
    pub fn io_counters(&self) -> &IoCounters {
        self.inner.io_counters()
    }

    /// Bytes of a full datagram: see [`driver::Driver::datagram_bytes`].
    #[must_use]
    pub fn datagram_bytes(&self) -> usize {
        self.inner.datagram_bytes()
    }

    /// What the system granted for the sockets' buffers.
    #[must_use]
    pub fn granted(&self) -> Granted {
        self.inner.granted()
    }

    /// What to tell an operator, if the system granted less for received datagrams than was asked
    /// for.
    #[must_use]
    pub fn small_buffers(&self) -> Option<SmallBuffers> {
        self.inner.small_buffers()
    }

    /// What to tell an operator, if the system dropped datagrams since this process read them too
    /// late; the number grows with each further one.
    #[must_use]
    pub fn overflow(&self) -> Option<Overflow> {
        self.inner.overflow()
    }

    /// What to tell an operator, if members hear no multicasts of this node and are sent copies by
    /// unicast instead.
    #[must_use]
    pub fn unheard(&self, group: GroupKey) -> Option<Unheard> {
        self.inner.unheard(group)
    }

    /// What to tell an operator, if multicasts of members arrive and what they send to this node
    /// alone does not.
    #[must_use]
    pub fn missing_unicast(&self, group: GroupKey) -> Option<MissingUnicast> {
        self.inner.missing_unicast(group)
    }

    /// What to tell an operator, if full datagrams do not come through to all members.
    #[must_use]
    pub fn narrow_path(&self, group: GroupKey) -> Option<NarrowPath> {
        self.inner.narrow_path(group)
    }

    /// What to tell an operator, if a process sends datagrams of another version to this one.
    #[must_use]
    pub fn other_version(&self) -> Option<vs_core::OtherVersion> {
        self.inner.other_version()
    }

    /// The first process that was heard to seal otherwise than this one, for an operator to know.
    #[must_use]
    pub fn other_keys(&self) -> Option<vs_core::OtherKeys> {
        self.inner.other_keys()
    }

    /// What to tell an operator, if somebody sends datagrams in the name of this process.
    #[must_use]
    pub fn impostor(&self) -> Option<vs_core::Impostor> {
        self.inner.impostor()
    }

    /// See [`driver::Driver::set_keys`].
    ///
    /// # Errors
    /// As there.
    pub fn set_keys(&mut self, keys: &Keys) -> Result<(), KeysError> {
        self.inner.set_keys(keys)
    }

    /// See [`driver::Driver::set_faults`].
    pub fn set_faults(&mut self, faults: Faults) {
        self.inner.set_faults(faults);
    }

    /// Where peers reach this node.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.inner.local_addr()
    }

    /// The time that the node sees.
    #[must_use]
    pub fn now(&self) -> Time {
        self.inner.now()
    }

    /// What the node sees now, for operators.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        self.inner.status()
    }

    /// The node, to look at.
    #[must_use]
    pub fn node(&self) -> &Node<T> {
        self.inner.node()
    }

    /// The tracer.
    pub fn tracer_mut(&mut self) -> &mut T {
        self.inner.tracer_mut()
    }
}

fn register_opened(registry: &Registry, tokens: Tokens, opened: Opened<'_>) -> io::Result<()> {
    match opened {
        Opened::Stream(stream) => register_stream(registry, tokens, stream),
        Opened::Udp(which, socket) => register_udp(registry, tokens, which, socket.as_raw_fd()),
        Opened::Embedded(inside) => Place::new(tokens.embedded).register_opened(registry, inside),
    }
}

/// Closing the socket takes it out of the poll.
fn register_udp(registry: &Registry, tokens: Tokens, which: Which, fd: RawFd) -> io::Result<()> {
    let (token, interest) = match which {
        Which::Unicast => (tokens.unicast, Interest::READABLE | Interest::WRITABLE),
        Which::Multicast => (tokens.multicast, Interest::READABLE),
    };
    registry.register(&mut SourceFd(&fd), token, interest)
}

/// Closing the stream takes it out of the poll.
fn register_stream(registry: &Registry, tokens: Tokens, stream: &TcpStream) -> io::Result<()> {
    let both = Interest::READABLE | Interest::WRITABLE;
    registry.register(&mut SourceFd(&stream.as_raw_fd()), tokens.server, both)
}
