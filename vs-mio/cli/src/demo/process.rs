//! The processes of the demo: started, heard, signalled, and gone when the demo ends, however it
//! ends.

use std::ffi::OsString;
use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::Sender;

use vs_core::ident::{Incarnation, ProcessId};
use vs_core::trace::{Header, Record};
use vs_core::trace_json::{Reader, encode_header};

use super::network::Network;
use crate::failure::Failure;

/// Who is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// A membership server, by its id.
    Server(u64),
    /// A member of the group.
    Member(ProcessId),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(id) => write!(f, "membership server {id}"),
            Self::Member(p) => write!(f, "process {p}"),
        }
    }
}

/// What a process let us know.
#[derive(Debug)]
pub(super) enum News {
    /// A line of a server.
    Line(u64, String),
    /// An event of a member.
    Event(Record),
    /// A line on the standard error output.
    Complaint(Who, String),
    /// The standard output ended: so did the process, or it is about to.
    Closed(Who),
}

/// A process of the demo. Dropping it kills it, also when it is stopped.
#[derive(Debug)]
pub(super) struct Process {
    who: Who,
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Process {
    /// Starts this program with `args` and `keys` at `side` of the network; what it says goes to
    /// `news`.
    pub(super) fn start(
        who: Who,
        (network, side): (&Network, usize),
        (args, keys): (&[String], &[OsString]),
        news: &Sender<News>,
    ) -> Result<Self, Failure> {
        let program = std::env::current_exe()
            .map_err(|e| Failure(format!("the path of this program cannot be found: {e}")))?;
        let mut command = network.command(side, program);
        command.args(args).args(keys);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().map_err(|e| Failure(format!("{who} cannot be started: {e}")))?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        // From here on the guard sees to it that nothing stays behind.
        let process = Self { who, child, stdin };
        if let Some(stdout) = stdout {
            let news = news.clone();
            listen(who, move || hear_output(who, stdout, &news))?;
        }
        if let Some(stderr) = stderr {
            let news = news.clone();
            listen(who, move || hear_complaints(who, stderr, &news))?;
        }
        Ok(process)
    }

    /// Types a line into its standard input.
    pub(super) fn type_line(&mut self, line: &str) -> Result<(), Failure> {
        let Some(stdin) = &mut self.stdin else { return Ok(()) };
        let typed = stdin.write_all(line.as_bytes()).and_then(|()| stdin.write_all(b"\n"));
        typed.map_err(|e| Failure(format!("{} does not read its input: {e}", self.who)))
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self) {
        // Both fail only for a process that is gone, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// `kill -SIGNAL`. The shell has it everywhere, so that this program needs no unsafe call for
    /// it.
    pub(super) fn signal(&self, signal: &str) -> Result<(), Failure> {
        let line = format!("kill -{signal} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &line]).status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failure(format!("`{line}` for {} failed: {status}", self.who))),
            Err(e) => Err(Failure(format!("`sh -c \"{line}\"` cannot be run: {e}"))),
        }
    }

    /// Takes the exit status of a process whose output has ended; an error unless it is 0.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        let status = self.child.wait();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failure(format!("{} ended with {status}", self.who))),
            Err(e) => Err(Failure(format!("the end of {} cannot be seen: {e}", self.who))),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn listen(who: Who, hear: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let thread = std::thread::Builder::new().spawn(hear);
    thread.map(drop).map_err(|e| Failure(format!("no thread to listen to {who}: {e}")))
}

/// Hands on what is said until nobody speaks or listens any more.
fn hear_output(who: Who, stdout: impl Read, news: &Sender<News>) {
    let mut reader = Reader::new();
    if let Who::Member(process) = who {
        // The lines are read as a trace, whose header is known.
        let mut header = Vec::new();
        let runtime = "demo".into();
        encode_header(&Header { process, incarnation: Incarnation::new(0), runtime }, &mut header);
        // It was encoded just now.
        let _ = reader.read(&header);
    }
    for line in BufReader::new(stdout).split(b'\n') {
        let Ok(line) = line else { break };
        let told = match who {
            Who::Server(id) => Some(News::Line(id, String::from_utf8_lossy(&line).into_owned())),
            Who::Member(_) => event(who, &line, &mut reader),
        };
        if let Some(told) = told
            && news.send(told).is_err()
        {
            return;
        }
    }
    // Nobody listens if the demo is over.
    let _ = news.send(News::Closed(who));
}

fn event(who: Who, line: &[u8], reader: &mut Reader) -> Option<News> {
    if line.starts_with(b"{\"vs_trace\"") {
        return None;
    }
    match reader.read(line) {
        Ok(event) => event.map(|line| News::Event(line.record)),
        Err(e) => Some(News::Complaint(who, format!("not an event: {}", e.what))),
    }
}

fn hear_complaints(who: Who, stderr: impl Read, news: &Sender<News>) {
    for line in BufReader::new(stderr).lines() {
        let Ok(line) = line else { return };
        if news.send(News::Complaint(who, line)).is_err() {
            return;
        }
    }
}
