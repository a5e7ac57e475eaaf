//! The frames between clients and membership servers, and between servers, byte by byte.
//!
//! # A connection
//!
//! Each side begins with six bytes: `"VSM\0"`, then the version as `u16`, little-endian
//! ([`super::STREAM_VERSION`]). Frames follow:
//!
//! ```text
//! 0 length of the rest u32, little-endian, at most 262,144
//! 4 kind u8 | 5 fixed part | optional fields
//! ```
//!
//! # The fixed part
//!
//! The fields of a kind stand one after the other, without padding, as
//! [postcard](https://postcard.jamesmunns.com) writes them:
//!
//! | type | bytes |
//! |---|---|
//! | `u8`, `bool` | one byte; a `bool` is 0 or 1 |
//! | `u16`, `u32`, `u64`, and every id | a varint: seven bits a byte, the least first; the highest bit says that more follow |
//! | text | its length as a varint, then UTF-8 |
//! | list | its length as a varint, then its elements |
//! | option | 0; or 1 and the value |
//! | [`Addr`] | 0, four bytes, port as a varint; or 1, sixteen bytes, port as a varint |
//!
//! The structs of this module are the fields, in order. What an element of a list has to say
//! besides, in a later version, goes into an optional field of the frame that is a list of the same
//! length.
//!
//! # Optional fields
//!
//! ```text
//! 0 tag u8 | 1 length as a varint | bytes
//! ```
//!
//! They fill the rest of the frame. A reader skips those whose tag it does not know. One is
//! defined, of [`Proposal`] and of [`NewView`], with tag 1: a secret of 32 bytes. It is only sent
//! on sealed connections.
//!
//! # Kinds
//!
//! The structs below name their kind. A reader that does not know a kind below 128 ends the
//! connection and says why. It skips a frame of an unknown kind from 128 on and counts it. So a
//! frame without which the other side would do the wrong thing has a kind below 128, and all others
//! one from 128 on.
//!
//! # Reasons
//!
//! A [`Reason`] is a code with numbers and texts. A reader ignores numbers and texts beyond those
//! that it knows. Of a code that it does not know, it shows the texts, and [`Reason::is_final`]
//! says what follows.
//!
//! # When the version is raised
//!
//! Raise [`super::STREAM_VERSION`] if a program of the version before would misread what is sent,
//! or would do the wrong thing because it skips it:
//!
//! - a field of a fixed part is added, removed, or has another type or meaning;
//! - a kind, a code or a tag is given another meaning;
//! - everybody has to understand a new kind below 128.
//!
//! Do not raise it for a new optional field, for a new kind from 128 on, for a new code of a
//! reason, or for a new kind below 128 that is sent only to those who asked for it. Never give a
//! number that was in use to something else.
//!
//! Both sides of a connection say their version first, so each side names both versions when they
//! differ. The files in `tests/golden/frames` hold a sample of each kind; the test `golden_frames`
//! compares them.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::bytes::are_options;
use super::field::{Field, put_field, read_field};
use super::frame_error::FrameError;
use crate::ident::{Cid, ProcessId, ServerId, ViewId};
use crate::seal::{Proof, Secret};

/// The first kind that a reader may skip if it does not know it.
const SKIPPED_KINDS: u8 = 128;

macro_rules! frames {
    ($($kind:literal $name:ident $(with $option:ident)?,)*) => {
        /// One frame.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) enum Frame {
            $(
                #[doc = concat!("Kind ", stringify!($kind), ".")]
                $name($name),
            )*
        }

        impl From<&Frame> for Frame {
            fn from(frame: &Frame) -> Self {
                frame.clone()
            }
        }

        impl Frame {
            /// Appends kind and fixed part to `out`.
            pub(crate) fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$name(body) => {
                        put($kind, body, out);
                        $(put_field(body.$option.as_ref(), out);)?
                    })*
                }
            }

            /// Reads what stands behind the length; `None` if the kind is unknown and may be
            /// skipped.
            pub(crate) fn decode(content: &[u8]) -> Result<Option<Self>, FrameError> {
                let (&kind, body) = content.split_first().ok_or(FrameError::Content)?;
                match kind {
                    $($kind => {
                        let read = Read::<$name>::new(body)?;
                        $(let read = Read {
                            fixed: $name { $option: read.field()?, ..read.fixed },
                            ..read
                        };)?
                        Ok(Some(Self::$name(read.fixed)))
                    })*
                    SKIPPED_KINDS.. => Ok(None),
                    _ => Err(FrameError::Kind(kind)),
                }
            }
        }

        $(
            impl From<$name> for Frame {
                fn from(body: $name) -> Self {
                    Self::$name(body)
                }
            }
        )*
    };
}

