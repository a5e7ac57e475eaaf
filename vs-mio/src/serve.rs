//! A membership server with its sockets, for any loop around a [`mio::Poll`].

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use vs_core::member::DiscoveryConfig;
use vs_core::member::server::{ConnId, Note, Server};
use vs_core::{ConfigError, Time};
use vs_std::beacons::Beacons;
use vs_std::clock::Clock;

use crate::beacons::BeaconSource;

/// Connections that are accepted before the rest of the loop has its turn.
const ACCEPTS_MAX: usize = 64;
/// Reads of one connection before the others have their turn.
const READS_MAX: usize = 16;
/// Bytes of one read.
const READ_BYTES: usize = 64 * 1024;
/// How long a connection that the server closed may take for its last bytes, in ms.
const LINGER_MS: u64 = 500;
/// Such connections at a time, beside those that the server counts; one more ends the oldest at once.
const CLOSING_MAX: usize = 64;
/// Bytes that such connections may take up together before the oldest is ended at once. The newest may have more.
const CLOSING_BYTES_MAX: usize = 8 << 20;
/// Pause after the system had no room for a connection, in ms.
const ACCEPT_PAUSE_MS: u64 = 100;

#[derive(Debug)]
struct Conn {
    stream: TcpStream,
    slot: usize,
    /// Of a peer that this server connected to: where it is.
    dialled: Option<IpAddr>,
    readable: bool,
    writable: bool,
}

/// A connection to a peer that is being made.
#[derive(Debug)]
struct Dial {
    stream: TcpStream,
    slot: usize,
    addr: SocketAddr,
    /// It may be up, or have failed.
    settled: bool,
}

/// A connection that the server gave up: its last bytes go out, what still comes is thrown away.
#[derive(Debug)]
struct Closing {
    conn: Conn,
    output: Vec<u8>,
    written: usize,
    until: Time,
}

/// A [`Server`] with its listener and connections. Driven as a [`crate::Driver`], except that a round ends with
/// [`ServerDriver::poll_note`].
#[derive(Debug)]
pub struct ServerDriver {
    server: Server,
    clock: Clock,
    listener: TcpListener,
    acceptable: bool,
    accept_from: Time,
    place: Option<(Registry, Token, Token)>,
    conns: BTreeMap<ConnId, Conn>,
    dials: BTreeMap<ConnId, Dial>,
    beacons: Option<BeaconSource>,
    /// The oldest first.
    closing: VecDeque<Closing>,
    /// Connections by the offset of their tokens from the base.
    slots: Vec<Option<ConnId>>,
    next: u64,
    cut_off: Option<IpAddr>,
    buffer: Vec<u8>,
    accept_errors: u64,
}

