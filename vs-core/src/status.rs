//! What a server or a node sees, at a moment: for operators. Plain values, bounded, and how they
//! are asked for.
//!
//! Whoever wants to know connects, asks ([`Asker`]), and gets one answer; then the connection ends.
//! Where there are keys, it is sealed. A [`crate::member::Server`] answers by itself on its
//! connections; for a [`crate::Node`] the runtime listens ([`Listener`], [`answer`]).

mod asker;
mod counters;
pub mod metrics;

use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::cast::CastCounters;
use crate::ident::{GroupName, Incarnation, ProcessId, Seq, ServerId, ViewId};
use crate::time::Time;
use crate::wire::frame::{self, Decoder, FrameError, preamble};
use crate::wire::message::{Frame, StatusAnswer};

pub use asker::Asker;
pub use counters::ServerCounters;

/// Answers that are given in [`ANSWERS_EVERY_MS`] ([`Pace`]).
pub const ANSWERS_MAX: u32 = 32;
/// The time in which so many answers are given, in ms.
pub const ANSWERS_EVERY_MS: u64 = 1000;
/// Groups that are listed in one answer.
pub const GROUPS_LISTED_MAX: usize = 32;
/// Members that are listed of one group.
pub const MEMBERS_LISTED_MAX: usize = 64;
/// Servers that are listed, and addresses at which they are looked for.
pub const SERVERS_LISTED_MAX: usize = 64;

/// The first of many, and how many more there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed<T> {
    /// Those that are shown.
    pub first: Vec<T>,
    /// How many are not.
    pub more: usize,
}

impl<T> Listed<T> {
    /// What `list` makes of at most `max` of `all`; the others are counted alone.
    pub(crate) fn new<S>(
        all: impl IntoIterator<Item = S>,
        max: usize,
        list: impl FnMut(S) -> T,
    ) -> Self {
        let mut all = all.into_iter();
        Self { first: all.by_ref().take(max).map(list).collect(), more: all.count() }
    }
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { first: Vec::new(), more: 0 }
    }
}

/// What is seen now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// By a membership server.
    Server(ServerStatus),
    /// By a node.
    Node(NodeStatus),
    /// Nothing: the one asked has answered [`ANSWERS_MAX`] times within [`ANSWERS_EVERY_MS`].
    Busy,
}

/// What a membership server sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServerStatus {
    /// Its id.
    pub server: ServerId,
    /// The clock value that it started with, in ms (UNIX time).
    pub boot_ms: u64,
    /// The process that it is a part of, if any.
    pub embeds: Option<ProcessId>,
    /// Whether it admits clients; not before it has looked for other servers.
    pub settled: bool,
    /// Connections, that of the question included.
    pub connections: usize,
    /// Connections of clients.
    pub clients: usize,
    /// What it counted since it started.
    pub counters: ServerCounters,
    /// Servers that are or were connected.
    pub peers: Listed<PeerStatus>,
    /// Addresses at which servers are looked for.
    pub dialled: Listed<DialStatus>,
    /// Groups.
    pub groups: Listed<GroupStatus>,
}

/// Another server, as a server sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PeerStatus {
    /// The other server.
    pub server: ServerId,
    /// Whether it is connected.
    pub connected: bool,
    /// Whether its clients are in views with those of this server.
    pub shares_views: bool,
    /// Why not, if it is connected all the same.
    pub left_out: Option<String>,
}

/// An address at which a server is looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DialStatus {
    /// The address.
    pub addr: SocketAddr,
    /// What became of it.
    pub state: DialState,
    /// What went wrong in the last attempt, until it is connected.
    pub trouble: Option<String>,
}

/// What became of an address at which a server is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DialState {
    /// It is tried again after a pause.
    Waiting,
    /// A connection is being made.
    Dialling,
    /// There is a connection.
    Up,
    /// The server there is connected over another connection.
    Spare,
    /// It is this server itself.
    Itself,
}

