//! What a server and its peers make of each other.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::super::link_reports::SERVERS_MAX;
use super::super::{ConnId, Note, ServerConfig};
use super::bench::{Bench, greeting, group, hello, links, peer, processes, story, usual_profile};
use crate::ident::{
    Cid, Deployment, GroupName, INCARNATION_MAX, Incarnation, NUMBER_MAX, ProcessId, ServerId,
};
use crate::member::DetachReason;
use crate::member::attached::{Attached, Attachment, ReportId};
use crate::member::message::{PeerWord, Refusal, Reply, Request};
use crate::member::proposal::{Mode, Proposal};
use crate::view::{VIEW_MEMBERS_MAX, View};
use crate::wire::frame;

/// Whether `p` at server 2 is `clients` to server 1; over connection 99.
fn clients(bench: &mut Bench, version: u64, clients: &[u64]) {
    let attachment = Attachment { incarnation: Incarnation::new(7), counter: 1 };
    let client = |&p: &u64| {
        let home = ServerId(2);
        let attached = Attached {
            process: ProcessId(p),
            attachment,
            home,
            members_max: 16,
            settled: None,
            profile: usual_profile(),
        };
        (attached, peer(p, 7).addr)
    };
    let clients = clients.iter().map(client).collect();
    bench.say(
        99,
        &Request::Peer(PeerWord::Clients { version, group: group(), clients, held: None }),
    );
}

/// What server 2 was told since the last call.
fn words(bench: &mut Bench) -> Vec<PeerWord> {
    let word = |request| match request {
        Request::Peer(word) => Some(word),
        _ => None,
    };
    bench.read(99).into_iter().filter_map(word).collect()
}

fn proposed(bench: &mut Bench) -> bool {
    words(bench).iter().any(|word| matches!(word, PeerWord::Proposal { .. }))
}

#[test]
fn remote_arrivals_gathered_departures_not() {
    let mut bench = Bench::together(ServerConfig::default(), 1);
    bench.with_peer();
    bench.pass(10);
    words(&mut bench);
    clients(&mut bench, 3, &[21, 22]);
    assert!(!proposed(&mut bench));
    bench.pass(3);
    assert!(proposed(&mut bench));
    clients(&mut bench, 4, &[21]);
    assert!(proposed(&mut bench), "at once");
    clients(&mut bench, 5, &[22]);
    assert!(proposed(&mut bench), "one went, whoever came");
}

#[test]
fn returned_client_has_no_old_accusations() {
    let config = ServerConfig::default();
    let mut bench = Bench::together(config.clone(), 1);
    bench.with_peer();
    let (by, accused) = (ProcessId(21), processes(&[1]));
    bench.say(99, &Request::Peer(PeerWord::Accuse { group: group(), by, accused }));
    clients(&mut bench, 3, &[]);
    clients(&mut bench, 4, &[21]);
    bench.pass(config.accuse_ms + 1);
    assert_eq!(bench.detached(1), None);
}

#[test]
fn local_accusations_are_told_to_peers() {
    let mut bench = Bench::together(ServerConfig::default(), 1);
    bench.with_peer();
    bench.pass(10);
    words(&mut bench);
    bench.open(8);
    bench.say(8, &hello(peer(8, 8)));
    bench.accuse(8, &[1]);
    bench.accuse(1, &[21]);
    let accused = |word: PeerWord| match word {
        PeerWord::Accuse { by, accused, .. } => Some((by, accused)),
        _ => None,
    };
    let told: Vec<_> = words(&mut bench).into_iter().filter_map(accused).collect();
    assert_eq!(told, [(ProcessId(1), processes(&[21]))], "8 is no member");
}

