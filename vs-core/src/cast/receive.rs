//! What other members send: packets, acknowledgements, heartbeats and reports of gaps. And what a
//! change of view asks for.

use super::Cast;
use super::message::DataOutcome;
use super::repair::{Asked, Forward};
use super::stream::AckDue;
use crate::ident::{Rank, Seq};
use crate::order::Sealer;
use crate::pool::{Pool, Slot};
use crate::ranges::SeqRange;
use crate::ring::Taken;
use crate::time::Time;
use crate::wire::body::{self, Flags};
use crate::wire::packet::{AckEntry, Data, Heartbeat};

/// Packets.
impl Cast {
    /// A packet of a stream arrived, sent to the group or to this member alone; its body is copied.
    pub(crate) fn handle_data(
        &mut self,
        pool: &mut Pool,
        now: Time,
        data: &Data<'_>,
        to_group: bool,
    ) -> DataOutcome {
        let outcome = match self.admit(pool, now, data) {
            DataOutcome::New => match pool.store(data.body) {
                Some(slot) => self.keep(pool, now, data, Some(to_group), slot),
                None => DataOutcome::NoSlot,
            },
            other => {
                if other == DataOutcome::Duplicate && !to_group {
                    self.streams.of_mut(data.origin).handle_needless_repair(now, data.seq);
                }
                other
            }
        };
        self.count_outcome(outcome);
        outcome
    }

    /// As [`Cast::handle_data`], for a packet whose body was kept in `slot` since it came before
    /// its view. The slot is taken: it is freed unless the packet is new.
    pub(crate) fn adopt(
        &mut self,
        pool: &mut Pool,
        now: Time,
        head: &Data<'_>,
        slot: Slot,
    ) -> DataOutcome {
        let is_sound = self.is_sound(head.flags, pool.body(slot));
        let admitted = match self.place_of(head) {
            DataOutcome::New if !is_sound => DataOutcome::Malformed,
            other => other,
        };
        self.learn_from_header(pool, now, head, admitted);
        let outcome = match admitted {
            DataOutcome::New => self.keep(pool, now, head, None, slot),
            other => {
                pool.free(slot);
                other
            }
        };
        self.count_outcome(outcome);
        outcome
    }

    fn count_outcome(&mut self, outcome: DataOutcome) {
        *match outcome {
            DataOutcome::New => &mut self.counters.received,
            DataOutcome::Duplicate => &mut self.counters.duplicates,
            DataOutcome::Beyond => &mut self.counters.beyond,
            DataOutcome::NoSlot => &mut self.counters.no_slot,
            DataOutcome::Malformed => &mut self.counters.malformed,
        } += 1;
    }

    #[inline]
    fn is_sound(&self, flags: u8, body: &[u8]) -> bool {
        let (settings, flags) = (&self.settings, Flags::of(flags));
        flags.has_trailer() == (settings.trailer_bytes() > 0)
            && body::is_sound(flags, body, settings.body_bytes(), settings.message_bytes_max())
    }

    /// Whether there is a place for a packet, judged by its header.
    fn place_of(&self, data: &Data<'_>) -> DataOutcome {
        match self.streams.get(data.origin) {
            None => DataOutcome::Malformed,
            Some(_) if self.frozen || data.origin == self.me => DataOutcome::Duplicate,
            Some(stream) => stream.place_of(data.seq),
        }
    }

    fn admit(&mut self, pool: &mut Pool, now: Time, data: &Data<'_>) -> DataOutcome {
        let outcome = match self.place_of(data) {
            DataOutcome::New if !self.is_sound(data.flags, data.body) => DataOutcome::Malformed,
            other => other,
        };
        self.learn_from_header(pool, now, data, outcome);
        outcome
    }

    fn learn_from_header(
        &mut self,
        pool: &mut Pool,
        now: Time,
        data: &Data<'_>,
        outcome: DataOutcome,
    ) {
        if !self.frozen && data.origin != self.me && outcome != DataOutcome::Malformed {
            self.learn_stable(pool, now, data.origin, data.stable);
        }
    }

    /// Puts an admitted packet, whose body is in `slot`, into its ring and moves the prefix on.
    fn keep(
        &mut self,
        pool: &mut Pool,
        now: Time,
        &Data { origin, seq, flags, .. }: &Data<'_>,
        to_group: Option<bool>,
        slot: Slot,
    ) -> DataOutcome {
        let stream = self.streams.of_mut(origin);
        let packet = (seq, slot, Flags::of(flags));
        if !stream.handle_packet(now, packet, to_group, &self.settings) {
            pool.free(slot);
            return DataOutcome::Beyond;
        }
        self.has_internal |= packet.2.is_internal();
        let mut outcome = DataOutcome::New;
        if seq == stream.prefix() + 1 {
            match self.advance(pool, origin) {
                Some(misfit) if misfit == seq => outcome = DataOutcome::Malformed,
                Some(_) => self.counters.malformed += 1,
                None => {}
            }
            self.streams.of_mut(origin).restart_gap(now);
            self.note_to_acknowledge(now, origin);
        }
        if outcome == DataOutcome::New {
            self.streams.of_mut(origin).handle_progress(now);
        }
        self.watch_gap(now, origin);
        outcome
    }

