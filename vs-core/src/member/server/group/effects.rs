//! What a server lends to a group for a call, and what the group wants to be sent.

use alloc::vec::Vec;

use super::super::config::ServerConfig;
use super::super::conn_id::ConnId;
use super::super::connections::Connections;
use super::super::links::Links;
use super::super::note::Note;
use super::gathering::{Cause, Wait};
use crate::ident::{Cid, ProcessId, ServerId};
use crate::member::Departure;
use crate::member::message::{Peer, PeerWord, Reply};
use crate::status::ServerCounters;
use crate::time::Time;

/// What a group wants to be sent.
#[derive(Debug)]
pub(in super::super) enum Send {
    Client(ConnId, Reply),
    /// A change of the same set to many: over which connection, the number of the attachment, the
    /// cid.
    StartChange(Vec<(ConnId, u64, Cid)>, Vec<Peer>),
    /// The same to some servers.
    Servers(Vec<ServerId>, PeerWord),
    /// To all peers: the clients here, as they are when it is sent; its version says so.
    Clients,
    /// To all peers: a client here is attached no more.
    Gone(ProcessId, Departure),
}

/// Up to so many servers that are connected, arrivals are gathered for `gather_join_ms`.
pub(in super::super) const FEW_SERVERS: usize = 8;

/// Among more servers, how long arrivals are gathered at least, in ms for each of them: each
/// server proposes to each other one whatever any of them finds.
const GATHER_MS_PER_SERVER: u64 = 2;

/// How much longer arrivals wait for servers of a crowd that have just started, in ms for each.
const PUT_OFF_MS_PER_SERVER: u64 = 20;

/// What the server lends to a group for the time of a call.
pub(in super::super) struct Cx<'a> {
    pub(in super::super) now: Time,
    pub(in super::super) me: ServerId,
    pub(in super::super) config: &'a ServerConfig,
    pub(in super::super) counters: &'a mut ServerCounters,
    pub(in super::super) sends: Vec<Send>,
    pub(in super::super) notes: Vec<Note>,
    /// The clock, in ms of UNIX time.
    pub(in super::super) clock_ms: u64,
    /// The servers with which this one shares views.
    pub(in super::super) clique: &'a [ServerId],
    pub(in super::super) links: &'a Links,
    pub(in super::super) connections: &'a Connections,
    /// Servers that are connected, and this one.
    pub(in super::super) servers: usize,
    /// A server is connected that has no clients yet since it is looking for others; or among many,
    /// one that the others do not all reach yet.
    pub(in super::super) gathering: bool,
}

impl Cx<'_> {
    /// How long arrivals are gathered at least, since there are many servers, in ms.
    pub(super) fn gather_ms(&self) -> u64 {
        match self.servers {
            servers if servers <= FEW_SERVERS => 0,
            servers => (GATHER_MS_PER_SERVER * servers as u64).min(self.config.silence_ms / 4),
        }
    }

    /// How long a change waits for more; `unsettled`: one is under way. A crowd of servers that is
    /// in a change already waits until it is calm, whatever happened: what one of them proposes too
    /// early is in vain, and costs a message from each to each that names all.
    pub(super) fn wait(&self, cause: Cause, unsettled: bool) -> Wait {
        let crowd_ms = self.gather_ms();
        let (ms, until_calm) = match cause {
            Cause::Proposed => (0, false),
            Cause::Departure if crowd_ms == 0 || !unsettled => (self.config.gather_crash_ms, false),
            _ => (self.config.gather_join_ms.max(crowd_ms), crowd_ms > 0),
        };
        Wait { ms, until_calm }
    }

    /// How much longer than `gather_max_ms` arrivals wait for servers that have just started, since
    /// there are many, in ms.
    pub(super) fn more_ms(&self) -> u64 {
        more_ms(self.servers, self.config)
    }
}

/// How much longer than `gather_max_ms` arrivals wait for any of so many servers that have just
/// started, in ms.
pub(in super::super) fn more_ms(servers: usize, config: &ServerConfig) -> u64 {
    match servers {
        servers if servers <= FEW_SERVERS => 0,
        servers => (PUT_OFF_MS_PER_SERVER * servers as u64).min(4 * config.silence_ms),
    }
}
