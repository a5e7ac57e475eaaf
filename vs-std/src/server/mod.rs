//! A membership server with its sockets, for any loop that waits for sockets.

mod conn;
mod inside;
mod listen;
mod own;
mod peers;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};

use vs_core::member::DiscoveryConfig;
use vs_core::member::server::{ConnId, Note, Server};
use vs_core::seal::Keys;
use vs_core::{ConfigError, Time};

use crate::beacons::Beacons;
use crate::clock::Clock;
use crate::faults::Faults;
use crate::keys::{KeysError, with_fresh_seed};
use crate::name::ServerName;
use crate::tcp::{connect, established};
use conn::{Closings, Conn, Dial, READS_MAX, Slots};
use listen::Listen;
use own::Own;
pub use peers::LookupFailure;
use peers::Peers;

/// Connections that are accepted before the rest of the loop has its turn.
const ACCEPTS_MAX: usize = 64;
/// Bytes of one read.
const READ_BYTES: usize = 64 * 1024;
/// How long a connection that the server ended may take for its last bytes, in ms.
const LINGER_MS: u64 = 500;

/// A socket of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// [`ServerDriver::listener`].
    Listener,
    /// That of [`ServerDriver::beacons`].
    Beacons,
    /// A connection, by its number: see [`ServerDriver::connections`].
    Connection(usize),
}

