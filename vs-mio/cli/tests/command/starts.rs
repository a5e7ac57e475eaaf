//! Starts that fail: the exit status says whose fault it is, and one sentence what to do.

use core::net::Ipv4Addr;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};

use crate::world::{Process, World, directory, is_view, multicast, vs};

/// Exit status of a command that was not understood.
pub(crate) const USAGE: i32 = 2;
/// Exit status of a command that failed.
pub(crate) const FAILED: i32 = 1;

/// Runs `vs` with `args`, which must end with `status` and one line on standard error that has all
/// of `words`.
pub(crate) fn refused(args: &[&str], status: i32, words: &[&str]) {
    let output = vs(args);
    let said = String::from_utf8_lossy(&output.stderr);
    println!("{args:?}: {said}");
    assert_eq!(output.status.code(), Some(status), "{args:?}: {said}");
    assert_eq!(said.lines().count(), 1, "{args:?}: more or less than a sentence: {said}");
    assert!(said.starts_with("vs: "), "{args:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{args:?}: {word:?} is not in: {said}");
    }
}

/// A member that finds its server at `server`, with `args` besides.
fn node(server: &str, args: &[&str], status: i32, words: &[&str]) {
    let multicast = multicast();
    let own = ["node", "--group", "chat", "--server", server, "--id", "1"];
    let place: &[&str] =
        if args.contains(&"--multicast") { &[] } else { &["--multicast", &multicast] };
    refused(&[&own, place, args].concat(), status, words);
}

/// Addresses where nobody listens. A port that was free a moment ago may be somebody's now.
const NOBODY: &str = "127.0.0.1:1";
const NOBODY_ELSE: &str = "127.0.0.1:2";

#[test]
fn what_is_not_understood_is_named() {
    let server = ["--server", "127.0.0.1:7000"];
    let cases: [(&[&str], &[&str]); 14] = [
        (&["node", "--server", "127.0.0.1:7000"], &["--group"]),
        (&["node"], &["--group"]),
        (&["node", "--group", "chat", "--peer", "127.0.0.1:7000"], &["--server", "--peer"]),
        (&["node", "--group", "chat", "--deployment", ""], &["--deployment", "1 to 64 bytes"]),
        (&["node", "--group", "chat", "--beacons", "everybody"], &["--beacons <IP:PORT>"]),
        (&["node", "--group", ""], &["--group", "must not be empty"]),
        (&["node", "--group", "a\nb"], &["--group", "control characters"]),
        (&["node", "--group", "chat", "--id", "9007199254740992"], &["--id", "9007199254740991"]),
        (&["node", "--group", "chat", "--id", "seven"], &["--id", "seven"]),
        (&["node", "--group", "chat", "--id", "-1"], &["-1"]),
        (&["node", "--group", "chat", "--multicast", "everybody"], &["--multicast <IP:PORT>"]),
        (&["node", "--group", "chat", "--generate", "5", "--rate", "0"], &["--rate", "above 0"]),
        (&["node", "--group", "chat", "--generate", "5", "--sizes", "9..2"], &["--sizes", "first"]),
        (&["node", "--group", "chat", "--auto-block", "--manual-block"], &["--manual-block"]),
    ];
    for (args, words) in cases {
        let words = [words, &["--help"]].concat();
        // What is under test is not the absence of a server, unless it is.
        let args = if args.len() > 3 { [args, &server].concat() } else { args.to_vec() };
        refused(&args, USAGE, &words);
    }
    refused(&["serve"], USAGE, &["'serve'", "'server'", "--help"]);
    refused(&["dance"], USAGE, &["'dance'", "--help"]);
    refused(&["server"], USAGE, &["--listen"]);
    refused(&["server", "--listen", "7000"], USAGE, &["--listen <IP:PORT>"]);
    refused(&["server", "--listen", "127.0.0.1:0", "--id", "x"], USAGE, &["--id"]);
    refused(&["check"], USAGE, &["<TRACE>"]);
    let nothing = vs(&[]);
    assert_eq!(nothing.status.code(), Some(USAGE));
    let said = String::from_utf8_lossy(&nothing.stderr).into_owned();
    assert!(
        said.contains("Commands:") && said.contains("demo"),
        "help for who asks nothing: {said}"
    );
}

