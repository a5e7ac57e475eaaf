//! How many files and sockets this process may open.

use std::fs::File;
use std::os::fd::AsRawFd;

use rustix::process::{Resource, getrlimit};

/// Files that stay free for what a process opens besides: the listener, what its loop waits with,
/// beacons, traces, lookups of names.
const SPARE: u64 = 10;

/// The limit of open files of this process, and what it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    /// How many may be open: the soft limit that `ulimit -n` shows.
    pub limit: u64,
    /// How many more connections there may be: what is open already and ten to spare are taken
    /// off.
    pub connections: usize,
}

impl OpenFiles {
    /// As it is now. `None`: there is no limit.
    #[must_use]
    pub fn now() -> Option<Self> {
        let limit = getrlimit(Resource::Nofile).current?;
        // The lowest free number is given first, so it tells how many are taken.
        let taken = File::open("/dev/null").map_or(limit, |file| file.as_raw_fd() as u64);
        let connections = limit.saturating_sub(taken + SPARE);
        Some(Self { limit, connections: usize::try_from(connections).unwrap_or(usize::MAX) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_taken_off_the_limit() {
        let Some(before) = OpenFiles::now() else { return };
        assert!((before.connections as u64) < before.limit);
        let more: Vec<_> = (0..64).map(|_| File::open("/dev/null").unwrap()).collect();
        assert!(OpenFiles::now().unwrap().connections + 32 < before.connections + more.len());
    }
}
