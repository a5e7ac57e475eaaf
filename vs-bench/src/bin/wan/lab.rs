//! Where everything runs: a network namespace for each site, and one with the wires between them.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{env, fs, process};

use rustix::process::Signal;
use vs_bench::members::{Members, parse_node};
use vs_bench::process::{PATIENCE, Process, output};
use vs_bench::programs::{build_vs, compile};
use vs_bench::samples::{Samples, field};
use vs_core::sim::WAN_MEMBERS;

/// Where the server of a site listens.
const PORT: u16 = 7000;

/// What is added to a delay at most, of 1000 of it.
const JITTER_PERMILLE: &str = "100";

/// Offloads leave checksums and segmentation to a network card, and here is none.
const OFFLOADS: &str = "rx off tx off sg off tso off gso off gro off";

/// What a frame is lost of.
const LOSS_PARTS: f64 = 100_000.0;

/// The end: the namespaces go, who still lives in them, and the directory. It waits in a process of
/// its own for the end of its input, which comes however this program ends.
const UNDERTAKER: &str = r#"
trap '' INT TERM HUP
read -r _
dir=$1
shift
for ns in "$@"; do
    for pid in $(ip netns pids "$ns" 2>/dev/null); do kill -9 "$pid" 2>/dev/null; done
    ip netns del "$ns" 2>/dev/null
done
rm -rf "$dir"
"#;

/// The sites. Dropping it takes all of it down.
#[derive(Debug)]
pub(crate) struct Lab {
    prefix: String,
    sites: u64,
    dir: PathBuf,
    vs: PathBuf,
    wire: PathBuf,
    undertaker: Child,
}

impl Lab {
    /// Builds the programs and makes the network.
    pub(crate) fn set_up(sites: u64, vs: Option<&Path>) -> Result<Self, String> {
        let prefix = format!("wn{}", process::id());
        let dir = env::temp_dir().join(&prefix);
        // New, and for this user alone: programs that are made there are run.
        let made = fs::DirBuilder::new().mode(0o700).create(&dir);
        made.map_err(|e| format!("{}: {e}", dir.display()))?;
        let vs = match vs {
            Some(path) => path.to_owned(),
            None => build_vs()?,
        };
        let wire = compile("wan/wire.c", &dir, &[])
            .map_err(|e| format!("wire.c does not compile (apt-get install gcc): {e}"))?;
        let names = (1..=sites).map(|site| format!("{prefix}s{site}"));
        let undertaker = Command::new("sh")
            .args(["-c", UNDERTAKER, "undertaker"])
            .arg(&dir)
            .args(names)
            .arg(format!("{prefix}w"))
            .stdin(Stdio::piped())
            .spawn()
            .map_err(|e| format!("sh cannot be started: {e}"))?;
        let lab = Self { prefix, sites, dir, vs, wire, undertaker };
        lab.make(&lab.middle())?;
        for site in 1..=sites {
            lab.make(&lab.site(site))?;
            lab.connect(site)?;
        }
        Ok(lab)
    }

    fn site(&self, site: u64) -> String {
        format!("{}s{site}", self.prefix)
    }

    /// Where the wires are.
    fn middle(&self) -> String {
        format!("{}w", self.prefix)
    }

    fn make(&self, ns: &str) -> Result<(), String> {
        run("ip", &format!("netns add {ns}"))
            .map_err(|e| format!("network namespaces need root and iproute2: {e}"))?;
        run("ip", &format!("-n {ns} link set lo up"))
    }

    /// Plugs a site in. It knows the others: nobody asks for addresses, which would be a round trip
    /// more.
    fn connect(&self, site: u64) -> Result<(), String> {
        let (ns, middle) = (self.site(site), self.middle());
        let end = format!("type veth peer name v{site} netns {middle}");
        run("ip", &format!("-n {ns} link add eth0 address {} {end}", mac(site)))?;
        for (ns, name) in [(&ns, "eth0"), (&middle, &*format!("v{site}"))] {
            run("ip", &format!("-n {ns} link set {name} up mtu 1500"))?;
            run("ip", &format!("netns exec {ns} ethtool -K {name} {OFFLOADS}")).map_err(|e| {
                format!("offloads cannot be switched off (apt-get install ethtool): {e}")
            })?;
        }
        run("ip", &format!("-n {ns} addr add {}/24 dev eth0", addr(site)))?;
        run("ip", &format!("-n {ns} route add 224.0.0.0/4 dev eth0"))?;
        for other in (1..=self.sites).filter(|other| *other != site) {
            let (addr, mac) = (addr(other), mac(other));
            run("ip", &format!("-n {ns} neigh add {addr} lladdr {mac} dev eth0 nud permanent"))?;
        }
        Ok(())
    }

