//! The processes: servers and members as an operator would start them, and what each member says.

use core::time::Duration;
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

use serde_json::Value;

use crate::hosts::{Hosts, addr};
use crate::plan::{Host, SERVERS};

/// Where servers listen.
const PORT: u16 = 7000;
/// Silence after which a member is accused, in ms: short, so that stopped members are excluded
/// before they go on.
const PEER_MS: &str = "600";
/// A member looks for a server for longer than any fault lasts, in ms.
const CONNECT_MS: &str = "60000";
/// A process that is sent SIGSTOP stops within so long.
const STOP_MAX: Duration = Duration::from_secs(10);

/// What a member says and ends, since it cannot start in such a network: no server takes it, or its
/// datagrams are lost.
const CANNOT_START: [&str; 2] =
    ["cannot reach any of the membership servers", "does not carry multicast"];

/// What a member's present life has said.
#[derive(Default)]
pub(crate) struct Said {
    life: u64,
    /// Its last view, as the trace has it.
    pub(crate) view: Value,
    /// It was told of a change that it has not come out of.
    pub(crate) changing: bool,
    /// The probes that it delivered.
    pub(crate) probes: HashSet<String>,
    /// Views over all lives.
    pub(crate) views: u64,
    /// Deliveries over all lives.
    pub(crate) deliveries: u64,
}

struct Process {
    host: Host,
    child: Option<Child>,
    input: Option<ChildStdin>,
    stopped: bool,
    said: Arc<Mutex<Said>>,
}

/// All processes of a run.
pub(crate) struct Processes {
    list: Vec<Process>,
    /// Something was said.
    news: Arc<Condvar>,
    turn: Mutex<()>,
    traces: PathBuf,
    /// How often `supervise` started a member again.
    pub(crate) started_again: u32,
}

impl Processes {
    /// None runs yet. They will leave their traces and logs in `traces`.
    pub(crate) fn new(traces: &Path) -> Self {
        let process =
            |host| Process { host, child: None, input: None, stopped: false, said: Arc::default() };
        Self {
            list: Host::all().into_iter().map(process).collect(),
            news: Arc::default(),
            turn: Mutex::default(),
            traces: traces.to_owned(),
            started_again: 0,
        }
    }

    /// Where `host` leaves what it writes.
    pub(crate) fn file(&self, host: Host, ending: &str) -> PathBuf {
        self.traces.join(format!("{host}.{ending}"))
    }

