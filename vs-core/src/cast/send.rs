//! Messages are accepted, packed into packets or cut into fragments, and sealed. Nothing goes
//! beyond what is granted.

use super::Cast;
use super::sender::Open;
use crate::ident::{Rank, Seq};
use crate::order::{Claims, Content, Records, Sealer};
use crate::pool::{Pool, Slot};
use crate::time::Time;
use crate::wire::body::{Audience, Flags, Fragments, LENGTH_BYTES, body_bytes, packets_for};
use crate::wire::packet::data_bytes;
use crate::wire::trailer::{RECORDS_RESERVED, records_in};

/// A message was not accepted: the window, a member's credit or the pool is full. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// How a message of a causal group is sent that follows from messages of many members.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// The last packet that it is in.
    last_packet: Seq,
    /// The open packet is sealed before.
    seals_open: bool,
    /// Packets without messages that go before it.
    packets: usize,
}

impl Cast {
    /// The last packet that may be made now.
    #[inline]
    pub(super) fn send_limit(&self) -> Seq {
        self.room.credit().min(self.streams.of(self.me).room_end())
    }

    /// The last packet that a message may begin in now.
    #[inline]
    pub(super) fn soft_limit(&self) -> Seq {
        self.streams.of(self.me).stable() + self.room.window_packets()
    }

    /// Whether an application's message of `len` bytes fits the credit of every member and the own
    /// ring, all its packets, and begins within the window.
    #[inline]
    pub(crate) fn can_accept(&self, len: usize) -> bool {
        self.has_room_for(len, Audience::Application)
    }

    #[inline]
    fn has_room_for(&self, len: usize, audience: Audience) -> bool {
        !self.frozen
            && len <= self.settings.message_bytes_max()
            && self.last_packet_of(len, audience) <= self.send_limit()
            && self.sender.sealed() < self.soft_limit()
    }

    /// The number of the last packet that a message of `len` bytes would be in.
    #[inline]
    fn last_packet_of(&self, len: usize, audience: Audience) -> Seq {
        match self.crowded_claims() {
            None => self.sender.last_packet_of(len, audience),
            Some(claims) => self.plan(claims, len, audience).last_packet,
        }
    }

    /// In a causal group: what is to be claimed, if that may be more than what each trailer has
    /// room for.
    #[inline]
    fn crowded_claims(&self) -> Option<&Claims> {
        let claims = self.sealer.as_ref().and_then(Sealer::claims)?;
        (claims.records() > RECORDS_RESERVED).then_some(claims)
    }

    /// How a message of `len` bytes is sent so that all that was delivered before it is claimed at
    /// the latest in the trailer of its last packet.
    #[inline(never)]
    fn plan(&self, claims: &Claims, len: usize, audience: Audience) -> Plan {
        let (records, body_bytes) = (claims.records(), self.sender.body_bytes());
        let whole = body_bytes + self.settings.trailer_bytes();
        let left_by = |used: usize| records_in(whole.saturating_sub(used));
        let in_open = |open: &Open| records <= left_by(open.len() + LENGTH_BYTES + len);
        if !self.sender.must_seal(len, audience) && self.sender.open().is_some_and(in_open) {
            let last_packet = self.sender.last_packet_of(len, audience);
            return Plan { last_packet, seals_open: false, packets: 0 };
        }
        // Of the open packet, then of the one with the message or of the first of its packets.
        let claimed = self.sender.open().map_or(0, |open| left_by(open.len()));
        let packets = packets_for(len, body_bytes);
        let beside = if packets > 1 { RECORDS_RESERVED } else { left_by(len + LENGTH_BYTES) };
        let left = records.saturating_sub(claimed).saturating_sub(beside);
        let alone = left.div_ceil(left_by(0).max(1));
        let opened = self.sender.sealed() + u64::from(self.sender.open().is_some());
        let last_packet = opened + (alone + packets) as u64;
        Plan { last_packet, seals_open: true, packets: alone }
    }

