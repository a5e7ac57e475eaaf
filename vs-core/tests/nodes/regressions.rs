//! Faults that were found, each by its name.

use vs_core::ident::ServerId;
use vs_core::member::{ConnId, Server, ServerConfig};
use vs_core::trace::Event;
use vs_core::wire::frame::preamble;
use vs_core::{Action, BlockOkError, Blocking, Note, NoteError, SendError, Time};

use crate::common::{Cluster, small_configs};

/// A process alone in its view delivered all that its window held, and the messages that waited for
/// room stayed there. The last lent payload was only taken back by a transmission or a datagram,
/// and a process alone has neither.
#[test]
fn lone_member_sends_what_waits() {
    let (node, group) = small_configs(2);
    let group = group.with_window_packets(13).with_ack_packets(4);
    let mut cluster = Cluster::start(1, (node, group), || ());
    let (key, mut now) = (cluster.group, cluster.now);
    let node = &mut cluster.processes[0].node;
    let mut sent = 0_u64;
    while node.send(now, key, &[7; 1400]).is_ok() {
        sent += 1;
    }
    assert!(sent > 13, "more waits for the first view than its window takes");
    assert!(cluster.run_until_together(1, 1_000));
    now = cluster.now;
    let node = &mut cluster.processes[0].node;
    for round in 0..3 {
        while node.send(now, key, &[round; 1400]).is_ok() {
            sent += 1;
        }
        assert_eq!(node.send(now, key, &[round; 1400]), Err(SendError::WindowFull));
        let mut writable = false;
        while let Some(action) = node.poll_action(now) {
            writable |= matches!(action, Action::Writable { .. });
        }
        assert!(writable, "round {round}: heard all and was not told");
    }
    assert_eq!(node.counters().delivered, sent);
}

/// A client of another version says so at once, mostly before the server has written anything. The
/// server closed the connection and dropped its own output, so the client tried again without end
/// and nobody was told the reason.
#[test]
fn client_of_other_version_is_told_ours() {
    let mut server = Server::new(ServerConfig::default(), ServerId(1), 1).expect("a configuration");
    for (at, hello) in [&b"VSM\0\x63\0"[..], b"GET / HTTP/1.1"].into_iter().enumerate() {
        let conn = ConnId(at as u64);
        server.handle_accepted(Time::ZERO, conn);
        server.handle_stream(Time::ZERO, conn, hello);
        assert_eq!(server.poll_output(), None, "it is not served any more");
        assert_eq!(server.poll_close(), Some(conn));
        assert_eq!(server.output(conn), preamble());
        assert_eq!(server.poll_close(), None);
    }
}

/// A process that had left while it was asked to stop sending answered, and the answer was
/// accepted: a sync message of a group that the process had left.
#[test]
fn process_that_left_is_not_asked_to_block() {
    let (node, group) = small_configs(2);
    let group = group.with_blocking(Blocking::Manual);
    let mut cluster = Cluster::start(1, (node, group), Vec::new);
    cluster.pass_us(20_000);
    let (key, now) = (cluster.group, cluster.now);
    let node = &mut cluster.processes[0].node;
    assert!(node.leave(now, key));
    assert_eq!(node.block_ok(now, key), Err(BlockOkError::NotJoined));
    let last = node.tracer_mut().pop().map(|record| record.event);
    assert_eq!(last, Some(Event::Leave));
}

/// A process that had left was still let set a note, which nobody would be told.
#[test]
fn process_that_left_sets_no_note() {
    let (node, group) = small_configs(2);
    let mut cluster = Cluster::start(1, (node, group.with_clusters(true)), || ());
    cluster.pass_us(20_000);
    let (key, now) = (cluster.group, cluster.now);
    let node = &mut cluster.processes[0].node;
    assert_eq!(node.set_note(key, Note::EMPTY), Ok(()));
    assert!(node.leave(now, key));
    assert_eq!(node.set_note(key, Note::EMPTY), Err(NoteError::NotJoined));
}

/// A process that was leaving, and owed an answer to a block request, was detached instead. It was
/// never told that it had left, and had to leave again.
#[test]
fn leaving_process_leaves_whatever_happens() {
    let (node, group) = small_configs(2);
    let group = group.with_blocking(Blocking::Manual);
    let mut cluster = Cluster::start(2, (node, group), || ());
    let key = cluster.group;
    let together = (0..1_000).any(|_| {
        for process in &mut cluster.processes {
            // Not each of them is asked each time.
            let _ = process.node.block_ok(cluster.now, key);
        }
        cluster.run_until_together(2, 1)
    });
    assert!(together);
    cluster.lose_every = Some(1);
    cluster.send(0, b"never stable").expect("a stable view has room");
    let now = cluster.now;
    assert!(cluster.processes[0].node.leave(now, key));
    cluster.kill(1);
    cluster.pass_us(1_900_000);
    assert_eq!(cluster.processes[0].node.view(key), None, "it is still in the group");
}

/// A process that was leaving installed a new view, in which it had sent nothing, and ended at
/// once. A member that lacked its last message of the view before had nobody to ask, although it
/// had been in both views with it.
#[test]
fn messages_of_a_leaver_reach_all() {
    let mut cluster = Cluster::new(3, small_configs(3), || ());
    let key = cluster.group;
    cluster.cut = Some((1, 0));
    cluster.send(1, b"last words").expect("a stable view has room");
    cluster.pump();
    cluster.cut = None;
    let now = cluster.now;
    assert!(cluster.processes[1].node.leave(now, key));
    cluster.kill(2);
    cluster.pass_us(500_000);
    assert_eq!(cluster.processes[1].node.view(key), None, "it left");
    assert_eq!(cluster.processes[0].delivered, 1);
}
