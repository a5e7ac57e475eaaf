//! `vs explore`: every interleaving of small worlds.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use vs_core::explore::{Explored, Found, Limits, PLANS, Plan, explore, walk};
use vs_core::rule::{Rule, Rules};

use crate::failure::Failure;
use crate::output::say;
use crate::rules::mutants;
#[cfg(feature = "mutants")]
use crate::rules::rule;
use crate::steps::Steps;
use crate::traces::{keep, make_room};

/// Goes through every interleaving of small worlds: real end-points and servers, whatever happens
/// in whatever order
#[derive(clap::Args, Debug)]
#[command(
    after_help = format!("Example: vs explore --short\n\n\
                  Worlds, and the rules whose absence shows in them:\n{}\n\n{}\n\n\
                  Exit status 0: nothing wrong was found in any state, and with a rule left out something was; 1: otherwise, or \
                  a file cannot be written; 2: the command line is wrong.", worlds(), mutants())
)]
pub(crate) struct Args {
    /// Worlds, by name [default: all]
    #[arg(value_name = "WORLD", value_parser = plan)]
    worlds: Vec<&'static Plan>,
    /// Only the worlds that take seconds
    #[arg(long, conflicts_with = "worlds")]
    short: bool,
    /// Leave out this rule, instead of none and then each that shows [default worlds: those in
    /// which it shows]
    #[cfg(feature = "mutants")]
    #[arg(long, value_name = "RULE", value_parser = rule)]
    leave_out: Option<Rule>,
    /// Worlds that are gone through at a time [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Most states of a world; ten million take some GB
    #[arg(long, value_name = "N", default_value_t = Limits::default().states_max as u64,
          value_parser = clap::value_parser!(u64).range(1..))]
    states_max: u64,
    /// Go through all orders of independent steps, not through one of each two: the states are the
    /// same
    #[arg(long, conflicts_with = "walks")]
    full: bool,
    /// Keep the traces of what is found: of one run in DIR, of several in DIR/WORLD-RULE
    #[arg(long, value_name = "DIR")]
    traces: Option<PathBuf>,
    /// Go through each world N times at random instead, and write what each process does
    #[arg(long, value_name = "N", requires = "steps", value_parser = clap::value_parser!(u64).range(1..),
          conflicts_with_all = ["states_max", "traces", "show", "json"])]
    walks: Option<u64>,
    /// The first of the walks; those after it have the seeds that follow
    #[arg(long, value_name = "SEED", default_value_t = 1, requires = "walks",
          value_parser = clap::value_parser!(u64).range(..WALK_SEED_MAX))]
    seed: u64,
    /// Write each step of each process, in the variables of the algorithm, as lines of JSON: what
    /// vs-core/proof/replay.py holds against the proof
    #[arg(long, value_name = "FILE", requires = "walks")]
    steps: Option<PathBuf>,
    /// Print each run that shows what is wrong, also where that was expected
    #[arg(long)]
    show: bool,
    /// One JSON object for each world and rule
    #[arg(long)]
    json: bool,
}

fn worlds() -> String {
    let shows = |plan: &Plan| {
        let rules = plan.shows.iter().map(|rule| format!("{rule:?}")).collect::<Vec<_>>();
        if rules.is_empty() { String::new() } else { format!(" ({})", rules.join(", ")) }
    };
    let line = |plan: &Plan| format!("  {}{}: {}", plan.name, shows(plan), plan.about);
    PLANS.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn plan(name: &str) -> Result<&'static Plan, String> {
    let names = || PLANS.iter().map(|plan| plan.name).collect::<Vec<_>>().join(", ");
    PLANS.iter().find(|plan| plan.name == name).ok_or_else(|| format!("there are {}", names()))
}

