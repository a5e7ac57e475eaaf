//! Every verb where output cannot be written, files are what they should not be, and terminals are
//! odd: it ends with a status of its own, says why in one sentence, and panics at nothing.

use core::time::Duration;
use std::fs::File;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Mutex;
use std::time::Instant;

use crate::world::{HANG, directory, multicast, pause, vs};

/// How long what serves is left alone before it is asked to end.
const SERVES: Duration = Duration::from_millis(700);
/// The number of the signal.
const SIGTERM: i32 = 15;
/// Processes at a time.
const AT_A_TIME: usize = 8;

/// What is odd, as a shell says it: `"$@"` is the command.
const WORLDS: [(&str, &str); 11] = [
    ("full stdout", r#"exec "$@" >/dev/full"#),
    ("full stderr", r#"exec "$@" 2>/dev/full"#),
    ("all full", r#"exec "$@" >/dev/full 2>&1"#),
    ("no stdin", r#"exec "$@" <&-"#),
    ("no stdout", r#"exec "$@" >&-"#),
    ("no stderr", r#"exec "$@" 2>&-"#),
    ("nothing open", r#"exec "$@" <&- >&- 2>&-"#),
    ("closed pipe", r#""$@" | true; exit ${PIPESTATUS[0]:-0}"#),
    ("directory as stdin", r#"exec "$@" </"#),
    ("no environment", r#"exec env -i "$@""#),
    (
        "odd terminal",
        r#"exec env TERM=dumb COLUMNS=0 LINES=0 LANG=xx_YY.odd LC_ALL=xx NO_COLOR=1 "$@""#,
    ),
];

/// How each verb is called so that it has something to do. A verb that is not here fails the test.
fn call(verb: &str, dir: &Path, run: usize) -> Option<Vec<String>> {
    let traces = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vs-core/tests/traces/good-11");
    let new = |what: &str| dir.join(format!("{what}-{run}")).display().to_string();
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    let multicast = multicast();
    let group = ["--interface", "127.0.0.1", "--multicast", &multicast, "--group", "odd"];
    Some(match verb {
        "demo" => words(&["--partition", "filter", "--out", &new("page")]),
        "node" | "kv" => words(&group),
        "server" => words(&["--listen", "127.0.0.1:0"]),
        "keygen" => vec![new("key")],
        "check" => words(&[traces]),
        "draw" => words(&[traces, "-o", "-"]),
        "sim" => words(&["--seed", "7"]),
        "explore" => words(&["change", "--states-max", "1000"]),
        "perf" => words(&["--members", "2", "--seconds", "1", "--senders", "1"]),
        "status" | "top" => words(&["127.0.0.1:9"]),
        "help" => Vec::new(),
        _ => return None,
    })
}

fn verbs() -> Vec<String> {
    let help = vs(&["--help"]);
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let verbs = help.split("Commands:").nth(1).and_then(|rest| rest.split("Options:").next());
    let verbs = verbs.expect("a list of verbs").lines().filter(|line| line.starts_with("  "));
    verbs.filter_map(|line| line.split_whitespace().next()).map(Into::into).collect()
}

/// How a command ended.
struct Ended {
    status: ExitStatus,
    /// Whether it was asked to end.
    asked: bool,
    said: String,
}

/// Runs `args` in a world, to its end.
fn run(script: &str, args: &[String], errors: &Path) -> Ended {
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash", env!("CARGO_BIN_EXE_vs")]).args(args);
    command.stdout(std::process::Stdio::null()).stdin(std::process::Stdio::null());
    command.current_dir(errors.parent().expect("a directory of our own"));
    command.stderr(File::create(errors).expect("a directory of our own"));
    // A group of its own: all that it starts is ended with it.
    command.process_group(0);
    let mut child = command.spawn().expect("bash");
    let begun = Instant::now();
    let (mut asked, mut killed) = (false, false);
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child of our own") {
            break status;
        }
        let signal = match begun.elapsed() {
            elapsed if elapsed > HANG && !killed => {
                killed = true;
                "KILL"
            }
            elapsed if elapsed > SERVES && !asked => {
                asked = true;
                "TERM"
            }
            _ => {
                pause(20);
                continue;
            }
        };
        let group = format!("-{}", child.id());
        let _ = Command::new("kill").args(["-s", signal, "--", &group]).status();
    };
    Ended { status, asked, said: std::fs::read_to_string(errors).unwrap_or_default() }
}

/// What is wrong with how it ended, if anything is. A verb that only computes may end by the signal
/// that asks it to.
fn fault(world: &str, args: &[String], ended: &Ended) -> Option<String> {
    let Ended { status, asked, said } = ended;
    let by_signal = status.signal() == Some(SIGTERM) || status.code() == Some(128 + SIGTERM);
    let is_ended = matches!(status.code(), Some(0..=2)) || *asked && by_signal;
    let panicked = said.contains("panicked") || said.contains("RUST_BACKTRACE");
    (panicked || !is_ended).then(|| format!("{world}: {args:?}: {status}: {said}"))
}

fn walk(cases: Vec<(&str, &str, Vec<String>)>, dir: &Path) {
    let cases = Mutex::new(cases.into_iter().enumerate());
    let faults = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let next = cases.lock().expect("no panic").next();
                    let Some((number, (world, script, args))) = next else { return };
                    let ended = run(script, &args, &dir.join(format!("errors-{number}")));
                    let fault = fault(world, &args, &ended);
                    faults.lock().expect("no panic").extend(fault);
                }
            });
        }
    });
    let faults = faults.into_inner().expect("no panic");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn verbs_panic_at_no_odd_world() {
    let dir = directory("odd-worlds");
    let mut cases = Vec::new();
    for verb in verbs() {
        for (world, script) in WORLDS {
            for json in [false, true] {
                let args = call(&verb, &dir, cases.len());
                let mut args = args.unwrap_or_else(|| panic!("say how {verb} is called"));
                args.insert(0, verb.clone());
                // Whoever does not know it says so, with status 2.
                args.extend(json.then(|| "--json".to_owned()));
                cases.push((world, script, args));
            }
        }
    }
    walk(cases, &dir);
    std::fs::remove_dir_all(&dir).expect("a directory of our own");
}

#[test]
fn odd_files_and_arguments_get_a_sentence() {
    let dir = directory("odd-files");
    let file = |name: &str, bytes: &[u8]| -> String {
        let path: PathBuf = dir.join(name);
        std::fs::write(&path, bytes).expect("a directory of our own");
        path.display().to_string()
    };
    let binary = file("binary", &[0xff; 5000]);
    let empty = file("empty", b"");
    let long = "x".repeat(100_000);
    let missing = dir.join("none/at/all").display().to_string();
    let there = dir.display().to_string();
    let mut cases = Vec::new();
    for odd in
        [&binary, &empty, &there, &missing, &long, "", "\u{1}\u{2}", "/dev/full", "/dev/null"]
    {
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let group = ["--group", "odd", "--interface", "127.0.0.1"];
        cases.extend([
            words(&["check", odd]),
            words(&["draw", odd, "-o", "-"]),
            words(&[
                "draw",
                concat!(env!("CARGO_MANIFEST_DIR"), "/../../vs-core/tests/traces/good-11"),
                "-o",
                odd,
            ]),
            words(&["keygen", odd]),
            words(&["status", odd]),
            words(&["server", "--listen", odd]),
            words(&["server", "--listen", "127.0.0.1:0", "--key-file", odd]),
            words(&["sim", "--seed", odd]),
            words(&["sim", "--seed", "1", "--traces", odd]),
            words(&["explore", odd]),
            words(&["perf", "--members", odd]),
            words(&["demo", "--traces", odd, "--partition", "filter"]),
            [words(&["node"]), words(&group), words(&["--trace", odd])].concat(),
            [words(&["node"]), words(&group), words(&["--multicast", odd])].concat(),
            [words(&["kv"]), words(&group), words(&["--key-file", odd])].concat(),
            words(&["node", "--group", odd, "--interface", "127.0.0.1"]),
            words(&[odd]),
        ]);
    }
    let cases = cases.into_iter().map(|args| ("odd arguments", r#"exec "$@""#, args)).collect();
    // Some write where they are told to: everything is below this directory, or a device.
    walk(cases, &dir);
    let _ = std::fs::remove_dir_all(&dir);
}

/// Fault to avoid: a file without an end is read until there is no memory left.
#[test]
fn files_without_end_are_refused() {
    let page = directory("endless").join("page.html").display().to_string();
    for args in [&["check", "/dev/zero"][..], &["draw", "/dev/zero", "-o", &page]] {
        let output = vs(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.starts_with("vs: /dev/zero: a line has more than"), "{said}");
    }
    assert!(!Path::new(&page).exists());
    let _ = std::fs::remove_dir_all(directory("endless"));
}
