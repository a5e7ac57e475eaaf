//! What a node makes of datagrams that a member never sends.

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::Node;
use crate::config::{GroupConfig, NodeConfig};
use crate::endpoint::{Action, Verdict};
use crate::ident::{Cid, GroupKey, GroupName, Identity, Incarnation, ProcessId, Rank, Seq, ViewId};
use crate::member::Peer;
use crate::ranges::SeqRange;
use crate::seal::{KeyRing, Keys, PORTABLE, Proof, RingKey, SECRET_BYTES, Secret, Signer, Suite};
use crate::time::Time;
use crate::view::{Note, View, ViewKey};
use crate::wire::control::{self, SyncMessage};
use crate::wire::datagram::{Header, KIND_AT, Kind, TransmitCounter, finish};
use crate::wire::packet::{self, Data, Heartbeat};
use crate::wire::shown::Shown;

const NOW: Time = Time(1_000_000);

/// Packets that each member has room for of each other one.
const WINDOW: u64 = 1024;

fn peer(process: u64) -> Peer {
    let addr = ([127, 0, 0, 1], 4000 + process as u16).into();
    Peer { process: ProcessId(process), incarnation: Incarnation::new(7), addr }
}

/// What a process signs with.
fn signer(process: u64) -> Signer {
    Signer::new(&Secret::new([process as u8; SECRET_BYTES]))
}

/// A process that signs.
fn signing(process: u64) -> Peer {
    let peer = peer(process);
    Peer { incarnation: peer.incarnation.with_nonce(signer(process).nonce()), ..peer }
}

/// Of the processes from 1 on.
fn view(major: u64, cids: &[u64]) -> View {
    let members: Vec<ProcessId> = (1..=cids.len() as u64).map(ProcessId).collect();
    let cids: Vec<Cid> = cids.iter().map(|cid| Cid(*cid)).collect();
    View::new(ViewId { major, minor: 0 }, &members, &cids).unwrap()
}

/// The sync message of `from` for its cid 5, with this cut of `view`.
fn sync_message(view: &View, from: Peer, cut: &[(u16, Seq)]) -> SyncMessage {
    let Peer { process, incarnation, .. } = from;
    let (runs, total) = (cut.to_vec(), view.len() as u16);
    let view = ViewKey::of(view, process).unwrap();
    let (cid, note) = (Cid(5), Note::default());
    SyncMessage { process, incarnation, cid, view, total, first: 0, runs, safe: 0, note }
}

/// Process 2, in a view with 1, and perhaps 3.
struct Few {
    node: Node,
    group: GroupKey,
    /// The first view.
    first: View,
}

impl Few {
    fn new() -> Self {
        Self::of(view(9, &[3, 4]))
    }

    fn of(first: View) -> Self {
        Self::with_keys(first, None)
    }

    fn with_keys(first: View, keys: Option<Keys>) -> Self {
        let Peer { process, incarnation, addr } = peer(2);
        let identity = Identity { process, incarnation, addr, seed: 1 };
        let mut node = Node::new(NodeConfig::default(), identity, 0, ()).unwrap();
        if let Some(keys) = keys {
            node.set_keys(keys).unwrap();
        }
        let config =
            GroupConfig::default().with_members_max(4).with_window_packets(Some(WINDOW as usize));
        let group = node.join_external(NOW, &GroupName::new("two").unwrap(), config).unwrap();
        let mut few = Self { node, group, first: first.clone() };
        few.change(first.clone());
        assert_eq!(few.installed(), Some(first));
        few
    }

    fn change(&mut self, view: View) {
        let has_keys = self.node.shared.keys.is_some();
        let peers = view.members().iter().map(|p| if has_keys { signing(p.0) } else { peer(p.0) });
        let peers: Vec<Peer> = peers.collect();
        let cid = view.start(ProcessId(2)).unwrap();
        let secret = has_keys.then(|| Secret::new([8; SECRET_BYTES]));
        self.node.handle_start_change(NOW, self.group, cid, &peers).unwrap();
        self.node.handle_mbr_view(NOW, self.group, view, secret).unwrap();
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
        self.header_in(&self.first, rank)
    }

    fn header_in(&self, view: &View, rank: Rank) -> Header {
        Header { rank, group: self.group, fingerprint: view.fingerprint() }
    }

    /// Rank `rank` shows that it is in `view`.
    fn heartbeat(&mut self, view: &View, rank: Rank) -> Verdict {
        let header = self.header_in(view, rank);
        let beat = Heartbeat { solicit: false, highest: 0, stable: 0, view: view.id() };
        let from = peer(u64::from(rank) + 1).addr;
        self.hear(from, 1, |out| packet::encode_heartbeat(out, &header, &beat))
    }

    /// What is transmitted next: datagrams.
    fn transmitted(&mut self) -> Vec<Vec<u8>> {
        let mut out = [0; 2048];
        let mut datagrams = Vec::new();
        while let Some(transmit) = self.node.poll_transmit(NOW, &mut out, 1) {
            datagrams.push(out[..transmit.len].to_vec());
        }
        datagrams
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
        self.sync_of(1, cut)
    }

