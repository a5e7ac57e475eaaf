//! `vs status`: servers and nodes that are asked what they see.

use core::sync::atomic::{AtomicBool, Ordering};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use serde_json::Value;
use vs_core::ident::Deployment;
use vs_core::status::Asker;

use crate::world::{GROUP, HANG, Process, World, is_view, pause, vs};

/// How often somebody is asked who does not answer for a reason that passes.
const TRIES_MAX: usize = 100;

/// The answer of `addr`, of which `kind` is asked; as soon as there is one, if it was asked often.
pub(crate) fn ask(addr: &str, kind: &str) -> Value {
    ask_with(addr, kind, &[])
}

/// The same, with `options` besides.
pub(crate) fn ask_with(addr: &str, kind: &str, options: &[&str]) -> Value {
    let mut tries = 0..TRIES_MAX;
    loop {
        let output = vs(&[&["status", "--json", addr], options].concat());
        let said = String::from_utf8(output.stdout).expect("UTF-8");
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        // Who asks is a stranger, too, and in a flood of them it may be the one that is drawn.
        let may_succeed = complaint.contains("ask less often") || complaint.contains("has no room");
        if may_succeed && tries.next().is_some() {
            pause(100);
            continue;
        }
        assert!(output.status.success(), "{complaint}");
        let value: Value = serde_json::from_str(said.trim()).expect("one JSON object");
        return value[kind].clone();
    }
}

fn text(addr: &str) -> String {
    let output = vs(&["status", addr]);
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn complaint(addr: &str) -> String {
    let output = vs(&["status", addr]);
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).expect("UTF-8")
}

/// Where a node says that it can be asked.
pub(crate) fn desk(node: &mut Process) -> String {
    node.wait_for_complaint("where to ask", |line| {
        line.split_once("vs status ").map(|(_, addr)| addr.to_owned())
    })
}

/// Says `words` to whoever connects first.
fn stranger(words: &'static [u8]) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("a bound socket").to_string();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.write_all(words).expect("somebody who listens");
        // Until the other side has gone: what it said is read, so that the words are not taken
        // back.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    (addr, thread)
}

#[test]
fn server_and_node_tell_what_they_see() {
    let world = World::new("status", &["--gather-join-ms", "300"]);
    let mut one = world.node(1, &["--status", "127.0.0.1:0"]);
    let addr = desk(&mut one);
    let mut other = world.node(2, &[]);
    for node in [&mut one, &mut other] {
        node.wait("a view of both", |line| is_view(line, "1,2", None).then_some(()));
    }
    other.type_line("hello");
    one.wait("a line", |line| (line == "2: hello").then_some(()));

    let server = ask(&world.server_addr, "server");
    assert_eq!(server["clients"], 2, "{server}");
    let group = &server["groups"]["first"][0];
    assert_eq!((&group["name"], &group["changing"]), (&GROUP.into(), &false.into()), "{group}");
    assert_eq!(group["decided"]["fast"], true, "{group}");
    let members = group["members"]["first"].as_array().expect("a list");
    assert_eq!(members.iter().map(|m| &m["process"]).collect::<Vec<_>>(), [1, 2]);

    let node = ask(&addr, "node");
    assert_eq!((&node["process"], &node["server"]), (&1.into(), &(*world.server_addr).into()));
    let membership = &node["groups"]["first"][0];
    assert_eq!(membership["view"], group["decided"]["view"], "both are settled");
    assert!(membership["window"].as_u64().is_some_and(|packets| packets > 0), "{membership}");
    let streams = &membership["members"]["first"];
    assert_eq!((&streams[1]["process"], &streams[1]["delivered"]), (&2.into(), &1.into()));

    let said = text(&world.server_addr);
    assert!(said.contains("2 of clients") && said.contains("1, 2"), "{said}");
    let said = text(&addr);
    assert!(said.contains("group chat: view") && said.contains("MEMBER  RECEIVED"), "{said}");
    world.end([one, other]);
}

#[test]
fn servers_tell_of_each_other() {
    let mut one = Process::start(&["server", "--listen", "127.0.0.1:0", "--id", "1"]);
    let listening = |line: &str| line.rsplit_once("listening on ").map(|(_, a)| a.to_owned());
    let addr = one.wait("the first listens", listening);
    let peers = ["--peer", &addr];
    let other = [&["server", "--listen", "127.0.0.1:0", "--id", "2"][..], &peers].concat();
    let mut other = Process::start(&other);
    let other_addr = other.wait("the second listens", listening);
    other.wait("a link", |line| (line == "server 1 connected").then_some(()));
    one.wait("a link", |line| (line == "server 2 connected").then_some(()));
    let peer = ask(&addr, "server")["peers"]["first"][0].clone();
    assert_eq!((&peer["server"], &peer["connected"]), (&2.into(), &true.into()));
    let dialled = ask(&other_addr, "server")["dialled"]["first"][0].clone();
    assert_eq!((&dialled["addr"], &dialled["state"]), (&(*addr).into(), &"up".into()));
    one.leave();
    other.wait("the end of the link", |line| (line == "server 1 lost").then_some(()));
    let peer = ask(&other_addr, "server")["peers"]["first"][0].clone();
    assert_eq!((&peer["server"], &peer["connected"]), (&1.into(), &false.into()));
    other.leave();
}

