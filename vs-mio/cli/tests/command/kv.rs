//! A replicated key-value store of three processes.

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;

use crate::world::{Process, World};

/// Each world has a store of its own: their locks are in one directory.
fn group(world: &World) -> &str {
    world.dir.file_name().and_then(|name| name.to_str()).expect("the name of the test")
}

fn kv(world: &World, id: u64) -> Process {
    let (id, trace) = (id.to_string(), world.trace(id));
    Process::start(&[
        "kv",
        "--group",
        group(world),
        "--json",
        "--server",
        &world.server_addr,
        "--multicast",
        &world.multicast,
        "--id",
        &id,
        "--trace",
        &trace,
    ])
}

/// The three processes of a store that is served.
fn served(world: &World) -> Vec<Process> {
    let mut members: Vec<Process> = (1..=3).map(|id| kv(world, id)).collect();
    members.iter_mut().for_each(|member| note(member, "the state is served"));
    members
}

/// Waits for a note with `text`.
fn note(process: &mut Process, text: &str) {
    process.wait(text, |line| {
        let said: Value = serde_json::from_str(line).expect("a JSON object a line");
        said["note"].as_str().is_some_and(|note| note.contains(text)).then_some(())
    });
}

/// What the process says to `line`, besides notes.
fn ask(process: &mut Process, line: &str) -> Value {
    process.type_line(line);
    process.wait(line, |answer| {
        let said: Value = serde_json::from_str(answer).expect("a JSON object a line");
        said.get("note").is_none().then_some(said)
    })
}

