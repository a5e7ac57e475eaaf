//! Processes that have too little processor time for a while. Whatever they lost then, and said
//! about it, has an end: soon after they are one group again, and as calm as before. More worlds:
//!
//! ```console
//! $ VS_OVERLOAD_SEEDS=6..1000 cargo test --release -p vs-core --all-features --test sim overload::
//! ```

use core::ops::Range;
use core::time::Duration;

use vs_core::ident::{GroupKey, GroupName, ProcessId, ServerId};
use vs_core::sim::{World, WorldConfig};
use vs_core::{ClientConfig, GroupConfig, NodeConfig};

const SERVER: ServerId = ServerId(1);

/// Processor time of a datagram while there is enough of it.
const USUAL: Duration = Duration::from_micros(50);

/// Time after the overload within which all is well again.
const RECOVERED_MS: u64 = 5_000;

/// Seeds, and so sizes and loads, that every run tries.
const SEEDS: Range<u64> = 0..6;

/// Those that are asked for.
fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("VS_OVERLOAD_SEEDS") else { return SEEDS };
    let bounds = text.split_once("..").and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?));
    bounds.expect("VS_OVERLOAD_SEEDS is FROM..TO")
}

fn groups(count: usize) -> Vec<GroupName> {
    (0..count).map(|at| GroupName::new(&format!("g{at}")).unwrap()).collect()
}

/// So many processes in so many groups, on sockets with little room.
fn crowd(seed: u64, processes: u64, count: usize) -> World {
    let config = WorldConfig::default().with_seed(seed).with_socket_datagrams(64);
    let mut world = World::new(config.with_datagram(USUAL));
    world.set_events_max(100_000_000);
    world.add_server(SERVER, Default::default(), 0).unwrap();
    for p in (1..=processes).map(ProcessId) {
        let client = ClientConfig::default();
        let node = NodeConfig::default().with_client(client).with_groups_max(count);
        world.add_process(p, node, &[SERVER], ());
        for group in groups(count) {
            let config = GroupConfig::default()
                .with_members_max(processes as usize)
                .with_window_packets(16)
                .with_message_bytes_max(1024)
                .with_ack_packets(4);
            world.join(p, &group, config);
        }
        world.start(p).unwrap();
    }
    world
}

fn keys(count: usize) -> Vec<GroupKey> {
    groups(count).iter().map(GroupName::key).collect()
}

/// Whether these processes share one view of each group, and no other one is in it.
fn is_whole(world: &World, processes: &[u64], keys: &[GroupKey]) -> bool {
    let members: Vec<ProcessId> = processes.iter().map(|p| ProcessId(*p)).collect();
    keys.iter().all(|key| {
        let first = world.view(members[0], *key);
        first.is_some_and(|view| view.members() == members.as_slice())
            && members.iter().all(|p| world.view(*p, *key) == first)
    })
}

/// Datagrams of the next second.
fn rate(world: &mut World) -> u64 {
    let before = world.net_counters().datagrams;
    world.run_for_ms(1000).unwrap();
    world.net_counters().datagrams - before
}

/// The overload is over: all share a view soon, and the datagrams are back at the idle rate.
fn assert_recovers(world: &mut World, processes: &[u64], count: usize, what: &str) {
    world.set_datagram(USUAL);
    let keys = keys(count);
    let whole = |world: &World| is_whole(world, processes, &keys);
    assert!(world.run_while_ms(RECOVERED_MS, |world| !whole(world)).unwrap(), "{what}: no view");
    world.run_for_ms(RECOVERED_MS).unwrap();
    assert!(whole(world), "{what}: the view did not last");
    let members = processes.len() as u64;
    let (rate, idle) = (rate(world), 3 * members * members * count as u64);
    assert!(rate < idle, "{what}: {rate} datagrams/s");
}

/// Each datagram brought an answer to all, each lost one copies, and both more datagrams: a group
/// that was short of processor once never recovered.
#[test]
fn overload_while_group_forms_leaves_no_storm() {
    for seed in seeds() {
        let n = 20 + 2 * (seed % 6);
        let all: Vec<u64> = (1..=n).collect();
        let mut world = crowd(seed, n, 1);
        world.set_datagram(Duration::from_micros(2_000 + 500 * (seed % 7)));
        world.run_for_ms(3_000).unwrap();
        assert_recovers(&mut world, &all, 1, &format!("seed {seed}, {n} members"));
    }
}

/// A member dies while the others have too little processor time.
#[test]
fn overload_in_calm_group_leaves_no_storm() {
    for seed in seeds() {
        let n = 16 + 2 * (seed % 6);
        let all: Vec<u64> = (1..=n).collect();
        let mut world = crowd(seed, n, 1);
        assert!(world.run_while_ms(2000, |world| !is_whole(world, &all, &keys(1))).unwrap());
        world.set_datagram(Duration::from_micros(4_000 + 1000 * (seed % 7)));
        world.run_for_ms(500).unwrap();
        world.kill(ProcessId(n));
        world.run_for_ms(3_000).unwrap();
        assert_recovers(&mut world, &all[..all.len() - 1], 1, &format!("seed {seed}"));
    }
}

/// A hundred groups of the same members change together, on processors with little time.
#[test]
fn many_groups_settle_soon_after_kill() {
    let count = 100;
    let (five, four, keys) = ([1, 2, 3, 4, 5], [1, 2, 3, 4], keys(count));
    let mut world = crowd(300, 5, count);
    let formed = |world: &World| is_whole(world, &five, &keys);
    assert!(world.run_while_ms(5_000, |world| !formed(world)).unwrap());
    world.set_datagram(Duration::from_micros(300));
    world.kill(ProcessId(5));
    assert!(world.run_while_ms(2_000, |world| !is_whole(world, &four, &keys)).unwrap());
}
