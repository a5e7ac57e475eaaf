//! The limit: raw UDP multicast, and raw UDP ping-pong.

use core::time::Duration;

use vs_bench::process::PATIENCE;
use vs_bench::samples::{Samples, median_of};

use crate::lab::{Lab, addr};

const PORT: &str = "47000";

/// Datagrams that the sender may have unacknowledged.
const WINDOW_DATAGRAMS: u64 = 512;

/// Sends datagrams of `bytes` from one to `receivers`, with or without segmentation offload; what
/// arrives, in datagrams a second at each.
pub(crate) fn multicast(
    lab: &Lab,
    receivers: usize,
    bytes: usize,
    offload: bool,
    seconds: f64,
) -> Result<f64, String> {
    let (tx, rx) = if offload { ("gso", "gro") } else { ("plain", "plain") };
    let (size, secs) = (bytes.to_string(), seconds.to_string());
    let every = (WINDOW_DATAGRAMS / 8).to_string();
    let mut listeners = Vec::new();
    for k in 2..=receivers + 1 {
        let here = addr(k);
        let words = ["rx", "-i", &here, "-p", PORT, "-s", &size, "-m", rx, "-c", &every, "-t", "2"];
        listeners.push(lab.start(k, &lab.mcraw, words)?);
    }
    for listener in &listeners {
        listener.wait_for("ready", PATIENCE)?;
    }
    let (here, window, count) = (addr(1), WINDOW_DATAGRAMS.to_string(), receivers.to_string());
    let words = ["tx", "-i", &here, "-p", PORT, "-s", &size, "-m", tx, "-w", &window];
    let words = words.into_iter().chain(["-n", &count, "-t", &secs]);
    let patience = Duration::from_secs_f64(seconds) + PATIENCE;
    lab.start(1, &lab.mcraw, words)?.finish(patience)?;
    let mut lines = Vec::new();
    for listener in listeners {
        lines.extend(listener.finish(PATIENCE)?);
    }
    median_of(&lines, "pps").ok_or_else(|| "mcraw said nothing of its rate".into())
}

/// Ping-pong of `bytes` between two; one way is half of a round trip, in µs. Busy: both look again
/// and again, each on a core of its own.
pub(crate) fn ping_pong(
    lab: &Lab,
    bytes: usize,
    busy: bool,
    seconds: f64,
    samples: &mut Samples,
    name: &str,
) -> Result<(), String> {
    let (size, here, there) = (bytes.to_string(), addr(1), addr(2));
    let options = |core: &'static str| if busy { vec!["-b", "-a", core] } else { vec![] };
    let (longer, secs) = ((seconds + 1.0).to_string(), seconds.to_string());
    let mut words = vec!["pong", "-i", &there, "-p", PORT, "-s", &size, "-t", &longer];
    words.extend(options("1"));
    let pong = lab.start(2, &lab.mcraw, words)?;
    pong.wait_for("ready", PATIENCE)?;
    let mut words = vec!["ping", "-i", &here, "-d", &there, "-p", PORT, "-s", &size, "-t", &secs];
    words.extend(options("0"));
    let ping = lab.start(1, &lab.mcraw, words)?;
    let lines = ping.finish(Duration::from_secs_f64(seconds) + PATIENCE)?;
    for quantile in ["p50", "p90", "p99", "p999", "max"] {
        let trip = median_of(&lines, &format!("{quantile}_us")).ok_or("mcraw said nothing")?;
        samples.push(format!("{name}/{quantile}"), trip / 2.0);
    }
    Ok(())
}
