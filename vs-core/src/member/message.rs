//! What clients and servers say to each other, as checked values. `convert` reads and writes the
//! frames.

mod convert;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use super::attached::Attached;
use super::detach::{Departure, DetachReason};
use super::past::Past;
use super::profile::Held;
use super::proposal::Proposal;
use crate::ident::{Cid, Deployment, GroupName, Incarnation, ProcessId, ServerId};
use crate::seal::{Proof, Secret, Signer};
use crate::view::View;

/// A process as the membership service announces it: enough to reach a joiner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// The process.
    pub process: ProcessId,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Where its datagrams are received.
    pub addr: SocketAddr,
}

impl Peer {
    /// Shows on the connection that `binding` stands for, that this is the incarnation.
    pub(crate) fn prove(&self, signer: &Signer, binding: &[u8]) -> Proof {
        let [process, millis] = self.numbers();
        signer.sign(PROOF_OF_CLIENT, &[binding, &process, &millis])
    }

    /// Whether `proof` shows on that connection that it is the incarnation.
    pub(crate) fn is_proved(&self, proof: &Proof, binding: &[u8]) -> bool {
        let [process, millis] = self.numbers();
        proof.shows(self.incarnation.nonce(), PROOF_OF_CLIENT, &[binding, &process, &millis])
    }

    fn numbers(&self) -> [[u8; 8]; 2] {
        [self.process.0, self.incarnation.millis()].map(u64::to_le_bytes)
    }
}

/// What a client signs on a connection.
const PROOF_OF_CLIENT: &str = "vs client";

/// From whoever connected to whoever listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// A client names itself; first of all. Behind a handshake it shows that it is this
    /// incarnation.
    Client { peer: Peer, deployment: Deployment, proof: Option<Proof> },
    /// A server names itself, and its boot value: one that restarted has forgotten all; first of
    /// all.
    Server { server: ServerId, boot: u64, deployment: Deployment },
    /// The client wants to be a member.
    Attach {
        group: GroupName,
        counter: u64,
        /// Members of the largest view that the client has room for.
        members_max: u16,
        past: Past,
    },
    /// The client leaves.
    Leave { group: GroupName },
    /// The members that the client accuses, instead of what it said before.
    Accuse { group: GroupName, accused: Vec<ProcessId> },
    /// Between servers.
    Peer(PeerWord),
    /// A sign of life.
    Ping,
    /// After this silence, in ms, the sender takes the receiver for dead.
    Silence(u64),
    /// To a server that named itself, by the one that it dialled: the connection ends.
    Refused(Refusal),
    /// An operator asks what the server sees; first of all, and the answer ends the connection.
    Status,
}

/// Why a server refuses another one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It is the same one.
    Itself,
    /// Another server has the same id.
    SameId(ServerId),
    /// They belong to two deployments.
    Deployments(Deployment, Deployment),
    /// A reason that this version does not know, in the words of the other server.
    Other(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Itself => f.write_str("it is the same server"),
            Self::SameId(id) => {
                write!(f, "two servers have the id {id}: give each server an id of its own")
            }
            Self::Deployments(one, other) => write!(
                f,
                "one belongs to the deployment {one}, the other to {other}: name the same one at both"
            ),
            Self::Other(words) => {
                write!(f, "it gives a reason that this version does not know: {words}")
            }
        }
    }
}

/// From a server to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    StartChange {
        group: GroupName,
        /// The client's number of the attachment that this is said to; of the others, too.
        counter: u64,
        cid: Cid,
        peers: Vec<Peer>,
    },
    View {
        group: GroupName,
        counter: u64,
        view: View,
        /// What its members seal with, where servers have keys.
        secret: Option<Secret>,
    },
    /// The profile that holds in the group, where it is not the client's own.
    Profile {
        group: GroupName,
        counter: u64,
        held: Held,
    },
    /// The attachment ended; a new one may be asked for after `retry_ms`.
    Detached {
        group: GroupName,
        counter: u64,
        reason: DetachReason,
        retry_ms: u64,
    },
    Ping,
    /// After this silence, in ms, the sender takes the receiver for dead.
    Silence(u64),
    /// Instead of everything else: the connection ends.
    Refused(DetachReason),
}

/// What a server tells another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PeerWord {
    /// The link report of `server`, which the sender made or passes on: the servers whose links to
    /// it count, and those whose links are ready to. `version` grows with every report and every
    /// [`PeerWord::Clients`] of a server.
    Links {
        server: ServerId,
        version: u64,
        servers: Vec<ServerId>,
        ready: Vec<ServerId>,
    },
    /// The speaker's clients in a group.
    Clients {
        version: u64,
        group: GroupName,
        clients: Vec<(Attached, SocketAddr)>,
        /// The profile that they have.
        held: Option<Held>,
    },
    Proposal {
        group: GroupName,
        proposal: Proposal,
    },
    /// A client of the sender is not attached any more. Only operators hear of it: what follows is
    /// said by `Clients`.
    Gone {
        group: GroupName,
        process: ProcessId,
        why: Departure,
    },
    /// What a client of the speaker accuses others of.
    Accuse {
        group: GroupName,
        by: ProcessId,
        accused: Vec<ProcessId>,
    },
    /// What the speaker is, where it is more than a server on its own that has long been there.
    About {
        /// The process that it is a part of, and dies with.
        embeds: Option<ProcessId>,
        /// It is still looking for other servers, and has no clients before it is done with that.
        gathering: bool,
        /// Where others reach it, if it knows.
        listen: Option<SocketAddr>,
    },
    /// A server that the one asked is connected to, and the speaker is not: where is it?
    Ask {
        server: ServerId,
    },
    /// It is there.
    Tell {
        server: ServerId,
        boot: u64,
        listen: SocketAddr,
    },
}
