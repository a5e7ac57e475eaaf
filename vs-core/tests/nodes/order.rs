//! Orders other than FIFO, as an embedder of the core meets them.

use crate::common::{Cluster, small_configs};
use vs_core::Action;
use vs_core::order::{Order, Stage};

fn cluster(members: usize) -> Cluster<()> {
    cluster_of(members, Order::Total, 1472)
}

fn cluster_of(members: usize, order: Order, datagram_bytes: usize) -> Cluster<()> {
    let (node, group) = small_configs(members);
    let node = node.with_datagram_bytes(datagram_bytes);
    let mut cluster = Cluster::new(members, (node, group.with_order(order)), || ());
    cluster.pass_us(50_000);
    cluster
}

/// A loop that takes one action at a time asks whether there is another before it sleeps.
#[test]
fn delivery_that_follows_another_is_announced() {
    let mut cluster = cluster(2);
    let (group, now) = (cluster.group, cluster.now);
    let mut buffer = [0; 2000];
    let leader = &mut cluster.processes[0].node;
    for message in [b"one", b"two", b"six"] {
        leader.send(now, group, message).expect("there is room");
    }
    let sent = leader.poll_transmit(now, &mut buffer, 1).expect("a packet");
    let receiver = &mut cluster.processes[1].node;
    receiver.handle_datagram(now, ([127, 0, 0, 1], 4000).into(), &mut buffer[..sent.len]);
    for message in [b"one", b"two", b"six"] {
        assert!(receiver.has_action());
        let action = receiver.poll_action(now);
        let is_message = |action| matches!(action, Action::Deliver { payload, stage: Stage::Regular, .. } if payload == message);
        assert!(action.is_some_and(is_message));
    }
    assert!(receiver.poll_action(now).is_none() && !receiver.has_action());
}

/// What others send is put in order by packets without messages, one for all that has come, if the
/// leader is silent. Where it speaks its own packets say it.
#[test]
fn leader_records_in_its_own_packets() {
    let mut cluster = cluster(3);
    let records = |cluster: &Cluster<()>| {
        let group = cluster.group;
        cluster.processes[0].node.cast_counters(group).map(|counters| counters.records)
    };
    for sender in [1, 2] {
        cluster.send(sender, b"in no order yet").expect("there is room");
    }
    cluster.pass_us(100_000);
    assert!((1..=2).contains(&records(&cluster).unwrap()), "{:?}", records(&cluster));
    let before: Vec<u64> = cluster.processes.iter().map(|p| p.delivered).collect();
    assert_eq!(before, [2, 2, 2]);

    // Silence costs nothing.
    let alone = records(&cluster);
    cluster.pass_us(2_000_000);
    cluster.send(0, b"the leader speaks").expect("there is room");
    cluster.pass_us(100_000);
    assert_eq!(records(&cluster), alone);
}

/// There is nothing to put in order before the last part is here.
#[test]
fn part_of_a_message_is_not_recorded() {
    let mut cluster = cluster(2);
    let (group, now) = (cluster.group, cluster.now);
    let (mut buffer, mut out, mut parts) = ([0; 2000], [0; 2000], 0);
    cluster.send(1, &[7; 10_000]).expect("there is room");
    while let Some(sent) = cluster.processes[1].node.poll_transmit(now, &mut buffer, 1) {
        parts += 1;
        let leader = &mut cluster.processes[0].node;
        leader.handle_datagram(now, ([127, 0, 0, 1], 4001).into(), &mut buffer[..sent.len]);
        while leader.poll_transmit(now, &mut out, 1).is_some() {}
    }
    let counters = cluster.processes[0].node.cast_counters(group).expect("the group is joined");
    assert!(parts > 5 && counters.records == 1, "{parts} parts, {} records", counters.records);
}

/// Packets without messages that the last of `members` needs to send a message of each of `lengths`
/// after it has delivered one of each other.
fn claims_alone(members: usize, datagram_bytes: usize, lengths: [usize; 2]) -> u64 {
    let mut cluster = cluster_of(members, Order::Causal, datagram_bytes);
    let last = members - 1;
    for sender in 0..last {
        cluster.send(sender, b"news").expect("there is room");
    }
    cluster.pass_us(100_000);
    for len in lengths {
        cluster.send(last, &[7; 4096][..len]).expect("there is room");
    }
    cluster.pass_us(100_000);
    assert!(cluster.processes.iter().all(|p| p.delivered == last as u64 + 2));
    let counters = |p: usize| cluster.processes[p].node.cast_counters(cluster.group);
    assert!((0..last).all(|p| counters(p).is_some_and(|counters| counters.records == 0)));
    counters(last).map_or(0, |counters| counters.records)
}

/// A few senders find room in each trailer, and more beside a short message. What finds none goes
/// before the message, in packets of its own.
#[test]
fn senders_beyond_a_trailer_go_before_the_message() {
    assert_eq!(claims_alone(5, 512, [4000, 1]), 0);
    assert_eq!(claims_alone(30, 512, [100, 4000]), 0);
    assert_eq!(claims_alone(30, 512, [4000, 1]), 1);
    assert_eq!(claims_alone(90, 512, [400, 1]), 2);
}