#[test]
fn a_server_that_cannot_be_reached_is_named() {
    let start = format!("vs server --listen {NOBODY}");
    node(NOBODY, &[], FAILED, &["cannot reach the membership server", &start]);
    let both = ["cannot reach any", NOBODY, NOBODY_ELSE];
    node(NOBODY, &["--server", NOBODY_ELSE], FAILED, &both);
    // An address for documents: nobody answers, or the system says at once that there is no way.
    let silent = ["--connect-ms", "300", "--bind", "127.0.0.1", "--insecure"];
    node("192.0.2.1:7000", &silent, FAILED, &["cannot reach the membership server 192.0.2.1:7000"]);
    node("nowhere", &[], FAILED, &["nowhere", "HOST:PORT"]);
    node("no-such-host.invalid:7000", &[], FAILED, &["no-such-host.invalid", "look up"]);
}

/// Another name may lead to a server, and a name that is not there yet may be soon.
#[test]
fn a_name_that_is_unknown_is_waited_for() {
    let (unknown, multicast) = ("no-such-host.invalid:7000", multicast());
    let mut server = Process::start(&["server", "--listen", "127.0.0.1:0", "--peer", unknown]);
    let addr = server.wait("the server listens", |line| {
        line.rsplit_once("listening on ").map(|(_, addr)| addr.to_owned())
    });
    let own = ["node", "--group", "chat", "--id", "1", "--multicast", &multicast];
    let by_server = ["--server", unknown, "--server", &addr];
    let by_peer = ["--interface", "127.0.0.1", "--peer", unknown];
    let nodes = [&by_server[..], &by_peer].map(|how| Process::start(&[&own, how].concat()));
    for mut process in nodes {
        process.wait("a view", |line| is_view(line, "1", None).then_some(()));
        let says = format!("{unknown} cannot be looked up");
        process.wait_for_complaint("the name", |line| line.contains(&says).then_some(()));
        process.leave();
    }
    let says = format!("peer {unknown} cannot be looked up");
    server.wait_for_complaint("the name", |line| line.contains(&says).then_some(()));
    server.leave();

    let patient = ["--connect-ms", "1500"];
    let waits = |more: &[&str]| {
        let args = [&own[..], &["--server", unknown], &patient, more].concat();
        let output = vs(&args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(FAILED), "{said}");
        let lines: Vec<_> = said.lines().collect();
        // Once that it waits, if its resolver answers within that time, and once that it ends.
        let (last, before) = lines.split_last().expect("it says why it ends");
        assert!(last.contains("look up"), "{said}");
        assert!(before.len() <= 1 && before.iter().all(|l| l.ends_with("trying again")), "{said}");
    };
    waits(&[]);
    waits(&["--bind", "127.0.0.1"]);
}

/// A web server, say: it takes the connection and closes it without a word, and was tried again for
/// ever.
#[test]
fn a_service_of_another_kind_is_named() {
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let addr = other.local_addr().expect("a bound socket").to_string();
    std::thread::spawn(move || other.incoming().for_each(drop));
    let words = [addr.as_str(), "does not answer as a membership server does", "--server"];
    node(&addr, &["--connect-ms", "400"], FAILED, &words);
}

#[test]
fn addresses_that_cannot_be_used_are_named() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let taken = taken.local_addr().map(|addr| (addr, taken)).expect("a bound socket");
    let port = format!("port {} is taken", taken.0.port());
    refused(&["server", "--listen", &taken.0.to_string()], FAILED, &[&port, "--listen"]);
    let elsewhere = ["server", "--insecure", "--listen", "192.0.2.1:7000"];
    refused(&elsewhere, FAILED, &["192.0.2.1 is not on this host", "--listen"]);

    let not_shared = multicast();
    let _socket = UdpSocket::bind(&not_shared).expect("a free port");
    let port = format!("port {} is taken", not_shared.rsplit_once(':').expect("a port").1);
    node(NOBODY, &["--multicast", &not_shared], FAILED, &[&port, "--multicast"]);
    node(NOBODY, &["--multicast", "10.0.0.1:7000"], FAILED, &["10.0.0.1:7000", "--multicast"]);
    let elsewhere = ["--insecure", "--interface", "192.0.2.1"];
    node(NOBODY, &elsewhere, FAILED, &["no interface", "192.0.2.1", "--interface"]);
    let elsewhere = ["--insecure", "--bind", "192.0.2.1"];
    node(NOBODY, &elsewhere, FAILED, &["192.0.2.1 is not on this host", "--bind"]);

    let inside = |args: &[&str], words: &[&str]| {
        let multicast = multicast();
        let own = ["node", "--group", "chat", "--id", "1", "--multicast", &multicast];
        refused(&[&own, args].concat(), FAILED, words);
    };
    let anywhere = ["server", "--insecure", "--listen", "0.0.0.0:0", "--discover"];
    refused(&anywhere, FAILED, &["0.0.0.0", "--interface"]);
    inside(&["--insecure", "--interface", "192.0.2.1"], &["192.0.2.1", "--interface"]);
    inside(&["--insecure", "--bind", "192.0.2.1"], &["192.0.2.1 is not on this host", "--bind"]);
    let here = ["--interface", "127.0.0.1"];
    let with = |args: &[&'static str]| [&here[..], args].concat();
    inside(
        &with(&["--insecure", "--listen", "192.0.2.1:7000"]),
        &["192.0.2.1 is not on this host", "--listen"],
    );
    inside(&with(&["--beacons", "10.0.0.1:7000"]), &["10.0.0.1:7000", "--beacons"]);
    inside(&with(&["--peer", "nowhere"]), &["nowhere", "HOST:PORT"]);
}

