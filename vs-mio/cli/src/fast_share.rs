//! `vs sim --fast-share`: how often membership servers agree in the fast mode.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use vs_core::sim::{Churn, Share};

use crate::failure::Failure;
use crate::output::say;

/// Servers, how far they are apart in ms, and changes of a run.
const SERVERS: u64 = 3;
const DELAY_MS: u64 = 25;
const CHANGES: u64 = 10;

/// Changes at each server in 1000 proposal round trips, and the least share of fast views that is
/// demanded, in percent.
const RATES: [(u64, f64); 8] = [
    (0, 100.0),
    (10, 98.0),
    (20, 98.0),
    (50, 98.0),
    (100, 98.0),
    (200, 0.0),
    (500, 0.0),
    (1000, 0.0),
];

/// Plays all seeds at each rate.
pub(crate) fn run(seeds: (u64, u64), threads: Option<u32>, json: bool) -> Result<(), Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.map_or(cores, |n| n as usize);
    if !json {
        say(format_args!(
            "{SERVERS} servers {DELAY_MS} ms apart, {CHANGES} changes a run, {} runs a rate\n\
             changes per server and\n\
             round trip of proposals   changes  fast views  slow views     share",
            seeds.1 - seeds.0
        ));
    }
    let mut low = Vec::new();
    for (rate, least) in RATES {
        let share = play(rate, seeds, threads)?;
        let all = (share.fast + share.slow).max(1);
        let percent = share.fast as f64 * 100.0 / all as f64;
        let shown = if rate == 0 { "one at a time".into() } else { rate_of(rate) };
        if json {
            say(format_args!(
                "{}",
                serde_json::json!({
                    "per_trip": rate as f64 / 1000.0, "changes": share.changes,
                    "fast": share.fast, "slow": share.slow, "percent": percent,
                })
            ));
        } else {
            let Share { changes, fast, slow } = share;
            say(format_args!("{shown:>23} {changes:>9} {fast:>11} {slow:>11} {percent:>8.3} %"));
        }
        if percent < least {
            low.push(format!("{percent:.3} % at {shown}, want {least} %"));
        }
    }
    if low.is_empty() {
        Ok(())
    } else {
        Err(Failure(format!("too few fast views: {}", low.join("; "))))
    }
}

fn rate_of(rate: u64) -> String {
    format!("{}", rate as f64 / 1000.0)
}

fn play(per_1000_trips: u64, (from, to): (u64, u64), threads: usize) -> Result<Share, Failure> {
    let churn = Churn { servers: SERVERS, delay_ms: DELAY_MS, per_1000_trips, changes: CHANGES };
    let (next, total) = (AtomicU64::new(from), Mutex::new(Ok(Share::default())));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= to {
                return;
            }
            let played = churn.play(seed);
            let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
            match (&mut *total, played) {
                (Ok(total), Ok(share)) => total.add(&share),
                (Ok(_), Err(stuck)) => *total = Err(Failure(format!("seed {seed}: {stuck}"))),
                (Err(_), _) => return,
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    total.into_inner().unwrap_or_else(PoisonError::into_inner)
}