    fn start(&self, ns: &str, program: &Path, words: &[String]) -> Result<Process, String> {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", ns]).arg(program).args(words);
        Process::start(format!("{name} in namespace {ns}"), command)
    }

    /// Starts a membership server at each site.
    pub(crate) fn serve(&self) -> Result<Vec<Process>, String> {
        let serve = |site| {
            let mut words =
                words(&format!("server --insecure --id {site} --listen {}:{PORT}", addr(site)));
            for other in (1..=self.sites).filter(|other| *other != site) {
                words.extend(["--peer".to_owned(), format!("{}:{PORT}", addr(other))]);
            }
            let server = self.start(&self.site(site), &self.vs, &words)?;
            server.wait_for("listening", PATIENCE)?;
            Ok(server)
        };
        (1..=self.sites).map(serve).collect()
    }

    fn trace(&self, member: u64) -> PathBuf {
        self.dir.join(format!("{member}.jsonl"))
    }

    fn traces(&self) -> impl Iterator<Item = PathBuf> + '_ {
        (1..=self.sites * WAN_MEMBERS).map(|member| self.trace(member))
    }

    /// The members of all sites, once they share a view.
    pub(crate) fn members(&self, sync_after_view: bool) -> Result<Members<'_>, String> {
        // A trace of the run before would be gone on with.
        self.traces().for_each(|trace| drop(fs::remove_file(trace)));
        let start = move |k: usize| {
            let member = k as u64;
            let site = 1 + (member - 1) / WAN_MEMBERS;
            let here = addr(site);
            let mut words = words(&format!(
                "node --insecure --group wan --json --wan --id {member} --server {here}:{PORT} --bind {here} --trace"
            ));
            words.push(self.trace(member).display().to_string());
            words.extend(sync_after_view.then(|| "--sync-after-view".to_owned()));
            self.start(&self.site(site), &self.vs, &words)
        };
        Members::new((self.sites * WAN_MEMBERS) as usize, Box::new(start), parse_node)
    }

    /// Checks the traces of the last members.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut check = Command::new(&self.vs);
        check.arg("check").args(self.traces());
        output(check).map(drop)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.undertaker.stdin.take());
        let _ = self.undertaker.wait();
    }
}

/// The wires between the sites.
#[derive(Debug)]
pub(crate) struct Wires(Process);

impl Wires {
    /// `delays_ms` between pairs of sites, one way, in ms; `loss` in per cent.
    pub(crate) fn start(
        lab: &Lab,
        delays_ms: &[((u64, u64), u64)],
        loss: f64,
        seed: u64,
    ) -> Result<Self, String> {
        let delay = |a, b| {
            let known = delays_ms.iter().find(|(pair, _)| *pair == (a, b) || *pair == (b, a));
            known.map_or(0, |(_, ms)| 1000 * ms).to_string()
        };
        let pairs = (1..=lab.sites).flat_map(|a| (1..=lab.sites).map(move |b| (a, b)));
        let matrix: Vec<String> = pairs.map(|(a, b)| delay(a, b)).collect();
        let loss = (loss / 100.0 * LOSS_PARTS) as u64;
        let words = [
            seed.to_string(),
            JITTER_PERMILLE.to_owned(),
            loss.to_string(),
            matrix.join(","),
            lab.sites.to_string(),
        ];
        let wire = lab.start(&lab.middle(), &lab.wire, &words)?;
        wire.wait_for("ready", PATIENCE)?;
        Ok(Self(wire))
    }

    /// Ends the wires. The samples keep how late they were.
    pub(crate) fn end(self, samples: &mut Samples) -> Result<(), String> {
        self.0.signal(Signal::TERM)?;
        let lines = self.0.finish(PATIENCE)?;
        let last = lines.last().ok_or("wire said nothing")?;
        for what in ["carried", "lost", "overrun", "late_us_p99", "late_us_max"] {
            let value = field(last, what).ok_or_else(|| format!("wire said {last:?}"))?;
            samples.push(format!("wire/{what}"), value);
        }
        Ok(())
    }
}

fn addr(site: u64) -> String {
    format!("10.79.0.{site}")
}

/// The wires find the site by the last byte.
fn mac(site: u64) -> String {
    format!("02:00:00:00:00:{site:02x}")
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn run(program: &str, args: &str) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(args.split_whitespace());
    output(command).map(drop)
}
