//! Many members that come at once, and go at once.

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use crate::hosts::Hosts;
use crate::plan::Host;
use crate::processes::{append, in_host, join, vs};

/// Ids of a crowd are above this times the number of its fault: no two processes have one.
const IDS: u64 = 1000;
/// Who is told to leave is gone within so long.
const LEAVE_MAX: Duration = Duration::from_secs(45);

/// The crowd of the moment, if there is one.
pub(crate) struct Crowd {
    traces: PathBuf,
    list: Vec<Child>,
}

impl Crowd {
    /// Nobody yet. They will leave their traces in `traces`.
    pub(crate) fn new(traces: &Path) -> Self {
        Self { traces: traces.to_owned(), list: Vec::new() }
    }

    /// `count` come, spread over the hosts of the members.
    pub(crate) fn join(&mut self, hosts: &Hosts, fault: u32, count: u8) {
        let dir = self.traces.join("crowds");
        std::fs::create_dir_all(&dir).expect("the directory of traces can be written");
        for (k, host) in (0..count).zip(Host::members().into_iter().cycle()) {
            let id = u64::from(fault) * IDS + u64::from(k);
            let mut command = in_host(hosts, host);
            command.env("TMPDIR", &self.traces);
            command.arg(vs()).args(join(id, &dir.join(format!("{id}.jsonl"))));
            command.stdin(Stdio::null()).stdout(Stdio::null());
            command.stderr(append(&self.traces.join("crowds.log")));
            self.list.push(command.spawn().expect("ip starts"));
        }
    }

    /// All go: they leave, or are killed.
    pub(crate) fn go(&mut self, leave: bool) -> Result<(), String> {
        let signal = if leave { Signal::TERM } else { Signal::KILL };
        for child in &self.list {
            // Not waited for before, so it is no other process.
            let _ = kill_process(Pid::from_child(child), signal);
        }
        let since = Instant::now();
        for mut child in self.list.drain(..) {
            loop {
                match child.try_wait().expect("a child can be asked") {
                    // Nothing, if the signal came before it was awaited.
                    Some(how) if how.success() || how.code().is_none() => break,
                    Some(how) => return Err(format!("one of a crowd ended by itself: {how}")),
                    None if since.elapsed() > LEAVE_MAX => {
                        return Err("one of a crowd was told to leave, and stays".into());
                    }
                    None => std::thread::park_timeout(Duration::from_millis(5)),
                }
            }
        }
        Ok(())
    }
}

/// The traces of all crowds of a run.
pub(crate) fn traces(traces: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(traces.join("crowds")).into_iter().flatten();
    let files = entries.filter_map(Result::ok).map(|entry| entry.path());
    // Killed before it wrote a line.
    let has_begun = |file: &PathBuf| std::fs::metadata(file).is_ok_and(|at| at.len() > 0);
    files.filter(has_begun).collect()
}
