//! Servers that name each other, and what they find there instead.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use super::super::{ConnId, Note, PeerTrouble, Server, ServerConfig};
use crate::ident::ServerId;
use crate::member::discovery::Found;
use crate::member::message::Refusal;
use crate::time::Time;

fn addr(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// Servers by their ports, and connections without delay between them.
struct Town {
    now: Time,
    servers: BTreeMap<u16, Server>,
    /// Ports under which a server is reached besides its own.
    aliases: BTreeMap<u16, u16>,
    /// At each end of a connection: whose it is, and the other end. The dialler's are even.
    ends: BTreeMap<u64, (u16, u64)>,
    /// Its process is stopped: the system takes connections for it, and says nothing.
    stopped: Option<u16>,
    next: u64,
    dials: usize,
    notes: Vec<(u16, Note)>,
}

impl Town {
    fn new() -> Self {
        Self {
            now: Time::from_millis(1000),
            servers: BTreeMap::new(),
            aliases: BTreeMap::new(),
            ends: BTreeMap::new(),
            stopped: None,
            next: 0,
            dials: 0,
            notes: Vec::new(),
        }
    }

    /// A server with this id at `port`, which knows `peers`.
    fn start(&mut self, port: u16, id: u64, peers: &[u16]) {
        self.start_with(ServerConfig::default(), port, id, peers);
    }

    fn start_with(&mut self, config: ServerConfig, port: u16, id: u64, peers: &[u16]) {
        let boot = self.now.as_millis() + u64::from(port);
        let mut server = Server::new(config, ServerId(id), boot).unwrap();
        for peer in peers {
            assert!(server.add_peer(self.now, addr(*peer)));
        }
        self.servers.insert(port, server);
        self.settle();
    }

    fn kill(&mut self, port: u16) {
        self.servers.remove(&port);
        let ends: Vec<u64> =
            self.ends.iter().filter(|(_, (at, _))| *at == port).map(|(end, _)| *end).collect();
        for end in ends {
            self.close(end);
        }
        self.settle();
    }

    fn stop(&mut self, port: u16) {
        self.stopped = Some(port);
    }

    /// Who was stopped goes on, and finds its connections closed.
    fn resume(&mut self) {
        let Some(port) = self.stopped.take() else { return };
        let server = self.servers.get_mut(&port).unwrap();
        let gone = |(end, (at, other)): (&u64, &(u16, u64))| {
            (*at == port && !self.ends.contains_key(other)).then_some(*end)
        };
        let gone: Vec<u64> = self.ends.iter().filter_map(gone).collect();
        for end in gone {
            self.ends.remove(&end);
            server.handle_closed(self.now, ConnId(end));
        }
        self.settle();
    }

    /// End `end` is closed; the other one learns of it.
    fn close(&mut self, end: u64) {
        let Some((_, other)) = self.ends.remove(&end) else { return };
        if self.stopped.is_some() && self.ends.get(&other).map(|(at, _)| *at) == self.stopped {
            return;
        }
        let Some((at, _)) = self.ends.remove(&other) else { return };
        if let Some(server) = self.servers.get_mut(&at) {
            server.handle_closed(self.now, ConnId(other));
        }
    }

    fn dial(&mut self, from: u16, to: SocketAddr) {
        self.dials += 1;
        let port = *self.aliases.get(&to.port()).unwrap_or(&to.port());
        if !self.servers.contains_key(&port) {
            let server = self.servers.get_mut(&from).unwrap();
            return server.handle_dial_failed(self.now, to, &"nobody listens");
        }
        let (near, far) = (self.next, self.next + 1);
        self.next += 2;
        self.ends.insert(near, (from, far));
        if self.stopped != Some(port) {
            self.ends.insert(far, (port, near));
            self.servers.get_mut(&port).unwrap().handle_accepted(self.now, ConnId(far));
        }
        let server = self.servers.get_mut(&from).unwrap();
        server.handle_peer_connected(self.now, ConnId(near), to);
    }

    fn carry(&mut self, port: u16, end: u64) {
        let server = self.servers.get_mut(&port).unwrap();
        let bytes = server.output(ConnId(end)).to_vec();
        server.consumed(ConnId(end), bytes.len());
        let Some((_, other)) = self.ends.get(&end) else { return };
        let Some((at, _)) = self.ends.get(other).filter(|(at, _)| Some(*at) != self.stopped) else {
            return;
        };
        let server = self.servers.get_mut(at).unwrap();
        server.handle_stream(self.now, ConnId(*other), &bytes);
    }

    /// Carries everything until nobody has anything to say.
    fn settle(&mut self) {
        for _ in 0..1000 {
            let mut quiet = true;
            for port in self.running() {
                quiet &= !self.step(port);
            }
            if quiet {
                return;
            }
        }
        panic!("servers talk without end");
    }

    fn running(&self) -> Vec<u16> {
        self.servers.keys().copied().filter(|port| Some(*port) != self.stopped).collect()
    }

    /// Does one thing that the server at `port` wants; false if there is none.
    fn step(&mut self, port: u16) -> bool {
        let server = self.servers.get_mut(&port).unwrap();
        if let Some(to) = server.poll_dial() {
            self.dial(port, to);
        } else if let Some(ConnId(end)) = server.poll_output() {
            self.carry(port, end);
        } else if let Some(ConnId(end)) = server.poll_close() {
            self.carry(port, end);
            self.close(end);
        } else if let Some(note) = server.poll_note() {
            self.notes.push((port, note));
        } else {
            return false;
        }
        true
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now = self.now.plus_ms(1);
            for port in self.running() {
                let server = self.servers.get_mut(&port).unwrap();
                if server.poll_timeout().is_some_and(|at| at <= self.now) {
                    server.handle_timeout(self.now);
                }
            }
            self.settle();
            for port in self.running() {
                let server = &self.servers[&port];
                assert!(server.poll_timeout().is_none_or(|at| at > self.now), "without end");
            }
        }
    }

    /// Who dialled each connection: the port; ascending.
    fn diallers(&self) -> Vec<u16> {
        let near = self.ends.iter().filter(|(end, _)| *end % 2 == 0);
        let mut diallers: Vec<u16> = near.map(|(_, (at, _))| *at).collect();
        diallers.sort_unstable();
        diallers
    }

    /// What the servers noted of peers since the last call, in words.
    fn told(&mut self) -> Vec<(u16, String)> {
        let words = |(port, note)| match note {
            Note::Peer { server, connected: true } => Some((port, alloc::format!("{server} came"))),
            Note::Peer { server, connected: false } => {
                Some((port, alloc::format!("{server} went")))
            }
            Note::PeerTrouble { addr, why } => {
                Some((port, alloc::format!("{} {why}", addr.port())))
            }
            Note::Refused { why, .. } => Some((port, why.to_string())),
            _ => None,
        };
        core::mem::take(&mut self.notes).into_iter().filter_map(words).collect()
    }

    fn heard(&mut self) -> Vec<(u16, &'static str)> {
        let told = self.told();
        let brief = |(port, words): (u16, String)| {
            let words =
                ["came", "went", "cannot be reached", "itself", "two servers have the id 1"]
                    .into_iter()
                    .find(|known| words.contains(known));
            (port, words.expect("a known trouble"))
        };
        told.into_iter().map(brief).collect()
    }
}

