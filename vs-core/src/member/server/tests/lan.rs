//! Whole servers on one network that find one another, each with a client of its own: bytes,
//! beacons and time.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::super::{ConnId, Note, Server, ServerConfig};
use super::bench::group;
use crate::ident::{Deployment, Incarnation, ProcessId, ServerId, ViewId};
use crate::member::DetachReason;
use crate::member::DiscoveryConfig;
use crate::member::message::{Peer, PeerWord, Reply, Request};
use crate::member::past::Past;
use crate::time::Time;
use crate::wire::beacon::BEACON_BYTES_MAX;
use crate::wire::frame::{self, Decoder};

/// The connection of each server's own client.
const OWN: ConnId = ConnId(0);

pub(super) fn addr(id: u64) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 7000 + id as u16))
}

/// One end of a connection between servers.
type End = (u64, ConnId);

/// A server and its client, which is told things.
struct Host {
    server: Server,
    decoder: Decoder,
    told: Vec<(Time, Reply)>,
    last_view: ViewId,
    notes: Vec<Note>,
}

pub(super) struct Lan {
    pub(super) now: Time,
    hosts: BTreeMap<u64, Host>,
    wires: BTreeMap<End, End>,
    conns: u64,
    pub(super) beacons: u64,
    /// Servers whose beacons are not heard.
    pub(super) unheard: Vec<u64>,
    parted: Vec<(u64, u64)>,
    /// What servers said to each other is counted, if that is wanted.
    pub(super) counted: Option<Said>,
}

/// What servers said to each other.
#[derive(Default)]
pub(super) struct Said {
    decoders: BTreeMap<End, Decoder>,
    pub(super) bytes: usize,
    pub(super) proposals: usize,
    /// Reports of who sends them.
    pub(super) own: usize,
    /// Reports that were passed on.
    pub(super) passed: usize,
    /// Signs of life.
    pub(super) signs: usize,
}

impl Said {
    fn count(&mut self, end: End, bytes: &[u8]) {
        let decoder = self.decoders.entry(end).or_default();
        decoder.push(bytes);
        self.bytes += bytes.len();
        while let Ok(Some(request)) = decoder.next::<Request>() {
            match request {
                Request::Peer(PeerWord::Links { server, .. }) => {
                    let is_own = server.0 == end.0;
                    self.own += usize::from(is_own);
                    self.passed += usize::from(!is_own);
                }
                Request::Peer(PeerWord::Proposal { .. }) => self.proposals += 1,
                Request::Ping => self.signs += 1,
                _ => {}
            }
        }
    }
}

impl Lan {
    pub(super) fn new() -> Self {
        Self {
            now: Time::from_millis(5000),
            hosts: BTreeMap::new(),
            wires: BTreeMap::new(),
            conns: 0,
            beacons: 0,
            unheard: Vec::new(),
            parted: Vec::new(),
            counted: None,
        }
    }

    /// Server `id` starts; without a deployment it is a plain one, that looks for nobody.
    pub(super) fn start_server(&mut self, id: u64, deployment: Option<&str>) {
        let boot = self.now.as_millis();
        let name = Deployment::new(deployment.unwrap_or("default")).unwrap();
        let config = ServerConfig { deployment: name, ..ServerConfig::default() };
        let mut server = Server::new(config, ServerId(id), boot).unwrap();
        if deployment.is_some() {
            server.discover(self.now, DiscoveryConfig::default(), addr(id), id).unwrap();
        }
        let (decoder, told, notes) = (Decoder::default(), Vec::new(), Vec::new());
        let last_view = ViewId::default();
        self.hosts.insert(id, Host { server, decoder, told, last_view, notes });
    }

    /// The client of server `id` is process `p`, and wants to be a member.
    fn start_client(&mut self, id: u64, p: u64) {
        self.attach_over(id, OWN.0, p);
        self.pump();
    }

    /// Process `p` asks server `id` for membership over a connection of its own.
    pub(super) fn attach_over(&mut self, id: u64, conn: u64, p: u64) {
        let past = Past::default();
        let (process, incarnation) = (ProcessId(p), Incarnation::new(self.now.as_millis()));
        let client = Peer { process, incarnation, addr: addr(100 * id + p) };
        let (group, counter, members_max) = (group(), 1, 64);
        let mut bytes = frame::preamble().to_vec();
        let deployment = self.server(id).config.deployment.clone();
        let request = Request::Client { peer: client, deployment, proof: None };
        frame::encode(&request, &mut bytes);
        frame::encode(&Request::Attach { group, counter, members_max, past }, &mut bytes);
        let (now, conn) = (self.now, ConnId(conn));
        let server = self.server(id);
        server.handle_accepted(now, conn);
        server.handle_stream(now, conn, &bytes);
    }

