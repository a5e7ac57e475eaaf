//! Keys that are changed while processes run.

use core::sync::atomic::{AtomicBool, Ordering};
use std::fs;
use std::io::Write;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::keys::keygen;
use crate::world::{Process, World, directory, is_view, multicast, pause};

/// Bytes of a line of full traffic.
const LINE_BYTES: usize = 500;
/// Lines of each member that all hear between two steps.
const LINES: u64 = 300;
const MEMBERS: [u64; 3] = [1, 2, 3];

/// Puts these lines of a key file in its place.
fn write_keys(file: &str, lines: &[String]) {
    // The file stays, and so do the rights to it.
    fs::write(file, lines.join("\n") + "\n").expect("a file of our own");
}

fn key_lines(file: &str) -> Vec<String> {
    let text = fs::read_to_string(file).expect("a key file");
    text.lines().filter(|line| !line.starts_with('#')).map(String::from).collect()
}

/// Sends a signal, and waits until the process says what holds.
fn hang_up(process: &mut Process, says: &str) {
    process.signal("HUP");
    process.wait_for_complaint(says, |line| line.contains(says).then_some(()));
}

/// Numbered lines, as fast as a member takes them, until it is told to stop; how many there were.
fn chatter(member: &mut Process, stop: &Arc<AtomicBool>) -> JoinHandle<u64> {
    let (mut input, stop) = (member.take_input(), Arc::clone(stop));
    std::thread::spawn(move || {
        let pad = "x".repeat(LINE_BYTES);
        let mut count = 0;
        while !stop.load(Ordering::SeqCst) {
            count += 1;
            writeln!(input, "{count} {pad}").expect("a process that reads its input");
        }
        count
    })
}

/// What a member heard.
#[derive(Default)]
struct Heard {
    /// The last line of each, by its place in [`MEMBERS`].
    last: [u64; 3],
    views: Vec<String>,
    /// Since the last view: of whom nothing was heard yet.
    is_new: [bool; 3],
}

impl Heard {
    /// Takes a line in. Each comes once, in order; what was said in a view without this member does
    /// not come.
    fn take(&mut self, line: &str) {
        if line.starts_with("view <") {
            self.is_new = [true; 3];
            return self.views.push(line.to_owned());
        }
        let (from, rest) = line.split_once(": ").unwrap_or_else(|| panic!("heard {line:?}"));
        let from: usize = from.parse().expect("a process id");
        let number = rest.split(' ').next().and_then(|number| number.parse().ok());
        let number: u64 = number.expect("a number");
        let (last, is_new) = (&mut self.last[from - 1], &mut self.is_new[from - 1]);
        let follows = if core::mem::take(is_new) { number > *last } else { number == *last + 1 };
        assert!(follows, "{number} of {from} came after {last}");
        *last = number;
    }

    /// Hears lines until `until` of this holds.
    fn hear(&mut self, member: &mut Process, what: &str, until: impl Fn(&Self) -> bool) {
        member.wait(what, |line| {
            self.take(line);
            until(self).then_some(())
        });
    }
}

/// Each process reads its keys again, one after another; all hear each other before the next one.
/// Only when the old key is removed connections end, and members that are without one are out of
/// the view for a moment.
#[test]
fn keys_are_rotated_under_full_traffic() {
    let dir = directory("rotation-keys");
    let path = |name: &str| dir.join(name).to_str().expect("a path of letters").to_owned();
    let (key, new) = (path("KEY"), path("NEW"));
    keygen(&[&key]);
    let options = ["--key-file", &key];
    let mut world = World::new("rotation", &options);
    let mut members = MEMBERS.map(|id| world.node(id, &options));
    for member in &mut members {
        member.wait("a view of all", |line| is_view(line, "1,2,3", None).then_some(()));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writers = members.each_mut().map(|member| chatter(member, &stop));
    let mut heard: [Heard; 3] = Default::default();

    keygen(&[&new, "--add", &key]);
    let both = key_lines(&new);
    let moved: Vec<String> = both.iter().rev().cloned().collect();
    for (lines, says, may_change) in [
        (&["1 aes-256-gcm 00".to_owned()][..], "stay as they were: the key file", false),
        (&both[..], "1 (aes-256-gcm) seals, 2 opens, too", false),
        (&moved[..], "2 (aes-256-gcm) seals, 1 opens, too", false),
        (&moved[..1], "2 (aes-256-gcm) seals, nothing else opens", true),
    ] {
        write_keys(&key, lines);
        for at in 0..=members.len() {
            match at {
                0 => hang_up(&mut world.server, says),
                at => hang_up(&mut members[at - 1], says),
            }
            for (heard, member) in heard.iter_mut().zip(&mut members) {
                let due = heard.last.map(|last| last + LINES);
                heard.hear(member, says, |h| h.last.iter().zip(&due).all(|(l, d)| l >= d));
            }
        }
        for heard in &heard {
            println!("{says}: {:?} {:?}", heard.last, heard.views);
            assert!(may_change || heard.views.is_empty(), "{says}: {:?}", heard.views);
        }
    }

    stop.store(true, Ordering::SeqCst);
    let sent = writers.map(|writer| writer.join().expect("a writer"));
    for (heard, member) in heard.iter_mut().zip(&mut members) {
        heard.hear(member, "all lines", |heard| heard.last == sent);
        assert!(heard.views.last().is_none_or(|view| is_view(view, "1,2,3", None)));
    }
    for member in &mut members {
        member.leave();
    }
    world.end([]);
}

/// A store and a measurement are told as a node is.
#[test]
fn store_and_measurement_read_their_keys_again() {
    let dir = directory("rotation-others");
    let key = dir.join("KEY").to_str().expect("a path of letters").to_owned();
    keygen(&[&key]);
    let group = multicast();
    let here = ["--interface", "127.0.0.1", "--multicast", &group, "--key-file", &key];
    let store = ["kv", "--group", "rotation-others", "--members", "1"];
    let mut store = Process::start(&[&store[..], &here].concat());
    store.wait("the state is served", |line| line.contains("is served").then_some(()));
    let seconds = ["--seconds", "2", "--warm-up", "0.1"];
    let measure = ["perf", "--members", "2", "--key-file", &key];
    let mut measure = Process::start(&[&measure[..], &seconds].concat());
    // It says nothing before it is over.
    pause(1000);
    let lines = key_lines(&key);
    let (says, other) =
        ("1 (aes-256-gcm) seals, nothing else opens", "1 aes-256-gcm 00".to_owned());
    for process in [&mut store, &mut measure] {
        hang_up(process, says);
    }
    write_keys(&key, &[other]);
    hang_up(&mut store, "the keys stay as they were");
    write_keys(&key, &lines);
    store.type_line("put a 1");
    store.wait("an answer", |line| line.starts_with("ok").then_some(()));
    store.leave();
    measure.wait_for_end(|_| {});
    assert!(measure.status().success(), "{:?}", measure.complaints());
}
