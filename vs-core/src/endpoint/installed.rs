//! The multicast of one installed view: the current one, or the one before while somebody still
//! needs its packets.

use super::Cx;
use crate::cast::{Cast, CastDest, CastSize, CastTransmit, Delivered, ViewHeader};
use crate::config::GroupConfig;
use crate::ident::{GroupKey, ProcessId, Rank, Seq};
use crate::order::{Causal, Found, Head, Offers, Packets, Policy, Sealed, Stage, Tail, Total};
use crate::pool::Pool;
use crate::rule::Rules;
use crate::time::Time;
use crate::view::View;
use crate::wire::datagram::Header;

/// A view, what its datagrams begin with, its multicast, and who decides the order of delivery.
#[derive(Debug)]
pub(super) struct Installed {
    view: View,
    header: ViewHeader,
    cast: Cast,
    policy: Policy,
}

/// What of a view may be delivered: of each member's stream what is within its limit.
struct Deliverable<'a, L> {
    cast: &'a Cast,
    limit: L,
}

/// The same with the packets.
struct DeliverablePackets<'a, L> {
    deliverable: Deliverable<'a, L>,
    pool: &'a Pool,
}

impl<L: Fn(Rank) -> Seq> Offers for Deliverable<'_, L> {
    fn ranks(&self) -> usize {
        self.cast.ranks()
    }

    fn may_have_some(&self) -> bool {
        self.cast.may_deliver()
    }

    fn peek(&self, rank: Rank) -> Option<Head> {
        self.cast.peek(rank, (self.limit)(rank))
    }
}

impl<L: Fn(Rank) -> Seq> Offers for DeliverablePackets<'_, L> {
    fn ranks(&self) -> usize {
        self.deliverable.ranks()
    }

    fn may_have_some(&self) -> bool {
        self.deliverable.may_have_some()
    }

    fn peek(&self, rank: Rank) -> Option<Head> {
        self.deliverable.peek(rank)
    }
}

impl<L: Fn(Rank) -> Seq> Packets for DeliverablePackets<'_, L> {
    fn delivered(&self, rank: Rank) -> Seq {
        self.deliverable.cast.delivered(rank)
    }

    fn stable(&self, rank: Rank) -> Seq {
        self.deliverable.cast.stable(rank)
    }

    fn sealed(&self, rank: Rank, seq: Seq) -> Option<Sealed<'_>> {
        let Deliverable { cast, limit } = &self.deliverable;
        cast.sealed_packet(self.pool, rank, seq, limit(rank))
    }
}

impl Installed {
    /// The multicast of the initial view, in which this process is alone.
    pub(super) fn alone(
        cx: &Cx<'_>,
        config: &GroupConfig,
        size: CastSize,
        group: GroupKey,
        view: &View,
        rules: Rules,
    ) -> Self {
        let header = ViewHeader::new(group, view, 0);
        Self::with_seed(cx, config, size, view, header, rules, cx.identity.seed ^ group.0)
    }

    /// The multicast of `view`, in which this process has rank `rank`.
    pub(super) fn new(
        cx: &Cx<'_>,
        config: &GroupConfig,
        size: CastSize,
        group: GroupKey,
        view: &View,
        rank: Rank,
        rules: Rules,
    ) -> Self {
        let header = ViewHeader::new(group, view, rank);
        let seed = cx.identity.seed ^ header.fingerprint;
        Self::with_seed(cx, config, size, view, header, rules, seed)
    }

    fn with_seed(
        cx: &Cx<'_>,
        config: &GroupConfig,
        size: CastSize,
        view: &View,
        header: ViewHeader,
        rules: Rules,
        seed: u64,
    ) -> Self {
        let (ranks, rank) = (view.len(), header.rank);
        let cast = Cast::new(config, size, ranks, rank, cx.now, seed);
        Self { view: view.clone(), header, cast, policy: Policy::new(config.order, ranks, rules) }
    }

    pub(super) fn view(&self) -> &View {
        &self.view
    }

    /// What the datagrams of the view begin with.
    pub(super) fn header(&self) -> &ViewHeader {
        &self.header
    }

    pub(super) fn cast(&self) -> &Cast {
        &self.cast
    }

    pub(super) fn cast_mut(&mut self) -> &mut Cast {
        &mut self.cast
    }

    /// Whether `header` is of a datagram of this view.
    pub(super) fn owns(&self, header: &Header) -> bool {
        header.fingerprint == self.header.fingerprint
    }

    /// Whether `header` is of a datagram that another member of this view sent.
    pub(super) fn is_from_peer(&self, header: &Header) -> bool {
        self.owns(header)
            && header.rank != self.header.rank
            && usize::from(header.rank) < self.view.len()
    }

    pub(super) fn member(&self, rank: Rank) -> Option<ProcessId> {
        self.view.members().get(usize::from(rank)).copied()
    }

    /// Whose message is delivered next, if there is one within `limit`.
    pub(super) fn next_to_deliver(&self, limit: impl Fn(Rank) -> Seq) -> Option<Rank> {
        self.policy.next(&Deliverable { cast: &self.cast, limit })
    }

