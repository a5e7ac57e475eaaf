//! An end-point: the real automaton, and counts instead of the multicast below it.

use smallvec::SmallVec;

use super::layer::Layer;
use super::net::SyncMessage;
use crate::endpoint::observe::{Streams, observation};
use crate::ident::{Cid, Incarnation, ProcessId, Rank, Seq};
use crate::order::Order;
use crate::rule::{Rule, Rules};
use crate::sync::{Automaton, Block, Received, SyncHead};
use crate::trace::Observation;
use crate::view::{Members, Note, View};

/// Counts by rank in the current view.
type Counts = SmallVec<[Seq; 4]>;

/// One incarnation of a process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct End {
    pub(super) incarnation: u64,
    pub(super) sync: Automaton,
    /// Packets received without a gap; each is a message.
    pub(super) received: Counts,
    pub(super) delivered: Counts,
    /// Messages that it has sent in the view.
    pub(super) sent: u64,
    /// What an order other than FIFO keeps.
    pub(super) layer: Option<Layer>,
    /// Whether the packets that are due were forwarded in the change under way.
    pub(super) forwarded: bool,
    /// The view that the process left last, and its transitional set, which is still served the
    /// packets of that view.
    left: Option<(View, Members)>,
    /// Members of the current view that are not known to be in it yet.
    pub(super) unmoved: Members,
    /// The incarnation of each peer, by the last start_change.
    pub(super) incarnations: SmallVec<[(ProcessId, u64); 4]>,
}

impl End {
    pub(super) fn new(me: ProcessId, incarnation: u64, order: Order, rules: Rules) -> Self {
        Self {
            sent: 0,
            layer: Layer::new(order, &View::initial(me), me, rules),
            incarnation,
            sync: Automaton::new(me, rules),
            received: SmallVec::from_slice(&[0]),
            delivered: SmallVec::from_slice(&[0]),
            forwarded: false,
            left: None,
            unmoved: Members::new(),
            incarnations: SmallVec::new(),
        }
    }

    pub(super) fn view(&self) -> &View {
        self.sync.current()
    }

    pub(super) fn observe(&self) -> Observation {
        observation(&self.sync, self)
    }

    pub(super) fn is_asked_to_block(&self) -> bool {
        self.sync.block() == Block::Requested
    }

    /// Whether something of the stream of `rank` may be delivered.
    pub(super) fn has_delivery(&self, rank: usize) -> bool {
        self.delivered[rank] < self.here(rank)
    }

    /// Up to which packet the stream of `rank` is here and may be delivered.
    pub(super) fn here(&self, rank: usize) -> Seq {
        let limit = match self.sync.limits() {
            Some(limits) => limits.get(rank).copied().unwrap_or(0),
            None => Seq::MAX,
        };
        self.received[rank].min(limit)
    }

    /// The cut that goes out with the sync message.
    pub(super) fn cut(&self, rules: Rules) -> Counts {
        let kept = rules.keeps(Rule::CutReceived);
        if kept { self.received.clone() } else { self.delivered.clone() }
    }

    pub(super) fn is_installable(&self) -> bool {
        let layer = self.layer.as_ref();
        let leaves_rest = layer.is_some_and(Layer::leaves_rest);
        let done =
            |rank: Rank| if leaves_rest { Seq::MAX } else { self.delivered[usize::from(rank)] };
        layer.is_none_or(Layer::is_done) && self.sync.installable(done)
    }

    /// Whether the change is settled, and all that counts of the view is here.
    pub(super) fn is_all_here(&self) -> bool {
        let is_here = |(rank, upto): (usize, &Seq)| self.received[rank] >= *upto;
        self.sync.own_sync().is_some()
            && self.sync.complete()
            && self.sync.agreed().iter().enumerate().all(is_here)
    }

    /// Whether the view ends here with what has been announced, whatever else happens.
    pub(super) fn is_ending(&self) -> bool {
        self.layer.as_ref().is_some_and(Layer::is_ending)
    }

