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

mod args;
mod corosync;
mod lab;
mod life;
mod measure;
mod member;
mod ours;
mod plot;
mod raw;
mod table;

use std::process::ExitCode;

use args::Args;
use clap::Parser;
use vs_bench::process;
use vs_bench::samples::Samples;

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