/// A group, as a server sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroupStatus {
    /// Its name.
    pub name: GroupName,
    /// Whether a change is under way.
    pub changing: bool,
    /// The last view that was decided here, if any.
    pub decided: Option<Decided>,
    /// The processes that the notification service reports now: the members of this view or of the
    /// next one.
    pub members: Listed<MemberStatus>,
    /// Clients that wait here for an id that another process has.
    pub waiting: usize,
    /// Clients that were excluded by accusation and may not come back yet.
    pub excluded: Listed<ProcessId>,
}

/// A view that was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Decided {
    /// Its id.
    pub view: ViewId,
    /// Whether the fast mode decided it.
    pub fast: bool,
    /// How long it took from the first start_change of the change, in ms; waits for more arrivals
    /// included.
    pub took_ms: u64,
}

/// A client in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MemberStatus {
    /// The client.
    pub process: ProcessId,
    /// The server that it is attached to.
    pub home: ServerId,
    /// Its data address.
    pub addr: SocketAddr,
}

/// What a node sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeStatus {
    /// Its process id.
    pub process: ProcessId,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// The membership server that it is connected to, as its runtime says.
    pub server: Option<SocketAddr>,
    /// What it counted since it was made.
    pub counters: Counters,
    /// Datagrams that the system dropped since the buffers of the node's sockets were full, as its
    /// runtime says.
    #[serde(default)]
    pub overflowed: u64,
    /// Slots of its pool, each for one packet.
    pub slots: usize,
    /// Slots of its pool that hold a packet.
    pub slots_used: usize,
    /// Its groups.
    pub groups: Listed<MembershipStatus>,
}

/// What a node counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Datagrams handed in.
    pub datagrams: u64,
    /// Datagrams that told something new.
    pub accepted: u64,
    /// Datagrams that told nothing new.
    pub duplicate: u64,
    /// Datagrams of a view that is not installed yet, which are kept.
    pub early: u64,
    /// Datagrams that do not concern this node.
    pub foreign: u64,
    /// Datagrams that found no room and wait for their repair.
    pub dropped: u64,
    /// Datagrams of another version of the protocol.
    pub version: u64,
    /// Datagrams that are damaged or of another protocol.
    pub malformed: u64,
    /// Datagrams in the clear, though this node has keys.
    #[serde(default)]
    pub clear: u64,
    /// Datagrams that say to be sealed with a key that this node does not have.
    #[serde(default)]
    pub other_key: u64,
    /// Datagrams that were not sealed with the key that they name, and sync messages that their
    /// sender did not sign. Of many that need a rare key, most are counted untried.
    #[serde(default)]
    pub forged: u64,
    /// Sealed datagrams that arrived again: copies, or sent again by somebody else.
    #[serde(default)]
    pub replayed: u64,
    /// Datagrams in the name of this node that it did not send: [`crate::Node::impostor`].
    #[serde(default)]
    pub impostors: u64,
    /// Sync messages that were dropped, since their cuts say more than can have been sent.
    #[serde(default)]
    pub false_cuts: u64,
    /// Messages delivered to the application.
    pub delivered: u64,
    /// Views installed.
    pub views: u64,
    /// Times that a member said that it hears no multicasts of this node:
    /// [`crate::Node::unheard_by`].
    pub unheard: u64,
    /// Frames of the server that were skipped, since they are of kinds that this version does not
    /// know.
    pub frames_skipped: u64,
}

/// A group, as a member sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MembershipStatus {
    /// Its name.
    pub name: GroupName,
    /// The view that it is in.
    pub view: ViewId,
    /// Whether a change is under way.
    pub changing: bool,
    /// The members, each with its stream of packets.
    pub members: Listed<StreamStatus>,
    /// Own packets that may be outstanding.
    pub window: u64,
    /// Own packets that are outstanding: sent, and not known to be stable.
    pub outstanding: u64,
    /// Own messages that wait for the next view.
    pub queued: usize,
    /// Members that hear no multicasts of this one.
    pub unheard_by: Listed<ProcessId>,
    /// Members whose datagrams to this one alone do not arrive, though their multicasts do.
    #[serde(default)]
    pub unicast_missing_from: Listed<ProcessId>,
    /// What the multicast of this view counted.
    pub counters: CastCounters,
}