    /// Starts the process of `host`, which does not run.
    pub(crate) fn start(&mut self, hosts: &Hosts, host: Host) {
        let (log, trace) = (self.file(host, "log"), self.file(host, "jsonl"));
        let news = Arc::clone(&self.news);
        let process = self.get(host);
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &hosts.name(host), env!("CARGO_BIN_EXE_vs")]);
        match host {
            Host::Server(id) => serve(&mut command, id),
            Host::Member(id) => join(&mut command, id).arg(trace),
        };
        command.stderr(append(&log)).stdin(Stdio::piped());
        match host {
            Host::Server(_) => command.stdout(append(&log)),
            Host::Member(_) => command.stdout(Stdio::piped()),
        };
        let mut child = command.spawn().expect("ip starts");
        process.input = child.stdin.take();
        let life = {
            let mut said = lock(&process.said);
            (said.life, said.view, said.changing) = (said.life + 1, Value::Null, false);
            said.probes.clear();
            said.life
        };
        if let Some(output) = child.stdout.take() {
            let said = Arc::clone(&process.said);
            std::thread::spawn(move || listen(output, life, &said, &news));
        }
        process.child = Some(child);
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self, host: Host) {
        let process = self.get(host);
        process.input = None;
        if let Some(mut child) = process.child.take() {
            child.kill().expect("a child can be killed");
            child.wait().expect("a child ends");
        }
    }

    /// SIGSTOP or SIGCONT.
    pub(crate) fn stop(&mut self, host: Host, stopped: bool) {
        let process = self.get(host);
        process.stopped = stopped;
        let pid = process.child.as_ref().expect("it runs").id().to_string();
        let signal = if stopped { "-STOP" } else { "-CONT" };
        let status = Command::new("kill").args([signal, &pid]).status().expect("kill starts");
        assert!(status.success(), "kill {signal} {pid} ({host})");
    }

    /// `kill -9` of all members in a calm: all are stopped, and if the traces that they left by
    /// then end with a change that some had begun they go on, and it is false.
    pub(crate) fn kill_in_calm(&mut self) -> bool {
        for host in Host::members() {
            self.stop(host, true);
        }
        for host in Host::members() {
            self.await_stopped(host);
        }
        let mut last = Host::members().into_iter().map(|host| self.last_view(host));
        let first = last.next().expect("there are members");
        let calm = first.is_some() && last.all(|view| view == first);
        for host in Host::members() {
            if calm {
                self.kill(host);
            } else {
                self.stop(host, false);
            }
        }
        calm
    }

    /// Until a process to which SIGSTOP was sent does nothing more.
    fn await_stopped(&mut self, host: Host) {
        let pid = self.get(host).child.as_ref().expect("it runs").id();
        let since = Instant::now();
        loop {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if stat.rsplit(") ").next().is_some_and(|state| state.starts_with(['T', 'Z'])) {
                return;
            }
            assert!(since.elapsed() < STOP_MAX, "{host} ({pid}) does not stop");
            self.pause(Duration::from_millis(1));
        }
    }

    /// The view in which the trace of a member ends; none if it ends in a change.
    fn last_view(&self, host: Host) -> Option<Value> {
        let trace = std::fs::read_to_string(self.file(host, "jsonl")).unwrap_or_default();
        let change = |line: &&str| {
            line.contains(r#""ev":"view""#) || line.contains(r#""ev":"start_change""#)
        };
        let line = trace.lines().rev().find(change)?;
        let event = serde_json::from_str::<Value>(line).ok()?;
        event.get("view").cloned()
    }

    /// How the process of `host` ended, if it did so by itself.
    fn ended(&mut self, host: Host) -> Option<ExitStatus> {
        let child = self.get(host).child.as_mut()?;
        child.try_wait().expect("a child can be asked")
    }

    /// No process may have ended by itself, but for what a member says that cannot start: as any
    /// supervisor would, this starts it again.
    pub(crate) fn supervise(&mut self, hosts: &Hosts) -> Result<(), String> {
        for host in Host::all() {
            let Some(how) = self.ended(host) else { continue };
            let log = std::fs::read_to_string(self.file(host, "log")).unwrap_or_default();
            let last = log.lines().last().unwrap_or_default();
            let says_why = CANNOT_START.iter().any(|why| last.contains(why));
            if !(says_why && how.code() == Some(1)) {
                return Err(format!("{host} ended by itself: {how}"));
            }
            self.kill(host);
            self.start(hosts, host);
            self.started_again += 1;
        }
        Ok(())
    }

    /// Hands `line` to a member. One that is down or stopped gets none: nobody would read its pipe.
    pub(crate) fn say(&mut self, host: Host, line: &str) {
        let process = self.get(host);
        if let (Some(input), false) = (&mut process.input, process.stopped) {
            // It may just have ended; `supervise` says so.
            let _ = input.write_all(format!("{line}\n").as_bytes());
        }
    }

    /// What a member has said.
    pub(crate) fn said(&self, host: Host) -> MutexGuard<'_, Said> {
        let process = self.list.iter().find(|process| process.host == host);
        lock(&process.expect("all hosts are listed").said)
    }

    /// Until something is said, at most `most`.
    pub(crate) fn pause(&self, most: Duration) {
        let turn = self.turn.lock().expect("no thread panics with it");
        drop(self.news.wait_timeout(turn, most));
    }

    fn get(&mut self, host: Host) -> &mut Process {
        self.list.iter_mut().find(|process| process.host == host).expect("all hosts are listed")
    }
}

fn serve(command: &mut Command, id: u8) -> &mut Command {
    let listen = format!("{}:{PORT}", addr(Host::Server(id)));
    command.args(["server", "--json", "--id", &id.to_string(), "--listen", &listen]);
    for other in Host::servers().into_iter().filter(|other| *other != Host::Server(id)) {
        command.args(["--peer", &format!("{}:{PORT}", addr(other))]);
    }
    command
}

/// Each begins with another server, so that all servers have clients.
fn join(command: &mut Command, id: u8) -> &mut Command {
    command.args(["node", "--json", "--group", "chaos", "--id", &id.to_string()]);
    // By its name: the address of a host changes.
    command.args(["--interface", "eth0", "--peer-ms", PEER_MS]);
    command.args(["--connect-ms", CONNECT_MS]);
    let mut servers = Host::servers();
    servers.rotate_left(usize::from(id % SERVERS));
    for server in servers {
        command.args(["--server", &format!("{}:{PORT}", addr(server))]);
    }
    command.arg("--trace")
}

/// Reads what one life of a member says, to the end. What an earlier life had said late is only
/// counted.
fn listen(output: ChildStdout, life: u64, said: &Mutex<Said>, news: &Condvar) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        let Ok(event) = serde_json::from_str::<Value>(&line) else { continue };
        let mut said = lock(said);
        let present = said.life == life;
        match event["ev"].as_str() {
            Some("view") => {
                said.views += 1;
                if present {
                    (said.view, said.changing) = (event["view"].clone(), false);
                }
            }
            Some("start_change") => said.changing |= present,
            Some("deliver") => {
                said.deliveries += 1;
                let probe = event["text"].as_str().filter(|text| text.starts_with("probe "));
                if let (Some(probe), true) = (probe, present) {
                    said.probes.insert(probe.trim_end().to_owned());
                }
            }
            _ => continue,
        }
        drop(said);
        news.notify_all();
    }
}

fn lock(said: &Mutex<Said>) -> MutexGuard<'_, Said> {
    said.lock().expect("no thread panics with it")
}

fn append(log: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(log).expect("a log can be written")
}
