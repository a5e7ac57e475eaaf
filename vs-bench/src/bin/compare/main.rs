//! `compare`: this library, Corosync and the limit of raw UDP on one machine, interleaved in one
//! go; a table of the bars and plots of what is beside them.
//!
//! `cargo run --release -p vs-bench --bin compare -- --rounds 5 --out DIR` (as root: it makes
//! network namespaces)
//!
//! Each member, receiver or daemon is a process in a network namespace of its own. The namespaces
//! are on one bridge with an MTU of 1500. Every round measures everything once, so that noise of
//! the machine affects all alike; medians over the rounds count. Every process that is started is
//! ended, also after errors and signals. `vs-bench/README.md` says more.

mod corosync;
mod lab;
mod life;
mod measure;
mod member;
mod ours;
mod plot;
mod raw;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use vs_bench::process;
use vs_bench::samples::Samples;

/// The parts that can be measured alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Section {
    /// Messages a second, by size and members.
    Throughput,
    /// The same with datagrams dropped.
    Loss,
    /// One-way latency in an idle group.
    Latency,
    /// `kill -9` of a member until the others have the view.
    Kill,
    /// A member that stops silently.
    Silence,
    /// Processor time of an idle group.
    Idle,
}

#[derive(Clone, Debug, Parser)]
#[command(
    about = "Measures vs beside Corosync and raw UDP, in network namespaces; needs root, iproute2 and gcc",
    after_help = "Example: cargo run --release -p vs-bench --bin compare -- --rounds 5 --out measured"
)]
pub(crate) struct Args {
    /// How often everything is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Where the table, the plots and the samples go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Measure only these parts [default: all]
    #[arg(long, value_delimiter = ',')]
    only: Vec<Section>,
    /// Measure less of everything, for a first impression
    #[arg(long)]
    quick: bool,
    /// Length of each measurement, in s [default: 2; 0.5 with --quick]
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
    /// Go without Corosync
    #[arg(long)]
    without_corosync: bool,
    /// The command vs [default: built now]
    #[arg(long, value_name = "FILE")]
    vs: Option<PathBuf>,
    /// What carries our nodes where latency is not what counts, as in `vs perf --runtime`
    #[arg(long, default_value = "mio")]
    runtime: String,
}

impl Args {
    fn seconds(&self) -> f64 {
        self.seconds.unwrap_or(if self.quick { 0.5 } else { 2.0 })
    }

    /// What is measured, in the order of the table.
    fn sections(&self) -> impl Iterator<Item = Section> + '_ {
        Section::value_variants().iter().copied().filter(|section| self.wants(*section))
    }

    fn wants(&self, section: Section) -> bool {
        self.only.is_empty() || self.only.contains(&section)
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.split_first() {
        Some((first, rest)) if first == member::WORD => member::run(rest),
        _ => run(&Args::parse()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    process::watch_signals()?;
    std::fs::create_dir_all(&args.out).map_err(|e| format!("{}: {e}", args.out.display()))?;
    let lab = lab::Lab::set_up(args)?;
    let mut samples = Samples::default();
    for round in 1..=args.rounds {
        eprintln!("round {round} of {}", args.rounds);
        measure::round(&lab, args, &mut samples)?;
        // The samples are kept even if the next round fails.
        write(args, &samples)?;
    }
    println!("{}", table::markdown(args, &samples));
    Ok(())
}

fn write(args: &Args, samples: &Samples) -> Result<(), String> {
    for (name, text) in
        [("table.md", table::markdown(args, samples)), ("samples.json", samples.to_json())]
    {
        let path = args.out.join(name);
        std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    plot::all(args, samples)
}