    /// Why who asked over that connection was refused, if it was.
    pub(super) fn reply_over(&mut self, id: u64, conn: u64) -> Option<DetachReason> {
        let mut decoder = Decoder::default();
        decoder.push(self.server(id).output(ConnId(conn)));
        match decoder.next::<Reply>().unwrap()? {
            Reply::Detached { reason, .. } => Some(reason),
            other => panic!("{other:?}"),
        }
    }

    /// Process `p` starts, with server `id` as a part of it.
    pub(super) fn start(&mut self, id: u64, p: u64, deployment: &str) {
        self.start_server(id, Some(deployment));
        self.server(id).set_embedded(ProcessId(p));
        self.start_client(id, p);
    }

    /// A server with a client elsewhere, that does not look for others.
    pub(super) fn start_plain(&mut self, id: u64) {
        self.start_server(id, None);
        self.start_client(id, id);
    }

    /// A server that never settles, and has no client.
    pub(super) fn start_restless(&mut self, id: u64) {
        self.start_server(id, None);
        let config = DiscoveryConfig { quiet_beacons: u32::MAX, ..DiscoveryConfig::default() };
        let config = DiscoveryConfig { settle_max_ms: 3_600_000, ..config };
        let now = self.now;
        self.server(id).discover(now, config, addr(id), id).unwrap();
    }

    pub(super) fn server(&mut self, id: u64) -> &mut Server {
        &mut self.hosts.get_mut(&id).unwrap().server
    }

    /// The process of server `id` is killed: its connections end.
    pub(super) fn kill(&mut self, id: u64) {
        self.hosts.remove(&id);
        let ends: Vec<End> = self.wires.keys().filter(|end| end.0 == id).copied().collect();
        for end in ends {
            self.cut(end);
        }
        self.pump();
    }

    /// The other end hears that the connection is over.
    fn cut(&mut self, end: End) {
        let Some(other) = self.wires.remove(&end) else { return };
        self.wires.remove(&other);
        if let Some(host) = self.hosts.get_mut(&other.0) {
            host.server.handle_closed(self.now, other.1);
        }
    }

    /// Servers `a` and `b` lose each other, and will not find each other again.
    pub(super) fn part(&mut self, a: u64, b: u64) {
        let between = |(end, other): (&End, &End)| (end.0 == a && other.0 == b).then_some(*end);
        let ends: Vec<End> = self.wires.iter().filter_map(between).collect();
        self.parted.push((a, b));
        for end in ends {
            let other = self.wires[&end];
            self.wires.insert(other, end);
            self.cut(end);
            let now = self.now;
            self.server(a).handle_closed(now, end.1);
        }
        self.pump();
    }

    /// All may connect to all again.
    pub(super) fn mend(&mut self) {
        self.parted.clear();
    }

    /// Servers `a` and `b` may connect again.
    pub(super) fn mend_pair(&mut self, a: u64, b: u64) {
        self.parted.retain(|pair| *pair != (a, b));
    }

    fn connect(&mut self, id: u64, to: SocketAddr) {
        let parted =
            |other: u64| self.parted.iter().any(|&pair| pair == (id, other) || pair == (other, id));
        let other = self.hosts.keys().copied().find(|id| addr(*id) == to && !parted(*id));
        let now = self.now;
        let Some(other) = other else {
            return self.server(id).handle_dial_failed(now, to, &"nobody is there");
        };
        self.conns += 1;
        let conn = ConnId(self.conns);
        self.wires.insert((id, conn), (other, conn));
        self.wires.insert((other, conn), (id, conn));
        self.server(other).handle_accepted(now, conn);
        self.server(id).handle_peer_connected(now, conn, to);
    }

    /// Lets everything that is to be sent arrive.
    fn pump(&mut self) {
        let mut any = true;
        while core::mem::take(&mut any) {
            for id in self.hosts.keys().copied().collect::<Vec<_>>() {
                any |= self.pump_one(id);
            }
        }
    }

