//! What numbers have to be above, and whom they go to.

use alloc::vec::Vec;

use super::super::ServerConfig;
use super::bench::{Bench, group, hello, peer};
use crate::ident::GroupName;
use crate::member::message::{PeerWord, Request};
use crate::member::past::Past;
use crate::member::proposal::Proposal;

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
