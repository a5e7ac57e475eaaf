//! `vs top` in a pseudo terminal, over real nodes.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};
use serde_json::Value;

use crate::status::desk;
use crate::world::{HANG, Process, World, is_view, vs};

/// Rows and columns of a terminal.
type Size = (u16, u16);

/// `vs` on a terminal of its own. Dropping it kills it.
struct Pty {
    keys: File,
    /// The end that the process has: its modes are looked at.
    line: File,
    modes: Termios,
    child: Child,
    bytes: Receiver<Vec<u8>>,
    screen: vt100::Parser,
}

fn size((ws_row, ws_col): Size) -> Winsize {
    Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 }
}

fn parser((rows, columns): Size) -> vt100::Parser {
    let some = |n| core::num::NonZeroU16::new(n).expect("a size above 0");
    vt100::Parser::new(some(rows), some(columns), 0)
}

impl Pty {
    fn start(args: &[&str], at: Size, environment: &[(&str, &str)]) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let keys = openpt(flags).expect("a pseudo terminal");
        grantpt(&keys).and_then(|()| unlockpt(&keys)).expect("a pseudo terminal of our own");
        let name = ptsname(&keys, Vec::new()).expect("its name");
        let line = open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty());
        let (keys, line) = (File::from(keys), File::from(line.expect("its other end")));
        tcsetwinsize(&keys, size(at)).expect("a size");
        let modes = tcgetattr(&line).expect("modes");
        let end = || Stdio::from(line.try_clone().expect("another handle"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_vs"));
        command.args(args).env("TERM", "xterm-256color").env_remove("NO_COLOR");
        command.envs(environment.iter().copied()).stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().expect("the binary under test");
        let bytes = bytes_of(keys.try_clone().expect("another handle"));
        Self { keys, line, modes, child, bytes, screen: parser(at) }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("a terminal");
    }

    fn contents(&self) -> String {
        self.screen.screen().contents()
    }

    /// Looks at the screen until `found` has what it looks for.
    fn wait(&mut self, what: &str, found: impl Fn(&str) -> bool) {
        let until = Instant::now() + HANG;
        while !found(&self.contents()) {
            let left = until.saturating_duration_since(Instant::now());
            match self.bytes.recv_timeout(left) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(error) => panic!("{what}: waited in vain ({error}):\n{}", self.contents()),
            }
        }
    }

    /// Another size. What was there is drawn anew.
    fn resize(&mut self, at: Size) {
        tcsetwinsize(&self.keys, size(at)).expect("a size");
        self.screen = parser(at);
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("sh").args(["-c", &format!("kill -{signal} {id}")]).status();
        assert!(status.expect("a shell").success(), "{signal}");
    }

    /// Whether keys arrive as they are typed, and nothing is echoed.
    fn is_raw(&self) -> bool {
        let modes = tcgetattr(&self.line).expect("modes").local_modes;
        !modes.intersects(LocalModes::ICANON | LocalModes::ECHO)
    }

    /// Sees the process end, with `status`, and the terminal as it was before.
    fn ends(&mut self, status: i32) -> String {
        let until = Instant::now() + HANG;
        let ended = loop {
            if let Some(ended) = self.child.try_wait().expect("our child") {
                break ended;
            }
            assert!(Instant::now() < until, "it does not end:\n{}", self.contents());
            match self.bytes.recv_timeout(core::time::Duration::from_millis(50)) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(RecvTimeoutError::Timeout) => {}
                Err(error) => panic!("the terminal is gone: {error}"),
            }
        };
        // Its last words are on their way.
        while let Ok(bytes) = self.bytes.recv_timeout(core::time::Duration::from_millis(300)) {
            self.screen.process(&bytes);
        }
        assert_eq!(ended.code(), Some(status), "{}", self.contents());
        let modes = tcgetattr(&self.line).expect("modes");
        assert_eq!(modes.local_modes, self.modes.local_modes);
        assert_eq!(modes.input_modes, self.modes.input_modes);
        assert_eq!(modes.output_modes, self.modes.output_modes);
        assert!(!self.screen.screen().alternate_screen(), "the screen is given back");
        assert!(!self.screen.screen().hide_cursor(), "the cursor is shown");
        self.contents()
    }

    /// How many places have another colour than the usual one.
    fn coloured(&self) -> usize {
        let screen = self.screen.screen();
        let (rows, columns) = screen.size();
        let places = (0..rows.get()).flat_map(|y| (0..columns.get()).map(move |x| (y, x)));
        let cells = places.filter_map(|(y, x)| screen.cell(y, x));
        cells.filter(|cell| cell.fgcolor() != vt100::Color::Default).count()
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // Both fail only for a process that is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is written to a terminal.
fn bytes_of(mut pty: File) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            match pty.read(&mut buffer) {
                Ok(0) => return,
                Ok(n) if sender.send(buffer[..n].to_vec()).is_ok() => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => return,
            }
        }
    });
    receiver
}

