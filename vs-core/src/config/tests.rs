//! What is accepted, and what is refused.

use alloc::vec::Vec;
use core::time::Duration;

use super::*;
use crate::GroupSize;
use crate::ident::{NUMBER_MAX, ProcessId};
use crate::view::VIEW_MEMBERS_MAX;

/// Sets one field.
type Set<C, V> = fn(&mut C, V);

const NODE_SIZES: [Set<NodeConfig, usize>; 4] = [
    |c, v| c.datagram_bytes = v,
    |c, v| c.pool_slots_max = v,
    |c, v| c.groups_max = v,
    |c, v| c.client.output_bytes_max = v,
];
const NODE_TIMES: [Set<NodeConfig, u64>; 5] = [
    |c, v| c.client.server_silence_ms = v,
    |c, v| c.client.heartbeat_ms = v,
    |c, v| c.client.reconnect_ms = v,
    |c, v| c.client.reconnect_max_ms = v,
    |c, v| c.client.connect_ms = v,
];
const GROUP_SIZES: [Set<GroupConfig, usize>; 6] = [
    |c, v| c.members_max = v,
    |c, v| c.window_packets = Some(v),
    |c, v| c.message_bytes_max = v,
    |c, v| c.queue_bytes = v,
    |c, v| c.early_packets_max = v,
    |c, v| c.ack_packets = v,
];
const GROUP_TIMES: [Set<GroupConfig, u64>; 10] = [
    |c, v| c.block_ok_ms = v,
    |c, v| c.peer_ms = v,
    |c, v| c.sync_resend_ms = v,
    |c, v| c.nak_delay_us = v,
    |c, v| c.nak_delay_max_us = v,
    |c, v| c.nak_repeat_ms = v,
    |c, v| c.ack_ms = v,
    |c, v| c.heartbeat_ms = v,
    |c, v| c.heartbeat_max_ms = v,
    |c, v| c.unheard_ms = v,
];

const HUGE: [usize; 5] =
    [usize::MAX, usize::MAX - 3, usize::MAX - 8, usize::MAX / 2 + 1, u32::MAX as usize];
const LONG: [u64; 3] = [u64::MAX, u64::MAX / 2, u32::MAX as u64];

/// Each field of a good configuration with each value.
fn each<C: Clone + Default, V: Copy>(fields: &[Set<C, V>], values: &[V]) -> Vec<C> {
    let mut all = Vec::new();
    for set in fields {
        for value in values {
            let mut config = C::default();
            set(&mut config, *value);
            all.push(config);
        }
    }
    all
}

#[test]
fn extreme_value_of_any_field_is_an_error() {
    let mut nodes = each(&NODE_SIZES, &HUGE);
    nodes.extend(each(&NODE_TIMES, &LONG));
    for node in &nodes {
        assert!(node.validate().is_err(), "{node:?}");
        assert!(GroupSize::new(&GroupConfig::default(), node).is_err(), "{node:?}");
    }
    let mut groups = each(&GROUP_SIZES, &HUGE);
    groups.extend(each(&GROUP_TIMES, &LONG));
    for group in &groups {
        assert!(group.validate().is_err(), "{group:?}");
        assert!(GroupSize::new(group, &NodeConfig::default()).is_err(), "{group:?}");
    }
}

#[test]
fn zero_or_one_in_any_field_is_no_panic() {
    for node in each(&NODE_SIZES, &[0, 1]).iter().chain(&each(&NODE_TIMES, &[0, 1])) {
        let _ = (node.validate(), GroupSize::new(&GroupConfig::default(), node));
    }
    for group in each(&GROUP_SIZES, &[0, 1]).iter().chain(&each(&GROUP_TIMES, &[0, 1])) {
        let _ = (group.validate(), GroupSize::new(group, &NodeConfig::default()));
    }
}

#[test]
fn all_fields_extreme_is_an_error() {
    let (mut node, mut group) = (NodeConfig::default(), GroupConfig::default());
    NODE_SIZES.iter().for_each(|set| set(&mut node, usize::MAX));
    NODE_TIMES.iter().for_each(|set| set(&mut node, u64::MAX));
    GROUP_SIZES.iter().for_each(|set| set(&mut group, usize::MAX));
    GROUP_TIMES.iter().for_each(|set| set(&mut group, u64::MAX));
    assert!(node.validate().is_err() && group.validate().is_err());
    assert!(GroupSize::new(&group, &node).is_err());
}

