//! The chats of the examples as real processes, of which one is killed.

use core::time::Duration;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

/// How long what is waited for may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A chat; it is killed when it is dropped.
struct Chat {
    child: Child,
    input: Option<ChildStdin>,
    /// What it prints.
    lines: Receiver<String>,
    seen: Vec<String>,
}

/// Where cargo puts examples: beside the folder of the tests.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(path.exists(), "{path:?} is not there: run `cargo build -p vs-std --examples`");
    path
}

impl Chat {
    fn start(name: &str, room: &str) -> Self {
        let mut command = Command::new(example(name));
        command.arg(room).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (send, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        let input = child.stdin.take();
        Self { child, input, lines, seen: Vec::new() }
    }

    fn say(&mut self, words: &str) {
        writeln!(self.input.as_mut().unwrap(), "{words}").unwrap();
    }

    /// Waits until a line is printed that `is_it`, and returns it.
    fn hear(&mut self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("{what}: it printed {:#?}", self.seen)
            };
            self.seen.push(line.clone());
            if is_it(&line) {
                return line;
            }
        }
    }

    fn hear_words(&mut self, words: &str) {
        self.hear(words, |line| line.ends_with(&format!(": {words}")));
    }

    /// Waits for a view of so many.
    fn hear_view(&mut self, members: usize) {
        let is_it = |line: &str| line.starts_with("view ") && count(line) == members;
        self.hear(&format!("a view of {members}"), is_it);
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits for its end.
    fn end(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "it goes on; it printed {:#?}", self.seen);
            thread::park_timeout(Duration::from_millis(5));
        }
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Members of a view as it is printed, for example `2@1{7, 8}`.
fn count(view: &str) -> usize {
    let members = view.split(['{', '}']).nth(1).unwrap_or_default();
    members.split([',', ' ']).filter(|member| !member.is_empty()).count()
}

#[test]
fn tokio_and_smol_chat_while_one_is_killed() {
    let room = format!("chats-{}", std::process::id());
    let mut chats = ["tokio_chat", "smol_chat", "tokio_chat"].map(|name| Chat::start(name, &room));
    chats.iter_mut().for_each(|chat| chat.hear_view(3));
    for speaker in 0..3 {
        let words = format!("hello from {speaker}");
        chats[speaker].say(&words);
        chats.iter_mut().for_each(|chat| chat.hear_words(&words));
    }

    let [mut tokio, mut smol, mut killed] = chats;
    killed.child.kill().unwrap();
    tokio.say("are you there?");
    tokio.hear_view(2);
    smol.hear_view(2);
    smol.say("I am");
    [&mut tokio, &mut smol].into_iter().for_each(|chat| chat.hear_words("I am"));

    // Ctrl-C, while the input stays open.
    kill_process(tokio.pid(), Signal::INT).unwrap();
    assert!(tokio.end().success());
    smol.hear_view(1);
    drop(smol.input.take());
    assert!(smol.end().success());
}