frames! {
    1 Client with proof,
    2 Server,
    3 Attach,
    4 Leave,
    5 Accuse,
    6 Ping,
    7 TurnedDown,
    8 StatusRequest,
    16 Links,
    17 Clients,
    18 Proposal with share,
    19 Accusation,
    20 About,
    21 Ask,
    22 Tell,
    32 StartChange,
    33 NewView with secret,
    34 Detached,
    35 Refused,
    36 NewProfile,
    48 StatusAnswer,
    128 Gone,
    129 Silence,
}

fn put<B: Serialize>(kind: u8, body: &B, out: &mut Vec<u8>) {
    out.push(kind);
    if let Ok(bytes) = postcard::to_allocvec(body) {
        out.extend_from_slice(&bytes);
    }
}

/// A frame that was read.
struct Read<'a, B> {
    fixed: B,
    /// The optional fields.
    options: &'a [u8],
}

impl<'a, B: DeserializeOwned> Read<'a, B> {
    fn new(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let (fixed, options) = postcard::take_from_bytes(bytes).map_err(|_| FrameError::Content)?;
        if are_options(options) { Ok(Self { fixed, options }) } else { Err(FrameError::Content) }
    }

    /// The optional field.
    fn field<F: Field>(&self) -> Result<Option<F>, FrameError> {
        read_field(self.options)
    }
}

/// A socket address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Addr {
    V4([u8; 4], u16),
    V6([u8; 16], u16),
}

impl From<SocketAddr> for Addr {
    fn from(addr: SocketAddr) -> Self {
        match addr.ip() {
            IpAddr::V4(ip) => Self::V4(ip.octets(), addr.port()),
            IpAddr::V6(ip) => Self::V6(ip.octets(), addr.port()),
        }
    }
}

impl From<Addr> for SocketAddr {
    fn from(addr: Addr) -> Self {
        match addr {
            Addr::V4(ip, port) => Self::new(Ipv4Addr::from(ip).into(), port),
            Addr::V6(ip, port) => Self::new(Ipv6Addr::from(ip).into(), port),
        }
    }
}

/// One run of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Incarnation {
    /// Milliseconds of UNIX time at its start.
    pub(crate) millis: u64,
    /// Tells apart two processes of one id that started in the same millisecond: random bits, or a
    /// hash of the key that the incarnation signs with.
    pub(crate) nonce: u64,
}

/// A process, and where it receives datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Peer {
    pub(crate) process: ProcessId,
    pub(crate) incarnation: Incarnation,
    pub(crate) addr: Addr,
}

/// A view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct View {
    pub(crate) id: ViewId,
    /// Ascending.
    pub(crate) members: Vec<ProcessId>,
    /// One for each member.
    pub(crate) start: Vec<Cid>,
}

/// What a client was told before it attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Past {
    /// The highest cid that it was given for the group.
    pub(crate) last_cid: Cid,
    /// The highest view id that it was told or has installed.
    pub(crate) last_view: ViewId,
    /// The cid of a change that is under way.
    pub(crate) pending: Option<Cid>,
    /// The last view that it was told.
    pub(crate) mbr_view: Option<View>,
}

/// What a process is configured for, or what holds in a group. `member/profile.rs` says what each
/// field means for a group, and whether a profile that was read is possible at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(crate) message_bytes_max: u64,
    pub(crate) datagram_bytes: u64,
    pub(crate) window_packets: u64,
    /// The least window that holds the largest message and one packet more.
    pub(crate) window_needed: u64,
    /// The code of an [`crate::order::Order`]. 0: fifo.
    pub(crate) order: u8,
    /// Whether each member is told from which view every other member came. No process of this
    /// version asks for it.
    pub(crate) clusters: bool,
    pub(crate) peer_ms: u64,
    pub(crate) heartbeat_ms: u64,
    pub(crate) heartbeat_max_ms: u64,
    /// Ascending.
    pub(crate) primary_of: Vec<ProcessId>,
}

/// A profile that holds in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    /// Since when, in ms of UNIX time, by the clock of the server that let the first member in.
    pub(crate) since_ms: u64,
    /// The first member.
    pub(crate) founder: ProcessId,
    pub(crate) profile: Profile,
}

