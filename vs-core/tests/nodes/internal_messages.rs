//! Messages between members, which are not the application's.

use crate::common::{Cluster, small_configs};
use vs_core::Verdict;
use vs_core::wire::datagram::{KIND_AT, Kind};
use vs_core::wire::packet::FLAG_INTERNAL;

/// No kind of them is known yet: what a later version sends is dropped, and costs nobody anything.
#[test]
fn an_unknown_message_between_members_is_dropped() {
    let mut cluster = Cluster::new(2, small_configs(2), || ());
    cluster.pass_us(50_000);
    let (group, now) = (cluster.group, cluster.now);
    let mut buffer = [0; 2000];
    let sender = &mut cluster.processes[0].node;
    sender.send(now, group, b"between members").expect("there is room");
    let sent = sender.poll_transmit(now, &mut buffer, 1).expect("a packet");
    let datagram = &mut buffer[..sent.len];
    assert_eq!(datagram[KIND_AT], Kind::Data as u8);
    datagram[KIND_AT + 1] |= FLAG_INTERNAL;

    let from = ([127, 0, 0, 1], 4000).into();
    let receiver = &mut cluster.processes[1].node;
    assert_eq!(receiver.handle_datagram(now, from, datagram), Verdict::Accepted);
    assert!(receiver.poll_action(now).is_none(), "not the application's");
    assert_eq!(receiver.cast_counters(group).map(|counters| counters.unknown), Some(1));

    cluster.send(0, b"for the application").expect("there is room");
    cluster.pass_us(500_000);
    assert_eq!(cluster.processes.iter().map(|p| p.delivered).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(cluster.processes[1].node.pool_slots_used(), 0, "its packet is given up");
}
