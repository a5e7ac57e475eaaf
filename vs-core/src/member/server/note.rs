//! What a server tells its operator.

use alloc::borrow::Cow;
use alloc::collections::VecDeque;
use core::fmt;
use core::net::SocketAddr;

use super::conn_id::ConnId;
use super::dialler::PeerTrouble;
use super::topology::LeftOut;
use crate::ident::{GroupName, ProcessId, ServerId};
use crate::member::Departure;
use crate::member::discovery::UselessBeacon;
use crate::member::message::Refusal;
use crate::view::{DisplaySet, Members, View};

/// Notes that wait to be read; beyond, the oldest is dropped.
const NOTES_MAX: usize = 1024;

/// What an operator may want to read. [`Note`] has [`fmt::Display`]: one sentence for each.
///
/// The queue of notes is bounded; if nobody reads it, the oldest note is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// A client attached to a group.
    Attached {
        /// The group.
        group: GroupName,
        /// The client.
        process: ProcessId,
        /// Its data address.
        addr: SocketAddr,
    },
    /// A client's attachment ended, at this server or at a peer.
    Detached {
        /// The group.
        group: GroupName,
        /// The client.
        process: ProcessId,
        /// Where it was attached.
        server: ServerId,
        /// Why.
        why: Departure,
    },
    /// A change began, for this set.
    StartChange {
        /// The group.
        group: GroupName,
        /// The set.
        set: Members,
    },
    /// A view was decided.
    View {
        /// The group.
        group: GroupName,
        /// The view.
        view: View,
        /// Whether the fast mode decided it.
        fast: bool,
    },
    /// A peer server came (`true`) or was lost.
    Peer {
        /// The server.
        server: ServerId,
        /// Whether it is connected now.
        connected: bool,
    },
    /// A beacon that was heard is of no use.
    UselessBeacon(UselessBeacon),
    /// The server has looked for others, and admits clients from now on.
    Settled {
        /// Servers that are connected.
        servers: usize,
    },
    /// A peer that was named is not connected; noted once, until it is or the reason changes.
    PeerTrouble {
        /// The address that was named.
        addr: SocketAddr,
        /// Why.
        why: PeerTrouble,
    },
    /// The clients of a connected server are in no view with those of this one, in no group.
    LeftOut {
        /// The server.
        server: ServerId,
        /// Why.
        why: LeftOut,
    },
    /// The clients of a server that was left out are in views with those of this one again.
    TakenIn {
        /// The server.
        server: ServerId,
    },
    /// Another server has the id of this one: peers pass on its link reports, which this server
    /// never sent.
    DuplicateId {
        /// That id.
        server: ServerId,
    },
    /// The boot value of a server is more than a year ahead of the clock here, and counts for
    /// nothing.
    BootAhead {
        /// The server.
        server: ServerId,
        /// When it started by its own clock, in ms of UNIX time.
        boot_ms: u64,
    },
    /// A connection finds no room: as many are open as there may be. Told once a second at most.
    NoRoom {
        /// How many there may be: [`ServerConfig::connections_max`](super::ServerConfig).
        connections_max: usize,
    },
    /// A connection spoke another protocol or broke a rule and was closed.
    Refused {
        /// The connection.
        conn: ConnId,
        /// One sentence.
        why: Cow<'static, str>,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attached { group, process, addr } => {
                write!(f, "{group}: {process} attached, data address {addr}")
            }
            Self::Detached { group, process, server, why } => {
                write!(f, "{group}: {process} detached from server {server}: {why}")
            }
            Self::StartChange { group, set } => {
                write!(f, "{group}: start_change {}", DisplaySet(set))
            }
            Self::View { group, view, fast } => {
                let mode = if *fast { "fast" } else { "slow" };
                write!(f, "{group}: view {view}, {mode} mode")
            }
            Self::Peer { server, connected: true } => write!(f, "server {server} connected"),
            Self::Peer { server, connected: false } => write!(f, "server {server} lost"),
            Self::UselessBeacon(beacon) => beacon.fmt(f),
            Self::Settled { servers } => {
                write!(f, "looked for others: {servers} servers connected")
            }
            Self::PeerTrouble { addr, why } => write!(f, "peer {addr}: {why}"),
            Self::LeftOut { server, why } => write!(f, "server {server} is left out: {why}"),
            Self::TakenIn { server } => write!(f, "server {server} is taken in"),
            Self::DuplicateId { server } => Refusal::SameId(*server).fmt(f),
            Self::BootAhead { server, boot_ms } => write!(
                f,
                "server {server} says that it started more than a year ahead of the clock here, at {boot_ms} ms of UNIX time"
            ),
            Self::NoRoom { connections_max } => write!(
                f,
                "no room for another connection: {connections_max} are open, and no more may be (connections_max)"
            ),
            Self::Refused { conn, why } => write!(f, "connection {} refused: {why}", conn.0),
        }
    }
}

/// Notes that wait to be read.
#[derive(Debug, Default)]
pub(super) struct Notes(VecDeque<Note>);

impl Notes {
    /// Adds a note. The oldest one is dropped when there is no room.
    pub(super) fn push(&mut self, note: Note) {
        if self.0.len() >= NOTES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(note);
    }

    /// Takes the oldest note.
    pub(super) fn poll_note(&mut self) -> Option<Note> {
        self.0.pop_front()
    }
}