impl ServerDriver {
    /// Listens at `listen`; port 0: one that the system chooses.
    ///
    /// # Errors
    /// The system's.
    pub fn new(server: Server, listen: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            server,
            clock: Clock::new(),
            listener: TcpListener::bind(listen)?,
            acceptable: true,
            accept_from: Time::ZERO,
            place: None,
            conns: BTreeMap::new(),
            dials: BTreeMap::new(),
            beacons: None,
            closing: VecDeque::new(),
            slots: Vec::new(),
            next: 0,
            cut_off: None,
            buffer: vec![0; READ_BYTES],
            accept_errors: 0,
        })
    }

    /// Where the server listens.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Registers the listener; connections get the tokens from `base` on, as many as there are at a time. Once only.
    ///
    /// # Errors
    /// The system's.
    pub fn register(
        &mut self,
        registry: &Registry,
        listener: Token,
        base: Token,
    ) -> io::Result<()> {
        registry.register(&mut self.listener, listener, Interest::READABLE)?;
        self.place = Some((registry.try_clone()?, listener, base));
        Ok(())
    }

    /// Connects to the server at `addr`, again and again until it is there, and again whenever it is lost; with the next
    /// [`ServerDriver::advance`]. May be called at any time. False if there are as many addresses as there may be
    /// ([`vs_core::member::ServerConfig::peers_max`]).
    pub fn add_peer(&mut self, addr: SocketAddr) -> bool {
        self.server.add_peer(self.clock.now(), addr)
    }

    /// Connects to `addr` no more. A connection that is up stays until it ends.
    pub fn remove_peer(&mut self, addr: SocketAddr) {
        self.server.remove_peer(addr);
        self.drop_dial(addr);
    }

    /// Looks for other servers of the deployment, which reach this one at `listen`; see [`Server::discover`].
    ///
    /// # Errors
    /// Names the field of `config` that cannot be used.
    pub fn discover(
        &mut self,
        config: DiscoveryConfig,
        listen: SocketAddr,
        seed: u64,
    ) -> Result<(), ConfigError> {
        self.server.discover(self.clock.now(), config, listen, seed)
    }

    /// Sends beacons and hears those of the others, under a token in `registry`.
    ///
    /// # Errors
    /// The system's.
    pub fn hear_beacons(
        &mut self,
        registry: &Registry,
        beacons: Beacons,
        token: Token,
    ) -> io::Result<()> {
        self.beacons = Some(BeaconSource::register(registry, beacons, token)?);
        Ok(())
    }

    /// Ends the connections that were made to peers at `addr` and makes no more, as if the network were parted; `None`:
    /// connects to all again. What comes from there is for the server there to cut off. For demonstrations and tests.
    pub fn cut_off(&mut self, addr: Option<IpAddr>) {
        self.cut_off = addr;
        let now = self.clock.now();
        let there = |conn: &Conn| conn.dialled.is_some() && conn.dialled == addr;
        let conns = self.conns.iter().filter(|(_, conn)| there(conn)).map(|(id, _)| *id);
        for id in conns.collect::<Vec<_>>() {
            self.lost(now, id);
        }
        for dial in self.dials.values_mut() {
            dial.settled |= addr == Some(dial.addr.ip());
        }
    }

    /// Takes an event of the poll. False if it belongs to somebody else.
    pub fn handle_event(&mut self, event: &Event) -> bool {
        let Some(&(_, listener, base)) = self.place.as_ref() else { return false };
        let token = event.token();
        if token == listener {
            self.acceptable = true;
            return true;
        }
        if self.beacons.as_mut().is_some_and(|beacons| beacons.handle_event(token)) {
            return true;
        }
        let slot = token.0.checked_sub(base.0).and_then(|at| self.slots.get(at));
        let Some(&slot) = slot else { return false };
        // An empty slot: an event of a connection that ended meanwhile.
        let Some(id) = slot else { return true };
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
            conn.writable |= event.is_writable();
        } else if let Some(dial) = self.dials.get_mut(&id) {
            dial.settled |= event.is_writable() || event.is_error();
        }
        true
    }

    /// How long a poll may last. `None`: until an event.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        if self.has_backlog() {
            return Some(Duration::ZERO);
        }
        let accept = self.acceptable.then_some(self.accept_from);
        let linger = self.closing.front().map(|closing| closing.until);
        let at = self.server.poll_timeout().into_iter().chain(accept).chain(linger).min()?;
        Some(Duration::from_nanos(at - self.clock.now()))
    }

    /// Whether something was left unread for fairness.
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        let beacons = self.beacons.as_ref().is_some_and(BeaconSource::has_backlog);
        beacons || self.conns.values().any(|conn| conn.readable)
    }

    /// Accepts and reads what is there, within bounds, lets time pass, and writes what follows.
    pub fn advance(&mut self) {
        let now = self.clock.now();
        self.accept(now);
        self.settle_dials(now);
        if let Some(beacons) = &mut self.beacons {
            beacons.read(&mut self.server, now);
        }
        let readable = self.conns.iter().filter(|(_, conn)| conn.readable);
        for id in readable.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.read(now, id);
        }
        if self.server.poll_timeout().is_some_and(|at| at <= now) {
            self.server.handle_timeout(now);
        }
        if let Some(beacons) = &self.beacons {
            beacons.write(&mut self.server);
        }
        self.dial(now);
        while let Some(id) = self.server.poll_output() {
            self.write(now, id);
        }
        // Those that had no room when they were named, and have it now.
        let waiting = self
            .conns
            .iter()
            .filter(|(id, conn)| conn.writable && !self.server.output(**id).is_empty());
        for id in waiting.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.write(now, id);
        }
        while let Some(id) = self.server.poll_close() {
            self.begin_close(now, id);
        }
        self.close(now);
    }

    /// The next note for the operator.
    pub fn poll_note(&mut self) -> Option<Note> {
        self.server.poll_note()
    }

    /// The server, to look at.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Connections that the system refused to accept.
    #[must_use]
    pub fn accept_errors(&self) -> u64 {
        self.accept_errors
    }

    fn accept(&mut self, now: Time) {
        for _ in 0..ACCEPTS_MAX {
            if !self.acceptable || now < self.accept_from {
                return;
            }
            match self.listener.accept() {
                // A connection that cannot be registered is dropped: the other side tries again.
                Ok((stream, _)) => self.accepted(now, stream).unwrap_or(()),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => self.acceptable = false,
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
                    // No descriptors or no memory: others may end meanwhile.
                    _ => {
                        self.accept_errors += 1;
                        self.accept_from = now.plus_ms(ACCEPT_PAUSE_MS);
                    }
                },
            }
        }
    }

    fn accepted(&mut self, now: Time, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        if let Some((id, slot)) = self.enter(&mut stream)? {
            self.conns.insert(id, Conn::new(stream, slot, None));
            self.server.handle_accepted(now, id);
        }
        Ok(())
    }

    /// Gives a connection a name and a token; none before the driver is registered.
    fn enter(&mut self, stream: &mut TcpStream) -> io::Result<Option<(ConnId, usize)>> {
        let Some((registry, _, base)) = &self.place else { return Ok(None) };
        let free = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry.register(stream, Token(base.0 + free), interest)?;
        let id = ConnId(self.next);
        self.next += 1;
        if free == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[free] = Some(id);
        Ok(Some((id, free)))
    }

    /// Begins to connect to whom the server wants to reach.
    fn dial(&mut self, now: Time) {
        while self.place.is_some()
            && let Some(addr) = self.server.poll_dial()
        {
            self.drop_dial(addr);
            if self.cut_off == Some(addr.ip()) {
                self.server.handle_dial_failed(now, addr, &parted());
                continue;
            }
            let dialled = TcpStream::connect(addr)
                .and_then(|mut stream| Ok((self.enter(&mut stream)?, stream)));
            match dialled {
                Ok((Some((id, slot)), stream)) => {
                    self.dials.insert(id, Dial { stream, slot, addr, settled: false });
                }
                Ok((None, _)) => {}
                Err(error) => self.server.handle_dial_failed(now, addr, &error),
            }
        }
    }

    /// Hands on what became of attempts to connect.
    fn settle_dials(&mut self, now: Time) {
        let settled = self.dials.iter().filter(|(_, dial)| dial.settled).map(|(id, _)| *id);
        for id in settled.collect::<Vec<_>>() {
            let Some(mut dial) = self.dials.remove(&id) else { continue };
            let outcome = match self.cut_off {
                Some(addr) if addr == dial.addr.ip() => Err(parted()),
                _ => dial.outcome(),
            };
            match outcome {
                Ok(true) => {
                    let Dial { stream, slot, addr, .. } = dial;
                    self.conns.insert(id, Conn::new(stream, slot, Some(addr.ip())));
                    self.server.handle_peer_connected(now, id, addr);
                }
                Ok(false) => {
                    dial.settled = false;
                    self.dials.insert(id, dial);
                }
                Err(error) => {
                    let addr = dial.addr;
                    self.release(dial.stream, dial.slot);
                    self.server.handle_dial_failed(now, addr, &error);
                }
            }
        }
    }

    fn drop_dial(&mut self, addr: SocketAddr) {
        let id = self.dials.iter().find(|(_, dial)| dial.addr == addr).map(|(id, _)| *id);
        if let Some(dial) = id.and_then(|id| self.dials.remove(&id)) {
            self.release(dial.stream, dial.slot);
        }
    }

    fn read(&mut self, now: Time, id: ConnId) {
        for _ in 0..READS_MAX {
            let Some(conn) = self.conns.get_mut(&id).filter(|conn| conn.readable) else { return };
            match conn.stream.read(&mut self.buffer) {
                Ok(n) if n > 0 => self.server.handle_stream(now, id, &self.buffer[..n]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => conn.readable = false,
                Ok(_) | Err(_) => return self.lost(now, id),
            }
        }
    }

    fn write(&mut self, now: Time, id: ConnId) {
        while let Some(conn) = self.conns.get_mut(&id).filter(|conn| conn.writable) {
            let output = self.server.output(id);
            if output.is_empty() {
                return;
            }
            match conn.stream.write(output) {
                Ok(n) => self.server.consumed(id, n),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => conn.writable = false,
                Err(_) => return self.lost(now, id),
            }
        }
    }

    /// The other side ended the connection.
    fn lost(&mut self, now: Time, id: ConnId) {
        if let Some(conn) = self.conns.remove(&id) {
            self.release(conn.stream, conn.slot);
            self.server.handle_closed(now, id);
        }
    }

    /// The server ended the connection; it will not name it again.
    fn begin_close(&mut self, now: Time, id: ConnId) {
        let Some(conn) = self.conns.remove(&id) else { return };
        let output = self.server.output(id).to_vec();
        let until = now.plus_ms(LINGER_MS);
        self.make_room(output.len());
        self.closing.push_back(Closing { conn, output, written: 0, until });
    }

    /// Ends the oldest of the connections that are being closed, so that one with so many bytes more is within the limits.
    fn make_room(&mut self, bytes: usize) {
        let mut sum = self.closing.iter().map(|c| c.output.len()).sum::<usize>() + bytes;
        while self.closing.len() >= CLOSING_MAX || sum > CLOSING_BYTES_MAX {
            let Some(Closing { conn, output, .. }) = self.closing.pop_front() else { return };
            sum -= output.len();
            self.release(conn.stream, conn.slot);
        }
    }

    /// Brings connections that the server ended to their end.
    fn close(&mut self, now: Time) {
        for mut closing in core::mem::take(&mut self.closing) {
            if closing.until <= now || closing.is_over(&mut self.buffer) {
                self.release(closing.conn.stream, closing.conn.slot);
            } else {
                self.closing.push_back(closing);
            }
        }
    }

    fn release(&mut self, mut stream: TcpStream, slot: usize) {
        self.slots[slot] = None;
        if let Some((registry, ..)) = &self.place {
            // Closing the stream takes it out of the poll, too.
            let _ = registry.deregister(&mut stream);
        }
    }
}

