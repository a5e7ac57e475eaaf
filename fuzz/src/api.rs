//! Several processes call the public interface in any order, misuse included. Each result must be
//! one that is documented, the traces of all processes together must satisfy the specification, and
//! processes that are left alone must come together.

mod model;
mod town;

use core::time::Duration;

use vs_core::ident::{GroupKey, Incarnation};
use vs_core::order::Order;
use vs_core::spec;
use vs_core::trace::{Header, Trace};
use vs_core::{Blocking, ClientConfig, GroupConfig, GroupSize, JoinError, NodeConfig, Note, Time};

use crate::{Bytes, Seeds};
use model::Phase;
use town::{GROUPS, Town};

const PROCESSES: usize = 4;

/// How long processes may take to come together or to leave, in ms: several times the longest
/// readmission.
const SETTLE_MS: u64 = 60_000;

/// How long a whole group must stay unchanged, in ms. A lost server is noticed and replaced in
/// less.
const CALM_MS: u64 = 600;

/// Changes that may follow each other until then.
const CALM_TRIES: usize = 20;

/// Makes the calls that `input` describes.
pub fn run(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let (node, _) = crate::cluster::configs();
    let slots = 1 + usize::from(bytes.flag());
    let groups = bytes.u8();
    let config = NodeConfig::default()
        .with_datagram_bytes(512)
        // Of the two groups that a process may join both find room, or one.
        .with_pool_slots_max(node.pool_slots_max * slots)
        .with_groups_max(1 + usize::from(groups & 1))
        .with_client(
            ClientConfig::default()
                .with_server_silence(Duration::from_millis(300))
                .with_heartbeat(Duration::from_millis(50))
                .with_reconnect_max(Duration::from_millis(100))
                .with_connect(Duration::from_millis(300)),
        );
    let order = [Order::Safe, Order::Causal, Order::Total][usize::from(groups >> 1) % 3];
    let mut town = Town::new(PROCESSES, &config, order);
    for i in 0..3 {
        town.start(i);
        join(&mut town, &config, i, 0, group_config(&mut bytes));
    }
    if bytes.flag() {
        town.run_until(1_000, |town| town.is_whole(0));
    }
    while !bytes.is_empty() {
        call(&mut town, &config, &mut bytes);
    }
    settle(&mut town);
    end(town);
}

/// A configuration that most often fits those of the others.
fn group_config(bytes: &mut Bytes<'_>) -> GroupConfig {
    let (_, group) = crate::cluster::configs();
    let pick = bytes.u8();
    let blocking = if pick & 1 == 0 { Blocking::Auto } else { Blocking::Manual };
    let group = group
        .with_blocking(blocking)
        .with_peer(Duration::from_millis(400))
        .with_block_ok(Duration::from_millis(200));
    match pick >> 4 {
        0x9 => group.with_window_packets(usize::from(bytes.u8())),
        0xa => group.with_message_bytes_max(usize::from(bytes.u16())),
        0xb => group.with_members_max(usize::from(bytes.u8())),
        0xc => group.with_ack_packets(usize::from(bytes.u8())),
        0xd => group.with_early_packets_max(usize::from(bytes.u16())),
        0xe => group.with_queue_bytes(usize::from(bytes.u16())),
        0xf => group.with_block_ok(Duration::from_millis(bytes.u16().into())),
        _ => group,
    }
}

/// Whether the members of a group can work together with `config`: they have to agree on some of
/// it.
fn fits(config: &GroupConfig) -> bool {
    let (_, group) = crate::cluster::configs();
    config.window_packets == group.window_packets
        && config.message_bytes_max == group.message_bytes_max
        && config.members_max >= PROCESSES
}

fn join(town: &mut Town, node_config: &NodeConfig, i: usize, group: usize, config: GroupConfig) {
    // The second group has another order, and clusters.
    let config = config.with_order(if group == 1 { town.order } else { Order::Fifo });
    let config = config.with_clusters(group == 1);
    let slots_of = |config: &GroupConfig| GroupSize::new(config, node_config).map(|s| s.slots());
    let needed = slots_of(&config);
    let invalid = needed.is_err();
    if !invalid && !fits(&config) {
        return;
    }
    let joined = town.processes[i].groups.iter().filter(|member| member.phase != Phase::Out);
    let (count, slots) = joined.fold((0, 0), |(count, slots), member| {
        (count + 1, slots + slots_of(&member.config).unwrap_or(0))
    });
    let unreserved = node_config.pool_slots_max - slots;
    town.with(i, group, |node, member, now, name| {
        let result = node.join(now, name, config.clone());
        let already = member.phase != Phase::Out;
        let too_many = count >= node_config.groups_max;
        let slots = needed.clone().unwrap_or(0);
        let no_room = slots > unreserved;
        match result {
            Ok(key) => {
                assert!(!(invalid || already || too_many || no_room));
                assert_eq!(key, name.key());
                member.joined(config);
            }
            Err(JoinError::Config(_)) => assert!(invalid),
            Err(JoinError::AlreadyJoined) => assert!(already),
            Err(JoinError::TooManyGroups) => assert!(too_many),
            Err(JoinError::PoolFull { needed, free }) => {
                assert!(no_room);
                assert_eq!((needed, free), (slots, unreserved));
            }
            Err(other) => panic!("{other}"),
        }
    });
}

