//! What seals and opens the datagrams of a group, where there are keys.
//!
//! A datagram of a view is sealed under a key of the view and its transmitter. What members of
//! different views have to read, sync messages for example, is sealed under a key of the
//! transmitter's incarnation, which a reader finds by its selector; so it costs nothing to drop
//! what nobody sent who is known here.

mod opening;
mod view;
mod who;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::cx::Cx;
use super::transmit::Verdict;
use crate::ident::{GroupKey, Identity, Incarnation, ProcessId};
use crate::member::message::Peer;
use crate::seal::{Keys, Lane, Proof, Secret};
use crate::view::View;
use crate::wire::datagram::{Closing, Datagram, KEY_NONE, OpenDatagram, Scope, TransmitCounter};

use opening::Opening;
use view::ViewSeal;
use who::{PeerSeal, Who};

/// Views whose datagrams are opened: the current one, the one before, and the announced one.
const VIEWS_MAX: usize = 3;

/// What an incarnation signs in a group.
const PROOF_OF_SYNC: &str = "vs sync";

/// Incarnations that left, of which is remembered what was opened: a recording of them opens no
/// more when they come back.
const LEFT_MAX: usize = 256;

/// The keys of a group.
#[derive(Debug)]
pub(super) struct Seals {
    keys: Keys,
    me: Who,
    selector: u64,
    own: Lane,
    /// Members of the current view and of the proposed one, ascending by process.
    peers: Vec<PeerSeal>,
    /// Under which selectors each of them may be heard, ascending.
    selectors: Vec<(u64, usize)>,
    /// Who was a peer before, the latest last.
    left: VecDeque<PeerSeal>,
    /// The views that are opened, in any order.
    views: Vec<ViewSeal>,
    /// Datagrams of views that are not announced yet, by their fingerprints, sealed as they came:
    /// the latest ones.
    early: VecDeque<(u64, Box<[u8]>)>,
    early_max: usize,
    /// The longest datagram.
    datagram_bytes: usize,
}

impl Seals {
    /// Those of the endpoint of `group`, which keep so many datagrams of views to come, of so many
    /// bytes at most; none where there are no keys.
    pub(super) fn of(cx: &Cx<'_>, group: GroupKey, early: (usize, usize)) -> Option<Box<Self>> {
        let Identity { process, incarnation, .. } = *cx.identity;
        let keys = cx.keys?.without_seed();
        Some(Box::new(Self::new(keys, group, process, incarnation, early)))
    }

    fn new(
        keys: Keys,
        group: GroupKey,
        process: ProcessId,
        incarnation: Incarnation,
        (early_max, datagram_bytes): (usize, usize),
    ) -> Self {
        let me = Who { group, process, incarnation };
        Self {
            selector: me.selector(keys.ring().first()),
            own: own_lane(&keys, &me),
            me,
            keys,
            peers: Vec::new(),
            selectors: Vec::new(),
            left: VecDeque::new(),
            views: Vec::new(),
            early: VecDeque::new(),
            early_max,
            datagram_bytes,
        }
    }

    /// Other keys hold from now on.
    pub(super) fn set_keys(&mut self, keys: &Keys) {
        let old = core::mem::replace(&mut self.keys, keys.without_seed());
        let (old, new) = (old.ring(), self.keys.ring());
        self.selector = self.me.selector(new.first());
        self.own = own_lane(&self.keys, &self.me);
        self.views.iter_mut().for_each(|view| view.handle_keys(old, new));
        let peers = self.peers.iter_mut().chain(&mut self.left);
        peers.for_each(|peer| peer.handle_keys(old, new));
        self.find_selectors();
    }

    /// The members of the current view and of the proposed one are `peers` now.
    pub(super) fn set_peers(&mut self, peers: &[Peer]) {
        let who = |peer: &Peer| Who {
            group: self.me.group,
            process: peer.process,
            incarnation: peer.incarnation,
        };
        let before = core::mem::take(&mut self.peers);
        let mut before: Vec<Option<PeerSeal>> = before.into_iter().map(Some).collect();
        for who in peers.iter().map(who) {
            let is_it = |peer: &PeerSeal| peer.who == who;
            // Both ascend by process, and so do those that were taken out.
            let at = before.partition_point(|peer| peer.as_ref().is_none_or(|p| p.who < who));
            let known = before.get_mut(at).and_then(|peer| peer.take_if(|peer| is_it(peer)));
            let known = known.or_else(|| {
                let at = self.left.iter().position(is_it)?;
                self.left.remove(at)
            });
            self.peers.push(known.unwrap_or_else(|| PeerSeal::new(who, self.keys.ring())));
        }
        let left = before.into_iter().flatten().filter(|peer| peer.opening.is_some());
        self.left.extend(left);
        let surplus = self.left.len().saturating_sub(LEFT_MAX);
        self.left.drain(..surplus);
        self.find_selectors();
    }

    fn find_selectors(&mut self) {
        let peers = self.peers.iter().enumerate();
        let of = |(at, peer)| PeerSeal::selectors(peer).map(move |selector| (selector, at));
        self.selectors = peers.flat_map(of).collect();
        self.selectors.sort_unstable();
    }

    /// A view was announced to this process, with a secret of its members or without.
    pub(super) fn handle_announced(&mut self, (view, secret): (&View, Option<&Secret>)) {
        let (me, fingerprint) = (self.me, view.fingerprint());
        if self.views.iter().any(|known| known.fingerprint() == fingerprint) {
            return;
        }
        let Some(rank) = view.rank(me.process) else { return };
        let peers = &self.peers;
        let who = view.members().iter().map(|p| {
            let at = peers.binary_search_by_key(p, |peer| peer.who.process);
            if *p == me.process { Some(me) } else { at.ok().map(|at| peers[at].who) }
        });
        self.views.push(ViewSeal::new(me.group, (view, secret), rank, who));
    }

