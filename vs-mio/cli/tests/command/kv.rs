//! A replicated key-value store of three processes.

use serde_json::Value;

use crate::world::{Process, World};

fn kv(world: &World, id: u64) -> Process {
    let (id, trace) = (id.to_string(), world.trace(id));
    Process::start(&[
        "kv",
        "--group",
        "store",
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
    let mut members: Vec<Process> = (1..=3).map(|id| kv(&world, id)).collect();
    members.iter_mut().for_each(|member| note(member, "the state is served"));
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
    assert_eq!(ask(&mut members[0], "recover"), said(r#"{"recovered":true}"#));
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
    let node = ["node", "--group", "store", "--server", &world.server_addr, "--id", "2"];
    let mut node = Process::start(&[&node[..], &["--multicast", &world.multicast]].concat());
    node.wait_for_complaint("the refusal", |line| {
        line.contains("order is safe in the group and fifo in this process").then_some(())
    });
    assert!(!node.status().success(), "it ends with that");
    world.end([first]);
}
