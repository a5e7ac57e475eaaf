//! What seals and opens the datagrams of a group, where there are keys.
//!
//! A datagram of a view is sealed under a key of the view and the transmitter's rank. What members
//! of different views have to read, sync messages for example, is sealed under a key of the
//! transmitter's incarnation, which a reader finds by its selector; so it costs nothing to drop
//! what nobody sent who is known here.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::cx::Cx;
use super::transmit::Verdict;
use crate::ident::{GroupKey, Identity, Incarnation, ProcessId, Rank};
use crate::member::message::Peer;
use crate::seal::{KeyRing, Keys, Lane, RingKey, Secret, TAG_BYTES, Window};
use crate::view::View;
use crate::wire::datagram::{Closing, Datagram, KEY_NONE, OpenDatagram, Scope, TransmitCounter};

/// Views whose datagrams are opened: the current one, the one before, and the announced one.
const VIEWS_MAX: usize = 3;

/// What one transmitter sent, as far as it was opened.
#[derive(Debug)]
struct Opening {
    /// The id of the key under which it sealed last.
    key: u8,
    lane: Lane,
    window: Window,
}

impl Opening {
    /// Opens a datagram in place. `root` makes the secret of the transmitter from a key.
    fn open(
        opening: &mut Option<Box<Self>>,
        keys: &Keys,
        datagram: &mut Datagram<'_>,
        root: impl Fn(&RingKey) -> Secret,
    ) -> Verdict {
        let (id, number) = (datagram.key(), datagram.counter());
        if let Some(known) = opening.as_deref_mut() {
            if !known.window.is_new(number) {
                return Verdict::Replayed;
            }
            if known.key == id {
                let (clear, content) = datagram.split();
                return known.take(number, clear, content);
            }
        }
        let Some(key) = keys.ring().get(id) else { return Verdict::OtherKey };
        let mut lane = Lane::new(key.suite(), keys.ciphers(), root(key));
        let (clear, content) = datagram.split();
        if !lane.open(number, clear, content) {
            return Verdict::Forged;
        }
        // The window stays: what was opened under one key is not opened under another.
        let window = opening.take().map(|known| known.window).unwrap_or_default();
        let known = opening.insert(Box::new(Self { key: id, lane, window }));
        known.window.note(number);
        Verdict::Accepted
    }

    fn take(&mut self, number: u64, clear: &[u8], content: &mut [u8]) -> Verdict {
        if !self.lane.open(number, clear, content) {
            return Verdict::Forged;
        }
        self.window.note(number);
        Verdict::Accepted
    }
}

/// What this process seals with: under the first key of the ring.
fn sealing(keys: &Keys, root: impl Fn(&RingKey) -> Secret) -> Lane {
    let key = keys.ring().first();
    Lane::new(key.suite(), keys.ciphers(), root(key))
}

/// An incarnation of a process in this group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Who {
    group: GroupKey,
    process: ProcessId,
    incarnation: Incarnation,
}

impl Who {
    fn derive(&self, key: &RingKey, purpose: &str) -> Secret {
        let numbers = [self.group.0, self.process.0, self.incarnation.millis()];
        let [group, process, millis] = numbers.map(u64::to_le_bytes);
        let nonce = self.incarnation.nonce().to_le_bytes();
        key.member().derive(purpose, &[&group, &process, &millis, &nonce])
    }

    fn root(&self, key: &RingKey) -> Secret {
        self.derive(key, "vs incarnation")
    }

    /// By what others find the key, without telling who it is.
    fn selector(&self, key: &RingKey) -> u64 {
        let secret = self.derive(key, "vs selector");
        let (selector, _) = secret.bytes().split_at(8);
        selector.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte))
    }
}

/// A peer, by the selectors that it has under each key.
#[derive(Debug)]
struct PeerSeal {
    who: Who,
    selectors: Vec<u64>,
    opening: Option<Box<Opening>>,
}

