//! The connection of a node to a membership server.

use core::net::SocketAddr;
use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
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

    /// Registers again what is open, with another registry.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        registry.register(&mut open.stream, token, Interest::READABLE | Interest::WRITABLE)
    }

    pub(crate) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        registry.deregister(&mut open.stream)
    }

    /// Does what the node asks for.
    pub(crate) fn command<T: Tracer>(
        &mut self,
        node: &mut Node<T>,
        now: Time,
        command: LinkCommand,
        place: (&Registry, Token),
    ) {
        self.close(place.0);
        let LinkCommand::Connect(at) = command else { return };
        // The node knows how many servers there are.
        let Some(&server) = self.servers.get(at) else { return node.handle_disconnected(now) };
        match connect(server, place) {
            Ok(stream) => {
                self.open =
                    Some(Open { stream, server, up: false, readable: true, writable: true });
            }
            Err(error) => {
                self.failed(server, error);
                node.handle_disconnected(now);
            }
        }
    }

    /// An event of the connection; perhaps of an earlier one under the same token, which does no harm.
    pub(crate) fn handle_event<T: Tracer>(
        &mut self,
        node: &mut Node<T>,
        now: Time,
        event: &mio::event::Event,
        registry: &Registry,
    ) {
        let Some(open) = &mut self.open else { return };
        open.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        open.writable |= event.is_writable();
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
            Err(error) => self.lost(node, now, error, registry),
        }
    }

    /// Reads what is there, but not forever.
    pub(crate) fn read<T: Tracer>(&mut self, node: &mut Node<T>, now: Time, registry: &Registry) {
        for _ in 0..READS_MAX {
            let Some(open) = self.open.as_mut().filter(|open| open.up && open.readable) else {
                return;
            };
            match open.stream.read(&mut self.buffer) {
                Ok(0) => {
                    let error = io::Error::new(ErrorKind::UnexpectedEof, "the server closed it");
                    return self.lost(node, now, error, registry);
                }
                Ok(n) => node.handle_stream(now, &self.buffer[..n]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => open.readable = false,
                Err(error) => return self.lost(node, now, error, registry),
            }
        }
    }

    /// Writes what the node has for the server, until the kernel has no room.
    pub(crate) fn write<T: Tracer>(&mut self, node: &mut Node<T>, now: Time, registry: &Registry) {
        while let Some(open) = self.open.as_mut().filter(|open| open.up && open.writable) {
            let output = node.stream_output();
            if output.is_empty() {
                return;
            }
            match open.stream.write(output) {
                Ok(n) => node.stream_consumed(n),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => open.writable = false,
                Err(error) => return self.lost(node, now, error, registry),
            }
        }
    }

    fn lost<T: Tracer>(
        &mut self,
        node: &mut Node<T>,
        now: Time,
        error: io::Error,
        registry: &Registry,
    ) {
        if let Some(open) = &self.open {
            self.failed(open.server, error);
        }
        self.close(registry);
        node.handle_disconnected(now);
    }

    fn failed(&mut self, server: SocketAddr, error: io::Error) {
        let refused = error.kind() == ErrorKind::ConnectionRefused;
        self.status.refused_in_a_row = if refused { self.status.refused_in_a_row + 1 } else { 0 };
        self.status.last_failure = Some(ConnectFailure { server, error });
    }

    fn close(&mut self, registry: &Registry) {
        if let Some(mut open) = self.open.take() {
            // Closing the stream takes it out of the poll, too.
            let _ = registry.deregister(&mut open.stream);
        }
        self.status.server = None;
    }
}

fn connect(server: SocketAddr, (registry, token): (&Registry, Token)) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
    Ok(stream)
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