#[test]
fn bounds_that_do_not_fit_are_named() {
    node(NOBODY, &["--window-packets", "2"], FAILED, &["window_packets must be"]);
    node(
        NOBODY,
        &["--window-packets", "100"],
        FAILED,
        &["window_packets must be", "since message_bytes_max is"],
    );
    node(NOBODY, &["--server-silence-ms", "1"], FAILED, &["server_silence_ms must be at least 2"]);
    let name = ["--message-bytes-max", "4", "--name", "maximilian"];
    node(NOBODY, &name, FAILED, &["--name", "shorten it"]);
    for (option, words) in [
        ("--message-bytes-max", "message_bytes_max must be"),
        ("--window-packets", "window_packets must be"),
        ("--members-max", "members_max must be"),
        ("--peer-ms", "peer_ms must be"),
        ("--server-silence-ms", "server_silence_ms must be"),
        ("--datagram-bytes", "datagram_bytes must be"),
    ] {
        for value in ["18446744073709551615", "0"] {
            node(NOBODY, &[option, value], FAILED, &[words]);
        }
    }
    // Signs of life follow from it where there is room for any.
    let silence = |ms| ["server", "--listen", "127.0.0.1:0", "--silence-ms", ms];
    let words = "silence_ms must be at least 2 since heartbeat_ms is 1";
    refused(&silence("1"), FAILED, &[words]);
    let both = [&silence("5")[..], &["--heartbeat-ms", "5"]].concat();
    refused(&both, FAILED, &["silence_ms must be at least 6 since heartbeat_ms is 5"]);
}

/// The loopback of a network namespace of its own gets an MTU below that of Ethernet; needs root or
/// user namespaces.
#[cfg(target_os = "linux")]
#[test]
fn an_mtu_that_is_too_small_for_what_is_named_is_told() {
    let binary = env!("CARGO_BIN_EXE_vs");
    let start = |args: &str| {
        let node = format!("{binary} node --group chat --server {NOBODY} --id 1 {args}");
        let script = format!("ip link set lo mtu 1400 up && echo ready && exec {node}");
        let shell = ["--map-root-user", "--net", "sh", "-c", &script];
        let output = std::process::Command::new("unshare").args(shell).output().ok()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        output.stdout.starts_with(b"ready").then_some((output.status.code(), said))
    };
    let Some((status, said)) = start("") else {
        return println!("skipped: there can be no network namespace");
    };
    println!("{said}");
    // Who names nothing gets on: to the next thing that is wrong here.
    assert_eq!((status, said.lines().count()), (Some(FAILED), 2), "{said}");
    assert!(said.contains("takes datagrams of 1372 bytes"), "{said}");
    assert!(said.contains("cannot reach the membership server"), "{said}");
    let (status, said) = start("--datagram-bytes 1472").expect("a network namespace, as before");
    assert_eq!((status, said.lines().count()), (Some(FAILED), 1), "{said}");
    assert!(said.contains("1472 bytes") && said.contains("--datagram-bytes 1372"), "{said}");
    // So does who follows the advice.
    let (_, said) = start("--datagram-bytes 1372").expect("a network namespace, as before");
    assert!(said.contains("cannot reach the membership server"), "{said}");
    let (_, said) = start("--datagram-bytes 1373").expect("a network namespace, as before");
    assert!(said.contains("--datagram-bytes 1372"), "{said}");
}

