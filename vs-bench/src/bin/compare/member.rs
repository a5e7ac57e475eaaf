//! A member that tells its views, as `cpg_bench` does for Corosync: `compare` runs itself for it.
//!
//! `vs node --json` would do, too, but it tells of every step of a change in the middle of it, to
//! another process on the cores that measure.

use core::fmt::Display;
use core::net::{Ipv4Addr, SocketAddr};
use core::ops::ControlFlow;
use core::time::Duration;
use std::io::{Write, stdout};
use std::time::{SystemTime, UNIX_EPOCH};

use vs_core::ident::{GroupName, ProcessId};
use vs_std::udp::UdpConfig;
use vs_std::{EventRef, Group, JoinOptions};

/// The first word of the command line that asks for it; the process id, the address and the server
/// follow.
pub(crate) const WORD: &str = "member";

/// Where members multicast.
const MULTICAST: &str = "239.86.83.1:7586";

/// A wait for the next view lasts at most so long, and begins again.
const AGAIN: Duration = Duration::from_secs(3600);

/// Runs until it is killed.
pub(crate) fn run(words: &[String]) -> Result<(), String> {
    let [id, bind, server] = words else { return Err("member ID IP SERVER".into()) };
    let wrong = |e: &dyn Display| format!("member: {e}");
    let bind: Ipv4Addr = bind.parse().map_err(|e| wrong(&e))?;
    let udp = UdpConfig::new(bind, MULTICAST.parse::<SocketAddr>().map_err(|e| wrong(&e))?);
    let process = ProcessId(id.parse().map_err(|e| wrong(&e))?);
    let server = server.parse().map_err(|e| wrong(&e))?;
    let name = GroupName::new("compare").map_err(|e| wrong(&e))?;
    let options = JoinOptions::new(process, vec![server], udp);
    let mut group = Group::join(&name, options).map_err(|e| wrong(&e))?;
    loop {
        let mut told = Ok(());
        group
            .recv_with(AGAIN, |event| {
                if let EventRef::View { view, .. } = event {
                    told = tell(view.len());
                }
                ControlFlow::Continue(())
            })
            .map_err(|e| wrong(&e))?;
        told.map_err(|e| wrong(&e))?;
    }
}

/// A line that says when there was a view of so many members, in ns of UNIX time.
fn tell(members: usize) -> std::io::Result<()> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut out = stdout().lock();
    writeln!(out, "view ts={} members={members}", since.as_nanos())?;
    out.flush()
}
