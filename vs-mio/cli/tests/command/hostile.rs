//! A group of which somebody on its network means no good.

use core::net::SocketAddr;
use std::time::Instant;

use serde_json::Value;

use crate::forger::{Flood, Forger};
use crate::keys::keygen;
use crate::status::{ask, ask_with, desk};
use crate::world::{HANG, Process, World, directory, is_view, pause};

/// Of what a member counts: what no stranger may move.
const UNMOVED: [&str; 8] = [
    "/counters/views",
    "/counters/delivered",
    "/counters/unheard",
    "/groups/first/0/counters/received",
    "/groups/first/0/counters/beyond",
    "/groups/first/0/counters/repaired",
    "/groups/first/0/counters/forwarded",
    "/groups/first/0/counters/naks",
];

/// What a member counts when it drops a datagram without a look at its content.
pub(crate) const DROPPED: [&str; 7] =
    ["clear", "other_key", "forged", "replayed", "foreign", "early", "malformed"];

/// What a member says of itself.
pub(crate) struct Look(Value);

impl Look {
    pub(crate) fn count(&self, pointer: &str) -> u64 {
        let count = self.0.pointer(pointer).and_then(Value::as_u64);
        count.unwrap_or_else(|| panic!("{pointer} is not in {}", self.0))
    }

    /// Of what the node counts, `names` together.
    pub(crate) fn sum(&self, names: &[&str]) -> u64 {
        names.iter().map(|name| self.count(&format!("/counters/{name}"))).sum()
    }
}

pub(crate) struct Member {
    pub(crate) id: u64,
    pub(crate) process: Process,
    desk: String,
}

impl Member {
    pub(crate) fn look(&self) -> Look {
        Look(ask(&self.desk, "node"))
    }
}

/// A server and members, with keys or without.
pub(crate) struct Group {
    pub(crate) world: World,
    /// What all of them are told besides.
    options: Vec<String>,
    pub(crate) members: Vec<Member>,
    pub(crate) forger: Forger,
}

impl Group {
    /// Three members. `name` is that of the test.
    pub(crate) fn new(name: &str, has_keys: bool) -> Self {
        let options = if has_keys { key_options(name) } else { Vec::new() };
        let to_server: Vec<&str> = options.iter().map(String::as_str).collect();
        // A member that is stopped is excluded soon.
        let world = World::new(name, &[&to_server[..], &["--silence-ms", "1000"]].concat());
        let forger = Forger::new(&world.multicast);
        let mut group = Self { world, options, members: Vec::new(), forger };
        (1..=3).for_each(|id| group.start(id));
        group.together();
        group.chat("who is there");
        group
    }

    /// What the server says of itself.
    pub(crate) fn server_look(&self) -> Look {
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        Look(ask_with(&self.world.server_addr, "server", &options))
    }

    /// Starts a member.
    pub(crate) fn start(&mut self, id: u64) {
        let options = self.options.iter().map(String::as_str);
        let args: Vec<&str> = ["--status", "127.0.0.1:0"].into_iter().chain(options).collect();
        let mut process = self.world.node(id, &args);
        let desk = desk(&mut process);
        self.members.push(Member { id, process, desk });
        self.members.sort_by_key(|member| member.id);
    }

    /// Kills a member.
    pub(crate) fn kill(&mut self, id: u64) {
        self.members.iter_mut().filter(|m| m.id == id).for_each(|m| m.process.kill());
        self.members.retain(|member| member.id != id);
    }

    /// Waits until all members have a view of all.
    pub(crate) fn together(&mut self) {
        let ids: Vec<String> = self.members.iter().map(|member| member.id.to_string()).collect();
        let view = ids.join(",");
        for member in &mut self.members {
            let what = format!("{} has a view of {view}", member.id);
            member.process.wait(&what, |line| is_view(line, &view, None).then_some(()));
        }
    }

    /// Each says something, and all hear that and nothing else since the last time.
    pub(crate) fn chat(&mut self, what: &str) {
        let ids: Vec<u64> = self.members.iter().map(|member| member.id).collect();
        self.members.iter_mut().for_each(|m| m.process.type_line(&format!("{what} {}", m.id)));
        for member in &mut self.members {
            let mut missing: Vec<_> = ids.iter().map(|id| format!("{id}: {what} {id}")).collect();
            member.process.wait(what, |line| {
                let before = missing.len();
                missing.retain(|expected| expected != line);
                assert!(missing.len() < before, "{what}: {} is told {line:?}", member.id);
                missing.is_empty().then_some(())
            });
        }
        self.forger.listen();
    }

    /// Waits until the member in this place says what is looked for.
    pub(crate) fn wait_for(&self, at: usize, what: &str, found: impl Fn(&Look) -> bool) -> Look {
        let until = Instant::now() + HANG;
        loop {
            let look = self.members[at].look();
            if found(&look) {
                return look;
            }
            assert!(Instant::now() < until, "{what}: {}", look.0);
            pause(50);
        }
    }

    /// Sends datagrams to the group and to each member alone. Nothing changes, and each member
    /// drops all of them, for one of the reasons `dropped`.
    pub(crate) fn withstands(&mut self, what: &str, datagrams: &[Vec<u8>], dropped: &[&str]) {
        let before: Vec<Look> = self.members.iter().map(Member::look).collect();
        self.send(datagrams);
        let sent = 2 * datagrams.len() as u64;
        for (at, before) in before.iter().enumerate() {
            // The system of a busy host drops some, too.
            let gone = |look: &Look| look.sum(dropped) + look.count("/overflowed");
            let all = gone(before) + sent;
            let after = self.wait_for(at, what, |look| gone(look) >= all);
            for pointer in UNMOVED {
                let (was, is) = (before.count(pointer), after.count(pointer));
                assert_eq!(was, is, "{what}: {pointer}: {}", after.0);
            }
        }
        self.chat(what);
    }

    /// Sends datagrams to the group and to each member alone.
    pub(crate) fn send(&mut self, datagrams: &[Vec<u8>]) {
        let to = self.addresses();
        self.forger.send(datagrams, &to);
    }

    /// Sends datagrams again and again, until the answer is dropped.
    pub(crate) fn flood(&mut self, datagrams: Vec<Vec<u8>>) -> Flood {
        let to = self.addresses();
        self.forger.flood(datagrams, to)
    }

    /// Where the members are, as the forger knows.
    fn addresses(&mut self) -> Vec<SocketAddr> {
        let members = self.forger.sight().members;
        assert_eq!(members.len(), self.members.len(), "the forger knows all members");
        members.values().map(|(addr, _)| *addr).collect()
    }

    pub(crate) fn end(self) {
        self.world.end(self.members.into_iter().map(|member| member.process));
    }
}

/// The options that name a new key file.
pub(crate) fn key_options(name: &str) -> Vec<String> {
    let file = directory(&format!("{name}-key")).join("KEY");
    let file = file.to_str().expect("a path of letters").to_owned();
    keygen(&[&file]);
    vec!["--key-file".to_owned(), file]
}