/// A second server under one id used to take the place of the first at a third, whose groups then
/// fell apart.
#[test]
fn new_peer_incarnation_admitted_after_old_missed() {
    let mut bench = Bench::new(ServerConfig::default());
    assert_eq!(bench.server.id(), ServerId(1));
    let greet = |bench: &mut Bench, conn, boot| {
        bench.open(conn);
        bench.say(conn, &greeting(2, boot));
        let said = |note| match note {
            Note::Peer { connected, .. } => Some(if connected { "came" } else { "went" }),
            Note::Refused { why, .. } if why.contains("two servers have the id 2") => {
                Some("duplicate")
            }
            _ => None,
        };
        let notes: Vec<_> =
            core::iter::from_fn(|| bench.server.poll_note()).filter_map(said).collect();
        (bench.conns.keys().copied().collect::<Vec<_>>(), notes)
    };
    assert_eq!(greet(&mut bench, 10, 5), (vec![10], vec!["came"]));
    assert_eq!(greet(&mut bench, 11, 5), (vec![10, 11], vec![]), "two connections do no harm");
    assert_eq!(greet(&mut bench, 12, 7), (vec![10, 11], vec!["duplicate"]), "a later life");
    assert_eq!(greet(&mut bench, 13, 4), (vec![10, 11], vec!["duplicate"]), "or an earlier one");
    bench.pass(2000);
    assert_eq!(
        greet(&mut bench, 14, 7),
        (vec![10, 11], vec!["duplicate"]),
        "the first still lives"
    );
    bench.mute = vec![10, 11];
    bench.pass(1000);
    assert_eq!(greet(&mut bench, 15, 7), (vec![15], vec!["went", "came"]), "another life began");
    assert_eq!(greet(&mut bench, 16, 6), (vec![15], vec!["duplicate"]), "an end that arrives late");
}

#[test]
fn other_deployment_told_at_both_ends() {
    let deployment = |name| Deployment::new(name).unwrap();
    let config = ServerConfig { deployment: deployment("blue"), ..ServerConfig::default() };
    let mut bench = Bench::new(config);
    let (green, blue) = (deployment("green"), deployment("blue"));
    let mut strangers = strangers_of(&green);
    let told = strangers.remove(0);
    bench.open(5);
    bench.server.handle_stream(bench.now, ConnId(5), &told);
    assert_eq!(bench.server.poll_close(), Some(ConnId(5)));
    let replies: Vec<Reply> = bench.read(5);
    let own = green.clone();
    assert_eq!(replies.len(), 1);
    let reason = DetachReason::Deployment { server: blue.clone(), own };
    assert!(matches!(&replies[0], Reply::Refused(said) if *said == reason && said.is_final()));
    bench.open(6);
    bench.server.handle_stream(bench.now, ConnId(6), &strangers.remove(0));
    assert_eq!(bench.server.poll_close(), Some(ConnId(6)));
    let words: Vec<Request> = bench.read(6);
    let refusal = Refusal::Deployments(green, blue);
    assert!(matches!(&words[..], [Request::Refused(said)] if *said == refusal));
    let notes = core::iter::from_fn(|| bench.server.poll_note()).filter_map(|note| match note {
        Note::Refused { why, .. } => Some(why.to_string()),
        _ => None,
    });
    let notes: Vec<_> = notes.collect();
    assert_eq!(notes.len(), 2);
    for note in notes {
        assert!(note.contains("\"green\"") && note.contains("\"blue\""), "{note}");
    }
}

/// The first messages of a client and of a server of this deployment.
fn strangers_of(deployment: &Deployment) -> Vec<Vec<u8>> {
    let client = Request::Client { peer: peer(1, 1), deployment: deployment.clone(), proof: None };
    let deployment = deployment.clone();
    let server = Request::Server { server: ServerId(2), boot: 1, deployment };
    let bytes = |request: &Request| {
        let mut bytes = Vec::new();
        frame::encode(request, &mut bytes);
        bytes
    };
    vec![bytes(&client), bytes(&server)]
}

/// Server 2 answers the last proposal of server 1, over connection `conn`, with these cids for its
/// clients.
fn answer(bench: &mut Bench, conn: u64, pn: u64, cids: &[(u64, u64)]) {
    let mine = bench.server.groups.get(&group()).unwrap().proposal().unwrap().clone();
    let cids = cids.iter().map(|&(p, cid)| (ProcessId(p), Cid(cid))).collect();
    let proposal = Proposal { from: ServerId(2), cids, pn, used: Vec::new(), ..mine };
    bench.say(conn, &Request::Peer(PeerWord::Proposal { group: group(), proposal }));
}