impl PeerSeal {
    fn new(ring: &KeyRing, who: Who) -> Self {
        let selectors = ring.iter().map(|key| who.selector(key)).collect();
        Self { who, selectors, opening: None }
    }
}

/// A view whose datagrams are opened.
#[derive(Debug)]
struct ViewSeal {
    fingerprint: u64,
    own: Rank,
    /// What the keys of the view follow from, besides those of the ring.
    context: Zeroizing<Vec<u8>>,
    sealing: Option<Lane>,
    /// By rank.
    openings: Vec<Option<Box<Opening>>>,
}

impl ViewSeal {
    fn new(group: GroupKey, (view, secret): (&View, Option<&Secret>), own: Rank) -> Self {
        let mut context = Zeroizing::new(Vec::new());
        let mut push = |number: u64| context.extend_from_slice(&number.to_le_bytes());
        [group.0, view.id().major, view.id().minor].into_iter().for_each(&mut push);
        for (process, cid) in view.members().iter().zip(view.start_ids()) {
            push(process.0);
            push(cid.0);
        }
        // With it, who was removed and keeps the key of members cannot open what follows.
        context.extend_from_slice(secret.map_or(&[], |secret| &secret.bytes()[..]));
        let openings = view.members().iter().map(|_| None).collect();
        Self { fingerprint: view.fingerprint(), own, context, sealing: None, openings }
    }

    fn root(context: &[u8], rank: Rank, key: &RingKey) -> Secret {
        key.member().derive("vs view", &[context, &rank.to_le_bytes()])
    }
}

/// The keys of a group.
#[derive(Debug)]
pub(super) struct Seals {
    keys: Keys,
    me: Who,
    selector: u64,
    own: Lane,
    /// Members of the current view and of the proposed one.
    peers: Vec<PeerSeal>,
    /// The current view first, then the one before, then the announced one; some may be missing.
    views: Vec<ViewSeal>,
    /// Datagrams of views that are not announced yet, by their fingerprints, sealed as they came:
    /// the latest ones.
    early: VecDeque<(u64, Box<[u8]>)>,
    early_max: usize,
}

impl Seals {
    /// Those of the endpoint of `group`, which keep so many datagrams of views to come; none where
    /// there are no keys.
    pub(super) fn of(cx: &Cx<'_>, group: GroupKey, early_max: usize) -> Option<Box<Self>> {
        let Identity { process, incarnation, .. } = *cx.identity;
        let keys = cx.keys?.clone();
        Some(Box::new(Self::new(keys, group, process, incarnation, early_max)))
    }

    fn new(
        keys: Keys,
        group: GroupKey,
        process: ProcessId,
        incarnation: Incarnation,
        early_max: usize,
    ) -> Self {
        let me = Who { group, process, incarnation };
        Self {
            selector: me.selector(keys.ring().first()),
            own: sealing(&keys, |key| me.root(key)),
            me,
            keys,
            peers: Vec::new(),
            views: Vec::new(),
            early: VecDeque::new(),
            early_max,
        }
    }

    /// Other keys hold from now on.
    pub(super) fn set_keys(&mut self, keys: Keys) {
        self.keys = keys;
        let (ring, me) = (self.keys.ring(), self.me);
        self.selector = me.selector(ring.first());
        self.own = sealing(&self.keys, |key| me.root(key));
        self.views.iter_mut().for_each(|view| view.sealing = None);
        for peer in &mut self.peers {
            peer.selectors = ring.iter().map(|key| peer.who.selector(key)).collect();
        }
        // What was sealed under a key that is gone is opened no more.
        let is_known = |opening: &Option<Box<Opening>>| {
            opening.as_ref().is_none_or(|opening| ring.get(opening.key).is_some())
        };
        let views = self.views.iter_mut().flat_map(|view| &mut view.openings);
        for opening in views.chain(self.peers.iter_mut().map(|peer| &mut peer.opening)) {
            if !is_known(opening) {
                opening.iter_mut().for_each(|opening| opening.key = KEY_NONE);
            }
        }
    }

