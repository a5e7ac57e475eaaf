//! What seals and opens the datagrams of a group, where there are keys.
//!
//! A datagram of a view is sealed under a key of the view and its transmitter. What members of
//! different views have to read, sync messages for example, is sealed under a key of the
//! transmitter's incarnation, which a reader finds by its selector; so it costs nothing to drop
//! what nobody sent who is known here.

mod opening;
mod selectors;
mod shown;
mod view;
mod who;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::cx::Cx;
use super::transmit::Verdict;
use crate::ident::{GroupKey, Identity, Incarnation, ProcessId};
use crate::member::message::Peer;
use crate::seal::{Keys, Lane, Secret};
use crate::view::View;
use crate::wire::datagram::{Closing, Datagram, KEY_NONE, OpenDatagram, Scope, TransmitCounter};

use opening::{BOUND_BYTES, Opening, bind};
use selectors::Selectors;
use view::ViewSeal;
use who::{PeerSeal, Who};

/// Views whose datagrams are opened: the current one, the one before, and the announced one.
const VIEWS_MAX: usize = 3;

/// Incarnations that left, of which is remembered what was opened: a recording of them opens no
/// more when they come back.
const LEFT_MAX: usize = 256;

/// The keys of a group.
#[derive(Debug)]
pub(super) struct Seals {
    keys: Keys,
    me: Who,
    /// What the group is called in the clear.
    group: Selectors,
    /// What this process is called.
    own_selectors: Selectors,
    own: Lane,
    /// What was sealed as this process seals, and not sent by it.
    impostor: Option<Box<Opening>>,
    /// Members of the current view and of the proposed one, ascending by process.
    peers: Vec<PeerSeal>,
    /// Under which selectors each of them may be heard, ascending.
    selectors: Vec<(u64, usize)>,
    /// Who was a peer before, the latest last.
    left: VecDeque<PeerSeal>,
    /// The views that are opened, in any order.
    views: Vec<ViewSeal>,
    /// Datagrams of views that are not announced yet, by their keys and selectors, sealed as they
    /// came: the latest ones.
    early: VecDeque<(u8, u64, Box<[u8]>)>,
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
            group: group_selectors(&keys, group),
            own_selectors: me.selectors(keys.ring()),
            own: own_lane(&keys, &me),
            me,
            keys,
            impostor: None,
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
        self.group = group_selectors(&self.keys, self.me.group);
        self.own_selectors = self.me.selectors(new);
        self.own = own_lane(&self.keys, &self.me);
        self.views.iter_mut().for_each(|view| view.handle_keys(old, new));
        let peers = self.peers.iter_mut().chain(&mut self.left);
        peers.for_each(|peer| peer.handle_keys(old, new));
        self.impostor.iter_mut().for_each(|opening| opening.handle_keys(old, new));
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
        let of = |(at, peer)| PeerSeal::selectors(peer).iter().map(move |selector| (selector, at));
        self.selectors = peers.flat_map(of).collect();
        self.selectors.sort_unstable();
    }

    /// What the group is called in the clear, under each key.
    pub(super) fn group_selectors(&self) -> impl Iterator<Item = u64> + '_ {
        self.group.iter()
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
        self.views.push(ViewSeal::new(&self.keys, me.group, (view, secret), rank, who));
    }

    /// Of all views only those with these fingerprints are still opened.
    pub(super) fn retain_views(&mut self, fingerprints: [Option<u64>; VIEWS_MAX]) {
        self.views.retain(|view| fingerprints.contains(&Some(view.fingerprint())));
    }

    /// A view is installed: what was kept of others came to nothing.
    pub(super) fn handle_installed(&mut self) {
        self.early.clear();
        self.meet_peers();
    }

    /// The next datagram that was kept of a view which is announced now.
    pub(super) fn next_early(&mut self) -> Option<Box<[u8]>> {
        let views = &self.views;
        let is_known = |(key, selector, _): &(u8, u64, Box<[u8]>)| {
            views.iter().any(|view| view.is_meant(*key, *selector))
        };
        let at = self.early.iter().position(is_known)?;
        self.early.remove(at).map(|(_, _, bytes)| bytes)
    }

    /// Keeps a datagram of a view that is not announced yet; the oldest one gives way.
    fn keep_early(&mut self, datagram: &Datagram<'_>) -> Verdict {
        if self.keys.ring().get(datagram.key()).is_none() {
            return Verdict::OtherKey;
        }
        let is_long = datagram.bytes().len() > self.datagram_bytes;
        if self.early_max == 0 || is_long {
            return Verdict::Foreign;
        }
        if self.early.len() == self.early_max {
            self.early.pop_front();
        }
        let (key, selector) = (datagram.key(), datagram.header().fingerprint);
        self.early.push_back((key, selector, datagram.bytes().into()));
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
        let (group, key) = (self.group.first(), self.keys.ring().first().id());
        for bytes in datagrams.chunks_mut(segment_bytes.max(1)) {
            let closing = Closing::new(bytes, to_group, key, counter);
            let number = closing.number();
            match closing.scope() {
                Scope::View => {
                    let fingerprint = closing.fingerprint();
                    let view = self.views.iter_mut().find(|v| v.fingerprint() == fingerprint);
                    let selector = view.as_ref().map_or(0, |view| view.selector());
                    let (clear, content) = closing.of_view(group, selector);
                    match view.and_then(|view| view.lane(&self.keys)) {
                        Some(lane) => lane.seal(number, clear, content),
                        // Nothing leaves in the clear: this opens nowhere.
                        None => content.fill(0),
                    }
                }
                Scope::Incarnation => {
                    let selector = self.own_selectors.first();
                    let (clear, content) = closing.of_incarnation(group, selector);
                    self.own.seal(number, clear, content);
                }
                Scope::Receiver => {
                    let receiver = closing.receiver();
                    let peer = self.peers.binary_search_by_key(&receiver, |p| p.who.process);
                    // Who is no peer opens nothing either way.
                    let receiver = peer.map_or(0, |at| self.peers[at].selectors().first());
                    let selector = self.own_selectors.first();
                    let (clear, content) = closing.of_incarnation(group, selector);
                    self.own.seal(number, bind(&mut [0; BOUND_BYTES], clear, receiver), content);
                }
            }
        }
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
        let fingerprint = match datagram.scope() {
            Some(Scope::View) => self.open_of_view(&mut datagram, sent)?,
            Some(scope) => self.open_of_incarnation(&mut datagram, scope, sent)?,
            None => return Err(Verdict::Malformed),
        };
        datagram.opened(self.me.group, fingerprint).ok_or(Verdict::Malformed)
    }

    /// Of which view it is stands in what is sealed.
    fn open_of_incarnation(
        &mut self,
        datagram: &mut Datagram<'_>,
        scope: Scope,
        sent: u64,
    ) -> Result<Option<u64>, Verdict> {
        let (key, selector) = (datagram.key(), datagram.header().fingerprint);
        let me = self.own_selectors.under(key);
        if me == Some(selector) {
            return Err(self.look_at_own(datagram, sent));
        }
        let Ok(at) = self.selectors.binary_search_by_key(&selector, |(known, _)| *known) else {
            return Err(if me.is_some() { Verdict::Foreign } else { Verdict::OtherKey });
        };
        let receiver = me.filter(|_| scope == Scope::Receiver);
        let PeerSeal { who, opening, .. } = &mut self.peers[self.selectors[at].1];
        match Opening::open(opening, &self.keys, datagram, receiver, |key| who.root(key)) {
            Verdict::Accepted => Ok(None),
            verdict => Err(verdict),
        }
    }

    /// A datagram with the selector of this process, which has sent all up to the number `sent`:
    /// what was sealed with its key beyond is of somebody else who has that.
    fn look_at_own(&mut self, datagram: &mut Datagram<'_>, sent: u64) -> Verdict {
        if datagram.counter() <= sent {
            return Verdict::Foreign;
        }
        let me = &self.me;
        match Opening::open(&mut self.impostor, &self.keys, datagram, None, |key| me.root(key)) {
            Verdict::Accepted => Verdict::Impostor,
            verdict => verdict,
        }
    }

    /// Answers the fingerprint of its view.
    fn open_of_view(
        &mut self,
        datagram: &mut Datagram<'_>,
        sent: u64,
    ) -> Result<Option<u64>, Verdict> {
        let (key, selector) = (datagram.key(), datagram.header().fingerprint);
        let view = self.views.iter_mut().find(|view| view.is_meant(key, selector));
        let Some(view) = view else { return Err(self.keep_early(datagram)) };
        match view.open(&self.keys, datagram, sent) {
            Verdict::Accepted => Ok(Some(view.fingerprint())),
            verdict => Err(verdict),
        }
    }
}

/// What a group is called in the clear: who does not have the key cannot even guess its name.
fn group_selectors(keys: &Keys, group: GroupKey) -> Selectors {
    let context = group.0.to_le_bytes();
    Selectors::new(keys.ring(), |key| key.member().derive("vs group selector", &[&context]))
}

/// What this process seals with in all views: under the first key of the ring.
fn own_lane(keys: &Keys, me: &Who) -> Lane {
    let key = keys.ring().first();
    Lane::new(key.suite(), keys.ciphers(), me.root(key))
}

#[cfg(test)]
mod tests;