/// Why a side ends something. The codes of each use stand where it is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reason {
    pub(crate) code: u8,
    /// Whether the receiver gives up, if it does not know the code.
    pub(crate) is_final: bool,
    pub(crate) numbers: Vec<u64>,
    pub(crate) texts: Vec<String>,
}

/// Kind 1, to a server: a client names itself. It is the first frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Client {
    pub(crate) peer: Peer,
    pub(crate) deployment: String,
    /// Shows behind a handshake that it is this incarnation: its public key, whose hash is the
    /// nonce of the incarnation, and its signature of the handshake. An optional field.
    #[serde(skip)]
    pub(crate) proof: Option<Proof>,
}

/// Kind 2, between servers: a server names itself. It is the first frame, and the other server's
/// first answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Server {
    pub(crate) server: ServerId,
    pub(crate) boot: u64,
    pub(crate) deployment: String,
}

/// Kind 3, to a server: a client wants to be a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attach {
    pub(crate) group: String,
    /// Grows with each attachment of the incarnation.
    pub(crate) counter: u64,
    /// Members of the largest view that the client has room for.
    pub(crate) members_max: u16,
    pub(crate) past: Past,
    /// What the client is configured for.
    pub(crate) profile: Profile,
    /// The profile that holds in the group, if the client was told of one.
    pub(crate) held: Option<Held>,
}

/// Kind 4, to a server: a client leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leave {
    pub(crate) group: String,
}

/// Kind 5, to a server: all members that a client accuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Accuse {
    pub(crate) group: String,
    pub(crate) accused: Vec<ProcessId>,
}

/// Kind 6, to anybody: a sign of life. It has no fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ping;

/// Kind 7, to a server that named itself: the connection ends. Codes: 0 it is the same server; 1
/// another server has its id, which is the number; 2 another deployment: the texts are those of the
/// receiver and of the sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TurnedDown {
    pub(crate) reason: Reason,
}

/// Kind 8, to a server or a node: an operator asks for the status. It is the first frame and has no
/// fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StatusRequest;

/// Kind 16, between servers: the link report of a server, by itself or passed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Links {
    pub(crate) server: ServerId,
    /// Grows with each report of `server`, and with each [`Clients`].
    pub(crate) version: u64,
    /// The servers whose links to `server` count.
    pub(crate) servers: Vec<ServerId>,
    /// The servers whose links to `server` are ready to count.
    pub(crate) ready: Vec<ServerId>,
}

/// A client of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attached {
    pub(crate) process: ProcessId,
    pub(crate) incarnation: Incarnation,
    /// As in [`Attach`].
    pub(crate) counter: u64,
    /// The server that it is attached to.
    pub(crate) home: ServerId,
    /// As in [`Attach`].
    pub(crate) members_max: u16,
    /// The id of the view that it was in when it attached, and the fingerprint of that view.
    pub(crate) settled: Option<(ViewId, u64)>,
    /// FNV-1a over the profile that it has; servers compare it and nothing else.
    pub(crate) profile: u64,
}

/// Kind 17, between servers: all clients of the sender in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Clients {
    /// As in [`Links`].
    pub(crate) version: u64,
    pub(crate) group: String,
    pub(crate) clients: Vec<(Attached, Addr)>,
    /// The profile that they have.
    pub(crate) held: Option<Held>,
}

/// Kind 18, between servers: what the sender proposes as the next view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proposal {
    pub(crate) group: String,
    pub(crate) from: ServerId,
    /// Which clients the members are: FNV-1a over the fields of each [`Attached`] of them,
    /// ascending by process, each number as a `u64`: process, `millis`, `nonce`, `counter`, `home`,
    /// twice `members_max` and 1 more if `settled` is there, its three numbers or three times 0,
    /// `profile`. Servers compare it and nothing else: each knows its own clients and those that
    /// [`Clients`] told of.
    pub(crate) set: u64,
    /// The cids that the sender gave, and the highest that it knows of the others. Ascending by
    /// process.
    pub(crate) cids: Vec<(ProcessId, Cid)>,
    /// The number of the view.
    pub(crate) vnum: u64,
    /// Whether it is a numbered proposal of the slow mode.
    pub(crate) is_slow: bool,
    /// The number of a proposal of the slow mode.
    pub(crate) n: u64,
    /// The highest such number that the sender knows.
    pub(crate) max_n: u64,
    /// The sender's own count of proposals.
    pub(crate) pn: u64,
    /// The last proposals of other servers that the sender has used for a view.
    pub(crate) used: Vec<(ServerId, u64)>,
    /// The sender's part of the secret of the view, the same for all proposals with the same cids
    /// of its clients. An optional field.
    #[serde(skip)]
    pub(crate) share: Option<Secret>,
}

