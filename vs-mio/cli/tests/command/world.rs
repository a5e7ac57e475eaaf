//! Processes of the command `vs`: started, heard, signalled, and gone when a test ends, however it
//! ends.

use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicU8, Ordering};
use core::time::Duration;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// What waits for longer hangs: generous, since the machine may be busy with other things.
pub(crate) const HANG: Duration = Duration::from_secs(40);
/// The group of every world; worlds differ in their multicast address and server.
pub(crate) const GROUP: &str = "chat";

/// `vs` with `args`, run to its end.
pub(crate) fn vs(args: &[&str]) -> Output {
    let mut process = Process::start(args);
    process.type_nothing_more();
    let mut stdout = String::new();
    process.wait_for_end(|line| stdout.extend([line, "\n"]));
    let status = process.status();
    let stderr = process.complaints().join("\n");
    Output { status, stdout: stdout.into(), stderr: stderr.into() }
}

/// Waits so many ms, or a little less: before something is looked at again.
pub(crate) fn pause(ms: u64) {
    std::thread::park_timeout(Duration::from_millis(ms));
}

/// Nanoseconds of UNIX time, as in traces.
pub(crate) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is set");
    u64::try_from(since.as_nanos()).expect("a date before 2554")
}

/// Ports that the system gives to nobody who asks for any: one of those may go to another test
/// before the members of a group have it.
const PORTS: core::ops::Range<u16> = 12_000..32_000;

/// A multicast address that no other test has: neither in this process nor, the port being free
/// now, in another.
pub(crate) fn multicast() -> String {
    static COUNT: AtomicU8 = AtomicU8::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let id = std::process::id();
    let first = id.wrapping_mul(64).wrapping_add(count.into()) as usize % PORTS.len();
    let is_free = |port: &u16| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok();
    let port = PORTS.cycle().skip(first).take(PORTS.len()).find(is_free).expect("a free port");
    let [low, high, ..] = id.to_le_bytes();
    format!("239.{}.{high}.{low}:{port}", 192 + count % 63)
}

/// A directory of its own for each test, and a membership server.
pub(crate) struct World {
    pub(crate) dir: PathBuf,
    pub(crate) multicast: String,
    pub(crate) server_addr: String,
    pub(crate) server: Process,
}

impl World {
    /// Starts the server with `args` besides its address. `name` is that of the test.
    pub(crate) fn new(name: &str, args: &[&str]) -> Self {
        let dir = directory(name);
        let mut server = Process::start(&[&["server", "--listen", "127.0.0.1:0"], args].concat());
        let server_addr = server.wait("the server listens", |line| {
            line.rsplit_once("listening on ").map(|(_, addr)| addr.to_owned())
        });
        Self { dir, multicast: multicast(), server_addr, server }
    }

    /// Where the member `id` writes its trace.
    pub(crate) fn trace(&self, id: u64) -> String {
        self.dir.join(format!("{id}.jsonl")).display().to_string()
    }

    /// How member `id` is started, with `args` besides.
    pub(crate) fn node_args(&self, id: u64, args: &[&str]) -> Vec<String> {
        let (id, trace) = (id.to_string(), self.trace(id));
        let own = ["node", "--group", GROUP, "--server", &self.server_addr, "--id", &id];
        let own = [&own[..], &["--multicast", &self.multicast, "--trace", &trace]].concat();
        own.iter().chain(args).map(ToString::to_string).collect()
    }

    /// Starts member `id`.
    pub(crate) fn node(&self, id: u64, args: &[&str]) -> Process {
        Process::start(&self.node_args(id, args))
    }

    /// Lets the checker judge all traces; liveness, too, if it is said who is there in the end.
    pub(crate) fn check(&self, settled: &str) {
        check(&self.dir, settled);
    }

