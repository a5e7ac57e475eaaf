//! Simulated worlds: events a second.
//!
//! `cargo bench -p vs-bench --bench sim`
//!
//! **What it measures.** Whole runs of `vs_core::sim`: the world is made, its faults are played, it
//! is healed and settles, and the checker judges its traces. Elements are events of the world:
//! datagrams and stream bytes that arrive, timers, moves of applications. `calm` is a world of 3 or
//! 16 processes that send now and then while nothing goes wrong; `hostile` are the worlds of the
//! seeds 0 to 19, with faults of all kinds, as `vs sim --seeds 0..20` plays them; and `refined` the
//! same with the executable specification stepped beside every process.
//!
//! **What it does not measure.** Several worlds at once: `vs sim` plays one on each core. Seeds
//! differ in what they cost by a factor of a hundred (large groups), so twenty of them are no
//! average of a million.

use core::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vs_core::sim::Scenario;

/// Seeds of the hostile worlds.
const SEEDS: core::ops::Range<u64> = 0..20;

/// Simulated time in which calm processes send, in ms.
const CALM_MS: u64 = 500;

fn calm(processes: u64) -> Scenario {
    let mut scenario = Scenario::calm(1, processes);
    scenario.heal_us = CALM_MS * 1000;
    let until = scenario.world.start.plus_ms(CALM_MS);
    for plan in &mut scenario.processes {
        (plan.load.interval_us, plan.load.burst_max, plan.load.until) = (2_000, 8, until);
    }
    scenario
}

/// Plays the worlds and returns the number of events.
fn play(scenarios: &[Scenario]) -> u64 {
    let events = |scenario: &Scenario| {
        let outcome = scenario.run();
        assert!(outcome.failure.is_none(), "{:?}", outcome.failure);
        outcome.stats.events
    };
    scenarios.iter().map(events).sum()
}

fn sim(criterion: &mut Criterion) {
    let hostile: Vec<Scenario> = SEEDS.map(Scenario::random).collect();
    let refined = hostile.iter().cloned().map(Scenario::refined).collect();
    let mut group = criterion.benchmark_group("sim");
    group.sample_size(10);
    for (name, scenarios) in [
        ("calm/3", vec![calm(3)]),
        ("calm/16", vec![calm(16)]),
        ("hostile", hostile),
        ("refined", refined),
    ] {
        group.throughput(Throughput::Elements(play(&scenarios)));
        group.bench_function(name, |bencher| bencher.iter(|| play(black_box(&scenarios))));
    }
    group.finish();
}

criterion_group!(benches, sim);
criterion_main!(benches);