#[test]
fn a_trace_that_cannot_be_written_is_named() {
    let dir = directory("no-trace");
    let place = |name: &str| dir.join(name).display().to_string();
    std::fs::write(place("notes"), "not a trace\n").expect("a directory of our own");
    std::fs::write(place("other"), "{\"vs_trace\":1,\"p\":77,\"inc\":1,\"runtime\":\"mio\"}\n")
        .expect("a directory of our own");
    let mut cases = vec![
        (place(""), "irectory"),
        (place("missing/1.jsonl"), "No such file"),
        (place("notes"), "something else"),
        (place("other"), "the trace of process 77"),
    ];
    if cfg!(target_os = "linux") {
        cases.push(("/dev/full".into(), "No space left"));
    }
    for (file, why) in cases {
        node(NOBODY, &["--trace", &file], FAILED, &[&file, why, "--trace"]);
    }
    let notes = std::fs::read_to_string(place("notes")).expect("what was there");
    assert_eq!(notes, "not a trace\n", "a file of somebody else was touched");
    refused(&["check", &place("notes")], FAILED, &["notes:1"]);
    refused(&["check", &place("missing")], FAILED, &["missing", "cannot be read"]);
    std::fs::remove_dir_all(dir).expect("a directory of our own");
}

#[test]
fn a_duplicate_id_is_refused() {
    let world = World::new("twice", &[]);
    let mut first = world.node(1, &[]);
    first.wait("its view", |line| line.starts_with("view <").then_some(()));
    let place = ["--multicast", &world.multicast];
    node(&world.server_addr, &place, FAILED, &["under this id", "give each process an id"]);
    // The same command twice: the trace of the first is left alone.
    let args = world.node_args(1, &[]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    refused(&args, FAILED, &["another process is writing it", "--trace"]);
    first.type_line("still here");
    first.wait("its own line", |line| (line == "1: still here").then_some(()));
    world.end([first]);
}

/// The address of a server that says `words` to the first that connects.
fn server_that_says(words: &'static [u8]) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let addr = listener.local_addr().expect("a bound socket").to_string();
    // Ends with the test's process, if nobody connects.
    std::thread::spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else { return };
        // The other side may be gone before it has read everything.
        let _ = stream.write_all(words);
        let _ = stream.read_to_end(&mut Vec::new());
    });
    addr
}

#[test]
fn another_protocol_is_told_on_both_sides() {
    const OTHER: &[u8] = b"VSM\0\x63\0";
    let old = ["the server speaks protocol version 99, this program 3", "upgrade"];
    node(&server_that_says(OTHER), &[], FAILED, &old);
    let web = server_that_says(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    node(&web, &[], FAILED, &["the server broke", "it speaks another protocol"]);

    let mut world = World::new("versions", &[]);
    let mut old = TcpStream::connect(&world.server_addr).expect("a server that listens");
    old.write_all(OTHER).expect("a connection");
    let mut told = Vec::new();
    old.read_to_end(&mut told).expect("the server's version, then its farewell");
    assert_eq!(told, b"VSM\0\x03\0");
    world.server.wait("a note", |line| {
        let words = ["refused: it speaks another version", "version 99, this server 3", "upgrade"];
        words.iter().all(|word| line.contains(word)).then_some(())
    });
    let mut stranger = TcpStream::connect(&world.server_addr).expect("a server that listens");
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("a connection");
    world
        .server
        .wait("a note", |line| line.ends_with("refused: it speaks another protocol").then_some(()));
    let mut member = world.node(1, &[]);
    member.wait("the server still serves", |line| line.starts_with("view <").then_some(()));
    world.end([member]);
}

#[test]
fn measurements_that_make_no_sense_are_refused() {
    let cases: [(&[&str], i32, &[&str]); 8] = [
        (&["--size", "23"], FAILED, &["--size 23", "24 or more"]),
        (&["--size", "2000000"], FAILED, &["--message-bytes-max"]),
        (&["--members", "2", "--senders", "3"], FAILED, &["--senders of at most 2"]),
        (&["--members", "17"], FAILED, &["--members-max"]),
        (&["--members", "1", "--ping"], FAILED, &["two members"]),
        (&["--ping", "--rate", "5"], USAGE, &["--rate"]),
        (&["--loss", "100"], USAGE, &["--loss", "from 0 to 90"]),
        (&["--attach"], USAGE, &["--server", "--id"]),
    ];
    for (args, status, words) in cases {
        refused(&[&["perf"], args].concat(), status, words);
    }
}
