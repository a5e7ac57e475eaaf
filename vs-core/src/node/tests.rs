//! What a node makes of datagrams that a member never sends.

use core::net::SocketAddr;

use super::{Node, Verdict};
use crate::config::{GroupConfig, NodeConfig};
use crate::endpoint::Action;
use crate::ident::{Cid, GroupKey, GroupName, Identity, Incarnation, ProcessId, Rank, Seq, ViewId};
use crate::member::Peer;
use crate::time::Time;
use crate::view::{View, ViewKey};
use crate::wire::control::{self, SyncMessage};
use crate::wire::datagram::{Header, TransmitCounter, finish};
use crate::wire::packet::{self, Heartbeat};

const NOW: Time = Time(1_000_000);

/// Packets that each member has room for of each other one.
const WINDOW: u64 = 1024;

fn peer(process: u64) -> Peer {
    let addr = ([127, 0, 0, 1], 4000 + process as u16).into();
    Peer { process: ProcessId(process), incarnation: Incarnation::new(7), addr }
}

fn view(major: u64, cids: [u64; 2]) -> View {
    let members = [1, 2].map(ProcessId);
    View::new(ViewId { major, minor: 0 }, &members, &cids.map(Cid)).unwrap()
}

/// Process 2, in a view with 1.
struct Pair {
    node: Node,
    group: GroupKey,
}

impl Pair {
    fn new() -> Self {
        let Peer { process, incarnation, addr } = peer(2);
        let identity = Identity { process, incarnation, addr, seed: 1 };
        let mut node = Node::new(NodeConfig::default(), identity, 0, ()).unwrap();
        let config =
            GroupConfig::default().with_members_max(4).with_window_packets(Some(WINDOW as usize));
        let group = node.join_external(NOW, &GroupName::new("two").unwrap(), config).unwrap();
        let mut pair = Self { node, group };
        pair.change(4, view(9, [3, 4]));
        assert_eq!(pair.installed(), Some(view(9, [3, 4])));
        pair
    }

    fn change(&mut self, cid: u64, view: View) {
        self.node.handle_start_change(NOW, self.group, Cid(cid), &[1, 2].map(peer)).unwrap();
        self.node.handle_mbr_view(NOW, self.group, view).unwrap();
    }

    /// The last view that the application is told of.
    fn installed(&mut self) -> Option<View> {
        let mut last = None;
        while let Some(action) = self.node.poll_action(NOW) {
            if let Action::View { view, .. } = action {
                last = Some(view.clone());
            }
        }
        last
    }

    fn header(&self, rank: Rank) -> Header {
        Header { rank, group: self.group, fingerprint: view(9, [3, 4]).fingerprint() }
    }

    /// A datagram with this number comes from `from`.
    fn hear(
        &mut self,
        from: SocketAddr,
        number: u64,
        encode: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Verdict {
        let mut out = [0; 512];
        let len = encode(&mut out).unwrap();
        finish(&mut out[..len], len, true, &mut TransmitCounter::after(number - 1));
        self.node.handle_datagram(NOW, from, &mut out[..len])
    }

    /// The sync message of 1 for its cid 5, with this cut.
    fn sync(&mut self, cut: &[(u16, Seq)]) -> Verdict {
        let Peer { process, incarnation, addr } = peer(1);
        let view = ViewKey::of(&view(9, [3, 4]), process).unwrap();
        let (cid, runs) = (Cid(5), cut.to_vec());
        let message = SyncMessage { process, incarnation, cid, view, total: 2, first: 0, runs };
        let header = self.header(0);
        self.hear(addr, 1, |out| control::encode_sync(out, &header, &message))
    }
}

/// All members waited for packets that nobody has, until they excluded each other.
#[test]
fn cut_beyond_what_was_granted_is_refused() {
    for cut in [[(1, 1 << 20), (1, 0)], [(1, 0), (1, 1)]] {
        let mut pair = Pair::new();
        pair.change(5, view(10, [5, 5]));
        assert_eq!(pair.sync(&cut), Verdict::Malformed, "{cut:?}");
        assert_eq!(pair.node.counters().malformed, 1);
        assert_eq!(pair.installed(), None);
        assert_eq!(pair.sync(&[(2, 0)]), Verdict::Accepted, "the true one counts");
        assert_eq!(pair.installed(), Some(view(10, [5, 5])));
    }
}

/// A message is cut into the datagrams of a window; all of these can be in a cut.
#[test]
fn cut_up_to_what_was_granted_is_kept() {
    let mut pair = Pair::new();
    pair.change(5, view(10, [5, 5]));
    assert_eq!(pair.sync(&[(1, WINDOW + 1), (1, 0)]), Verdict::Malformed);
    assert_eq!(pair.sync(&[(1, WINDOW), (1, 0)]), Verdict::Accepted);
}

/// Whoever forged a datagram of a member was not noticed by the member itself, which hears it.
#[test]
fn datagram_in_own_name_raises_alarm() {
    let mut pair = Pair::new();
    let heartbeat = |header: Header| {
        move |out: &mut [u8]| {
            let beat =
                Heartbeat { solicit: false, highest: 9, stable: 0, view: view(9, [3, 4]).id() };
            packet::encode_heartbeat(out, &header, &beat)
        }
    };
    let (own, member) = (heartbeat(pair.header(1)), heartbeat(pair.header(0)));
    let (here, elsewhere) = (peer(2).addr, SocketAddr::from(([127, 0, 0, 9], 9)));
    pair.node.send(NOW, pair.group, b"hello").unwrap();
    let mut out = [0; 2048];
    while pair.node.poll_transmit(NOW, &mut out, 1).is_some() {}
    let given = pair.node.groups.iter().map(|g| g.transmit_counter().last()).max().unwrap();
    assert!(given > 0);
    let other_card = SocketAddr::from(([127, 0, 0, 9], here.port()));
    for from in [here, other_card] {
        assert_eq!(pair.hear(from, given, own), Verdict::Foreign);
    }
    pair.hear(elsewhere, given + 1, member);
    assert_eq!(pair.node.impostor(), None, "own multicasts come back");
    for (count, from, number) in [(1, here, given + 1), (2, elsewhere, given)] {
        assert_eq!(pair.hear(from, number, own), Verdict::Foreign);
        let impostor = pair.node.impostor().unwrap();
        assert_eq!((impostor.from, impostor.datagrams), (from, count));
        assert_eq!(pair.node.counters().impostors, count);
    }
}