#[test]
fn an_error_names_the_field_its_value_and_its_bounds() {
    let said = |group: GroupConfig| alloc::format!("{}", group.validate().unwrap_err());
    let group = GroupConfig { members_max: 5000, ..GroupConfig::default() };
    assert_eq!(said(group), "members_max must be 1 to 2048, but is 5000");
    let group = GroupConfig { block_ok_ms: 3000, ..GroupConfig::default() };
    assert_eq!(said(group), "block_ok_ms must be at most 1999 since peer_ms is 2000, but is 3000");
    let group = GroupConfig { heartbeat_max_ms: 2, ..GroupConfig::default() };
    let rule = "heartbeat_max_ms must be at least 5 since heartbeat_ms is 5, but is 2";
    assert_eq!(said(group), rule);
}

#[test]
fn primary_of_out_of_order_is_refused() {
    let accepts = |list: &[u64]| {
        let primary_of = list.iter().map(|p| ProcessId(*p)).collect();
        let group = GroupConfig { primary_of, ..GroupConfig::default() };
        group.validate().is_ok()
    };
    assert!(accepts(&[]) && accepts(&[7]) && accepts(&[1, 2, NUMBER_MAX]));
    assert!(!accepts(&[2, 1]) && !accepts(&[1, 1]) && !accepts(&[NUMBER_MAX + 1]));
    let many: Vec<u64> = (0..=VIEW_MEMBERS_MAX as u64).collect();
    assert!(accepts(&many[1..]) && !accepts(&many));
}

#[test]
fn block_ok_ms_not_below_peer_ms_is_refused() {
    let group = GroupConfig::default();
    assert!(group.validate().is_ok());
    assert!(GroupConfig::wan().validate().is_ok());
    let late = GroupConfig { block_ok_ms: group.peer_ms, ..group };
    assert!(late.validate().is_err());
}

#[test]
fn setter_rounds_a_time_up_to_the_unit_of_its_field() {
    let nanos = Duration::from_nanos;
    for (time, ms, us) in [
        (Duration::ZERO, 0, 0),
        (nanos(1), 1, 1),
        (nanos(1_000), 1, 1),
        (nanos(1_001), 1, 2),
        (nanos(1_000_000), 1, 1_000),
        (nanos(1_000_001), 2, 1_001),
        (Duration::from_secs(2), 2_000, 2_000_000),
        (Duration::from_millis(u64::MAX), u64::MAX, u64::MAX),
        (Duration::MAX, u64::MAX, u64::MAX),
    ] {
        let group = GroupConfig::default().with_peer(time).with_nak_delay(time);
        assert_eq!((group.peer_ms, group.nak_delay_us), (ms, us), "{time:?}");
        assert_eq!(ClientConfig::for_silence(time).server_silence_ms, ms, "{time:?}");
    }
}

#[test]
fn longest_duration_is_refused_with_its_field() {
    let said = |group: GroupConfig| alloc::format!("{}", group.validate().unwrap_err());
    let group = GroupConfig::default();
    assert_eq!(
        said(group.clone().with_peer(Duration::MAX)),
        "peer_ms must be 1 to 86400000, but is 18446744073709551615"
    );
    assert_eq!(
        said(group.with_nak_delay(Duration::MAX)),
        "nak_delay_us must be at most 1000000, but is 18446744073709551615"
    );
    let node = NodeConfig::default().with_client(ClientConfig::for_silence(Duration::MAX));
    assert_eq!(
        alloc::format!("{}", node.validate().unwrap_err()),
        "client.server_silence_ms must be 1 to 86400000, but is 18446744073709551615"
    );
}

#[test]
fn window_is_set_by_number_or_option() {
    let group = GroupConfig::default().with_window_packets(64);
    assert_eq!(group.window_packets, Some(64));
    assert_eq!(group.with_window_packets(None), GroupConfig::default());
}