    /// Lets `members` leave, and the checker judge what they did.
    pub(crate) fn end(mut self, members: impl IntoIterator<Item = Process>) {
        for mut member in members {
            member.leave();
        }
        self.check("");
        self.server.leave();
        std::fs::remove_dir_all(&self.dir).expect("a directory of our own");
    }
}

/// Lets the checker judge the traces in `dir`; liveness, too, if it is said who is there in the
/// end.
pub(crate) fn check(dir: &Path, settled: &str) {
    let dir = dir.display().to_string();
    let settled = if settled.is_empty() { vec![] } else { vec!["--settled", settled] };
    let verdict = vs(&[&["check", &dir], &settled[..]].concat());
    let said = String::from_utf8_lossy(&verdict.stdout);
    println!("{}", said.trim_end());
    assert!(verdict.status.success(), "the checker refuses the traces in {dir}:\n{said}");
}

/// An empty directory; one of an earlier run that failed was left for a look.
pub(crate) fn directory(name: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    if dir.exists() {
        std::fs::remove_dir_all(&dir).expect("a directory of our own");
    }
    std::fs::create_dir_all(&dir).expect("a writable target directory");
    dir
}

/// A process. Dropping it kills it, also when it is stopped.
pub(crate) struct Process {
    pub(crate) child: Child,
    stdin: Option<ChildStdin>,
    /// Standard output while nobody reads it.
    unread: Option<ChildStdout>,
    lines: Receiver<Heard>,
    complaints: Receiver<Heard>,
    complained: Vec<String>,
    what: String,
    /// When the line was heard that the last wait found.
    pub(crate) found_ns: u64,
}

/// A line and when it was heard, in ns of UNIX time.
type Heard = (u64, String);

impl Process {
    /// Starts `vs` with `args`; everything that it says is read.
    pub(crate) fn start<S: AsRef<str>>(args: &[S]) -> Self {
        let mut process = Self::start_unread(args);
        process.read();
        process
    }

    /// Starts `vs` with `args`; its standard output is a pipe that nobody reads.
    pub(crate) fn start_unread<S: AsRef<str>>(args: &[S]) -> Self {
        Self::spawn(Command::new(env!("CARGO_BIN_EXE_vs")), args)
    }

    /// Starts `vs` with `args` where commands are looked for in the directories of `path`;
    /// everything that it says is read.
    pub(crate) fn start_with_path(path: &str, args: &[&str]) -> Self {
        Self::start_with_env("PATH", path, args)
    }

    /// Starts `vs` with `args`, and with `value` in the variable `name`; everything that it says is
    /// read.
    pub(crate) fn start_with_env(name: &str, value: &str, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vs"));
        command.env(name, value);
        let mut process = Self::spawn(command, args);
        process.read();
        process
    }

    fn spawn<S: AsRef<str>>(mut command: Command, args: &[S]) -> Self {
        let args: Vec<&str> = args.iter().map(AsRef::as_ref).collect();
        command.args(&args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary under test");
        let (stdin, unread) = (child.stdin.take(), child.stdout.take());
        let complaints = lines_of(child.stderr.take().expect("a pipe"));
        let (_, lines) = channel();
        let what = format!("vs {}", args.join(" "));
        Self { child, stdin, unread, lines, complaints, complained: Vec::new(), what, found_ns: 0 }
    }

    /// From now on standard output is read.
    pub(crate) fn read(&mut self) {
        if let Some(unread) = self.unread.take() {
            self.lines = lines_of(unread);
        }
    }

    /// From now on nobody can read standard output.
    pub(crate) fn close(&mut self) {
        self.unread = None;
    }

    /// Types a line.
    pub(crate) fn type_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("an open input");
        stdin.write_all(format!("{line}\n").as_bytes()).expect("a process that reads its input");
    }

    /// What the process reads, for a thread that writes to it.
    pub(crate) fn take_input(&mut self) -> ChildStdin {
        self.stdin.take().expect("an open input")
    }

    /// Ends the input.
    pub(crate) fn type_nothing_more(&mut self) {
        self.stdin = None;
    }

