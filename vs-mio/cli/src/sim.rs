//! `vs sim`: hostile worlds in virtual time.

use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicU64, Ordering};
use std::fs::File;
use std::io::IsTerminal;
use std::io::Read as _;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

#[cfg(feature = "mutants")]
use vs_core::rule::Rule;
use vs_core::sim::{FLOOR_RUNS, Fault, Profile, Scenario, Stats};
use vs_core::spec::Evidence;
use vs_core::trace::Mark;

use crate::failure::Failure;
use crate::output::say;
use crate::rules::mutants;
#[cfg(feature = "mutants")]
use crate::rules::rule;
use crate::steps::Steps;
use crate::traces::{file_names, keep, make_room};
use crate::{fast_share, wan};

/// Bytes of an input that are read.
const INPUT_BYTES_MAX: u64 = 1 << 20;

/// Plays groups on a hostile network in virtual time and judges them, the same for the same seed
#[derive(clap::Args, Debug)]
#[command(
    after_help = format!("Example: vs sim --seeds 0..10000\n         vs sim --seed 17 --refine --traces run && vs check run\n\n\
                  Profiles: {}.\n\n{}\n\n\
                  Exit status 0: every property held; 1: one did not, and the seed is named, or a file cannot be written; \
                  2: the command line is wrong. Runs of {FLOOR_RUNS} seeds and more also fail if too little happened in \
                  them.", profiles(), mutants())
)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct Args {
    /// One run
    #[arg(long, value_name = "N", group = "what", value_parser = clap::value_parser!(u64).range(..SEED_MAX))]
    seed: Option<u64>,
    /// All runs from A to below B
    #[arg(long, value_name = "A..B", group = "what", value_parser = seeds)]
    seeds: Option<(u64, u64)>,
    /// The run that the bytes of a file say: an input of the fuzz target `world`
    #[arg(long, value_name = "FILE", group = "what", conflicts_with = "profile")]
    input: Option<PathBuf>,
    /// How often servers agree in the fast mode, by how fast their clients come and go: other
    /// worlds, one of each seed for each rate
    #[arg(long, requires = "seeds", conflicts_with_all = ["refine", "profile", "plan", "steps", "traces"])]
    fast_share: bool,
    /// How long changes of view take between distant sites, in other worlds. A build with feature
    /// mutants also plays each seed with a sync round that starts only after the membership view
    #[arg(long, requires = "seeds", conflicts_with_all = ["fast_share", "refine", "profile", "plan", "steps", "traces", "threads"])]
    wan: bool,
    /// Step the executable specification beside each process: every step has to be one of its
    #[arg(long)]
    refine: bool,
    /// Stress one thing
    #[arg(long, value_name = "NAME", value_parser = profile)]
    profile: Option<Profile>,
    /// Leave a rule of the algorithm out, to see what happens
    #[cfg(feature = "mutants")]
    #[arg(long, value_name = "RULE", value_parser = rule, conflicts_with_all = ["fast_share", "wan"])]
    leave_out: Option<Rule>,
    /// Runs that are played at a time [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    /// Print what is done to the world, and when
    #[arg(long)]
    plan: bool,
    /// Write each step of each process, in the variables of the algorithm, as lines of JSON: what
    /// vs-core/proof/replay.py holds against the proof
    #[arg(long, value_name = "FILE", requires = "refine")]
    steps: Option<PathBuf>,
    /// Keep the traces of each run: of one seed in DIR, of several in DIR/SEED
    #[arg(long, value_name = "DIR")]
    traces: Option<PathBuf>,
    /// The summary as one JSON object
    #[arg(long)]
    json: bool,
}

/// Highest seed: seeds are numbers in JSON, too.
const SEED_MAX: u64 = (1 << 53) - 1;

/// Failures that are shown in full.
const FAILURES_SHOWN: usize = 10;

fn seeds(text: &str) -> Result<(u64, u64), String> {
    let range = text.split_once("..").and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    let range = range.filter(|(a, b)| a < b && *b <= SEED_MAX);
    range.ok_or_else(|| "write it as A..B with A below B, and B at most 2^53 - 1".into())
}

fn profile(name: &str) -> Result<Profile, String> {
    Profile::from_name(name).ok_or_else(|| format!("there are {}", profiles()))
}

fn profiles() -> String {
    Profile::ALL.map(Profile::name).join(", ")
}

/// What came of all runs so far.
#[derive(Default)]
struct Total {
    stats: Stats,
    failed: Vec<u64>,
    /// Why runs cannot go on.
    broken: Option<Failure>,
}

