//! What goes out next. Nothing is queued: reports of gaps, acknowledgements, repairs, what is
//! handed on, new packets and heartbeats are derived from the state when asked for.

use super::Cast;
use super::acks::slowness;
use super::batch::Batch;
use super::message::{CastDest, CastTransmit, ViewHeader};
use super::sender::Open;
use crate::ident::{Rank, Seq};
use crate::pool::Pool;
use crate::ring::Askers;
use crate::time::Time;
use crate::wire::datagram::Header;
use crate::wire::packet::{self, Data, Heartbeat, data_bytes};

impl Cast {
    /// The next datagram, or up to `segments_max` of one length (the last may be shorter) for one
    /// destination. `out` has room for the largest datagram. `None`: nothing is due.
    pub(crate) fn poll_transmit(
        &mut self,
        pool: &mut Pool,
        now: Time,
        view: &ViewHeader,
        out: &mut [u8],
        segments_max: usize,
    ) -> Option<CastTransmit> {
        self.take_back(pool, now);
        if self.ranks() == 1 {
            self.seal(pool);
            return None;
        }
        let tag_bytes = self.settings.tag_bytes();
        let one = |dest: CastDest, len: usize| {
            let len = len + tag_bytes;
            CastTransmit { dest, len, segment_bytes: len }
        };
        // The buffer may have room for many datagrams; one must not be longer than agreed.
        let datagram_bytes = out.len().min(self.packet_bytes_max());
        let datagram = &mut out[..datagram_bytes];
        let header = view.header();
        if let Some(len) = self.next_report(now, &header, datagram) {
            return Some(one(CastDest::Group, len));
        }
        if let Some((dest, len)) = self.next_ack(pool, now, &header, datagram) {
            return Some(one(dest, len));
        }
        if let Some(transmit) = self.next_repairs(pool, now, &header, out, segments_max) {
            return Some(transmit);
        }
        if let Some(transmit) = self.next_forwards(pool, &header, out, segments_max) {
            return Some(transmit);
        }
        if let Some(transmit) = self.next_own(pool, now, &header, out, segments_max) {
            return Some(transmit);
        }
        self.next_heartbeat(now, view, &header, out).map(|len| one(CastDest::Group, len))
    }

    /// Writes a report of gaps that is due.
    fn next_report(&mut self, now: Time, header: &Header, out: &mut [u8]) -> Option<usize> {
        if self.frozen || !self.reports.is_due(now) {
            return None;
        }
        let mut next: Option<Time> = None;
        for rank in 0..self.ranks() as Rank {
            if let Some(len) = self.report(now, rank, header, out) {
                // There may be more.
                self.reports.set(Some(now));
                return Some(len);
            }
            let at = self.streams.of(rank).gap().next_report();
            next = next.into_iter().chain(at).min();
        }
        self.reports.set(next);
        None
    }

    /// Writes what is due to be reported of one stream.
    fn report(&mut self, now: Time, rank: Rank, header: &Header, out: &mut [u8]) -> Option<usize> {
        let ranges_max = packet::nak_ranges_max(out.len());
        let sources = &self.sources;
        let report =
            self.streams
                .of_mut(rank)
                .take_report(now, ranges_max, &self.settings, |source| sources.after(rank, source));
        self.watch_gap(now, rank);
        let report = report?;
        if report.ranges().is_empty() {
            return None;
        }
        let len = packet::encode_nak(out, header, rank, report.source(), report.ranges())?;
        self.counters.naks += 1;
        Some(len)
    }

    /// Writes the acknowledgement that is due, or the next part of it: of streams of which there is
    /// something to tell. Answers where it goes, and its length.
    fn next_ack(
        &mut self,
        pool: &mut Pool,
        now: Time,
        header: &Header,
        out: &mut [u8],
    ) -> Option<(CastDest, usize)> {
        let round = self.acks.take_round(now)?;
        let (me, streams) = (self.me, &self.streams);
        let tells = |rank| rank != me && streams.of(rank).tells(round.is_of_all());
        let entries_max = packet::ack_entries_max(out.len());
        let (first, end) = round.next_part(self.ranks(), entries_max, tells)?;
        // What is told here counts from now on here, too. What moves by that is in this very
        // packet.
        let due = self.acks.at();
        for rank in first as Rank..end as Rank {
            let prefix = self.streams.of(rank).acknowledged();
            if rank != self.me && self.stability.record(rank, self.me, prefix) {
                let floor = self.stability.floor(rank);
                self.learn_stable(pool, now, rank, floor);
            }
        }
        self.acks.set_at(due);
        let entries = self.streams.range_mut(first, end).iter_mut().map(|stream| stream.tell());
        let len = packet::encode_ack(out, header, first as Rank, entries)?;
        self.acks.go_on(round, end);
        self.counters.acks += 1;
        let is_for_one = round.is_for_one(self.ranks(), end - first);
        let dest = if is_for_one { CastDest::Rank(first as Rank) } else { CastDest::Group };
        Some((dest, len))
    }

    /// Writes packet `seq` of `origin`, if it is here and there is room.
    fn write(
        &self,
        pool: &Pool,
        header: &Header,
        batch: &mut Batch<'_>,
        origin: Rank,
        seq: Seq,
    ) -> bool {
        let stream = self.streams.of(origin);
        let Some(entry) = stream.packet(seq) else { return false };
        let body = pool.body(entry.slot);
        batch.has_room(data_bytes(body.len()))
            && batch.push(
                header,
                &Data { flags: entry.flags, origin, seq, stable: stream.stable(), body },
            )
    }

