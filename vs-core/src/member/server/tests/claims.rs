//! What is believed of the numbers that a client claims for itself and for others.

use alloc::vec;

use super::super::claims::{AHEAD_MAX_MS, CLOCK_RETRY_MS};
use super::super::{Note, ServerConfig};
use super::bench::{Bench, greeting, group, hello, peer, processes, set, story};
use crate::ident::{CLAIMED_MAX, CREDIBLE_MAX, Cid, IDS_PER_MS, ProcessId, ServerId, ViewId};
use crate::member::message::{PeerWord, Request};
use crate::member::past::Past;
use crate::member::proposal::Proposal;
use crate::member::{Departure, DetachReason};
use crate::view::View;

/// When the servers begin, in ms of UNIX time.
const BOOT: u64 = 1_800_000_000_000;

/// The highest number that is believed then.
const BELIEVED: u64 = (BOOT + AHEAD_MAX_MS) * IDS_PER_MS;

fn server() -> Bench {
    Bench::booted(ServerConfig::default(), BOOT)
}

/// A view of processes 1 and 2 whose last cids are these.
fn view(major: u64, cids: [u64; 2]) -> View {
    View::new(ViewId { major, minor: 1 }, &processes(&[1, 2]), &cids.map(Cid)).unwrap()
}

fn in_view(view: View) -> Past {
    Past { mbr_view: Some(view), ..Past::default() }
}

/// Whether process `p`, of the incarnation `incarnation`, is admitted with this past over the
/// connection of its number.
fn takes(bench: &mut Bench, p: u64, incarnation: u64, past: Past) -> bool {
    bench.open(p);
    bench.say(p, &hello(peer(p, incarnation)));
    bench.attach_with(p, 1, 16, past);
    if bench.closed.contains(&p) {
        return false;
    }
    let told = bench.detached(p);
    assert!(told.is_none() || told == Some((DetachReason::Ahead, CLOCK_RETRY_MS)));
    told.is_none()
}

/// A member said that another one had been given the highest cid that can be claimed. So that one
/// was given a higher one, and no other server took it in ever after.
#[test]
fn claim_for_another_shuts_it_out_nowhere() {
    for claimed in [BELIEVED, BELIEVED + 1, CLAIMED_MAX, CREDIBLE_MAX] {
        let mut bench = server();
        assert!(takes(&mut bench, 1, BOOT, in_view(view(BELIEVED, [9, claimed]))));
        assert!(takes(&mut bench, 2, BOOT, Past::default()));
        bench.pass(10);
        let view = bench.views(2).pop().unwrap();
        assert_eq!(set(&view), [1, 2]);
        assert!(view.start(ProcessId(2)) <= Some(Cid(BELIEVED + 9)), "{claimed}: {view}");
        let past = Past {
            last_cid: view.start(ProcessId(2)).unwrap(),
            last_view: view.id(),
            pending: None,
            mbr_view: Some(view),
            ..Past::default()
        };
        let mut other = Bench::booted(ServerConfig::default(), BOOT + 10);
        assert!(takes(&mut other, 2, BOOT, past), "{claimed}");
    }
    let mut bench = server();
    let past = in_view(view(9, [9, CREDIBLE_MAX + 1]));
    assert!(!takes(&mut bench, 1, BOOT, past), "nobody was ever given it");
}

#[test]
fn claim_too_far_ahead_is_refused() {
    let claims = |number| {
        [
            Past { last_cid: Cid(number), ..Past::default() },
            Past { pending: Some(Cid(number)), ..Past::default() },
            Past { last_view: ViewId { major: number, minor: 9 }, ..Past::default() },
            in_view(view(number, [9, 9])),
            in_view(view(9, [number, 9])),
        ]
    };
    for past in claims(BELIEVED) {
        assert!(takes(&mut server(), 1, BOOT, past.clone()), "{past:?}");
    }
    for past in claims(BELIEVED + 1) {
        let mut bench = server();
        assert!(!takes(&mut bench, 1, BOOT, past.clone()), "{past:?}");
        let ahead = |why: &Departure| *why == Departure::Told(DetachReason::Ahead);
        let told = core::iter::from_fn(|| bench.server.poll_note())
            .any(|note| matches!(note, Note::Detached { why, .. } if ahead(&why)));
        assert!(told);
        // The clock of the server goes on.
        bench.pass(1);
        assert!(takes(&mut bench, 3, BOOT, Past::default()));
        bench.close(1);
        assert!(takes(&mut bench, 1, BOOT, past));
    }
    assert!(takes(&mut server(), 1, BOOT + AHEAD_MAX_MS, Past::default()));
    assert!(!takes(&mut server(), 1, BOOT + AHEAD_MAX_MS + 1, Past::default()));
}

