//! A run on one machine: a membership server in a thread, the participants as processes.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::ops::ControlFlow;
use core::time::Duration;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use vs_core::ident::ServerId;
use vs_core::member::server::{Server, ServerConfig};
use vs_core::seal::Keys;
use vs_mio::{ServerDriver, run_server};
use vs_std::clock::Clock;
use vs_std::keys::KeysError;
use vs_std::udp::MULTICAST_V6;

use super::args::Args;
use super::report;
use crate::failure::Failure;
use crate::keys;
use crate::output::say;
use crate::renewal::{Flags, Renewal};

/// Where participants meet, if nothing else is said.
pub(super) fn multicast(bind: IpAddr) -> SocketAddr {
    let group =
        if bind.is_ipv6() { MULTICAST_V6.ip() } else { Ipv4Addr::new(239, 86, 83, 3).into() };
    SocketAddr::new(group, 7590)
}

/// How often signals and the ends of processes are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A participant. Dropping it kills it.
struct Participant {
    id: u16,
    child: Child,
    output: thread::JoinHandle<Vec<String>>,
    complaints: thread::JoinHandle<Vec<String>>,
}

/// Starts everything, waits, and prints what was measured.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let flags = Renewal::of(&args.keys).watch()?;
    let (renew, renewed) = channel();
    let server = start_server(args.bind, args.keys()?, renewed)?;
    let multicast = match args.multicast {
        Some(addr) => addr,
        None => SocketAddr::new(multicast(args.bind).ip(), free_port(args.bind)?),
    };
    if let Some(dir) = &args.trace {
        std::fs::create_dir_all(dir).map_err(|e| {
            Failure(format!("{}: the directory cannot be made: {e}", dir.display()))
        })?;
    }
    let (ending, ended) = channel();
    let mut all = Participants { list: Vec::new(), ended };
    for id in 1..=args.load.members {
        all.list.push(start(id, args, server, multicast, &ending)?);
    }
    all.wait(&flags, &renew)?;
    let (lines, advice) = all.results()?;
    print(lines, args.json);
    advice.iter().for_each(|line| tracing::warn!("{}", line.trim_start_matches("vs: ")));
    Ok(())
}

/// A server that ends with this process.
fn start_server(
    bind: IpAddr,
    keys: Option<Keys>,
    renewed: Receiver<Keys>,
) -> Result<SocketAddr, Failure> {
    let failed = |e: &dyn core::fmt::Display| Failure(format!("no membership server: {e}"));
    let boot = Clock::new().unix_start_ms();
    let server = Server::new(ServerConfig::default(), ServerId(1), boot);
    let mut server = server.map_err(|e| failed(&e))?;
    keys::seal(&mut server, keys)?;
    let mut driver =
        ServerDriver::new(server, SocketAddr::from((bind, 0))).map_err(|e| failed(&e))?;
    let addr = driver.local_addr().map_err(|e| failed(&e))?;
    let serve = move || {
        let result = run_server(&mut driver, |driver| {
            while driver.poll_note().is_some() {}
            if let Ok(keys) = renewed.try_recv()
                && let Err(why) = driver.set_keys(&keys)
            {
                tracing::warn!("the keys of the server stay as they were: {why}");
            }
            ControlFlow::Continue(())
        });
        if let Err(error) = result {
            tracing::warn!("the membership server ended: {error}");
        }
    };
    thread::Builder::new().name("server".into()).spawn(serve).map_err(|e| failed(&e))?;
    Ok(addr)
}

/// A port that nobody uses now.
fn free_port(bind: IpAddr) -> Result<u16, Failure> {
    std::net::UdpSocket::bind((bind, 0))
        .and_then(|socket| socket.local_addr())
        .map(|addr| addr.port())
        .map_err(|e| Failure(format!("{bind} cannot be used: {e}; choose another with --bind")))
}

