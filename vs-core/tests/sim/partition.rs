//! A group at two sites that lose each other and meet again.

use core::time::Duration;

use vs_core::ident::{GroupName, Incarnation, ProcessId, ServerId};
use vs_core::member::ServerConfig;
use vs_core::sim::{Link, Site, World, WorldConfig};
use vs_core::spec;
use vs_core::trace::{Event, Header, Record, Trace};
use vs_core::{ClientConfig, GroupConfig, NodeConfig};

/// Processes at the site of server 1, and at that of server 2.
const LEFT: [u64; 3] = [1, 2, 3];
const RIGHT: [u64; 2] = [4, 5];
const ALL: [u64; 5] = [1, 2, 3, 4, 5];

fn ids(list: &[u64]) -> Vec<ProcessId> {
    list.iter().map(|p| ProcessId(*p)).collect()
}

fn group() -> GroupName {
    GroupName::new("sites").unwrap()
}

/// A world in which all five processes share a view. More than half of the five make a view
/// primary.
fn together(seed: u64) -> World {
    let silence_ms = ServerConfig::default().silence_ms;
    at_home(WorldConfig::default().with_seed(seed), &[(1, &LEFT), (2, &RIGHT)], silence_ms)
}

/// A world in which all share a view, each at its server. A process or server that is silent for
/// `silence_ms` counts as dead, to servers and to members.
fn at_home(world: WorldConfig, homes: &[(u64, &[u64])], silence_ms: u64) -> World {
    grouped(world, homes, silence_ms, &config().with_primary_of(ids(&ALL)))
}

fn config() -> GroupConfig {
    GroupConfig::default()
        .with_members_max(8)
        .with_window_packets(64)
        .with_message_bytes_max(4096)
        .with_ack_packets(16)
}

/// As [`at_home`], with groups of `config`.
fn grouped(
    world: WorldConfig,
    homes: &[(u64, &[u64])],
    silence_ms: u64,
    config: &GroupConfig,
) -> World {
    let mut world = World::new(world);
    let silence = Duration::from_millis(silence_ms);
    let client = ClientConfig::for_silence(silence);
    let node = NodeConfig::default().with_groups_max(1).with_client(client);
    for (s, _) in homes {
        world.add_server(ServerId(*s), ServerConfig::for_silence(silence), 0).unwrap();
    }
    for (server, processes) in homes {
        for p in ids(processes) {
            world.add_process(p, node.clone(), &[ServerId(*server)], ());
            world.join(p, &group(), config.clone());
            world.start(p).unwrap();
        }
    }
    let mut all: Vec<u64> =
        homes.iter().flat_map(|(_, processes)| processes.iter().copied()).collect();
    all.sort_unstable();
    await_view(&mut world, &all, 3_000);
    world.run_for_ms(100).unwrap();
    world
}

fn are_together(world: &World, processes: &[u64]) -> bool {
    let members = ids(processes);
    let mut views = members.iter().map(|p| world.view(*p, group().key()));
    let Some(Some(first)) = views.next() else { return false };
    first.members() == members && views.all(|view| view == Some(first))
}

/// Runs until exactly these processes share a view, and returns after how many ms they did.
fn await_view(world: &mut World, processes: &[u64], ms_max: u64) -> u64 {
    let since = world.now().as_millis();
    let met = world.run_while_ms(ms_max, |world| !are_together(world, processes)).unwrap();
    assert!(met, "{processes:?} share no view within {ms_max} ms");
    world.now().as_millis() - since
}

fn part(world: &mut World) {
    part_servers(world, &[1], &[2]);
}

/// Cuts the left processes with the left servers off from the right ones.
fn part_servers(world: &mut World, left: &[u64], right: &[u64]) {
    let side = |servers: &[u64], processes: &[u64]| {
        let servers = servers.iter().map(|s| Site::Server(ServerId(*s)));
        let processes = ids(processes).into_iter().map(Site::Process);
        processes.chain(servers).collect::<Vec<_>>()
    };
    world.partition(&[side(left, &LEFT), side(right, &RIGHT)]);
}

/// Checks the traces and returns what each process saw.
fn clean_traces(mut world: World) -> Vec<(ProcessId, Vec<Record>)> {
    let traces = world.take_traces();
    let trace = |(process, records): &(ProcessId, Vec<Record>)| {
        let (incarnation, runtime) = (Incarnation::new(0), "sim".into());
        Trace::from_records(Header { process: *process, incarnation, runtime }, records.clone())
    };
    let report = spec::check(&traces.iter().map(trace).collect::<Vec<_>>());
    assert!(report.is_clean(), "{:?}", report.violations);
    traces
}

