//! Where a node tells operators what it sees (`--status`).

use core::net::SocketAddr;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use vs_core::Time;
use vs_core::status::{Listener, Pace, Status, answer};
use vs_core::wire::frame::preamble;

use crate::failure::Failure;
use crate::network::refused;

/// Connections at a time; one more takes the place of the oldest.
pub(super) const CONNECTIONS_MAX: usize = 8;
/// Bytes of one read: more than a question has.
const READ_BYTES: usize = 64;

#[derive(Debug)]
struct Conn {
    stream: TcpStream,
    listener: Listener,
    /// The answer, and how much of it was written.
    output: Vec<u8>,
    written: usize,
}

/// A socket at which the status is asked for.
#[derive(Debug)]
pub(super) struct Desk {
    listener: TcpListener,
    registry: Registry,
    /// Of the listener; those of the connections follow.
    token: Token,
    conns: [Option<Conn>; CONNECTIONS_MAX],
    /// The place of the next connection.
    next: usize,
    /// How often is answered.
    pace: Pace,
}

impl Desk {
    /// Listens at `addr`, with [`CONNECTIONS_MAX`] + 1 tokens from `token` on.
    pub(super) fn open(
        addr: SocketAddr,
        registry: &Registry,
        token: Token,
    ) -> Result<Self, Failure> {
        let opened = TcpListener::bind(addr).and_then(|mut listener| {
            registry.register(&mut listener, token, Interest::READABLE)?;
            Ok((listener, registry.try_clone()?))
        });
        let (listener, registry) = opened.map_err(|e| {
            let Failure(why) = refused(addr, &e);
            Failure(why.replace("--listen", "--status"))
        })?;
        let conns = core::array::from_fn(|_| None);
        Ok(Self { listener, registry, token, conns, next: 0, pace: Pace::default() })
    }

    /// Where it listens.
    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Takes an event of the poll, and answers with `status` who asks for it; false if it belongs
    /// to somebody else.
    pub(super) fn handle_event(
        &mut self,
        now: Time,
        event: &Event,
        status: impl FnOnce() -> Status,
    ) -> bool {
        let Some(at) = event.token().0.checked_sub(self.token.0) else { return false };
        if at > CONNECTIONS_MAX {
            return false;
        }
        match at.checked_sub(1) {
            None => self.accept(),
            Some(at) => {
                let pace = &mut self.pace;
                let status = || if pace.allows(now) { status() } else { Status::Busy };
                if self.conns[at].as_mut().is_some_and(|conn| conn.is_over(status)) {
                    self.conns[at] = None;
                }
            }
        }
        true
    }

    fn accept(&mut self) {
        // Errors end with the next connection that is made; those of one that went away are its
        // own.
        while let Ok((mut stream, _)) = self.listener.accept() {
            let token = Token(self.token.0 + 1 + self.next);
            // Closing the old one takes it out of the poll.
            self.conns[self.next] = None;
            let both = Interest::READABLE | Interest::WRITABLE;
            if self.registry.register(&mut stream, token, both).is_ok() {
                let (listener, output) = (Listener::default(), Vec::new());
                self.conns[self.next] = Some(Conn { stream, listener, output, written: 0 });
                self.next = (self.next + 1) % CONNECTIONS_MAX;
            }
        }
    }
}

impl Conn {
    /// Reads the question and writes the answer; true if nothing more is to be done.
    fn is_over(&mut self, status: impl FnOnce() -> Status) -> bool {
        let mut buffer = [0; READ_BYTES];
        while self.output.is_empty() {
            match self.stream.read(&mut buffer) {
                Ok(0) => return true,
                Ok(n) => match self.listener.push(&buffer[..n]) {
                    Ok(false) => {}
                    Ok(true) => {
                        self.output = answer(&status());
                        break;
                    }
                    // A program of another version learns from it which one is spoken here.
                    Err(_) => self.output = preamble().to_vec(),
                },
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return error.kind() != ErrorKind::WouldBlock,
            }
        }
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(n) => self.written += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return error.kind() != ErrorKind::WouldBlock,
            }
        }
        // It may have gone already.
        let _ = self.stream.shutdown(Shutdown::Write);
        true
    }
}