#[test]
fn latest_server_clock_counts_once_set() {
    let day_ms = 24 * 3_600_000;
    let ahead = Past { last_cid: Cid(BELIEVED + 5 * day_ms * IDS_PER_MS), ..Past::default() };
    let mut bench = server();
    assert!(!takes(&mut bench, 1, BOOT, ahead.clone()));
    bench.close(1);
    bench.open(99);
    bench.say(99, &greeting(2, BOOT + 5 * day_ms));
    assert!(takes(&mut bench, 1, BOOT, ahead.clone()));
    let mut bench = Bench::new(ServerConfig::default());
    assert!(takes(&mut bench, 1, BOOT, ahead.clone()), "its clock shows 1970");
    bench.open(99);
    bench.say(99, &greeting(2, BOOT));
    assert!(!takes(&mut bench, 2, BOOT, ahead), "now it has one");
}

/// Whoever asked in the name of another one, in vain, made a server that had just started wait for
/// members that are nowhere.
#[test]
fn refused_client_makes_nobody_wait() {
    for life in [6, 8] {
        let mut bench = Bench::new(ServerConfig::default());
        bench.with_peer();
        bench.open(21);
        bench.say(21, &hello(peer(21, life)));
        let ghosts = View::new(ViewId { major: 9, minor: 1 }, &processes(&[21, 77]), &[Cid(1); 2]);
        bench.attach_with(21, 1, 16, in_view(ghosts.unwrap()));
        bench.join(1, 1);
        assert_eq!(story(&bench.told(1)), [(false, vec![1, 21])], "at once");
    }
}

/// A server with a boot value at the end of the numbers made any claim of any client believed.
#[test]
fn boot_value_far_ahead_counts_for_nothing() {
    let day_ms = 24 * 3_600_000;
    let ahead = Past { last_cid: Cid(BELIEVED + 5 * day_ms * IDS_PER_MS), ..Past::default() };
    let mut bench = server();
    bench.open(99);
    bench.say(99, &greeting(2, BOOT + AHEAD_MAX_MS + 1));
    assert!(!takes(&mut bench, 1, BOOT, ahead.clone()));
    bench.close(1);
    bench.open(98);
    bench.say(98, &greeting(3, BOOT + 5 * day_ms));
    assert!(takes(&mut bench, 1, BOOT, ahead), "the clock of another one may be right");
}

/// A server raised the ids of all members so far that no other one took them in ever after.
#[test]
fn proposal_too_far_ahead_ends_its_connection() {
    let most = BELIEVED + AHEAD_MAX_MS * IDS_PER_MS;
    let beyond = most + 1000 * IDS_PER_MS; // the clock goes on
    for (cid, vnum, is_heard) in [(most, most, true), (beyond, 1, false), (1, beyond, false)] {
        let mut bench = server();
        assert!(takes(&mut bench, 1, BOOT, Past::default()));
        bench.with_peer();
        bench.pass(10);
        let mine = bench.server.groups.get(&group()).unwrap().proposal().unwrap().clone();
        let (from, cids) = (ServerId(2), vec![(ProcessId(21), Cid(cid))]);
        let proposal = Proposal { from, cids, vnum, pn: 9, used: vec![], ..mine };
        bench.say(99, &Request::Peer(PeerWord::Proposal { group: group(), proposal }));
        assert_eq!(bench.closed.contains(&99), !is_heard, "{cid} {vnum}");
    }
    // A server whose clock was never set cannot tell.
    let mut bench = Bench::together(ServerConfig::default(), 1);
    bench.with_peer();
    bench.pass(10);
    let mine = bench.server.groups.get(&group()).unwrap().proposal().unwrap().clone();
    let (from, cids) = (ServerId(2), vec![(ProcessId(21), Cid(CREDIBLE_MAX))]);
    let proposal = Proposal { from, cids, pn: 9, used: vec![], ..mine };
    bench.say(99, &Request::Peer(PeerWord::Proposal { group: group(), proposal }));
    assert!(bench.closed.is_empty());
}
