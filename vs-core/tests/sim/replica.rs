//! Replicated states in random worlds and in situations built by hand.

use crate::ledger::{History, Keeper, Run, play};
use crate::seeds::seeds;
use vs_core::order::Order;
use vs_core::sim::Scenario;

fn random_worlds(ballast: usize, recover_ms: Option<u64>) -> Vec<Run> {
    let (mut runs, mut failures) = (Vec::new(), Vec::new());
    for seed in seeds(0..60) {
        let scenario = Scenario::random(seed).plain().with_order(Order::Safe);
        let set = |keeper: &mut Keeper| {
            (keeper.ballast, keeper.recover_ms) = (ballast, recover_ms);
            keeper.job_ms_max = [0, 20, 400][seed as usize % 3];
        };
        match play(&scenario, set) {
            Ok(run) => runs.push(run),
            Err(failure) => failures.push(failure),
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
    runs
}

#[test]
fn answers_hold_in_random_worlds() {
    let runs = random_worlds(0, None);
    let served = runs.iter().filter(|run| run.serving > 0).count();
    let sum = |count: fn(&History) -> u64| runs.iter().map(|r| count(&r.history)).sum::<u64>();
    let (done, reads) = (sum(|h| h.done.len() as u64), sum(|h| h.reads));
    let (restored, waiting) = (sum(|h| h.restored), sum(|h| h.waiting));
    let (collected, in_part) = (sum(|h| h.collected), sum(|h| h.collected_in_part));
    println!(
        "{collected} group calls, {in_part} in part; {} worlds, {served} serve in the end; {done} calls, {reads} reads, {restored} transfers, \
         {waiting} times without a majority",
        runs.len()
    );
    assert!(3 * served > runs.len() && done > 0 && reads > 0 && restored > 0 && waiting > 0);
    assert!(collected > 0 && in_part > 0);
}

#[test]
fn large_states_move_in_random_worlds() {
    let runs = random_worlds(300_000, Some(500));
    let restored: u64 = runs.iter().map(|run| run.history.restored).sum();
    assert!(restored > 0);
}

#[test]
fn three_processes_make_a_state_and_serve_it() {
    let mut scenario = Scenario::calm(3, 3).with_order(Order::Safe);
    for plan in &mut scenario.processes {
        plan.load.interval_us = 1000;
        plan.load.until = plan.load.until.plus_ms(300);
    }
    let run = play(&scenario, |_| ()).unwrap();
    assert_eq!(run.serving, 3);
    assert!(run.history.done.len() > 200, "{}", run.history.done.len());
    assert_eq!(run.history.restored, 0, "{:?}", run.outcome.stats);
}
