//! The connection of a node to a membership server.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use vs_core::trace::Tracer;
use vs_core::{LinkCommand, Node, Time};

use crate::name::{Lookup, ServerName};
use crate::tcp::{connect, established};

/// Reads of the connection before the rest of the loop has its turn.
const READS_MAX: usize = 16;
/// Bytes of one read.
const READ_BYTES: usize = 64 * 1024;

/// How the connection to the membership service fares.
#[derive(Debug, Default)]
pub struct LinkStatus {
    /// The server that is connected now.
    pub server: Option<SocketAddr>,
    /// Whether something was heard on the present connection.
    pub is_answering: bool,
    /// Connections that came up.
    pub connected: u64,
    /// Connections on which something was heard. One that comes up and ends without a word is no
    /// membership server's.
    pub answered: u64,
    /// Attempts in a row that were refused: nobody listens at any address of the server, or its
    /// name has none.
    pub refused_in_a_row: usize,
    /// What became of the last attempt that failed, or of the last connection that was lost.
    pub last_failure: Option<ConnectFailure>,
}

/// Why a server was not reached, or not any more.
#[derive(Debug)]
pub struct ConnectFailure {
    /// The server.
    pub server: ServerName,
    /// Its address, once its name was looked up.
    pub addr: Option<SocketAddr>,
    /// The system's answer.
    pub error: io::Error,
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, addr, error } = self;
        match addr {
            None => write!(f, "the membership server {server} cannot be looked up: {error}"),
            Some(addr) if server.as_addr() == Some(*addr) => {
                write!(f, "the membership server {server} cannot be reached: {error}")
            }
            Some(addr) => {
                write!(f, "the membership server {server} cannot be reached at {addr}: {error}")
            }
        }
    }
}

impl core::error::Error for ConnectFailure {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.error)
    }
}

#[derive(Debug)]
struct Open {
    stream: TcpStream,
    addr: SocketAddr,
    up: bool,
    /// Whether there may be more to read.
    readable: bool,
    /// Whether the kernel may have room.
    writable: bool,
}

/// An attempt to connect to one of the servers.
#[derive(Debug)]
struct Attempt {
    /// Its position among the servers.
    server: usize,
    lookup: Option<Lookup>,
    /// Addresses that are still to be tried.
    addrs: Vec<SocketAddr>,
    /// The failure of the last address.
    failure: Option<(Option<SocketAddr>, io::Error)>,
}

#[derive(Debug)]
pub(crate) struct Link {
    servers: Vec<ServerName>,
    /// Of each server, the address of the last attempt to connect: the next attempt begins behind
    /// it.
    tried: Vec<Option<SocketAddr>>,
    attempt: Option<Attempt>,
    open: Option<Open>,
    buffer: Vec<u8>,
    status: LinkStatus,
}

impl Link {
    pub(crate) fn new(servers: Vec<ServerName>) -> Self {
        Self {
            tried: vec![None; servers.len()],
            servers,
            attempt: None,
            open: None,
            buffer: vec![0; READ_BYTES],
            status: LinkStatus::default(),
        }
    }

    pub(crate) fn status(&self) -> &LinkStatus {
        &self.status
    }

    pub(crate) fn servers(&self) -> &[ServerName] {
        &self.servers
    }

    pub(crate) fn has_backlog(&self) -> bool {
        let open = self.open.as_ref();
        // An address failed, and the next one waits to be tried.
        let is_due = open.is_none() && self.attempt.as_ref().is_some_and(|a| a.lookup.is_none());
        is_due || open.is_some_and(|open| open.up && open.readable)
    }

