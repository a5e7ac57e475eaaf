//! Corosync: one daemon in each namespace, and clients of its closed process groups.

use core::fmt::Write;
use core::time::Duration;
use std::fs;
use std::path::Path;
use std::time::Instant;

use vs_bench::process::{self, PATIENCE, Process, output};
use vs_bench::samples::{Samples, median_of};

use crate::lab::{Lab, addr};

/// How often to check whether the daemons share a membership.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Microseconds between two messages of an idle group.
const GAP_US: &str = "2000";

/// Daemons in namespaces 1 to n. Dropping it ends them.
pub(crate) struct Corosync<'a> {
    lab: &'a Lab,
    client: &'a Path,
    pub(crate) daemons: Vec<Process>,
}

impl<'a> Corosync<'a> {
    /// Starts `members` daemons, and waits until they are together. `None` if we go without.
    pub(crate) fn start(lab: &'a Lab, members: usize) -> Result<Option<Self>, String> {
        Self::start_with(lab, members, CLEAR)
    }

    /// The same, with all that they send encrypted as `pcs` sets it up.
    pub(crate) fn encrypted(lab: &'a Lab, members: usize) -> Result<Option<Self>, String> {
        let key = lab.key_file(Path::new("corosync-keygen"), &["-k"])?;
        let totem = format!(
            "transport: knet\n  crypto_cipher: aes256\n  crypto_hash: sha256\n  keyfile: {key}\n"
        );
        Self::start_with(lab, members, &totem)
    }

    fn start_with(lab: &'a Lab, members: usize, totem: &str) -> Result<Option<Self>, String> {
        let Some(client) = lab.cpg_bench.as_deref() else { return Ok(None) };
        let mut all = Self { lab, client, daemons: Vec::new() };
        for k in 1..=members {
            let file = lab.dir.join(format!("corosync{k}.conf"));
            fs::write(&file, configuration(lab, members, k, totem))
                .map_err(|e| format!("{}: {e}", file.display()))?;
            // Its runtime files are in fixed places, so each daemon gets its own.
            let script = format!(
                "mount --make-rprivate / && mount -t tmpfs tmpfs /run && mkdir -p /run/corosync && \
                 mount -t tmpfs tmpfs /var/lib/corosync && exec corosync -f -c {}",
                file.display()
            );
            let mut command = lab.command(k, "unshare");
            command.args(["-m", "sh", "-c", &script]);
            all.daemons.push(Process::start(format!("corosync {k}"), command)?);
        }
        let until = Instant::now() + PATIENCE;
        while all.joined() < members {
            process::pause(LOOK_EVERY)?;
            for daemon in &mut all.daemons {
                daemon.check_alive()?;
            }
            if Instant::now() > until {
                return Err(format!("{members} Corosync daemons did not come together"));
            }
        }
        Ok(Some(all))
    }

    /// Daemons that the first one sees as members.
    fn joined(&self) -> usize {
        let map = output(self.lab.command(1, "corosync-cmapctl")).unwrap_or_default();
        let is_joined =
            |line: &&str| line.contains("runtime.members") && line.ends_with("= joined");
        map.lines().filter(is_joined).count()
    }

    fn clients(&self, mode: &str, words: &[&str], seconds: f64) -> Result<Vec<String>, String> {
        let members = self.daemons.len();
        let (count, secs) = (members.to_string(), seconds.to_string());
        let mut clients = Vec::new();
        for k in 1..=members {
            let own = (k - 1).to_string();
            let all = ["-M", mode, "-n", &count, "-t", &secs, "-k", &own];
            clients.push(self.lab.start(k, self.client, all.iter().chain(words))?);
        }
        let patience = Duration::from_secs_f64(seconds) + PATIENCE;
        let mut lines = Vec::new();
        for client in clients {
            lines.extend(client.finish(patience)?);
        }
        Ok(lines)
    }

    /// Delivered messages a second, the median of the members.
    pub(crate) fn throughput(
        &self,
        senders: usize,
        bytes: usize,
        seconds: f64,
    ) -> Result<f64, String> {
        let (senders, size) = (senders.to_string(), bytes.to_string());
        let lines = self.clients("tput", &["-S", &senders, "-s", &size], seconds)?;
        median_of(&lines, "msgs_s").ok_or_else(|| "cpg_bench said nothing of its rate".into())
    }

    /// Time until a message is delivered at the others, in µs.
    pub(crate) fn latency(
        &self,
        bytes: usize,
        seconds: f64,
        samples: &mut Samples,
        name: &str,
    ) -> Result<(), String> {
        let size = bytes.to_string();
        let mut lines = self.clients("lat", &["-i", GAP_US, "-s", &size], seconds)?;
        lines.retain(|line| line.contains("kind=remote"));
        for quantile in ["p50", "p90", "p99", "p999", "max"] {
            let value = median_of(&lines, &format!("{quantile}_us"));
            samples.push(format!("{name}/{quantile}"), value.ok_or("cpg_bench said nothing")?);
        }
        Ok(())
    }

    /// Starts a client that prints each change of its group.
    pub(crate) fn watch(&self, k: usize) -> Result<Process, String> {
        let own = (k - 1).to_string();
        self.lab.start(k, self.client, ["-M", "watch", "-t", "3600", "-k", &own])
    }
}

/// How daemons reach each other in the clear: by multicast, which is the fastest.
const CLEAR: &str = "transport: udp\n  crypto_cipher: none\n  crypto_hash: none\n  interface {\n    ringnumber: 0\n    \
                     bindnetaddr: 10.77.0.0\n    mcastaddr: 239.255.1.1\n    mcastport: 5405\n  }\n";

fn configuration(lab: &Lab, members: usize, own: usize, totem: &str) -> String {
    let log = lab.dir.join(format!("corosync{own}.log"));
    let mut nodes = String::new();
    for k in 1..=members {
        // Writing to a string does not fail.
        let _ = writeln!(
            nodes,
            "  node {{\n    nodeid: {k}\n    name: n{k}\n    ring0_addr: {}\n  }}",
            addr(k)
        );
    }
    format!(
        "totem {{\n  version: 2\n  cluster_name: bench\n  {totem}}}\nnodelist {{\n{nodes}}}\nlogging {{\n  to_stderr: \
         no\n  to_syslog: no\n  to_logfile: yes\n  logfile: {}\n}}\nsystem {{\n  allow_knet_handle_fallback: yes\n}}\n",
        log.display()
    )
}
