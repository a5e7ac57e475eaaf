//! `wan`: how long changes of view take between distant sites, over real sockets, and what it saves
//! that the sync round runs beside that of the membership servers; beside what the simulator says
//! of the same links.
//!
//! `cargo run --release -p vs-bench --features mutants --bin wan` (as root: it makes network
//! namespaces)
//!
//! Each site is a network namespace with a membership server and two members; a process in user
//! space is the wires between them. Each round draws its distances as the simulator does for that
//! seed, and plays both stacks on them, one after the other. Whatever is started is ended, also
//! after errors and signals. `vs-bench/README.md` says more.

mod lab;
mod names;
mod table;

use core::time::Duration;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use lab::{Lab, Wires};
use names::{STACKS, name};
use vs_bench::process;
use vs_bench::samples::Samples;
use vs_core::rule::{Rule, Rules};
use vs_core::sim::{Wan, WanChange, WanDraw};

/// As the simulator's `vs sim --wan`.
const SITES: u64 = 3;
const DELAY_MS: (u64, u64) = (25, 75);

#[derive(Clone, Debug, Parser)]
#[command(
    about = "Measures changes of view between sites 50 to 150 ms of round trip apart, in network namespaces; needs root, iproute2, ethtool and gcc",
    after_help = "Example: cargo run --release -p vs-bench --features mutants --bin wan -- --rounds 20"
)]
struct Args {
    /// Rounds for each loss: seeds 0 and up
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Frames lost between sites, of datagrams and of connections alike, in per cent
    #[arg(long, value_delimiter = ',', default_value = "0,0.5", value_parser = percent)]
    loss: Vec<f64>,
    /// How long the group is idle before each change
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    calm_ms: u64,
    /// The command vs, of a build with feature mutants [default: built now]
    #[arg(long, value_name = "FILE")]
    vs: Option<PathBuf>,
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(percent) if (0.0..=20.0).contains(&percent) => Ok(percent),
        _ => Err("it must be a number from 0 to 20".into()),
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wan: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    process::watch_signals()?;
    let lab = Lab::set_up(SITES, args.vs.as_deref())?;
    let mut samples = Samples::default();
    for round in 0..args.rounds {
        for &loss in &args.loss {
            for turn in 0..STACKS.len() as u64 {
                let after = (round + turn) % 2 == 1;
                play(&lab, args, (round, loss, after), &mut samples)?;
                simulate((round, loss, after), &mut samples)?;
            }
        }
    }
    println!("{}", table::markdown(&args.loss, args.rounds, &samples));
    Ok(())
}

fn world(loss: f64, sync_after_view: bool) -> Wan {
    Wan {
        sites: SITES,
        delay_ms_min: DELAY_MS.0,
        delay_ms_max: DELAY_MS.1,
        loss_permille: (10.0 * loss) as u16,
        rules: if sync_after_view { Rules::without(Rule::ParallelSync) } else { Rules::default() },
        wan_times: true,
    }
}

fn farthest(draw: &WanDraw) -> f64 {
    draw.delays_ms.iter().map(|(_, ms)| *ms).max().unwrap_or_default() as f64
}

/// One member is killed, joins and leaves, over real sockets.
fn play(
    lab: &Lab,
    args: &Args,
    (seed, loss, after): (u64, f64, bool),
    samples: &mut Samples,
) -> Result<(), String> {
    let draw = world(loss, after).draw(seed);
    let k = usize::try_from(draw.process.0).map_err(|e| e.to_string())?;
    let wires = Wires::start(lab, &draw.delays_ms, loss, seed)?;
    let _servers = lab.serve()?;
    let mut members = lab.members(after)?;
    let mut said = Vec::new();
    for change in WanChange::ALL {
        if members.is_disturbed(Duration::from_millis(args.calm_ms))? {
            samples.push("disturbed", 1.0);
        }
        let ms = match change {
            WanChange::Kill => members.kill(k),
            WanChange::Join => members.join(k),
            WanChange::Leave => members.leave(k),
        }?;
        samples.push(name("real", loss, after, change), ms);
        samples.push(name("trips", loss, after, change), ms / farthest(&draw));
        said.push(format!("{change:?} {ms:.0} ms").to_lowercase());
    }
    drop(members);
    wires.end(samples)?;
    lab.check()?;
    let stack = STACKS[usize::from(after)];
    eprintln!("round {seed}, {loss} % lost, sync {stack}: {}", said.join(", "));
    Ok(())
}

/// The same, simulated.
fn simulate((seed, loss, after): (u64, f64, bool), samples: &mut Samples) -> Result<(), String> {
    let timings = world(loss, after).changes(seed);
    for timing in timings.map_err(|stuck| format!("seed {seed}: {stuck}"))? {
        samples.push(name("sim", loss, after, timing.change), timing.took_ms as f64);
    }
    Ok(())
}
