//! What the memory of a process holds of views that it has left. The secrets of views are learned
//! from the ciphers of another member, in whose process the server is; the process that is searched
//! runs what ships.

#![cfg(target_os = "linux")]

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::time::Duration;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use vs_core::View;
use vs_core::ident::{GroupName, ProcessId};
use vs_core::seal::{
    Aead, Ciphers, KeyRing, Keys, NONCE_BYTES, SECRET_BYTES, Secret, Suite, TAG_BYTES,
};
use vs_core::wire::datagram::Scope;
use vs_std::driver::DriverConfig;
use vs_std::keys::{FAST, generate, keys, read_key_file, write_key_file};
use vs_std::udp::UdpConfig;
use vs_std::{Event, JoinOptions, Membership, SharedGroup};

/// How long what is waited for may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a child finds its key file, and the server.
const CHILD: &str = "VS_MEMORY_CHILD";

/// Where a datagram says its scope.
const SCOPE_AT: usize = 6;

/// The kind of the frame that announces a view with a secret; behind its length.
const NEW_VIEW: u8 = 33;

/// What stands before the secret, at the end of that frame.
const BEFORE_SECRET: [u8; 2] = [1, SECRET_BYTES as u8];

/// Bytes that are compared at once.
const PAGE_BYTES: usize = 4096;

type Bytes = [u8; SECRET_BYTES];

/// What the ciphers of this process have seen.
#[derive(Debug, Default)]
struct Seen {
    /// Under which keys datagrams of views were sealed or opened.
    lanes: Vec<Bytes>,
    /// Secrets of views, in the order of their announcement.
    views: Vec<Bytes>,
}

static SEEN: Mutex<Seen> = Mutex::new(Seen { lanes: Vec::new(), views: Vec::new() });

fn see(bytes: Bytes, of: impl FnOnce(&mut Seen) -> &mut Vec<Bytes>) {
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let list = of(&mut seen);
    if !list.contains(&bytes) {
        list.push(bytes);
    }
}

/// Ciphers that watch.
#[derive(Debug)]
struct Spies;

static SPIES: Spies = Spies;

struct Spy(Box<dyn Aead>, Bytes);

impl Ciphers for Spies {
    fn cipher(&self, suite: Suite, key: &Secret) -> Box<dyn Aead> {
        Box::new(Spy(FAST.cipher(suite, key), *key.bytes()))
    }
}

impl Aead for Spy {
    fn seal(&self, nonce: &[u8; NONCE_BYTES], clear: &[u8], content: &mut [u8]) -> [u8; TAG_BYTES] {
        if clear.starts_with(b"VS") && clear[SCOPE_AT] == Scope::View as u8 {
            see(self.1, |seen| &mut seen.lanes);
        }
        if content.get(4) == Some(&NEW_VIEW)
            && let Some((before, secret)) = content.split_last_chunk::<SECRET_BYTES>()
        {
            assert!(before.ends_with(&BEFORE_SECRET), "where is the secret in {before:?}?");
            see(*secret, |seen| &mut seen.views);
        }
        self.0.seal(nonce, clear, content)
    }

    fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        clear: &[u8],
        content: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> bool {
        let is_open = self.0.open(nonce, clear, content, tag);
        if is_open && clear.starts_with(b"VS") && clear[SCOPE_AT] == Scope::View as u8 {
            see(self.1, |seen| &mut seen.lanes);
        }
        is_open
    }
}

fn name() -> GroupName {
    "memory".parse().unwrap()
}

fn options(process: u64, membership: Membership, keys: Keys) -> JoinOptions {
    let port = 20_000 + (std::process::id() % 20_000) as u16;
    // All processes of a test have the one that the first one names.
    let port =
        std::env::var(CHILD).map_or(port, |all| all.split(' ').nth(2).unwrap().parse().unwrap());
    let multicast = SocketAddrV4::new(Ipv4Addr::new(239, 255, 79, 1), port);
    let udp = UdpConfig::new(Ipv4Addr::LOCALHOST, multicast);
    let driver = DriverConfig::new(ProcessId(process), membership, udp).with_keys(keys);
    let mut options = JoinOptions::with(driver);
    options.group.peer_ms = 30_000;
    options.driver.node.client.server_silence_ms = 30_000;
    options
}

/// Waits for a view of so many, in which each says something that all hear.
fn meet(group: &SharedGroup, members: usize) -> View {
    let until = Instant::now() + PATIENCE;
    let (mut found, mut heard) = (None, 0);
    loop {
        assert!(Instant::now() < until, "no view of {members}, or nothing is heard");
        match group.recv_timeout(Duration::from_millis(100)).unwrap() {
            Some(Event::View { view, .. }) => {
                heard = 0;
                found = (view.len() == members).then(|| {
                    group.send(b"hello").unwrap();
                    view
                });
            }
            Some(Event::Message { .. }) => heard += 1,
            _ => {}
        }
        if let Some(view) = found.take_if(|_| heard == members) {
            return view;
        }
    }
}

