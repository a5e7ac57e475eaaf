//! The connection of a node to the membership server inside its own process.
//!
//! No socket is between the two: the bytes are handed over. So nothing that happens to the
//! addresses of the host parts a node from its own server.

use core::net::SocketAddr;

use vs_core::trace::Tracer;
use vs_core::{LinkCommand, Node, Time};

use crate::link::LinkStatus;
use crate::name::ServerName;
use crate::server::ServerDriver;

/// How often the two may answer each other before the rest of the loop has its turn.
const TURNS_MAX: usize = 16;

/// The connection.
#[derive(Debug)]
pub(crate) struct Inside {
    /// The server, by the address where others connect to it.
    name: [ServerName; 1],
    addr: SocketAddr,
    status: LinkStatus,
}

impl Inside {
    /// To a server that others reach at `addr`.
    pub(crate) fn new(addr: SocketAddr) -> Self {
        let (name, status) = ([addr.into()], LinkStatus::default());
        Self { name, addr, status }
    }

    /// Others reach the server at `addr` from now on.
    pub(crate) fn set_addr(&mut self, addr: SocketAddr) {
        (self.name, self.addr) = ([addr.into()], addr);
    }

    pub(crate) fn status(&self) -> &LinkStatus {
        &self.status
    }

    pub(crate) fn names(&self) -> &[ServerName] {
        &self.name
    }

    /// Does what the node asks for.
    pub(crate) fn command<T: Tracer>(
        &mut self,
        node: &mut Node<T>,
        server: &mut ServerDriver,
        now: Time,
        command: LinkCommand,
    ) {
        self.close(server);
        if let LinkCommand::Connect(_) = command {
            server.open_inside();
            self.status.server = Some(self.addr);
            self.status.connected += 1;
            node.handle_connected(now);
        }
    }

    /// Carries bytes both ways, until nobody has any or both had many turns. Whether there were
    /// any.
    pub(crate) fn exchange<T: Tracer>(
        &mut self,
        node: &mut Node<T>,
        server: &mut ServerDriver,
        now: Time,
    ) -> bool {
        let mut has_carried = false;
        for _ in 0..TURNS_MAX {
            let output = node.stream_output();
            let said = output.len();
            if said > 0 {
                server.handle_inside(output);
                node.stream_consumed(said);
            }
            let heard = server.hear_inside(|bytes| node.handle_stream(now, bytes));
            if heard && !core::mem::replace(&mut self.status.is_answering, true) {
                self.status.answered += 1;
            }
            if server.has_ended_inside() {
                self.close(server);
                node.handle_disconnected(now);
            }
            if said == 0 && !heard {
                break;
            }
            has_carried = true;
        }
        has_carried
    }

    fn close(&mut self, server: &mut ServerDriver) {
        server.close_inside();
        self.status.server = None;
        self.status.is_answering = false;
    }
}
