//! The lab: network namespaces on a bridge, and the programs.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, process};

use vs_bench::process::{Process, output};
use vs_bench::programs::{build_vs, compile};
use vs_core::order::Order;

use crate::args::{Args, Section};

/// Most members of anything that is measured.
pub(crate) const MEMBERS_MAX: usize = 8;

/// Where the membership server listens, on the bridge.
pub(crate) const SERVER: &str = "10.77.0.100:7000";

/// Namespaces 1 to `members`, each with an address, and 0 with the bridge. Dropping it takes all of
/// it down.
#[derive(Debug)]
pub(crate) struct Lab {
    prefix: String,
    /// Files of this run.
    pub(crate) dir: PathBuf,
    /// The command `vs`.
    pub(crate) vs: PathBuf,
    /// The order of our group.
    pub(crate) order: Order,
    /// The helper for raw UDP.
    pub(crate) mcraw: PathBuf,
    /// Corosync's client, if Corosync is there.
    pub(crate) cpg_bench: Option<PathBuf>,
}

impl Lab {
    /// Builds the programs and makes the network.
    pub(crate) fn set_up(args: &Args) -> Result<Self, String> {
        let prefix = format!("vb{}n", process::id());
        let dir = env::temp_dir().join(&prefix);
        // New, and for this user alone: programs that are made there are run.
        let made = fs::DirBuilder::new().mode(0o700).create(&dir);
        made.map_err(|e| format!("{}: {e}", dir.display()))?;
        let mut lab = Self {
            prefix,
            dir,
            vs: PathBuf::new(),
            order: args.order,
            mcraw: PathBuf::new(),
            cpg_bench: None,
        };
        lab.vs = match &args.vs {
            Some(path) => path.clone(),
            None => build_vs()?,
        };
        lab.mcraw = lab.compile("mcraw", &[])?;
        let uses_corosync =
            [Section::Throughput, Section::Latency, Section::Kill, Section::Idle, Section::Sealed];
        if !args.without_corosync && uses_corosync.iter().any(|section| args.wants(*section)) {
            find("corosync")?;
            lab.cpg_bench = Some(lab.compile("cpg_bench", &["-lcpg"])?);
        }
        lab.network()?;
        Ok(lab)
    }

    /// A key file that `program` writes, once. `words` stand before its name.
    pub(crate) fn key_file(&self, program: &Path, words: &[&str]) -> Result<String, String> {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let file = self.dir.join(format!("{name}.key"));
        if !file.exists() {
            let mut command = Command::new(program);
            command.args(words).arg(&file).current_dir(&self.dir);
            output(command)?;
        }
        Ok(file.display().to_string())
    }

    /// Compiles one of the helpers in C.
    fn compile(&self, name: &str, libraries: &[&str]) -> Result<PathBuf, String> {
        let hint = "apt-get install gcc libcpg-dev, or go without: --without-corosync";
        let binary = compile(&format!("compare/{name}.c"), &self.dir, libraries);
        binary.map_err(|e| format!("{name}.c does not compile ({hint}): {e}"))
    }

    fn network(&self) -> Result<(), String> {
        self.make_namespace(0)?;
        self.ip(0, "link add br0 type bridge mcast_snooping 0 stp_state 0 forward_delay 0")?;
        self.ip(0, "addr add 10.77.0.100/24 dev br0")?;
        self.ip(0, "link set br0 up")?;
        for k in 1..=MEMBERS_MAX {
            self.make_namespace(k)?;
            let bridge = self.namespace(0);
            self.ip(k, &format!("link add eth0 type veth peer name v{k} netns {bridge}"))?;
            self.ip(0, &format!("link set v{k} master br0 up"))?;
            self.ip(k, &format!("addr add {}/24 dev eth0", addr(k)))?;
            self.ip(k, "link set eth0 up mtu 1500")?;
            self.ip(k, "route add 224.0.0.0/4 dev eth0")?;
        }
        Ok(())
    }

    /// Makes it a network of `hosts` hosts: the others are unplugged. The bridge hands a multicast
    /// to everybody who is there, and the processor that measures would pay for those who have no
    /// part in it.
    pub(crate) fn plug(&self, hosts: usize) -> Result<(), String> {
        for k in 1..=MEMBERS_MAX {
            let state = if k <= hosts { "up" } else { "down" };
            self.ip(0, &format!("link set v{k} {state}"))?;
        }
        Ok(())
    }

    fn make_namespace(&self, k: usize) -> Result<(), String> {
        let mut ip = Command::new("ip");
        ip.args(["netns", "add", &self.namespace(k)]);
        output(ip).map_err(|e| format!("network namespaces need root and iproute2: {e}"))?;
        self.ip(k, "link set lo up")
    }

    fn ip(&self, k: usize, words: &str) -> Result<(), String> {
        let mut ip = Command::new("ip");
        ip.arg("-n").arg(self.namespace(k)).args(words.split_whitespace());
        output(ip).map(drop)
    }

    fn namespace(&self, k: usize) -> String {
        format!("{}{k}", self.prefix)
    }

    /// A command that runs `program` in namespace `k`; it becomes the program, under the same
    /// process id.
    pub(crate) fn command(&self, k: usize, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(k)]).arg(program);
        command
    }

    /// Starts `program` with `words` in namespace `k`.
    pub(crate) fn start(
        &self,
        k: usize,
        program: &Path,
        words: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<Process, String> {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut command = self.command(k, program);
        command.args(words);
        Process::start(format!("{name} in namespace {k}"), command)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for k in 0..=MEMBERS_MAX {
            // It may not have come to be.
            let _ = Command::new("ip").args(["netns", "del", &self.namespace(k)]).output();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// The address in namespace `k`.
pub(crate) fn addr(k: usize) -> String {
    format!("10.77.0.{k}")
}

fn find(program: &str) -> Result<(), String> {
    match Command::new(program).arg("-v").output() {
        Err(e) if e.kind() == ErrorKind::NotFound => Err(format!(
            "{program} is not installed: apt-get install corosync libcpg-dev, or go without: --without-corosync"
        )),
        Err(e) => Err(format!("{program}: {e}")),
        Ok(_) => Ok(()),
    }
}