/// Plays the runs.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let (from, to) = args.seeds.unwrap_or_else(|| {
        let seed = args.seed.unwrap_or_default();
        (seed, seed.saturating_add(1))
    });
    if args.fast_share {
        return fast_share::run((from, to), args.threads, args.json);
    }
    if args.wan {
        return wan::run((from, to), args.json);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.map_or(cores, |n| n as usize).min((to - from) as usize);
    let begun = Instant::now();
    let (next, total) = (AtomicU64::new(from), Mutex::new(Total::default()));
    let steps = args.steps.as_deref().map(Steps::create).transpose()?.map(Arc::new);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work(&args, steps.as_ref(), (from, to), begun, &next, &total));
        }
    });
    let total = total.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    steps.and_then(Arc::into_inner).map_or(Ok(()), Steps::finish)?;
    if let Some(failure) = total.broken {
        return Err(failure);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let short = if to - from >= FLOOR_RUNS && args.profile.is_none() && total.failed.is_empty() {
        total.stats.shortfalls()
    } else {
        Vec::new()
    };
    if args.json {
        say(format_args!("{}", summary(from, to, seconds, threads, &total, &short)));
    } else {
        tell(&args, (from, to), &total);
        say(format_args!("{seconds:.1} s on {threads} threads"));
    }
    verdict(&args, to - from, &total, &short)
}

/// Tells what was counted; of one run what came up in it.
fn tell(args: &Args, (from, to): (u64, u64), total: &Total) {
    let (stats, marks) = (&total.stats, &total.stats.marks);
    match &args.input {
        _ if stats.runs == 0 => {}
        Some(file) => say(format_args!("{}: {stats}", file.display())),
        None if args.seed.is_some() => say(format_args!("seed {from}: {stats}")),
        None => say(format_args!("seeds {from}..{to}: {stats}")),
    }
    if stats.runs > 1 {
        return say(format_args!("rare situations:\n{marks}"));
    }
    for mark in Mark::ALL.iter().filter(|mark| marks.count(**mark) > 0) {
        say(format_args!("{:>12}  {}", marks.count(*mark), mark.what()));
    }
}

fn verdict(args: &Args, runs: u64, total: &Total, short: &[String]) -> Result<(), Failure> {
    // Nothing more is said of a group in which two run under one id at servers that do not know of
    // each other.
    let stepped = total.stats.refined_steps > 0;
    if args.refine && total.failed.is_empty() && total.stats.views > 0 && !stepped {
        return Err(Failure("the specification was not stepped beside".into()));
    }
    if runs == 1 && !total.failed.is_empty() {
        return Err(Failure("the run failed: see above".into()));
    }
    if !total.failed.is_empty() {
        let mut failed = total.failed.clone();
        failed.sort_unstable();
        let (failures, seeds) = (failed.len(), &failed[..failed.len().min(FAILURES_SHOWN)]);
        return Err(Failure(format!(
            "{failures} of {runs} runs failed, seeds {seeds:?}: see above"
        )));
    }
    if !short.is_empty() {
        return Err(Failure(format!("too little happened: {}", short.join("; "))));
    }
    if !args.json {
        let which = if runs == 1 { "" } else { " in every run" };
        say(format_args!("every property held{which}"));
    }
    Ok(())
}

/// Of so many runs at least it is told how far they are.
const PROGRESS_RUNS_MIN: u64 = 10_000;

/// Words about that in all: to who watches a terminal, and to who reads a log later.
const PROGRESS_WATCHED: u64 = 100;
const PROGRESS_LOGGED: u64 = 20;

/// Tells how far `runs` runs are when another so many of them have begun.
fn tell_progress(done: u64, runs: u64, begun: Instant) {
    let words = if std::io::stderr().is_terminal() { PROGRESS_WATCHED } else { PROGRESS_LOGGED };
    if runs >= PROGRESS_RUNS_MIN && done > 0 && done.is_multiple_of(runs / words) {
        tracing::info!("{done} of {runs} runs after {} s", begun.elapsed().as_secs());
    }
}

fn work(
    args: &Args,
    steps: Option<&Arc<Steps>>,
    (from, to): (u64, u64),
    begun: Instant,
    next: &AtomicU64,
    total: &Mutex<Total>,
) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= to {
            return;
        }
        tell_progress(seed - from, to - from, begun);
        let result = play(args, steps, seed);
        let mut total = total.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match result {
            Ok(Ok(stats)) => total.stats.add(&stats),
            Ok(Err(why)) => {
                if total.failed.len() < FAILURES_SHOWN {
                    tracing::error!("{why}");
                }
                total.failed.push(seed);
            }
            Err(failure) => {
                total.broken = Some(failure);
                return next.store(to, Ordering::Relaxed);
            }
        }
    }
}