/// Where of `needles` some are in the memory of a process.
fn search(process: u32, needles: &BTreeMap<Bytes, String>) -> Vec<String> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let mut first = vec![false; 1 << 16];
    needles.keys().for_each(|n| first[usize::from(u16::from_le_bytes([n[0], n[1]]))] = true);
    let mut found = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        let place = words.nth(3).unwrap_or("allocated");
        if !rights.starts_with("rw") {
            continue;
        }
        let (begin, end) = range.split_once('-').unwrap();
        let [begin, end] = [begin, end].map(|at| u64::from_str_radix(at, 16).unwrap());
        let mut bytes = vec![0; (end - begin) as usize];
        // What cannot be read is none of the process' own.
        if memory.read_exact_at(&mut bytes, begin).is_err() {
            continue;
        }
        let mut at = 0;
        while let Some(window) = bytes.get(at..at + SECRET_BYTES) {
            // Much of the memory was never touched.
            if !first[0] && bytes.get(at..at + PAGE_BYTES) == Some(&[0; PAGE_BYTES]) {
                at += PAGE_BYTES - 1;
                continue;
            }
            if first[usize::from(u16::from_le_bytes([window[0], window[1]]))]
                && let Some(what) = needles.get(window)
            {
                found.push(format!("{what} at {at:#x} of {place} ({range})"));
            }
            at += 1;
        }
    }
    found
}

/// The secret of the view that was announced last, what keys of its members follow from, and
/// the keys.
fn needles(ring: &KeyRing, view: &View, lanes_before: usize) -> BTreeMap<Bytes, String> {
    let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let secret = *seen.views.last().expect("a view with a secret");
    let mut context = Vec::new();
    let mut push = |number: u64| context.extend_from_slice(&number.to_le_bytes());
    [name().key().0, view.id().major, view.id().minor].into_iter().for_each(&mut push);
    for (process, cid) in view.members().iter().zip(view.start_ids()) {
        push(process.0);
        push(cid.0);
    }
    context.extend_from_slice(&secret);
    let root = *ring.first().member().derive("vs view", &[&context]).bytes();
    let lanes = seen.lanes[lanes_before..].iter();
    let lanes = lanes.enumerate().map(|(at, lane)| (*lane, format!("lane {at}")));
    [(secret, "secret".into()), (root, "root".into())].into_iter().chain(lanes).collect()
}

fn lanes() -> usize {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner).lanes.len()
}

/// The process that is searched. Dropping it kills it.
struct Searched(Child, BufReader<std::process::ChildStdout>);

impl Searched {
    fn start(key_file: &Path, server: SocketAddr) -> Self {
        let port = 20_000 + (std::process::id() % 20_000) as u16;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "process_that_is_searched", "--nocapture"])
            .env(CHILD, format!("{} {server} {port}", key_file.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self(child, said)
    }

    fn wait_for(&mut self, what: &str) {
        let mut line = String::new();
        while !line.contains(what) {
            line.clear();
            assert!(self.1.read_line(&mut line).unwrap() > 0, "it ended before {what}");
        }
    }

    fn tell(&mut self, what: &str) {
        writeln!(self.0.stdin.as_mut().unwrap(), "{what}").unwrap();
    }
}

impl Drop for Searched {
    fn drop(&mut self) {
        // Both fail only for a process that is gone, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A part of the test below, in a process of its own: does nothing when nobody asks for it.
#[test]
fn process_that_is_searched() {
    let Ok(all) = std::env::var(CHILD) else { return };
    let mut words = all.split(' ');
    let (file, server) = (words.next().unwrap(), words.next().unwrap());
    let server: SocketAddr = server.parse().unwrap();
    let keys = keys(read_key_file(file).unwrap()).unwrap();
    let options = options(2, Membership::Servers(vec![server.into()]), keys);
    let group = SharedGroup::join(&name(), options).unwrap();
    let mut lines = std::io::stdin().lines().map(Result::unwrap);
    for members in [2, 3] {
        meet(&group, members);
        println!("\nmet {members}");
        lines.next();
    }
    group.leave().unwrap();
    println!("\nleft");
    lines.next();
}

/// Searches until nothing is found: what is left of a view is repaired for a moment.
fn is_forgotten(process: u32, needles: &BTreeMap<Bytes, String>) {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let found = search(process, needles);
        if found.is_empty() {
            return;
        }
        assert!(Instant::now() < until, "found {found:#?}");
        std::thread::park_timeout(Duration::from_millis(200));
    }
}

#[test]
fn memory_of_process_holds_no_key_of_past_view() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("KEY");
    let ring = KeyRing::new(vec![generate(1, Suite::Aes256Gcm).unwrap().unwrap()]).unwrap();
    write_key_file(&file, &ring).unwrap();
    let spied = || Keys::new(ring.clone(), &SPIES, Secret::new([1; SECRET_BYTES]));
    let first = SharedGroup::join(&name(), options(1, Membership::embedded(), spied())).unwrap();
    let server = first.inspect(|driver| driver.embedded().unwrap().listen_addr()).unwrap();
    let mut searched = Searched::start(&file, server);
    let process = searched.0.id();

    let before = lanes();
    let view = meet(&first, 2);
    searched.wait_for("met 2");
    let of_two = needles(&ring, &view, before);
    let found = search(process, &of_two);
    println!("in the view of two: {found:#?}");
    for what in ["secret", "root", "lane"] {
        assert!(found.iter().any(|found| found.starts_with(what)), "{what} is in {found:?}");
    }

    searched.tell("go on");
    let before = lanes();
    let third = options(3, Membership::Servers(vec![server.into()]), spied());
    let third = SharedGroup::join(&name(), third).unwrap();
    let view = std::thread::scope(|scope| {
        scope.spawn(|| meet(&first, 3));
        meet(&third, 3)
    });
    searched.wait_for("met 3");
    let of_three = needles(&ring, &view, before);
    let found = search(process, &of_three);
    println!("in the view of three: {found:#?}");
    assert!(found.iter().any(|found| found.starts_with("secret")), "{found:?}");
    is_forgotten(process, &of_two);

    searched.tell("leave");
    searched.wait_for("left");
    is_forgotten(process, &of_two);
    is_forgotten(process, &of_three);
}