    /// Accepts a message. Answers how many of the application were accepted: the number of this
    /// one, if it is one. The caller has checked `message_bytes_max`.
    ///
    /// A refusal is remembered: a member that keeps the window closed is accused after `peer_ms`.
    /// So whoever has a message to send calls this, not only [`Cast::can_accept`].
    ///
    /// # Errors
    /// The message does not fit the window now; nothing changed.
    pub(crate) fn push(
        &mut self,
        pool: &mut Pool,
        now: Time,
        payload: &[u8],
        audience: Audience,
    ) -> Result<u64, Full> {
        let packets = packets_for(payload.len(), self.sender.body_bytes());
        let plan = self.crowded_claims().map(|claims| self.plan(claims, payload.len(), audience));
        let slots = packets + plan.as_ref().map_or(0, |plan| plan.packets);
        if !self.has_room_for(payload.len(), audience) || pool.available() < slots {
            self.refuse(now, payload.len(), audience);
            return Err(Full);
        }
        if let Some(plan) = plan.filter(|plan| plan.seals_open) {
            self.seal_claims(pool, &plan);
        }
        if packets > 1 {
            self.push_fragments(pool, payload, audience);
        } else {
            self.push_whole(pool, payload, audience)?;
        }
        self.room.handle_accepted();
        if audience == Audience::Application {
            self.sender.count_message();
        }
        Ok(self.sender.messages())
    }

    fn refuse(&mut self, now: Time, len: usize, audience: Audience) {
        self.counters.refused += 1;
        self.room.handle_refused();
        if self.frozen || len > self.settings.message_bytes_max() {
            return;
        }
        let needed = self.last_packet_of(len, audience);
        if let Some(before) = self.room.handle_needed(needed) {
            for rank in self.room.ranks_within(before..needed) {
                self.peers.handle_credit(now, rank);
            }
            self.peers.watch(now);
        }
    }

    #[inline]
    fn push_whole(
        &mut self,
        pool: &mut Pool,
        payload: &[u8],
        audience: Audience,
    ) -> Result<(), Full> {
        if self.sender.must_seal(payload.len(), audience) {
            self.sender.handle_limited();
            self.seal(pool);
        }
        let open = match self.sender.take_open() {
            Some(open) => open,
            None => Open::new(pool.alloc().ok_or(Full)?, audience),
        };
        self.sender.append(pool, open, payload);
        Ok(())
    }

    /// The caller has checked that there are slots and places enough.
    fn push_fragments(&mut self, pool: &mut Pool, payload: &[u8], audience: Audience) {
        self.seal(pool);
        self.sender.handle_limited();
        let mut fragments = Fragments::new(payload, audience, self.sender.body_bytes());
        while !fragments.is_done() {
            let Some(slot) = pool.alloc() else { return };
            let (flags, len) = fragments.write_next(pool.body_mut(slot));
            self.seal_slot(pool, slot, len, flags);
        }
    }

    /// Packets that are made from now on fill datagrams of `datagram_bytes`, at most the length
    /// that the group is configured for.
    pub(crate) fn set_datagram_bytes(&mut self, datagram_bytes: usize) {
        let body_bytes = body_bytes(datagram_bytes).min(self.settings.body_bytes());
        self.sender.set_body_bytes(body_bytes - self.settings.trailer_bytes());
    }

    /// Bytes of the longest datagrams that are sent now.
    pub(crate) fn packet_bytes_max(&self) -> usize {
        data_bytes(self.settings.trailer_bytes() + self.sender.body_bytes())
    }

    /// Whether there was something to send that would fill longer packets.
    pub(crate) fn is_limited(&self) -> bool {
        self.sender.is_limited()
    }

    /// Closes the packet that messages were being written into: at its first transmission, or
    /// before a cut is computed. Its bytes never change again.
    pub(crate) fn seal(&mut self, pool: &mut Pool) {
        if let Some(open) = self.sender.take_open() {
            self.seal_slot(pool, open.slot(), open.len(), Flags::messages(open.audience()));
        }
    }