    /// Takes the next message of `rank`, which [`Installed::next_to_deliver`] named; `limit` is
    /// that of its stream.
    #[inline(always)] // once for each message
    pub(super) fn take_message<'a>(
        &mut self,
        pool: &'a mut Pool,
        now: Time,
        reassembly: &'a mut [u8],
        rank: Rank,
        limit: Seq,
    ) -> Option<Delivered<'a>> {
        match &self.policy {
            Policy::Fifo(_) => {}
            Policy::Causal(_) => self.cast.handle_followed(rank),
            Policy::Total(walk) => self.cast.handle_slot(walk.slot()),
        }
        let delivered = self.cast.take(pool, now, reassembly, rank, limit)?;
        self.policy.handle_taken(rank, delivered.ends_packet);
        Some(delivered)
    }

    /// The walk over the order of the view, if the group has one order for all members.
    #[inline]
    pub(super) fn walk(&self) -> Option<&Total> {
        self.policy.total()
    }

    /// Whether somebody has to look for the next message ([`Installed::find_turn`]).
    #[inline]
    pub(super) fn looks(&self) -> bool {
        self.policy.looks()
    }

    /// Whether the last look has found nothing, and the end of the view may change that.
    pub(super) fn waits(&self) -> bool {
        self.policy.waits()
    }

    /// All that counts of a causal view is here, and the last look has found nothing: true if the
    /// rest is left out, once the view ends.
    pub(super) fn leave_rest(&mut self) -> bool {
        self.policy.causal_mut().is_some_and(Causal::end)
    }

    /// Packets of `rank`'s stream that are delivered, or left out if the view ends now.
    pub(super) fn done(&self, rank: Rank) -> Seq {
        if self.policy.leaves_rest() { Seq::MAX } else { self.cast.delivered(rank) }
    }

    /// Finds out whose message is next in a group of another order than FIFO, of what is within
    /// `limit`. True if this process leads from now on.
    pub(super) fn find_turn(
        &mut self,
        pool: &mut Pool,
        now: Time,
        limit: impl Fn(Rank) -> Seq,
    ) -> bool {
        loop {
            let deliverable = Deliverable { cast: &self.cast, limit: &limit };
            match self.policy.find(&DeliverablePackets { deliverable, pool }) {
                Found::Turn => return self.take_lead(),
                Found::PassOver(rank) => self.cast.pass_over(pool, now, rank),
            }
        }
    }

    /// Takes the lead if it was handed over to this process.
    #[inline]
    fn take_lead(&mut self) -> bool {
        let Some(walk) = self.policy.total_mut() else { return false };
        let leads = walk.take_new_leader() == Some(self.header.rank);
        if leads {
            self.cast.lead(|rank| walk.recorded(rank));
        }
        leads
    }

    /// All that counts of the view is here, and `together` come along.
    pub(super) fn begin_tail(&mut self, pool: &Pool, together: &[ProcessId], agreed: &[Seq]) {
        let comes_along = |p| together.binary_search(p).is_ok();
        let together = self.view.members().iter().map(comes_along).collect();
        if let Some(walk) = self.policy.total_mut() {
            let limit = |rank: Rank| agreed[usize::from(rank)];
            let deliverable = Deliverable { cast: &self.cast, limit };
            let tail = Tail::new(together, agreed.to_vec());
            walk.begin_tail(tail, &DeliverablePackets { deliverable, pool });
        }
    }

    /// Up to which slot of the order everything is known to be at all members; 0 where no order
    /// asks for it.
    pub(super) fn safe_upto(&self, pool: &Pool) -> Seq {
        let deliverable = Deliverable { cast: &self.cast, limit: |_| Seq::MAX };
        let packets = DeliverablePackets { deliverable, pool };
        self.policy.total().map_or(0, |walk| walk.safe_upto(&packets))
    }

    /// In a safe order slots up to `safe` are delivered from now on, and no other.
    pub(super) fn freeze_order(&mut self, safe: Seq) {
        if let Some(walk) = self.policy.total_mut() {
            walk.freeze(safe);
        }
    }

    /// In a safe order what becomes known to be at all members is delivered.
    pub(super) fn unfreeze_order(&mut self) {
        if let Some(walk) = self.policy.total_mut() {
            walk.unfreeze();
        }
    }

    /// The application takes the signal.
    pub(super) fn handle_signal_told(&mut self) {
        if let Some(walk) = self.policy.total_mut() {
            walk.handle_signal_told();
        }
    }

    /// How far the promise for what is delivered now reaches.
    #[inline]
    pub(super) fn stage(&self) -> Stage {
        self.policy.total().map_or(Stage::Regular, Total::stage)
    }

    /// The next datagrams for one destination, and the member that they are for; `None`: for all
    /// members.
    pub(super) fn poll_transmit(
        &mut self,
        cx: &mut Cx<'_>,
        out: &mut [u8],
        segments_max: usize,
    ) -> Option<(CastTransmit, Option<ProcessId>)> {
        let sent = self.cast.poll_transmit(cx.pool, cx.now, &self.header, out, segments_max)?;
        let to = match sent.dest {
            CastDest::Rank(rank) => self.member(rank),
            CastDest::Group => None,
        };
        Some((sent, to))
    }

    /// The process has left this view. What others may still need is kept, and nothing is sent of
    /// its own accord.
    pub(super) fn freeze(&mut self, pool: &mut Pool) {
        self.cast.freeze(pool);
    }

    /// Gives all pool slots back.
    pub(super) fn clear(&mut self, pool: &mut Pool) {
        self.cast.clear(pool);
    }
}
