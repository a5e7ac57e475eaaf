//! Members that are configured for different things: they share what the first one has, or are told
//! why not.

use core::time::Duration;

use vs_core::ident::{GroupName, ProcessId, ServerId};
use vs_core::member::{ProfileField, ServerConfig};
use vs_core::order::Order;
use vs_core::sim::{Load, Site, Traffic, World, WorldConfig};
use vs_core::trace::Event;
use vs_core::{DetachReason, GroupConfig, NodeConfig};

/// What a process differs in.
type Change = fn(&mut NodeConfig, &mut GroupConfig);

struct Town {
    world: World<Traffic>,
    group: GroupName,
}

impl Town {
    /// Servers 1 to `servers`, and nobody else yet.
    fn new(seed: u64, servers: u64) -> Self {
        let mut world = World::new(WorldConfig::default().with_seed(seed));
        for s in 1..=servers {
            world.add_server(ServerId(s), ServerConfig::default(), 0).unwrap();
        }
        Self { world, group: GroupName::new("town").unwrap() }
    }

    /// Process `p` starts, at server `s`.
    fn start(&mut self, p: u64, s: u64, change: Change) {
        let mut node = NodeConfig::default();
        let mut config = GroupConfig::default()
            .with_members_max(4)
            .with_window_packets(64)
            .with_message_bytes_max(4096)
            .with_ack_packets(16)
            .with_peer(Duration::from_millis(400))
            .with_block_ok(Duration::from_millis(200));
        change(&mut node, &mut config);
        let load = Load::default()
            .with_interval(Duration::from_millis(2))
            .with_burst_max(3)
            .with_bytes_max(config.message_bytes_max.min(2_000) as u64)
            .with_until(self.world.now().plus_ms(20_000));
        let process = ProcessId(p);
        self.world.add_process(process, node, &[ServerId(s)], Traffic::new(process, load, p));
        self.world.join(process, &self.group, config);
        self.world.start(process).unwrap();
    }

    fn members(&self, p: u64) -> Vec<u64> {
        let view = self.world.view(ProcessId(p), self.group.key());
        view.map_or(Vec::new(), |view| view.members().iter().map(|p| p.0).collect())
    }

    /// Runs until the view of `p` has these members.
    fn settle(&mut self, p: u64, members: &[u64]) {
        let (key, members) = (self.group.key(), members.to_vec());
        let is_there = |world: &World<Traffic>| {
            let view = world.view(ProcessId(p), key);
            view.is_some_and(|v| v.members().iter().map(|p| p.0).eq(members.iter().copied()))
        };
        let ended = self.world.run_while_ms(5_000, |world| !is_there(world)).unwrap();
        assert!(ended, "{p} is in {:?} and not in {members:?}", self.members(p));
    }

    /// Views that `p` has installed.
    fn views(&mut self, p: u64) -> usize {
        let traces = self.world.take_traces();
        let of_p = traces.iter().filter(|(process, _)| process.0 == p);
        let events = of_p.flat_map(|(_, records)| records);
        events.filter(|record| matches!(record.event, Event::View { .. })).count()
    }
}

/// Without a profile there was a view, an accusation, a view, and so on without end.
#[test]
fn who_has_no_room_is_told_at_once_and_the_group_stays() {
    let changes: [(ProfileField, Change); 6] = [
        (ProfileField::MessageBytesMax, |_, group| group.message_bytes_max = 1024),
        (ProfileField::DatagramBytes, |node, _| node.datagram_bytes = 600),
        (ProfileField::PrimaryOf, |_, group| group.primary_of = vec![ProcessId(1)]),
        (ProfileField::Order, |_, group| group.order = Order::Total),
        (ProfileField::Order, |_, group| group.order = Order::Causal),
        (ProfileField::Clusters, |_, group| group.clusters = true),
    ];
    for (n, (field, change)) in changes.into_iter().enumerate() {
        let mut town = Town::new(n as u64, 1);
        for p in 1..=2 {
            town.start(p, 1, |_, _| ());
        }
        town.settle(1, &[1, 2]);
        town.start(3, 1, change);
        let told = |world: &World<Traffic>| world.detached(ProcessId(3)).is_some();
        assert!(town.world.run_while_ms(100, |world| !told(world)).unwrap(), "{field}");
        let reason = town.world.detached(ProcessId(3)).unwrap();
        let DetachReason::Profile(mismatch) = reason else { panic!("{reason}") };
        assert_eq!(mismatch.field, field);
        assert_ne!(mismatch.group, mismatch.own, "{mismatch}");
        town.world.run_for_ms(3_000).unwrap();
        assert_eq!((town.members(1), town.members(2)), (vec![1, 2], vec![1, 2]), "{field}");
        assert!(town.views(1) <= 2, "{field}: nobody was disturbed");
    }
}

#[test]
fn who_has_more_room_takes_what_the_group_has() {
    let changes: [Change; 4] = [
        |_, group| group.message_bytes_max = 9_000,
        |node, _| node.datagram_bytes = 9_000,
        |_, group| group.window_packets = Some(256),
        |_, group| (group.peer_ms, group.heartbeat_max_ms) = (3_000, 2_000),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let mut town = Town::new(n as u64, 1);
        town.start(1, 1, |_, _| ());
        town.start(2, 1, |_, _| ());
        town.settle(1, &[1, 2]);
        town.start(3, 1, change);
        town.settle(3, &[1, 2, 3]);
        town.world.run_for_ms(3_000).unwrap();
        for p in 1..=3 {
            assert_eq!(town.members(p), [1, 2, 3], "change {n}: {p}");
        }
        let disagreement = town.world.disagreement();
        assert!(disagreement.is_none(), "{disagreement:?}");
    }
}

#[test]
fn of_two_groups_that_merge_the_older_profile_holds() {
    for (change, stay) in [
        ((|_, group| group.message_bytes_max = 1024) as Change, vec![1, 2]),
        ((|_, group| group.message_bytes_max = 9_000) as Change, vec![1, 2, 3, 4]),
    ] {
        let mut town = Town::new(7, 2);
        let server = |s| Site::Server(ServerId(s));
        town.world.cut(server(1), server(2));
        town.world.cut(server(2), server(1));
        for p in 1..=2 {
            town.start(p, 1, |_, _| ());
        }
        town.settle(1, &[1, 2]);
        for p in 3..=4 {
            town.start(p, 2, change);
        }
        town.settle(3, &[3, 4]);
        town.world.heal_all();
        town.settle(1, &stay);
        town.world.run_for_ms(3_000).unwrap();
        assert_eq!(town.members(1), stay);
        for p in [3, 4] {
            let reason = town.world.detached(ProcessId(p));
            let is_told = matches!(reason, Some(DetachReason::Profile(_)));
            assert_eq!(is_told, stay.len() == 2, "{p}: {reason:?}");
        }
    }
}