/// The stream of one member in the current view, in packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StreamStatus {
    /// The member.
    pub process: ProcessId,
    /// The last packet before the first gap.
    pub received: Seq,
    /// The last one that is delivered to the application.
    pub delivered: Seq,
    /// The last one that is known to be stable.
    pub stable: Seq,
    /// The last packet of the node that was asked which this member has said to have.
    #[serde(default)]
    pub acked: Seq,
    /// Packets of the node that was asked which this member still has room for.
    #[serde(default)]
    pub credit: u64,
    /// Packets of the node that was asked which this member has not given room back for: it lacks
    /// them, has not delivered them, or does not know yet that all members have them. Who lags by a
    /// whole window keeps the node from sending.
    #[serde(default)]
    pub lag: u64,
}

/// How often is answered: an answer costs more than the question, and who asks in a loop must not
/// take the time of those who are served.
#[derive(Debug, Default)]
pub struct Pace {
    since: Option<Time>,
    asked: u32,
}

impl Pace {
    /// Somebody asks: whether to answer, or else with [`Status::Busy`].
    pub fn allows(&mut self, now: Time) -> bool {
        if self.since.is_none_or(|since| now >= since.plus_ms(ANSWERS_EVERY_MS)) {
            *self = Self { since: Some(now), asked: 0 };
        }
        self.asked = self.asked.saturating_add(1);
        self.asked <= ANSWERS_MAX
    }
}

/// What to send to whoever asked; the connection ends with it.
#[must_use]
pub fn answer(status: &Status) -> Vec<u8> {
    stream(&status.into())
}

fn stream(frame: &Frame) -> Vec<u8> {
    let mut out = preamble().to_vec();
    frame::encode(frame, &mut out);
    out
}

impl From<&Status> for Frame {
    fn from(status: &Status) -> Self {
        // Plain values of a bounded size can be written.
        StatusAnswer { status: postcard::to_allocvec(status).unwrap_or_default() }.into()
    }
}

impl TryFrom<Frame> for Status {
    type Error = FrameError;

    fn try_from(frame: Frame) -> Result<Self, FrameError> {
        let Frame::StatusAnswer(answer) = frame else { return Err(FrameError::Content) };
        postcard::from_bytes(&answer.status).map_err(|_| FrameError::Content)
    }
}

/// Reads a request as it arrives. Holds no more than one frame and what was pushed last.
#[derive(Debug, Default)]
pub struct Listener(Decoder);