fn scenario(args: &Args, seed: u64) -> Result<Scenario, Failure> {
    let scenario = match (&args.input, args.profile) {
        (Some(file), _) => {
            let unreadable =
                |e| Failure(format!("{}: the input cannot be read: {e}", file.display()));
            let (input, mut bytes) = (File::open(file).map_err(unreadable)?, Vec::new());
            // What is longer is not looked at: a scenario is drawn from its first bytes.
            input.take(INPUT_BYTES_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
            Scenario::from_bytes(&bytes)
        }
        (None, Some(profile)) => Scenario::with_profile(profile, seed),
        (None, None) => Scenario::random(seed),
    };
    let scenario = if args.refine { scenario.refined() } else { scenario };
    #[cfg(feature = "mutants")]
    let scenario = match args.leave_out {
        Some(rule) => scenario.leaving_out(rule),
        None => scenario,
    };
    Ok(scenario)
}

/// One run: what was counted, or why it failed.
fn play(
    args: &Args,
    steps: Option<&Arc<Steps>>,
    seed: u64,
) -> Result<Result<Stats, String>, Failure> {
    let scenario = scenario(args, seed)?;
    if args.plan {
        show(&scenario);
    }
    let run = || match steps.map(Arc::clone) {
        Some(steps) => scenario.run_observed(Box::new(move |group, step| {
            steps.step(seed, group.as_str(), step);
        })),
        None => scenario.run(),
    };
    let Ok(outcome) = catch_unwind(AssertUnwindSafe(run)) else {
        return Ok(Err(format!("seed {seed} ({}): panicked, see above", scenario.profile)));
    };
    if let Some(steps) = steps {
        steps.end(seed);
    }
    let mut files = Vec::new();
    if let Some(dir) = &args.traces {
        let dir = if args.seeds.is_some() { dir.join(seed.to_string()) } else { dir.clone() };
        make_room(&dir)?;
        keep(&dir, &outcome.traces).map_err(|e| {
            Failure(format!("{}: the traces cannot be written: {e}", dir.display()))
        })?;
        files = file_names(&outcome.traces).map(|name| dir.join(name)).collect();
    }
    let place = |evidence: &Evidence| match files.get(evidence.trace) {
        Some(file) => format!("{}:{}", file.display(), evidence.line),
        None => evidence.to_string(),
    };
    Ok(match outcome.failure {
        Some(failure) => Err(match &args.input {
            Some(file) => format!("{}: {}", file.display(), failure.why.told(place)),
            None => failure.told(place),
        }),
        None => Ok(outcome.stats),
    })
}

fn show(scenario: &Scenario) {
    say(format_args!("{:#?}", scenario.world));
    say(format_args!("servers: {:?}", scenario.servers));
    for plan in &scenario.processes {
        say(format_args!("{plan:?}"));
    }
    for (at, step) in &scenario.steps {
        say(format_args!("{:>10.3} ms  {step:?}", *at as f64 / 1000.0));
    }
}

fn summary(
    from: u64,
    to: u64,
    seconds: f64,
    threads: usize,
    total: &Total,
    short: &[String],
) -> serde_json::Value {
    let stats = &total.stats;
    let (net, servers) = (&stats.net, &stats.servers);
    let named = |what: Vec<(String, u64)>| serde_json::Value::from_iter(what);
    serde_json::json!({
        "summary": true,
        "seeds": [from, to],
        "holds": total.failed.is_empty() && short.is_empty(),
        "failed": total.failed,
        "short": short,
        "runs": stats.runs,
        "of_four": stats.of_four,
        "of_ten": stats.of_ten,
        "settled_together": stats.settled_together,
        "largest": stats.processes_max,
        "simulated_ms": stats.simulated_ms,
        "events": stats.events,
        "planned": stats.planned(),
        "faults": named(Fault::ALL.iter().zip(stats.kinds).map(|(f, n)| (format!("{f:?}"), n)).collect()),
        "views": stats.views,
        "views_together": stats.views_together,
        "views_distinct": stats.views_distinct,
        "start_changes": stats.changes,
        "joins_in_mid_change": stats.joins_in_mid_change,
        "joins_distinct": stats.joins_distinct,
        "views_passed_over": stats.views_passed_over,
        "syncs": stats.syncs,
        "forwards": stats.forwards,
        "sent": stats.sent,
        "delivered": stats.delivered,
        "datagrams": {
            "sent": net.datagrams,
            "lost": net.lost,
            "duplicated": net.duplicated,
            "reordered": net.reordered,
            "cut": net.cut,
            "unreceived": net.unreceived,
        },
        "refined_steps": stats.refined_steps,
        "views_fast": servers.views_fast,
        "views_slow": servers.views_slow,
        "slow_share": servers.views_slow as f64 / (servers.views_fast + servers.views_slow).max(1) as f64,
        "marks": named(Mark::ALL.iter().map(|m| (format!("{m:?}"), stats.marks.count(*m))).collect()),
        "seconds": seconds,
        "threads": threads,
    })
}
