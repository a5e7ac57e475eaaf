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

    /// How many connections a server may have, and how many strangers, of these that are wanted
    /// ([`ServerConfig`](vs_core::member::ServerConfig)). With keys strangers are open beside the
    /// others: where there is not room for all, an eighth of it is for them.
    #[must_use]
    pub fn fit(&self, connections_max: usize, strangers_max: usize, keys: bool) -> (usize, usize) {
        let all = self.connections.max(2);
        if !keys {
            return (connections_max.min(all), strangers_max);
        }
        if connections_max.saturating_add(strangers_max) <= all {
            return (connections_max, strangers_max);
        }
        let strangers_max = strangers_max.min(all / 8).max(1);
        (connections_max.min(all - strangers_max), strangers_max)
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

    #[test]
    fn strangers_of_sealed_servers_take_files_of_their_own() {
        let files = OpenFiles { limit: 1024, connections: 940 };
        assert_eq!(files.fit(4096, 1024, false), (940, 1024));
        assert_eq!(files.fit(4096, 1024, true), (823, 117));
        assert_eq!(files.fit(500, 400, true), (500, 400), "all have room");
        let none = OpenFiles { limit: 8, connections: 0 };
        assert_eq!(none.fit(4096, 1024, true), (1, 1));
    }
}
