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
    let header =
        |process| Header { process, incarnation: Incarnation::new(0), runtime: "sim".into() };
    let traces = world.take_traces();
    let trace = |(p, records)| Trace::from_records(header(p), records);
    spec::check(&traces.into_iter().map(trace).collect::<Vec<_>>())
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