#[test]
fn mutual_dials_keep_connection_of_lower_id() {
    for (first, second) in [(1, 2), (2, 1)] {
        let mut town = Town::new();
        town.start(first, u64::from(first), &[second]);
        assert_eq!(town.heard(), [(first, "cannot be reached")]);
        town.start(second, u64::from(second), &[first]);
        town.pass(2000);
        assert_eq!(town.diallers(), [1]);
        let mut heard = town.heard();
        heard.sort_unstable();
        assert_eq!(heard, [(1, "came"), (2, "came")], "neither was lost meanwhile");
    }
}

#[test]
fn lost_named_peer_is_dialled_again() {
    for (dialler, other) in [(1, 2), (2, 1)] {
        let mut town = Town::new();
        town.start(other, u64::from(other), &[]);
        town.start(dialler, u64::from(dialler), &[other]);
        assert_eq!((town.diallers(), town.heard().len()), (vec![dialler], 2));
        town.kill(other);
        assert_eq!(town.heard(), [(dialler, "went")]);
        town.pass(300);
        assert_eq!(town.heard(), [(dialler, "cannot be reached")]);
        town.start(other, u64::from(other), &[]);
        town.pass(1000);
        assert_eq!(town.diallers(), [dialler]);
        assert_eq!(town.heard().len(), 2);
    }
}

/// It takes connections and says nothing: it was taken for what is no server, and dialled once a
/// minute.
#[test]
fn resumed_server_is_connected_soon() {
    let mut town = Town::new();
    town.start(2, 2, &[]);
    town.start(1, 1, &[2]);
    town.told();
    town.stop(2);
    town.pass(200_000);
    let told = town.told();
    assert_eq!(told.len(), 2, "it went, and is in trouble: {told:?}");
    assert!(told[1].1.contains("cannot be reached (it said nothing)"), "{told:?}");
    town.resume();
    town.pass(3000);
    assert!(town.heard().contains(&(1, "came")));
}

