//! Connections and beacons of somebody who has no key.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use vs_core::ident::ServerId;
use vs_core::wire::beacon::{BEACON_BYTES_MAX, Beacon, encode};
use vs_core::wire::frame::{PREAMBLE_BYTES, preamble, sealed_preamble};

use crate::forger::{Forger, flipped, read_varint, varint};
use crate::hostile::{Group, key_options};
use crate::world::{GROUP, HANG, Process, is_view, multicast, pause};

/// Connections that do not name themselves.
const IDLE: usize = 4096;
/// How many of them a server lets stay.
const STRANGERS_MAX: u64 = 1024;
/// What a server may take while they come and go: its own stacks and buffers, and less than 16 KiB
/// for each that stays.
#[cfg(target_os = "linux")]
const SERVER_BYTES: usize = 32 << 20;
/// How long a newcomer may take meanwhile, until it has a view.
const NEWCOMER: Duration = Duration::from_secs(if cfg!(debug_assertions) { 4 } else { 1 });
/// A frame of a server: the connection ends for a reason that nobody knows, for good.
const REFUSED: &[u8] = &[5, 0, 0, 0, 35, 99, 1, 0, 0];
/// A frame that is a sign of life.
const PING: &[u8] = &[1, 0, 0, 0, 6];
/// The kind of a frame that tells a client of a change of its group.
const START_CHANGE: u8 = 32;
/// How often something is tried.
const TRIES: usize = 5;

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("a bound socket");
    (listener, addr)
}

/// How many views each member has seen.
fn views(group: &Group) -> Vec<u64> {
    group.members.iter().map(|member| member.look().count("/counters/views")).collect()
}

/// Somebody whose connections say nothing, or a part of something, and who opens others in the
/// place of those that were opened first, until told to end.
struct Flood {
    over: Arc<AtomicBool>,
    opened: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Flood {
    /// Against `server`; all connections are open when this returns.
    fn start(server: &str) -> Self {
        let begun = [
            Vec::new(),
            b"VSM".to_vec(),
            sealed_preamble().to_vec(),
            [&sealed_preamble()[..], &[200, 0, 7, 7]].concat(),
            [&preamble()[..], &[200, 0, 0, 0, 1]].concat(),
            b"GET / HTTP/1.1\r\n".to_vec(),
        ];
        let server: SocketAddr = server.parse().expect("an address");
        let (over, opened) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (is_over, count) = (Arc::clone(&over), Arc::clone(&opened));
        let thread = std::thread::spawn(move || {
            let mut open = VecDeque::new();
            for words in begun.iter().cycle() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                if open.len() >= IDLE {
                    open.pop_front();
                }
                // Connections that nobody accepts in time are no use to a flood.
                let Ok(mut stream) = TcpStream::connect_timeout(&server, NEWCOMER) else {
                    continue;
                };
                // The server may have closed it for another one.
                let _ = stream.write_all(words);
                open.push_back(stream);
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        let flood = Self { over, opened, thread };
        flood.wait_for(IDLE);
        flood
    }

    fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    /// Until so many more were opened.
    fn wait_for(&self, more: usize) {
        let (from, until) = (self.opened(), Instant::now() + HANG);
        while self.opened() < from + more {
            assert!(Instant::now() < until, "{} were opened", self.opened() - from);
            pause(10);
        }
    }

    fn end(self) {
        self.over.store(true, Ordering::SeqCst);
        self.thread.join().expect("no panic");
    }
}

/// This process has both ends of nothing, but all far ends; its children have as many files.
fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = (2 * IDLE + 1000) as u64;
    let enough = limit.current.is_none_or(|current| current >= wanted);
    let current = limit.maximum.map_or(wanted, |most| most.min(wanted));
    if !enough {
        setrlimit(Resource::Nofile, Rlimit { current: Some(current), ..limit }).expect("a limit");
    }
}

/// More than 64 connections in the time of a handshake kept newcomers out.
#[test]
fn thousands_of_connections_keep_no_newcomer_out() {
    allow_open_files();
    for (name, has_keys) in [("flood-sealed", true), ("flood-clear", false)] {
        let mut group = Group::new(name, has_keys);
        let before = views(&group);
        let flood = Flood::start(&group.world.server_addr);
        group.chat("while many are silent");
        assert_eq!(views(&group), before);
        let (from, opened) = (Instant::now(), flood.opened());
        group.start(4);
        group.together();
        let (took, more) = (from.elapsed(), flood.opened() - opened);
        println!("{name}: a newcomer took {took:?}, while {more} were opened");
        assert!(took < NEWCOMER, "{took:?}");
        flood.wait_for(IDLE);
        group.chat("with one more");
        #[cfg(target_os = "linux")]
        {
            let held = group.world.server.held_bytes();
            println!("{name}: the server holds {held} bytes");
            assert!(held < SERVER_BYTES, "{held}");
        }
        let look = group.server_look();
        let gone = look.sum(&["strangers_crowded_out", "strangers_late", "strangers_refused"]);
        println!("{name}: {gone} of {} were shut out", flood.opened());
        assert!(gone + 2 * STRANGERS_MAX > IDLE as u64, "{gone}");
        assert!(look.count("/connections") <= 4 + STRANGERS_MAX);
        flood.end();
        group.end();
    }
}

/// A server that says `words` to everybody.
fn false_server(words: Vec<u8>) -> (SocketAddr, Arc<AtomicUsize>) {
    let (listener, addr) = listen();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    // Ends with the test's process.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            let _ = stream.write_all(&words);
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read(&mut [0; 512]);
        }
    });
    (addr, asked)
}

