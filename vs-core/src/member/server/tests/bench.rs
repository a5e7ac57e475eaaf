//! A whole server and the far ends of its connections: bytes in, bytes out, and time.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::super::{ConnId, Server, ServerConfig};
use crate::ident::{Deployment, GroupName, Incarnation, ProcessId, ServerId};
use crate::member::DetachReason;
use crate::member::attached::{Attached, Attachment};
use crate::member::message::{Peer, PeerWord, Reply, Request};
use crate::member::past::Past;
use crate::member::profile::Profile;
use crate::time::Time;
use crate::view::View;
use crate::wire::frame::{self, Decoder};
use crate::wire::message::Frame;

pub(super) fn group() -> GroupName {
    GroupName::new("chat").unwrap()
}

pub(super) fn peer(p: u64, incarnation: u64) -> Peer {
    let addr = ([127, 0, 0, 1], p as u16).into();
    Peer { process: ProcessId(p), incarnation: Incarnation::new(incarnation), addr }
}

/// The fingerprint of the profile that all clients have who do not say otherwise.
pub(super) fn usual_profile() -> u64 {
    Profile::default().fingerprint()
}

pub(super) fn processes(list: &[u64]) -> Vec<ProcessId> {
    list.iter().map(|p| ProcessId(*p)).collect()
}

pub(super) fn set(view: &View) -> Vec<u64> {
    view.members().iter().map(|p| p.0).collect()
}

/// How a client names itself.
pub(super) fn hello(peer: Peer) -> Request {
    Request::Client { peer, deployment: Deployment::default(), proof: None }
}

/// How a server names itself.
pub(super) fn greeting(server: u64, boot: u64) -> Request {
    let deployment = Deployment::default();
    Request::Server { server: ServerId(server), boot, deployment }
}

/// What `server` says of its links, all of which count.
pub(super) fn links(server: u64, version: u64, servers: &[u64]) -> Request {
    let servers = servers.iter().map(|s| ServerId(*s)).collect();
    let (server, ready) = (ServerId(server), Vec::new());
    Request::Peer(PeerWord::Links { server, version, servers, ready })
}

/// A server and the far ends of its connections.
pub(super) struct Bench {
    pub(super) server: Server,
    pub(super) now: Time,
    pub(super) conns: BTreeMap<u64, Decoder>,
    pub(super) closed: Vec<u64>,
    /// Connections that give no heartbeats.
    pub(super) mute: Vec<u64>,
}

impl Bench {
    pub(super) fn new(config: ServerConfig) -> Self {
        Self::booted(config, 1000)
    }

    /// Of a server whose clock showed `boot` ms of UNIX time when it began.
    pub(super) fn booted(config: ServerConfig, boot: u64) -> Self {
        let server = Server::new(config, ServerId(1), boot).unwrap();
        let now = Time::from_millis(5000);
        Self { server, now, conns: BTreeMap::new(), closed: Vec::new(), mute: Vec::new() }
    }

    pub(super) fn open(&mut self, conn: u64) {
        self.conns.insert(conn, Decoder::default());
        self.server.handle_accepted(self.now, ConnId(conn));
        self.bytes(conn, &frame::preamble());
    }

    pub(super) fn bytes(&mut self, conn: u64, bytes: &[u8]) {
        self.server.handle_stream(self.now, ConnId(conn), bytes);
        while let Some(ConnId(conn)) = self.server.poll_close() {
            self.conns.remove(&conn);
            self.closed.push(conn);
        }
    }

    pub(super) fn say(&mut self, conn: u64, request: &Request) {
        let mut bytes = Vec::new();
        frame::encode(request, &mut bytes);
        self.bytes(conn, &bytes);
    }

    pub(super) fn close(&mut self, conn: u64) {
        self.conns.remove(&conn);
        self.server.handle_closed(self.now, ConnId(conn));
    }

    /// Process `p`, in a incarnation of its own for each connection, asks for membership.
    pub(super) fn join(&mut self, conn: u64, p: u64) {
        self.open(conn);
        self.say(conn, &hello(peer(p, conn)));
        self.attach(conn, 1);
    }

    pub(super) fn attach(&mut self, conn: u64, counter: u64) {
        self.attach_with(conn, counter, 16, Past::default());
    }

    pub(super) fn attach_with(&mut self, conn: u64, counter: u64, members_max: u16, past: Past) {
        self.say(conn, &Request::Attach { group: group(), counter, members_max, past });
    }

