//! A packet filter inside a process, for `vs demo`: it parts the network where there are no rights
//! to do it outside.

use core::net::IpAddr;

use signal_hook::consts::{SIGUSR1, SIGUSR2};

/// Whom a signal cuts off.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// SIGUSR1: nothing passes between this process and those at this address any more; SIGUSR2: it
    /// does again
    #[arg(long = "cut", value_name = "IP", hide = true)]
    addr: Option<IpAddr>,
}

impl Cut {
    /// The signals that the process listens to, besides `all`.
    pub(crate) fn signals(self, mut all: Vec<i32>) -> Vec<i32> {
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
