//! The blocking handle where nobody answers: what it refuses, and how its waits end.

mod nobody;

use core::net::{Ipv4Addr, SocketAddr};
use core::ops::ControlFlow;
use core::time::Duration;

use nobody::{PROCESS, silent};
use vs_core::ident::GroupName;
use vs_core::trace;
use vs_core::trace_json::parse_trace;
use vs_core::{Blocking, Sent, View};
use vs_std::{Event, Group, JoinError, JoinOptions, RecvError, SendError};

const LONG: Duration = Duration::from_secs(60);

fn options(server: SocketAddr) -> JoinOptions {
    nobody::options(server, 2)
}

fn name() -> GroupName {
    GroupName::new("nobody").unwrap()
}

fn is_send<T: Send>(_: &T) {}

#[test]
fn messages_before_the_first_view_are_bounded() {
    let (_listener, server) = silent();
    let mut group = Group::join(&name(), options(server)).unwrap();
    is_send(&group);
    assert_eq!(group.view(), &View::initial(PROCESS));
    let Err(SendError::TooLarge { len: 1001, max: 1000 }) = group.send(&[0; 1001]) else {
        panic!("a message above the maximum was taken")
    };
    let mut queued = 0;
    loop {
        match group.try_send(&[7; 900]) {
            Ok(sent) => assert_eq!(sent, Sent::Queued(queued)),
            Err(SendError::Full) => break,
            Err(error) => panic!("{error}"),
        }
        queued += 1;
    }
    assert_eq!(queued, 4, "queue_bytes hold four of them");
    let refused = group.send_timeout(&[7; 900], Duration::from_millis(20));
    assert!(matches!(refused, Err(SendError::TimedOut { .. })), "{refused:?}");
    let refused = group.try_feed(&[7; 900]);
    assert!(matches!(refused, Err(SendError::Full)), "{refused:?}");
    group.flush().unwrap();
    let silence = group.recv_with(Duration::from_millis(1), |event| panic!("{event:?}"));
    assert_eq!(silence.unwrap(), 0);
    assert!(group.try_recv().unwrap().is_none());
    assert!(group.recv_timeout(Duration::from_millis(1)).unwrap().is_none());
    assert_eq!(group.leave().unwrap(), queued, "those were not sent");
}

#[test]
fn leaving_is_the_last_event() {
    let (_listener, server) = silent();
    let mut group = Group::join(&name(), options(server)).unwrap();
    group.begin_leave();
    let refused = group.try_send(b"late");
    assert!(matches!(refused, Err(SendError::Left)), "{refused:?}");
    let mut heard = Vec::new();
    let count = group.recv_with(LONG, |event| {
        heard.push(Event::from(event));
        ControlFlow::Continue(())
    });
    assert_eq!((count.unwrap(), heard), (1, vec![Event::Left { unsent: 0 }]));
    assert!(matches!(group.recv(), Err(RecvError::Left)));
    let ended = group.recv_with(LONG, |event| panic!("{event:?}"));
    assert!(matches!(ended, Err(RecvError::Left)), "{ended:?}");
    assert_eq!(group.iter().next(), None);
    assert_eq!(group.leave().unwrap(), 0);
}

/// Also of one that waits for its first view with messages that nobody has, and is told to leave
/// again and again.
#[test]
fn the_trace_tells_that_a_group_was_left() {
    let (_listener, server) = silent();
    let file = std::env::temp_dir().join(format!("vs-std-left-{}.jsonl", std::process::id()));
    let mut options = options(server);
    options.group.peer_ms = 60;
    options.group.block_ok_ms = 50;
    options.trace = Some(file.clone());
    let mut group = Group::join(&name(), options).unwrap();
    group.send(b"to nobody").unwrap();
    group.begin_leave();
    group.begin_leave();
    assert_eq!(group.leave().unwrap(), 1);
    let read = parse_trace(&std::fs::read(&file).unwrap()).unwrap();
    std::fs::remove_file(file).unwrap();
    let events: Vec<_> = read.lines.iter().map(|line| &line.record.event).collect();
    assert!(matches!(events[..], [trace::Event::Start { .. }, trace::Event::Leave]), "{events:?}");
}

#[test]
fn a_server_that_refuses_connections_is_told_of() {
    let (listener, server) = silent();
    drop(listener);
    let mut group = Group::join(&name(), options(server)).unwrap();
    while group.driver().link_status().last_failure.is_none() {
        assert_eq!(group.recv_timeout(Duration::from_millis(1)).unwrap(), None);
    }
    assert_eq!(group.driver().link_status().server, None);
    assert!(group.driver().link_status().refused_in_a_row > 0);
}

#[test]
fn options_that_cannot_be_used_are_named() {
    let (_listener, server) = silent();
    let refusal = |change: fn(&mut JoinOptions)| {
        let mut options = options(server);
        change(&mut options);
        Group::join(&name(), options).map(|_| ()).unwrap_err()
    };
    let error = refusal(|options| options.group.blocking = Blocking::Manual);
    assert!(matches!(error, JoinError::ManualBlocking), "{error}");
    let error = refusal(|options| options.trace = Some("/no/such/place/1.jsonl".into()));
    assert!(error.to_string().contains("/no/such/place/1.jsonl"), "{error}");
    let error = refusal(|options| options.group.members_max = 0);
    assert!(error.to_string().contains("members_max"), "{error}");
    let error = refusal(|options| options.driver.udp.bind = Ipv4Addr::new(192, 0, 2, 1).into());
    assert!(error.to_string().contains("192.0.2.1"), "{error}");
    let error = refusal(|options| options.pin = Some(1 << 20));
    assert!(error.to_string().contains("1048576"), "{error}");
}

/// Set in the process that this test starts in a network namespace of its own.
#[cfg(target_os = "linux")]
const INSIDE: &str = "VS_TEST_SMALL_MTU";

/// As on VPNs and overlays: it needs no option.
#[cfg(target_os = "linux")]
#[test]
fn datagrams_are_shortened_to_the_mtu() {
    if std::env::var_os(INSIDE).is_some() {
        let name = "mtu".parse().unwrap();
        let group = Group::join(&name, JoinOptions::discover()).unwrap();
        assert_eq!(group.driver().datagram_bytes(), 1372);
        let mut strict = JoinOptions::discover();
        strict.driver.fit_datagrams = false;
        let error = Group::join(&name, strict).unwrap_err().to_string();
        assert!(error.contains("set datagram_bytes to 1372"), "{error}");
        return;
    }
    let test = std::env::current_exe().unwrap();
    let script = "ip link set lo mtu 1400 up && echo ready && exec \"$0\" \"$@\"";
    let output = std::process::Command::new("unshare")
        .args(["--map-root-user", "--net", "sh", "-c", script])
        .arg(test)
        .args(["--exact", "datagrams_are_shortened_to_the_mtu"])
        .env(INSIDE, "1")
        .output();
    let Some(output) = output.ok().filter(|output| output.stdout.starts_with(b"ready")) else {
        return println!("skipped: there can be no network namespace");
    };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