fn said(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn a_store_lives_through_the_crash_of_its_leader() {
    let world = World::new("kv", &[]);
    let mut members = served(&world);
    for i in 0..30 {
        let line = format!("put key{i} value {i}");
        assert_eq!(ask(&mut members[i % 3], &line), said(r#"{"before":null}"#));
    }
    assert_eq!(ask(&mut members[1], "get key7"), said(r#"{"value":"value 7"}"#));
    assert_eq!(ask(&mut members[2], "del key8"), said(r#"{"before":"value 8"}"#));

    members[0].kill();
    for i in 0..30 {
        let before = if i == 8 { Value::Null } else { format!("value {i}").into() };
        let put = ask(&mut members[1 + i % 2], &format!("put key{i} new"));
        assert_eq!(put["before"], before, "{put}");
    }
    members[0] = kv(&world, 1);
    note(&mut members[0], "the state is served");
    assert_eq!(ask(&mut members[0], "put last 1"), said(r#"{"before":null}"#));
    let dumps: Vec<Value> = members.iter_mut().map(|member| ask(member, "dump")).collect();
    assert_eq!(dumps[0]["all"].as_object().expect("all keys").len(), 31);
    assert!(dumps.iter().all(|dump| *dump == dumps[0]));

    // No majority is left, and none comes back.
    members[1].kill();
    members[2].kill();
    note(&mut members[0], "no majority: 1 of 3 have the state here, 2 must; {2,3} missing");
    let refused = ask(&mut members[0], "put more 1");
    assert!(refused["failed"].as_str().is_some_and(|why| why.contains("no majority")), "{refused}");
    members[1] = kv(&world, 2);
    note(&mut members[0], "decide that the state here counts: recover");
    let asked = ask(&mut members[0], "recover");
    let why = "it would go on without {3}, and what only they have would be lost";
    assert!(asked["failed"].as_str().is_some_and(|text| text.contains(why)), "{asked}");
    assert_eq!(ask(&mut members[0], "recover!"), said(r#"{"recovered":true}"#));
    note(&mut members[1], "the state is served");
    assert_eq!(ask(&mut members[1], "dump"), dumps[0]);
    members.truncate(2);
    world.end(members);
}

#[test]
fn a_store_of_another_order_is_refused() {
    let world = World::new("kv-fifo", &[]);
    let mut first = kv(&world, 1);
    first.wait("it waits for others", |line| line.contains("waiting for {2,3}").then_some(()));
    let node = ["node", "--group", group(&world), "--server", &world.server_addr, "--id", "2"];
    let mut node = Process::start(&[&node[..], &["--multicast", &world.multicast]].concat());
    node.wait_for_complaint("the refusal", |line| {
        line.contains("order is safe in the group and fifo in this process").then_some(())
    });
    assert!(!node.status().success(), "it ends with that");
    world.end([first]);
}

#[test]
fn blanks_between_words_do_not_count() {
    let world = World::new("kv-blanks", &[]);
    let mut members = served(&world);
    assert_eq!(ask(&mut members[0], "put  key   a  value"), said(r#"{"before":null}"#));
    assert_eq!(ask(&mut members[1], "  get  key "), said(r#"{"value":"a  value"}"#));
    let asked = ask(&mut members[2], "get  ");
    assert!(
        asked["failed"].as_str().is_some_and(|why| why.starts_with("put, get, del")),
        "{asked}"
    );
    world.end(members);
}

#[test]
fn an_id_that_a_live_process_holds_is_refused() {
    let world = World::new("kv-twin", &[]);
    let mut first = kv(&world, 1);
    first.wait("it waits for others", |line| line.contains("waiting for {2,3}").then_some(()));
    let mut second = kv(&world, 1);
    second.wait_for_complaint("the refusal", |line| {
        line.contains("process 1 of the store kv-twin is running on this host").then_some(())
    });
    assert!(!second.status().success(), "it ends with that");
    world.end([first]);
}

#[test]
fn nobody_decides_before_a_majority_is_there() {
    let world = World::new("kv-alone", &[]);
    let mut first = kv(&world, 1);
    note(&mut first, "waiting for {2,3}");
    for line in ["recover", "recover!"] {
        let asked = ask(&mut first, line);
        let why = "1 of 3 are here, 2 must be before anybody can decide: start more of {2,3}";
        assert!(asked["failed"].as_str().is_some_and(|text| text.contains(why)), "{asked}");
    }
    let mut second = kv(&world, 2);
    note(&mut first, "waiting for {3}");
    note(&mut second, "waiting for {3}");
    let asked = ask(&mut second, "recover");
    let why = "an empty store would begin without {3}";
    assert!(asked["failed"].as_str().is_some_and(|text| text.contains(why)), "{asked}");
    assert_eq!(ask(&mut second, "recover!"), said(r#"{"recovered":true}"#));
    note(&mut first, "the state is served");
    assert_eq!(ask(&mut first, "put key 1"), said(r#"{"before":null}"#));
    assert_eq!(ask(&mut second, "get key"), said(r#"{"value":"1"}"#));
    world.end([first, second]);
}

#[test]
fn a_put_without_majority_says_whom_it_waits_for() {
    let world = World::new("kv-silence", &[]);
    let mut members = served(&world);
    // Not killed: the put comes before they are missed.
    members[1..].iter().for_each(|member| member.signal("STOP"));
    members[0].type_line("put key 1");
    note(
        &mut members[0],
        "# no answer yet: no majority: 1 of 3 have the state here, 2 must; {2,3}",
    );
    let answer = members[0].wait("the answer", |line| {
        let said: Value = serde_json::from_str(line).expect("a JSON object a line");
        said["failed"].as_str().map(str::to_owned)
    });
    assert!(answer.starts_with("perhaps done: "), "{answer}");
    members.truncate(1);
    world.end(members);
}

#[test]
fn a_process_with_more_files_than_allowed_goes_on() {
    let world = World::new("kv-files", &[]);
    let mut members = served(&world);
    let pid = Pid::from_child(&members[2].child);
    // Standard input, output and errors alone.
    let limit = Rlimit { current: Some(3), maximum: Some(1024) };
    prlimit(Some(pid), Resource::Nofile, limit).expect("a limit that is lowered");
    for i in 0..10 {
        let put = ask(&mut members[2], &format!("put key {i}"));
        assert!(put.get("before").is_some(), "{put}");
    }
    world.end(members);
}

#[test]
fn a_server_that_does_not_answer_is_spoken_of() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = nobody.local_addr().expect("a bound socket").to_string();
    drop(nobody);
    let options = ["--interface", "127.0.0.1", "--multicast", &crate::world::multicast()];
    let kv = ["kv", "--group", "kv-unanswered", "--json", "--id", "1", "--server", &addr];
    let mut first = Process::start(&[&kv[..], &options[..]].concat());
    note(&mut first, "no membership server has answered");
    first.kill();
}

/// As in a network without multicast, where a name leads to the others.
#[test]
fn a_store_forms_by_peers_without_multicast() {
    let world = World::new("kv-peers", &[]);
    let ports = [(); 3].map(|()| {
        let free = crate::world::multicast();
        free.rsplit_once(':').expect("an address with a port").1.to_owned()
    });
    let first = format!("localhost:{}", ports[0]);
    let start = |id: usize| {
        let (number, listen) = (id.to_string(), format!("127.0.0.1:{}", ports[id - 1]));
        let trace = world.trace(id as u64);
        let group =
            ["kv", "--json", "--unicast", "--interface", "127.0.0.1", "--group", "kv-peers"];
        let own = ["--id", &number, "--listen", &listen, "--peer", &first, "--trace", &trace];
        Process::start(&[&group[..], &own].concat())
    };
    let mut members: Vec<Process> = (1..=3).map(start).collect();
    members.iter_mut().for_each(|member| note(member, "the state is served"));
    assert_eq!(ask(&mut members[2], "put a 1"), said(r#"{"before":null}"#));
    assert_eq!(ask(&mut members[0], "get a"), said(r#"{"value":"1"}"#));
    world.end(members);
}