#[test]
fn restarted_server_has_one_connection_to_each() {
    let mut town = Town::new();
    let others = |port| (1..=3).filter(|other| *other != port).collect::<Vec<u16>>();
    for port in 1..=3 {
        town.start(port, u64::from(port), &others(port));
    }
    town.pass(2000);
    assert_eq!(town.diallers(), [1, 1, 2]);
    for port in [2, 1, 3] {
        town.kill(port);
        town.pass(500);
        town.told();
        town.start(port, u64::from(port), &others(port));
        town.pass(2000);
        assert_eq!(town.diallers(), [1, 1, 2]);
        let heard = town.heard();
        assert_eq!(heard.iter().filter(|(_, words)| *words == "came").count(), 4, "{heard:?}");
        assert!(heard.iter().all(|(_, words)| *words != "went"), "{heard:?}");
    }
}

#[test]
fn unreachable_peer_pauses_grow_trouble_noted_once() {
    let mut town = Town::new();
    town.start(1, 1, &[2]);
    let mut dials = Vec::new();
    for _ in 0..1500 {
        let before = town.dials;
        town.pass(1);
        dials.extend((town.dials > before).then(|| town.now.as_millis() - 1000));
    }
    assert_eq!(dials, [100, 300, 550, 800, 1050, 1300]);
    assert_eq!(town.heard(), [(1, "cannot be reached")]);
}

#[test]
fn silent_attempt_is_given_up() {
    let mut server = Server::new(ServerConfig::default(), ServerId(1), 1).unwrap();
    let start = Time::from_millis(1000);
    server.add_peer(start, addr(2));
    assert_eq!(server.poll_dial(), Some(addr(2)));
    assert_eq!(server.poll_timeout(), Some(start.plus_ms(500)));
    server.handle_timeout(start.plus_ms(500));
    let Some(Note::PeerTrouble { why, .. }) = server.poll_note() else { panic!("no note") };
    assert!(why.to_string().contains("no answer within 500 ms"), "{why}");
    // That was pause enough.
    assert_eq!(server.poll_dial(), Some(addr(2)));
    assert_eq!(server.poll_timeout(), Some(start.plus_ms(1000)));
    // One that is late is welcome all the same.
    server.handle_peer_connected(start.plus_ms(550), ConnId(7), addr(2));
    assert!(server.poll_output().is_some() && server.poll_close().is_none());
}

#[test]
fn own_address_noted_once_not_dialled_again() {
    let mut town = Town::new();
    town.start(1, 1, &[1, 2]);
    town.start(2, 2, &[]);
    town.pass(5000);
    assert_eq!(town.diallers(), [1]);
    let heard = town.heard();
    assert_eq!(heard.iter().filter(|(_, words)| *words == "itself").count(), 1, "{heard:?}");
    assert!(town.dials <= 4, "{} attempts", town.dials);
}

#[test]
fn duplicate_server_ids_noted_at_both_ends() {
    let mut town = Town::new();
    town.start(1, 1, &[]);
    town.start(2, 1, &[1]);
    assert_eq!(town.heard(), [(1, "two servers have the id 1"), (2, "two servers have the id 1")]);
    town.pass(10_000);
    assert_eq!(town.dials, 4, "after 1, 2 and 4 s");
    assert_eq!(town.heard().iter().filter(|(port, _)| *port == 2).count(), 0, "told once");
    assert!(town.ends.is_empty());
}

#[test]
fn several_addresses_of_one_server_connected_once() {
    let mut town = Town::new();
    town.aliases.insert(20, 2);
    town.start(2, 2, &[]);
    town.start(1, 1, &[2, 20]);
    town.pass(2000);
    assert_eq!(town.diallers(), [1]);
    assert_eq!(town.heard().len(), 2);
    town.kill(2);
    // It moves to where only its other address leads.
    town.aliases.insert(20, 3);
    town.start(3, 2, &[]);
    town.pass(2000);
    assert_eq!(town.diallers(), [1]);
}

#[test]
fn removed_peer_stays_until_its_connection_ends() {
    let mut town = Town::new();
    town.start(2, 2, &[]);
    town.start(1, 1, &[2]);
    town.servers.get_mut(&1).unwrap().remove_peer(addr(2));
    town.pass(3000);
    assert_eq!(town.diallers(), [1]);
    town.kill(2);
    town.start(2, 2, &[]);
    town.pass(3000);
    assert!(town.diallers().is_empty());
    let server = town.servers.get_mut(&1).unwrap();
    server.handle_peer_connected(town.now, ConnId(99), addr(2));
    assert_eq!(server.poll_close(), Some(ConnId(99)), "nobody wants it");
}

#[test]
fn peers_beyond_bound_are_refused() {
    let config = ServerConfig { peers_max: 2, ..ServerConfig::default() };
    let mut server = Server::new(config, ServerId(1), 1).unwrap();
    let mut add = |port| server.add_peer(Time::ZERO, addr(port));
    assert_eq!([add(2), add(3), add(3), add(4)], [true, true, true, false]);
    server.remove_peer(addr(2));
    assert!(server.add_peer(Time::ZERO, addr(4)));
}