    /// Moves the prefix of `origin`'s stream on. Answers the number of a packet that does not fit.
    fn advance(&mut self, pool: &mut Pool, origin: Rank) -> Option<Seq> {
        let misfit = self.streams.of_mut(origin).advance(pool);
        if let Some((_, taken)) = misfit {
            self.release(pool, origin, taken);
        }
        self.streams.count_unstable(origin);
        self.streams.count_undelivered(origin);
        if let Some(records) = self.sealer.as_mut().and_then(Sealer::records_mut) {
            records.handle_arrived(origin, self.streams.of(origin).boundary());
        }
        misfit.map(|(seq, _)| seq)
    }

    /// Gives up a packet that was taken out of its ring.
    fn release(&mut self, pool: &mut Pool, rank: Rank, taken: Taken) {
        if taken.is_wanted {
            self.streams.of_mut(rank).unwant();
            self.repairs.remove();
        }
        pool.free(taken.slot);
    }
}

/// Acknowledgements and heartbeats.
impl Cast {
    /// A member told what it has.
    pub(crate) fn handle_ack(
        &mut self,
        pool: &mut Pool,
        now: Time,
        from: Rank,
        first: Rank,
        entries: impl Iterator<Item = AckEntry>,
    ) {
        if !self.hears(from) {
            return;
        }
        for (index, entry) in (usize::from(first)..self.ranks()).zip(entries) {
            let stream = index as Rank;
            if stream == from {
                continue;
            }
            if entry.received > self.sendable(stream) {
                // Nobody has what nobody can have sent.
                self.counters.false_acks += 1;
                continue;
            }
            if stream != self.me {
                self.hear_of(now, stream, entry.received);
            } else if self.room.handle_credit(from, entry.credit) {
                self.peers.handle_credit(now, from);
            }
            if self.stability.record(stream, from, entry.received) {
                if stream == self.me {
                    let has_all = entry.received == self.sender.transmitted();
                    self.peers.handle_ack(now, from, has_all);
                }
                let floor = self.stability.floor(stream);
                self.learn_stable(pool, now, stream, floor);
            }
        }
    }

    /// The last packet of a stream that can have been sent: of another one, the last that this
    /// member ever had room for.
    fn sendable(&self, stream: Rank) -> Seq {
        if stream == self.me {
            return self.sender.transmitted();
        }
        self.streams.of(stream).room_end()
    }

    /// A heartbeat of a member: how far its stream goes, and how far it is stable.
    pub(crate) fn handle_heartbeat(
        &mut self,
        pool: &mut Pool,
        now: Time,
        from: Rank,
        beat: Heartbeat,
    ) {
        if !self.hears(from) {
            return;
        }
        self.hear_of(now, from, beat.highest);
        self.learn_stable(pool, now, from, beat.stable);
        if beat.solicit {
            // A member whose own packets wait asks for acknowledgements of these alone.
            if beat.highest > beat.stable {
                self.streams.of_mut(from).handle_solicited();
            } else {
                self.acks.ask_for_all();
            }
            // However many members ask, one acknowledgement is sent in `ack_ms`.
            self.acks.wake_by(self.acks.earliest(now, self.settings.ack_ms()));
        }
    }

    /// Whether what `from` says counts here.
    fn hears(&self, from: Rank) -> bool {
        !self.frozen && from != self.me && usize::from(from) < self.ranks()
    }

    /// `stream` is stable up to `seq`, as the least of the acknowledgements or its sender says.
    pub(super) fn learn_stable(&mut self, pool: &mut Pool, now: Time, rank: Rank, seq: Seq) {
        if !self.streams.of_mut(rank).handle_stable(seq) {
            return;
        }
        self.streams.count_unstable(rank);
        self.reclaim(pool, now, rank);
        if rank == self.me {
            self.room.handle_stable(now, seq, self.sender.transmitted());
            self.peers.handle_stable(now);
            self.beats.restart(now, &self.settings);
        } else if self.own_is_settled() {
            self.beats.put_off(now);
        }
    }

    /// Frees what is stable and delivered.
    pub(super) fn reclaim(&mut self, pool: &mut Pool, now: Time, rank: Rank) {
        let end = self.streams.of(rank).reclaimable();
        if self.streams.of(rank).base() >= end {
            return;
        }
        while self.streams.of(rank).base() < end {
            if let Some(taken) = self.streams.of_mut(rank).reclaim() {
                self.release(pool, rank, taken);
            }
        }
        if rank != self.me {
            self.note_to_acknowledge(now, rank);
        }
    }

