//! Membership messages as they go over a connection: to write hostile ones and to read honest ones.
//! The types of the core are private, and stricter than these. A variant stands for
//! a kind of frame ([`Message::KINDS`]), and its fields are the fixed part.

use std::net::SocketAddr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vs_core::ident::{Cid, ProcessId, ServerId, ViewId};
use vs_core::wire::frame::{PREAMBLE_BYTES, preamble};

/// What everybody belongs to who does not say otherwise.
pub(crate) const DEPLOYMENT: &str = "default";

/// Bytes of a frame's length.
const LENGTH_BYTES: usize = 4;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Incarnation {
    pub(crate) millis: u64,
    pub(crate) nonce: u32,
}

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

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(crate) message_bytes_max: u64,
    pub(crate) datagram_bytes: u64,
    pub(crate) window_packets: u64,
    pub(crate) window_needed: u64,
    pub(crate) order: u8,
    pub(crate) clusters: bool,
    pub(crate) peer_ms: u64,
    pub(crate) heartbeat_ms: u64,
    pub(crate) heartbeat_max_ms: u64,
    pub(crate) primary_of: Vec<ProcessId>,
}

/// One that the nodes of the fuzz targets have room for.
impl Default for Profile {
    fn default() -> Self {
        Self {
            message_bytes_max: 1 << 20,
            datagram_bytes: 1452,
            window_packets: 4096,
            window_needed: 800,
            order: 0,
            clusters: false,
            peer_ms: 2000,
            heartbeat_ms: 5,
            heartbeat_max_ms: 1000,
            primary_of: Vec::new(),
        }
    }
}

/// A profile that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) since_ms: u64,
    pub(crate) founder: ProcessId,
    pub(crate) profile: Profile,
}

/// To a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    Client(Peer, String),
    Server {
        server: ServerId,
        boot: u64,
        deployment: String,
    },
    Attach {
        group: String,
        counter: u64,
        members_max: u16,
        past: Past,
        profile: Profile,
        held: Option<Held>,
    },
    Leave {
        group: String,
    },
    Accuse {
        group: String,
        accused: Vec<ProcessId>,
    },
    Peer(PeerWord),
    Ping,
    Refused(Reason),
    Status,
    Silence(u64),
}

/// Why a side ends something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reason {
    pub(crate) code: u8,
    pub(crate) is_final: bool,
    pub(crate) numbers: Vec<u64>,
    pub(crate) texts: Vec<String>,
}

/// To a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reply {
    StartChange { group: String, counter: u64, cid: Cid, peers: Vec<Peer> },
    View { group: String, counter: u64, view: Triple },
    Detached { group: String, counter: u64, reason: Reason, retry_ms: u64 },
    Ping,
    Refused(Reason),
    Profile { group: String, counter: u64, held: Held },
    Silence(u64),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PeerWord {
    Links {
        server: ServerId,
        version: u64,
        servers: Vec<ServerId>,
        ready: Vec<ServerId>,
    },
    Clients {
        version: u64,
        group: String,
        clients: Vec<(Attached, SocketAddr)>,
        held: Option<Held>,
    },
    Proposal {
        group: String,
        proposal: Proposal,
    },
    Gone {
        group: String,
        process: ProcessId,
        code: u8,
        reason: Option<Reason>,
    },
    Accuse {
        group: String,
        by: ProcessId,
        accused: Vec<ProcessId>,
    },
    About {
        embeds: Option<ProcessId>,
        gathering: bool,
        listen: Option<SocketAddr>,
    },
    Ask {
        server: ServerId,
    },
    Tell {
        server: ServerId,
        boot: u64,
        listen: SocketAddr,
    },
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
    pub(crate) profile: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Mode {
    Fast,
    Slow,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proposal {
    pub(crate) from: ServerId,
    pub(crate) set: u64,
    pub(crate) cids: Vec<(ProcessId, Cid)>,
    pub(crate) vnum: u64,
    pub(crate) mode: Mode,
    pub(crate) n: u64,
    pub(crate) max_n: u64,
    pub(crate) pn: u64,
    pub(crate) used: Vec<(ServerId, u64)>,
}

/// A message that is written as a frame.
pub(crate) trait Message: Serialize + DeserializeOwned {
    /// The kinds of frames, with the numbers of the variants that stand for them.
    const KINDS: &[(u8, &[u8])];
}

impl Message for Request {
    const KINDS: &[(u8, &[u8])] = &[
        (1, &[0]),
        (2, &[1]),
        (3, &[2]),
        (4, &[3]),
        (5, &[4]),
        (16, &[5, 0]),
        (17, &[5, 1]),
        (18, &[5, 2]),
        (128, &[5, 3]),
        (19, &[5, 4]),
        (20, &[5, 5]),
        (21, &[5, 6]),
        (22, &[5, 7]),
        (6, &[6]),
        (7, &[7]),
        (8, &[8]),
        (129, &[9]),
    ];
}

impl Message for Reply {
    const KINDS: &[(u8, &[u8])] =
        &[(32, &[0]), (33, &[1]), (34, &[2]), (6, &[3]), (35, &[4]), (36, &[5]), (129, &[6])];
}

/// A message as a frame.
pub(crate) fn frame<M: Message>(message: &M) -> Vec<u8> {
    let content = postcard::to_allocvec(message).expect("it has a length");
    let of = |(_, variant): &&(u8, &[u8])| content.starts_with(variant);
    let (kind, variant) = M::KINDS.iter().find(of).expect("each variant is of a kind");
    let fixed = &content[variant.len()..];
    let length = (1 + fixed.len() as u32).to_le_bytes();
    [&length[..], &[*kind], fixed].concat()
}

/// The least kind that a reader may skip.
const SKIPPED_KINDS: u8 = 128;

/// Reads what one end of a connection says.
#[derive(Debug, Default)]
pub(crate) struct Listener {
    bytes: Vec<u8>,
    greeted: bool,
}

impl Listener {
    /// The messages that `bytes` complete, as far as they can be understood: after the first one
    /// that cannot, nothing is heard any more.
    pub(crate) fn hear<M: Message>(&mut self, bytes: &[u8]) -> Vec<M> {
        self.bytes.extend_from_slice(bytes);
        let mut messages = Vec::new();
        while let Some(message) = self.next() {
            messages.push(message);
        }
        messages
    }

    fn next<M: Message>(&mut self) -> Option<M> {
        if !self.greeted {
            self.greeted = self.bytes.starts_with(&preamble());
            self.greeted.then(|| self.bytes.drain(..PREAMBLE_BYTES))?;
        }
        loop {
            let (len, rest) = self.bytes.split_first_chunk::<LENGTH_BYTES>()?;
            let len = u32::from_le_bytes(*len) as usize;
            let (&kind, fixed) = rest.get(..len)?.split_first()?;
            let Some((_, variant)) = M::KINDS.iter().find(|(of, _)| *of == kind) else {
                // A reader skips what it does not know, if it may.
                (kind >= SKIPPED_KINDS).then(|| self.bytes.drain(..LENGTH_BYTES + len))?;
                continue;
            };
            let content = [variant, fixed].concat();
            let (message, options) = postcard::take_from_bytes(&content).ok()?;
            are_options(options).then(|| self.bytes.drain(..LENGTH_BYTES + len))?;
            return Some(message);
        }
    }
}

/// Whether `bytes` are optional fields, which a reader skips: a tag, a length, and so many bytes.
fn are_options(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match postcard::take_from_bytes::<(u8, &[u8])>(bytes) {
            Ok((_, rest)) => bytes = rest,
            Err(_) => return false,
        }
    }
    true
}
