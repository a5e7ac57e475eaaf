//! The demo, parted in each way, and nothing that it leaves behind.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::world::{HANG, Process, directory};

/// What `sh` answers.
fn sh(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().expect("a shell");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Whether this machine lets the demo make network namespaces; if not, says why the test is
/// skipped.
fn may_make_namespaces() -> bool {
    let probe = format!("vst{}-probe", std::process::id());
    let cause = sh(&format!("ip netns add {probe} 2>&1 && ip netns del {probe} 2>&1"));
    if !cause.is_empty() {
        println!("skipped: no network namespaces can be made: {cause}");
    }
    cause.is_empty()
}

/// The namespaces of a demo that are there.
fn left_of(demo: &Process) -> Vec<String> {
    let prefix = format!("vsd{}-", demo.child.id());
    sh("ip netns list").lines().filter(|ns| ns.starts_with(&prefix)).map(Into::into).collect()
}

/// The processes that a demo has started.
fn children_of(demo: &Process) -> Vec<u32> {
    let children = sh(&format!("cat /proc/{}/task/*/children", demo.child.id()));
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// By what the network is parted.
fn parted_by(demo: &mut Process) -> String {
    demo.wait("what parts the network", |line| {
        line.split_once("Partition by: ").map(|(_, by)| by.to_owned())
    })
}

/// Lets it play to its end: everything held.
fn hear_out(mut demo: Process) {
    let (mut last, mut times) = (String::new(), String::new());
    let mut failed = Vec::new();
    demo.wait_for_end(|line| {
        failed.extend(line.contains("FAILED").then(|| line.to_owned()));
        if line.contains("after the healing") {
            line.clone_into(&mut times);
        }
        line.clone_into(&mut last);
    });
    let status = demo.status();
    println!("{times}");
    assert!(status.success(), "{status}: {failed:?}: {}", demo.complaints().join("\n"));
    assert!(times.contains("after the cut"), "{times}");
    let page = last.strip_prefix("The diagram of it is in ").expect("where it is, in the end");
    let page = Path::new(page.strip_suffix(": open it in a browser.").expect("what it is for"));
    let text = std::fs::read_to_string(page).expect("the diagram is there");
    assert!(text.starts_with("<!doctype html>") && text.trim_end().ends_with("</html>"));
    std::fs::remove_file(page).expect("a page of our own");
    std::fs::remove_dir(page.parent().expect("a directory")).expect("nothing else is left in it");
    assert_eq!(left_of(&demo), [""; 0]);
}

#[test]
fn the_demo_parts_namespaces_of_its_own() {
    if may_make_namespaces() {
        let mut demo = Process::start(&["demo", "--partition", "namespaces"]);
        let by = parted_by(&mut demo);
        assert!(by.starts_with("network namespaces of its own"), "{by}");
        assert_eq!(left_of(&demo).len(), 3);
        hear_out(demo);
    }
}

/// An `ip` that fails when some namespaces are there already, as where the system has no bridges.
#[test]
fn without_working_namespaces_the_demo_uses_the_filter() {
    let dir = directory("demo-without-bridges");
    let fake = dir.join("ip");
    let real = sh("command -v ip");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *' type bridge '*) echo 'Error: Unknown device type.' >&2; exit 2; esac\nexec {real} \"$@\"\n"
    );
    std::fs::write(&fake, script).expect("a directory of our own");
    std::fs::set_permissions(&fake, PermissionsExt::from_mode(0o755)).expect("a file of our own");
    let path = format!("{}:{}", dir.display(), std::env::var("PATH").unwrap_or_default());

    let mut demo = Process::start_with_path(&path, &["demo"]);
    let by = parted_by(&mut demo);
    assert!(by.starts_with("a filter inside the processes, since network namespaces need"), "{by}");
    if may_make_namespaces() {
        assert!(by.ends_with("Error: Unknown device type."), "{by}");
    }
    assert_eq!(left_of(&demo), [""; 0]);
    hear_out(demo);

    let mut demo = Process::start_with_path(&path, &["demo", "--partition", "namespaces"]);
    assert_eq!(demo.status().code(), Some(1));
    let said = demo.complaints().join("\n");
    assert!(said.contains("--partition filter") && said.lines().count() == 1, "{said}");
    assert_eq!(left_of(&demo), [""; 0]);
    std::fs::remove_dir_all(&dir).expect("a directory of our own");
}

#[test]
fn however_a_demo_ends_its_namespaces_are_gone() {
    if !may_make_namespaces() {
        return;
    }
    for signal in ["INT", "TERM", "HUP"] {
        let mut demo = Process::start(&["demo"]);
        parted_by(&mut demo);
        demo.wait("the first view", |line| line.contains("installs").then_some(()));
        demo.signal(signal);
        demo.wait_for_end(|_| {});
        assert_eq!(demo.status().code(), Some(1));
        assert_eq!(left_of(&demo), [""; 0], "after SIG{signal}");
    }
    // Who is killed can do nothing: then it takes a moment longer.
    let dir = directory("demo-killed");
    let mut demo = Process::start(&["demo", "--traces", &dir.display().to_string()]);
    parted_by(&mut demo);
    demo.wait("the first view", |line| line.contains("installs").then_some(()));
    let children = children_of(&demo);
    assert!(children.len() > 3, "servers and members: {children:?}");
    demo.kill();
    let since = Instant::now();
    while children.iter().any(|pid| is_running(*pid)) {
        assert!(since.elapsed() < HANG, "processes of a demo that was killed: {children:?}");
    }
    while !left_of(&demo).is_empty() {
        assert!(
            since.elapsed() < HANG,
            "namespaces of a demo that was killed: {:?}",
            left_of(&demo)
        );
    }
    std::fs::remove_dir_all(&dir).expect("a directory of our own");
}

#[test]
fn the_demo_without_namespaces_uses_the_filter() {
    let mut demo = Process::start(&["demo", "--partition", "filter"]);
    let by = parted_by(&mut demo);
    assert_eq!(by, "a filter inside the processes, as was asked for.");
    assert_eq!(left_of(&demo), [""; 0]);
    demo.signal("INT");
    demo.wait_for_end(|_| {});
    assert_eq!(demo.status().code(), Some(1));
}
