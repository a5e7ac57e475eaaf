//! What is different between two answers.

use core::fmt::Display;

use vs_core::ident::ProcessId;
use vs_core::status::{
    GroupStatus, Listed, MembershipStatus, NodeStatus, PeerStatus, ServerStatus, Status,
};

/// Something that changed.
pub(super) struct Change {
    /// When it was seen, in s of UNIX time.
    pub(super) unix_s: u64,
    /// Who told it.
    pub(super) addr: String,
    pub(super) what: String,
}

/// What is different in `now`.
pub(super) fn changes(before: Option<&Status>, now: &Status) -> Vec<String> {
    let Some(before) = before else { return vec![format!("answers: {}", who(now))] };
    if has_restarted(before, now) {
        return vec![format!("was started again: {}", who(now))];
    }
    match (before, now) {
        (Status::Node(before), Status::Node(now)) => of_nodes(before, now),
        (Status::Server(before), Status::Server(now)) => of_servers(before, now),
        _ => Vec::new(),
    }
}

/// Who answers.
pub(super) fn who(status: &Status) -> String {
    match status {
        Status::Node(node) => format!("process {}", node.process),
        Status::Server(server) => match server.embeds {
            Some(process) => format!("server {} in {process}", server.server),
            None => format!("server {}", server.server),
        },
        _ => "of another version".into(),
    }
}

fn of_nodes(before: &NodeStatus, now: &NodeStatus) -> Vec<String> {
    let mut words = Vec::new();
    match (before.server, now.server) {
        (Some(_), None) => words.push("lost its membership server".into()),
        (None, Some(addr)) => words.push(format!("is connected to the membership server {addr}")),
        (Some(a), Some(b)) if a != b => words.push(format!("went over to the server {b}")),
        _ => {}
    }
    let name = |group: &MembershipStatus| group.name.clone();
    for (old, new) in pairs(&before.groups, &now.groups, name) {
        match (old, new) {
            (None, Some(new)) => words.push(format!("joined {}: {}", new.name, view_of_node(new))),
            (Some(old), None) => words.push(format!("left {}", old.name)),
            (Some(old), Some(new)) if old.view != new.view => {
                let (was, is) = (members(&old.members), members(&new.members));
                let moved = moved(&was, &is);
                words.push(format!("{}: {}{moved}", new.name, view_of_node(new)));
            }
            _ => {}
        }
    }
    words
}

fn view_of_node(group: &MembershipStatus) -> String {
    format!("view {} of {}", group.view, list(&group.members, |member| member.process))
}

fn members(listed: &Listed<vs_core::status::StreamStatus>) -> Vec<ProcessId> {
    listed.first.iter().map(|member| member.process).collect()
}

fn of_servers(before: &ServerStatus, now: &ServerStatus) -> Vec<String> {
    let mut words = Vec::new();
    let name = |group: &GroupStatus| group.name.clone();
    for (old, new) in pairs(&before.groups, &now.groups, name) {
        let Some(new) = new else {
            words.extend(old.map(|old| format!("{} has no members here any more", old.name)));
            continue;
        };
        let known = old.and_then(|old| old.decided).map(|decided| decided.view);
        if let Some(decided) = new.decided.filter(|decided| Some(decided.view) != known) {
            let mode = if decided.fast { "fast" } else { "slow" };
            words.push(format!(
                "{}: decided view {} of {}, {mode}, in {} ms",
                new.name,
                decided.view,
                list(&new.members, |member| member.process),
                decided.took_ms
            ));
        }
    }
    for (old, new) in pairs(&before.peers, &now.peers, |peer: &PeerStatus| peer.server) {
        let Some(new) = new else { continue };
        let was = old.is_some_and(|old| old.connected);
        if was != new.connected {
            let what = if new.connected { "is connected to" } else { "lost" };
            words.push(format!("{what} server {}", new.server));
        }
        if let Some(why) = &new.left_out
            && old.is_none_or(|old| old.left_out.is_none())
        {
            words.push(format!("shares no views with server {}: {why}", new.server));
        }
    }
    words
}

/// Items of two lists that belong together.
fn pairs<'a, T, K: PartialEq>(
    before: &'a Listed<T>,
    now: &'a Listed<T>,
    key: impl Fn(&T) -> K,
) -> Vec<(Option<&'a T>, Option<&'a T>)> {
    let find = |all: &'a Listed<T>, one: &T| all.first.iter().find(|other| key(other) == key(one));
    let there = now.first.iter().map(|new| (find(before, new), Some(new)));
    let gone = before.first.iter().filter(|old| now.more == 0 && find(now, old).is_none());
    there.chain(gone.map(|old| (Some(old), None))).collect()
}

/// ` (+4 -2)`.
fn moved(was: &[ProcessId], is: &[ProcessId]) -> String {
    let only = |some: &[ProcessId], others: &[ProcessId], sign: char| {
        let only = some.iter().filter(|process| !others.contains(process));
        only.map(|process| format!("{sign}{process}")).collect::<Vec<_>>()
    };
    let moved = [only(is, was, '+'), only(was, is, '-')].concat();
    if moved.is_empty() { String::new() } else { format!(" ({})", moved.join(" ")) }
}

/// `1,2,3 +4 more`.
pub(super) fn list<T, D: Display>(listed: &Listed<T>, word: impl Fn(&T) -> D) -> String {
    let words: Vec<String> = listed.first.iter().map(|item| word(item).to_string()).collect();
    match listed.more {
        0 => words.join(","),
        more => format!("{} +{more} more", words.join(",")),
    }
}

/// Whether counters began again with 0: another process answers, or another start of it.
pub(super) fn has_restarted(before: &Status, now: &Status) -> bool {
    match (before, now) {
        (Status::Node(a), Status::Node(b)) => {
            (a.process, a.incarnation) != (b.process, b.incarnation)
        }
        (Status::Server(a), Status::Server(b)) => (a.server, a.boot_ms) != (b.server, b.boot_ms),
        _ => true,
    }
}
