//! Membership messages as they go over a connection: to write hostile ones and to read honest ones.
//! The types of the core are private, and stricter than these.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use vs_core::DetachReason;
use vs_core::ident::{Cid, Incarnation, ProcessId, ServerId, ViewId};
use vs_core::member::Departure;
use vs_core::wire::frame::{PREAMBLE_BYTES, preamble};

/// What everybody belongs to who does not say otherwise.
pub(crate) const DEPLOYMENT: &str = "default";

/// Bytes of a frame's length.
const LENGTH_BYTES: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Peer {
    pub(crate) process: ProcessId,
    pub(crate) incarnation: Incarnation,
    pub(crate) addr: SocketAddr,
}

/// A view, well-formed or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Triple {
    pub(crate) id: ViewId,
    pub(crate) members: Vec<ProcessId>,
    pub(crate) start: Vec<Cid>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Past {
    pub(crate) last_cid: Cid,
    pub(crate) last_view: ViewId,
    pub(crate) pending: Option<Cid>,
    pub(crate) mbr_view: Option<Triple>,
}

/// To a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    Client(Peer, String),
    Server { server: ServerId, boot: u64, deployment: String },
    Attach { group: String, counter: u64, members_max: u16, past: Past },
    Leave { group: String },
    Accuse { group: String, accused: Vec<ProcessId> },
    Peer(PeerWord),
    Ping,
    Refused(Refusal),
    Status,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Refusal {
    Itself,
    SameId(ServerId),
    Deployments(String, String),
}

/// To a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reply {
    StartChange { group: String, counter: u64, cid: Cid, peers: Vec<Peer> },
    View { group: String, counter: u64, view: Triple },
    Detached { group: String, counter: u64, reason: DetachReason, retry_ms: u64 },
    Ping,
    Refused(DetachReason),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PeerWord {
    Links { server: ServerId, version: u64, servers: Vec<ServerId>, ready: Vec<ServerId> },
    Clients { version: u64, group: String, clients: Vec<(Attached, SocketAddr)> },
    Proposal { group: String, proposal: Proposal },
    Gone { group: String, process: ProcessId, why: Departure },
    Accuse { group: String, by: ProcessId, accused: Vec<ProcessId> },
    About { embeds: Option<ProcessId>, gathering: bool, listen: Option<SocketAddr> },
    Ask { server: ServerId },
    Tell { server: ServerId, boot: u64, listen: SocketAddr },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attached {
    pub(crate) process: ProcessId,
    pub(crate) incarnation: Incarnation,
    pub(crate) counter: u64,
    pub(crate) home: ServerId,
    pub(crate) members_max: u16,
    /// The id of a view, and its fingerprint.
    pub(crate) settled: Option<(ViewId, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Mode {
    Fast,
    Slow,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proposal {
    pub(crate) from: ServerId,
    pub(crate) set: Vec<Attached>,
    pub(crate) cids: Vec<(ProcessId, Cid)>,
    pub(crate) vnum: u64,
    pub(crate) mode: Mode,
    pub(crate) n: u64,
    pub(crate) max_n: u64,
    pub(crate) pn: u64,
    pub(crate) used: Vec<(ServerId, u64)>,
}

/// A message behind its length.
pub(crate) fn frame<M: Serialize>(message: &M) -> Vec<u8> {
    let content = postcard::to_allocvec(message).expect("it has a length");
    let mut frame = (content.len() as u32).to_le_bytes().to_vec();
    frame.extend_from_slice(&content);
    frame
}

/// Reads what one end of a connection says.
#[derive(Debug, Default)]
pub(crate) struct Listener {
    bytes: Vec<u8>,
    greeted: bool,
}

impl Listener {
    /// The messages that `bytes` complete, as far as they can be understood: after the first one
    /// that cannot, nothing is heard any more.
    pub(crate) fn hear<M: for<'de> Deserialize<'de>>(&mut self, bytes: &[u8]) -> Vec<M> {
        self.bytes.extend_from_slice(bytes);
        let mut messages = Vec::new();
        while let Some(message) = self.next() {
            messages.push(message);
        }
        messages
    }

    fn next<M: for<'de> Deserialize<'de>>(&mut self) -> Option<M> {
        if !self.greeted {
            self.greeted = self.bytes.starts_with(&preamble());
            self.greeted.then(|| self.bytes.drain(..PREAMBLE_BYTES))?;
        }
        let (len, rest) = self.bytes.split_first_chunk::<LENGTH_BYTES>()?;
        let len = u32::from_le_bytes(*len) as usize;
        let (message, left) = postcard::take_from_bytes(rest.get(..len)?).ok()?;
        left.is_empty().then(|| self.bytes.drain(..LENGTH_BYTES + len))?;
        Some(message)
    }
}
