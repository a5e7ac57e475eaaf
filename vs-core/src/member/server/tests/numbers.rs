//! What the numbers of a server have to be above.

use alloc::vec::Vec;

use super::super::ServerConfig;
use super::bench::{Bench, greeting, group, hello, peer, processes};
use crate::ident::{Cid, GroupName, ViewId};
use crate::member::message::{PeerWord, Reply, Request};
use crate::member::past::Past;
use crate::member::proposal::Proposal;
use crate::view::View;

/// A server is connected over connection 98 that has just started: arrivals are put off for it.
fn newcomer(bench: &mut Bench) {
    bench.open(98);
    bench.say(98, &greeting(3, 1));
    let about = PeerWord::About { embeds: None, gathering: true, listen: None };
    bench.say(98, &Request::Peer(about));
}

fn proposal(bench: &Bench) -> Proposal {
    bench.server.groups.get(&group()).unwrap().proposal().unwrap().clone()
}

/// A group that had no clients was forgotten to have room for another one. Made anew, it counted
/// its proposals from the beginning: others, who remembered it, ignored them, and waited.
#[test]
fn group_made_anew_counts_on() {
    let config = ServerConfig { groups_max: 1, ..ServerConfig::default() };
    let mut bench = Bench::together(config, 1);
    bench.with_peer();
    bench.pass(10);
    let before = proposal(&bench);
    bench.close(1);
    let (version, clients, held) = (3, Vec::new(), None);
    bench.say(99, &Request::Peer(PeerWord::Clients { version, group: group(), clients, held }));
    bench.open(2);
    bench.say(2, &hello(peer(2, 2)));
    let (group, counter) = (GroupName::new("other").unwrap(), 1);
    bench.say(2, &Request::Attach { group, counter, members_max: 16, past: Past::default() });
    bench.close(2);
    bench.join(3, 3);
    bench.pass(10);
    let after = proposal(&bench);
    assert!(after.pn > before.pn, "{} after {}", after.pn, before.pn);
}

/// Arrivals were put off. Meanwhile so many others became known that the cid of one that was
/// attached and not reported yet was forgotten: it was given a lower one, and gave up (M2).
#[test]
fn unreported_client_keeps_its_cid() {
    let mut bench = Bench::together(ServerConfig::default(), 1);
    newcomer(&mut bench);
    bench.open(2);
    bench.say(2, &hello(peer(2, 9)));
    let last_cid = Cid(900_000);
    bench.attach_with(2, 1, 16, Past { last_cid, ..Past::default() });
    for p in 3..=7 {
        let others: Vec<u64> = core::iter::once(p).chain((10_000 * p..).take(2047)).collect();
        let id = ViewId { major: 9, minor: 1 };
        let view = View::new(id, &processes(&others), &[Cid(5); 2048]).unwrap();
        bench.open(p);
        bench.say(p, &hello(peer(p, 9)));
        bench.attach_with(p, 1, 16, Past { mbr_view: Some(view), ..Past::default() });
    }
    bench.pass(5000);
    let told = bench.told(2);
    let given = told.iter().find_map(|reply| match reply {
        Reply::StartChange { cid, .. } => Some(*cid),
        _ => None,
    });
    assert!(given > Some(last_cid), "{given:?}: {told:?}");
}
