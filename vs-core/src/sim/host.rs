//! Hosts. Each has one process or one membership server.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::config::{GroupConfig, NodeConfig};
use crate::ident::{GroupKey, GroupName, Incarnation, ProcessId, ServerId};
use crate::member::DetachReason;
use crate::member::{Server, ServerConfig};
use crate::node::Node;
use crate::sim::liar::Liar;
use crate::sim::processor::Processor;
use crate::sim::recorder::Recorder;
use crate::sim::site::Site;
use crate::sim::transmitted::Transmitted;
use crate::status::ServerCounters;
use crate::time::Time;
use crate::time::Wake;
use crate::trace::Record;
use crate::view::View;

/// What will happen.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Datagram {
        from: usize,
        to: usize,
        bytes: Rc<[u8]>,
        is_multicast: bool,
    },
    /// The processor of a busy host is free.
    Turn {
        host: usize,
    },
    /// `n` bytes of the pipe that end `from` writes arrive; none: a close may.
    Bytes {
        conn: u64,
        from: u8,
        n: u32,
    },
    /// End `end` learns that its peer is not there.
    Reset {
        conn: u64,
        end: u8,
    },
    /// A request for a connection arrives at the listener.
    Dial {
        conn: u64,
        tries: u8,
    },
    /// The listener's process takes the connection.
    Accept {
        conn: u64,
    },
    /// The dialer learns whether the connection is up.
    Dialed {
        conn: u64,
        ok: bool,
    },
    /// The kernel closes the connection of a process that is gone.
    Gone {
        conn: u64,
        end: u8,
    },
    /// A process or a server asked to be woken.
    Wake {
        host: usize,
    },
    /// An application asked to be woken.
    App {
        host: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostState {
    Up,
    /// Stopped as by SIGSTOP; its kernel goes on.
    Paused,
    /// The process is gone, its kernel refuses what comes.
    Down,
    /// The host is gone and refuses nothing.
    Off,
}

#[derive(Debug)]
pub(crate) struct Host<A> {
    pub(crate) site: Site,
    pub(crate) state: HostState,
    /// The earliest wake-up that is queued.
    pub(crate) wake: Option<Time>,
    /// Events that wait for a paused process.
    pub(crate) held: VecDeque<Happening>,
    pub(crate) held_datagrams: usize,
    pub(crate) processor: Processor,
    /// How far its clock has been set forward, in ns.
    pub(crate) ahead_ns: u64,
    pub(crate) body: Body<A>,
}

#[derive(Debug)]
pub(crate) enum Body<A> {
    Process(Box<ProcessBody<A>>),
    Server(Box<ServerBody>),
}

#[derive(Debug)]
pub(crate) struct ProcessBody<A> {
    pub(crate) id: ProcessId,
    pub(crate) config: NodeConfig,
    /// Hosts of its membership servers, in the order of its list.
    pub(crate) servers: Vec<usize>,
    /// Groups to be joined at each start.
    pub(crate) groups: Vec<(GroupName, GroupConfig)>,
    pub(crate) app: A,
    pub(crate) app_wake: Option<Time>,
    /// Messages that the application has sent in one instant, and when that was.
    pub(crate) sends: (Time, usize),
    pub(crate) node: Option<Node<Recorder>>,
    /// What this incarnation transmitted.
    pub(crate) transmitted: Transmitted,
    /// What changes its datagrams, while it lies.
    pub(crate) liar: Option<Liar>,
    pub(crate) incarnation: Incarnation,
    /// How far the clock that its lives begin by is ahead, in ms.
    pub(crate) clock_ahead_ms: u64,
    /// How far that clock was ahead when the last life began.
    pub(crate) began_ahead_ms: u64,
    /// A life begins above what the trace of those before has reached.
    pub(crate) reads_trace: bool,
    /// The application takes actions.
    pub(crate) reading: bool,
    /// The connection to a membership server.
    pub(crate) link: Option<u64>,
    pub(crate) detached: Option<(GroupKey, DetachReason)>,
    /// It was refused, or lost its place, since its id is claimed elsewhere.
    pub(crate) id_claimed: bool,
    /// Groups that are being left; the process ends after the last.
    pub(crate) leaving: Option<Vec<GroupKey>>,
    /// Trace of earlier incarnations.
    pub(crate) records: Vec<Record>,
    /// The last view of each group that the application was told, in this incarnation.
    pub(crate) entered: Vec<(GroupKey, View)>,
    /// Moves of applications that share a state with others, over all incarnations.
    pub(crate) moves: Vec<Move>,
}

/// An application went from one view to the next.
#[derive(Debug)]
pub(crate) struct Move {
    pub(crate) group: GroupKey,
    pub(crate) from: View,
    pub(crate) to: View,
    /// The [`Application::common_state`](crate::sim::Application::common_state) at that time.
    pub(crate) state: String,
}

#[derive(Debug)]
pub(crate) struct ServerBody {
    pub(crate) id: ServerId,
    pub(crate) config: ServerConfig,
    /// How far its clock is ahead, in ms.
    pub(crate) clock_ahead_ms: u64,
    pub(crate) boot: u64,
    pub(crate) server: Option<Server>,
    pub(crate) conns: BTreeSet<u64>,
    /// Connections with output that found no room.
    pub(crate) unwritten: BTreeSet<u64>,
    /// Connections that this server made, and to which host.
    pub(crate) dialed: BTreeMap<u64, usize>,
    /// Counters of earlier incarnations.
    pub(crate) past: ServerCounters,
}

impl<A> ProcessBody<A> {
    /// A process that does not run and is in no group.
    pub(crate) fn new(id: ProcessId, config: NodeConfig, servers: Vec<usize>, app: A) -> Self {
        Self {
            id,
            config,
            servers,
            groups: Vec::new(),
            app,
            app_wake: None,
            node: None,
            transmitted: Transmitted::default(),
            liar: None,
            incarnation: Incarnation::new(0),
            clock_ahead_ms: 0,
            began_ahead_ms: 0,
            reads_trace: false,
            reading: true,
            sends: (Time::ZERO, 0),
            link: None,
            detached: None,
            id_claimed: false,
            leaving: None,
            records: Vec::new(),
            entered: Vec::new(),
            moves: Vec::new(),
        }
    }
}

impl ServerBody {
    pub(crate) fn counters(&self) -> ServerCounters {
        let mut all = self.past;
        self.server.iter().for_each(|server| all.add(server.counters()));
        all
    }
}

impl<A> Host<A> {
    pub(crate) fn new(site: Site, body: Body<A>) -> Self {
        Self {
            site,
            state: HostState::Down,
            wake: None,
            held: VecDeque::new(),
            held_datagrams: 0,
            processor: Processor::default(),
            ahead_ns: 0,
            body,
        }
    }

    /// Whether a process runs there (it may be paused).
    pub(crate) fn is_running(&self) -> bool {
        matches!(&self.body, Body::Process(body) if body.node.is_some())
    }

    /// What its clock shows at `now`.
    pub(crate) fn clock(&self, now: Time) -> Time {
        now + self.ahead_ns
    }

    /// When the process wants to be woken, and what for.
    pub(crate) fn due(&self) -> Option<(Time, Option<Wake>)> {
        let (at, wake) = match &self.body {
            Body::Process(p) => p.node.as_ref()?.poll_timeout().map(|(at, wake)| (at, Some(wake))),
            Body::Server(s) => s.server.as_ref()?.poll_timeout().map(|at| (at, None)),
        }?;
        Some((Time(at.0.saturating_sub(self.ahead_ns)), wake))
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        let now = self.clock(now);
        match &mut self.body {
            Body::Process(p) => p.node.as_mut().into_iter().for_each(|n| n.handle_timeout(now)),
            Body::Server(s) => s.server.as_mut().into_iter().for_each(|s| s.handle_timeout(now)),
        }
    }

    /// Hands in bytes that arrived on `conn`, if the process still has it.
    pub(crate) fn handle_stream(&mut self, now: Time, conn: u64, bytes: &[u8]) {
        let now = self.clock(now);
        match &mut self.body {
            Body::Process(p) if p.link == Some(conn) => {
                if let Some(node) = &mut p.node {
                    node.handle_stream(now, bytes);
                }
            }
            Body::Server(s) if s.conns.contains(&conn) => {
                if let Some(server) = &mut s.server {
                    server.handle_stream(now, crate::member::ConnId(conn), bytes);
                }
            }
            _ => {}
        }
    }
}

/// The port of all datagram sockets.
const PORT: u16 = 4000;

/// The address of a host.
pub(crate) fn addr_of(host: usize) -> SocketAddr {
    let [high, low] = (host as u16 + 1).to_be_bytes();
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, high, low)), PORT)
}

/// The host at an address.
pub(crate) fn host_at(addr: SocketAddr) -> Option<usize> {
    match (addr.ip(), addr.port()) {
        (IpAddr::V4(ip), PORT) => {
            let [_, _, high, low] = ip.octets();
            usize::from(u16::from_be_bytes([high, low])).checked_sub(1)
        }
        _ => None,
    }
}