    /// Installs the announced view; `None` if the transitional set is not known.
    pub(super) fn install(&mut self, order: Order, rules: Rules) -> Option<Members> {
        let installed = self.sync.install()?;
        let zero = SmallVec::from_elem(0, self.view().len());
        (self.received, self.delivered) = (zero.clone(), zero);
        self.left = Some((installed.old, installed.transitional.clone()));
        let me = self.sync.me();
        (self.sent, self.layer) = (0, Layer::new(order, self.view(), me, rules));
        self.unmoved = self.view().members().iter().copied().filter(|q| *q != me).collect();
        Some(installed.transitional)
    }

    /// `q` is in the current view, too: once all are who came along, the packets of the view before
    /// are of no more use, and once all are, nor is the own sync message that led here (rules 5.6,
    /// 5.9).
    pub(super) fn see_moved(&mut self, q: ProcessId) {
        self.unmoved.retain(|p| *p != q);
        let waits = |with: &Members| with.iter().any(|p| self.unmoved.contains(p));
        if self.left.as_ref().is_some_and(|(_, with)| !waits(with)) {
            self.left = None;
        }
        if self.unmoved.is_empty() {
            self.sync.forget_previous();
        }
    }

    /// Whether `to` is still given the packets of `view` that are here: the reliable set ([point
    /// 8](crate::manual::algorithm#point-8)), and of the view before those that came along.
    pub(super) fn serves(&self, to: ProcessId, view: &View, rules: Rules) -> bool {
        let proposed = self.sync.change().is_none_or(|change| change.set.contains(&to));
        if self.view() == view {
            return proposed || rules.keeps(Rule::ReliableUnion);
        }
        self.left.as_ref().is_some_and(|(left, with)| left == view && with.contains(&to))
    }

    /// Which packets of the stream of `rank`, up to the agreed one, are missing here.
    pub(super) fn lacks_agreed(&self, rank: usize) -> Option<Seq> {
        let agreed = self.sync.agreed().get(rank).copied()?;
        (self.received[rank] < agreed).then_some(agreed)
    }

    /// Takes in the sync message of `from` for `cid`; false if it tells nothing new, or is of an
    /// incarnation that has ended.
    pub(super) fn hear(&mut self, from: ProcessId, cid: Cid, sync: &SyncMessage) -> bool {
        if self.incarnations.iter().any(|(p, known)| *p == from && sync.incarnation < *known) {
            return false;
        }
        let cut = sync.cut.iter().copied();
        let from = (from, Incarnation::new(sync.incarnation));
        let (view, total) = (sync.view, sync.cut.len());
        let head = SyncHead { view, total, safe: 0, note: Note::default() };
        self.sync.receive_sync(from, cid, &head, 0, cut) != Received::Nothing
    }

    /// Whether the sync message of `q` for `cid` can no longer count here: a later view of q is
    /// installed.
    pub(super) fn is_past(&self, q: ProcessId, cid: Cid) -> bool {
        self.view().start(q).is_some_and(|start| start > cid)
    }

    /// Whether it may still come to `view`.
    pub(super) fn may_enter(&self, me: ProcessId, view: &View) -> bool {
        let named = view.start(me).is_some_and(|cid| cid >= self.sync.last_cid());
        named && view.id() > self.view().id()
    }
}

impl Streams for End {
    fn arrived(&self, rank: Rank) -> Seq {
        self.received[usize::from(rank)]
    }

    fn received(&self, rank: Rank) -> Seq {
        self.received[usize::from(rank)]
    }

    fn touched(&self, rank: Rank) -> Seq {
        self.delivered[usize::from(rank)]
    }

    fn delivered(&self, rank: Rank) -> Seq {
        self.delivered[usize::from(rank)]
    }

    fn freed(&self, _: Rank) -> Seq {
        0
    }

    fn sent(&self) -> u64 {
        self.sent
    }

    fn is_open(&self) -> bool {
        false
    }
}