    /// How long a loop may wait for the lookup of a name.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.attempt.as_ref().and_then(|attempt| attempt.lookup.as_ref()).map(Lookup::timeout)
    }

    /// The connection, up or coming up.
    pub(crate) fn stream(&self) -> Option<&TcpStream> {
        self.open.as_ref().map(|open| &open.stream)
    }

    /// Whether it is worth waiting until the connection can be written: it comes up, or the kernel
    /// had no room.
    pub(crate) fn is_waiting(&self) -> bool {
        self.open.as_ref().is_some_and(|open| !open.up || !open.writable)
    }

    /// Does what the node asks for; a connection that is wanted begins with [`Link::dial`].
    pub(crate) fn command<T: Tracer>(
        &mut self,
        node: &mut Node<T>,
        now: Time,
        command: LinkCommand,
    ) {
        self.close();
        let last = self.attempt.take();
        let LinkCommand::Connect(server) = command else { return };
        // The node knows how many servers there are.
        let Some(name) = self.servers.get(server) else { return node.handle_disconnected(now) };
        let mut attempt = Attempt { server, lookup: None, addrs: Vec::new(), failure: None };
        match (name.as_addr(), last) {
            (Some(addr), _) => attempt.addrs.push(addr),
            // The system may need longer for an answer than the node waits for a connection.
            (None, Some(last)) if last.server == server && last.lookup.is_some() => {
                attempt.lookup = last.lookup;
            }
            (None, _) => attempt.lookup = Some(Lookup::begin(name)),
        }
        self.attempt = Some(attempt);
    }

    /// Goes on with an attempt to connect: takes the answer of the lookup, and tries address after
    /// address. Shows a connection that begins to `opened`.
    pub(crate) fn dial<T: Tracer>(
        &mut self,
        node: &mut Node<T>,
        now: Time,
        opened: &mut impl FnMut(&TcpStream) -> io::Result<()>,
    ) {
        if self.open.is_some() {
            return;
        }
        let Some(attempt) = &mut self.attempt else { return };
        if let Some(lookup) = &attempt.lookup {
            let Some(answer) = lookup.poll() else { return };
            attempt.lookup = None;
            match answer {
                Ok(addrs) => attempt.addrs = behind(addrs, self.tried[attempt.server]),
                Err(error) => attempt.failure = Some((None, error)),
            }
        }
        while !attempt.addrs.is_empty() {
            let addr = attempt.addrs.remove(0);
            self.tried[attempt.server] = Some(addr);
            match connect(addr).and_then(|stream| opened(&stream).map(|()| stream)) {
                Ok(stream) => {
                    let (up, readable, writable) = (false, true, true);
                    self.open = Some(Open { stream, addr, up, readable, writable });
                    return;
                }
                Err(error) => attempt.failure = Some((Some(addr), error)),
            }
        }
        let (server, failure) = (attempt.server, attempt.failure.take());
        self.attempt = None;
        if let Some((addr, error)) = failure {
            self.failed(server, addr, error);
        }
        node.handle_disconnected(now);
    }

    /// The connection may be read or written; perhaps an earlier one was meant, which does no harm.
    pub(crate) fn handle_ready<T: Tracer>(
        &mut self,
        node: &mut Node<T>,
        now: Time,
        readable: bool,
        writable: bool,
    ) {
        let Some(open) = &mut self.open else { return };
        open.readable |= readable;
        open.writable |= writable;
        if open.up {
            return;
        }
        match established(&open.stream) {
            Ok(false) => {}
            Ok(true) => {
                open.up = true;
                self.status.server = Some(open.addr);
                self.status.connected += 1;
                self.status.refused_in_a_row = 0;
                node.handle_connected(now);
            }
            // The next address is tried by the next `dial`.
            Err(error) => {
                let addr = open.addr;
                self.close();
                if let Some(attempt) = &mut self.attempt {
                    attempt.failure = Some((Some(addr), error));
                }
            }
        }
    }

    /// Reads what arrived, up to a bound.
    pub(crate) fn read<T: Tracer>(&mut self, node: &mut Node<T>, now: Time) {
        for _ in 0..READS_MAX {
            let Some(open) = self.open.as_mut().filter(|open| open.up && open.readable) else {
                return;
            };
            match open.stream.read(&mut self.buffer) {
                Ok(0) => {
                    let error = io::Error::new(ErrorKind::UnexpectedEof, "the server closed it");
                    return self.lost(node, now, error);
                }
                Ok(n) => {
                    let is_first = !core::mem::replace(&mut self.status.is_answering, true);
                    self.status.answered += u64::from(is_first);
                    if is_first {
                        tracing::info!(addr = %open.addr, "a membership server answers");
                    }
                    node.handle_stream(now, &self.buffer[..n]);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => open.readable = false,
                Err(error) => return self.lost(node, now, error),
            }
        }
    }

    /// Writes what the node has for the server, until the kernel has no room.
    pub(crate) fn write<T: Tracer>(&mut self, node: &mut Node<T>, now: Time) {
        while let Some(open) = self.open.as_mut().filter(|open| open.up && open.writable) {
            let output = node.stream_output();
            if output.is_empty() {
                return;
            }
            match open.stream.write(output) {
                Ok(n) => node.stream_consumed(n),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => open.writable = false,
                Err(error) => return self.lost(node, now, error),
            }
        }
    }

    /// A connection that was up has ended.
    fn lost<T: Tracer>(&mut self, node: &mut Node<T>, now: Time, error: io::Error) {
        if let (Some(open), Some(attempt)) = (&self.open, self.attempt.take()) {
            tracing::info!(addr = %open.addr, %error, "the membership server is lost");
            self.failed(attempt.server, Some(open.addr), error);
        }
        self.close();
        node.handle_disconnected(now);
    }

    fn failed(&mut self, server: usize, addr: Option<SocketAddr>, error: io::Error) {
        let refused = addr.is_none() || error.kind() == ErrorKind::ConnectionRefused;
        self.status.refused_in_a_row = if refused { self.status.refused_in_a_row + 1 } else { 0 };
        let server = self.servers[server].clone();
        tracing::debug!(%server, ?addr, %error, "a membership server is not reached");
        self.status.last_failure = Some(ConnectFailure { server, addr, error });
    }

    /// A descriptor that is closed leaves whatever waits for it.
    fn close(&mut self) {
        self.open = None;
        self.status.server = None;
        self.status.is_answering = false;
    }
}

/// `addrs` from the one behind `last` on, and then the others: one that says nothing does not keep
/// the others from being tried.
fn behind(mut addrs: Vec<SocketAddr>, last: Option<SocketAddr>) -> Vec<SocketAddr> {
    if let Some(at) = addrs.iter().position(|addr| Some(*addr) == last) {
        addrs.rotate_left(at + 1);
    }
    addrs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_name_take_turns() {
        let addrs: Vec<SocketAddr> =
            (1..=3).map(|port| SocketAddr::from(([10, 0, 0, 1], port))).collect();
        let ports = |last| -> Vec<u16> {
            behind(addrs.clone(), last).iter().map(SocketAddr::port).collect()
        };
        assert_eq!(ports(None), [1, 2, 3]);
        assert_eq!(ports(Some(addrs[0])), [2, 3, 1]);
        assert_eq!(ports(Some(addrs[2])), [1, 2, 3]);
        assert_eq!(ports(Some(SocketAddr::from(([10, 0, 0, 2], 1)))), [1, 2, 3]);
    }
}
