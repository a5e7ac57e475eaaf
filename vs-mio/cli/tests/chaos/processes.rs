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

use crate::hosts::{Hosts, faketime};
use crate::kind::Mismatch;
use crate::limits::{Disk, Throttle, limit_files, no_file_more};
use crate::plan::{Host, SERVERS};
use crate::store::{self, Store};
use rustix::process::Rlimit;

/// Where servers listen.
const PORT: u16 = 7000;
/// Silence after which a member is accused, in ms: short, so that stopped members are excluded
/// before they go on.
const PEER_MS: &str = "600";
/// A member looks for a server for longer than any fault lasts, in ms.
const CONNECT_MS: &str = "60000";
/// Most members of a view: all, and a crowd.
const MEMBERS_MAX: &str = "80";
/// A process that is sent SIGSTOP stops within so long.
const STOP_MAX: Duration = Duration::from_secs(10);

/// A process of a store has so much memory at most, in kB: buffers of sockets and windows, a few
/// keys and their sessions.
const MEMORY_KB_MAX: u64 = 100_000;
/// It has so many files open at most: a dozen, and connections that come and go.
const FILES_MAX: usize = 40;

/// What a member says and ends, since it cannot start in such a network: no server takes it, or its
/// datagrams are lost.
const CANNOT_START: [&str; 2] =
    ["cannot reach any of the membership servers", "does not carry multicast"];

/// What is unusual in how a process is started.
#[derive(Clone, Copy, Default)]
pub(crate) struct Setup {
    /// Its wall clock is wrong by so many seconds.
    pub(crate) clock_s: i32,
    /// An option that the others do not have.
    pub(crate) mismatch: Option<&'static Mismatch>,
    /// It leaves no trace: numbers go on above what a trace has reached, for ever.
    pub(crate) is_untraced: bool,
}

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
    /// It may end by itself: it is refused.
    may_end: bool,
    throttle: Option<Throttle>,
    /// The limit of files that it had before it met one.
    files: Option<Rlimit>,
    said: Arc<Mutex<Said>>,
}

impl Process {
    fn new(host: Host) -> Self {
        Self {
            host,
            child: None,
            input: None,
            stopped: false,
            may_end: false,
            throttle: None,
            files: None,
            said: Arc::default(),
        }
    }

    fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }
}

/// All processes of a run.
pub(crate) struct Processes {
    list: Vec<Process>,
    /// Something was said.
    news: Arc<Condvar>,
    turn: Mutex<()>,
    traces: PathBuf,
    /// One for the trace of each member.
    disks: Vec<(Host, Disk)>,
    /// Who looks at a server.
    visitors: Vec<Child>,
    /// What the members keep, if they keep a store.
    store: Option<Arc<Store>>,
    /// How often `supervise` started a member again.
    pub(crate) started_again: u32,
    /// Most memory that a process of a store had, in kB, and most files.
    pub(crate) most: (u64, usize),
}

impl Processes {
    /// None runs yet. They will leave their traces and logs in `traces`.
    pub(crate) fn new(traces: &Path, store: Option<Arc<Store>>) -> Self {
        let disk = |host: Host| (host, Disk::new(traces.join(host.to_string())));
        Self {
            list: Host::all().into_iter().map(Process::new).collect(),
            disks: Host::members().into_iter().map(disk).collect(),
            visitors: Vec::new(),
            news: Arc::default(),
            turn: Mutex::default(),
            traces: traces.to_owned(),
            store,
            started_again: 0,
            most: (0, 0),
        }
    }

    /// Where `host` leaves what it says besides events.
    fn log(&self, host: Host) -> PathBuf {
        self.traces.join(format!("{host}.log"))
    }

    /// What `host` has written into its log.
    pub(crate) fn logged(&self, host: Host) -> String {
        std::fs::read_to_string(self.log(host)).unwrap_or_default()
    }

    /// Starts the process of `host`, which does not run, as an operator does.
    pub(crate) fn start(&mut self, hosts: &Hosts, host: Host) {
        self.start_as(hosts, host, Setup::default());
    }