    pub(super) fn accuse(&mut self, conn: u64, accused: &[u64]) {
        self.say(conn, &Request::Accuse { group: group(), accused: processes(accused) });
    }

    /// Lets time pass: timers fire, and who is not mute gives heartbeats.
    pub(super) fn pass(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now = self.now.plus_ms(1);
            if self.now.as_millis().is_multiple_of(50) {
                for conn in self.conns.keys().copied().collect::<Vec<_>>() {
                    if !self.mute.contains(&conn) {
                        self.say(conn, &Request::Ping);
                    }
                }
            }
            if self.server.poll_timeout().is_some_and(|at| at <= self.now) {
                self.server.handle_timeout(self.now);
                let again = self.server.poll_timeout();
                assert!(again.is_none_or(|at| at > self.now), "a timer without end");
            }
            self.bytes(u64::MAX, &[]); // takes up who was closed
        }
    }

    pub(super) fn read<M: TryFrom<Frame>>(&mut self, conn: u64) -> Vec<M> {
        let bytes = self.server.output(ConnId(conn)).to_vec();
        self.server.consumed(ConnId(conn), bytes.len());
        let decoder = self.conns.get_mut(&conn).unwrap();
        decoder.push(&bytes);
        core::iter::from_fn(|| decoder.next().unwrap()).collect()
    }

    /// What a client was told of groups since the last call.
    pub(super) fn told(&mut self, conn: u64) -> Vec<Reply> {
        let mut replies: Vec<Reply> = self.read(conn);
        replies.retain(|reply| !matches!(reply, Reply::Ping | Reply::Silence(_)));
        replies
    }

    pub(super) fn views(&mut self, conn: u64) -> Vec<View> {
        let view = |reply| match reply {
            Reply::View { view, .. } => Some(view),
            _ => None,
        };
        self.told(conn).into_iter().filter_map(view).collect()
    }

    /// Why a client was detached, and when it may come back.
    pub(super) fn detached(&mut self, conn: u64) -> Option<(DetachReason, u64)> {
        self.told(conn).into_iter().find_map(|reply| match reply {
            Reply::Detached { reason, retry_ms, .. } => Some((reason, retry_ms)),
            _ => None,
        })
    }

    /// Processes 1 to `n` share a view, each over the connection of its number.
    pub(super) fn together(config: ServerConfig, n: u64) -> Self {
        let mut bench = Self::new(config);
        for p in 1..=n {
            bench.join(p, p);
        }
        bench.pass(10);
        for p in 1..=n {
            assert_eq!(bench.views(p).last().map(View::len), Some(n as usize));
        }
        bench
    }

    /// Server 2, whose client is 21, over connection 99.
    pub(super) fn with_peer(&mut self) {
        self.with_peer_of(&[(21, 7, 16)]);
    }

    /// A client of `home`, with its data address.
    pub(super) fn client(
        &self,
        home: u64,
        (p, life, members_max): (u64, u64, u16),
    ) -> (Attached, SocketAddr) {
        let attachment = Attachment { incarnation: Incarnation::new(life), counter: 1 };
        let (process, home, profile) = (ProcessId(p), ServerId(home), usual_profile());
        let client = Attached { process, attachment, home, members_max, settled: None, profile };
        (client, peer(p, life).addr)
    }

    /// Server 2, whose clients are these (process, incarnation, room for members), over connection
    /// 99.
    pub(super) fn with_peer_of(&mut self, clients: &[(u64, u64, u16)]) {
        self.open(99);
        self.say(99, &greeting(2, 1));
        self.say(99, &links(2, 1, &[1]));
        let clients = clients.iter().map(|client| self.client(2, *client)).collect();
        self.say(
            99,
            &Request::Peer(PeerWord::Clients { version: 2, group: group(), clients, held: None }),
        );
    }
}

/// The sets of the start_changes among `told`, and those of the views in brackets.
pub(super) fn story(told: &[Reply]) -> Vec<(bool, Vec<u64>)> {
    let event = |reply: &Reply| match reply {
        Reply::StartChange { peers, .. } => {
            Some((false, peers.iter().map(|peer| peer.process.0).collect()))
        }
        Reply::View { view, .. } => Some((true, set(view))),
        _ => None,
    };
    told.iter().filter_map(event).collect()
}
