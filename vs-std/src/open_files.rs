//! How many files and sockets this process may open.

use std::fs;

use rustix::process::{Resource, getrlimit};

/// Files that stay free for what a process opens besides: the listener, what its loop waits with,
/// beacons, traces.
const SPARE: u64 = 8;

/// Connections that are being closed and names that are looked up take files, too: for them stays
/// free an eighth of the limit, or this number if it is less.
const PASSING_MAX: u64 = 64;

/// The limit of open files of this process, and what it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    /// How many may be open: the soft limit that `ulimit -n` shows.
    pub limit: u64,
    /// How many more connections there may be: what is open already and some to spare are taken
    /// off.
    pub connections: usize,
}

impl OpenFiles {
    /// As it is now. `None`: there is no limit.
    #[must_use]
    pub fn now() -> Option<Self> {
        let limit = getrlimit(Resource::Nofile).current?;
        let open = fs::read_dir("/dev/fd").map_or(0, |files| files.count() as u64);
        let connections = limit.saturating_sub(open + SPARE + PASSING_MAX.min(limit / 8));
        Some(Self { limit, connections: usize::try_from(connections).unwrap_or(usize::MAX) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_taken_off_the_limit() {
        if let Some(files) = OpenFiles::now() {
            assert!((files.connections as u64) < files.limit);
        }
    }
}
