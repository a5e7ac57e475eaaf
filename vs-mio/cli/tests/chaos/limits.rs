//! Limits that a process meets: its share of the processor, its files, the disk of its trace.

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

/// A process with a quota runs so long, and then is stopped for so long.
const RUNS: Duration = Duration::from_millis(2);
const RESTS: Duration = Duration::from_millis(98);
/// Room for the trace of a member, as `mount` has it.
const ROOM: &str = "1g";
/// Size of a page: the unit in which the room of a disk is counted.
const PAGE_BYTES: u64 = 4096;

/// Runs a process for 2 of 100 ms until it is dropped, the same on every machine: not every kernel
/// lets a test set a quota.
pub(crate) struct Throttle {
    goes_on: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Throttle {
    pub(crate) fn new(pid: u32) -> Self {
        let (goes_on, over) = mpsc::channel::<()>();
        let pid = to_pid(pid);
        let work = move || {
            let waits = |time| over.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
            let mut is_on = true;
            while is_on {
                // It is the driver's child, and not waited for before this ends.
                let _ = kill_process(pid, Signal::STOP);
                is_on = waits(RESTS);
                let _ = kill_process(pid, Signal::CONT);
                is_on = is_on && waits(RUNS);
            }
        };
        Self { goes_on: Some(goes_on), thread: Some(thread::spawn(work)) }
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        drop(self.goes_on.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn to_pid(pid: u32) -> Pid {
    i32::try_from(pid).ok().and_then(Pid::from_raw).expect("the system made it")
}

/// Sets how many files a process may open; what it had may be set again.
pub(crate) fn limit_files(pid: u32, limit: Rlimit) -> Rlimit {
    prlimit(Some(to_pid(pid)), Resource::Nofile, limit).expect("root may set limits")
}

/// A limit under which `had` is full at once, and can be had again.
pub(crate) fn no_file_more(had: &Rlimit) -> Rlimit {
    // Standard input, output and errors.
    Rlimit { current: Some(3), maximum: had.maximum }
}

/// A disk for one trace. Dropping it leaves its files in the directory in which it was mounted.
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// Mounted at `dir`, which is made.
    pub(crate) fn new(dir: PathBuf) -> Self {
        std::fs::create_dir_all(&dir).expect("the directory of traces can be written");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={ROOM}"), "vs-chaos"]).arg(&dir);
        assert!(mount.status().expect("mount starts").success(), "no disk at {}", dir.display());
        Self(dir)
    }

    /// No byte more fits `file`.
    pub(crate) fn fill(&self, file: &Path) {
        // It grows meanwhile.
        for _ in 0..100 {
            let bytes = std::fs::metadata(file).expect("there is a trace").len();
            let pages = bytes.div_ceil(PAGE_BYTES).max(1);
            if self.set_room(&(pages * PAGE_BYTES).to_string()) {
                return;
            }
        }
        panic!("the trace at {} outgrows its disk", file.display());
    }

    /// There is room again.
    pub(crate) fn free(&self) {
        assert!(self.set_room(ROOM), "no room at {}", self.0.display());
    }

    fn set_room(&self, size: &str) -> bool {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,size={size}")]).arg(&self.0);
        mount.output().expect("mount starts").status.success()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let kept = self.0.with_extension("kept");
        let copied = Command::new("cp").arg("-r").arg(&self.0).arg(&kept).status();
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        if copied.is_ok_and(|status| status.success()) {
            let _ = std::fs::remove_dir(&self.0);
            let _ = std::fs::rename(kept, &self.0);
        }
    }
}
