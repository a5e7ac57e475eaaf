//! A packet filter inside a process, for `vs demo`: it parts the network where there are no rights
//! to do it outside.

use core::net::IpAddr;

use std::fs;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};

/// Whom a signal cuts off.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// SIGUSR1: nothing passes between this process and those at this address any more; SIGUSR2: it
    /// does again
    #[arg(long = "cut", value_name = "IP", hide = true)]
    addr: Option<IpAddr>,
}

impl Cut {
    /// The signals that the process listens to. One that was started to outlive its terminal
    /// (`nohup`) goes on without it.
    pub(crate) fn signals(self) -> Vec<i32> {
        let mut all = vec![SIGINT, SIGTERM];
        if !is_hangup_ignored() {
            all.push(SIGHUP);
        }
        if self.addr.is_some() {
            all.extend([SIGUSR1, SIGUSR2]);
        }
        all
    }

    /// Who is cut off after `signal`; `None` if it asks the process to end.
    pub(crate) fn after(self, signal: i32) -> Option<Option<IpAddr>> {
        match signal {
            SIGUSR1 => Some(self.addr),
            SIGUSR2 => Some(None),
            _ => None,
        }
    }
}

/// Whether whoever started this process has it ignore the end of its terminal, as far as the system
/// tells.
fn is_hangup_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (SIGHUP - 1) & 1 == 1)
}
