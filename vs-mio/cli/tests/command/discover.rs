//! Nodes that are told of no server, and find one another.

use std::path::PathBuf;

use crate::world::{GROUP, Process, World, check, directory, is_view, multicast};

/// A network and a directory of its own for each test.
struct Lan {
    dir: PathBuf,
    multicast: String,
}

impl Lan {
    /// `name` is that of the test.
    fn new(name: &str) -> Self {
        Self { dir: directory(name), multicast: multicast() }
    }

    /// Starts member `id` without a server, with `args` besides.
    fn start(&self, id: u64, args: &[&str]) -> Process {
        let trace = self.dir.join(format!("{id}.jsonl")).display().to_string();
        let id = id.to_string();
        let own = ["node", "--group", GROUP, "--interface", "127.0.0.1", "--id", &id];
        let own = [&own[..], &["--multicast", &self.multicast, "--trace", &trace]].concat();
        Process::start(&[&own[..], args].concat())
    }

    /// Lets `members` leave, and the checker judge what all did.
    fn end(self, members: impl IntoIterator<Item = Process>) {
        for mut member in members {
            member.leave();
        }
        check(&self.dir, "");
        std::fs::remove_dir_all(&self.dir).expect("a directory of our own");
    }
}

fn wait_for(members: &mut [Process], view: &str, together: Option<&str>) {
    for member in members {
        member
            .wait(&format!("a view of {view}"), |line| is_view(line, view, together).then_some(()));
    }
}

/// Each types a line, and all hear all.
fn chat(members: &mut [Process], ids: &[u64], what: &str) {
    for (member, id) in members.iter_mut().zip(ids) {
        member.type_line(&format!("{what} of {id}"));
    }
    for member in members {
        let mut missing: Vec<String> =
            ids.iter().map(|id| format!("{id}: {what} of {id}")).collect();
        member.wait("lines of all", |line| {
            missing.retain(|expected| expected != line);
            missing.is_empty().then_some(())
        });
    }
}

/// What the node says of the server inside, from where its address begins.
fn found(member: &mut Process) -> String {
    member.wait_for_complaint("how it found others", |line| {
        line.strip_prefix("vs: membership server inside, at ").map(str::to_owned)
    })
}

#[test]
fn three_without_a_server_chat() {
    let lan = Lan::new("serverless");
    let mut members: Vec<Process> = (1..=3).map(|id| lan.start(id, &[])).collect();
    wait_for(&mut members, "1,2,3", None);
    chat(&mut members, &[1, 2, 3], "hello");
    for member in &mut members {
        assert!(found(member).contains(" by beacons to 239."));
    }
    check(&lan.dir, "1,2,3");
    members.pop().expect("three members").kill();
    wait_for(&mut members, "1,2", Some("1,2"));
    chat(&mut members, &[1, 2], "still here");
    members.pop().expect("two members").leave();
    wait_for(&mut members, "1", Some("1"));
    chat(&mut members, &[1], "alone");
    check(&lan.dir, "1");
    lan.end(members);
}

#[test]
fn two_deployments_on_one_network_do_not_mix() {
    let lan = Lan::new("deployments");
    let mut ours: Vec<Process> = (1..=2).map(|id| lan.start(id, &[])).collect();
    let mut theirs: Vec<Process> =
        (3..=4).map(|id| lan.start(id, &["--deployment", "theirs"])).collect();
    wait_for(&mut ours, "1,2", None);
    wait_for(&mut theirs, "3,4", None);
    ours[0].wait_for_complaint("word of the others", |line| {
        (line.contains("deployment \"theirs\"") && line.contains("--deployment")).then_some(())
    });
    chat(&mut ours, &[1, 2], "ours");
    chat(&mut theirs, &[3, 4], "theirs");
    // They are in no view of anybody else: what they hear next are their own lines.
    lan.end(ours.into_iter().chain(theirs));
}

#[test]
fn plain_and_embedded_servers_form_one_group() {
    let world = World::new("mixed", &[]);
    let peer = ["--peer", &world.server_addr];
    let lan = Lan { dir: world.dir.clone(), multicast: world.multicast.clone() };
    let mut members = vec![world.node(1, &[]), lan.start(2, &peer), lan.start(3, &peer)];
    wait_for(&mut members, "1,2,3", None);
    // One that knows no beacons attaches to the server inside another node.
    let at = found(&mut members[1]);
    let addr = at.split_once(';').expect("an address").0.to_owned();
    members.push(lan.start(4, &["--server", &addr]));
    wait_for(&mut members, "1,2,3,4", None);
    chat(&mut members, &[1, 2, 3, 4], "mixed");
    world.check("1,2,3,4");
    members[2].kill();
    members.remove(2);
    wait_for(&mut members, "1,2,4", Some("1,2,4"));
    world.end(members);
}

#[test]
fn a_discovering_server_is_found() {
    let beacons = multicast();
    let mut world = World::new("looking", &["--discover", "--beacons", &beacons]);
    let lan = Lan { dir: world.dir.clone(), multicast: world.multicast.clone() };
    let mut members = vec![world.node(1, &[])];
    members.push(lan.start(2, &["--beacons", &beacons]));
    wait_for(&mut members, "1,2", None);
    chat(&mut members, &[1, 2], "found");
    // The member of the plain server goes on without the node that found it.
    members.pop().expect("two members").kill();
    wait_for(&mut members, "1", Some("1"));
    world.server.wait("a note", |line| line.starts_with("looked for others").then_some(()));
    world.end(members);
}

/// Members of the herd.
const HERD: u64 = 12;
/// Views that a member of a herd may see at most: far fewer than members, and one where the machine
/// has time for it.
const HERD_VIEWS_MAX: usize = 5;

#[test]
fn a_herd_is_together_after_few_views() {
    let lan = Lan::new("herd");
    let begun = std::time::Instant::now();
    let mut members: Vec<Process> = (1..=HERD).map(|id| lan.start(id, &[])).collect();
    let ids: Vec<u64> = (1..=HERD).collect();
    let all = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let mut most = 0;
    for member in &mut members {
        let mut views = 0;
        member.wait("a view of all", |line| {
            views += usize::from(line.starts_with("view <"));
            is_view(line, &all, None).then_some(())
        });
        most = most.max(views);
    }
    println!("{HERD} together after {} ms, at most {most} views", begun.elapsed().as_millis());
    assert!(most <= HERD_VIEWS_MAX, "{most} views");
    chat(&mut members, &ids, "all here");
    check(&lan.dir, &all);
    lan.end(members);
}