    fn next_repairs(
        &mut self,
        pool: &Pool,
        now: Time,
        header: &Header,
        out: &mut [u8],
        segments_max: usize,
    ) -> Option<CastTransmit> {
        let (origin, seq) = self.next_wanted()?;
        let askers = self.wanted_by(origin, seq);
        let dest = match askers {
            Askers::One(rank) => CastDest::Rank(rank),
            _ => CastDest::Group,
        };
        let mut batch = Batch::new(out, segments_max, self.settings.tag_bytes());
        let mut next = Some((origin, seq));
        while let Some((origin, seq)) = next
            && self.wanted_by(origin, seq) == askers
            && self.write(pool, header, &mut batch, origin, seq)
        {
            self.note_repaired(now, origin, seq);
            next = self.next_wanted();
        }
        batch.finish(dest)
    }

    fn wanted_by(&self, origin: Rank, seq: Seq) -> Askers {
        self.streams.of(origin).wanted_by(seq)
    }

    /// The stream whose wanted packets are sent next, and the first of them.
    fn next_wanted(&mut self) -> Option<(Rank, Seq)> {
        if self.repairs.wanted() == 0 {
            return None;
        }
        let turn = self.repairs.turn();
        let mut around = (turn..self.ranks() as Rank).chain(0..turn);
        let rank = around.find(|&rank| self.streams.of(rank).is_wanted())?;
        self.repairs.set_turn(rank);
        Some((rank, self.streams.of_mut(rank).first_wanted()?))
    }

    /// The repair of a wanted packet is done.
    fn note_repaired(&mut self, now: Time, origin: Rank, seq: Seq) {
        let ranks = self.ranks() as Rank;
        let stream = self.streams.of_mut(origin);
        if stream.handle_repaired(now, seq) {
            self.repairs.remove();
            self.counters.repaired += 1;
            if !stream.is_wanted() {
                self.repairs.set_turn((origin + 1) % ranks);
            }
        }
    }

    fn next_forwards(
        &mut self,
        pool: &Pool,
        header: &Header,
        out: &mut [u8],
        segments_max: usize,
    ) -> Option<CastTransmit> {
        let mut batch = Batch::new(out, segments_max, self.settings.tag_bytes());
        while let Some(forward) = self.forwards.first() {
            let mut next = forward.next();
            while next <= forward.upto() {
                let here = self.streams.of(forward.origin()).has(next);
                if here && !self.write(pool, header, &mut batch, forward.origin(), next) {
                    break;
                }
                self.counters.forwarded += u64::from(here);
                next += 1;
            }
            self.forwards.go_on(next);
            if !batch.is_empty() || next <= forward.upto() {
                return batch.finish(CastDest::Rank(forward.to()));
            }
        }
        None
    }

    /// Own packets that were never transmitted; the open one is sealed when its turn comes.
    fn next_own(
        &mut self,
        pool: &mut Pool,
        now: Time,
        header: &Header,
        out: &mut [u8],
        segments_max: usize,
    ) -> Option<CastTransmit> {
        let before = self.sender.transmitted();
        let mut batch = Batch::new(out, segments_max, self.settings.tag_bytes());
        loop {
            let seq = self.sender.transmitted() + 1;
            if seq > self.sender.sealed() {
                let written = self.sender.open().map_or(0, Open::len);
                let is_due = self.sender.open().is_some() || self.has_records();
                let len = data_bytes(written + self.settings.trailer_bytes());
                if !is_due || !batch.has_room(len) || !self.seal_next(pool) {
                    break;
                }
            }
            if !self.write(pool, header, &mut batch, self.me, seq) {
                break;
            }
            self.sender.handle_transmitted(seq);
        }
        let sent = self.sender.transmitted() - before;
        if sent > 0 {
            self.counters.sent += sent;
            self.beats.restart(now, &self.settings);
            let (me, stability) = (self.me, &self.stability);
            self.peers.handle_transmitted(now, |rank| stability.received(me, rank) == before);
        }
        batch.finish(CastDest::Group)
    }

    /// Seals what is written or, without that, what there is to record. False if there is no room.
    fn seal_next(&mut self, pool: &mut Pool) -> bool {
        if self.sender.open().is_none() {
            return self.seal_records(pool);
        }
        self.seal(pool);
        true
    }

    /// When the next heartbeat is due.
    pub(super) fn next_beat(&self) -> Time {
        let pause_max_ms = if self.is_unsettled() {
            // Where many may lack what others have, none asks as often.
            let slowness = if self.own_is_settled() { slowness(self.ranks()) } else { 1 };
            super::beats::asking_pause_ms(&self.settings, slowness)
        } else {
            u64::MAX
        };
        self.beats.next(pause_max_ms, &self.settings)
    }

    /// Whether the own stream needs nobody's acknowledgement or credit.
    pub(super) fn own_is_settled(&self) -> bool {
        let own = self.streams.of(self.me);
        own.prefix() == own.stable() && !self.window_is_closed()
    }

    /// Whether an answer is needed from somebody.
    fn is_unsettled(&self) -> bool {
        self.streams.has_unstable() || self.window_is_closed()
    }

    fn next_heartbeat(
        &mut self,
        now: Time,
        view: &ViewHeader,
        header: &Header,
        out: &mut [u8],
    ) -> Option<usize> {
        if self.frozen || self.next_beat() > now {
            return None;
        }
        let beat = Heartbeat {
            solicit: self.is_unsettled(),
            highest: self.sender.transmitted(),
            stable: self.streams.of(self.me).stable(),
            view: view.id,
        };
        let len = packet::encode_heartbeat(out, header, &beat)?;
        self.beats.handle_sent(now, &self.settings);
        self.counters.heartbeats += 1;
        Some(len)
    }
}