fn call(town: &mut Town, config: &NodeConfig, bytes: &mut Bytes<'_>) {
    let pick = bytes.u8();
    let (i, group) = (usize::from(pick >> 6), usize::from(pick >> 5 & 1));
    match pick & 31 {
        0..=2 => send(town, i, group, usize::from(bytes.u8())),
        3 => send(town, i, group, usize::from(bytes.u16() % 4096)),
        4 => (0..bytes.u8()).for_each(|_| send(town, i, group, 400)),
        5 => {
            let wanted = group_config(bytes);
            join(town, config, i, group, wanted);
        }
        6 => {
            town.with(i, group, |node, m, now, name| m.left(node.leave(now, name.key())));
        }
        7 | 8 => {
            town.with(i, group, |node, m, now, name| m.block_ok(node.block_ok(now, name.key())));
        }
        9 => (0..=bytes.u8() & 15).for_each(|_| {
            town.act(i);
        }),
        10 => {
            town.transmit(i, 2048, group * 4 + 1);
        }
        11 => {
            town.link(i, usize::from(bytes.u8()));
        }
        12 => {
            town.serve();
        }
        13..=16 => under_way(town, pick & 31, bytes),
        17..=21 => time(town, pick & 31, bytes),
        22 | 23 => town.pump(),
        24 => town.kill(i, bytes.flag()),
        25 => town.start(i),
        26 => {
            town.kill(i, group == 1);
            town.start(i);
            join(town, config, i, group, group_config(bytes));
        }
        27 if group == 0 => town.kill_server(),
        27 => town.start_server(),
        28 | 29 => misuse(town, i, bytes),
        30 => {
            let note = Note::new(&vec![i as u8; usize::from(bytes.below(33))]).expect("short");
            town.with(i, group, |node, m, _, name| m.noted(note, node.set_note(name.key(), note)));
        }
        _ => {
            let done = |town: &Town| (0..GROUPS).all(|group| town.is_whole(group));
            town.run_until(u64::from(bytes.u8()) * 8, done);
        }
    }
}

fn send(town: &mut Town, i: usize, group: usize, len: usize) {
    town.with(i, group, |node, member, now, name| {
        member.sent(len, node.send(now, name.key(), &vec![len as u8; len]));
    });
}

/// Datagrams arrive in any order, twice, or not at all.
fn under_way(town: &mut Town, pick: u8, bytes: &mut Bytes<'_>) {
    let Some(last) = town.under_way.len().checked_sub(1) else { return };
    let at = usize::from(bytes.u8()) % (last + 1);
    match pick {
        13 => town.arrive(0),
        14 => town.arrive(at),
        15 => {
            let copy = town.under_way[at].clone();
            town.under_way.push(copy);
        }
        _ => drop(town.under_way.remove(at)),
    }
}

fn time(town: &mut Town, pick: u8, bytes: &mut Bytes<'_>) {
    match pick {
        17 => town.now = town.now.plus_us(bytes.u16().into()),
        18 => town.now = town.now.plus_ms(bytes.u8().into()),
        19 => town.now = town.now.max(town.next().unwrap_or_default()),
        // The clocks of the server and of each process continue from the latest time that they have
        // seen.
        20 => {
            town.latest = town.latest.max(town.now);
            town.now = Time(town.now.0.saturating_sub(u64::from(bytes.u16()) * 1000));
        }
        _ => {}
    }
    town.tick();
}

