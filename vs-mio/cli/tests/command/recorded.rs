//! Who records all datagrams of a group, and has the key file: as a member that was removed, or
//! since it was stolen afterwards.

use core::net::{Ipv4Addr, SocketAddr};
use std::collections::BTreeSet;

use vs_core::ident::{GroupKey, GroupName, Identity, ProcessId};
use vs_core::member::Peer;
use vs_core::seal::{SECRET_BYTES, Secret};
use vs_core::trace::Event as Traced;
use vs_core::trace_json::parse_trace;
use vs_core::wire::datagram::{Datagram, KIND_AT, Kind, Scope};
use vs_core::{GroupConfig, Node, NodeConfig, Time, Verdict, View};
use vs_std::udp::UdpConfig;
use vs_std::{Event, JoinOptions, SharedGroup, keys};

use crate::forger::Forger;
use crate::hostile::key_options;
use crate::world::{GROUP, Process, World, is_view};

/// Datagrams of views that are tried at least.
const TRIED_MIN: usize = 100;
/// The process of the member that is removed.
const REMOVED: ProcessId = ProcessId(3);
/// What opens with the key file: what members of different views say to each other.
const BETWEEN_VIEWS: [Kind; 3] = [Kind::Sync, Kind::SyncRequest, Kind::Reach];

/// The member that is removed, in this process: what it knows is known here.
struct Removed {
    group: SharedGroup,
    /// All that it was told of members, itself included.
    peers: Vec<Peer>,
}

impl Removed {
    fn join(world: &World, key_file: &str) -> Self {
        let mut udp = UdpConfig::on(Ipv4Addr::LOCALHOST);
        udp.multicast = world.multicast.parse().expect("an address");
        let server: SocketAddr = world.server_addr.parse().expect("an address");
        let ring = keys::read_key_file(key_file).expect("a key file");
        let options = JoinOptions::new(REMOVED, vec![server.into()], udp)
            .with_keys(keys::keys(ring).expect("random numbers"));
        let group = SharedGroup::join(&name(), options).expect("a member");
        while !matches!(group.recv(), Ok(Event::View { view, .. }) if view.len() == 3) {}
        let key = name().key();
        let know = group.inspect(move |driver| {
            let status = driver.status();
            let (process, incarnation) = (status.process, status.incarnation);
            let own = Peer { process, incarnation, addr: driver.local_addr() };
            driver.node().group_peers(key).chain([own]).collect::<Vec<_>>()
        });
        let mut peers = know.expect("a member");
        peers.sort_by_key(|peer| peer.process);
        peers.dedup();
        assert_eq!(peers.len(), 3, "{peers:?}");
        Self { group, peers }
    }
}

fn name() -> GroupName {
    GROUP.parse().expect("a name")
}

/// A node that poses as a member of `view` with the key file, and all that members know of each
/// other. It makes a secret of the view up, since the server gave that to its members alone.
fn poser(view: &View, peers: &[Peer], key_file: &str) -> (Node, GroupKey) {
    let peers: Vec<Peer> = peers.iter().filter(|p| view.contains(p.process)).copied().collect();
    let Peer { process, incarnation, addr } = peers[0];
    let identity = Identity { process, incarnation, addr, seed: 1 };
    let mut node = Node::new(NodeConfig::default(), identity, 1, ()).expect("a configuration");
    let ring = keys::read_key_file(key_file).expect("a key file");
    node.set_keys(keys::keys(ring).expect("random numbers")).expect("no group yet");
    let now = Time::from_millis(1);
    let group = node.join_external(now, &name(), GroupConfig::default()).expect("room");
    let rank = view.rank(process).expect("a member");
    let cid = view.start_ids()[usize::from(rank)];
    node.handle_start_change(now, group, cid, &peers).expect("a change");
    (node, group)
}