    fn sync_of(&mut self, from: u64, cut: &[(u16, Seq)]) -> Verdict {
        let first = self.first.clone();
        self.sync_in(&first, from, Cid(5), cut)
    }

    fn sync_in(&mut self, view: &View, from: u64, cid: Cid, cut: &[(u16, Seq)]) -> Verdict {
        let message = SyncMessage { cid, ..sync_message(view, peer(from), cut) };
        let header = self.header_in(view, from as Rank - 1);
        let addr = peer(from).addr;
        self.hear(addr, 1, |out| control::encode_sync(out, &header, &message, |_| None))
    }

    /// The sync message of 1, with what `prove` shows of it, opens under the keys of its
    /// incarnation: whoever has the key of members can seal so.
    fn opened_sync(&mut self, prove: impl FnOnce(&[u8]) -> Option<Proof>) -> Verdict {
        let (message, header) = (sync_message(&self.first, signing(1), &[(2, 0)]), self.header(0));
        let mut out = [0; 512];
        let show = |said: &[u8]| prove(said).map(Shown::Proof);
        let len = control::encode_sync(&mut out, &header, &message, show).unwrap();
        finish(&mut out[..len], len, true, &mut TransmitCounter::default());
        let packet = packet::open(&mut out[..len]).unwrap();
        let at = self.node.groups.find(self.group).unwrap();
        let (endpoint, mut cx) = self.node.lend(at);
        endpoint.handle_packet(&mut cx, &packet)
    }
}

/// Fault to avoid: who has the key of members makes up the sync message of another member, and
/// members agree on different messages.
#[test]
fn sync_message_that_its_sender_did_not_sign_is_forged() {
    let ring = RingKey::of_servers(1, Suite::Aes256Gcm, Secret::new([1; SECRET_BYTES])).unwrap();
    let ring = KeyRing::new(Vec::from([ring])).unwrap();
    let keys = Keys::new(ring, &PORTABLE, Secret::new([9; SECRET_BYTES]));
    let mut few = Few::with_keys(view(9, &[3, 4]), Some(keys));
    assert_eq!(few.installed(), None);
    few.change(view(10, &[5, 5]));
    let group = few.group.0.to_le_bytes();
    assert_eq!(few.opened_sync(|_| None), Verdict::Forged);
    let made_up = few.opened_sync(|said| Some(signer(3).sign("vs sync", &[&group, said])));
    assert_eq!(made_up, Verdict::Forged);
    let elsewhere = few.opened_sync(|said| Some(signer(1).sign("vs sync", &[&[0; 8], said])));
    assert_eq!(elsewhere, Verdict::Forged);
    let other = few.opened_sync(|_| Some(signer(1).sign("vs sync", &[&group, b"another cut"])));
    assert_eq!(other, Verdict::Forged);
    let own = few.opened_sync(|said| Some(signer(1).sign("vs sync", &[&group, said])));
    assert_eq!(own, Verdict::Accepted);
}

/// All members waited for packets that nobody has, until they excluded each other.
#[test]
fn cut_beyond_what_was_granted_is_refused() {
    for cut in [[(1, 1 << 20), (1, 0)], [(1, 0), (1, 1)]] {
        let mut few = Few::new();
        few.change(view(10, &[5, 5]));
        assert_eq!(few.sync(&cut), Verdict::Malformed, "{cut:?}");
        let counters = few.node.counters();
        assert_eq!((counters.malformed, counters.false_cuts), (1, 1));
        assert_eq!(few.installed(), None);
        assert_eq!(few.sync(&[(2, 0)]), Verdict::Accepted, "the true one counts");
        assert_eq!(few.installed(), Some(view(10, &[5, 5])));
    }
}

/// What came before its view was installed counted unseen.
#[test]
fn early_cut_beyond_what_was_granted_is_forgotten() {
    for lie in [[(1, WINDOW + 1), (1, 0)], [(1, 0), (1, 1)]] {
        let mut few = Few::new();
        let (next, last) = (view(10, &[5, 5]), view(11, &[6, 6]));
        few.change(next.clone());
        assert_eq!(few.sync_in(&next, 1, Cid(6), &lie), Verdict::Accepted);
        assert_eq!(few.sync(&[(2, 0)]), Verdict::Accepted);
        assert_eq!(few.installed(), Some(next.clone()));
        assert_eq!(few.node.counters().false_cuts, 1);
        few.change(last.clone());
        assert_eq!(few.installed(), None, "the sync message is missing");
        assert_eq!(few.sync_in(&next, 1, Cid(6), &[(1, WINDOW), (1, 0)]), Verdict::Accepted);
        assert_eq!(few.installed(), None, "its packets are missing");
    }
    let mut few = Few::new();
    let (next, last) = (view(10, &[5, 5]), view(11, &[6, 6]));
    few.change(next.clone());
    assert_eq!(few.sync_in(&next, 1, Cid(6), &[(2, 0)]), Verdict::Accepted);
    assert_eq!(few.sync(&[(2, 0)]), Verdict::Accepted);
    assert_eq!(few.installed(), Some(next));
    few.change(last.clone());
    assert_eq!(few.installed(), Some(last), "the true one was kept");
}

