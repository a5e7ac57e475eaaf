//! The order of a group other than FIFO, at one end-point: the real policy and the real sealer.

use smallvec::SmallVec;

use super::net::Trailer;
use crate::ident::{ProcessId, Rank, Seq};
use crate::order::{Content, Found, Order, Packets, Policy, Sealer, Stage, Tail};
use crate::rule::Rules;
use crate::view::View;

/// So large that the lead never passes for want of traffic.
const WINDOW_PACKETS: usize = 1024;

/// Room for a trailer of a view this small.
const TRAILER_BYTES: usize = 64;

/// What an order keeps in one view.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Layer {
    policy: Policy,
    sealer: Sealer,
}

/// What comes next at an end-point.
pub(super) enum Next {
    /// A packet without messages, or one that is left out.
    PassOver(Rank),
    Message(Rank),
}

impl Layer {
    /// The order of a view that begins; `None` in a FIFO group.
    pub(super) fn new(order: Order, view: &View, me: ProcessId, rules: Rules) -> Option<Self> {
        let (ranks, rank) = (view.len(), view.rank(me)?);
        let sealer = Sealer::new(order, ranks, rank, WINDOW_PACKETS)?;
        Some(Self { policy: Policy::new(order, ranks, rules), sealer })
    }

    /// The trailer of the next packet, with a message or without. Of each member, packets up to
    /// `received` are here and up to `delivered` delivered.
    pub(super) fn seal(&mut self, received: &[Seq], delivered: &[Seq]) -> Trailer {
        let mut body = [0; TRAILER_BYTES];
        let content = Content { len: 0, ends_message: true };
        let boundary = |rank: Rank| received[usize::from(rank)];
        let touched = |rank: Rank| delivered[usize::from(rank)];
        let len = self.sealer.write(&mut body, content, boundary, touched);
        SmallVec::from_slice(&body[..len])
    }

    /// Packets of `rank` are here up to `upto`.
    pub(super) fn handle_arrived(&mut self, rank: Rank, upto: Seq) {
        if let Some(records) = self.sealer.records_mut() {
            records.handle_arrived(rank, upto);
        }
    }

    /// Whether a packet without messages is due, which puts in order what others sent.
    pub(super) fn has_records(&self) -> bool {
        self.sealer.records().is_some_and(|records| records.has_unrecorded())
    }

    /// The process has stopped sending.
    pub(super) fn close(&mut self) {
        if let Some(records) = self.sealer.records_mut() {
            records.close();
        }
    }

    /// What comes next of `packets`.
    pub(super) fn next(&mut self, packets: &impl Packets) -> Option<Next> {
        if let Found::PassOver(rank) = self.policy.find(packets) {
            return Some(Next::PassOver(rank));
        }
        self.policy.next(packets).map(Next::Message)
    }

    /// The message of `rank` is delivered now, at this stage.
    pub(super) fn handle_delivered(&mut self, rank: Rank) -> Stage {
        let (total, sealer) = (self.policy.total(), &mut self.sealer);
        if let (Some(walk), Some(records)) = (total, sealer.records_mut()) {
            records.handle_delivered(walk.slot());
        }
        if let Some(claims) = sealer.claims_mut() {
            claims.handle_delivered(rank);
        }
        let stage = total.map_or_else(Default::default, |walk| walk.stage());
        self.policy.handle_taken(rank, true);
        stage
    }

    /// Nothing comes next, and all that counts of the view is here, up to `agreed`; `together` says
    /// by rank who comes along. True if that is the signal.
    pub(super) fn end_view(
        &mut self,
        packets: &impl Packets,
        together: impl Iterator<Item = bool>,
        agreed: &[Seq],
    ) -> bool {
        if !self.policy.waits() {
            return false;
        }
        if let Some(causal) = self.policy.causal_mut() {
            causal.end();
            return false;
        }
        let Some(walk) = self.policy.total_mut() else { return false };
        walk.begin_tail(Tail::new(together.collect(), agreed.to_vec()), packets);
        walk.handle_signal_told();
        true
    }

    /// Whether the view ends here, whatever else happens.
    pub(super) fn is_ending(&self) -> bool {
        self.policy.total().is_some_and(|walk| walk.has_tail())
    }

    /// Whether all that is delivered before the next view is.
    pub(super) fn is_done(&self) -> bool {
        self.policy.total().is_none_or(|walk| walk.is_done())
    }

    /// Whether what is left of the view is left out.
    pub(super) fn leaves_rest(&self) -> bool {
        self.policy.leaves_rest()
    }
}