    /// Starts the process of `host`, which does not run.
    pub(crate) fn start_as(&mut self, hosts: &Hosts, host: Host, setup: Setup) {
        let log = self.log(host);
        let (news, store) = (Arc::clone(&self.news), self.store.clone());
        let mut command = in_host(hosts, host);
        if setup.clock_s != 0 {
            let library = faketime().expect("it was there");
            command.arg("env").arg(format!("LD_PRELOAD={}", library.display()));
            command
                .args([&format!("FAKETIME={:+}", setup.clock_s), "FAKETIME_DONT_FAKE_MONOTONIC=1"]);
            // Its later name.
            command.arg("DONT_FAKE_MONOTONIC=1");
        }
        if store::is_on() {
            // Where `vs kv` has its locks: those of another run are not its own.
            command.env("TMPDIR", &self.traces);
        }
        command.arg(vs());
        let words = match host {
            Host::Server(id) => serve(hosts, id),
            Host::Member(id) if setup.is_untraced => join(u64::from(id), Path::new("/dev/null")),
            Host::Member(id) => join(u64::from(id), &trace(&self.traces, host)),
        };
        command.args(with(words, setup.mismatch));
        let process = self.get(host);
        process.may_end = setup.mismatch.is_some_and(|mismatch| mismatch.words.is_some());
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
        let said = Arc::clone(&process.said);
        if let Some(output) = child.stdout.take() {
            match &store {
                Some(store) => {
                    let input = process.input.take().expect("a pipe");
                    store.attend(host, (input, output), append(&log));
                }
                None => {
                    std::thread::spawn(move || listen(output, life, &said, &news));
                }
            }
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

    /// Lets a process run for a part of the time only, or again for all of it.
    pub(crate) fn throttle(&mut self, host: Host, is_on: bool) {
        let process = self.get(host);
        process.throttle = is_on.then(|| Throttle::new(process.pid()));
    }

    /// Lets a process open no more files, or again as many as before.
    pub(crate) fn limit_files(&mut self, host: Host, is_on: bool) {
        let process = self.get(host);
        let pid = process.pid();
        if is_on {
            let had = rustix::process::getrlimit(rustix::process::Resource::Nofile);
            process.files = Some(limit_files(pid, no_file_more(&had)));
        } else if let Some(had) = process.files.take() {
            limit_files(pid, had);
        }
    }

    /// Somebody connects to a server to see how it is.
    pub(crate) fn visit(&mut self, hosts: &Hosts, host: Host) {
        if let Host::Server(_) = host {
            let mut status = in_host(hosts, Host::Member(1));
            status
                .arg(vs())
                .args(["status", "--insecure", &format!("{}:{PORT}", hosts.addr(host))])
                .stdin(Stdio::null());
            status.stdout(Stdio::null()).stderr(Stdio::null());
            self.visitors.push(status.spawn().expect("ip starts"));
        }
        self.visitors.retain_mut(|visitor| matches!(visitor.try_wait(), Ok(None)));
    }

    /// Fills the disk of a member's trace, or makes room there.
    pub(crate) fn fill_disk(&self, host: Host, is_on: bool) {
        let disk = self.disks.iter().find(|(of, _)| *of == host);
        let (_, disk) = disk.expect("each member has one");
        if is_on { disk.fill(&trace(&self.traces, host)) } else { disk.free() }
    }

    /// SIGSTOP or SIGCONT.
    pub(crate) fn stop(&mut self, host: Host, stopped: bool) {
        let process = self.get(host);
        process.stopped = stopped;
        let pid = process.pid().to_string();
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
        let pid = self.get(host).pid();
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
        let trace = std::fs::read_to_string(trace(&self.traces, host)).unwrap_or_default();
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
            if self.get(host).may_end && how.code() == Some(1) {
                continue;
            }
            let log = self.logged(host);
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

    /// No process of a store takes more memory or files than it needs.
    pub(crate) fn check_bounds(&mut self) -> Result<(), String> {
        for host in Host::members() {
            let pid = self.get(host).pid();
            let files = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let memory = memory.and_then(|text| text.trim().strip_suffix(" kB")?.parse().ok());
            let memory: u64 = memory.unwrap_or_default();
            self.most = (self.most.0.max(memory), self.most.1.max(files));
            if memory > MEMORY_KB_MAX || files > FILES_MAX {
                return Err(format!("{host} takes {memory} kB, and has {files} files open"));
            }
        }
        Ok(())
    }

    fn get(&mut self, host: Host) -> &mut Process {
        self.list.iter_mut().find(|process| process.host == host).expect("all hosts are listed")
    }
}

/// The binary of this build, or that which `VS` names.
pub(crate) fn vs() -> PathBuf {
    std::env::var_os("VS").map_or_else(|| env!("CARGO_BIN_EXE_vs").into(), PathBuf::from)
}

/// The trace of a member.
pub(crate) fn trace(traces: &Path, host: Host) -> PathBuf {
    traces.join(format!("{host}/{host}.jsonl"))
}

/// A command that runs at `host`.
pub(crate) fn in_host(hosts: &Hosts, host: Host) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &hosts.name(host)]);
    command
}

/// Where a server is found: its name is followed when it moves.
fn named(server: Host) -> String {
    format!("{server}:{PORT}")
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn serve(hosts: &Hosts, id: u8) -> Vec<String> {
    let listen = hosts.addr(Host::Server(id));
    let mut words = words(&format!("server --insecure --json --id {id} --listen {listen}:{PORT}"));
    for other in Host::servers().into_iter().filter(|other| *other != Host::Server(id)) {
        words.extend(["--peer".into(), named(other)]);
    }
    words
}

/// The order of the group: `VS_CHAOS_ORDER=total` asks for one for all members.
fn order() -> String {
    std::env::var("VS_CHAOS_ORDER").unwrap_or_else(|_| "fifo".to_owned())
}

/// What members do: talk, or keep a store.
fn verb() -> String {
    if store::is_on() {
        format!("kv --members {}", store::VOTERS)
    } else {
        format!("node --order {}", order())
    }
}

/// Each begins with another server, so that all servers have clients.
pub(crate) fn join(id: u64, trace: &Path) -> Vec<String> {
    // The interface by its name: the address of a host changes.
    let mut words = words(&format!(
        "{} --insecure --json --group chaos --id {id} --interface eth0 --peer-ms {PEER_MS} \
         --connect-ms {CONNECT_MS} --members-max {MEMBERS_MAX}",
        verb()
    ));
    let mut servers = Host::servers();
    servers.rotate_left((id % u64::from(SERVERS)) as usize);
    for server in servers {
        words.extend(["--server".into(), named(server)]);
    }
    words.extend(["--trace".into(), trace.display().to_string()]);
    words
}

/// `words` with the option of `mismatch`, which may have another value in them.
fn with(mut words: Vec<String>, mismatch: Option<&Mismatch>) -> Vec<String> {
    let Some(Mismatch { option, value, .. }) = mismatch else { return words };
    let (option, value) = match *option {
        // A store has the processes 1 to N.
        "--primary-of" if store::is_on() => (&"--members", &"3"),
        _ => (option, value),
    };
    if let Some(at) = words.iter().position(|word| word == option) {
        words.drain(at..at + 2);
    }
    words.extend([(*option).to_owned(), (*value).to_owned()]);
    words
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

pub(crate) fn append(log: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(log).expect("a log can be written")
}
