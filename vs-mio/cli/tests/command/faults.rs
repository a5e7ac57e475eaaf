//! Members that fall silent without dying.

use vs_core::{GroupConfig, GroupSize, NodeConfig};

use crate::world::{Process, World, is_view, now_ns};

fn together(members: &mut [Process], view: &str) {
    for member in members {
        member.wait(&format!("a view of {view}"), |line| is_view(line, view, None).then_some(()));
    }
}

#[test]
fn a_stopped_member_is_excluded_and_comes_back() {
    const SILENCE_MS: u64 = 1000;
    let world = World::new("stopped", &["--silence-ms", &SILENCE_MS.to_string()]);
    let mut members: Vec<Process> = (1..=3).map(|id| world.node(id, &[])).collect();
    together(&mut members, "1,2,3");
    let (awake, stopped) = members.split_at_mut(2);
    stopped[0].signal("STOP");
    let since = now_ns();
    for member in &mut *awake {
        member.wait("a view without the stopped one", |line| {
            is_view(line, "1,2", Some("1,2")).then_some(())
        });
        let ms = member.found_ns.saturating_sub(since) / 1_000_000;
        println!("SIGSTOP to the view without it, silence-ms {SILENCE_MS}: {ms} ms");
    }
    awake[0].type_line("meanwhile");
    awake[1].wait("the group goes on", |line| (line == "1: meanwhile").then_some(()));
    stopped[0].signal("CONT");
    // Excluded, then joined again: nobody comes with it from its old view.
    let mut meanwhile = 0;
    stopped[0].wait("its return", |line| {
        meanwhile += usize::from(line.ends_with("meanwhile"));
        is_view(line, "1,2,3", Some("3")).then_some(())
    });
    assert_eq!(meanwhile, 0, "it heard a message of a view that it was not in");
    for member in awake {
        member.wait("the return of the other", |line| {
            is_view(line, "1,2,3", Some("1,2")).then_some(())
        });
    }
    stopped[0].type_line("back");
    for member in &mut members {
        member.wait("it takes part again", |line| (line == "3: back").then_some(()));
    }
    world.check("1,2,3");
    world.end(members);
}

#[test]
fn a_member_with_closed_output_leaves() {
    let world = World::new("closed", &[]);
    let mut member = Process::start_unread(&world.node_args(1, &[]));
    member.close();
    member.type_line("to nobody");
    let status = member.status();
    assert_eq!(status.code(), Some(1));
    // A system with small buffers is told of first.
    let said = member.complaints().last().cloned();
    assert_eq!(said.as_deref(), Some("vs: standard output was closed, so the group was left"));
    world.end([]);
}

/// Messages of each of two senders, and their size.
const MESSAGES: usize = 3000;
const MESSAGE_BYTES: usize = 4096;
const WINDOW: usize = 128;
const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// What `vs` takes besides what the core accounts for: its stacks, 2 MiB to receive one
/// batch, 1 MiB of output and 1 MiB of events that wait for a reader, buffers of the connection to
/// the server and of standard input.
#[cfg(target_os = "linux")]
const PROCESS_BYTES: usize = 5 << 20;

/// What the group may take at most in a member of the test below.
fn footprint() -> usize {
    let group = GroupConfig::default()
        .with_window_packets(WINDOW)
        .with_ack_packets(WINDOW / 2)
        .with_message_bytes_max(MESSAGE_BYTES_MAX);
    let node = NodeConfig::default();
    GroupSize::new(&group, &node).expect("a configuration").footprint()
}