#[test]
fn partition_heals_within_two_timeouts() {
    let timeout_ms = ServerConfig::default().silence_ms;
    for seed in 0..20 {
        let mut world = together(seed);
        part(&mut world);
        // Servers miss each other, and then wait for the other's clients.
        await_view(&mut world, &LEFT, 3 * timeout_ms);
        await_view(&mut world, &RIGHT, 3 * timeout_ms);
        for (p, what) in [(1, &b"left"[..]), (4, b"right")] {
            world.send(ProcessId(p), group().key(), what).unwrap();
        }
        world.run_for_ms(1_000).unwrap();
        world.heal_all();
        let ms = await_view(&mut world, &ALL, 2 * timeout_ms);
        println!("seed {seed}: one view {ms} ms after the network healed");
        world.run_for_ms(100).unwrap();
        for (p, records) in clean_traces(world) {
            let side: &[u64] = if LEFT.contains(&p.0) { &LEFT } else { &RIGHT };
            let events = || records.iter().map(|record| &record.event);
            let apart = events().position(
                |event| matches!(event, Event::View { view, .. } if view.members() == ids(side)),
            );
            let after: Vec<&Event> = events().skip(apart.expect("a view of its side")).collect();
            // Each process installs one view of its side and one of all, to which its side comes
            // together.
            let views = after.iter().filter_map(|event| match event {
                Event::View { view, transitional, .. } => Some((view.len(), transitional.len())),
                _ => None,
            });
            let views: Vec<(usize, usize)> = views.collect();
            assert_eq!(views.last(), Some(&(5, side.len())), "seed {seed}: {p}");
            assert_eq!(views.len(), 2, "seed {seed}: {p}: {views:?}");
            let heard = after.iter().filter(|event| matches!(event, Event::Deliver { .. })).count();
            assert_eq!(heard, 1, "seed {seed}: {p} heard what was said at its side alone");
            // Three of five are primary, and so is the view of all.
            let primary = after.iter().filter(|event| ***event == Event::Primary).count();
            assert_eq!(primary, if side.len() == 3 { 2 } else { 1 }, "seed {seed}: {p}");
        }
    }
}

/// What was sent into the cut is lost, and the system repeats it only after a second, so that
/// attempts to connect hang when the cut heals. The longer the cut lasts, the longer are the pauses
/// between attempts.
#[test]
fn long_partition_heals_within_two_timeouts() {
    for timeout_ms in [ServerConfig::default().silence_ms, 600, 300] {
        let mut took = Vec::new();
        for seed in 0..200 {
            let config = dialling(seed);
            let mut world = at_home(config, &[(1, &LEFT), (2, &RIGHT)], timeout_ms);
            let apart_ms = 2 * timeout_ms + 1000 + 37 * seed;
            took.push(meet_again(&mut world, [&[1], &[2]], apart_ms, 2 * timeout_ms));
            if seed % 20 == 0 {
                clean_traces(world);
            }
        }
        tell(timeout_ms, &mut took);
    }
}

/// Two servers at each site: that their links begin to count one after the other must not take
/// longer.
#[test]
fn partition_of_many_servers_heals_within_two_timeouts() {
    for timeout_ms in [ServerConfig::default().silence_ms, 600] {
        let mut took = Vec::new();
        for seed in 0..100 {
            let config = dialling(seed);
            let homes: [(u64, &[u64]); 4] = [(1, &[1, 2]), (2, &[4]), (3, &[3]), (4, &[5])];
            let mut world = at_home(config, &homes, timeout_ms);
            let apart_ms = 2 * timeout_ms + 2000 + 37 * seed;
            took.push(meet_again(&mut world, [&[1, 3], &[2, 4]], apart_ms, 2 * timeout_ms));
            if seed % 20 == 0 {
                clean_traces(world);
            }
        }
        tell(timeout_ms, &mut took);
    }
}

/// Processes that were cut off from the only server return within the same time.
#[test]
fn members_cut_off_return_within_two_timeouts() {
    for timeout_ms in [ServerConfig::default().silence_ms, 600, 300] {
        let mut took = Vec::new();
        for seed in 0..200 {
            let config =
                WorldConfig::default().with_seed(seed).with_dial_retry(Duration::from_secs(1));
            let mut world = at_home(config, &[(1, &ALL)], timeout_ms);
            part_servers(&mut world, &[1], &[]);
            await_view(&mut world, &LEFT, 3 * timeout_ms);
            world.run_for_ms(timeout_ms + 37 * seed).unwrap();
            world.heal_all();
            took.push(await_view(&mut world, &ALL, 2 * timeout_ms));
            if seed % 20 == 0 {
                clean_traces(world);
            }
        }
        tell(timeout_ms, &mut took);
    }
}

