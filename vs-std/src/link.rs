//! The connection of a node to a membership server.

use core::net::SocketAddr;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use vs_core::trace::Tracer;
use vs_core::{LinkCommand, Node, Time};

/// Reads of the connection before the rest of the loop has its turn.
const READS_MAX: usize = 16;
/// Bytes of one read.
const READ_BYTES: usize = 64 * 1024;

/// How the connection to the membership service fares.
#[derive(Debug, Default)]
pub struct LinkStatus {
    /// The server that is connected now.
    pub server: Option<SocketAddr>,
    /// Connections that came up.
    pub connected: u64,
    /// Connections on which something was heard. One that comes up and ends without a word is no membership server's.
    pub answered: u64,
    /// Attempts in a row that the servers refused (nobody listens there).
    pub refused_in_a_row: usize,
    /// What became of the last attempt that failed, or of the last connection that was lost.
    pub last_failure: Option<ConnectFailure>,
}

/// Why a server could not be reached.
#[derive(Debug)]
pub struct ConnectFailure {
    /// The server.
    pub server: SocketAddr,
    /// The system's answer.
    pub error: io::Error,
}

#[derive(Debug)]
struct Open {
    stream: TcpStream,
    server: SocketAddr,
    up: bool,
    /// Something was heard.
    answered: bool,
    /// Whether there may be more to read.
    readable: bool,
    /// Whether the kernel may have room.
    writable: bool,
}

#[derive(Debug)]
pub(crate) struct Link {
    servers: Vec<SocketAddr>,
    open: Option<Open>,
    buffer: Vec<u8>,
    status: LinkStatus,
}

impl Link {
    pub(crate) fn new(servers: Vec<SocketAddr>) -> Self {
        Self { servers, open: None, buffer: vec![0; READ_BYTES], status: LinkStatus::default() }
    }

    pub(crate) fn status(&self) -> &LinkStatus {
        &self.status
    }

    pub(crate) fn servers(&self) -> &[SocketAddr] {
        &self.servers
    }

    pub(crate) fn has_backlog(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.up && open.readable)
    }

    /// The connection, up or coming up.
    pub(crate) fn stream(&self) -> Option<&TcpStream> {
        self.open.as_ref().map(|open| &open.stream)
    }

    /// Whether it is worth waiting until the connection can be written: it comes up, or the kernel had no room.
    pub(crate) fn is_waiting(&self) -> bool {
        self.open.as_ref().is_some_and(|open| !open.up || !open.writable)
    }

    /// Does what the node asks for; shows a connection that begins to `opened`.
    pub(crate) fn command<T: Tracer>(
        &mut self,
        node: &mut Node<T>,
        now: Time,
        command: LinkCommand,
        opened: &mut impl FnMut(&TcpStream) -> io::Result<()>,
    ) {
        self.close();
        let LinkCommand::Connect(at) = command else { return };
        // The node knows how many servers there are.
        let Some(&server) = self.servers.get(at) else { return node.handle_disconnected(now) };
        let begun = connect(server).and_then(|stream| opened(&stream).map(|()| stream));
        match begun {
            Ok(stream) => {
                self.open = Some(Open {
                    stream,
                    server,
                    up: false,
                    answered: false,
                    readable: true,
                    writable: true,
                });
            }
            Err(error) => {
                self.failed(server, error);
                node.handle_disconnected(now);
            }
        }
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
                self.status.server = Some(open.server);
                self.status.connected += 1;
                self.status.refused_in_a_row = 0;
                node.handle_connected(now);
            }
            Err(error) => self.lost(node, now, error),
        }
    }

    /// Reads what is there, but not forever.
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
                    self.status.answered +=
                        u64::from(!core::mem::replace(&mut open.answered, true));
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

    fn lost<T: Tracer>(&mut self, node: &mut Node<T>, now: Time, error: io::Error) {
        if let Some(open) = &self.open {
            self.failed(open.server, error);
        }
        self.close();
        node.handle_disconnected(now);
    }

    fn failed(&mut self, server: SocketAddr, error: io::Error) {
        let refused = error.kind() == ErrorKind::ConnectionRefused;
        self.status.refused_in_a_row = if refused { self.status.refused_in_a_row + 1 } else { 0 };
        self.status.last_failure = Some(ConnectFailure { server, error });
    }

    /// A descriptor that is closed leaves whatever waits for it.
    fn close(&mut self) {
        self.open = None;
        self.status.server = None;
    }
}

/// Begins to connect.
fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    match socket.connect(&server.into()) {
        Err(error) if Errno::from_io_error(&error) != Some(Errno::INPROGRESS) => Err(error),
        _ => Ok(socket.into()),
    }
}

/// Whether an attempt to connect has come to its end, and how.
fn established(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}