#[test]
fn false_server_ends_members_without_keys_alone() {
    let multicast = multicast();
    let in_clear = [&preamble()[..], REFUSED].concat();
    let start = |addr: SocketAddr, keys: &[String]| {
        let own = ["node", "--group", GROUP, "--id", "9", "--multicast", &multicast, "--server"];
        let args = own.iter().map(ToString::to_string).chain([addr.to_string()]);
        Process::start(&args.chain(keys.iter().cloned()).collect::<Vec<_>>())
    };
    let mut ended = start(false_server(in_clear.clone()).0, &[]);
    ended.wait_for_end(|_| {});
    assert!(!ended.status().success());

    let mut group = Group::new("false-server", true);
    let before = views(&group);
    let keys = key_options("false-server-other");
    for words in [
        in_clear,
        [&sealed_preamble()[..], REFUSED].concat(),
        [&sealed_preamble()[..], &[0x5a; 200]].concat(),
        sealed_preamble().to_vec(),
        Vec::new(),
    ] {
        let (addr, asked) = false_server(words);
        let mut alone = start(addr, &keys);
        // It does not give up.
        let until = Instant::now() + HANG;
        while asked.load(Ordering::SeqCst) < 2 {
            assert!(alone.child.try_wait().expect("our child").is_none(), "it ended");
            assert!(Instant::now() < until, "it does not try again");
            pause(20);
        }
        alone.kill();
    }
    assert_eq!(views(&group), before);
    group.chat("after all false servers");
    group.end();
}

/// Between a member and its server: what each connection says to the server.
fn relay(server: &str) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let (listener, addr) = listen();
    let said = Arc::new(Mutex::new(Vec::new()));
    let (record, server) = (Arc::clone(&said), server.to_owned());
    std::thread::spawn(move || {
        let (member, _) = listener.accept().expect("a member");
        let server = TcpStream::connect(&server).expect("a server that listens");
        let clones = (server.try_clone().expect("a handle"), member.try_clone().expect("a handle"));
        std::thread::spawn(move || pump(clones.0, clones.1, |_| {}));
        pump(member, server, |bytes| record.lock().expect("no panic").extend_from_slice(bytes));
    });
    (addr, said)
}

