//! A server that has just started, and clients that come to it from a view that all are in.

use alloc::vec;
use alloc::vec::Vec;

use super::super::ServerConfig;
use super::bench::{Bench, group, hello, peer, processes, story, usual_profile};
use crate::ident::{Cid, Incarnation, ProcessId, ServerId, ViewId};
use crate::member::attached::{Attached, Attachment, ReportId, Settled};
use crate::member::message::{PeerWord, Request};
use crate::member::past::Past;
use crate::member::proposal::{Mode, Proposal};
use crate::view::View;

/// View `major` of these processes.
fn view(major: u64, members: &[u64]) -> View {
    let start: Vec<Cid> = members.iter().map(|_| Cid(major)).collect();
    View::new(ViewId { major, minor: 1 }, &processes(members), &start).unwrap()
}

/// Process 1 comes from `view` to a server that knows nothing of it.
fn comes_from(bench: &mut Bench, view: &View) {
    bench.open(1);
    bench.say(1, &hello(peer(1, 1)));
    let past = Past { mbr_view: Some(view.clone()), ..Past::default() };
    bench.attach_with(1, 2, 16, past);
}

/// Process 21 at server 2 came from `view`, too.
fn also_from(view: &View) -> Attached {
    let attachment = Attachment { incarnation: Incarnation::new(7), counter: 1 };
    let settled = Some(Settled::in_view(view));
    let (process, home) = (ProcessId(21), ServerId(2));
    let profile = usual_profile();
    Attached { process, attachment, home, members_max: 16, settled, profile }
}

/// Two servers settled on two views of the same members, each on that of its own client.
#[test]
fn members_of_two_views_get_a_new_one() {
    let common = view(9, &[1, 21]);
    for (other, stays) in [(view(9, &[1, 21]), true), (view(8, &[1, 21]), false)] {
        let mut bench = Bench::new(ServerConfig::default());
        bench.with_peer_of(&[]);
        let clients = vec![(also_from(&other), peer(21, 7).addr)];
        bench.say(
            99,
            &Request::Peer(PeerWord::Clients { version: 3, group: group(), clients, held: None }),
        );
        comes_from(&mut bench, &common);
        let told = story(&bench.told(1));
        assert_eq!(told.is_empty(), stays, "{told:?}");
        bench.pass(5000);
    }
}

/// While 1 waits for 22, server 2 goes on without: it waited for an answer as long as arrivals are
/// gathered.
#[test]
fn proposal_during_regroup_answered_at_once() {
    let mut bench = Bench::new(ServerConfig::default());
    bench.with_peer();
    comes_from(&mut bench, &view(9, &[1, 21, 22]));
    bench.pass(100);
    assert!(bench.told(1).is_empty(), "22 may be about to come");
    bench.read::<Request>(99);
    let of_one =
        bench.server.groups.get(&group()).unwrap().clients().into_iter().map(|(client, _)| client);
    let attachment = Attachment { incarnation: Incarnation::new(7), counter: 1 };
    let other = Attached { settled: None, attachment, ..also_from(&view(1, &[1])) };
    let set: Vec<_> = of_one.chain([other]).collect();
    let proposal = Proposal {
        from: ServerId(2),
        set: ReportId::of(&set),
        cids: vec![(ProcessId(21), Cid(50))],
        vnum: 1,
        mode: Mode::Fast,
        n: 0,
        max_n: 0,
        pn: 9,
        used: Vec::new(),
        share: None,
    };
    bench.say(99, &Request::Peer(PeerWord::Proposal { group: group(), proposal }));
    assert_eq!(story(&bench.told(1)), [(false, vec![1, 21]), (true, vec![1, 21])], "at once");
}

/// The end of the one wait was looked at again and again until the other was over.
#[test]
fn both_waits_end_when_due() {
    let config = ServerConfig::default();
    let mut bench = Bench::new(config.clone());
    bench.with_peer_of(&[]);
    let about = PeerWord::About { embeds: None, gathering: true, listen: None };
    bench.say(99, &Request::Peer(about));
    bench.join(3, 3);
    comes_from(&mut bench, &view(9, &[1, 22]));
    bench.pass(config.gather_max_ms + 1);
    assert!(bench.told(1).is_empty() && bench.told(3).is_empty(), "22 may be about to come");
    bench.pass(config.regroup_ms - config.gather_max_ms);
    assert_eq!(story(&bench.told(1))[0], (false, vec![1, 3]));
}