    /// Seals what is written, and then claims in packets without messages what the next packet has
    /// no room for. The caller has checked that there are slots and places enough.
    #[inline(never)]
    fn seal_claims(&mut self, pool: &mut Pool, plan: &Plan) {
        if self.sender.open().is_some() {
            self.sender.handle_limited();
            self.seal(pool);
        }
        for _ in 0..plan.packets {
            self.seal_alone(pool);
        }
    }

    /// Seals a packet without messages. False if there is no slot for it.
    fn seal_alone(&mut self, pool: &mut Pool) -> bool {
        let Some(slot) = pool.alloc() else { return false };
        self.counters.records += 1;
        self.seal_slot(pool, slot, 0, Flags::messages(Audience::Application));
        true
    }

    /// Seals a packet without messages if this member leads others and something of them is
    /// unrecorded. False if there is nothing to say or no room to say it.
    pub(super) fn seal_records(&mut self, pool: &mut Pool) -> bool {
        if !self.has_records() || self.sender.sealed() >= self.send_limit() {
            return false;
        }
        self.seal_alone(pool)
    }

    /// Whether packets of others are here that this member, which leads, has not put in order.
    #[inline]
    pub(super) fn has_records(&self) -> bool {
        let records = self.sealer.as_ref().and_then(Sealer::records);
        records.is_some_and(Records::has_unrecorded) && !self.frozen
    }

    /// Seals what is written, and puts in order what is here. Nothing comes after it in this view.
    pub(crate) fn seal_last(&mut self, pool: &mut Pool) {
        self.seal(pool);
        self.seal_records(pool);
        if let Some(records) = self.sealer.as_mut().and_then(Sealer::records_mut) {
            records.close();
        }
    }

    fn seal_slot(&mut self, pool: &mut Pool, slot: Slot, len: usize, flags: Flags) {
        let (len, flags) = match &mut self.sealer {
            None => (len, flags),
            Some(sealer) => {
                let streams = &self.streams;
                let body_bytes = self.sender.body_bytes() + self.settings.trailer_bytes();
                let body = &mut pool.body_mut(slot)[..body_bytes];
                let content = Content { len, ends_message: flags.ends_message() };
                let led = sealer.leads();
                let boundary = |rank: Rank| streams.of(rank).boundary();
                let touched = |rank: Rank| streams.of(rank).touched();
                let len = sealer.write(body, content, boundary, touched);
                if led && !sealer.leads() {
                    self.room.set_records(false, &self.settings);
                }
                (len, flags.with_trailer())
            }
        };
        pool.set_len(slot, len);
        let seq = self.sender.seal_next();
        let placed = self.streams.of_mut(self.me).handle_sealed(seq, slot, flags);
        debug_assert!(placed, "a packet is only made when it has a place");
        self.has_internal |= flags.is_internal();
        self.streams.count_undelivered(self.me);
        self.stability.record(self.me, self.me, seq);
        if self.ranks() == 1 {
            self.sender.handle_transmitted(seq);
            self.streams.of_mut(self.me).handle_stable(seq);
        } else {
            self.streams.count_unstable(self.me);
        }
    }

    /// Whether there is no room for the next packet or, since a message was refused, for any
    /// message. Once there is, nobody is asked any more, even if the message is given up.
    pub(super) fn window_is_closed(&self) -> bool {
        let limit = self.send_limit();
        let longest = self.settings.message_bytes_max();
        limit.min(self.soft_limit()) <= self.sender.sealed()
            || (self.room.has_refused()
                && self.last_packet_of(longest, Audience::Application) > limit)
    }

    /// Whether `rank` keeps the window closed by not delivering. If it cannot free its ring since
    /// somebody else owes acknowledgements, it is not to blame.
    pub(super) fn owes_credit(&self, rank: Rank) -> bool {
        let fair = self.streams.of(self.me).stable() + self.settings.window() as u64;
        self.room.lacks_credit_of(rank, fair)
    }
}