/// Makes calls that nobody should make, or not now. They change nothing that matters, and do not
/// end the process.
fn misuse(town: &mut Town, i: usize, bytes: &mut Bytes<'_>) {
    let (pick, room) = (bytes.u8(), usize::from(bytes.u16() % 600));
    if pick & 15 == 0 {
        // Too little room for a datagram, and no segments.
        town.transmit(i, room, usize::from(pick >> 4));
        return;
    }
    town.with(i, 0, |node, _, now, _| {
        let stranger = GroupKey(u64::from(pick));
        match pick & 15 {
            1 | 2 => {
                assert!(node.send(now, stranger, b"").is_err());
                assert!(node.block_ok(now, stranger).is_err());
                assert!(!node.leave(now, stranger));
                assert!(node.view(stranger).is_none() && node.group_name(stranger).is_none());
                assert!(node.cast_counters(stranger).is_none());
                assert_eq!(node.group_addresses(stranger).count(), 0);
            }
            3 => node.handle_stream(Time(0), b""),
            4 => {
                let from = ([127, 0, 0, 1], 4000 + u16::from(pick >> 4)).into();
                node.handle_datagram(now, from, &mut bytes.take(room).to_vec());
            }
            5 => node.stream_consumed(0),
            6 => assert!(node.footprint() > 0),
            _ => node.handle_timeout(Time(now.0.saturating_sub(room as u64))),
        }
    });
}

/// Lets the processes alone: those in a group come together, hear each other, and leave.
fn settle(town: &mut Town) {
    town.start_server();
    // A clock that stands still cannot measure how long the group stays unchanged.
    town.now = town.now.max(town.latest);
    town.tick();
    let whole = |town: &Town| (0..GROUPS).all(|group| town.is_whole(group));
    // An accusation, or the loss of a server, may still take effect.
    let calm = (0..CALM_TRIES).any(|_| {
        assert!(town.run_until(SETTLE_MS, whole), "they do not come together");
        let before = town.views();
        town.run_until(CALM_MS, |_| false);
        whole(town) && before == town.views()
    });
    assert!(calm, "they do not stay together");
    for group in 0..GROUPS {
        for i in 0..PROCESSES {
            let heard = |town: &Town| -> Vec<u64> {
                let groups = town.processes.iter().map(|p| &p.groups[group]);
                groups.filter(|m| m.phase == Phase::In).map(|m| m.delivered).collect()
            };
            if town.processes[i].groups[group].phase != Phase::In {
                continue;
            }
            town.processes[i].groups[group].settled();
            let before = heard(town);
            send(town, i, group, 100);
            town.run_until(60, |_| false);
            assert!(!town.processes[i].groups[group].refused, "a stable view has room");
            let after = heard(town);
            assert!(
                after.iter().zip(&before).all(|(now, before)| *now == before + 1),
                "{before:?}, {after:?}"
            );
        }
    }
}

fn end(mut town: Town) {
    for i in 0..PROCESSES {
        for group in 0..GROUPS {
            town.with(i, group, |node, m, now, name| m.left(node.leave(now, name.key())));
        }
    }
    let out = |town: &Town| {
        town.processes.iter().flat_map(|p| &p.groups).all(|member| member.phase == Phase::Out)
    };
    assert!(town.run_until(SETTLE_MS, out), "they do not leave");
    town.tick();
    let mut traces = Vec::new();
    for mut process in town.processes {
        if let Some(node) = &mut process.node {
            assert_eq!(node.pool_slots_used(), 0, "slots leak");
            process.records.append(node.tracer_mut());
        }
        let (incarnation, runtime) = (Incarnation::new(0), "fuzz".into());
        let header = Header { process: process.id, incarnation, runtime };
        traces.push(Trace::from_records(header, process.records));
    }
    traces.iter().for_each(crate::trace::again);
    let report = spec::check(&traces);
    assert!(report.is_clean(), "{report}\n{:#?}", report.violations);
}

/// Initial inputs: some calls in sequence, and random ones.
#[must_use]
pub fn seeds() -> Seeds {
    let mut seeds: Seeds = vec![
        ("together".into(), vec![1, 1, 0, 0, 0, 1, 0, 10, 64, 20, 22]),
        ("manual".into(), vec![1, 1, 1, 1, 1, 1, 0, 10, 88, 0, 8, 72, 136, 22, 1, 9]),
        ("two-groups".into(), vec![1, 1, 0, 0, 0, 1, 37, 0, 101, 0, 165, 0, 22, 32, 5, 22, 6, 22]),
        (
            "two-groups-causal".into(),
            vec![1, 3, 0, 0, 0, 1, 37, 0, 101, 0, 165, 0, 22, 32, 5, 96, 7, 22, 32, 6, 22, 6, 22],
        ),
        ("restart".into(), vec![0, 0, 0, 0, 0, 1, 4, 9, 26, 0, 22, 27, 22, 59, 30, 90]),
        ("full".into(), vec![0, 0, 0, 0, 0, 1, 4, 255, 64, 9, 10, 14, 3, 22]),
    ];
    for seed in 1..=8_u64 {
        let mut rng = vs_core::rng::Rng::new(seed);
        let drawn = (0..60 * seed).map(|_| rng.next_u64() as u8);
        seeds.push((format!("drawn-{seed}"), drawn.collect()));
    }
    seeds
}