fn start(
    id: u16,
    args: &Args,
    server: SocketAddr,
    multicast: SocketAddr,
    ending: &Sender<()>,
) -> Result<Participant, Failure> {
    let program = std::env::current_exe()
        .map_err(|e| Failure(format!("the path of this program cannot be found: {e}")))?;
    let mut command = Command::new(program);
    command
        .args(["perf", "--json", "--attach"])
        .args(args.load.to_args())
        .args(args.keys.to_args())
        .args(args.tuning.to_args());
    for (option, value) in [
        ("--server", server.to_string()),
        ("--id", id.to_string()),
        ("--bind", args.bind.to_string()),
        ("--multicast", multicast.to_string()),
    ] {
        command.args([option, &value]);
    }
    if let Some(dir) = &args.trace {
        command.arg("--trace").arg(dir.join(format!("{id}.jsonl")));
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().map_err(|e| Failure(format!("participant {id} cannot be started: {e}")))?;
    let output = collect(child.stdout.take(), ending.clone());
    let complaints = collect(child.stderr.take(), ending.clone());
    Ok(Participant { id, child, output, complaints })
}

/// Collects lines until there are no more, which `ending` is told.
fn collect(
    stream: Option<impl Read + Send + 'static>,
    ending: Sender<()>,
) -> thread::JoinHandle<Vec<String>> {
    thread::spawn(move || {
        let lines = stream.into_iter().flat_map(|stream| BufReader::new(stream).lines());
        let lines = lines.map_while(Result::ok).collect();
        // Nobody has to wait for it.
        let _ = ending.send(());
        lines
    })
}

/// All participants; what is left of them is killed when they are dropped.
struct Participants {
    list: Vec<Participant>,
    /// Something of one of them has ended.
    ended: Receiver<()>,
}

impl Drop for Participants {
    fn drop(&mut self) {
        for participant in &mut self.list {
            // Both fail only for a process that is gone, which is what is wanted.
            let _ = participant.child.kill();
            let _ = participant.child.wait();
        }
    }
}

impl Participants {
    /// Waits until all have ended well, or one has not.
    fn wait(&mut self, flags: &Flags, renew: &Sender<Keys>) -> Result<(), Failure> {
        loop {
            let is_interrupted = flags.look(|keys| {
                self.list.iter().for_each(Participant::hang_up);
                // The server looks at them in its next round.
                renew.send(keys).map_err(|_| KeysError::Ended)
            });
            if is_interrupted {
                return Err(Failure("interrupted by a signal; all participants were ended".into()));
            }
            let mut running = false;
            for at in 0..self.list.len() {
                let Participant { id, child, .. } = &mut self.list[at];
                match child.try_wait() {
                    Ok(None) => running = true,
                    Ok(Some(status)) if status.success() => {}
                    Ok(Some(status)) => {
                        let id = *id;
                        let words = self.list.remove(at).last_words();
                        return Err(Failure(format!(
                            "participant {id} failed ({status}): {words}"
                        )));
                    }
                    Err(e) => return Err(Failure(format!("participant {id} is lost: {e}"))),
                }
            }
            if !running {
                return Ok(());
            }
            // Whether something ended or not: look again.
            let _ = self.ended.recv_timeout(LOOK_EVERY);
        }
    }

    /// The lines of all: a member's, and from the first one the summary; and what they had to
    /// remark, each once.
    fn results(&mut self) -> Result<(Vec<Value>, BTreeSet<String>), Failure> {
        let (mut lines, mut summary, mut remarks) = (Vec::new(), None, BTreeSet::new());
        for participant in self.list.drain(..) {
            remarks.extend(participant.complaints.join().unwrap_or_default());
            let output = participant.output.join().unwrap_or_default();
            for line in output {
                let value: Value = serde_json::from_str(&line)
                    .map_err(|e| Failure(format!("a participant said {line:?}: {e}")))?;
                if value["summary"] == true {
                    summary.get_or_insert(value);
                } else {
                    lines.push(value);
                }
            }
        }
        lines.extend(summary);
        Ok((lines, remarks))
    }
}

impl Participant {
    /// Lets it read its keys again.
    fn hang_up(&self) {
        let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) else { return };
        // It may be gone.
        let _ = kill_process(pid, Signal::HUP);
    }

    fn last_words(self) -> String {
        let said = self.complaints.join().unwrap_or_default();
        said.last().map_or_else(
            || "it said nothing".into(),
            |line| line.trim_start_matches("vs: ").to_owned(),
        )
    }
}

fn print(lines: Vec<Value>, as_json: bool) {
    for line in lines {
        let is_summary = line["summary"] == true;
        let text = if is_summary {
            report::summary_line(&line, as_json)
        } else {
            report::line(line, as_json)
        };
        say(format_args!("{text}"));
    }
}