    /// The prefix or the room of a stream grew: an acknowledgement is due soon, or at once if much
    /// was received or the sender is about to run into the end of what it was told that there is
    /// room for.
    #[inline]
    fn note_to_acknowledge(&mut self, now: Time, rank: Rank) {
        let at = match self.streams.of(rank).ack_due(&self.settings) {
            AckDue::Now => now,
            AckDue::Soon => now.plus_ms(self.settings.ack_ms()),
            AckDue::Never => return,
        };
        if !self.frozen {
            self.acks.wake_by(at);
        }
    }
}

/// Gaps.
impl Cast {
    /// `rank`'s stream is said to go up to `seq`.
    fn hear_of(&mut self, now: Time, rank: Rank, seq: Seq) {
        if rank != self.me && self.streams.of_mut(rank).handle_known_end(now, seq) {
            self.watch_gap(now, rank);
        }
    }

    /// Sets or clears the timers of a stream's gaps after its prefix or its known end has moved.
    pub(super) fn watch_gap(&mut self, now: Time, rank: Rank) {
        let stream = self.streams.of_mut(rank);
        if let Some(at) = stream.watch_gap(now, &self.settings, &mut self.rng) {
            self.reports.wake_by(at);
            self.peers.watch(now);
        }
    }

    /// A member reports gaps. If this one shall answer, it does; else the report says what else
    /// need not be reported.
    pub(crate) fn handle_nak(
        &mut self,
        now: Time,
        from: Rank,
        origin: Rank,
        target: Rank,
        ranges: impl Iterator<Item = SeqRange>,
    ) {
        let ranks = self.ranks();
        if usize::from(from) >= ranks || usize::from(origin) >= ranks || from == self.me {
            return;
        }
        if target == self.me {
            self.want(now, from, origin, ranges);
        } else if !self.frozen && origin != self.me {
            let stream = self.streams.of_mut(origin);
            let is_put_off = stream.hear_report(now, from, ranges, &self.settings, &mut self.rng);
            self.counters.naks_suppressed += u64::from(is_put_off);
        }
    }

    fn want(
        &mut self,
        now: Time,
        from: Rank,
        origin: Rank,
        ranges: impl Iterator<Item = SeqRange>,
    ) {
        let is_own = origin == self.me;
        let upto = if is_own { self.sender.transmitted() } else { Seq::MAX };
        let mut allowance = {
            let acknowledged = self.stability.received(self.me, from);
            self.allowances.of(now, from, acknowledged, &self.settings)
        };
        let stream = self.streams.of_mut(origin);
        for range in ranges {
            let Some(range) = stream.clip_here(range, upto) else { continue };
            for seq in range.from..=range.upto {
                if allowance.is_spent() {
                    // It asks again, unless it lies.
                    self.counters.repairs_refused += range.upto - seq + 1;
                    break;
                }
                let Some(asked) = stream.handle_asked(now, from, seq, &self.settings) else {
                    continue;
                };
                if is_own {
                    self.room.handle_asked(from);
                }
                match asked {
                    Asked::UnderWay => self.counters.repairs_suppressed += 1,
                    Asked::New => {
                        allowance.spend();
                        self.repairs.add();
                    }
                    Asked::Again => allowance.spend(),
                    Asked::Known => {}
                }
            }
        }
    }

    /// The stream of `origin` is needed up to `upto`, even if nothing of it was ever heard here;
    /// its gaps are asked for at `sources` in turn. If it is `closed`, packets beyond are refused.
    pub(crate) fn settle(
        &mut self,
        now: Time,
        origin: Rank,
        upto: Seq,
        sources: &[Rank],
        closed: bool,
    ) {
        let ranks = self.ranks();
        if self.frozen || origin == self.me || usize::from(origin) >= ranks {
            return;
        }
        let me = self.me;
        let usable = |&r: &Rank| r != me && usize::from(r) < ranks;
        self.sources.set(origin, sources.iter().copied().filter(usable));
        let stream = self.streams.of_mut(origin);
        stream.settle(upto, closed);
        if let Some(first) = sources.iter().copied().find(usable) {
            stream.settle_sources(now, first, sources);
        }
        self.hear_of(now, origin, upto);
        self.watch_gap(now, origin);
    }

    /// The change of view that [`Cast::settle`] served has lapsed: each stream is open and its
    /// sender is asked.
    pub(crate) fn unsettle(&mut self, now: Time) {
        for rank in 0..self.ranks() as Rank {
            if self.streams.of_mut(rank).unsettle(now, rank) {
                self.watch_gap(now, rank);
            }
        }
    }

    /// Hands packets `from ..= upto` of `origin`, as far as they are here, on to `to`. The part
    /// that can be here is returned.
    pub(crate) fn forward(
        &mut self,
        to: Rank,
        origin: Rank,
        from: Seq,
        upto: Seq,
    ) -> Option<SeqRange> {
        let ranks = self.ranks();
        if to == self.me || usize::from(to) >= ranks || usize::from(origin) >= ranks {
            return None;
        }
        let range = self.streams.of(origin).clip_here(SeqRange { from, upto }, Seq::MAX)?;
        self.forwards.push(Forward::new(to, origin, range));
        Some(range)
    }
}