impl Listener {
    /// Takes bytes; true once the status is asked for.
    ///
    /// # Errors
    /// The bytes ask for something else, or are not of this version. Nothing more can be read.
    pub fn push(&mut self, bytes: &[u8]) -> Result<bool, FrameError> {
        self.0.push(bytes);
        match self.0.next::<Frame>()? {
            None => Ok(false),
            Some(Frame::StatusRequest(_)) => Ok(true),
            Some(_) => Err(FrameError::Content),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::ident::Deployment;
    use crate::wire::frame::FRAME_BYTES_MAX;

    fn many<T: Clone>(one: T, max: usize) -> Listed<T> {
        Listed::new(core::iter::repeat_n(one, max + 7), max, |one| one)
    }

    /// A server and a node with the longest answers. Of each list so many are shown as `shown` says
    /// of the most that may be.
    fn longest(shown: fn(usize) -> usize) -> [Status; 2] {
        let name = GroupName::new(&"g".repeat(crate::ident::GROUP_NAME_BYTES_MAX)).unwrap();
        let addr = SocketAddr::from(([0xffff_u16; 8], u16::MAX));
        let (process, server) = (ProcessId(u64::MAX), ServerId(u64::MAX));
        let view = ViewId { major: u64::MAX, minor: u64::MAX };
        let words = Some("w".repeat(500));
        let peer =
            PeerStatus { server, connected: true, shares_views: false, left_out: words.clone() };
        let dial = DialStatus { addr, state: DialState::Itself, trouble: words };
        let member = MemberStatus { process, home: server, addr };
        let group = GroupStatus {
            name: name.clone(),
            changing: true,
            decided: Some(Decided { view, fast: true, took_ms: u64::MAX }),
            members: many(member, shown(MEMBERS_LISTED_MAX)),
            waiting: usize::MAX,
            excluded: many(process, shown(MEMBERS_LISTED_MAX)),
        };
        let of_server = Status::Server(ServerStatus {
            server,
            boot_ms: u64::MAX,
            embeds: Some(process),
            settled: true,
            connections: usize::MAX,
            clients: usize::MAX,
            counters: ServerCounters::default(),
            peers: many(peer, shown(SERVERS_LISTED_MAX)),
            dialled: many(dial, shown(SERVERS_LISTED_MAX)),
            groups: many(group, shown(GROUPS_LISTED_MAX)),
        });
        let all = u64::MAX;
        let (received, delivered, stable, acked, credit, lag) = (all, all, all, all, all, all);
        let stream = StreamStatus { process, received, delivered, stable, acked, credit, lag };
        let membership = MembershipStatus {
            name,
            view,
            changing: true,
            members: many(stream, shown(MEMBERS_LISTED_MAX)),
            window: u64::MAX,
            outstanding: u64::MAX,
            queued: usize::MAX,
            unheard_by: many(process, shown(MEMBERS_LISTED_MAX)),
            unicast_missing_from: many(process, shown(MEMBERS_LISTED_MAX)),
            counters: CastCounters { sent: u64::MAX, ..CastCounters::default() },
        };
        let of_node = Status::Node(NodeStatus {
            process,
            incarnation: Incarnation::new(u64::MAX),
            server: Some(addr),
            counters: Counters::default(),
            overflowed: u64::MAX,
            slots: usize::MAX,
            slots_used: usize::MAX,
            groups: many(membership, shown(GROUPS_LISTED_MAX)),
        });
        [of_node, of_server]
    }

    /// A node and a server of which each field is there, and each list shows one.
    #[cfg(feature = "json")]
    pub(in crate::status) fn full() -> [Status; 2] {
        longest(|_| 1)
    }

    #[test]
    fn longest_answers_fit_one_frame() {
        for status in longest(|max| max).into_iter().chain([Status::Busy]) {
            let bytes = answer(&status);
            assert!(bytes.len() <= FRAME_BYTES_MAX, "{} bytes", bytes.len());
            let told = Asker::new(None, &Deployment::default()).handle_stream(&bytes);
            assert_eq!(told, Ok(Some(status)));
        }
    }

    /// What is not shown cost as much as what is.
    #[test]
    fn unlisted_items_cost_no_work() {
        let mut made = 0;
        let listed = Listed::new(0..100, 3, |n| {
            made += 1;
            n
        });
        assert_eq!((listed, made), (Listed { first: Vec::from([0, 1, 2]), more: 97 }, 3));
    }

    #[test]
    fn answers_are_limited_per_second() {
        let mut pace = Pace::default();
        let begun = Time::from_millis(77);
        for ms in [0, ANSWERS_EVERY_MS, 3 * ANSWERS_EVERY_MS - 1] {
            for _ in 0..ANSWERS_MAX {
                assert!(pace.allows(begun.plus_ms(ms)));
            }
            assert!(!pace.allows(begun.plus_ms(ms)));
        }
    }

    #[test]
    fn listener_accepts_status_request_only() {
        let asker = Asker::new(None, &Deployment::default());
        let bytes = asker.output();
        let mut listener = Listener::default();
        assert_eq!(listener.push(&bytes[..7]), Ok(false));
        assert_eq!(listener.push(&bytes[7..]), Ok(true));
        assert_eq!(
            Listener::default().push(&stream(&Frame::from(crate::wire::message::Ping))),
            Err(FrameError::Content)
        );
        assert_eq!(Listener::default().push(b"GET / HTTP/1.1"), Err(FrameError::Magic));
    }
}
