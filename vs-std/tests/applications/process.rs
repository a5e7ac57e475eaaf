//! Examples as processes of their own, on loopback.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

/// Only ends a hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A process; it is killed when the value is dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    pub(crate) said: Vec<String>,
}

impl Process {
    pub(crate) fn start(example: &str, args: &[&str]) -> Self {
        let test = std::env::current_exe().expect("a test has a file");
        let folder = test.ancestors().nth(2).expect("target/debug").join("examples");
        let mut command = Command::new(folder.join(example));
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|why| {
            panic!("{example}: {why}; build it: cargo build -p vs-std --example {example}")
        });
        let (send, lines) = mpsc::channel();
        let streams: [Box<dyn std::io::Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("it is piped")),
            Box::new(child.stderr.take().expect("it is piped")),
        ];
        for stream in streams {
            let send = send.clone();
            thread::spawn(move || {
                let lines = BufReader::new(stream).lines().map_while(Result::ok);
                lines.for_each(|line| drop(send.send(line)));
            });
        }
        Self { child, lines, said: Vec::new() }
    }

    /// Waits for a line.
    pub(crate) fn until(&mut self, what: impl Fn(&str) -> bool) -> &str {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("waited in vain after {:#?}", self.said));
            self.said.push(line);
            let last = self.said.last().expect("it was pushed");
            if what(last) {
                return self.said.last().expect("it was pushed");
            }
        }
    }

    /// As `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it has ended");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A multicast group for each `test` that no other run on this host has at the same time.
pub(crate) fn multicast(test: u8) -> String {
    let port = 20_000 + (std::process::id() % 20_000) as u16;
    SocketAddrV4::new(Ipv4Addr::new(239, 255, 80, test), port).to_string()
}
