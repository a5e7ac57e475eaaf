//! What the field does to real processes: one script for each complaint, in network namespaces of
//! its own. A script ends with 0 if it is as it should be, with 77 if it lacks a tool.
//!
//! ```console
//! # VS_FIELD=all cargo test -p vs-cli --test field
//! # VS_FIELD=dns,emfile VS=target/release/vs cargo test -p vs-cli --test field
//! ```
//!
//! Without `VS_FIELD` it does nothing, and says so: it needs root and iproute2. `VS` names another
//! binary than that of this build.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;

/// Cases that run at once.
const AT_ONCE: usize = 4;

/// Exit status of a script that cannot be run here.
const LACKS_A_TOOL: i32 = 77;

fn main() -> ExitCode {
    let Some(wanted) = std::env::var("VS_FIELD").ok() else {
        println!("field: skipped: say with VS_FIELD which cases there shall be, or all");
        return ExitCode::SUCCESS;
    };
    let works = |command: &str, args: &[&str]| {
        Command::new(command).args(args).output().is_ok_and(|output| output.status.success())
    };
    if !works("ip", &["netns", "list"]) {
        println!("field: skipped: ip netns does not work: it needs root and iproute2");
        return ExitCode::SUCCESS;
    }
    let failed = failing(&cases(&wanted));
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("field: not as it should be: {failed:?}");
    ExitCode::FAILURE
}

/// The scripts of the names in `wanted`, in order.
fn cases(wanted: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field/cases");
    let entries = std::fs::read_dir(&root).expect("the cases are part of the sources");
    let mut cases: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    let name = |case: &PathBuf| case.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    cases.retain(|case| name(case) != "lib");
    cases.sort();
    if wanted == "all" {
        return cases;
    }
    let names: Vec<String> = cases.iter().map(name).collect();
    for asked in wanted.split(',') {
        assert!(names.iter().any(|name| name == asked), "no case {asked}; there are {names:?}");
    }
    cases.retain(|case| wanted.split(',').any(|asked| asked == name(case)));
    cases
}

/// Those of `cases` that do not hold. Each has hosts of its own and waits most of the time, so some
/// run at once.
fn failing(cases: &[PathBuf]) -> Vec<PathBuf> {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            if !holds(case) {
                failed.lock().expect("no other case panicked").push(case.clone());
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
    failed.into_inner().expect("no case panicked")
}

fn holds(case: &Path) -> bool {
    let vs = std::env::var_os("VS").unwrap_or_else(|| env!("CARGO_BIN_EXE_vs").into());
    // It ends by itself long before.
    let bash = ["--kill-after=10", "180", "bash"];
    let (text, holds) = match Command::new("timeout").args(bash).arg(case).env("VS", vs).output() {
        Ok(output) => {
            let is_skipped = output.status.code() == Some(LACKS_A_TOOL);
            let end =
                if is_skipped { "field: skipped: it lacks what it names above\n" } else { "" };
            let (out, err) = (output.stdout, output.stderr);
            let text = [String::from_utf8_lossy(&out), String::from_utf8_lossy(&err)].concat();
            (text + end, is_skipped || output.status.success())
        }
        Err(error) => (format!("field: bash does not start: {error}\n"), false),
    };
    // In one piece, whatever runs beside.
    print!("field: {}\n{text}", case.display());
    holds
}