fn pump(mut from: TcpStream, mut to: TcpStream, record: impl Fn(&[u8])) {
    let mut bytes = [0; 4096];
    while let Ok(len @ 1..) = from.read(&mut bytes) {
        record(&bytes[..len]);
        if to.write_all(&bytes[..len]).is_err() {
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// What a member said to its server in the clear, as of a later incarnation.
fn later(said: &[u8]) -> Vec<u8> {
    let (head, rest) = said.split_at(PREAMBLE_BYTES + 5);
    let (process, rest) = read_varint(rest);
    let (millis, rest) = read_varint(rest);
    let mut out = head.to_vec();
    varint(process, &mut out);
    varint(millis + 1, &mut out);
    [&out, rest].concat()
}

/// Whether the server tells whoever is on this connection of a change, which shows signs of life.
fn is_let_in(mut stream: TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a time");
    let (mut heard, mut bytes) = (Vec::new(), [0; 4096]);
    let until = Instant::now() + HANG;
    while Instant::now() < until {
        match stream.read(&mut bytes) {
            Ok(0) => break,
            Ok(len) => heard.extend_from_slice(&bytes[..len]),
            Err(_) => {
                let _ = stream.write_all(PING);
            }
        }
        let mut frames = heard.get(PREAMBLE_BYTES..).unwrap_or_default();
        while let Some((len, rest)) = frames.split_first_chunk::<4>() {
            if rest.first() == Some(&START_CHANGE) {
                return true;
            }
            frames = rest.get(u32::from_le_bytes(*len) as usize..).unwrap_or_default();
        }
    }
    false
}

/// The group with a fourth member whose connection to the server was recorded.
fn overheard(name: &str, has_keys: bool) -> (Group, Vec<u8>) {
    let mut group = Group::new(name, has_keys);
    let (addr, said) = relay(&group.world.server_addr);
    let server = core::mem::replace(&mut group.world.server_addr, addr.to_string());
    group.start(4);
    group.world.server_addr = server;
    group.together();
    group.chat("who is overheard");
    let said = said.lock().expect("no panic").clone();
    (group, said)
}

#[test]
fn attachment_is_stolen_without_keys_alone() {
    let say = |group: &Group, words: &[u8]| {
        let mut stream = TcpStream::connect(&group.world.server_addr).expect("a server");
        let _ = stream.write_all(words);
        stream
    };
    let (group, in_clear) = overheard("stolen-clear", false);
    let stolen = later(&in_clear);
    // Whoever has the id would show that it lives.
    group.members[3].process.signal("STOP");
    assert!(is_let_in(say(&group, &stolen)), "the thief is not let in");

    let (mut group, sealed) = overheard("stolen-sealed", true);
    let before = views(&group);
    for words in [&in_clear, &stolen, &sealed] {
        for _ in 0..TRIES {
            let mut stream = say(&group, words);
            // The server ends it.
            let _ = stream.read_to_end(&mut Vec::new());
        }
    }
    assert_eq!(views(&group), before);
    group.chat("after the thief");
    group.end();
}

/// Nodes without a server, one of each id, that find one another.
struct Lan {
    multicast: String,
    options: Vec<String>,
    nodes: Vec<Process>,
}

impl Lan {
    fn start(&mut self, id: usize) {
        let id = id.to_string();
        let own = ["node", "--group", GROUP, "--interface", "127.0.0.1", "--id", &id];
        let own = [&own[..], &["--multicast", &self.multicast]].concat();
        let own = own.iter().map(ToString::to_string);
        let args: Vec<_> = own.chain(self.options.iter().cloned()).collect();
        self.nodes.push(Process::start(&args));
    }

    fn together(&mut self) {
        for node in &mut self.nodes {
            node.wait("a view of both", |line| is_view(line, "1,2", None).then_some(()));
        }
    }

    /// Each is told what the first says, and nothing before that.
    fn chat(&mut self, what: &str) {
        self.nodes[0].type_line(what);
        for node in &mut self.nodes {
            let line = node.wait(what, |line| Some(line.to_owned()));
            assert_eq!(line, format!("1: {what}"));
        }
    }
}

/// Two nodes, somebody who hears their beacons, and where a server listens that is none.
fn lan(options: Vec<String>) -> (Lan, Forger, (SocketAddr, Arc<AtomicUsize>)) {
    let multicast = multicast();
    let (ip, port) = multicast.rsplit_once(':').expect("a port");
    let port: u16 = port.parse().expect("a port");
    let forger = Forger::new(&format!("{ip}:{}", port + 1));
    let mut lan = Lan { multicast: multicast.clone(), options, nodes: Vec::new() };
    lan.start(1);
    lan.start(2);
    lan.together();
    (lan, forger, false_server(preamble().to_vec()))
}

fn beacon(listen: SocketAddr, boot: u64) -> Vec<u8> {
    let mut bytes = vec![0; BEACON_BYTES_MAX];
    let beacon = Beacon { deployment: "default", server: ServerId(1), boot, listen };
    let len = encode(&mut bytes, &beacon).expect("a beacon");
    bytes.truncate(len);
    bytes
}

#[test]
fn forged_beacons_lead_astray_without_keys_alone() {
    let (_lan, forger, (addr, asked)) = lan(Vec::new());
    let until = Instant::now() + HANG;
    while asked.load(Ordering::SeqCst) == 0 {
        forger.send(&[beacon(addr, 1)], &[]);
        assert!(Instant::now() < until, "nobody follows a beacon in the clear");
        pause(20);
    }

    let (mut lan, mut forger, (addr, asked)) = lan(key_options("beacons"));
    while forger.recorded.is_empty() {
        forger.listen();
    }
    let forged = (0..40).map(|boot| beacon(addr, boot)).collect::<Vec<_>>();
    forger.send(&forged, &[]);
    lan.chat("after forged ones");
    let (_, sample) = forger.recorded[0].clone();
    forger.send(&flipped(&sample, 0), &[]);
    let cut: Vec<_> = (1..sample.len()).map(|len| sample[..len].to_vec()).collect();
    forger.send(&cut, &[]);
    lan.chat("after changed ones");
    let replay = |forger: &mut Forger| {
        forger.listen();
        let all: Vec<_> = forger.recorded.iter().map(|(_, bytes)| bytes.clone()).collect();
        (0..TRIES).for_each(|_| forger.send(&all, &[]));
    };
    replay(&mut forger);
    lan.chat("after repeated ones");
    lan.nodes.pop().expect("two nodes").kill();
    lan.nodes[0].wait("a view without it", |line| is_view(line, "1", None).then_some(()));
    replay(&mut forger);
    lan.start(2);
    lan.together();
    replay(&mut forger);
    lan.chat("after a restart");
    assert_eq!(asked.load(Ordering::SeqCst), 0, "somebody followed a forged beacon");
    lan.nodes.iter_mut().for_each(Process::leave);
}
