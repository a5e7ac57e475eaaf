//! Instructions that a delivered message takes in the core, counted by callgrind: the same on every
//! run, however busy the machine is, so that a change of a hundredth is seen.
//!
//! `cargo run --release -p vs-bench --bin instructions` (valgrind has to be installed); with
//! `--order total` in groups of one order for all members.
//!
//! It runs itself under `valgrind --tool=callgrind`, each path twice, with few and with many
//! bursts. The difference is what the bursts took: making the nodes and their views is in both.
//! Paths are those of the bench `core_path`, and so is what is left out: no system calls, no loss,
//! all members in one thread, the little that hands datagrams around counted in.

use std::io::ErrorKind;
use std::path::{Path as FilePath, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use clap::Parser;
use vs_bench::path::Path;
use vs_core::order::Order;

/// Bursts of the short and of the long run. Acknowledgements by timer come each 80 bursts or so.
const BURSTS: [u64; 2] = [160, 480];

/// Members, senders among them, and bytes of a message.
const PATHS: [(usize, usize, usize); 10] = [
    (2, 1, 64),
    (2, 1, 1024),
    (3, 1, 64),
    (3, 1, 1024),
    (3, 1, 8192),
    (3, 1, 65536),
    (3, 3, 64),
    (3, 3, 1024),
    (5, 1, 64),
    (5, 1, 1024),
];

#[derive(Parser)]
#[command(about = "Instructions a delivered message takes in the core, counted by callgrind")]
struct Args {
    /// Keep what callgrind writes here, for callgrind_annotate
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The order of the groups: fifo, causal, total or safe
    #[arg(long, value_name = "ORDER", default_value = "fifo", value_parser = |name: &str| Order::from_name(name).ok_or("fifo, causal, total or safe"))]
    order: Order,
    /// What runs under callgrind: MEMBERS SENDERS BYTES BURSTS
    #[arg(long, hide = true, num_args = 4)]
    path: Option<Vec<u64>>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some([members, senders, bytes, bursts]) = args.path.as_deref() {
        walk((*members as usize, *senders as usize, *bytes as usize), args.order, *bursts);
        return ExitCode::SUCCESS;
    }
    match table(args.order, args.out.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

fn walk((members, senders, bytes): (usize, usize, usize), order: Order, bursts: u64) {
    let mut path = Path::new(members, senders, bytes, order);
    (0..bursts).for_each(|_| path.burst());
}

fn table(order: Order, out: Option<&FilePath>) -> Result<(), String> {
    if let Some(dir) = out {
        fs::create_dir_all(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    }
    println!("| members | senders | bytes | instructions a delivered message | a byte |");
    println!("|---------|---------|-------|----------------------------------|--------|");
    for (members, senders, bytes) in PATHS {
        let [short, long] = BURSTS
            .map(|bursts| instructions(&[members, senders, bytes, bursts as usize], order, out));
        let delivered = Path::new(members, senders, bytes, order).delivered_by_burst();
        let spent = long?.saturating_sub(short?) as f64;
        let each = spent / (delivered * (BURSTS[1] - BURSTS[0])) as f64;
        let a_byte = each / bytes as f64;
        println!("| {members:>7} | {senders:>7} | {bytes:>5} | {each:>32.1} | {a_byte:>6.2} |");
    }
    Ok(())
}

/// Instructions that this program executes with `--path` and `numbers`.
fn instructions(numbers: &[usize], order: Order, out: Option<&FilePath>) -> Result<u64, String> {
    let own = env::current_exe().map_err(|e| format!("where this program is: {e}"))?;
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    let file = out.map_or_else(
        || PathBuf::from("/dev/null"),
        |dir| dir.join(format!("callgrind.out.{}", numbers.join("-"))),
    );
    let run = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(own)
        .args(["--order", order.name()])
        .arg("--path")
        .args(&numbers)
        .output();
    let output = run.map_err(|e| match e.kind() {
        ErrorKind::NotFound => "valgrind is not installed: apt-get install valgrind".into(),
        _ => format!("valgrind does not start: {e}"),
    })?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    let count = collected.and_then(|(_, count)| count.trim().parse().ok());
    count.ok_or_else(|| format!("valgrind failed ({}): {said}", output.status))
}
