//! What `compare` is told.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use vs_core::order::Order;

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
    /// Messages a second with all datagrams encrypted, beside those in the clear.
    Sealed,
}

/// What `compare` is told.
#[derive(Clone, Debug, Parser)]
#[command(
    about = "Measures vs beside Corosync and raw UDP, in network namespaces; needs root, iproute2 and gcc",
    after_help = "Example: cargo run --release -p vs-bench --bin compare -- --rounds 5 --out measured"
)]
pub(crate) struct Args {
    /// How often everything is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Where the table, the plots and the samples go
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Measure only these parts [default: all]
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<Section>,
    /// Measure less of everything, for a first impression
    #[arg(long)]
    pub(crate) quick: bool,
    /// Length of each measurement, in s [default: 2; 0.5 with --quick]
    #[arg(long, value_name = "S")]
    pub(crate) seconds: Option<f64>,
    /// Go without Corosync
    #[arg(long)]
    pub(crate) without_corosync: bool,
    /// The command vs [default: built now]
    #[arg(long, value_name = "FILE")]
    pub(crate) vs: Option<PathBuf>,
    /// What carries our nodes where latency is not what counts, as in `vs perf --runtime`
    #[arg(long, default_value = "mio")]
    pub(crate) runtime: String,
    /// The order of our group: fifo, causal, total or safe. Corosync's is agreed, which is total
    #[arg(long, default_value = "fifo", value_parser = |name: &str| Order::from_name(name).ok_or("fifo, causal, total or safe"))]
    pub(crate) order: Order,
}

impl Args {
    pub(crate) fn seconds(&self) -> f64 {
        self.seconds.unwrap_or(if self.quick { 0.5 } else { 2.0 })
    }

    /// What is measured, in the order of the table.
    pub(crate) fn sections(&self) -> impl Iterator<Item = Section> + '_ {
        Section::value_variants().iter().copied().filter(|section| self.wants(*section))
    }

    pub(crate) fn wants(&self, section: Section) -> bool {
        self.only.is_empty() || self.only.contains(&section)
    }
}