/// Its clock was set back: the numbers of its new incarnation are below those of the last one.
#[test]
fn earlier_peer_incarnation_is_forgotten() {
    let mut bench = Bench::together(ServerConfig::default(), 1);
    bench.with_peer();
    bench.pass(10);
    answer(&mut bench, 99, 500, &[(21, 5000)]);
    assert_eq!(bench.views(1).last().map(View::len), Some(2));
    bench.close(99);
    bench.open(98);
    bench.say(98, &greeting(2, 1));
    answer(&mut bench, 98, 500, &[(21, 5000)]);
    assert!(bench.told(1).is_empty(), "the same life repeats what it said");
    bench.close(98);
    bench.open(99);
    bench.say(99, &greeting(2, 0));
    clients(&mut bench, 1, &[21, 22]);
    bench.pass(10);
    answer(&mut bench, 99, 5, &[(21, 6000), (22, 6000)]);
    assert_eq!(bench.views(1).last().map(View::len), Some(3));
}

/// A client attached anew while its arrival was put off. The change that it had been told of before
/// was decided, and the view went to the new attachment, which knew of no change: the client took
/// that for a breach of M5 and never came back.
#[test]
fn view_of_earlier_attachment_is_not_for_later_one() {
    let mut bench = Bench::together(ServerConfig::default(), 1);
    bench.with_peer();
    bench.pass(10);
    bench.told(1);
    let about = PeerWord::About { embeds: None, gathering: true, listen: None };
    bench.say(99, &Request::Peer(about));
    bench.attach(1, 2);
    answer(&mut bench, 99, 500, &[(21, 5000)]);
    assert!(bench.told(1).is_empty(), "it waits for a change of its own");
    bench.pass(ServerConfig::default().gather_max_ms + 1);
    assert_eq!(story(&bench.told(1)), [(false, vec![1, 21])]);
    answer(&mut bench, 99, 600, &[(21, 6000)]);
    assert_eq!(story(&bench.told(1)), [(true, vec![1, 21])]);
}

#[test]
fn proposal_through_another_server_is_ignored() {
    let mut bench = Bench::together(ServerConfig::default(), 1);
    bench.with_peer();
    let remembered =
        |bench: &Bench| bench.server.groups.get(&group()).unwrap().servers_remembered();
    let mine = bench.server.groups.get(&group()).unwrap().proposal().unwrap().clone();
    for (from, kept) in [(3, 0), (2, 1)] {
        let proposal = Proposal { from: ServerId(from), pn: 9, ..mine.clone() };
        bench.say(99, &Request::Peer(PeerWord::Proposal { group: group(), proposal }));
        assert_eq!(remembered(&bench), kept);
    }
    bench.open(98);
    bench.say(98, &greeting(4, 1));
    assert_eq!(remembered(&bench), 1);
    let proposal = Proposal { from: ServerId(4), pn: 9, ..mine };
    bench.say(98, &Request::Peer(PeerWord::Proposal { group: group(), proposal }));
    assert_eq!(remembered(&bench), 1, "it has no clients there");
    assert_eq!(bench.server.counters().proposals_dropped, 1);
}

#[test]
fn decided_view_counted_and_noted_by_mode() {
    let mut bench = Bench::together(ServerConfig::default(), 1);
    let counted = |bench: &Bench| {
        let c = bench.server.counters();
        (c.changes, c.proposals, c.views_fast, c.views_slow)
    };
    assert_eq!(counted(&bench), (1, 1, 1, 0));
    bench.with_peer();
    bench.pass(10);
    assert_eq!(counted(&bench), (2, 2, 1, 0));
    let mine = bench.server.groups.get(&group()).unwrap().proposal().unwrap().clone();
    let cids = vec![(ProcessId(21), Cid(5))];
    let (from, mode, used) = (ServerId(2), Mode::Slow, Vec::new());
    let proposal = Proposal { from, cids, mode, n: 1, pn: 5, used, ..mine };
    bench.say(99, &Request::Peer(PeerWord::Proposal { group: group(), proposal }));
    assert_eq!(counted(&bench), (2, 3, 1, 1));
    let fast = |note| match note {
        Note::View { fast, .. } => Some(fast),
        _ => None,
    };
    let noted = core::iter::from_fn(|| bench.server.poll_note()).filter_map(fast);
    assert!(noted.eq([true, false]));
    // The first waited for more arrivals, and the second for the peer: its 10 ms.
    let counters = *bench.server.counters();
    assert_eq!((counters.change_ms_sum, counters.change_ms_max), (13, 10));
    let mut all = counters;
    all.add(&counters);
    assert_eq!((all.proposals, all.change_ms_sum, all.change_ms_max), (6, 26, 10));
}