    /// Of all views only those with these fingerprints are still opened.
    pub(super) fn retain_views(&mut self, fingerprints: [Option<u64>; VIEWS_MAX]) {
        self.views.retain(|view| fingerprints.contains(&Some(view.fingerprint())));
    }

    /// A view is installed: what was kept of others came to nothing.
    pub(super) fn handle_installed(&mut self) {
        self.early.clear();
    }

    /// The next datagram that was kept of a view which is announced now.
    pub(super) fn next_early(&mut self) -> Option<Box<[u8]>> {
        let views = &self.views;
        let is_known = |(fingerprint, _): &(u64, Box<[u8]>)| {
            views.iter().any(|view| view.fingerprint() == *fingerprint)
        };
        let at = self.early.iter().position(is_known)?;
        self.early.remove(at).map(|(_, bytes)| bytes)
    }

    /// Keeps a datagram of a view that is not announced yet; the oldest one gives way.
    fn keep_early(&mut self, datagram: &Datagram<'_>) -> Verdict {
        let is_long = datagram.bytes().len() > self.datagram_bytes;
        if self.early_max == 0 || is_long || self.keys.ring().get(datagram.key()).is_none() {
            return Verdict::Foreign;
        }
        if self.early.len() == self.early_max {
            self.early.pop_front();
        }
        self.early.push_back((datagram.header().fingerprint, datagram.bytes().into()));
        Verdict::Early
    }

    /// Seals a run of datagrams of `segment_bytes` each, of which the last may be shorter.
    pub(super) fn seal(
        &mut self,
        datagrams: &mut [u8],
        segment_bytes: usize,
        to_group: bool,
        counter: &mut TransmitCounter,
    ) {
        for bytes in datagrams.chunks_mut(segment_bytes.max(1)) {
            let key = self.keys.ring().first().id();
            let closing = Closing::new(bytes, to_group, key, counter);
            let number = closing.number();
            match closing.scope() {
                Scope::Incarnation => {
                    let (clear, content) = closing.of_incarnation(self.selector);
                    self.own.seal(number, clear, content);
                }
                Scope::View => {
                    let fingerprint = closing.fingerprint();
                    let (clear, content) = closing.of_view();
                    match self.lane_of(fingerprint) {
                        Some(lane) => lane.seal(number, clear, content),
                        // Nothing leaves in the clear: this opens nowhere.
                        None => content.fill(0),
                    }
                }
            }
        }
    }

    fn lane_of(&mut self, fingerprint: u64) -> Option<&mut Lane> {
        let view = self.views.iter_mut().find(|view| view.fingerprint() == fingerprint)?;
        view.lane(&self.keys)
    }

    /// Shows that this incarnation sends a sync message which says this.
    pub(super) fn prove(&self, said: &[u8]) -> Option<Proof> {
        let group = self.me.group.0.to_le_bytes();
        Some(self.keys.signer()?.sign(PROOF_OF_SYNC, &[&group, said]))
    }

    /// Whether `proof` shows that `incarnation` sent a sync message which says this.
    pub(super) fn is_proved(&self, incarnation: Incarnation, said: &[u8], proof: &Proof) -> bool {
        let group = self.me.group.0.to_le_bytes();
        proof.shows(incarnation.nonce(), PROOF_OF_SYNC, &[&group, said])
    }

    /// Opens a datagram in place, or says what becomes of it. Of the own ones only those are opened
    /// that this process has not sent: up to the number `sent` it has.
    pub(super) fn open<'a>(
        &mut self,
        mut datagram: Datagram<'a>,
        sent: u64,
    ) -> Result<OpenDatagram<'a>, Verdict> {
        if datagram.key() == KEY_NONE {
            return Err(Verdict::Clear);
        }
        let verdict = match datagram.scope() {
            Some(Scope::Incarnation) => self.open_of_incarnation(&mut datagram, sent),
            Some(Scope::View) => self.open_of_view(&mut datagram, sent),
            None => Verdict::Malformed,
        };
        if verdict != Verdict::Accepted {
            return Err(verdict);
        }
        datagram.opened().ok_or(Verdict::Malformed)
    }

    fn open_of_incarnation(&mut self, datagram: &mut Datagram<'_>, sent: u64) -> Verdict {
        let selector = datagram.header().fingerprint;
        if selector == self.selector && datagram.counter() <= sent {
            return Verdict::Foreign;
        }
        let Ok(at) = self.selectors.binary_search_by_key(&selector, |(known, _)| *known) else {
            let is_known = self.keys.ring().get(datagram.key()).is_some();
            return if is_known { Verdict::Foreign } else { Verdict::OtherKey };
        };
        let PeerSeal { who, opening, .. } = &mut self.peers[self.selectors[at].1];
        Opening::open(opening, &self.keys, datagram, |key| who.root(key))
    }

    fn open_of_view(&mut self, datagram: &mut Datagram<'_>, sent: u64) -> Verdict {
        let fingerprint = datagram.header().fingerprint;
        let view = self.views.iter_mut().find(|view| view.fingerprint() == fingerprint);
        match view {
            Some(view) => view.open(&self.keys, datagram, sent),
            None => self.keep_early(datagram),
        }
    }
}

/// What this process seals with in all views: under the first key of the ring.
fn own_lane(keys: &Keys, me: &Who) -> Lane {
    let key = keys.ring().first();
    Lane::new(key.suite(), keys.ciphers(), me.root(key))
}

#[cfg(test)]
mod tests;
