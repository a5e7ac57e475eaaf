//! A wire in user space, on which datagrams overtake each other and come twice: kernels without
//! netem have no other way.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// What carries frames from one interface to another.
const PROGRAM: &str = include_str!("wire.py");

/// A wire that carries; dropping it ends it.
pub(crate) struct Wire(Child);

impl Wire {
    /// Between two interfaces of the namespace `ns`.
    pub(crate) fn start(ns: &str, seed: u64, ends: &[String; 2]) -> Self {
        let mut child = Command::new("ip")
            .args(["netns", "exec", ns, "python3", "-c", PROGRAM, &seed.to_string()])
            .args(ends)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("ip starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("the wire says something");
        assert_eq!(line, "ready\n", "the wire does not start");
        Self(child)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
