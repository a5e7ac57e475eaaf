//! `vs demo`: a group of real processes, what happens to it, and the verdict over what it did.

mod network;
mod numbers;
mod process;
mod stage;
mod story;
mod verdict;

use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicBool, Ordering};
use std::fs::DirBuilder;
use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::failure::Failure;
use crate::signals::watch_ending;
use crate::{check, draw, keys};
use network::{Network, Partition};
use stage::Stage;

/// Shows a group of real processes through a crash, joins, a pause, a partition and a merge, and
/// checks what they did
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: vs demo --traces run --out run.html\n\n\
                  Exit status 0: every promised property held; 1: something failed, which is then named.")]
pub(crate) struct Args {
    /// Keep the traces of all processes in this directory
    #[arg(long, value_name = "DIR")]
    traces: Option<PathBuf>,
    /// Where to write the diagram of the run: one HTML page for a browser, in place of what is
    /// there [default: beside the traces, or in a new directory for temporary files]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// What parts the network between the two sides
    #[arg(long, value_enum, value_name = "BY", default_value_t = Partition::Auto)]
    partition: Partition,
    #[command(flatten)]
    keys: keys::Sealing,
}

/// Names that are tried for a new directory, one after another.
const TRIES_MAX: u32 = 100;

/// Where traces go: a directory of the user, or one that goes when nobody needs it any more.
#[derive(Debug)]
struct Traces {
    dir: PathBuf,
    keep: bool,
}

impl Traces {
    fn new(wanted: Option<PathBuf>) -> Result<Self, Failure> {
        let keep = wanted.is_some();
        let made = match &wanted {
            Some(dir) => std::fs::create_dir_all(dir).map(|()| dir.clone()),
            None => make_new(&std::env::temp_dir()),
        };
        let there = wanted.unwrap_or_else(std::env::temp_dir);
        let dir = made
            .map_err(|e| Failure(format!("{}: no directory can be made: {e}", there.display())))?;
        Ok(Self { dir, keep })
    }

    /// Removes the traces, and the directory unless something else lies in it: what stays in a
    /// directory for temporary files harms nobody.
    fn remove(&self) {
        for trace in check::files(core::slice::from_ref(&self.dir)).unwrap_or_default() {
            let _ = std::fs::remove_file(trace);
        }
        let _ = std::fs::remove_dir(&self.dir);
    }
}

/// Makes a directory in `place`, where others may write, too. It is new, and nobody else may look
/// into it: what others have put there under its name, a link to elsewhere for example, is passed
/// over.
fn make_new(place: &Path) -> io::Result<PathBuf> {
    let process = std::process::id();
    let mut tries = 0;
    loop {
        let dir = place.join(format!("vs-demo-{process}-{tries}"));
        match DirBuilder::new().mode(0o700).create(&dir) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists && tries < TRIES_MAX => tries += 1,
            made => return made.map(|()| dir),
        }
    }
}

/// Plays the story and judges it.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    // What is wrong with them is told before anything is made.
    args.keys.keys([], "")?;
    let interrupted = watch_ending()?;
    let traces = Traces::new(args.traces)?;
    let result = play(&traces.dir, args.partition, &args.keys, Arc::clone(&interrupted));
    let out = args.out.unwrap_or_else(|| traces.dir.join("demo.html"));
    // What failed is worth a look, too; what was broken off is not.
    let result = match interrupted.load(Ordering::Relaxed) {
        true => result,
        false => {
            let shown = show(&traces.dir, &out);
            result.and(shown)
        }
    };
    match (&result, traces.keep) {
        (_, true) => stage::line(&format!("The traces are in {}.", traces.dir.display())),
        (Err(_), false) if !interrupted.load(Ordering::Relaxed) => {
            stage::line(&format!("The traces stay in {} for a look.", traces.dir.display()));
        }
        (_, false) => traces.remove(),
    }
    result
}

/// Draws what happened, and says where.
fn show(dir: &Path, out: &Path) -> Result<(), Failure> {
    draw::draw(&check::files(&[dir.to_owned()])?, out)?;
    let shown = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
    stage::line(&format!("The diagram of it is in {}: open it in a browser.", shown.display()));
    Ok(())
}

fn play(
    dir: &Path,
    partition: Partition,
    keys: &keys::Sealing,
    interrupted: Arc<AtomicBool>,
) -> Result<(), Failure> {
    story::forget_traces(dir)?;
    let multicast = multicast()?;
    let network = Network::new(partition, &interrupted)?;
    let keys = keys.to_args_of_own_network();
    let mut stage = Stage::new(dir.to_owned(), multicast, interrupted, network, keys);
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    /// Whoever made a link under the name of the next demo had its traces written where it led.
    #[test]
    fn directory_of_demo_is_new_and_private() {
        let place = std::env::temp_dir().join(format!("vs-test-{}", std::process::id()));
        std::fs::create_dir_all(place.join("elsewhere")).unwrap();
        let name = |n: u32| place.join(format!("vs-demo-{}-{n}", std::process::id()));
        symlink(place.join("elsewhere"), name(0)).unwrap();
        let made = make_new(&place).unwrap();
        assert_eq!(made, name(1));
        let there = std::fs::symlink_metadata(&made).unwrap();
        assert!(there.is_dir() && there.mode() & 0o777 == 0o700, "{:o}", there.mode());
        std::fs::remove_dir_all(&place).unwrap();
    }
}
