//! `vs perf`: throughput and latency of real processes over real sockets; what is delivered is
//! verified.

mod args;
mod latency;
mod member;
mod participant;
mod payload;
mod report;
mod stage;

use crate::failure::Failure;

pub(crate) use args::Args;

/// Measures.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let (_, config) = args.configs();
    args.load.check(&config)?;
    if args.attach { participant::run(&args) } else { stage::run(&args) }
}