#[test]
fn clients_grace_ends_when_announced() {
    let mut bench = Bench::together(ServerConfig::default(), 1);
    bench.with_peer();
    bench.close(99);
    bench.pass(999);
    bench.told(1);
    bench.now = bench.now.plus_ms(1);
    bench.join(2, 2);
    assert_eq!(story(&bench.told(1))[0], (false, vec![1, 2]));
}

/// Two components are too large together: who came last goes, and is told so.
#[test]
fn components_meet_client_without_room_told() {
    let mut bench = Bench::together(ServerConfig::default(), 16);
    bench.with_peer();
    assert_eq!(bench.detached(16), Some((DetachReason::ServerFull, 500)));
    bench.pass(10);
    let (_, set) = story(&bench.told(1)).pop().unwrap();
    assert_eq!(set, (1..16).chain([21]).collect::<Vec<u64>>());
}

/// When there were too many, the one that had just come was forgotten with the rest: what it had
/// said would have counted in its next incarnation.
#[test]
fn boot_values_remembered_within_bound() {
    let config = ServerConfig { connections_max: 3, ..ServerConfig::default() };
    let mut bench = Bench::new(config);
    for (server, remembered) in [(2, 1), (3, 2), (4, 3), (5, 1), (6, 2)] {
        bench.open(server);
        bench.say(server, &greeting(server, 1));
        assert_eq!(bench.server.peers.boots_remembered(), remembered);
        bench.close(server);
    }
}

#[test]
fn latest_report_of_peer_counts_within_bound() {
    let mut bench = Bench::new(ServerConfig::default());
    let most = SERVERS_MAX as u64;
    bench.open(99);
    bench.say(99, &greeting(2, 1));
    for (version, count, heard) in [(5, most, 5), (5, 1, 5), (4, 1, 5), (6, most + 1, 5), (6, 1, 6)]
    {
        let named: Vec<u64> = (0..count).collect();
        bench.say(99, &links(2, version, &named));
        let known = bench.server.topology.reports().get(ServerId(2)).unwrap();
        assert_eq!(known.version(), heard, "{count} in version {version}");
    }
}

/// Over two connections the messages may come in any order.
#[test]
fn messages_to_peer_have_growing_versions() {
    let mut bench = Bench::together(ServerConfig::default(), 1);
    bench.with_peer();
    bench.join(2, 2);
    bench.pass(10);
    let version = |word| match word {
        PeerWord::Links { version, .. } | PeerWord::Clients { version, .. } => Some(version),
        _ => None,
    };
    let versions: Vec<u64> = words(&mut bench).into_iter().filter_map(version).collect();
    assert!(versions.len() >= 3 && versions.is_sorted_by(|a, b| a < b), "{versions:?}");
}

/// A client that does not read was given up while the others were told of two changes: the list of
/// clients of the second one went out last, and had that client in it.
#[test]
fn last_client_list_sent_is_latest() {
    let mut seen = false;
    for pings in (0..100).step_by(3) {
        let config = ServerConfig { output_bytes_max: 400, ..ServerConfig::default() };
        let accuse_ms = config.accuse_ms;
        let heartbeat_ms = config.heartbeat_ms;
        let mut bench = Bench::together(config, 5);
        bench.with_peer_of(&[]);
        for _ in 0..pings {
            bench.pass(heartbeat_ms);
            for conn in [1, 2, 4, 5] {
                bench.told(conn);
            }
            words(&mut bench);
        }
        bench.accuse(1, &[4]);
        bench.accuse(2, &[5]);
        bench.pass(accuse_ms - 1);
        words(&mut bench);
        if !bench.closed.is_empty() {
            break;
        }
        bench.pass(1);
        let lists = words(&mut bench).into_iter().filter_map(|word| match word {
            PeerWord::Clients { version, clients, .. } => Some((version, clients)),
            _ => None,
        });
        let (_, last) = lists.max_by_key(|(version, _)| *version).unwrap();
        let last: Vec<u64> = last.iter().map(|(client, _)| client.process.0).collect();
        let gone = bench.closed == [3];
        assert_eq!(last, if gone { vec![1, 2] } else { vec![1, 2, 3] }, "after {pings}");
        seen |= gone;
    }
    assert!(seen, "it never happened between the two changes");
}