    fn pump_one(&mut self, id: u64) -> bool {
        let now = self.now;
        let mut any = false;
        let mut beacon = [0; BEACON_BYTES_MAX];
        while let Some(len) = self.server(id).poll_beacon(&mut beacon) {
            self.beacons += 1;
            let heard = !self.unheard.contains(&id);
            for (_, host) in self.hosts.iter_mut().filter(|_| heard) {
                host.server.handle_beacon(now, &beacon[..len]);
            }
            any = true;
        }
        while let Some(to) = self.server(id).poll_dial() {
            self.connect(id, to);
            any = true;
        }
        while let Some(conn) = self.server(id).poll_output() {
            let bytes = self.server(id).output(conn).to_vec();
            self.server(id).consumed(conn, bytes.len());
            if conn == OWN {
                self.hear(id, &bytes);
            } else if let Some(&(other, there)) = self.wires.get(&(id, conn)) {
                if let Some(said) = &mut self.counted {
                    said.count((id, conn), &bytes);
                }
                self.server(other).handle_stream(now, there, &bytes);
            }
            any = true;
        }
        while let Some(conn) = self.server(id).poll_close() {
            self.cut((id, conn));
            any = true;
        }
        let host = self.hosts.get_mut(&id).unwrap();
        while let Some(note) = host.server.poll_note() {
            host.notes.push(note);
        }
        any
    }

    fn hear(&mut self, id: u64, bytes: &[u8]) {
        let now = self.now;
        let host = self.hosts.get_mut(&id).unwrap();
        host.decoder.push(bytes);
        while let Some(reply) = host.decoder.next::<Reply>().unwrap() {
            if let Reply::View { view, .. } = &reply {
                assert!(view.id() > host.last_view, "M6 at the client of {id}");
                host.last_view = view.id();
            }
            if !matches!(reply, Reply::Ping) {
                host.told.push((now, reply));
            }
        }
    }

    pub(super) fn pass(&mut self, ms: u64) {
        let mut ping = Vec::new();
        frame::encode(&Request::Ping, &mut ping);
        for _ in 0..ms {
            self.now = self.now.plus_ms(1);
            let now = self.now;
            if now.as_millis().is_multiple_of(50) {
                for host in self.hosts.values_mut() {
                    host.server.handle_stream(now, OWN, &ping);
                }
            }
            // What arrives in an instant may make more due in it.
            let rounds = (0..9).take_while(|_| self.let_timers_fire()).count();
            assert!(rounds < 9, "a timer without end");
        }
    }

    /// False if nothing was due.
    fn let_timers_fire(&mut self) -> bool {
        let now = self.now;
        let is_due = |host: &&mut Host| host.server.poll_timeout().is_some_and(|at| at <= now);
        let due = self.hosts.values_mut().filter(is_due);
        let any = due.map(|host| host.server.handle_timeout(now)).count() > 0;
        self.pump();
        any
    }

    /// What the client of `id` was told since the last call: when in ms of the test, and the set,
    /// in a view or not.
    pub(super) fn told(&mut self, id: u64) -> Vec<(u64, bool, Vec<u64>)> {
        let told = core::mem::take(&mut self.hosts.get_mut(&id).unwrap().told);
        let ids = |list: &[ProcessId]| list.iter().map(|p| p.0).collect::<Vec<_>>();
        let event = |(at, reply): (Time, Reply)| {
            let at = at.as_millis() - 5000;
            match reply {
                Reply::StartChange { peers, .. } => {
                    (at, false, peers.iter().map(|peer| peer.process.0).collect())
                }
                Reply::View { view, .. } => (at, true, ids(view.members())),
                other => panic!("{other:?}"),
            }
        };
        told.into_iter().map(event).collect()
    }

    /// The views among them.
    pub(super) fn views(&mut self, id: u64) -> Vec<Vec<u64>> {
        let told = self.told(id).into_iter();
        told.filter(|(_, is_view, _)| *is_view).map(|(_, _, set)| set).collect()
    }

    /// Why the client of `id` was detached, if that was the last that it was told.
    pub(super) fn detached(&mut self, id: u64) -> Option<DetachReason> {
        match self.hosts.get_mut(&id).unwrap().told.pop() {
            Some((_, Reply::Detached { reason, .. })) => Some(reason),
            _ => None,
        }
    }

    pub(super) fn notes(&mut self, id: u64) -> Vec<Note> {
        core::mem::take(&mut self.hosts.get_mut(&id).unwrap().notes)
    }

    /// Connections between servers.
    pub(super) fn connections(&self) -> usize {
        self.wires.len() / 2
    }

    /// `list` as a view.
    pub(super) fn all(ids: core::ops::RangeInclusive<u64>) -> Vec<Vec<u64>> {
        vec![ids.collect()]
    }
}