/// The round trip between the sites is 300 ms; an attempt to connect must allow for it.
#[test]
fn far_partition_heals_soon() {
    // Round trips are a larger share of a shorter timeout.
    for (timeout_ms, ms_max) in [(ServerConfig::default().silence_ms, 2000), (600, 1800)] {
        let mut took = Vec::new();
        for seed in 0..40 {
            let link = Link::LAN
                .with_delay(Duration::from_millis(149))
                .with_jitter(Duration::from_millis(1));
            let config = WorldConfig::default()
                .with_seed(seed)
                .with_link(link)
                .with_dial_retry(Duration::from_secs(1));
            let mut world = at_home(config, &[(1, &LEFT), (2, &RIGHT)], timeout_ms);
            let apart_ms = 2 * timeout_ms + 2000 + 37 * seed;
            took.push(meet_again(&mut world, [&[1], &[2]], apart_ms, ms_max));
        }
        tell(timeout_ms, &mut took);
    }
}

/// Attempts are repeated as late as on Linux. With every other seed only one side dials.
fn dialling(seed: u64) -> WorldConfig {
    let dial_both = seed.is_multiple_of(2);
    WorldConfig::default()
        .with_seed(seed)
        .with_dial_both(dial_both)
        .with_dial_retry(Duration::from_secs(1))
}

/// Keeps the sides, with these servers, apart for `apart_ms`: they miss each other, wait for the
/// other's clients, and continue. Then heals, and returns after how many ms all share a view.
fn meet_again(world: &mut World, [left, right]: [&[u64]; 2], apart_ms: u64, ms_max: u64) -> u64 {
    part_servers(world, left, right);
    world.run_for_ms(apart_ms).unwrap();
    assert!(are_together(world, &LEFT) && are_together(world, &RIGHT), "after {apart_ms} ms");
    world.heal_all();
    await_view(world, &ALL, ms_max)
}

fn tell(timeout_ms: u64, took: &mut [u64]) {
    took.sort_unstable();
    let (median, most, of) = (took[took.len() / 2], took.last().unwrap(), took.len());
    println!(
        "timeout {timeout_ms} ms: one view {median} ms after the healing, at most {most} of {of}"
    );
}

/// Twenty times the sites lose each other for two seconds and are connected for two. At first each
/// flap costs a view when they part and one when they meet. Then the link has to hold for longer
/// than it does.
#[test]
fn views_settle_while_a_link_flaps() {
    let mut world = together(1);
    let views = |world: &World| world.view(ProcessId(1), group().key()).unwrap().id();
    let (mut changes, mut last) = (Vec::new(), views(&world));
    for _ in 0..20 {
        let mut changed = 0;
        for ms in 0..4_000 {
            match ms {
                0 => part(&mut world),
                2_000 => world.heal_all(),
                _ => {}
            }
            world.run_for_ms(1).unwrap();
            let now = views(&world);
            changed += u64::from(core::mem::replace(&mut last, now) != now);
        }
        changes.push(changed);
    }
    println!("views of process 1 in each flap: {changes:?}");
    assert!(changes.iter().sum::<u64>() <= 10, "{changes:?}");
    assert!(changes[10..].iter().all(|n| *n == 0), "{changes:?}");
    world.heal_all();
    await_view(&mut world, &ALL, 2 * ServerConfig::default().link_hold_max_ms);
    clean_traces(world);
}

/// The pairs of servers 1 to 4 with their members of the same numbers.
fn pairs() -> Vec<(u64, u64)> {
    (1..=4).flat_map(|a| (a + 1..=4).map(move |b| (a, b))).collect()
}

/// Checks that members 1 to 4 are in no change, and that each is in the same view as the members of
/// its view. Returns those views.
fn settled(world: &World, what: &str) -> Vec<Vec<u64>> {
    let members = |p| -> Vec<u64> {
        let view = world.view(ProcessId(p), group().key()).expect("it is a member");
        view.members().iter().map(|q| q.0).collect()
    };
    let views: Vec<Vec<u64>> = (1..=4).map(members).collect();
    for (p, own) in (1..).zip(&views) {
        assert!(own.contains(&p) && !world.is_changing(ProcessId(p), group().key()), "{what}: {p}");
        assert!(own.iter().all(|q| *own == views[*q as usize - 1]), "{what}: {p} in {views:?}");
    }
    views
}

