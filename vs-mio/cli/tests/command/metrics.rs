//! `--metrics`: what is served to Prometheus, and to those who hold a connection or talk nonsense.

use core::time::Duration;
use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;
use vs_core::status::metrics::all;

use crate::world::{GROUP, HANG, Process, World, is_view, multicast, pause, vs};

/// Where a process says that it serves.
fn served(process: &mut Process) -> String {
    process.wait_for_complaint("where metrics are served", |line| {
        let (_, rest) = line.split_once("metrics for Prometheus: http://")?;
        rest.strip_suffix("/metrics").map(str::to_owned)
    })
}

/// The answer to `request`, head and body.
fn ask(addr: &str, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(addr).expect("a connection");
    stream.set_read_timeout(Some(HANG)).expect("a timeout");
    stream.write_all(request.as_bytes()).expect("somebody who listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

/// The metrics that are served at `addr`.
fn scrape(addr: &str) -> String {
    let (head, body) = ask(addr, "GET /metrics HTTP/1.1\r\nHost: vs\r\nAccept: */*\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Type: text/plain; version=0.0.4"), "{head}");
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{head}");
    body
}

/// The value of a series.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().expect("a number"))
}

/// Scrapes until `series` is `expected`.
fn wait_for(addr: &str, series: &str, expected: f64) -> String {
    let until = Instant::now() + HANG;
    loop {
        let text = scrape(addr);
        if value(&text, series) == Some(expected) {
            return text;
        }
        assert!(Instant::now() < until, "{series} is not {expected}:\n{text}");
        pause(300);
    }
}

/// Lets the tool of Prometheus judge, where it is installed.
fn check_with_promtool(what: &[&str], text: &str) {
    let promtool = Command::new("promtool")
        .arg("check")
        .args(what)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = promtool else {
        println!("skipped: no promtool; a test of vs-core knows the conventions of names");
        return;
    };
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("a reader");
    let output = child.wait_with_output().expect("our child");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{said}");
    assert!(what != ["metrics"] || said.is_empty(), "{said}");
}

