//! Clocks that differ between processes. Numbers of changes and views begin at a clock value, so a
//! process that comes back has to start above what was reached (M2, M6; so S2 and S4).

use vs_core::ident::{GroupName, Incarnation, ProcessId, ServerId};
use vs_core::member::ServerConfig;
use vs_core::sim::{Site, World, WorldConfig};
use vs_core::spec::{self, Property};
use vs_core::trace::{Header, Trace};
use vs_core::{GroupConfig, NodeConfig};

const HOUR_MS: u64 = 3_600_000;
const SERVER: ServerId = ServerId(1);
/// Whose clock is ahead.
const AHEAD: ProcessId = ProcessId(3);

/// Three processes are in a view. All of them and the server die, and two come back, not the one
/// whose clock is an hour ahead for good. What the checker says of their traces.
fn two_of_three_return(seed: u64, read_traces: bool) -> spec::Report {
    let mut world = World::<()>::new(WorldConfig::default().with_seed(seed));
    let group = GroupName::new("clocks").unwrap();
    let all = [1, 2, 3].map(ProcessId);
    world.add_server(SERVER, ServerConfig::default(), 0).unwrap();
    for p in all {
        world.add_process(p, NodeConfig::default(), &[SERVER], ());
        world.join(p, &group, GroupConfig::default());
        world.set_clock_ahead(p, if p == AHEAD { HOUR_MS } else { 0 }, read_traces);
        world.start(p).unwrap();
    }
    let together = |world: &mut World, members: &[ProcessId]| {
        world.run_for_ms(3_000).unwrap();
        let view = world.view(members[0], group.key()).unwrap().clone();
        assert_eq!(view.members(), members, "seed {seed}");
        view.id()
    };
    let before = together(&mut world, &all);
    all.into_iter().for_each(|p| world.kill(p));
    world.kill_server(SERVER);
    world.run_for_ms(1_000).unwrap();
    world.start_server(SERVER).unwrap();
    all[..2].iter().for_each(|p| world.start(*p).unwrap());
    let after = together(&mut world, &all[..2]);
    assert_eq!(after > before, read_traces, "seed {seed}: {after} after {before}");
    assert!(world.is_running(Site::Process(all[0])));
    checked(&mut world)
}

fn checked(world: &mut World<()>) -> spec::Report {
    let header =
        |process| Header { process, incarnation: Incarnation::new(0), runtime: "sim".into() };
    let traces = world.take_traces();
    let trace = |(p, records)| Trace::from_records(header(p), records);
    spec::check(&traces.into_iter().map(trace).collect::<Vec<_>>())
}

/// Each process has a server of its own, as where there are no servers. One dies together with its
/// server, and comes back after its clock was set back by an hour. The others stayed.
/// It hears them at once, or is `alone` for a while.
fn one_returns_with_its_clock_set_back(seed: u64, reads_trace: bool, alone: bool) -> spec::Report {
    let mut world = World::<()>::new(WorldConfig::default().with_seed(seed));
    let group = GroupName::new("clocks").unwrap();
    let all = [1, 2, 3].map(ProcessId);
    for p in all {
        let server = ServerId(p.0);
        world.add_server(server, ServerConfig::default(), 0).unwrap();
        world.add_process(p, NodeConfig::default(), &[server], ());
        world.join(p, &group, GroupConfig::default());
        world.set_clock_ahead(p, HOUR_MS, reads_trace);
        world.start(p).unwrap();
    }
    world.run_for_ms(3_000).unwrap();
    world.kill(AHEAD);
    world.kill_server(ServerId(AHEAD.0));
    world.run_for_ms(3_000).unwrap();
    world.set_clock_ahead(AHEAD, 0, reads_trace);
    if alone {
        let at = |p: &ProcessId| [Site::Process(*p), Site::Server(ServerId(p.0))];
        world.partition(&[all[..2].iter().flat_map(at).collect(), at(&AHEAD).into()]);
    }
    world.start_server(ServerId(AHEAD.0)).unwrap();
    world.start(AHEAD).unwrap();
    world.run_for_ms(3_000).unwrap();
    world.heal_all();
    world.run_for_ms(3_000).unwrap();
    for p in all {
        assert_eq!(world.view(p, group.key()).unwrap().members(), all, "seed {seed}");
    }
    checked(&mut world)
}

/// Fault to avoid: the view of those who return has a smaller id than one that they were in.
#[test]
fn who_names_its_trace_starts_above_it() {
    for seed in 0..5 {
        let report = two_of_three_return(seed, true);
        assert!(report.is_clean(), "seed {seed}: {report:?}");
    }
}

/// What is not promised: a process that knows of nothing but its own clock, and comes back while
/// the clock of one that stays away is ahead, may be given smaller numbers.
#[test]
fn without_traces_clocks_have_to_go_forth_for_all() {
    for seed in 0..5 {
        let report = two_of_three_return(seed, false);
        assert!(report.total(Property::M6) > 0, "seed {seed}");
        assert!(report.total(Property::S2) > 0, "seed {seed}");
    }
}

/// Fault to avoid: a process without servers counts its local ids by a clock that was set back.
#[test]
fn clock_set_back_does_not_matter_to_who_names_its_trace() {
    for seed in 0..5 {
        for alone in [false, true] {
            let report = one_returns_with_its_clock_set_back(seed, true, alone);
            assert!(report.is_clean(), "seed {seed}, alone {alone}: {report:?}");
        }
    }
}

/// What is not promised: nobody else counts local ids for the server of that process. View numbers
/// it learns from those who are there, if it hears them before it is given a view.
#[test]
fn without_a_trace_local_ids_need_a_clock_that_goes_forth() {
    for seed in 0..5 {
        for alone in [false, true] {
            let report = one_returns_with_its_clock_set_back(seed, false, alone);
            assert!(report.total(Property::M2) > 0, "seed {seed}, alone {alone}");
            for property in [Property::M6, Property::S2] {
                let breaks = report.total(property) > 0;
                assert_eq!(breaks, alone, "seed {seed}: {property:?}");
            }
        }
    }
}