    /// Hears lines, each once, until `found` has what it looks for.
    pub(crate) fn wait<R>(&mut self, what: &str, mut found: impl FnMut(&str) -> Option<R>) -> R {
        let until = Instant::now() + HANG;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok((at, line)) => {
                    if let Some(result) = found(&line) {
                        self.found_ns = at;
                        return result;
                    }
                }
                Err(e) => {
                    let said = self.complaints().join("\n");
                    panic!("{what}: waited in vain ({e}) for `{}`, which said:\n{said}", self.what);
                }
            }
        }
    }

    /// Hears all lines to the last.
    pub(crate) fn wait_for_end(&mut self, mut hear: impl FnMut(&str)) {
        let until = Instant::now() + HANG;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok((_, line)) => hear(&line),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => panic!("`{}` does not end", self.what),
            }
        }
    }

    /// Hears complaints until `found` has what it looks for.
    pub(crate) fn wait_for_complaint<R>(
        &mut self,
        what: &str,
        mut found: impl FnMut(&str) -> Option<R>,
    ) -> R {
        let until = Instant::now() + HANG;
        loop {
            if let Some(result) = self.complained.iter().find_map(|line| found(line)) {
                return result;
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.complaints.recv_timeout(left) {
                Ok((_, line)) => self.complained.push(line),
                Err(e) => panic!("{what}: waited in vain ({e}) for `{}`", self.what),
            }
        }
    }

    /// Everything that was said on standard error so far.
    pub(crate) fn complaints(&mut self) -> &[String] {
        // Words may be on their way.
        while let Ok((_, line)) = self.complaints.recv_timeout(Duration::from_millis(300)) {
            self.complained.push(line);
        }
        &self.complained
    }

    /// `kill -9`, at once.
    pub(crate) fn kill(&mut self) {
        // Both fail only for a process that is gone, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// `kill -SIGNAL`.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("sh").args(["-c", &format!("kill -{signal} {id}")]).status();
        assert!(status.expect("a shell").success(), "{signal} for `{}`", self.what);
    }

    /// Asks the process to end by itself, and sees to it that it does, without a complaint by its
    /// exit status.
    pub(crate) fn leave(&mut self) {
        self.signal("TERM");
        self.wait_for_end(|_| {});
        let status = self.status();
        let said = self.complaints().join("\n");
        assert!(status.success(), "`{}`: {said}", self.what);
    }

    /// How the process ended; it is about to, if it did not yet.
    pub(crate) fn status(&mut self) -> ExitStatus {
        // Its last words end with it.
        let until = Instant::now() + HANG;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.complaints.recv_timeout(left) {
                Ok((_, line)) => self.complained.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("`{}` does not end", self.what),
            }
        }
        self.child.wait().expect("our child")
    }

    /// Bytes of memory that the process holds, without its code, which grows with what the command
    /// can do.
    #[cfg(target_os = "linux")]
    pub(crate) fn held_bytes(&self) -> usize {
        let file = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(file).expect("a living child");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|rest| rest.trim().strip_suffix("kB")).map(str::trim);
        kib.and_then(|kib| kib.parse::<usize>().ok()).expect("RssAnon in kB") * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The lines of a pipe, read by a thread until it ends.
fn lines_of(pipe: impl Read + Send + 'static) -> Receiver<Heard> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n') {
            let Ok(line) = line else { return };
            if sender.send((now_ns(), String::from_utf8_lossy(&line).into_owned())).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Whether a line for people tells of a view of `members`, with the transitional set `together`, if
/// one is named.
pub(crate) fn is_view(line: &str, members: &str, together: Option<&str>) -> bool {
    line.strip_prefix("view <").is_some_and(|view| {
        view.contains(&format!(" {{{members}}}, ["))
            && together.is_none_or(|t| view.ends_with(&format!(">, together with {{{t}}}")))
    })
}
