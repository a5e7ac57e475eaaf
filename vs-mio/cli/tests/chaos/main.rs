//! Real processes in a hostile network: 3 membership servers and 9 members in network namespaces of
//! their own, killed, stopped, restarted in herds, given other addresses, clocks and limits, and
//! cut off from each other in every way that a seed thinks of, while all of them talk. What cannot
//! be survived has to be said: such words are awaited. After each heal all members must come to one
//! view and hear each other in it; in the end the checker judges all traces.
//!
//! ```console
//! # VS_CHAOS_FAULTS=200 VS_CHAOS_SEED=7 cargo test -p vs-cli --test chaos
//! ```
//!
//! With `VS_CHAOS_STORE=1` the members keep a replicated store instead, as `vs kv`: 5 of them
//! count, the others have copies. Each has a client that puts, deletes and gets. After each heal
//! all must answer again; in the end all dumps must be the same, and what the clients saw
//! linearizable.
//!
//! Without `VS_CHAOS_FAULTS` it does nothing, and says so: it needs root, iproute2, nftables,
//! ethtool, python3 and libfaketime. `VS` names another binary than that of this build.
//! `VS_CHAOS_ONLY` names the one kind of faults that is drawn, as they are listed at the end.
//! `VS_CHAOS_SEED` is 1 by default: the plan follows from it, the time that a process takes does
//! not. `VS_CHAOS_TRACES` names a directory, empty or to be made, where traces and logs stay;
//! otherwise they stay only after a failure.

mod crowd;
mod draw;
mod hosts;
mod kind;
mod limits;
mod plan;
mod processes;
mod run;
mod store;
mod wire;

use core::time::Duration;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use plan::{Host, Round};
use processes::{trace, vs};
use run::Run;

fn main() -> ExitCode {
    match asked() {
        Ok(Some((seed, faults))) => keeping_traces(seed, faults),
        Ok(None) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("chaos: {e}");
            ExitCode::FAILURE
        }
    }
}

/// Seed and number of faults, if such a run is wanted and can be; else it is said why nothing is
/// done.
fn asked() -> Result<Option<(u64, u32)>, String> {
    let (faults, seed) = (number("VS_CHAOS_FAULTS")?, number("VS_CHAOS_SEED")?.unwrap_or(1));
    let Some(faults) = faults else {
        println!("chaos: skipped: say with VS_CHAOS_FAULTS how many faults there shall be");
        return Ok(None);
    };
    if let Some(lacking) = hosts::lacking() {
        println!("chaos: skipped: {lacking}");
        return Ok(None);
    }
    Ok(Some((u64::from(seed), faults)))
}

/// A run whose traces stay if they are asked for, or if it failed.
fn keeping_traces(seed: u64, faults: u32) -> ExitCode {
    let kept = std::env::var_os("VS_CHAOS_TRACES").map(PathBuf::from);
    let name = format!("vs-chaos-{}", std::process::id());
    let traces = kept.clone().unwrap_or_else(|| std::env::temp_dir().join(name));
    if let Err(e) = std::fs::create_dir_all(&traces) {
        eprintln!(
            "chaos: {} cannot be made: {e}; name another with VS_CHAOS_TRACES",
            traces.display()
        );
        return ExitCode::FAILURE;
    }
    println!("chaos: seed {seed}, {faults} faults");
    match chaos(seed, faults, &traces) {
        Ok(()) => {
            if kept.is_none() {
                let _ = std::fs::remove_dir_all(&traces);
            }
            ExitCode::SUCCESS
        }
        Err(e) => {
            println!("chaos: FAILED, seed {seed}: {e}\ntraces and logs: {}", traces.display());
            ExitCode::FAILURE
        }
    }
}

/// The number that a variable of the environment holds.
fn number(name: &str) -> Result<Option<u32>, String> {
    let Ok(text) = std::env::var(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| format!("{name} must be a number below 2^32"))
}

/// A whole run, with its verdict.
fn chaos(seed: u64, faults: u32, traces: &Path) -> Result<(), String> {
    let only = std::env::var("VS_CHAOS_ONLY").ok();
    let mut plan = plan::plan(seed, faults, only.as_deref());
    if store::is_on() {
        plan.iter_mut().for_each(store::adapt);
    }
    let began = Instant::now();
    let mut run = Run::start(seed, traces)?;
    for round in &plan {
        run.round(round)?;
    }
    let again = run.started_again();
    let (counts, settled, took) = (run.counts(), run.settled.clone(), began.elapsed());
    let (store, most) = (run.store.clone(), run.most());
    run.finish()?;
    check(traces)?;
    if let Some(store) = store {
        println!("chaos: {}", store.judge()?);
        println!("chaos: a process had {} kB and {} files at most", most.0, most.1);
    }
    summary(&plan, counts, settled, took);
    println!(
        "chaos: {again} starts of members were repeated, since no server or no datagram reached them"
    );
    Ok(())
}

/// The checker has the last word, also on liveness: all members were there in the end.
fn check(traces: &Path) -> Result<(), String> {
    let mut files = Host::members().into_iter().map(|host| trace(traces, host)).collect::<Vec<_>>();
    files.extend(crowd::traces(traces));
    let ids = Host::members().iter().map(|host| host.number().to_string()).collect::<Vec<_>>();
    let mut check = Command::new(vs());
    let output = check.args(["check", "--settled", &ids.join(",")]).args(files).output();
    let output = output.expect("vs starts");
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    if output.status.success() { Ok(()) } else { Err("the traces violate what is promised".into()) }
}

fn summary(plan: &[Round], counts: (u64, u64), mut settled: Vec<Duration>, took: Duration) {
    let mut kinds = BTreeMap::<_, u32>::new();
    for fault in plan.iter().flatten() {
        *kinds.entry(fault.kind.name()).or_default() += 1;
    }
    let kinds = kinds.iter().map(|(name, n)| format!("{n} {name}")).collect::<Vec<_>>();
    settled.sort_unstable();
    let overlapping = plan.iter().filter(|round| round.len() > 1).count();
    // What is done to a store is told by its judge.
    let talk = match counts {
        (0, 0) => String::new(),
        (views, deliveries) => format!(" {views} views, {deliveries} deliveries;"),
    };
    println!(
        "chaos: {} faults ({}) in {} rounds, {overlapping} of them with faults that overlap;{talk} settled after {:.2?} \
         (p50), {:.2?} (max); {:.0?}",
        plan.iter().flatten().count(),
        kinds.join(", "),
        plan.len(),
        settled.get(settled.len() / 2).copied().unwrap_or_default(),
        settled.last().copied().unwrap_or_default(),
        took,
    );
}