/// Kind 19, between servers: all members that a client of the sender accuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Accusation {
    pub(crate) group: String,
    pub(crate) by: ProcessId,
    pub(crate) accused: Vec<ProcessId>,
}

/// Kind 20, between servers: what the sender is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    /// The process that it is a part of.
    pub(crate) embeds: Option<ProcessId>,
    /// Whether it still looks for other servers and lets no client in.
    pub(crate) gathering: bool,
    /// Where others reach it, if it knows.
    pub(crate) listen: Option<Addr>,
}

/// Kind 21, between servers: where is a server that the receiver is connected to?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub(crate) server: ServerId,
}

/// Kind 22, between servers: the answer to [`Ask`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tell {
    pub(crate) server: ServerId,
    pub(crate) boot: u64,
    pub(crate) listen: Addr,
}

/// Kind 32, to a client: a change is proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StartChange {
    pub(crate) group: String,
    /// As in [`Attach`].
    pub(crate) counter: u64,
    pub(crate) cid: Cid,
    /// Ascending by process.
    pub(crate) peers: Vec<Peer>,
}

/// Kind 33, to a client: a view is announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NewView {
    pub(crate) group: String,
    /// As in [`Attach`].
    pub(crate) counter: u64,
    pub(crate) view: View,
    /// What the members seal with. An optional field.
    #[serde(skip)]
    pub(crate) secret: Option<Secret>,
}

/// Kind 34, to a client: an attachment ended.
///
/// Codes: 0 the server was lost; 1 accused by the processes that the numbers name; 2 another
/// process has the id; 3 other versions: the numbers are those of server and client; 4 the server
/// is full; 5 the application did not answer a block request; 6 the view is too large; 7 the
/// contract was broken, as the text says; 8 excluded by the source of views; 9 the client was
/// silent; 10 other deployments: the texts are those of server and client; 11 the client's clock is
/// ahead; 12 the client does not fit the profile of the group: the number is a field (1
/// `primary_of`, 2 `order`, 3 `clusters`, 4 `message_bytes_max`, 5 `datagram_bytes`, 6
/// `window_packets`), the texts are the values of group and client; 13 a process is attached under
/// the id over another connection, at the server that the number names; 14 the connection was not
/// sealed as one side wants it: the numbers say how ([`crate::wire::ChannelError`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Detached {
    pub(crate) group: String,
    /// As in [`Attach`].
    pub(crate) counter: u64,
    pub(crate) reason: Reason,
    /// The pause before the next attachment, in ms.
    pub(crate) retry_ms: u64,
}

/// Kind 35, to a client: the connection ends. The codes are those of [`Detached`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub(crate) reason: Reason,
}

/// Kind 36, to a client: the profile that holds in the group, before the first [`StartChange`] of a
/// view in which it does. The client takes it with that view. It is not sent to a client that has
/// this profile already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NewProfile {
    pub(crate) group: String,
    /// As in [`Attach`].
    pub(crate) counter: u64,
    pub(crate) held: Held,
}

/// Kind 48, to an operator: the answer to [`StatusRequest`]. The bytes are a `Status`, by postcard;
/// it shows what this version of the program has to show, and readers of another version do not get
/// so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StatusAnswer {
    pub(crate) status: Vec<u8>,
}

/// Kind 128, between servers: a client of the sender is not attached any more. Operators are told
/// of it; nothing else follows.
///
/// Codes: 0 it left; 1 its connection ended; 2 it was told `reason`, with a code of [`Detached`]; 3
/// its server was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gone {
    pub(crate) group: String,
    pub(crate) process: ProcessId,
    pub(crate) code: u8,
    pub(crate) reason: Option<Reason>,
}

/// Kind 129, to anybody who has named itself: after how long a silence the sender takes the
/// receiver for dead. The receiver sends signs of life four times as often. Who does not say it
/// is configured for 1000 ms. A server says it again when it takes servers for dead earlier or
/// later, since there are fewer or more of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Silence {
    pub(crate) silence_ms: u64,
}