impl Conn {
    fn new(stream: TcpStream, slot: usize, dialled: Option<IpAddr>) -> Self {
        Self { stream, slot, dialled, readable: true, writable: true }
    }
}

/// What a network answers that has no way there.
fn parted() -> io::Error {
    ErrorKind::HostUnreachable.into()
}

impl Dial {
    /// Whether the connection is up; not yet, if it has no peer.
    fn outcome(&self) -> io::Result<bool> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Ok(_) => self.stream.set_nodelay(true).map(|()| true),
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Closing {
    /// Writes and reads; true once the other side has everything, or nothing more can be done for it. A socket that is
    /// closed with unread bytes in it would take its last words back.
    fn is_over(&mut self, buffer: &mut [u8]) -> bool {
        while self.written < self.output.len() {
            match self.conn.stream.write(&self.output[self.written..]) {
                Ok(n) => self.written += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(_) => return true,
            }
        }
        if self.conn.stream.shutdown(Shutdown::Write).is_err() {
            return true;
        }
        for _ in 0..READS_MAX {
            match self.conn.stream.read(buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return error.kind() != ErrorKind::WouldBlock,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream as Far;
    use std::time::Instant;

    use mio::{Events, Poll};
    use vs_core::ident::ServerId;
    use vs_core::member::ServerConfig;

    use super::*;

    /// How long what is waited for may take.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn serve(driver: &mut ServerDriver, poll: &mut Poll) {
        let mut events = Events::with_capacity(64);
        poll.poll(&mut events, Some(Duration::from_millis(1))).expect("a poll");
        events.iter().for_each(|event| assert!(driver.handle_event(event)));
        driver.advance();
    }

    /// Whoever was refused and did not go away took a descriptor and up to 4 MiB beyond what `connections_max` allows, and
    /// there was no limit to them.
    #[test]
    fn connections_that_are_being_closed_are_bounded_and_the_oldest_go() {
        let server = Server::new(ServerConfig::default(), ServerId(1), 1).expect("a server");
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut driver = ServerDriver::new(server, listen).expect("a listener");
        let mut poll = Poll::new().expect("a poll");
        driver.register(poll.registry(), Token(0), Token(1)).expect("to register");
        let addr = driver.local_addr().expect("an address");
        let mut others = Vec::new();
        let until = Instant::now() + PATIENCE;
        while others.len() < 2 * CLOSING_MAX {
            let mut far = Far::connect(addr).expect("a connection");
            far.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("to write");
            others.push(far);
            while (driver.next as usize) < others.len() || !driver.conns.is_empty() {
                assert!(Instant::now() < until, "the connection is not refused");
                serve(&mut driver, &mut poll);
            }
            assert!(driver.closing.len() <= CLOSING_MAX);
            assert!(driver.slots.len() <= CLOSING_MAX + 1, "{} places", driver.slots.len());
        }
        while !driver.closing.is_empty() {
            assert!(Instant::now() < until, "the last of them do not end");
            serve(&mut driver, &mut poll);
        }
        assert_eq!(driver.slots.iter().flatten().count(), 0, "all places are free");
    }

    #[test]
    fn the_bytes_of_connections_that_are_being_closed_are_bounded() {
        let server = Server::new(ServerConfig::default(), ServerId(1), 1).expect("a server");
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut driver = ServerDriver::new(server, listen).expect("a listener");
        let addr = driver.local_addr().expect("an address");
        let mut lengths = |bytes: usize| {
            let stream = TcpStream::connect(addr).expect("a connection");
            driver.slots.push(None);
            let conn = Conn::new(stream, driver.slots.len() - 1, None);
            driver.make_room(bytes);
            let until = Time::ZERO;
            driver.closing.push_back(Closing { conn, output: vec![0; bytes], written: 0, until });
            driver.closing.iter().map(|closing| closing.output.len()).collect::<Vec<_>>()
        };
        let half = CLOSING_BYTES_MAX / 2;
        assert_eq!(lengths(half), [half]);
        assert_eq!(lengths(half), [half, half]);
        assert_eq!(lengths(1), [half, 1]);
        assert_eq!(lengths(CLOSING_BYTES_MAX + 1), [CLOSING_BYTES_MAX + 1], "the newest stays");
    }
}
