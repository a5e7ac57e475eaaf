//! Which of the processes of a store this one is.

use std::fs::File;
use std::path::PathBuf;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use vs_core::ident::ProcessId;

use super::Args;
use crate::failure::Failure;

/// The id of this process, and the lock that keeps others on this host from it. The system takes it
/// back when the process ends, however it does.
pub(super) struct Seat {
    process: ProcessId,
    _lock: Option<File>,
}

impl Seat {
    /// The id that was named, or the least that is free on this host.
    pub(super) fn take(args: &Args) -> Result<Self, Failure> {
        if let Some(id) = args.id {
            return Ok(Self { process: ProcessId(id), _lock: lock(args, id)? });
        }
        for id in 1..=args.members {
            if let Some(lock) = lock(args, id)? {
                return Ok(Self { process: ProcessId(id), _lock: Some(lock) });
            }
        }
        Err(Failure(format!(
            "all {} processes of the store {} are running on this host: raise --members at all of them, or name \
             another --id for a copy that does not count",
            args.members, args.group
        )))
    }

    pub(super) fn process(&self) -> ProcessId {
        self.process
    }
}

/// Takes the id; `None` if another process on this host has it.
fn lock(args: &Args, id: u64) -> Result<Option<File>, Failure> {
    let name = format!("vs-kv-{}-{}-{id}.lock", args.deployment, args.group);
    let path: PathBuf = std::env::temp_dir().join(name.replace('/', "_"));
    let unusable = |error: &std::io::Error| {
        Failure(format!("cannot use {}: {error}; name an --id instead", path.display()))
    };
    let mut options = File::options();
    let file = options.create(true).truncate(false).write(true).open(&path);
    let file = match file {
        Ok(file) => file,
        // A named id needs no lock.
        Err(_) if args.id.is_some() => return Ok(None),
        Err(error) => return Err(unusable(&error)),
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(unusable(&error.into())),
    }
}