/// A message is cut into the datagrams of a window; all of these can be in a cut.
#[test]
fn cut_up_to_what_was_granted_is_kept() {
    let mut few = Few::new();
    few.change(view(10, &[5, 5]));
    assert_eq!(few.sync(&[(1, WINDOW + 1), (1, 0)]), Verdict::Malformed);
    assert_eq!(few.sync(&[(1, WINDOW), (1, 0)]), Verdict::Accepted);
}

/// Whoever forged a datagram of a member was not noticed by the member itself, which hears it.
#[test]
fn datagram_in_own_name_raises_alarm() {
    let mut few = Few::new();
    let heartbeat = |header: Header| {
        move |out: &mut [u8]| {
            let beat =
                Heartbeat { solicit: false, highest: 9, stable: 0, view: view(9, &[3, 4]).id() };
            packet::encode_heartbeat(out, &header, &beat)
        }
    };
    let (own, member) = (heartbeat(few.header(1)), heartbeat(few.header(0)));
    let (here, elsewhere) = (peer(2).addr, SocketAddr::from(([127, 0, 0, 9], 9)));
    few.node.send(NOW, few.group, b"hello").unwrap();
    assert!(!few.transmitted().is_empty());
    let given = few.node.groups.iter().map(|g| g.transmit_counter().last()).max().unwrap();
    assert!(given > 0);
    let other_card = SocketAddr::from(([127, 0, 0, 9], here.port()));
    for from in [here, other_card] {
        assert_eq!(few.hear(from, given, own), Verdict::Foreign);
    }
    few.hear(elsewhere, given + 1, member);
    assert_eq!(few.node.impostor(), None, "own multicasts come back");
    for (count, from, number) in [(1, here, given + 1), (2, elsewhere, given)] {
        assert_eq!(few.hear(from, number, own), Verdict::Impostor);
        let impostor = few.node.impostor().unwrap();
        assert_eq!((impostor.from, impostor.datagrams), (from, count));
        assert_eq!(few.node.counters().impostors, count);
    }
}

/// Members that have not moved yet may lack packets of the view before (rule 5.9). Fault to avoid:
/// it is given up when the first member has moved. Expected: when the last one has.
#[test]
fn previous_view_serves_until_last_member_moved() {
    let mut few = Few::of(view(9, &[3, 4, 5]));
    let next = view(10, &[5, 5, 5]);
    few.change(next.clone());
    for from in [1, 3] {
        assert_eq!(few.sync_of(from, &[(3, 0)]), Verdict::Accepted);
    }
    assert_eq!(few.installed(), Some(next.clone()));
    let nak = |few: &mut Few| {
        let header = few.header(2);
        let ranges = [SeqRange { from: 1, upto: 1 }];
        few.hear(peer(3).addr, 1, |out| packet::encode_nak(out, &header, 1, 1, &ranges))
    };
    assert_eq!(nak(&mut few), Verdict::Accepted);
    assert_eq!(few.heartbeat(&next, 0), Verdict::Accepted);
    assert_eq!(nak(&mut few), Verdict::Accepted, "3 may lack something");
    assert_eq!(few.heartbeat(&next, 2), Verdict::Accepted);
    assert_eq!(nak(&mut few), Verdict::Foreign);
}

/// Fault to avoid: it is kept and never used, and has to be repaired.
#[test]
fn early_packet_is_delivered_once_installed() {
    let mut few = Few::new();
    let next = view(10, &[5, 5]);
    few.change(next.clone());
    let header = few.header_in(&next, 0);
    let data = Data { flags: 0, origin: 0, seq: 1, stable: 0, body: b"\x05\0\0\0hello" };
    let verdict = few.hear(peer(1).addr, 1, |out| packet::encode_data(out, &header, &data));
    assert_eq!(verdict, Verdict::Early);
    assert_eq!(few.sync(&[(2, 0)]), Verdict::Accepted);
    let mut seen = Vec::new();
    while let Some(action) = few.node.poll_action(NOW) {
        match action {
            Action::View { view, .. } => seen.push((view.id().major, Vec::new())),
            Action::Deliver { from, payload, .. } => seen.push((from.0, payload.to_vec())),
            _ => {}
        }
    }
    assert_eq!(seen, [(10, Vec::new()), (1, b"hello".to_vec())]);
}

/// Others are still on their way to the view, and wait for it. Fault to avoid: it is dropped with
/// the view that was left.
#[test]
fn unsent_sync_goes_out_after_its_view() {
    let mut few = Few::new();
    few.change(view(10, &[5, 5]));
    assert_eq!(few.sync(&[(2, 0)]), Verdict::Accepted);
    assert_eq!(few.installed(), Some(view(10, &[5, 5])), "before anything was transmitted");
    let syncs = few.transmitted().iter().filter(|d| d[KIND_AT] == Kind::Sync as u8).count();
    assert_eq!(syncs, 1);
}