/// A server that has dialled `port`, over connection 7.
fn dialled() -> Server {
    let mut server = Server::new(ServerConfig::default(), ServerId(1), 1).unwrap();
    server.add_peer(Time::ZERO, addr(2));
    assert_eq!(server.poll_dial(), Some(addr(2)));
    server.handle_peer_connected(Time::ZERO, ConnId(7), addr(2));
    server
}

fn trouble(server: &mut Server) -> PeerTrouble {
    match server.poll_note() {
        Some(Note::PeerTrouble { addr: at, why }) if at == addr(2) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn other_protocol_noted_and_dialled_later() {
    for (words, sentence) in [
        (&b"HTTP/1.1 400 Bad Request"[..], "it speaks another protocol"),
        (b"VSM\0\x63\0", "speaks protocol version 99"),
        (b"", "it said nothing"),
    ] {
        let mut server = dialled();
        server.handle_stream(Time::ZERO, ConnId(7), words);
        server.handle_closed(Time::ZERO, ConnId(7));
        let why = trouble(&mut server).to_string();
        assert!(why.contains(sentence), "{why}");
        assert_eq!(server.poll_timeout(), Some(Time::from_millis(1000)));
        assert_eq!(server.poll_note(), None);
    }
    // What never says anything is closed when it has been silent for too long.
    let mut server = dialled();
    for ms in (250..=1000).step_by(250) {
        server.handle_timeout(Time::from_millis(ms));
    }
    assert_eq!(server.poll_close(), Some(ConnId(7)));
    assert_eq!(trouble(&mut server), PeerTrouble::NoServer("it said nothing"));
}

#[test]
fn long_system_error_is_cut() {
    let mut server = Server::new(ServerConfig::default(), ServerId(1), 1).unwrap();
    server.add_peer(Time::ZERO, addr(2));
    assert_eq!(server.poll_dial(), Some(addr(2)));
    server.handle_dial_failed(Time::ZERO, addr(2), &"ö".repeat(1000));
    let PeerTrouble::Unreachable(words) = trouble(&mut server) else { panic!("reachable") };
    assert_eq!(words.len(), 256);
}

#[test]
fn impossible_dial_times_are_refused() {
    let config = ServerConfig::default;
    for bad in [
        ServerConfig { redial_ms: 0, ..config() },
        ServerConfig { dial_ms: 0, ..config() },
        ServerConfig { refused_ms: 0, ..config() },
        ServerConfig { redial_max_ms: 99, ..config() },
        ServerConfig { refused_max_ms: 999, ..config() },
    ] {
        assert!(Server::new(bad, ServerId(1), 1).is_err());
    }
    let for_silence = |ms| ServerConfig::for_silence(Duration::from_millis(ms));
    assert_eq!(for_silence(config().silence_ms), config());
    for silence_ms in [2, 20, 80, 600, 5000, 86_400_000] {
        let config = for_silence(silence_ms);
        let from_healing_ms = config.redial_max_ms + config.dial_ms + config.link_hold_ms;
        assert!(from_healing_ms <= (2 * silence_ms).max(500), "{config:?}");
        assert!(config.dial_ms > 300, "the farthest can be reached");
        assert!(Server::new(config, ServerId(1), 1).is_ok());
    }
    let refusal = Refusal::SameId(ServerId(3));
    assert!(refusal.to_string().contains("the id 3"));
}

/// The first packet of an attempt into a parted network is lost, and sent again only much later.
#[test]
fn server_heard_again_dialled_unless_it_refused() {
    let mut server = Server::new(ServerConfig::default(), ServerId(1), 1).unwrap();
    server.add_peer(Time::ZERO, addr(2));
    assert_eq!(server.poll_dial(), Some(addr(2)));
    server.take_found(vec![Found::Again(addr(2))]);
    assert_eq!((server.poll_dial(), server.poll_dial()), (Some(addr(2)), None), "it may hang");
    server.handle_dial_failed(Time::ZERO, addr(2), &"nobody listens");
    assert_eq!(server.poll_dial(), None);
    server.take_found(vec![Found::Again(addr(2))]);
    assert_eq!(server.poll_dial(), Some(addr(2)), "its pause is over");
    server.take_found(vec![Found::Again(addr(3))]);
    assert_eq!(server.poll_dial(), None, "nobody named it");
    server.handle_peer_connected(Time::ZERO, ConnId(7), addr(2));
    server.take_found(vec![Found::Again(addr(2))]);
    assert_eq!(server.poll_dial(), None, "it is up");
    server.handle_closed(Time::ZERO, ConnId(7));
    server.take_found(vec![Found::Again(addr(2))]);
    assert_eq!(server.poll_dial(), None, "it is no server");
}