/// A world, and the rules that are kept in it.
type Task = (&'static Plan, Rules);

impl Args {
    /// The rules to keep, if one is to be left out.
    fn asked(&self) -> Option<Rules> {
        #[cfg(feature = "mutants")]
        return self.leave_out.map(Rules::without);
        #[cfg(not(feature = "mutants"))]
        return None;
    }
}

/// Each set of rules that lacks one whose absence shows in `plan`.
#[cfg(feature = "mutants")]
fn mutants_of(plan: &Plan) -> Vec<Rules> {
    plan.shows.iter().copied().map(Rules::without).collect()
}

/// No rule is left out without feature `mutants`.
#[cfg(not(feature = "mutants"))]
fn mutants_of(_: &Plan) -> Vec<Rules> {
    Vec::new()
}

fn tasks(args: &Args) -> Vec<Task> {
    let chosen = |plan: &&Plan| match args.worlds.is_empty() {
        true => {
            let left_out = args.asked().and_then(Rules::left_out);
            let shows = left_out.is_none_or(|rule| plan.shows.contains(&rule));
            shows && (plan.short || !args.short)
        }
        false => args.worlds.iter().any(|world| world.name == plan.name),
    };
    let mut tasks = Vec::new();
    for plan in PLANS.iter().filter(chosen) {
        match args.asked() {
            Some(rules) => tasks.push((plan, rules)),
            None => {
                tasks.push((plan, Rules::default()));
                tasks.extend(mutants_of(plan).into_iter().map(|rules| (plan, rules)));
            }
        }
    }
    tasks
}

/// Highest seed of a walk: seeds are numbers in JSON, too.
const WALK_SEED_MAX: u64 = (1 << 53) - 1;

/// Walks through the worlds, with all rules or without the one that is asked for.
fn walk_all(args: &Args, file: &Path, walks: u64) -> Result<(), Failure> {
    let rules = args.asked().unwrap_or_default();
    let chosen = |plan: &&Plan| match args.worlds.is_empty() {
        true => plan.short || !args.short,
        false => args.worlds.iter().any(|world| world.name == plan.name),
    };
    let steps = Steps::create(file)?;
    let (mut run, mut count) = (0, 0_u64);
    for plan in PLANS.iter().filter(chosen) {
        for seed in (args.seed..).take(usize::try_from(walks).unwrap_or(usize::MAX)) {
            run += 1;
            let walked = walk(plan, rules, seed, |step| {
                count += 1;
                steps.step(run, plan.name, step);
            });
            steps.end(run);
            walked.map_err(|refuted| Failure(format!("{}, seed {seed}: {refuted}", plan.name)))?;
        }
    }
    steps.finish()?;
    say(format_args!("{run} walks, {count} steps of processes"));
    Ok(())
}

/// Goes through the worlds.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    if let (Some(walks), Some(file)) = (args.walks, &args.steps) {
        return walk_all(&args, file, walks);
    }
    let tasks = tasks(&args);
    for task in &tasks {
        // Now, not after a search.
        trace_dir(&args, *task, tasks.len() == 1).map_or(Ok(()), |dir| make_room(&dir))?;
    }
    if tasks.is_empty() {
        return Err(Failure(
            "it shows in no world that is chosen; name one to try it there".into(),
        ));
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.map_or(cores, usize::from).min(tasks.len());
    let (begun, next) = (Instant::now(), AtomicUsize::new(0));
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(&task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = go_through(&args, task, tasks.len() == 1) {
                        wrong.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(why);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !args.json {
        say(format_args!("{:.1} s on {threads} threads", begun.elapsed().as_secs_f64()));
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Failure(wrong.join("; "))),
    }
}

/// What a task is called.
fn name((plan, rules): Task) -> String {
    match rules.left_out() {
        Some(rule) => format!("{} without {rule:?}", plan.name),
        None => plan.name.to_owned(),
    }
}

/// Where the traces of what is found in a task go.
fn trace_dir(args: &Args, task: Task, alone: bool) -> Option<PathBuf> {
    let dir = args.traces.as_ref()?;
    Some(if alone { dir.clone() } else { dir.join(name(task).replace(' ', "-")) })
}

fn go_through(args: &Args, task: Task, alone: bool) -> Result<(), String> {
    let (plan, rules) = task;
    let rule = rules.left_out();
    let begun = Instant::now();
    let states_max = usize::try_from(args.states_max).unwrap_or(usize::MAX);
    let explored = explore(
        plan,
        rules,
        Limits::default().with_states_max(states_max).with_reduced(!args.full),
    );
    let name = name(task);
    report(args, plan, rule, &explored, begun.elapsed().as_secs_f64());
    if let (Some(found), Some(dir)) = (&explored.found, trace_dir(args, task, alone)) {
        keep(&dir, &found.traces)
            .map_err(|e| format!("{}: the traces cannot be written: {e}", dir.display()))?;
        if !args.json {
            say(format_args!("    vs check {}{}", dir.display(), settled(found)));
        }
    }
    match (&explored.found, rule) {
        (None, _) if !explored.is_whole => {
            Err(format!("{name}: more than {} states (--states-max)", args.states_max))
        }
        (None, None) => Ok(()),
        (None, Some(_)) => Err(format!("{name}: nothing was found")),
        (Some(_), None) => Err(format!("{name}: see above")),
        (Some(found), Some(_)) if found.report.is_clean() => {
            Err(format!("{name}: what was found does not show in the traces"))
        }
        (Some(_), Some(_)) => Ok(()),
    }
}

fn report(args: &Args, plan: &Plan, rule: Option<Rule>, explored: &Explored, seconds: f64) {
    let Explored { states, steps, ends, depth, is_whole, found } = explored;
    let violated = |found: &Found| found.report.violated().map(|p| p.name()).collect::<Vec<_>>();
    if args.json {
        let rule = rule.map(|rule| format!("{rule:?}"));
        let object = serde_json::json!({
                "world": plan.name, "left_out": rule, "states": states, "steps": steps, "ends": ends,
                "depth": depth, "whole": is_whole, "seconds": seconds,
                "found": found.as_ref().map(|found| serde_json::json!({
                    "what": found.wrong.to_string(), "steps": found.steps.len() - 1,
                    "violated": violated(found),
                })),
        });
        return say(format_args!("{object}"));
    }
    let name = plan.name;
    match (found, rule) {
        (Some(found), Some(rule)) => {
            say(format_args!(
                "{name} without {rule:?}: {} steps to {}; {states} states, {seconds:.1} s",
                found.steps.len() - 1,
                violated(found).join(", "),
            ));
        }
        _ => {
            let without = rule.map_or_else(String::new, |rule| format!(" without {rule:?}"));
            say(format_args!(
                "{name}{without}: {states} states, {steps} steps, {ends} ends, depth {depth}, {seconds:.1} s\n    {}",
                plan.about
            ));
        }
    }
    if let Some(found) = found.as_ref().filter(|_| args.show || rule.is_none()) {
        say(format_args!("{found}"));
    }
}

/// Who should have come together, for the command that judges the traces.
fn settled(found: &Found) -> String {
    let ids: Vec<String> = found.settled().iter().map(|p| p.0.to_string()).collect();
    if ids.is_empty() { String::new() } else { format!(" --settled {}", ids.join(",")) }
}
