//! What a service manager needs: a file with options, SIGHUP, and to be told when one is ready.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::world::{HANG, directory, multicast, vs};

/// A process that tells `socket` how it fares.
struct Service {
    child: Child,
    socket: UnixDatagram,
}

impl Service {
    fn start(dir: &Path, args: &[&str]) -> Self {
        let path = dir.join("notify");
        let socket = UnixDatagram::bind(&path).expect("a directory of our own");
        socket.set_read_timeout(Some(HANG)).expect("a time that is not zero");
        let mut command = Command::new(env!("CARGO_BIN_EXE_vs"));
        command.args(args).env("NOTIFY_SOCKET", &path).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(std::fs::File::create(dir.join("log")).expect("a directory of our own"));
        Self { child: command.spawn().expect("the command"), socket }
    }

    /// Waits until it has told `what`.
    fn told(&self, what: &str) {
        let mut bytes = [0; 1000];
        loop {
            let len = self.socket.recv(&mut bytes).unwrap_or_else(|e| panic!("{what}: {e}"));
            if String::from_utf8_lossy(&bytes[..len]).contains(what) {
                return;
            }
        }
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(status.expect("kill").success());
    }

    fn end(mut self) {
        self.signal("TERM");
        self.told("STOPPING=1");
        assert!(self.child.wait().expect("a child of our own").success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a line of the log.
fn logged(dir: &Path, what: &str) -> String {
    let since = std::time::Instant::now();
    loop {
        let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
        if let Some(line) = log.lines().find(|line| line.contains(what)) {
            return line.to_owned();
        }
        assert!(since.elapsed() < HANG, "{what} in {log}");
        crate::world::pause(10);
    }
}

#[test]
fn server_is_ready_and_reads_its_file_again() {
    let dir = directory("service-server");
    let file = dir.join("server.toml");
    let write = |text: &str| std::fs::write(&file, text).expect("a directory of our own");
    write("listen = '127.0.0.1:0'\nlog = 'json'\n");
    let file = file.display().to_string();
    let server = Service::start(&dir, &["server", "--config", &file]);
    server.told("READY=1");
    write("listen = '127.0.0.1:0'\nlog = 'json'\nsilence-ms = 900\nlog-level = 'debug'\n");
    server.signal("HUP");
    server.told("RELOADING=1");
    server.told("READY=1");
    let line = logged(&dir, "read again");
    let said: serde_json::Value = serde_json::from_str(&line).expect("a JSON object a line");
    let message = said["message"].as_str().expect("a text");
    assert!(message.ends_with("before a restart: silence-ms"), "{message}");
    assert_eq!((&said["level"], &said["target"]), (&"WARN".into(), &"vs::renewal".into()));
    assert!(said["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
    // One that cannot be used changes nothing.
    write("listen = 7\ncolour = 'red'\n");
    server.signal("HUP");
    let line = logged(&dir, "stay as they were");
    assert!(line.contains("server.toml:2: vs server has no option colour"), "{line}");
    server.end();
    std::fs::remove_dir_all(&dir).expect("a directory of our own");
}

#[test]
fn node_is_ready_once_it_has_a_view() {
    let dir = directory("service-node");
    let file = dir.join("node.toml");
    let text =
        format!("group = 'g'\nid = 7\ninterface = '127.0.0.1'\nmulticast = '{}'\n", multicast());
    std::fs::write(&file, text).expect("a directory of our own");
    let node = Service::start(&dir, &["node", "--config", &file.display().to_string()]);
    node.told("READY=1\nSTATUS=in view ");
    node.end();
    std::fs::remove_dir_all(&dir).expect("a directory of our own");
}

#[test]
fn file_that_is_not_there_is_named() {
    let output = vs(&["server", "--config", "/none/vs.toml"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("vs: /none/vs.toml: the file with options cannot be read"), "{said}");
    // One that never ends is not read to its end.
    let output = vs(&["server", "--config", "/dev/zero"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("vs: /dev/zero: a file with options has at most"), "{said}");
}