/// A server that loses another one says so in a report: the change was gathered as an arrival is.
#[test]
fn reported_loss_is_not_gathered() {
    let mut bench = Bench::together(ServerConfig::default(), 1);
    bench.with_peer();
    bench.open(98);
    bench.say(98, &greeting(3, 1));
    bench.say(98, &links(3, 1, &[1, 2]));
    bench.say(99, &links(2, 5, &[1, 3]));
    let attachment = Attachment { incarnation: Incarnation::new(7), counter: 1 };
    let (process, home) = (ProcessId(31), ServerId(3));
    let client = Attached {
        process,
        attachment,
        home,
        members_max: 16,
        settled: None,
        profile: usual_profile(),
    };
    let of_three = vec![(client, peer(31, 7).addr)];
    let word = PeerWord::Clients { version: 2, group: group(), clients: of_three, held: None };
    bench.say(98, &Request::Peer(word));
    bench.pass(10);
    assert_eq!(story(&bench.told(1)).last(), Some(&(false, vec![1, 21, 31])));
    words(&mut bench);
    bench.say(99, &links(2, 6, &[1]));
    assert!(proposed(&mut bench), "at once");
}

#[test]
fn highest_numbers_are_accepted() {
    let mut bench = Bench::together(ServerConfig::default(), 1);
    bench.open(7);
    bench.say(7, &hello(peer(NUMBER_MAX, INCARNATION_MAX)));
    assert!(bench.closed.is_empty());
}

/// Whatever a proposal named was remembered for ever, in groups that nobody was ever in, too: 184
/// MiB after some thousand frames.
#[test]
fn memory_of_proposals_is_bounded() {
    let mut bench = Bench::together(ServerConfig::default(), 1);
    bench.with_peer();
    bench.pass(10);
    let mine = bench.server.groups.get(&group()).unwrap().proposal().unwrap().clone();
    let propose = |bench: &mut Bench, name: &str, pn: u64, first: u64, extra: u64| {
        let cids = (first..first + 2000 + extra).map(|p| (ProcessId(p), Cid(5))).collect();
        let set = ReportId::of(&[]);
        let proposal = Proposal { from: ServerId(2), set, cids, pn, ..mine.clone() };
        let group = GroupName::new(name).unwrap();
        bench.say(99, &Request::Peer(PeerWord::Proposal { group, proposal }));
    };
    let remembered = |bench: &Bench| bench.server.groups.get(&group()).unwrap().remembered();
    let before = remembered(&bench);
    propose(&mut bench, "chat", 8, 100, 49);
    assert_eq!(remembered(&bench), before, "it gives more cids than a view has members");
    for pn in 9..19 {
        propose(&mut bench, "chat", pn, pn * 10_000, 0);
    }
    assert_eq!(remembered(&bench), 4 * VIEW_MEMBERS_MAX + 1, "beside the member");
    let dropped = bench.server.counters().proposals_dropped;
    let cids = Vec::from([(ProcessId(500), Cid(5))]);
    let proposal = Proposal { from: ServerId(2), cids, pn: 20, ..mine.clone() };
    bench.say(99, &Request::Peer(PeerWord::Proposal { group: group(), proposal }));
    let now_dropped = bench.server.counters().proposals_dropped;
    assert_eq!(now_dropped, dropped + 1, "the present set does not hold 500");
    propose(&mut bench, "nowhere", 9, 100, 0);
    assert!(bench.server.groups.get(&GroupName::new("nowhere").unwrap()).is_none());
}
