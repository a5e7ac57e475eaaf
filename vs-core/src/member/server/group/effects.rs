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
    Server(ServerId, PeerWord),
    /// To all peers: the clients here, as they are when it is sent; its version says so.
    Clients,
    /// To all peers: a client here is attached no more.
    Gone(ProcessId, Departure),
}

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
