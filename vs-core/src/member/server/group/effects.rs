//! What a server lends to a group for a call, and what the group wants to be sent.

use alloc::vec::Vec;

use super::super::config::ServerConfig;
use super::super::connections::{ConnId, Connections};
use super::super::links::Links;
use super::super::note::Note;
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

/// Up to so many servers with clients in a group, arrivals are gathered for `gather_join_ms`.
const FEW_SERVERS: usize = 8;

/// Among more servers, how long arrivals are gathered at least, in ms for each of them: each
/// server proposes to each other one whatever any of them finds.
const GATHER_MS_PER_SERVER: u64 = 2;

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
    /// A server is connected that has no clients yet since it is looking for others.
    pub(in super::super) gathering: bool,
}

impl Cx<'_> {
    /// How long arrivals are gathered at least, since there are many servers, in ms.
    pub(super) fn gather_ms(&self) -> u64 {
        match self.clique.len() {
            servers if servers <= FEW_SERVERS => 0,
            servers => (GATHER_MS_PER_SERVER * servers as u64).min(self.config.silence_ms / 4),
        }
    }
}
