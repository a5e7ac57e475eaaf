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
            return match lock(args, id)? {
                Lock::Held => Err(Failure(format!(
                    "process {id} of the store {} is running on this host, and holds {}: name another --id, or \
                     none for one that is free",
                    args.group,
                    path(args, id).display()
                ))),
                Lock::Taken(lock) => Ok(Self { process: ProcessId(id), _lock: Some(lock) }),
                Lock::None => Ok(Self { process: ProcessId(id), _lock: None }),
            };
        }
        for id in 1..=args.members {
            if let Lock::Taken(lock) = lock(args, id)? {
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

/// What became of the lock of an id.
enum Lock {
    Taken(File),
    /// Another process on this host has it.
    Held,
    /// Its file cannot be made: a named id does without.
    None,
}

/// The file of an id: of whoever keeps this store on this host.
fn path(args: &Args, id: u64) -> PathBuf {
    let name = format!("vs-kv-{}-{}-{id}.lock", args.deployment, args.group);
    std::env::temp_dir().join(name.replace('/', "_"))
}

/// Takes the id.
fn lock(args: &Args, id: u64) -> Result<Lock, Failure> {
    let path = path(args, id);
    let unusable = |error: &std::io::Error| {
        Failure(format!("cannot use {}: {error}; name an --id instead", path.display()))
    };
    let mut options = File::options();
    let file = options.create(true).truncate(false).write(true).open(&path);
    let file = match file {
        Ok(file) => file,
        Err(_) if args.id.is_some() => return Ok(Lock::None),
        Err(error) => return Err(unusable(&error)),
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock::Taken(file)),
        Err(Errno::WOULDBLOCK) => Ok(Lock::Held),
        Err(_) if args.id.is_some() => Ok(Lock::None),
        Err(error) => Err(unusable(&error.into())),
    }
}