/// Tries to open what was recorded between views, and what was recorded of views as if it were of
/// `view`: nobody without its secret can tell of which view something is. How many datagrams of
/// views there were; the kinds of what opened are added to `opened`.
fn try_all(
    view: &View,
    peers: &[Peer],
    key_file: &str,
    recorded: &[(SocketAddr, Vec<u8>)],
    opened: &mut BTreeSet<u8>,
) -> usize {
    let (mut node, group) = poser(view, peers, key_file);
    let now = Time::from_millis(1);
    // What was said before the view was announced comes first.
    let mut tried = 0;
    for scope in [Scope::Incarnation, Scope::View] {
        if scope == Scope::View {
            let secret = Secret::new([7; SECRET_BYTES]);
            node.handle_mbr_view(now, group, view.clone(), Some(secret)).expect("a view");
        }
        for (from, bytes) in recorded {
            let mut bytes = bytes.clone();
            let datagram = Datagram::read(&mut bytes).expect("a datagram of the group");
            if datagram.scope() != Some(scope) {
                continue;
            }
            let verdict = node.handle_datagram(now, *from, &mut bytes);
            let is_open = matches!(verdict, Verdict::Accepted | Verdict::Duplicate);
            if scope == Scope::View {
                assert!(!is_open, "{verdict:?} as {view}");
                tried += 1;
            } else if is_open {
                opened.insert(bytes[KIND_AT]);
            }
        }
    }
    tried
}

/// Each member that is there says something, and all hear it.
fn chat(members: &mut [Process], removed: Option<&SharedGroup>, what: &str) {
    for round in 0..20 {
        let words = format!("{what} {round}");
        members.iter_mut().for_each(|member| member.type_line(&words));
        if let Some(group) = removed {
            group.send(words.as_bytes()).expect("room");
        }
        let count = members.len() + usize::from(removed.is_some());
        for member in &mut *members {
            let mut left = count;
            member.wait(&words, |line| {
                left -= usize::from(line.ends_with(&words));
                (left == 0).then_some(())
            });
        }
    }
}

/// The member leaves, comes back, and crashes. Nothing of any view opens with the key file: neither
/// what was said after it was removed, nor what was recorded of views that it, or whoever stole the
/// file, was in. What members of different views say to each other does, as the threat model says.
#[test]
fn nothing_that_was_recorded_of_views_opens_with_the_key_file() {
    let options = key_options("recorded");
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let key_file = options[1];
    let world = World::new("recorded-world", &options);
    let mut forger = Forger::new(&world.multicast);
    let mut members: Vec<Process> = (1..=2).map(|id| world.node(id, &options)).collect();
    for member in &mut members {
        member.wait("a view", |line| is_view(line, "1,2", None).then_some(()));
    }
    let mut known = Vec::new();
    for crashes in [false, true] {
        let removed = Removed::join(&world, key_file);
        for member in &mut members {
            member.wait("a view of all", |line| is_view(line, "1,2,3", None).then_some(()));
        }
        chat(&mut members, Some(&removed.group), "with it");
        let Removed { group, peers } = removed;
        known.push(peers);
        if crashes {
            drop(group);
        } else {
            group.leave().expect("the others let go");
        }
        for member in &mut members {
            member.wait("a view without it", |line| is_view(line, "1,2", None).then_some(()));
        }
        chat(&mut members, None, "without it");
        forger.listen();
    }
    members.iter_mut().for_each(Process::leave);
    forger.listen();

    let trace = std::fs::read(world.trace(1)).expect("a trace");
    let trace = parse_trace(&trace).expect("a whole trace");
    let views = trace.lines.iter().filter_map(|line| match &line.record.event {
        Traced::View { view, .. } if view.len() > 1 => Some(&**view),
        _ => None,
    });
    let (mut opened, mut tried) = (BTreeSet::new(), Vec::new());
    for view in views {
        // The member was another incarnation each time.
        let counts =
            known.iter().map(|peers| try_all(view, peers, key_file, &forger.recorded, &mut opened));
        let count = counts.max().unwrap_or_default();
        println!("{count} datagrams: none opens as one of {view}");
        tried.push((view.len(), count));
    }
    let enough =
        |members| tried.iter().filter(|(n, count)| *n == members && *count >= TRIED_MIN).count();
    assert!(enough(3) >= 2 && enough(2) >= 2, "{tried:?}");
    let opened: Vec<Kind> =
        opened.into_iter().map(|kind| Kind::try_from(kind).expect("a kind")).collect();
    println!("what opens: {opened:?}");
    assert!(opened.contains(&Kind::Sync), "the key file opens what is said between views");
    assert!(opened.iter().all(|kind| BETWEEN_VIEWS.contains(kind)), "{opened:?}");
    world.end([]);
}
