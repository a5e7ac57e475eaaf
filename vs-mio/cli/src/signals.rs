//! The signals that ask a process to end.

use core::sync::atomic::AtomicBool;
use std::fs;
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::failure::Failure;

/// The signals that ask this process to end. The end of its terminal does not, if it was started to
/// outlive that (`nohup`).
pub(crate) fn ending() -> Vec<i32> {
    let mut all = vec![SIGINT, SIGTERM];
    if !is_hangup_ignored() {
        all.push(SIGHUP);
    }
    all
}

/// What becomes true once one of them has arrived.
pub(crate) fn watch_ending() -> Result<Arc<AtomicBool>, Failure> {
    let ends = Arc::new(AtomicBool::new(false));
    for signal in ending() {
        signal_hook::flag::register(signal, Arc::clone(&ends))
            .map_err(|e| Failure(format!("signals cannot be watched: {e}")))?;
    }
    Ok(ends)
}

/// The terminal that a process was started from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    /// There was one, and its end is not to be ignored.
    counts: bool,
}

impl Terminal {
    /// That of this process.
    pub(crate) fn now() -> Self {
        Self { counts: !is_hangup_ignored() && is_there() }
    }

    /// Whether it has ended, and the process with it: the system sends SIGHUP then, which an
    /// operator may send, too.
    pub(crate) fn has_ended(self) -> bool {
        self.counts && !is_there()
    }
}

fn is_there() -> bool {
    fs::File::open("/dev/tty").is_ok()
}

/// Whether this process was told at its start to ignore the end of its terminal. Where the system
/// does not say, it was not.
fn is_hangup_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (SIGHUP - 1) & 1 == 1)
}
