//! How the network is parted: between network namespaces of the demo's own, or by a filter inside
//! the processes.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use crate::failure::Failure;

/// What the user wants the network to be parted by.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Partition {
    /// Network namespaces where this program may make them, else the filter
    Auto,
    /// Each side is a network namespace of its own, and the link between their bridges goes down:
    /// needs root and iproute2
    Namespaces,
    /// Each process drops what comes from the other side: needs no rights
    Filter,
}

/// The sides that the network falls into.
pub(super) const SIDES: usize = 2;

/// What lies between the sides.
#[derive(Debug)]
pub(super) enum Network {
    /// All processes share loopback, each side with an address of its own; why there are no
    /// namespaces, if they were wanted.
    Filter(Option<String>),
    /// Each side is a host, on a bridge of its own; a link connects the bridges.
    Namespaces(Namespaces),
}

impl Network {
    /// Makes what is wanted, or what can be had instead.
    pub(super) fn new(wanted: Partition, interrupted: &AtomicBool) -> Result<Self, Failure> {
        if wanted == Partition::Filter {
            return Ok(Self::Filter(None));
        }
        match Namespaces::new(interrupted) {
            Ok(namespaces) => Ok(Self::Namespaces(namespaces)),
            Err(cause) if wanted == Partition::Auto => Ok(Self::Filter(Some(cause))),
            Err(cause) => Err(Failure(format!(
                "network namespaces cannot be made ({cause}): run it as root with iproute2 installed, or with \
                 --partition filter"
            ))),
        }
    }

    /// The address of `side`.
    pub(super) fn ip(&self, side: usize) -> String {
        match self {
            Self::Filter(_) => format!("127.0.0.{}", side + 1),
            Self::Namespaces(_) => format!("10.86.0.{}", side + 1),
        }
    }

    /// The address of the interface over which `side` multicasts.
    pub(super) fn interface(&self, side: usize) -> String {
        match self {
            Self::Filter(_) => "127.0.0.1".into(),
            Self::Namespaces(_) => self.ip(side),
        }
    }

    /// What the processes of `side` are told so that they can be cut off, if they have to do it
    /// themselves.
    pub(super) fn filter_args(&self, side: usize) -> Vec<String> {
        match self {
            Self::Filter(_) => vec!["--cut".into(), self.ip(SIDES - 1 - side)],
            Self::Namespaces(_) => Vec::new(),
        }
    }

    /// A command that runs `program` at `side`, under the process id of the command.
    pub(super) fn command(&self, side: usize, program: impl AsRef<OsStr>) -> Command {
        match self {
            Self::Filter(_) => Command::new(program),
            Self::Namespaces(namespaces) => namespaces.command(side, program.as_ref()),
        }
    }

    /// Takes down what holds the network, if there is any.
    pub(super) fn remove(self) -> Result<(), Failure> {
        match self {
            Self::Filter(_) => Ok(()),
            Self::Namespaces(namespaces) => namespaces.remove(),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter(None) => f.write_str("a filter inside the processes, as was asked for"),
            Self::Filter(Some(cause)) => write!(
                f,
                "a filter inside the processes, since network namespaces need root and iproute2: {cause}"
            ),
            Self::Namespaces(_) => f.write_str(
                "network namespaces of its own, one for each side: the link between their bridges goes down",
            ),
        }
    }
}

/// Network namespaces: one for each side, and one with their bridges. They go when this is dropped,
/// or the program ends.
#[derive(Debug)]
pub(super) struct Namespaces {
    prefix: String,
    undertaker: Child,
}

/// The end of the demo: its namespaces go, and who still lives in them. It waits in a process of
/// its own for the end of its input, which comes however the demo ends, also by `kill -9`.
const UNDERTAKER: &str = r#"
trap '' INT TERM HUP
read -r _
for ns in "$@"; do
    for pid in $(ip netns pids "$ns" 2>/dev/null); do kill -9 "$pid" 2>/dev/null; done
    ip netns del "$ns" 2>/dev/null
