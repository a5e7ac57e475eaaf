//! A membership of your own: three nodes in one program over UDP on loopback, and a store with
//! revisions, as etcd has them, that lists the members.
//!
//! ```text
//! cargo run -p vs-core --example own_membership
//! ```
//!
//! The three talk. The third stops silently, the others accuse it, and the store drops it. It comes
//! back in a new incarnation. In the end the checker judges what all of them saw. A real program
//! differs: it hosts one node, waits with `poll` or the like, and watches keys of a store
//! elsewhere.

use core::error::Error;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::Instant;

use vs_core::ident::{Cid, GroupKey, GroupName, Identity, Incarnation, ProcessId, ViewId};
use vs_core::member::{MembershipRequest, Peer};
use vs_core::spec;
use vs_core::trace::{Event, Header, Line, Record, Trace, Tracer};
use vs_core::{Action, Dest, DisplaySet, GroupConfig, Node, NodeConfig, Time, View};

const GIVE_UP: Duration = Duration::from_secs(30);

/// Keys of members, and a revision that grows with each change. Everybody sees the same at each
/// revision.
#[derive(Default)]
struct Store {
    members: BTreeMap<ProcessId, Peer>,
    /// What there was at revisions 1, 2, …
    history: Vec<Vec<Peer>>,
}

impl Store {
    fn put(&mut self, peer: Peer) {
        self.members.insert(peer.process, peer);
        self.history.push(self.members.values().copied().collect());
    }

    fn delete(&mut self, process: ProcessId) {
        if self.members.remove(&process).is_some() {
            self.history.push(self.members.values().copied().collect());
        }
    }
}

/// Keeps what happened for the checker.
#[derive(Default)]
struct Recorder(Vec<Record>);

impl Tracer for Recorder {
    fn record(&mut self, ts: Time, process: ProcessId, group: &GroupName, event: Event) {
        self.0.push(Record { ts, process, group: group.clone(), event });
    }
}

struct Member {
    node: Node<Recorder>,
    id: ProcessId,
    udp: UdpSocket,
    group: GroupKey,
    /// Revisions of the store that it was told of.
    seen: usize,
    view: Vec<ProcessId>,
    heard: Vec<String>,
}

impl Member {
    fn new(id: u64, life: u64, now: Time) -> Result<Self, Box<dyn Error>> {
        let udp = UdpSocket::bind("127.0.0.1:0")?;
        udp.set_nonblocking(true)?;
        let (process, incarnation) = (ProcessId(id), Incarnation::new(life));
        let identity = Identity { process, incarnation, addr: udp.local_addr()?, seed: id };
        let mut node = Node::new(NodeConfig::default(), identity, 0, Recorder::default())?;
        // Somebody who owes something is accused soon: this is a demonstration.
        let config = GroupConfig::default()
            .with_peer(Duration::from_millis(500))
            .with_block_ok(Duration::from_millis(100));
        let group = node.join_external(now, &GroupName::new("own")?, config)?;
        Ok(Self { node, id: process, udp, group, seen: 0, view: vec![], heard: vec![] })
    }

    /// Between the node and the store.
    fn membership(&mut self, now: Time, store: &mut Store) -> Result<(), Box<dyn Error>> {
        while let Some(request) = self.node.poll_membership() {
            match request {
                MembershipRequest::Join { peer, .. } => store.put(peer),
                MembershipRequest::Leave { .. } => store.delete(self.id),
                MembershipRequest::Accuse { accused, .. } => {
                    println!("{} accuses {}", self.id, DisplaySet(&accused));
                    // The least member that is not accused itself has its way.
                    if store.members.keys().find(|p| !accused.contains(p)) == Some(&self.id) {
                        accused.iter().for_each(|p| store.delete(*p));
                    }
                }
            }
        }
        while let Some(peers) = store.history.get(self.seen) {
            self.seen += 1;
            let revision = self.seen as u64;
            let me = peers.iter().find(|peer| peer.process == self.id);
            if me.is_some_and(|peer| Ok(peer.addr) == self.udp.local_addr().map_err(drop)) {
                self.node.handle_start_change(now, self.group, Cid(revision), peers)?;
                let members: Vec<ProcessId> = peers.iter().map(|peer| peer.process).collect();
                let (id, start) = (ViewId { major: revision, minor: 0 }, Cid(revision));
                let view = View::new(id, &members, &vec![start; members.len()])?;
                self.node.handle_mbr_view(now, self.group, view, None)?;
            } else if self.view.len() > 1 && me.is_none() {
                self.node.handle_excluded(now, self.group)?;
            }
        }
        Ok(())
    }

