//! Ways between hosts that carry shorter datagrams than the interfaces say, and drop longer ones
//! without a word.

use vs_core::ident::{GroupName, ProcessId, ServerId};
use vs_core::member::ServerConfig;
use vs_core::sim::{Link, Site, World, WorldConfig};
use vs_core::trace::{Event, Record};
use vs_core::{GroupConfig, NodeConfig};

const MEMBERS: [ProcessId; 3] = [ProcessId(1), ProcessId(2), ProcessId(3)];
/// Bytes of a full datagram.
const FULL: usize = 1472;

fn group() -> GroupName {
    GroupName::new("path").unwrap()
}

/// Three members share a view. The way to and from the third carries datagrams of up to `most`.
fn together(seed: u64, most: usize) -> World {
    let mut world = World::new(WorldConfig::default().with_seed(seed));
    world.add_server(ServerId(1), ServerConfig::default(), 0).unwrap();
    let node = NodeConfig::default().with_groups_max(1).with_datagram_bytes(FULL);
    let config = GroupConfig::default().with_members_max(4).with_message_bytes_max(8192);
    for p in MEMBERS {
        world.add_process(p, node.clone(), &[ServerId(1)], ());
        world.join(p, &group(), config.clone());
        world.start(p).unwrap();
    }
    narrow(&mut world, most);
    let is_apart = |world: &World| {
        let mut views = MEMBERS.iter().map(|p| world.view(*p, group().key()));
        !views.all(|view| view.is_some_and(|view| view.members() == MEMBERS))
    };
    assert!(world.run_while_ms(3_000, is_apart).unwrap());
    world
}

fn narrow(world: &mut World, most: usize) {
    let link = Link::LAN.with_datagram_bytes_max(most);
    let third = Site::Process(MEMBERS[2]);
    for other in [MEMBERS[0], MEMBERS[1]].map(Site::Process) {
        world.set_link(other, third, link);
        world.set_link(third, other, link);
    }
}

/// Each member sends large messages and small ones, for `rounds` times 20 ms.
fn talk(world: &mut World, rounds: usize) {
    for round in 0..rounds {
        for p in MEMBERS {
            let len = if round % 4 == 0 { 5000 } else { 700 };
            // A member that is out for a while cannot send.
            let _ = world.send(p, group().key(), &vec![7; len]);
        }
        world.run_for_ms(20).unwrap();
    }
    world.run_for_ms(500).unwrap();
}

fn count(records: &[Record], what: impl Fn(&Event) -> bool) -> usize {
    records.iter().filter(|record| what(&record.event)).count()
}

/// A member behind such a way was excluded for what did not arrive, and taken up again, for ever.
#[test]
fn narrow_path_excludes_nobody() {
    for most in [usize::MAX, 1372, 1210] {
        for seed in 0..5 {
            let mut world = together(seed, most);
            talk(&mut world, 150);
            let lost = world.net_counters().cut;
            // Each of three senders finds it out by probes alone.
            assert!(lost <= 3 * 30, "{lost} datagrams were too long");
            for (p, records) in world.take_traces() {
                let heard = count(&records, |event| matches!(event, Event::Deliver { .. }));
                assert_eq!(heard, 3 * 150, "{p}, {most} bytes, seed {seed}");
            }
        }
    }
}

/// A way that gets narrower costs at most one exclusion of each member: the search begins anew.
#[test]
fn path_that_narrows_is_found_again() {
    for seed in 0..5 {
        let mut world = together(seed, usize::MAX);
        talk(&mut world, 50);
        narrow(&mut world, 1372);
        talk(&mut world, 400);
        let before: Vec<_> =
            MEMBERS.iter().map(|p| world.view(*p, group().key()).cloned()).collect();
        talk(&mut world, 100);
        for (p, before) in MEMBERS.iter().zip(before) {
            let now = world.view(*p, group().key());
            assert_eq!(now, before.as_ref(), "seed {seed}: {p} is still taken up and excluded");
            assert_eq!(now.map(|view| view.len()), Some(3), "seed {seed}: {p}");
        }
        for (p, records) in world.take_traces() {
            let views = count(&records, |event| matches!(event, Event::View { .. }));
            assert!(views <= 7, "seed {seed}: {p} saw {views} views");
        }
    }
}