/// Servers that knew only the links of their neighbours divided the members differently, as in a
/// line of four, and members waited for a view at both sides until the links changed.
#[test]
fn partly_linked_servers_leave_no_member_waiting() {
    for graph in 0..1_u64 << pairs().len() {
        let what = format!("graph {graph:#b}");
        let config = WorldConfig::default().with_seed(graph);
        let mut world = at_home(config, &[(1, &[1]), (2, &[2]), (3, &[3]), (4, &[4])], 1_000);
        let reaches = |a: &u64, b: &u64| {
            let pair = pairs().iter().position(|pair| *pair == (*a.min(b), *a.max(b)));
            pair.is_none_or(|i| graph >> i & 1 == 1)
        };
        for (a, b) in pairs().iter().filter(|(a, b)| !reaches(a, b)) {
            world.partition(&[*a, *b].map(|s| vec![Site::Server(ServerId(s))]));
        }
        world.run_for_ms(8_000).unwrap();
        let views = settled(&world, &what);
        for view in &views {
            assert!(view.iter().all(|a| view.iter().all(|b| reaches(a, b))), "{what}: {views:?}");
        }
        world.run_for_ms(3_000).unwrap();
        assert_eq!(settled(&world, &what), views, "{what}");
        world.heal_all();
        await_view(&mut world, &[1, 2, 3, 4], 3_000);
        clean_traces(world);
    }
}

/// How long after the cut process `p` was told that its view does not hold any more, in ms.
fn lapsed_after_ms(records: &[Record], cut_ms: u64) -> Option<u64> {
    let lapsed = records.iter().find(|record| record.event == Event::Lapsed)?;
    Some(lapsed.ts.as_millis() - cut_ms)
}

/// A member alone with nobody: it kept a view that it was told is primary, while another view was
/// primary elsewhere.
#[test]
fn primary_view_lapses_where_nobody_is_heard() {
    let lease_ms = GroupConfig::default().lease_ms;
    for seed in 0..20 {
        let mut world = together(seed);
        let (alone, cut_ms) = (ProcessId(5), world.now().as_millis());
        let rest = ids(&[1, 2, 3, 4]).into_iter().map(Site::Process);
        let rest = rest.chain([1, 2].map(|s| Site::Server(ServerId(s)))).collect();
        world.partition(&[vec![Site::Process(alone)], rest]);
        world.run_for_ms(3 * lease_ms).unwrap();
        world.heal_all();
        await_view(&mut world, &ALL, 3_000);
        world.run_for_ms(1_000).unwrap();
        for (p, records) in clean_traces(world) {
            let lapsed = lapsed_after_ms(&records, cut_ms);
            assert_eq!(lapsed.is_some(), p == alone, "seed {seed}: {p}");
            assert!(lapsed.is_none_or(|ms| ms <= lease_ms), "seed {seed}: {lapsed:?} ms");
            let primary = records.iter().filter(|record| record.event == Event::Primary).count();
            assert!(primary >= 2, "seed {seed}: {p}: primary again in the last view");
        }
    }
}

/// Cuts all members off from each other, and none from its server.
fn cut_members(world: &mut World) {
    let members = ALL.map(|p| Site::Process(ProcessId(p)));
    for (i, a) in members.iter().enumerate() {
        for b in &members[i + 1..] {
            world.cut(*a, *b);
            world.cut(*b, *a);
        }
    }
}

/// Without a list of those who make a view primary: the servers are gone, and the members hear
/// each other no more, and then again.
#[test]
fn view_without_servers_holds_again_once_heard() {
    let lease_ms = GroupConfig::default().lease_ms;
    for seed in 0..20 {
        let silence_ms = ServerConfig::default().silence_ms;
        let world = WorldConfig::default().with_seed(seed);
        let mut world = grouped(world, &[(1, &ALL)], silence_ms, &config());
        world.kill_server(ServerId(1));
        cut_members(&mut world);
        world.run_for_ms(2 * lease_ms).unwrap();
        world.heal_all();
        world.run_for_ms(2 * lease_ms).unwrap();
        for (p, records) in clean_traces(world) {
            let told = records.iter().filter(|record| {
                matches!(record.event, Event::Lapsed | Event::Restored | Event::Primary)
            });
            let told: Vec<&Event> = told.map(|record| &record.event).collect();
            assert_eq!(told, [&Event::Lapsed, &Event::Restored], "seed {seed}: {p}");
        }
    }
}

/// Members are cut off from each other and not from their servers, and then heard again.
#[test]
fn primary_view_holds_again_once_heard() {
    let lease_ms = GroupConfig::default().lease_ms;
    for seed in 0..20 {
        let mut world = together(seed);
        cut_members(&mut world);
        world.run_for_ms(lease_ms + 1_500).unwrap();
        world.heal_all();
        world.run_for_ms(2 * lease_ms).unwrap();
        for (p, records) in clean_traces(world) {
            let told = |event: &Event| records.iter().filter(|r| r.event == *event).count();
            assert!(told(&Event::Lapsed) >= 1, "seed {seed}: {p}");
            let last = records.iter().rev().find_map(|record| match &record.event {
                event @ (Event::Lapsed | Event::Primary) => Some(event.clone()),
                _ => None,
            });
            assert_eq!(last, Some(Event::Primary), "seed {seed}: {p}");
        }
    }
}
