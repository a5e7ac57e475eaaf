//! Several membership servers: members go over to another one when theirs dies, and nobody notices.

use core::fmt::Write as _;
use core::time::Duration;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Instant;

use crate::world::{GROUP, Process, check, directory, is_view, multicast};

/// Longer than servers wait for the clients of one that was lost, and for those of a view that a
/// client brings along.
const GRACE: Duration = Duration::from_millis(3500);

/// Servers that name each other, and where members write their traces.
struct Town {
    dir: PathBuf,
    multicast: String,
    addrs: Vec<String>,
    servers: Vec<Process>,
}

impl Town {
    /// `count` servers that are connected. `name` is that of the test.
    fn new(name: &str, count: usize) -> Self {
        // All are held until all are known: else one might be given twice.
        let free: Vec<TcpListener> =
            (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
        let addr = |l: &TcpListener| l.local_addr().expect("a bound socket").to_string();
        let addrs = free.iter().map(addr).collect();
        drop(free);
        let mut town =
            Self { dir: directory(name), multicast: multicast(), addrs, servers: Vec::new() };
        town.servers = (0..count).map(|at| town.server(at, &[])).collect();
        for at in 0..count {
            town.meets(at, count - 1);
        }
        town
    }

    /// Starts the server at `at` of the list, with the id `at + 1`.
    fn server(&self, at: usize, args: &[&str]) -> Process {
        let id = (at + 1).to_string();
        let mut own = vec!["server", "--listen", &self.addrs[at], "--id", &id];
        for (_, addr) in self.addrs.iter().enumerate().filter(|(other, _)| *other != at) {
            own.extend(["--peer", addr]);
        }
        Process::start(&[&own, args].concat())
    }

    /// Starts it again.
    fn restart(&mut self, at: usize) {
        self.servers[at] = self.server(at, &[]);
    }

    /// Waits until the server at `at` has met so many others.
    fn meets(&mut self, at: usize, mut others: usize) {
        self.servers[at].wait("the other servers", |line| {
            others -= usize::from(line.starts_with("server ") && line.ends_with(" connected"));
            (others == 0).then_some(())
        });
    }

    /// How member `id` is started, whose first server is that at `at` and whose next are those
    /// after it.
    fn node(&self, id: u64, at: usize, args: &[&str]) -> Process {
        let trace = self.dir.join(format!("{id}.jsonl")).display().to_string();
        let id = id.to_string();
        let mut own = vec!["node", "--group", GROUP, "--id", &id];
        own.extend(["--multicast", &self.multicast, "--trace", &trace]);
        for turn in 0..self.addrs.len() {
            own.extend(["--server", &self.addrs[(at + turn) % self.addrs.len()]]);
        }
        Process::start(&[&own, args].concat())
    }

    /// Members 1 to `count`, evenly over the servers, together in a view.
    fn members(&self, count: u64) -> Vec<Process> {
        let home = |id: u64| (id - 1) as usize % self.addrs.len();
        let mut members: Vec<_> = (1..=count).map(|id| self.node(id, home(id), &[])).collect();
        come_together(&mut members, &list(count));
        members
    }

    /// Waits until the server at `at` has taken up all of these members, in whatever order.
    fn takes_up(&mut self, at: usize, mut ids: Vec<u64>) {
        self.servers[at].wait("members that come over", |line| {
            ids.retain(|id| !line.starts_with(&format!("{GROUP}: {id} attached")));
            ids.is_empty().then_some(())
        });
    }

    /// Lets all leave, the servers, too, and the checker judge what the members did.
    fn end(self, members: Vec<Process>) {
        for mut member in members {
            member.leave();
        }
        check(&self.dir, "");
        for mut server in self.servers {
            server.leave();
        }
        std::fs::remove_dir_all(&self.dir).expect("a directory of our own");
    }
}

/// "1,2,3".
fn list(count: u64) -> String {
    let mut text = String::from("1");
    for id in 2..=count {
        write!(text, ",{id}").expect("room");
    }
    text
}

fn come_together(members: &mut [Process], view: &str) {
    for member in members {
        member.wait(&format!("a view of {view}"), |line| is_view(line, view, None).then_some(()));
    }
}

/// Each types `word`, and all hear it from each, without a view in between.
fn all_say(members: &mut [Process], word: &str) {
    all_say_in_views(members, word, 0);
}

/// The same, with so many views in between at most.
fn all_say_in_views(members: &mut [Process], word: &str, views_max: usize) {
    for member in &mut *members {
        member.type_line(word);
    }
    let count = members.len();
    for (at, member) in members.iter_mut().enumerate() {
        let mut missing: Vec<String> = (1..=count).map(|id| format!("{id}: {word}")).collect();
        let mut views = 0;
        member.wait(&format!("{word:?} from all"), |line| {
            views += usize::from(line.starts_with("view <"));
            assert!(views <= views_max, "member {}: a view that nobody needs: {line}", at + 1);
            missing.retain(|expected| expected != line);
            missing.is_empty().then_some(())
        });
    }
}

/// They talk for so long.
fn talk(members: &mut [Process], word: &str, time: Duration) {
    let since = Instant::now();
    let mut round = 0;
    while round == 0 || since.elapsed() < time {
        all_say(members, &format!("{word} {round}"));
        round += 1;
    }
}

/// One more joins at the server at `at`; the view with it is the next that anybody hears of.
fn one_joins(town: &Town, members: &mut Vec<Process>, at: usize) {
    let (before, id) = (list(members.len() as u64), members.len() as u64 + 1);
    let mut newcomer = town.node(id, at, &[]);
    for member in &mut *members {
        member.wait("the view with the newcomer", |line| {
            assert!(
                !line.starts_with("view <") || is_view(line, &list(id), Some(&before)),
                "{line}"
            );
            line.starts_with("view <").then_some(())
        });
    }
    newcomer.wait("its view", |line| is_view(line, &list(id), None).then_some(()));
    members.push(newcomer);
}

#[test]
fn a_restarted_server_changes_no_view() {
    let mut town = Town::new("a-server-dies", 3);
    let mut members = town.members(5);
    all_say(&mut members, "before");
    town.servers[0].kill();
    // 1 and 4 were at the first server; the next on their lists is the second.
    town.takes_up(1, vec![1, 4]);
    talk(&mut members, "without it", GRACE);
    town.restart(0);
    town.meets(0, 2);
    talk(&mut members, "it is back", GRACE);
    // To the server that has just begun to live, and away from one that dies.
    town.servers[1].kill();
    town.takes_up(2, vec![1, 2, 4, 5]);
    talk(&mut members, "another one is gone", GRACE);
    town.servers[2].kill();
    town.takes_up(0, vec![1, 2, 3, 4, 5]);
    talk(&mut members, "one is left", GRACE);
    one_joins(&town, &mut members, 0);
    all_say(&mut members, "after");
    check(&town.dir, &list(6));
    town.restart(1);
    town.restart(2);
    town.meets(1, 2);
    town.meets(2, 2);
    town.end(members);
}

#[test]
fn a_server_dies_in_mid_change() {
    let mut town = Town::new("dies-in-change", 3);
    let mut members = town.members(5);
    for turn in 0..3 {
        let id = members.len() as u64 + 1;
        // The one that the newcomer asks, or another one that hears of it. Each has clients: only
        // then it says what it does.
        let (asked, dies) = [(0, 0), (0, 1), (2, 2)][turn];
        members.push(town.node(id, asked, &[]));
        town.servers[dies].wait("a change", |line| {
            (line.contains("start_change") && line.contains(&format!(",{id}}}"))).then_some(())
        });
        town.servers[dies].kill();
        come_together(&mut members, &list(id));
        // Those of the lost server come over in a change, of which another server may not have
        // heard yet.
        all_say_in_views(&mut members, &format!("turn {turn}"), 1);
        town.restart(dies);
        town.meets(dies, 2);
    }
    check(&town.dir, &list(8));
    town.end(members);
}

#[test]
fn without_servers_for_a_while_nothing_is_lost() {
    let mut town = Town::new("all-away", 3);
    let mut members = town.members(5);
    for server in &mut town.servers {
        server.kill();
    }
    talk(&mut members, "nobody serves us", GRACE);
    for at in 0..3 {
        town.restart(at);
    }
    // Wherever each of them comes to.
    talk(&mut members, "somebody may serve us", GRACE);
    one_joins(&town, &mut members, 1);
    all_say(&mut members, "after");
    check(&town.dir, &list(6));
    town.end(members);
}

/// Waits until `process` says a line with all of these words.
fn says(process: &mut Process, words: &[&str]) {
    process.wait(&format!("{words:?}"), |line| {
        words.iter().all(|word| line.contains(word)).then_some(())
    });
}

#[test]
fn misfit_servers_are_refused_at_both_ends() {
    let mut town = Town::new("misfits", 2);
    let mut members = town.members(3);
    let first = town.addrs[0].clone();
    let misfit = |args: &[&str]| {
        let own = ["server", "--listen", "127.0.0.1:0", "--peer", first.as_str()];
        Process::start(&[&own, args].concat())
    };
    let mut twin = misfit(&["--id", "2"]);
    let words = ["two servers have the id 2", "give each server an id of its own"];
    says(&mut twin, &[&["peer", first.as_str(), "refuses this server"], &words[..]].concat());
    says(&mut town.servers[0], &[&["refused"], &words[..]].concat());
    let mut stranger = misfit(&["--id", "9", "--deployment", "blue"]);
    let words = ["\"blue\"", "\"default\"", "name the same one at both"];
    says(&mut stranger, &[&["peer", first.as_str(), "refuses this server"], &words[..]].concat());
    says(&mut town.servers[0], &[&["refused"], &words[..]].concat());
    // What listens there is something else, or of another time.
    let web = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = web.local_addr().expect("a bound socket").to_string();
    let mut lost = Process::start(&["server", "--listen", "127.0.0.1:0", "--peer", &addr]);
    let answer = |words: &[u8]| {
        let (mut stream, _) = web.accept().expect("a connection");
        stream.write_all(words).expect("a connection");
    };
    answer(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    says(&mut lost, &["peer", &addr, "does not answer as a membership server does"]);
    answer(b"VSM\0\x63\0");
    says(&mut lost, &["peer", &addr, "speaks protocol version 99, this server 3", "upgrade"]);
    all_say(&mut members, "still together");
    for mut process in [twin, stranger, lost] {
        process.leave();
    }
    town.end(members);
}

/// It ended at once, whatever it was told, since nobody listened yet.
#[test]
fn a_patient_member_may_precede_its_server() {
    let mut town = Town::new("patience", 1);
    town.servers[0].kill();
    let mut members = vec![town.node(1, 0, &["--connect-ms", "60000"])];
    assert_eq!(members[0].complaints(), [""; 0], "nobody listens yet");
    town.restart(0);
    come_together(&mut members, "1");
    town.end(members);
}

#[test]
fn a_server_named_its_own_peer_serves() {
    let mut town = Town::new("own-address", 2);
    town.servers[0].kill();
    let own = town.addrs[0].clone();
    town.servers[0] = town.server(0, &["--peer", &own]);
    let mut missing = vec!["itself", "server 2 connected"];
    town.servers[0].wait("its own address, and the other server", |line| {
        missing.retain(|words| !line.contains(words));
        missing.is_empty().then_some(())
    });
    let members = town.members(2);
    town.end(members);
}

#[test]
fn members_of_another_deployment_are_refused() {
    let dir = directory("deployments");
    let listen = ["server", "--listen", "127.0.0.1:0", "--deployment", "blue", "--json"];
    let mut server = Process::start(&listen);
    let addr = server.wait("the server listens", |line| {
        let line: serde_json::Value = serde_json::from_str(line).expect("an object");
        line["addr"].as_str().map(str::to_owned)
    });
    let (multicast, trace) = (multicast(), dir.join("1.jsonl").display().to_string());
    let own = ["node", "--group", GROUP, "--server", &addr, "--id", "1"];
    let own = [&own[..], &["--multicast", &multicast, "--trace", &trace]].concat();
    let mut stranger = Process::start(&own);
    assert_eq!(stranger.status().code(), Some(1));
    let said = stranger.complaints().last().cloned().unwrap_or_default();
    for word in ["\"blue\"", "\"default\"", "name the same one at both"] {
        assert!(said.contains(word), "{said}");
    }
    says(&mut server, &["refused", "process 1", "blue", "default"]);
    let mut member = Process::start(&[&own[..], &["--deployment", "blue"]].concat());
    member.wait("its view", |line| is_view(line, "1", None).then_some(()));
    member.leave();
    check(&dir, "");
    server.signal("TERM");
    let mut last = String::new();
    server.wait_for_end(|line| last = line.to_owned());
    let summary: serde_json::Value = serde_json::from_str(&last).expect("an object");
    assert_eq!(summary["summary"], true, "{last}");
    assert_eq!(
        (&summary["views_fast"], &summary["fast_share"]),
        (&1.into(), &1.0.into()),
        "{last}"
    );
    for count in ["changes", "proposals", "views_slow", "change_ms_sum", "change_ms_max"] {
        assert!(summary[count].is_u64(), "{count} in {last}");
    }
    std::fs::remove_dir_all(dir).expect("a directory of our own");
}
