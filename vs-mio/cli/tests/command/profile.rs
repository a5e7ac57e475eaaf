//! Members that are configured for different things: told at once, at both ends, and nobody else
//! notices.

use crate::world::{Process, World, is_view};

/// Waits for a view of `members`.
fn wait_for_view(process: &mut Process, members: &str) {
    process.wait(&format!("a view of {members}"), |l| is_view(l, members, None).then_some(()));
}

#[test]
fn a_member_that_does_not_fit_is_told_the_field_and_both_values() {
    let mut world = World::new("profile", &[]);
    let mut nodes: Vec<Process> = (1..=2).map(|id| world.node(id, &[])).collect();
    nodes.iter_mut().for_each(|node| wait_for_view(node, "1,2"));
    let cases: [(&[&str], &str); 3] = [
        (&["--message-bytes-max", "1000"], "message_bytes_max is 1048576 in the group and 1000"),
        (&["--datagram-bytes", "600"], "datagram_bytes is "),
        (&["--primary-of", "1,2"], "primary_of is {} in the group and {1,2}"),
    ];
    for (args, says) in cases {
        let mut other = world.node(3, args);
        let said = |line: &str| line.contains(says).then_some(());
        other.wait_for_complaint(says, said);
        assert_eq!(other.status().code(), Some(1));
        world.server.wait("the server says it, too", said);
    }
    world.check("1,2");
    // A joiner that has more room takes what the group has.
    let mut roomy = world.node(4, &["--message-bytes-max", "2000000", "--datagram-bytes", "9000"]);
    wait_for_view(&mut roomy, "1,2,4");
    roomy.type_line("from one with more room");
    for node in &mut nodes {
        node.wait("its message", |line| line.contains("from one with more room").then_some(()));
    }
    nodes.push(roomy);
    world.end(nodes);
}
