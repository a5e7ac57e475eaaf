//! The keys of a server, and connections that have not shown one yet.

use core::net::IpAddr;

use super::Server;
use super::conn_id::ConnId;
use super::connections::Role;
use super::note::Note;
use crate::member::message::Request;
use crate::seal::{KeyError, Keys};
use crate::time::Time;
use crate::wire::channel::Party;

/// Least time between two notes that a connection finds no room, in ms.
const NO_ROOM_EVERY_MS: u64 = 1000;

/// Why a connection ends on which a holder of the one key speaks as a holder of the other.
const OTHER_PARTY: &str = "its key does not allow what it names itself";

impl Server {
    /// Seals all connections and beacons with these keys, and gives each view a secret. To be
    /// called before the first connection and before beacons; later, with another ring, it rotates
    /// keys: connections that were made under a key that is not in the ring are closed, which may
    /// change views.
    ///
    /// # Errors
    /// A key of the ring lacks the secret of servers; nothing has changed.
    pub fn set_keys(&mut self, mut keys: Keys) -> Result<(), KeyError> {
        keys.ring().check_servers()?;
        self.groups.set_keys(keys.fork());
        if let Some(discovery) = &mut self.discovery {
            discovery.set_keys(keys.fork());
        }
        self.beacon_keys = Some(keys.fork());
        for conn in self.connections.set_keys(keys) {
            self.end(conn);
        }
        Ok(())
    }

    /// A connection was accepted, `from` this address, if that is known.
    pub(super) fn accept(&mut self, now: Time, conn: ConnId, from: Option<IpAddr>) {
        self.clock.advance(now);
        if self.connections.has_keys() {
            let surplus = self.connections.surplus_handshake();
            self.crowd_out(surplus);
        } else if !self.make_room() {
            return self.connections.close(conn, None);
        }
        self.connections.handle_accepted(self.clock.now(), conn, from);
        self.shed();
    }

    /// Ends a stranger for another one. It is told nothing: it has not said that it would listen.
    fn crowd_out(&mut self, stranger: Option<ConnId>) {
        if let Some(conn) = stranger {
            self.counters.strangers_crowded_out += 1;
            self.drop_connection(conn);
            self.connections.close(conn, None);
        }
    }

    /// Makes room for a connection. False, with a note, if there is none.
    pub(super) fn make_room(&mut self) -> bool {
        let surplus = self.connections.surplus_unnamed();
        self.crowd_out(surplus);
        if self.connections.has_room() {
            return true;
        }
        self.counters.no_room += 1;
        let connections_max = self.config.connections_max;
        if self.clock.now() >= self.no_room_from {
            self.no_room_from = self.clock.now().plus_ms(NO_ROOM_EVERY_MS);
            self.notes.push(Note::NoRoom { connections_max });
        }
        false
    }

    /// The other side of a connection has shown the key: from here on it is one of
    /// `connections_max`. False if there is no room, and it is ended.
    pub(super) fn take_up(&mut self, conn: ConnId) -> bool {
        let has_room = self.make_room();
        if has_room {
            self.connections.handle_shown(conn);
        } else {
            self.end(conn);
        }
        has_room
    }

    /// Whether the key of a connection allows `request`: who has the key of members is no server.
    /// If not, the connection is ended.
    pub(super) fn allows(&mut self, conn: ConnId, role: Role, request: &Request) -> bool {
        let Some(party) = self.connections.shown(conn) else { return true };
        let is_allowed = match (role, request) {
            (Role::New, Request::Server { .. }) => party == Party::Server,
            (Role::New, Request::Client { .. } | Request::Status) => party == Party::Client,
            _ => true,
        };
        if !is_allowed {
            self.refuse(conn, OTHER_PARTY);
        }
        is_allowed
    }
}
