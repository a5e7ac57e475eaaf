//! Connections of a server: up, coming up, or on their way out.

use core::net::{IpAddr, SocketAddr};
use std::collections::{BTreeSet, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use vs_core::Time;
use vs_core::member::server::ConnId;

/// Reads of one connection before the others have their turn.
pub(super) const READS_MAX: usize = 16;
/// Connections that the server ended, and that are still open, beside those that the server counts.
/// One more ends the oldest at once.
pub(super) const CLOSING_MAX: usize = 64;
/// Bytes that such connections may take up together before the oldest is ended at once. The newest
/// may have more.
pub(super) const CLOSING_BYTES_MAX: usize = 8 << 20;

/// A connection that is up.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) stream: TcpStream,
    pub(super) slot: usize,
    /// Of a peer that this server connected to: where it is.
    pub(super) dialled: Option<IpAddr>,
    pub(super) readable: bool,
    pub(super) writable: bool,
}

impl Conn {
    pub(super) fn new(stream: TcpStream, slot: usize, dialled: Option<IpAddr>) -> Self {
        Self { stream, slot, dialled, readable: true, writable: true }
    }
}

/// A connection to a peer that is coming up.
#[derive(Debug)]
pub(super) struct Dial {
    pub(super) stream: TcpStream,
    pub(super) slot: usize,
    pub(super) addr: SocketAddr,
    /// It may be up, or have failed.
    pub(super) settled: bool,
}

/// The numbers under which a loop knows the connections: as small as possible, and used again.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: Vec<Option<ConnId>>,
    /// Those that nobody has.
    free: BTreeSet<usize>,
}

impl Slots {
    /// The least number that is free, which `id` has from now on.
    pub(super) fn take(&mut self, id: ConnId) -> usize {
        let free = self.free.pop_first().unwrap_or(self.slots.len());
        if free == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[free] = Some(id);
        free
    }

    pub(super) fn free(&mut self, slot: usize) {
        self.slots[slot] = None;
        self.free.insert(slot);
    }

    pub(super) fn get(&self, slot: usize) -> Option<ConnId> {
        self.slots.get(slot).copied().flatten()
    }

    /// One more than the highest number that was used.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.slots.iter().flatten().count()
    }
}

/// A connection that the server ended: its last bytes go out, and what still comes is thrown away.
#[derive(Debug)]
struct Closing {
    conn: Conn,
    output: Vec<u8>,
    written: usize,
    /// The other side was told that nothing more comes. Once: each call would wake the loop again.
    is_shut: bool,
    until: Time,
}

impl Closing {
    /// Writes and reads; true once the other side has everything, or nothing more can be done for
    /// it. A socket that is closed with unread bytes in it would discard its last bytes.
    fn is_over(&mut self, buffer: &mut [u8]) -> bool {
        while self.written < self.output.len() {
            match self.conn.stream.write(&self.output[self.written..]) {
                Ok(n) => self.written += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(_) => return true,
            }
        }
        if !self.is_shut && self.conn.stream.shutdown(Shutdown::Write).is_err() {
            return true;
        }
        self.is_shut = true;
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

/// The connections that are being closed, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Closings {
    queue: VecDeque<Closing>,
}

impl Closings {
    /// Takes `conn`, which has `output` to write until `until`. Ends older ones where it would be
    /// one too many.
    pub(super) fn push(&mut self, conn: Conn, output: Vec<u8>, until: Time, slots: &mut Slots) {
        let mut bytes = output.len() + self.queue.iter().map(|c| c.output.len()).sum::<usize>();
        while self.queue.len() >= CLOSING_MAX || bytes > CLOSING_BYTES_MAX {
            let Some(oldest) = self.queue.pop_front() else { break };
            bytes -= oldest.output.len();
            slots.free(oldest.conn.slot);
        }
        self.queue.push_back(Closing { conn, output, written: 0, is_shut: false, until });
    }

    /// Brings them to their end, as far as they are.
    pub(super) fn advance(&mut self, now: Time, buffer: &mut [u8], slots: &mut Slots) {
        self.queue.retain_mut(|closing| {
            let stays = now < closing.until && !closing.is_over(buffer);
            if !stays {
                slots.free(closing.conn.slot);
            }
            stays
        });
    }

    /// When the oldest is ended at the latest.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.queue.front().map(|closing| closing.until)
    }

    /// The connections, with whether each waits for room in the kernel.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &TcpStream, bool)> {
        self.queue.iter().map(|closing| {
            let is_waiting = closing.written < closing.output.len();
            (closing.conn.slot, &closing.conn.stream, is_waiting)
        })
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn bytes_of_closing_connections_are_bounded() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let (mut closings, mut slots) = (Closings::default(), Slots::default());
        let mut lengths = |bytes: usize| {
            let stream = TcpStream::connect(addr).unwrap();
            let conn = Conn::new(stream, slots.take(ConnId(0)), None);
            closings.push(conn, vec![0; bytes], Time::ZERO, &mut slots);
            closings.queue.iter().map(|closing| closing.output.len()).collect::<Vec<_>>()
        };
        let half = CLOSING_BYTES_MAX / 2;
        assert_eq!(lengths(half), [half]);
        assert_eq!(lengths(half), [half, half]);
        assert_eq!(lengths(1), [half, 1]);
        assert_eq!(lengths(CLOSING_BYTES_MAX + 1), [CLOSING_BYTES_MAX + 1], "the newest stays");
    }
}