#[test]
fn node_and_server_inside_tell_their_metrics() {
    let multicast = multicast();
    let node = |id: &str| {
        let args = ["node", "--group", GROUP, "--interface", "127.0.0.1", "--id", id];
        let more = ["--multicast", &multicast, "--metrics", "127.0.0.1:0"];
        Process::start(&[&args[..], &more].concat())
    };
    let (mut one, mut two) = (node("1"), node("2"));
    let addr = served(&mut one);
    for node in [&mut one, &mut two] {
        node.wait("a view of both", |line| is_view(line, "1,2", None).then_some(()));
    }
    two.type_line("hello");
    one.wait("a line", |line| (line == "2: hello").then_some(()));
    let text = wait_for(
        &addr,
        &format!(r#"vs_member_delivered_packets{{process="1",group="{GROUP}",member="2"}}"#),
        1.0,
    );
    let group = format!(r#"{{process="1",group="{GROUP}"}}"#);
    assert_eq!(value(&text, &format!("vs_group_members{group}")), Some(2.0), "{text}");
    assert_eq!(value(&text, &format!("vs_group_messages_delivered_total{group}")), Some(1.0));
    assert!(text.contains("vs_server_clients{server="), "the server inside: {text}");
    // All but those of what is not there: no server is dialled where beacons are used.
    let told: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let missing: Vec<_> = all().filter(|metric| !told.contains(metric.name)).collect();
    assert!(missing.iter().all(|m| m.field.starts_with("server.")), "{missing:?}");
    check_with_promtool(&["metrics"], &text);
    two.kill();
    wait_for(&addr, &format!("vs_group_members{group}"), 1.0);
    one.leave();
}

#[test]
fn server_and_store_tell_their_metrics() {
    let mut server = Process::start(&[
        "server",
        "--listen",
        "127.0.0.1:0",
        "--id",
        "7",
        "--metrics",
        "127.0.0.1:0",
    ]);
    let listens = server.wait("the server listens", |line| {
        line.rsplit_once("listening on ").map(|(_, addr)| addr.to_owned())
    });
    let multicast = multicast();
    let group = format!("store-{}", std::process::id());
    let args = ["kv", "--group", &group, "--members", "1", "--id", "1", "--server", &listens];
    let more = ["--interface", "127.0.0.1", "--multicast", &multicast, "--metrics", "127.0.0.1:0"];
    let mut kv = Process::start(&[&args[..], &more].concat());
    let (of_server, of_kv) = (served(&mut server), served(&mut kv));
    let text = wait_for(&of_server, r#"vs_server_clients{server="7"}"#, 1.0);
    assert_eq!(value(&text, r#"vs_server_settled{server="7"}"#), Some(1.0), "{text}");
    let text = wait_for(&of_kv, r#"vs_node_server_connected{process="1"}"#, 1.0);
    assert!(text.contains("vs_node_groups{process=\"1\"} 1\n"), "{text}");
    kv.leave();
    server.leave();
}

/// Whoever holds connections open, talks nonsense, sends without an end or reads nothing keeps
/// neither the scraper nor the group.
#[test]
fn strangers_do_not_hold_up_metrics_or_group() {
    let world = World::new("metrics-strangers", &[]);
    let mut node = world.node(1, &["--metrics", "127.0.0.1:0"]);
    let addr = served(&mut node);
    node.wait("a view", |line| is_view(line, "1", None).then_some(()));
    let idle: Vec<_> = (0..40).map(|_| TcpStream::connect(&addr).expect("a connection")).collect();
    let endless = format!("GET /metrics HTTP/1.1\r\nA: {}", "a".repeat(9000));
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "404"),
        ("POST /metrics HTTP/1.1\r\n\r\n", "405"),
        ("VSM\0\0\0", "400"),
        (&endless, "431"),
    ] {
        let (head, _) = ask(&addr, request);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
    let (head, body) = ask(&addr, "HEAD /metrics HTTP/1.0\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK") && body.is_empty(), "{head}");
    // Those that never ask are closed, some for others and some in time.
    for mut stream in idle {
        stream.set_read_timeout(Some(HANG)).expect("a timeout");
        match stream.read(&mut [0; 1]) {
            Ok(n) => assert_eq!(n, 0, "nothing is said to who asks nothing"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
        }
    }
    node.type_line("hello");
    node.wait("a line", |line| (line == "1: hello").then_some(()));
    // A process that was stopped answers once it goes on.
    node.signal("STOP");
    let mut stream = TcpStream::connect(&addr).expect("a connection of the system");
    stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").expect("room in a buffer");
    node.signal("CONT");
    stream.set_read_timeout(Some(HANG)).expect("a timeout");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer, once it goes on");
    assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    world.end([node]);
}

#[test]
fn metrics_are_not_served_by_mistake() {
    let said = |args: &[&str], status| {
        let output = vs(args);
        assert_eq!(output.status.code(), Some(status));
        String::from_utf8(output.stderr).expect("UTF-8")
    };
    let dir = crate::world::directory("metrics-keys");
    let key = dir.join("key").display().to_string();
    assert!(vs(&["keygen", &key]).status.success());
    let server = ["server", "--listen", "127.0.0.1:0", "--metrics", "0.0.0.0:0"];
    let why = said(&[&server[..], &["--key-file", &key]].concat(), 2);
    assert!(why.contains("--metrics-in-clear"), "{why}");
    let why = said(&server, 2);
    assert!(why.contains("--key-file") && why.contains("--insecure"), "{why}");
    let mut open =
        Process::start(&[&server[..], &["--key-file", &key, "--metrics-in-clear"]].concat());
    open.wait_for_complaint("who can read", |line| {
        line.contains("let a firewall admit the scraper alone").then_some(())
    });
    open.leave();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = taken.local_addr().expect("a bound socket").to_string();
    let why = said(&["server", "--listen", "127.0.0.1:0", "--metrics", &addr], 1);
    assert!(why.contains("choose another with --metrics"), "{why}");
    std::fs::remove_dir_all(&dir).expect("a directory of our own");
}

/// The names of metrics in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("vs_")).collect()
}

fn dashboards() -> [String; 2] {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    ["grafana.json", "alerts.yml"].map(|name| std::fs::read_to_string(dir.join(name)).expect(name))
}

#[test]
fn dashboard_and_alerts_name_metrics_that_exist() {
    let known: BTreeSet<&str> = all().map(|metric| metric.name).collect();
    for text in dashboards() {
        let named = names(&text);
        assert!(named.len() > 10, "{named:?}");
        assert!(named.is_subset(&known), "unknown: {:?}", named.difference(&known));
    }
}

#[test]
fn dashboard_and_alerts_are_whole() {
    let alerts = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/alerts.yml");
    check_with_promtool(&["rules", &alerts.display().to_string()], "");
    let [grafana, _] = dashboards();
    let dashboard: Value = serde_json::from_str(&grafana).expect("JSON");
    assert!(dashboard["schemaVersion"].as_u64() >= Some(39), "{}", dashboard["schemaVersion"]);
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    assert!(variables.iter().any(|variable| variable["type"] == "datasource"));
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "ids differ");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        let targets = panel["targets"].as_array().expect("targets");
        assert!(!targets.is_empty() && targets.iter().all(|t| t["expr"].is_string()));
    }
}