/// A socket that is new, for a loop that has to know it.
#[derive(Clone, Copy, Debug)]
pub enum Opened<'a> {
    /// A connection that begins, with its number: see [`ServerDriver::connections`].
    Connection(usize, &'a TcpStream),
    /// [`ServerDriver::listener`], in place of another.
    Listener(&'a TcpListener),
    /// That of [`ServerDriver::beacons`], in place of another.
    Beacons(&'a UdpSocket),
}

/// A [`Server`] with its listener, its connections and a clock. The loop around it waits.
/// In each round the loop
///
/// 1. waits for [`ServerDriver::listener`], the socket of [`ServerDriver::beacons`] and
///    [`ServerDriver::connections`], for at most [`ServerDriver::timeout`];
/// 2. says what is ready with [`ServerDriver::handle_ready`];
/// 3. calls [`ServerDriver::advance`];
/// 4. takes notes with [`ServerDriver::poll_note`], if it has a use for them.
///
/// Readiness is remembered until the kernel said that it ended, so a loop may wait for edges.
#[derive(Debug)]
pub struct ServerDriver {
    server: Server,
    clock: Clock,
    listen: Listen,
    conns: BTreeMap<ConnId, Conn>,
    dials: BTreeMap<ConnId, Dial>,
    closings: Closings,
    slots: Slots,
    beacons: Option<Beacons>,
    peers: Peers,
    /// The connection of the process that the server is inside of.
    inside: Option<Own>,
    /// The number of connections that there were.
    count: u64,
    faults: Faults,
    buffer: Vec<u8>,
    /// Connections whose socket had no room for all that is to be written.
    unsent: BTreeSet<ConnId>,
}

impl ServerDriver {
    /// Listens at `listen`; port 0: one that the system chooses. Nothing is sent before
    /// [`ServerDriver::advance`].
    ///
    /// # Errors
    /// The system's.
    pub fn new(server: Server, listen: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            server,
            clock: Clock::new(),
            listen: Listen::at(listen)?,
            conns: BTreeMap::new(),
            dials: BTreeMap::new(),
            closings: Closings::default(),
            slots: Slots::default(),
            beacons: None,
            peers: Peers::default(),
            inside: None,
            count: 0,
            faults: Faults::default(),
            buffer: vec![0; READ_BYTES],
            unsent: BTreeSet::new(),
        })
    }

    /// Where the server listens.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listen.socket().local_addr()
    }

    /// Connects to the server of that name, again and again until it is there, and again whenever
    /// it is lost; with the next [`ServerDriver::advance`]. May be called at any time. A host name
    /// is looked up at each attempt, and each of its addresses is a peer. False if there are as
    /// many addresses as there may be ([`vs_core::member::server::ServerConfig::peers_max`]).
    pub fn add_peer(&mut self, name: impl Into<ServerName>) -> bool {
        self.peers.add(&mut self.server, self.clock.now(), name.into())
    }

    /// Connects to a peer no more. A connection that is up stays until it ends.
    pub fn remove_peer(&mut self, name: &ServerName) {
        for addr in self.peers.remove(name) {
            self.server.remove_peer(addr);
            self.drop_dial(addr);
        }
    }

    /// Whether `addr` is one of a peer that was added, and not of one that beacons told of.
    #[must_use]
    pub fn is_added_peer(&self, addr: SocketAddr) -> bool {
        self.peers.contains(addr)
    }

    /// Looks for other servers of the deployment, which reach this one at `listen`; see
    /// [`Server::discover`].
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

    /// From now on sends beacons and hears those of the others.
    pub fn set_beacons(&mut self, beacons: Beacons) {
        self.beacons = Some(beacons);
    }

    /// Seals with other keys from now on, and opens with these alone: see [`Server::set_keys`].
    /// Connections that were made under a key which is gone end with the next
    /// [`ServerDriver::advance`].
    ///
    /// # Errors
    /// See [`KeysError`]; the keys are as before.
    pub fn set_keys(&mut self, keys: &Keys) -> Result<(), KeysError> {
        let keys = with_fresh_seed(keys).map_err(KeysError::NoRandomNumbers)?;
        self.server.set_keys(keys).map_err(|_| KeysError::OfMembers)
    }

    /// What is lost on purpose from now on: see [`Faults`]. Connections that were made to peers
    /// that are cut off end. What comes from there is for the server there to cut off.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
        let now = self.clock.now();
        let there = |conn: &Conn| conn.dialled.is_some_and(|ip| self.faults.is_cut_off(ip));
        let conns = self.conns.iter().filter(|(_, conn)| there(conn)).map(|(id, _)| *id);
        for id in conns.collect::<Vec<_>>() {
            self.lost(now, id);
        }
        for dial in self.dials.values_mut() {
            dial.settled |= self.faults.is_cut_off(dial.addr.ip());
        }
    }

    /// The socket at which connections arrive, to wait for until it can be read.
    #[must_use]
    pub fn listener(&self) -> &TcpListener {
        self.listen.socket()
    }

    /// Whether connections wait to be accepted. A loop that waits for levels and not for edges
    /// leaves the listener out meanwhile: after an error of the system it is looked at again only
    /// when [`ServerDriver::timeout`] is over.
    #[must_use]
    pub fn is_accepting(&self) -> bool {
        self.listen.is_ready()
    }

    /// Others reach the server at another address of the host from now on: it listens there. The
    /// connections that came by the old one end, if it is gone.
    pub(crate) fn move_to(
        &mut self,
        ip: IpAddr,
        mut opened: impl FnMut(Opened<'_>) -> io::Result<()>,
    ) -> io::Result<SocketAddr> {
        let old = self.listen.socket().local_addr()?.ip();
        let listener = listen::bind((ip, 0).into())?;
        let addr = listener.local_addr()?;
        opened(Opened::Listener(&listener))?;
        self.listen.move_to(listener);
        let now = self.clock.now();
        let is_old = |conn: &Conn| conn.stream.local_addr().is_ok_and(|addr| addr.ip() == old);
        let conns = self.conns.iter().filter(|(_, conn)| old != ip && is_old(conn));
        for id in conns.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.lost(now, id);
        }
        self.server.set_listen(now, addr);
        Ok(addr)
    }

    /// The sockets for beacons, if there are any.
    #[must_use]
    pub fn beacons(&self) -> Option<&Beacons> {
        self.beacons.as_ref()
    }

    /// The connections that there are: the number of each, which no other one has at the same time,
    /// the connection to wait for, and whether it is worth waiting for until it can be written.
    pub fn connections(&self) -> impl Iterator<Item = (usize, &TcpStream, bool)> {
        let up = self.conns.values().map(|conn| (conn.slot, &conn.stream, !conn.writable));
        let dialled = self.dials.values().map(|dial| (dial.slot, &dial.stream, true));
        up.chain(dialled).chain(self.closings.iter())
    }

    /// A socket can be read or written, or has failed (both). What there is to read is read by
    /// [`ServerDriver::advance`]. A connection that ended meanwhile may be named.
    pub fn handle_ready(&mut self, source: Source, readable: bool, writable: bool) {
        let slot = match source {
            Source::Listener => return self.listen.handle_ready(),
            Source::Beacons => {
                if let Some(beacons) = &mut self.beacons {
                    beacons.handle_readable();
                }
                return;
            }
            Source::Connection(slot) => slot,
        };
        let Some(id) = self.slots.get(slot) else { return };
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.readable |= readable;
            conn.writable |= writable;
        } else if let Some(dial) = self.dials.get_mut(&id) {
            dial.settled |= writable;
        }
    }

    /// How long a loop may wait. `None`: until a socket is ready.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        if self.has_backlog() {
            return Some(Duration::ZERO);
        }
        let now = self.clock.now();
        let accept = self.listen.poll_timeout();
        let beacons = self.beacons.as_ref().map(Beacons::poll_timeout);
        let own = [accept, beacons, self.closings.poll_timeout(), self.peers.poll_timeout(now)];
        let at = self.server.poll_timeout().into_iter().chain(own.into_iter().flatten()).min()?;
        Some(Duration::from_nanos(at - now))
    }

    /// Whether something was left unread for fairness.
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        let beacons = self.beacons.as_ref().is_some_and(Beacons::has_backlog);
        beacons || self.conns.values().any(|conn| conn.readable)
    }

    /// Accepts and reads what arrived, within bounds, lets time pass, and writes what follows. A
    /// socket that is new is shown to `opened`, for a loop that has to know it; a connection for
    /// which that fails is closed.
    pub fn advance(&mut self, mut opened: impl FnMut(Opened<'_>) -> io::Result<()>) {
        let now = self.clock.now();
        self.accept(now, &mut opened);
        self.settle_dials(now);
        if let Some(beacons) = &mut self.beacons {
            if beacons.look(now) && opened(Opened::Beacons(beacons.socket())).is_err() {
                // A loop that cannot wait for them hears them whenever it looks.
                beacons.handle_readable();
            }
            beacons.read(&mut self.server, now);
        }
        let readable = self.conns.iter().filter(|(_, conn)| conn.readable);
        for id in readable.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.read(now, id);
        }
        if self.server.poll_timeout().is_some_and(|at| at <= now) {
            self.server.handle_timeout(now);
        }
        self.flush(now, &mut opened);
    }

    /// Writes what the server has to say.
    fn flush(&mut self, now: Time, opened: &mut impl FnMut(Opened<'_>) -> io::Result<()>) {
        if let Some(beacons) = &self.beacons {
            beacons.write(&mut self.server);
        }
        self.dial(now, opened);
        while let Some(id) = self.server.poll_output() {
            self.write(now, id);
        }
        for id in core::mem::take(&mut self.unsent) {
            // Those whose socket still has no room stay in the list.
            match self.conns.get(&id) {
                Some(conn) if !conn.writable => drop(self.unsent.insert(id)),
                _ => self.write(now, id),
            }
        }
        while let Some(id) = self.server.poll_close() {
            self.begin_close(now, id);
        }
        self.closings.advance(now, &mut self.buffer, &mut self.slots);
    }

    /// The next note for the operator. Notes that nobody takes stay, up to a bound: then the oldest
    /// are dropped.
    pub fn poll_note(&mut self) -> Option<Note> {
        let note = self.server.poll_note();
        note.iter().for_each(|note| tracing::debug!("{note}"));
        note
    }

    /// A peer that was added by name, and whose name cannot be looked up; told once until a lookup
    /// succeeds.
    pub fn poll_lookup_failure(&mut self) -> Option<LookupFailure> {
        self.peers.poll_failure()
    }

    /// The server, to look at.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Connections that the system refused to accept.
    #[must_use]
    pub fn accept_errors(&self) -> u64 {
        self.listen.errors()
    }

    /// Why the system did not accept a connection. It is told once until one is accepted, and at
    /// most once a second.
    pub fn poll_accept_failure(&mut self) -> Option<io::Error> {
        self.listen.poll_failure()
    }

    fn accept(&mut self, now: Time, opened: &mut impl FnMut(Opened<'_>) -> io::Result<()>) {
        for _ in 0..ACCEPTS_MAX {
            let Some((stream, from)) = self.listen.accept(now) else { return };
            // A connection that cannot be waited for is dropped: the other side tries again.
            self.accepted(now, (stream, from), opened).unwrap_or(());
        }
    }

    fn accepted(
        &mut self,
        now: Time,
        (stream, from): (TcpStream, SocketAddr),
        opened: &mut impl FnMut(Opened<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let (id, slot) = self.enter(&stream, opened)?;
        self.conns.insert(id, Conn::new(stream, slot, None));
        self.server.handle_accepted_from(now, id, from.ip());
        Ok(())
    }

    /// Gives a connection a name and a number.
    fn enter(
        &mut self,
        stream: &TcpStream,
        opened: &mut impl FnMut(Opened<'_>) -> io::Result<()>,
    ) -> io::Result<(ConnId, usize)> {
        let id = ConnId(self.count);
        let slot = self.slots.take(id);
        if let Err(error) = opened(Opened::Connection(slot, stream)) {
            self.slots.free(slot);
            return Err(error);
        }
        self.count += 1;
        Ok((id, slot))
    }

    /// Begins to connect to the peers that the server wants to reach.
    fn dial(&mut self, now: Time, opened: &mut impl FnMut(Opened<'_>) -> io::Result<()>) {
        let mut due = self.peers.advance(&mut self.server, now);
        while let Some(addr) = self.server.poll_dial() {
            self.drop_dial(addr);
            if !self.peers.hold(addr) {
                due.push(addr);
            }
        }
        for addr in due {
            self.drop_dial(addr);
            if self.faults.is_cut_off(addr.ip()) {
                self.server.handle_dial_failed(now, addr, &parted());
                continue;
            }
            let dialled = connect(addr).and_then(|stream| {
                let (id, slot) = self.enter(&stream, opened)?;
                Ok((id, Dial { stream, slot, addr, settled: false }))
            });
            match dialled {
                Ok((id, dial)) => drop(self.dials.insert(id, dial)),
                Err(error) => self.server.handle_dial_failed(now, addr, &error),
            }
        }
    }

    /// Hands on what became of attempts to connect.
    fn settle_dials(&mut self, now: Time) {
        let settled = self.dials.iter().filter(|(_, dial)| dial.settled).map(|(id, _)| *id);
        for id in settled.collect::<Vec<_>>() {
            let Some(mut dial) = self.dials.remove(&id) else { continue };
            let outcome = match self.faults.is_cut_off(dial.addr.ip()) {
                true => Err(parted()),
                false => established(&dial.stream),
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
                    self.slots.free(dial.slot);
                    self.server.handle_dial_failed(now, dial.addr, &error);
                }
            }
        }
    }

    fn drop_dial(&mut self, addr: SocketAddr) {
        let id = self.dials.iter().find(|(_, dial)| dial.addr == addr).map(|(id, _)| *id);
        if let Some(dial) = id.and_then(|id| self.dials.remove(&id)) {
            self.slots.free(dial.slot);
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
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    conn.writable = false;
                    self.unsent.insert(id);
                }
                Err(_) => return self.lost(now, id),
            }
        }
    }

    /// The other side ended the connection. Its descriptor is closed, which takes it out of
    /// whatever waits for it.
    fn lost(&mut self, now: Time, id: ConnId) {
        if let Some(conn) = self.conns.remove(&id) {
            self.slots.free(conn.slot);
            self.server.handle_closed(now, id);
        }
    }

    /// The server ended the connection; it will not name it again.
    fn begin_close(&mut self, now: Time, id: ConnId) {
        let output = self.server.output(id).to_vec();
        if let Some(own) = self.inside.as_mut().filter(|own| own.id() == id) {
            return own.handle_ended(output);
        }
        let Some(conn) = self.conns.remove(&id) else { return };
        self.closings.push(conn, output, now.plus_ms(LINGER_MS), &mut self.slots);
    }
}

/// What a network answers that has no way there.
fn parted() -> io::Error {
    ErrorKind::HostUnreachable.into()
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;
    use std::time::Instant;

    use vs_core::ident::ServerId;
    use vs_core::member::server::ServerConfig;

    use super::conn::CLOSING_MAX;
    use super::*;

    /// How long what is waited for may take.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn open() -> (ServerDriver, SocketAddr) {
        let server = Server::new(ServerConfig::default(), ServerId(1), 1).unwrap();
        let driver = ServerDriver::new(server, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let addr = driver.local_addr().unwrap();
        (driver, addr)
    }

    /// A round of a loop that looks at everything.
    fn serve(driver: &mut ServerDriver) {
        std::thread::yield_now();
        driver.handle_ready(Source::Listener, true, false);
        let slots: Vec<usize> = driver.connections().map(|(slot, ..)| slot).collect();
        for slot in slots {
            driver.handle_ready(Source::Connection(slot), true, true);
        }
        driver.advance(|_| Ok(()));
    }

    /// Refused connections whose other side stayed took a descriptor and up to 4 MiB each beyond
    /// `connections_max`.
    #[test]
    fn closing_connections_are_bounded_and_the_oldest_go() {
        let (mut driver, addr) = open();
        let mut others = Vec::new();
        let until = Instant::now() + PATIENCE;
        while others.len() < 2 * CLOSING_MAX {
            let mut far = TcpStream::connect(addr).unwrap();
            far.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
            others.push(far);
            while (driver.count as usize) < others.len() || !driver.conns.is_empty() {
                assert!(Instant::now() < until, "the connection is not refused");
                serve(&mut driver);
            }
            assert!(driver.closings.len() <= CLOSING_MAX);
            assert!(driver.slots.len() <= CLOSING_MAX + 1, "{} places", driver.slots.len());
        }
        while driver.closings.len() > 0 {
            assert!(Instant::now() < until, "the last of them do not end");
            serve(&mut driver);
        }
        assert_eq!(driver.slots.taken(), 0, "all places are free");
    }

    #[test]
    fn a_peer_given_by_name_is_reached() {
        let ((mut a, _), (mut b, addr)) = (open(), open());
        let name: ServerName = format!("localhost:{}", addr.port()).parse().unwrap();
        assert!(a.add_peer(name.clone()));
        assert!(a.add_peer("no-such-host.invalid:7000".parse::<ServerName>().unwrap()));
        let until = Instant::now() + PATIENCE;
        let (mut is_reached, mut is_told) = (false, false);
        while !is_reached || !is_told {
            assert!(Instant::now() < until, "reached {is_reached}, told {is_told}");
            serve(&mut a);
            serve(&mut b);
            // Both servers have one id, and find that out.
            is_reached |= a.poll_note().is_some();
            is_told |= a.poll_lookup_failure().is_some_and(|f| f.to_string().contains("invalid"));
        }
        assert!(a.is_added_peer(addr));
        a.remove_peer(&name);
        assert!(!a.is_added_peer(addr));
    }
}