/// Messages that a trace says were sent before the first view without process 3, and in all.
fn sent(world: &World, id: u64) -> (usize, usize) {
    let trace = std::fs::read_to_string(world.trace(id)).expect("a trace");
    let sends = |lines: &str| lines.lines().filter(|l| l.contains(r#""ev":"send""#)).count();
    let excluded = trace.rfind(r#""ev":"view""#).expect("a view");
    (sends(&trace[..excluded]), sends(&trace))
}

/// Messages delivered to process 3, by sender, in the order of its trace, each with its number in
/// the view.
fn delivered_in_order(world: &World) -> [usize; 2] {
    let trace = std::fs::read_to_string(world.trace(3)).expect("a trace");
    let mut count = [0; 2];
    for from in 1..=2 {
        let of = trace.lines().filter(|l| l.contains(&format!(r#""from":{from},"#)));
        for (at, line) in of.filter(|l| l.contains(r#""ev":"deliver""#)).enumerate() {
            assert!(line.contains(&format!(r#""n":{},"#, at + 1)), "{line}");
            count[from - 1] += 1;
        }
    }
    count
}

#[test]
fn a_member_that_does_not_read_loses_nothing() {
    let world = World::new("unread", &["--readmit-ms", "60000"]);
    let (window, max) = (WINDOW.to_string(), MESSAGE_BYTES_MAX.to_string());
    let args = ["--peer-ms", "1500", "--window-packets", &window, "--message-bytes-max", &max];
    let (count, size) = (MESSAGES.to_string(), MESSAGE_BYTES.to_string());
    let generate = ["--generate", &count, "--sizes", &size, "--generate-members", "3"];
    let sender = [&args[..], &generate].concat();
    let mut readers = [world.node(1, &sender), world.node(2, &sender)];
    let mut deaf = Process::start_unread(&world.node_args(3, &args));

    // Both senders are held up, so the view without the deaf one is the next thing that follows
    // what it could take.
    for reader in &mut readers {
        let mut seen = [0; 2];
        reader.wait("the view without the one that reads nothing", |line| {
            seen[0] += usize::from(line.starts_with("1: "));
            seen[1] += usize::from(line.starts_with("2: "));
            is_view(line, "1,2", Some("1,2")).then_some(())
        });
        println!("delivered of each when the deaf one was excluded: {seen:?} of {MESSAGES}");
        reader.wait("everything", |line| {
            seen[0] += usize::from(line.starts_with("1: "));
            seen[1] += usize::from(line.starts_with("2: "));
            (seen == [MESSAGES; 2]).then_some(())
        });
    }
    #[cfg(target_os = "linux")]
    for process in readers.iter().chain([&deaf]) {
        let (held, footprint) = (process.held_bytes(), footprint());
        println!("held {held} bytes, footprint {footprint} and {PROCESS_BYTES} of the process");
        assert!(held <= footprint + PROCESS_BYTES);
    }
    // What a reader of nothing can take: its pipe (64 KiB, or what the system grants up to 1 MiB),
    // what waits to be written, one write; and every sender its window.
    let taken = (1 << 20) + (1 << 20) + 2 * (64 << 10);
    let before: usize = (1..=2).map(|id| sent(&world, id).0).sum();
    let most = taken / MESSAGE_BYTES + 2 * WINDOW;
    println!("accepted from both before the exclusion: {before} messages, at most {most}");
    assert!(before <= most && most < 2 * MESSAGES, "the senders were not held up");
    assert_eq!([sent(&world, 1).1, sent(&world, 2).1], [MESSAGES; 2]);

    // It reads after all: nothing of its view was overwritten.
    deaf.read();
    let mut heard = 0;
    deaf.wait("everything that was accepted while it was in the view", |line| {
        heard += usize::from(line.starts_with("1: ") || line.starts_with("2: "));
        (heard == before).then_some(())
    });
    let delivered = delivered_in_order(&world);
    println!("delivered at last to the one that read nothing: {delivered:?}");
    let said = deaf.complaints().join("\n");
    assert!(said.contains("accused by"), "{said}");
    world.check("");
    world.end(readers.into_iter().chain([deaf]));
}

#[test]
fn unread_json_is_an_error_and_no_panic() {
    for what in ["--wan", "--fast-share"] {
        let mut sim = Process::start_unread(&["sim", what, "--seeds", "0..1", "--json"]);
        sim.close();
        let status = sim.status();
        assert_eq!(status.code(), Some(1), "{what}: {:?}", sim.complaints());
        let said = sim.complaints();
        assert!(said.len() == 1 && said[0].contains("cannot be written"), "{what}: {said:?}");
    }
}
