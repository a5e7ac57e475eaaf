//! What each sender offers to be delivered. Whose turn it is, is not decided here.

use super::Cast;
use super::message::Delivered;
use super::stream::Stream;
use crate::ident::{Rank, Seq};
use crate::order::{Head, Sealed, Sealer};
use crate::pool::Pool;
use crate::time::Time;
use crate::wire::body::Flags;
use crate::wire::trailer;

impl Cast {
    /// Whether [`Cast::peek`] may find something; false is certain.
    #[inline]
    pub(crate) fn may_deliver(&self) -> bool {
        !self.frozen && (self.streams.has_undelivered() || self.waits_alone())
    }

    /// In a view of one nobody waits for a transmission: what is in the open packet can be
    /// delivered.
    #[inline]
    fn waits_alone(&self) -> bool {
        self.ranks() == 1 && self.sender.open().is_some()
    }

    #[inline]
    fn can_seal_alone(&self, limit: Seq) -> bool {
        self.waits_alone() && self.sender.sealed() < limit
    }

    /// The next message of `rank`, if it is here as a whole and its packets are not beyond `limit`,
    /// which is a message boundary or has no end.
    #[inline]
    pub(crate) fn peek(&self, rank: Rank, limit: Seq) -> Option<Head> {
        if self.frozen {
            return None;
        }
        let next = self.streams.get(rank)?.peek(limit);
        let alone = || Head { packet: self.sender.sealed() + 1, offset: 0 };
        next.or_else(|| self.can_seal_alone(limit).then(alone))
    }

    /// Whether what [`Cast::peek`] says of `rank` is a message between members.
    #[inline]
    pub(crate) fn is_internal(&self, rank: Rank) -> bool {
        self.has_internal && self.streams.get(rank).is_some_and(Stream::is_internal)
    }

    /// Whether a message between members can be here.
    #[inline]
    pub(crate) fn may_have_internal(&self) -> bool {
        self.has_internal
    }

    /// Takes the next message of `rank`, of which [`Cast::peek`] has said that it may be delivered
    /// up to `limit`. Its room is given back to the sender once the message is taken back. A
    /// message that came in fragments is put together in `reassembly`, which has room for the
    /// largest.
    #[inline(always)] // once for each message
    pub(crate) fn take<'a>(
        &mut self,
        pool: &'a mut Pool,
        now: Time,
        reassembly: &'a mut [u8],
        rank: Rank,
        limit: Seq,
    ) -> Option<Delivered<'a>> {
        self.take_back(pool, now);
        if self.can_seal_alone(limit) {
            self.seal(pool);
        }
        debug_assert!(self.peek(rank, limit).is_some(), "only what is offered is taken");
        let stream = self.streams.of_mut(rank);
        let before = stream.delivered();
        let is_internal = self.has_internal && stream.is_internal();
        let payload = stream.take(pool, reassembly)?;
        let number = if is_internal { None } else { Some(stream.count_message()) };
        let ends_packet = stream.delivered() > before;
        self.lent = Some(rank);
        self.streams.count_undelivered(rank);
        self.counters.delivered += u64::from(!is_internal);
        Some(Delivered { from: rank, number, ends_packet, payload })
    }

    /// Packet `seq` of `rank`, if it is here as whole messages, not delivered and not beyond
    /// `limit`.
    pub(crate) fn sealed_packet<'a>(
        &self,
        pool: &'a Pool,
        rank: Rank,
        seq: Seq,
        limit: Seq,
    ) -> Option<Sealed<'a>> {
        let stream = self.streams.get(rank)?;
        // A packet that is delivered may be gone.
        if seq <= stream.delivered() || seq > stream.boundary().min(limit) {
            return None;
        }
        let entry = stream.packet(seq)?;
        let flags = Flags::of(entry.flags);
        let (content, trailer) = trailer::split(pool.body(entry.slot))?;
        let (is_empty, ends_message) = (content.is_empty(), flags.ends_message());
        Some(Sealed { is_empty, ends_message, trailer })
    }

    /// What [`Cast::peek`] says of `rank` is passed over, for an order that leaves it out or finds
    /// no message in it: a packet, with the rest of a message that goes beyond it.
    pub(crate) fn pass_over(&mut self, pool: &mut Pool, now: Time, rank: Rank) {
        self.take_back(pool, now);
        self.streams.of_mut(rank).pass_over();
        self.streams.count_undelivered(rank);
        self.reclaim(pool, now, rank);
    }

    /// Something of slot `slot` of the order was taken.
    #[inline]
    pub(crate) fn handle_slot(&mut self, slot: Seq) {
        if let Some(records) = self.sealer.as_mut().and_then(Sealer::records_mut) {
            records.handle_delivered(slot);
        }
    }

    /// In a causal group something of `rank` is taken: what is sent from here on follows from it.
    #[inline]
    pub(crate) fn handle_followed(&mut self, rank: Rank) {
        if let Some(claims) = self.sealer.as_mut().and_then(Sealer::claims_mut) {
            claims.handle_delivered(rank);
        }
    }

    /// This member leads from now on: it records what comes behind what `recorded` says.
    pub(crate) fn lead(&mut self, recorded: impl Fn(Rank) -> Seq) {
        if let Some(records) = self.sealer.as_mut().and_then(Sealer::records_mut) {
            records.lead(recorded, |rank| self.streams.of(rank).boundary());
            self.room.set_records(records.leads(), &self.settings);
        }
    }

    /// A message between members was taken that nobody here knows.
    pub(crate) fn count_unknown(&mut self) {
        self.counters.unknown += 1;
    }

    /// What was lent is given back: its packet may be freed.
    #[inline]
    pub(crate) fn take_back(&mut self, pool: &mut Pool, now: Time) {
        if let Some(rank) = self.lent.take() {
            self.reclaim(pool, now, rank);
        }
    }
}
