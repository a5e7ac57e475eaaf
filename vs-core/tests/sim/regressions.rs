//! Faults that were found in worlds built by hand, each by its name.

use vs_core::ident::{GroupName, Incarnation, ProcessId, ServerId};
use vs_core::sim::{Site, World, WorldConfig};
use vs_core::spec;
use vs_core::trace::{Event, Header, Trace};
use vs_core::{GroupConfig, NodeConfig};

use crate::talker::Talker;

fn group() -> GroupName {
    GroupName::new("talk").unwrap()
}

fn size(world: &World<Talker>, p: u64) -> usize {
    world.view(ProcessId(p), group().key()).map_or(0, vs_core::View::len)
}

/// Processes 1 to 3 share a view; nobody but the server hears 3 any more.
fn with_one_cut_off(server_up: bool) -> World<Talker> {
    let mut world = World::new(WorldConfig::default().with_seed(7));
    world.add_server(ServerId(1), Default::default(), 0).unwrap();
    let config = GroupConfig::default()
        .with_members_max(4)
        .with_window_packets(64)
        .with_message_bytes_max(1024)
        .with_ack_packets(16);
    for p in (1..=3).map(ProcessId) {
        let talker = Talker::every(Some(20_000));
        world.add_process(p, NodeConfig::default(), &[ServerId(1)], talker);
        world.join(p, &group(), config.clone());
        world.start(p).unwrap();
    }
    assert!(world.run_while_ms(3000, |world| (1..=3).any(|p| size(world, p) != 3)).unwrap());
    if !server_up {
        world.kill_server(ServerId(1));
    }
    let three = Site::Process(ProcessId(3));
    for other in (1..=2).map(|p| Site::Process(ProcessId(p))) {
        world.cut(three, other);
        world.cut(other, three);
    }
    world
}

fn check(world: &mut World<Talker>) -> Vec<Trace> {
    let traces: Vec<Trace> = world
        .take_traces()
        .into_iter()
        .map(|(process, records)| {
            let (incarnation, runtime) = (Incarnation::new(0), "sim".into());
            Trace::from_records(Header { process, incarnation, runtime }, records)
        })
        .collect();
    let report = spec::check_with(&traces, &spec::Options::default());
    assert!(report.is_clean(), "{:?}", report.violations);
    traces
}

/// Members accused a silent process while they had no server to tell. They did not repeat the
/// accusation when they had one, and the group stood still without end.
#[test]
fn process_silent_during_server_outage_is_excluded() {
    let mut world = with_one_cut_off(false);
    world.run_for_ms(5_000).unwrap();
    world.start_server(ServerId(1)).unwrap();
    let together = |world: &World<Talker>| size(world, 1) == 2 && size(world, 2) == 2;
    assert!(world.run_while_ms(20_000, |world| !together(world)).unwrap(), "it stands still");
    world.heal_all();
    let all = |world: &World<Talker>| (1..=3).all(|p| size(world, p) == 3);
    assert!(world.run_while_ms(60_000, |world| !all(world)).unwrap(), "healed, all come together");
    check(&mut world);
}

/// The wait of a member that stays cut off did not grow with default times: an exclusion was
/// forgotten before the next one could follow.
#[test]
fn process_that_stays_cut_off_disturbs_ever_less() {
    let mut world = with_one_cut_off(true);
    let since = world.now();
    world.run_for_ms(120_000).unwrap();
    let traces = check(&mut world);
    let views: Vec<u64> = traces[0]
        .lines
        .iter()
        .filter(|line| line.record.ts >= since && matches!(line.record.event, Event::View { .. }))
        .map(|line| line.record.ts.as_millis() - since.as_millis())
        .collect();
    let in_half = |half: u64| views.iter().filter(|ms| **ms / 60_000 == half).count();
    assert!(in_half(0) <= 20 && in_half(1) < in_half(0), "{views:?}");
}
