//! Threads on cores of their own.

use std::io;

/// Pins the calling thread to `core`, counted from 0.
///
/// # Errors
/// The system's: there is no such core, or it offers no pinning.
#[cfg(target_os = "linux")]
pub fn pin(core: usize) -> io::Result<()> {
    use rustix::thread::{CpuSet, sched_setaffinity};

    if core >= CpuSet::MAX_CPU {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

/// Pins the calling thread to `core`, where the system offers it.
///
/// # Errors
/// Always: it does not.
#[cfg(not(target_os = "linux"))]
pub fn pin(_core: usize) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