    /// The members of the current view and of the proposed one are `peers` now.
    pub(super) fn set_peers(&mut self, peers: &[Peer]) {
        let who = |peer: &Peer| Who {
            group: self.me.group,
            process: peer.process,
            incarnation: peer.incarnation,
        };
        let mut before = core::mem::take(&mut self.peers);
        for who in peers.iter().map(who) {
            let known = before.iter().position(|peer| peer.who == who);
            let known = known.map(|at| before.swap_remove(at));
            self.peers.push(known.unwrap_or_else(|| PeerSeal::new(self.keys.ring(), who)));
        }
    }

    /// A view was announced to this process, with a secret of its members or without.
    pub(super) fn handle_announced(
        &mut self,
        (view, secret): (&View, Option<&Secret>),
        current: u64,
        previous: Option<u64>,
    ) {
        let (me, fingerprint) = (self.me, view.fingerprint());
        let is_kept = |f: u64| f == current || Some(f) == previous || f == fingerprint;
        self.views.retain(|known| is_kept(known.fingerprint));
        let is_known = self.views.iter().any(|known| known.fingerprint == fingerprint);
        if let (false, Some(rank)) = (is_known, view.rank(me.process)) {
            self.views.push(ViewSeal::new(me.group, (view, secret), rank));
        }
        debug_assert!(self.views.len() <= VIEWS_MAX);
    }

    /// The next datagram that was kept of a view which is announced now.
    pub(super) fn next_early(&mut self) -> Option<Box<[u8]>> {
        let views = &self.views;
        let is_known = |(fingerprint, _): &(u64, Box<[u8]>)| {
            views.iter().any(|view| view.fingerprint == *fingerprint)
        };
        let at = self.early.iter().position(is_known)?;
        self.early.remove(at).map(|(_, bytes)| bytes)
    }

    /// Keeps a datagram of a view that is not announced yet; the oldest one gives way.
    fn keep_early(&mut self, datagram: &Datagram<'_>) -> Verdict {
        if self.early_max == 0 || self.keys.ring().get(datagram.key()).is_none() {
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
                    let (clear, content) = closing.of_incarnation(self.selector, TAG_BYTES);
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
        let (keys, views) = (&self.keys, &mut self.views);
        let view = views.iter_mut().find(|view| view.fingerprint == fingerprint)?;
        let ViewSeal { own, context, sealing: lane, .. } = view;
        Some(lane.get_or_insert_with(|| sealing(keys, |key| ViewSeal::root(context, *own, key))))
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
        datagram.opened(TAG_BYTES).ok_or(Verdict::Malformed)
    }

    fn open_of_incarnation(&mut self, datagram: &mut Datagram<'_>, sent: u64) -> Verdict {
        let selector = datagram.header().fingerprint;
        if selector == self.selector && datagram.counter() <= sent {
            return Verdict::Foreign;
        }
        let known = |peer: &&mut PeerSeal| peer.selectors.contains(&selector);
        let Some(peer) = self.peers.iter_mut().find(known) else {
            let is_known = self.keys.ring().get(datagram.key()).is_some();
            return if is_known { Verdict::Foreign } else { Verdict::OtherKey };
        };
        let who = peer.who;
        Opening::open(&mut peer.opening, &self.keys, datagram, |key| who.root(key))
    }

    fn open_of_view(&mut self, datagram: &mut Datagram<'_>, sent: u64) -> Verdict {
        let header = datagram.header();
        let mut views = self.views.iter_mut();
        let Some(view) = views.find(|view| view.fingerprint == header.fingerprint) else {
            return self.keep_early(datagram);
        };
        let rank = header.rank;
        if rank == view.own && datagram.counter() <= sent {
            return Verdict::Foreign;
        }
        let Some(opening) = view.openings.get_mut(usize::from(rank)) else {
            return Verdict::Foreign;
        };
        let context = &view.context;
        Opening::open(opening, &self.keys, datagram, |key| ViewSeal::root(context, rank, key))
    }
}

#[cfg(test)]
mod tests;