    fn turn(&mut self, now: Time, store: &mut Store) -> Result<(), Box<dyn Error>> {
        let mut bytes = [0; 65_535];
        loop {
            match self.udp.recv_from(&mut bytes) {
                Ok((n, from)) => drop(self.node.handle_datagram(now, from, &mut bytes[..n])),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                // Of an error of a datagram that was sent to nobody there is nothing to make.
                Err(_) => break,
            }
        }
        if self.node.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.node.handle_timeout(now);
        }
        self.membership(now, store)?;
        while let Some(action) = self.node.poll_action(now) {
            match action {
                Action::View { view, transitional, .. } => {
                    println!(
                        "{}: view {view}, together with {}",
                        self.id,
                        DisplaySet(transitional)
                    );
                    self.view = view.members().to_vec();
                }
                Action::Deliver { payload, .. } => {
                    self.heard.push(String::from_utf8_lossy(payload).into_owned());
                }
                other => println!("{}: {other:?}", self.id),
            }
        }
        while let Some(sent) = self.node.poll_transmit(now, &mut bytes, 1) {
            let to: Vec<SocketAddr> = match sent.dest {
                Dest::Peer(addr) => vec![addr],
                Dest::Group(group) => self.node.group_addresses(group).collect(),
            };
            for addr in to {
                // What does not go out is lost, and repaired like any other loss.
                drop(self.udp.send_to(&bytes[..sent.len], addr));
            }
        }
        Ok(())
    }

    fn say(&mut self, now: Time, text: &str) -> Result<(), Box<dyn Error>> {
        println!("{} says {text}", self.id);
        self.node.send(now, self.group, text.as_bytes())?;
        Ok(())
    }

    /// What it saw, once it is over.
    fn trace(mut self, life: u64) -> Trace {
        let records = core::mem::take(&mut self.node.tracer_mut().0);
        let lines = (2..).zip(records).map(|(number, record)| Line { number, record }).collect();
        let header =
            Header { process: self.id, incarnation: Incarnation::new(life), runtime: "own".into() };
        Trace { header, lines }
    }
}

/// The program's clock, store and members.
struct World {
    began: Instant,
    store: Store,
    members: Vec<Member>,
}

impl World {
    fn now(&self) -> Time {
        Time(self.began.elapsed().as_nanos() as u64)
    }

    /// Goes on until `done` holds of all members.
    fn until(&mut self, what: &str, done: impl Fn(&Member) -> bool) -> Result<(), Box<dyn Error>> {
        while !self.members.iter().all(&done) {
            if self.began.elapsed() > GIVE_UP {
                return Err(format!("waited in vain until {what}").into());
            }
            for at in 0..self.members.len() {
                let now = self.now();
                self.members[at].turn(now, &mut self.store)?;
            }
            std::thread::park_timeout(Duration::from_micros(500));
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    run().map(|traces| println!("{} traces, and every property holds", traces.len()))
}

/// Plays it, and returns what the four incarnations saw.
pub(crate) fn run() -> Result<Vec<Trace>, Box<dyn Error>> {
    let began = Instant::now();
    let mut world = World { began, store: Store::default(), members: Vec::new() };
    for id in 1..=3 {
        let member = Member::new(id, 1, world.now())?;
        world.members.push(member);
    }
    world.until("all three are together", |m| m.view.len() == 3)?;
    for (at, text) in ["hello", "hi", "good day"].into_iter().enumerate() {
        let now = world.now();
        world.members[at].say(now, text)?;
    }
    world.until("all have heard all", |m| m.heard.len() == 3)?;

    // It does nothing any more, and nobody is told.
    let stopped = world.members.pop().into_iter();
    let now = world.now();
    world.members[0].say(now, "are you there?")?;
    world.until("the others are among themselves", |m| m.view.len() == 2)?;
    world.until("both heard the question", |m| m.heard.len() == 4)?;

    let back = Member::new(3, 2, world.now())?;
    world.members.push(back);
    world.until("it is back", |m| m.view.len() == 3)?;
    let now = world.now();
    world.members[2].say(now, "back again")?;
    world
        .until("all have heard it", |m| m.heard.last().is_some_and(|text| text == "back again"))?;

    let mut traces: Vec<Trace> = stopped.map(|member| member.trace(1)).collect();
    // Two incarnations of one process are one trace.
    for member in world.members {
        let trace = member.trace(1);
        match traces.iter_mut().find(|known| known.header.process == trace.header.process) {
            Some(known) => known.lines.extend(trace.lines),
            None => traces.push(trace),
        }
    }
    let report = spec::check(&traces);
    if report.is_clean() { Ok(traces) } else { Err(report.to_string().into()) }
}
