//! `vs demo`: a group of real processes, what happens to it, and the verdict over what it did.

mod network;
mod numbers;
mod process;
mod stage;
mod story;
mod verdict;

use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicBool, Ordering};
use std::io;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::failure::Failure;
use network::{Network, Partition};
use stage::Stage;

/// Shows a group of real processes through a crash, joins, a pause, a partition and a merge, and
/// checks what they did
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: vs demo --traces run\n\n\
                  Exit status 0: every promised property held; 1: something failed, which is then named.")]
pub(crate) struct Args {
    /// Keep the traces of all processes in this directory
    #[arg(long, value_name = "DIR")]
    traces: Option<PathBuf>,
    /// What parts the network between the two sides
    #[arg(long, value_enum, value_name = "BY", default_value_t = Partition::Auto)]
    partition: Partition,
}

/// Where traces go: a directory of the user, or one that goes when nobody needs it any more.
#[derive(Debug)]
struct Traces {
    dir: PathBuf,
    keep: bool,
}

impl Traces {
    fn new(wanted: Option<PathBuf>) -> Result<Self, Failure> {
        let keep = wanted.is_some();
        let name = format!("vs-demo-{}", std::process::id());
        let dir = wanted.unwrap_or_else(|| std::env::temp_dir().join(name));
        let made = std::fs::create_dir_all(&dir);
        made.map_err(|e| Failure(format!("{}: the directory cannot be made: {e}", dir.display())))?;
        Ok(Self { dir, keep })
    }

    fn remove(&self) {
        // What stays in a directory for temporary files harms nobody.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Plays the story and judges it.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))
            .map_err(|e| Failure(format!("signals cannot be watched: {e}")))?;
    }
    let traces = Traces::new(args.traces)?;
    let result = play(&traces.dir, args.partition, Arc::clone(&interrupted));
    match (&result, traces.keep) {
        (_, true) => stage::line(&format!("The traces are in {}.", traces.dir.display())),
        (Err(_), false) if !interrupted.load(Ordering::Relaxed) => {
            stage::line(&format!("The traces stay in {} for a look.", traces.dir.display()));
        }
        (_, false) => traces.remove(),
    }
    result
}

fn play(dir: &Path, partition: Partition, interrupted: Arc<AtomicBool>) -> Result<(), Failure> {
    story::forget_traces(dir)?;
    let multicast = multicast()?;
    let network = Network::new(partition, &interrupted)?;
    let mut stage = Stage::new(dir.to_owned(), multicast, interrupted, network);
    let settled = story::play(&mut stage);
    let closed = stage.close();
    let settled = settled?;
    closed?;
    verdict::judge(dir, &settled)
}

/// A multicast address for this run alone: administratively scoped, with a port that is free now.
fn multicast() -> Result<String, Failure> {
    let port = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .and_then(|socket| socket.local_addr())
        .map_err(|e: io::Error| Failure(format!("no UDP port is free: {e}")))?
        .port();
    let [low, high, ..] = std::process::id().to_le_bytes();
    Ok(format!("239.255.{high}.{low}:{port}"))
}
