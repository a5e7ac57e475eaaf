//! Processes that end with their owner, and waiting that ends with a signal.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// How long a start, or anything that happens by itself, may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often to check for signals.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long the last output of a failed process may take to arrive.
const LAST_WORDS: Duration = Duration::from_millis(100);

static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on a signal to end makes all waiting fail, so that everything is taken down on the way
/// out.
pub fn watch_signals() -> Result<(), String> {
    let flag = INTERRUPTED.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(flag))
            .map_err(|e| format!("signals cannot be watched: {e}"))?;
    }
    Ok(())
}

/// Fails once a signal to end has come.
///
/// # Errors
/// A signal has come.
pub fn check_signals() -> Result<(), String> {
    let interrupted = INTERRUPTED.get().is_some_and(|flag| flag.load(Ordering::Relaxed));
    if interrupted { Err("interrupted by a signal".into()) } else { Ok(()) }
}

/// Waits.
pub fn pause(time: Duration) -> Result<(), String> {
    let until = Instant::now() + time;
    let (_keep, never) = channel::<()>();
    while Instant::now() < until {
        check_signals()?;
        let left = until.saturating_duration_since(Instant::now());
        // Nobody sends: the timeout is the wait.
        let _ = never.recv_timeout(left.min(LOOK_EVERY));
    }
    Ok(())
}

/// The next from `receiver`; `None` when there will be no more.
pub fn receive<T>(
    receiver: &Receiver<T>,
    patience: Duration,
    what: &str,
) -> Result<Option<T>, String> {
    let until = Instant::now() + patience;
    loop {
        match receiver.recv_timeout(LOOK_EVERY) {
            Ok(item) => return Ok(Some(item)),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => check_signals()?,
        }
        if Instant::now() >= until {
            return Err(format!("{what}: nothing for {} s", patience.as_secs_f64()));
        }
    }
}

/// A running process with its output. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    what: String,
    child: Child,
    lines: Receiver<String>,
    complaints: Receiver<String>,
}

fn lines_of(stream: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let lines = stream.into_iter().flat_map(|stream| BufReader::new(stream).lines());
        for line in lines.map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

impl Process {
    /// Starts `command`, `what` for short.
    pub fn start(what: impl Into<String>, mut command: Command) -> Result<Self, String> {
        let what = what.into();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| format!("{what} cannot be started: {e}"))?;
        let lines = lines_of(child.stdout.take());
        let complaints = lines_of(child.stderr.take());
        Ok(Self { what, child, lines, complaints })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line with `part` in it.
    pub fn wait_for(&self, part: &str, patience: Duration) -> Result<String, String> {
        while let Some(line) = receive(&self.lines, patience, &self.what)? {
            if line.contains(part) {
                return Ok(line);
            }
        }
        Err(self.failure("ended too early"))
    }

    /// Waits for the end and returns the remaining lines.
    pub fn finish(mut self, patience: Duration) -> Result<Vec<String>, String> {
        let mut lines = Vec::new();
        while let Some(line) = receive(&self.lines, patience, &self.what)? {
            lines.push(line);
        }
        let status = self.child.wait().map_err(|e| format!("{} is lost: {e}", self.what))?;
        if status.success() {
            return Ok(lines);
        }
        Err(self.failure(&format!("failed ({status})")))
    }

    /// An error with its last output, if the process has ended.
    pub fn check_alive(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            _ => Err(self.failure("ended too early")),
        }
    }

    /// The lines from now on, and the process itself, which still ends when dropped.
    pub fn take_lines(&mut self) -> Receiver<String> {
        let (_, none) = channel();
        core::mem::replace(&mut self.lines, none)
    }

    fn failure(&self, what: &str) -> String {
        let mut last = "it said nothing".to_owned();
        while let Ok(line) = self.complaints.recv_timeout(LAST_WORDS) {
            last = line;
        }
        format!("{} {what}: {last}", self.what)
    }

    /// Sends the process a signal.
    ///
    /// # Errors
    /// The process is gone.
    pub fn signal(&self, signal: Signal) -> Result<(), String> {
        let pid = i32::try_from(self.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or("a process without an id")?;
        kill_process(pid, signal).map_err(|e| format!("{}: no {signal:?}: {e}", self.what))
    }

    /// Waits until the process has ended, and drops its output.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn wait(&mut self, patience: Duration) -> Result<(), String> {
        let until = Instant::now() + patience;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() >= until {
                return Err(self.failure("does not end"));
            }
            pause(LOOK_EVERY)?;
        }
        Ok(())
    }

    /// Sends SIGKILL; the process is gone when this returns.
    pub fn kill(&mut self) {
        // Both fail only for a process that is gone, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs `command` to its end and returns its output.
pub fn output(mut command: Command) -> Result<String, String> {
    let what = format!("{command:?}");
    let out = command.stdin(Stdio::null()).output().map_err(|e| format!("{what}: {e}"))?;
    if out.status.success() {
        return Ok(String::from_utf8_lossy(&out.stdout).into_owned());
    }
    Err(format!("{what} failed ({}): {}", out.status, String::from_utf8_lossy(&out.stderr).trim()))
}