/// Two members that can be asked, and where.
fn members(world: &World) -> [(Process, String); 2] {
    let mut nodes = [1, 2].map(|id| {
        let mut node = world.node(id, &["--status", "127.0.0.1:0"]);
        let addr = desk(&mut node);
        (node, addr)
    });
    for (node, _) in &mut nodes {
        node.wait("a view of both", |line| is_view(line, "1,2", None).then_some(()));
    }
    nodes
}

#[test]
fn top_shows_members_and_a_crash_and_gives_the_terminal_back() {
    let world = World::new("top", &[]);
    let [(one, first), (mut two, second)] = members(&world);
    let args = ["top", &first, &second, &world.server_addr, "127.0.0.1:1"];
    let mut top = Pty::start(&args, (40, 160), &[]);
    top.wait("who answers", |text| text.contains("3 of 4 answer") && text.contains("process 2"));
    top.wait("why one does not", |text| text.contains("nobody listens at 127.0.0.1:1"));
    assert!(top.is_raw() && top.screen.screen().alternate_screen());
    top.wait("the members", |text| text.contains(" 1,2 "));
    assert!(top.coloured() > 0, "{}", top.contents());
    two.kill();
    top.wait("the view after the crash", |text| text.contains("(-2)"));
    top.wait("the silence", |text| text.contains("2 of 4 answer"));
    top.press("?");
    top.wait("the keys", |text| text.contains("Any key goes on"));
    top.press("x\t\t\t");
    top.wait("every counter", |text| text.contains("▶Counters") && text.contains("vs_build_info"));
    // Down to nothing, and back.
    for (rows, columns) in [(1, 1), (5, 20), (200, 500), (30, 100)] {
        top.resize((rows, columns));
        let expected = " vs top  2 of 4 answer";
        let expected: String = expected.chars().take(columns.into()).collect();
        top.wait("another size", |text| text.trim_end().starts_with(expected.trim_end()));
    }
    top.press("p");
    top.wait("the pause", |text| text.contains("paused"));
    top.press("q");
    top.ends(0);
    world.end([one]);
}

#[test]
fn signals_end_top_and_give_the_terminal_back() {
    for signal in ["TERM", "INT", "HUP"] {
        let mut top = Pty::start(&["top", "127.0.0.1:1"], (24, 80), &[("NO_COLOR", "1")]);
        top.wait("an answer", |text| text.contains("nobody listens"));
        assert!(top.is_raw() && top.screen.screen().alternate_screen());
        assert_eq!(top.coloured(), 0, "no colours are wanted");
        top.signal(signal);
        top.ends(0);
    }
    // As a key.
    let mut top = Pty::start(&["top", "127.0.0.1:1"], (24, 80), &[]);
    top.wait("an answer", |text| text.contains("nobody listens"));
    top.press("\x03");
    top.ends(0);
}

#[test]
fn top_says_what_to_use_without_a_terminal() {
    let output = vs(&["top", "127.0.0.1:1"]);
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("vs status --watch") && said.lines().count() == 1, "{said}");
    let mut top = Pty::start(&["top", "127.0.0.1:1"], (24, 80), &[("TERM", "dumb")]);
    let said = top.ends(1);
    assert!(said.contains("TERM says") && said.contains("vs status --watch"), "{said}");
    assert_eq!(vs(&["top"]).status.code(), Some(2));
}

#[test]
fn top_with_json_prints_each_answer() {
    let mut server = Process::start(&["server", "--listen", "127.0.0.1:0"]);
    let addr = server.wait("the server listens", |line| {
        line.rsplit_once("listening on ").map(|(_, addr)| addr.to_owned())
    });
    let mut top = Process::start(&["top", "--json", &addr, "127.0.0.1:1"]);
    let (mut told, mut failed) = (false, false);
    top.wait("an answer of each", |line| {
        let value: Value = serde_json::from_str(line).expect("one JSON object a line");
        match value["addr"].as_str() {
            Some("127.0.0.1:1") => {
                failed |= value["error"].as_str().is_some_and(|why| why.contains("nobody listens"));
            }
            named => {
                assert_eq!(named, Some(&*addr), "{line}");
                told |= value["status"]["server"]["server"].is_u64();
            }
        }
        (told && failed).then_some(())
    });
    top.leave();
    // Nobody reads any more: it ends, and says so.
    let mut top = Process::start_unread(&["top", "--json", &addr]);
    top.close();
    assert_eq!(top.status().code(), Some(1));
    server.leave();
}