done
left=$(ip netns list 2>/dev/null | cut -d ' ' -f 1)
for ns in "$@"; do case " $(echo $left) " in *" $ns "*) exit 1;; esac; done
exit 0
"#;

/// The namespace with the bridges.
const SWITCH: usize = SIDES;

impl Namespaces {
    /// Makes them, or says why that cannot be done; then nothing is left of them.
    fn new(interrupted: &AtomicBool) -> Result<Self, String> {
        let prefix = format!("vsd{}-", std::process::id());
        let names = (0..=SIDES).map(|at| format!("{prefix}{at}"));
        let undertaker = Command::new("sh")
            .args(["-c", UNDERTAKER, "undertaker"])
            .args(names)
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|e| format!("sh cannot be run: {e}"))?;
        let namespaces = Self { prefix, undertaker };
        namespaces.set_up(interrupted)?;
        Ok(namespaces)
    }

    fn set_up(&self, interrupted: &AtomicBool) -> Result<(), String> {
        let switch = self.name(SWITCH);
        let mut steps: Vec<String> =
            (0..=SIDES).map(|at| format!("netns add {}", self.name(at))).collect();
        steps.push(format!("-n {switch} link add up0 type veth peer name up1"));
        for side in 0..SIDES {
            let host = self.name(side);
            steps.extend([
                format!(
                    "-n {switch} link add br{side} type bridge mcast_snooping 0 stp_state 0 forward_delay 0"
                ),
                format!("-n {switch} link set br{side} up"),
                format!("-n {switch} link set up{side} master br{side} up"),
                format!("link add eth0 netns {host} type veth peer name p{side} netns {switch}"),
                format!("-n {switch} link set p{side} master br{side} up"),
                format!("-n {host} link set lo up"),
                format!("-n {host} addr add 10.86.0.{}/24 dev eth0", side + 1),
                format!("-n {host} link set eth0 up"),
                format!("-n {host} route add 224.0.0.0/4 dev eth0"),
            ]);
        }
        for step in steps {
            if interrupted.load(Ordering::Relaxed) {
                return Err("interrupted by a signal".into());
            }
            ip(&step)?;
        }
        Ok(())
    }

    fn name(&self, at: usize) -> String {
        format!("{}{at}", self.prefix)
    }

    /// Each side is on its own.
    pub(super) fn part(&self) -> Result<(), Failure> {
        self.set_link("down")
    }

    /// They are one network again.
    pub(super) fn heal(&self) -> Result<(), Failure> {
        self.set_link("up")
    }

    fn set_link(&self, state: &str) -> Result<(), Failure> {
        ip(&format!("-n {} link set up0 {state}", self.name(SWITCH)))
            .map_err(|why| Failure(format!("the link between the sides cannot go {state}: {why}")))
    }

    fn command(&self, side: usize, program: &OsStr) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(side)]).arg(program);
        command
    }

    fn remove(mut self) -> Result<(), Failure> {
        drop(self.undertaker.stdin.take());
        match self.undertaker.wait() {
            Ok(status) if status.success() => Ok(()),
            _ => Err(Failure(format!(
                "network namespaces could not be removed: look for those named {}N with `ip netns list`, and \
                 `ip netns del` them",
                self.prefix
            ))),
        }
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        drop(self.undertaker.stdin.take());
        // It has nothing to say that could still be told.
        let _ = self.undertaker.wait();
    }
}

/// Runs `ip`; what it says if it fails. A signal from the terminal does not reach it.
fn ip(words: &str) -> Result<(), String> {
    let output = Command::new("ip").args(words.split(' ')).process_group(0).output();
    let output = output.map_err(|e| match e.kind() {
        ErrorKind::NotFound => "there is no command ip".into(),
        _ => format!("ip cannot be run: {e}"),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().next().unwrap_or("it says nothing").trim().trim_end_matches('.');
    Err(format!("`ip {words}`: {first}"))
}
