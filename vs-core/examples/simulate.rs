//! Runs simulated worlds and judges them:
//!
//! ```text
//! cargo run --release -p vs-core --features sim --example simulate -- 0..10000
//! cargo run --release -p vs-core --features sim --example simulate -- 17 --steps --traces /tmp/run
//! ```

use core::sync::atomic::{AtomicU64, Ordering};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use vs_core::rule::Rule;
use vs_core::sim::{Profile, Scenario, Stats};

const USAGE: &str = "usage: simulate SEED | FROM..TO [--profile NAME] [--leave-out RULE] [--threads N] [--steps] \
                     [--traces DIR]";

/// Failures that are shown in full.
const FAILURES_SHOWN: usize = 10;

struct Options {
    from: u64,
    to: u64,
    profile: Option<Profile>,
    left_out: Option<Rule>,
    threads: usize,
    steps: bool,
    refine: bool,
    traces: Option<PathBuf>,
}

fn rule(name: &str) -> Option<Rule> {
    Rule::ALL.into_iter().find(|rule| format!("{rule:?}").eq_ignore_ascii_case(name))
}

fn options() -> Option<Options> {
    let mut options = Options {
        from: 0,
        to: 0,
        profile: None,
        left_out: None,
        threads: 2,
        steps: false,
        refine: false,
        traces: None,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--profile" => options.profile = Some(Profile::from_name(&args.next()?)?),
            "--leave-out" => options.left_out = Some(rule(&args.next()?)?),
            "--threads" => options.threads = args.next()?.parse().ok().filter(|n| *n > 0)?,
            "--refine" => options.refine = true,
            "--steps" => options.steps = true,
            "--traces" => options.traces = Some(PathBuf::from(args.next()?)),
            seeds => {
                (options.from, options.to) = match seeds.split_once("..") {
                    Some((from, to)) => (from.parse().ok()?, to.parse().ok()?),
                    None => {
                        let seed = seeds.parse().ok()?;
                        (seed, seed + 1)
                    }
                };
            }
        }
    }
    (options.from < options.to).then_some(options)
}

impl Options {
    fn scenario(&self, seed: u64) -> Scenario {
        let scenario = match self.profile {
            Some(profile) => Scenario::with_profile(profile, seed),
            None => Scenario::random(seed),
        };
        let scenario = if self.refine { scenario.refined() } else { scenario };
        match self.left_out {
            Some(rule) => scenario.leaving_out(rule),
            None => scenario,
        }
    }

    fn run(&self, seed: u64) -> Result<Stats, String> {
        let scenario = self.scenario(seed);
        if self.steps {
            println!("{:#?}", scenario.world);
            println!("servers: {:?}", scenario.servers);
            for plan in &scenario.processes {
                println!("{plan:?}");
            }
            for (at, step) in &scenario.steps {
                println!("{:>10.3} ms  {step:?}", *at as f64 / 1000.0);
            }
        }
        let run = core::panic::AssertUnwindSafe(|| scenario.run());
        let outcome = std::panic::catch_unwind(run)
            .map_err(|_| format!("seed {seed} ({}): panicked, see above", scenario.profile))?;
        if let Some(dir) = &self.traces {
            write_traces(dir, &outcome.traces).map_err(|e| format!("{}: {e}", dir.display()))?;
        }
        match outcome.failure {
            Some(failure) => Err(failure.to_string()),
            None => Ok(outcome.stats),
        }
    }
}

fn write_traces(dir: &std::path::Path, traces: &[vs_core::trace::Trace]) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    for trace in traces {
        let mut text = Vec::new();
        vs_core::trace_json::encode_header(&trace.header, &mut text);
        for line in &trace.lines {
            vs_core::trace_json::encode_record(&line.record, &mut text);
        }
        std::fs::write(dir.join(format!("p{}.jsonl", trace.header.process)), text)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let begun = Instant::now();
    let next = AtomicU64::new(options.from);
    let total = Mutex::new((Stats::default(), Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..options.threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= options.to {
                        return;
                    }
                    let result = options.run(seed);
                    let mut total = total.lock().unwrap_or_else(|e| e.into_inner());
                    match result {
                        Ok(stats) => total.0.add(&stats),
                        Err(failure) => {
                            if total.1.len() < FAILURES_SHOWN {
                                eprintln!("{failure}");
                            }
                            total.1.push(seed);
                        }
                    }
                }
            });
        }
    });
    let (stats, mut failed) = total.into_inner().unwrap_or_else(|e| e.into_inner());
    println!("seeds {}..{}: {stats}", options.from, options.to);
    println!("{:.1} s on {} threads", begun.elapsed().as_secs_f64(), options.threads);
    if failed.is_empty() {
        println!("every property held in every run");
        return ExitCode::SUCCESS;
    }
    failed.sort_unstable();
    println!("{} of {} runs failed: {failed:?}", failed.len(), options.to - options.from);
    ExitCode::FAILURE
}