#[test]
fn a_node_tells_of_its_embedded_server() {
    let multicast = crate::world::multicast();
    let args = ["node", "--group", GROUP, "--interface", "127.0.0.1", "--id", "7"];
    let mut node = Process::start(&[&args[..], &["--multicast", &multicast]].concat());
    let addr = node.wait_for_complaint("where the server inside listens", |line| {
        let (_, rest) = line.split_once("membership server inside, at ")?;
        rest.split_once(';').map(|(addr, _)| addr.to_owned())
    });
    node.wait("a view", |line| is_view(line, "7", None).then_some(()));
    let server = ask(&addr, "server");
    assert_eq!((&server["embeds"], &server["clients"]), (&7.into(), &1.into()), "{server}");
    let said = text(&addr);
    assert!(said.contains("1 change, 1 proposal, 1 view in fast and 0 in slow mode"), "{said}");
    node.leave();
}

#[test]
fn watching_goes_on_until_it_is_interrupted() {
    let mut server = Process::start(&["server", "--listen", "127.0.0.1:0"]);
    let addr = server
        .wait("it listens", |line| line.rsplit_once("listening on ").map(|(_, a)| a.to_owned()));
    let mut watch = Process::start(&["status", "--watch", "--json", &addr]);
    for _ in 0..3 {
        watch.wait("an answer", |line| line.starts_with("{\"server\":").then_some(()));
    }
    server.leave();
    watch.wait_for_end(|_| {});
    assert_eq!(watch.status().code(), Some(1));
    watch.wait_for_complaint("the end", |line| line.contains("nobody listens at").then_some(()));
}

#[test]
fn who_does_not_answer_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = free.local_addr().expect("a bound socket").to_string();
    drop(free);
    let said = complaint(&addr);
    assert!(said.contains("nobody listens at") && said.contains("vs node --status"), "{said}");
    for (words, expected) in [
        (&b"HTTP/1.1 400 Bad Request\r\n"[..], "is not vs"),
        (b"VSM\0\x63\0", "speaks protocol version 99"),
        (b"VSM\0", "did not answer within 3 s"),
    ] {
        let (addr, thread) = stranger(words);
        let said = complaint(&addr);
        assert!(said.contains(expected), "{said}");
        thread.join().expect("the stranger");
    }
    let said = complaint("nowhere");
    assert!(said.contains("HOST:PORT"), "{said}");
}

/// Who asks in a loop is told to stop, and the server and the node go on.
#[test]
fn frequent_questions_are_told_to_slow_down() {
    let world = World::new("status-loop", &[]);
    let mut node = world.node(1, &["--status", "127.0.0.1:0"]);
    let desk = desk(&mut node);
    for addr in [&world.server_addr, &desk] {
        let (stop, to) = (Arc::new(AtomicBool::new(false)), addr.clone());
        let stopped = Arc::clone(&stop);
        let crowd = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let mut stream = TcpStream::connect(&to).expect("a connection");
                // What is answered is for nobody, and one that makes place for others is answered
                // nothing.
                let asker = Asker::new(None, &Deployment::default());
                let _ = stream.write_all(asker.output());
                let _ = stream.read_to_end(&mut Vec::new());
            }
        });
        let until = Instant::now() + HANG;
        loop {
            let said = String::from_utf8(vs(&["status", addr]).stderr).expect("UTF-8");
            if said.contains("ask less often") {
                break;
            }
            assert!(Instant::now() < until, "nobody is told to ask less often: {said}");
        }
        stop.store(true, Ordering::Relaxed);
        crowd.join().expect("the crowd");
    }
    node.type_line("hello");
    node.wait("a line", |line| (line == "1: hello").then_some(()));
    world.end([node]);
}

/// Whoever holds connections open and says nothing, or nonsense, keeps nobody else from an answer.
#[test]
fn idle_connections_do_not_block_the_desk() {
    let world = World::new("status-idle", &[]);
    let mut node = world.node(1, &["--status", "127.0.0.1:0"]);
    let addr = desk(&mut node);
    let idle: Vec<_> = (0..20).map(|_| TcpStream::connect(&addr).expect("a connection")).collect();
    let mut strange = TcpStream::connect(&addr).expect("a connection");
    strange.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("somebody who listens");
    assert_eq!(ask(&addr, "node")["process"], 1);
    drop(idle);
    world.end([node]);
}
