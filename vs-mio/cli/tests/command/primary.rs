//! Views that are primary: with two of three nodes, and not with one.

use crate::world::{Process, World, is_view, vs};

const VOTERS: [&str; 2] = ["--primary-of", "3,1,2"];

/// Waits for a view of `members` and for what is said of it then.
fn told_of(member: &mut Process, members: &str) -> String {
    member.wait(&format!("a view of {members}"), |l| is_view(l, members, None).then_some(()));
    member.wait("what it is", |line| {
        assert!(!line.starts_with("view <"), "nothing is said of the view before {line}");
        line.starts_with("the view is ").then(|| line.to_owned())
    })
}

#[test]
fn two_of_three_are_primary() {
    let world = World::new("primary", &[]);
    let mut nodes: Vec<Process> = (1..=2).map(|id| world.node(id, &VOTERS)).collect();
    nodes.push(world.node(3, &[&VOTERS[..], &["--json"]].concat()));
    for node in &mut nodes[..2] {
        assert_eq!(told_of(node, "1,2,3"), "the view is primary");
    }
    let json = &mut nodes[2];
    json.wait("the event", |line| line.contains(r#""ev":"primary""#).then_some(()));
    // Who is no voter counts for nothing.
    let mut other = world.node(4, &VOTERS);
    for node in nodes[..2].iter_mut().chain([&mut other]) {
        assert_eq!(told_of(node, "1,2,3,4"), "the view is primary");
    }
    nodes.pop().expect("three nodes").kill();
    for node in nodes.iter_mut().chain([&mut other]) {
        assert_eq!(told_of(node, "1,2,4"), "the view is primary");
    }
    nodes.pop().expect("two nodes").kill();
    for node in nodes.iter_mut().chain([&mut other]) {
        let said = told_of(node, "1,4");
        assert!(said.starts_with("the view is not primary: not more than half"), "{said}");
    }
    world.check("1,4");
    nodes.push(other);
    world.end(nodes);
}

#[test]
fn a_list_that_cannot_be_is_refused() {
    for (list, expected) in [
        ("1,2,1", "1 is named twice: name each process once"),
        ("1,,2", "no process id"),
        ("1,9007199254740992", "no process id"),
        ("", "no process id"),
    ] {
        let output = vs(&["node", "--group", "g", "--primary-of", list]);
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}
