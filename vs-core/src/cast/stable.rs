//! What everybody has: acknowledgements, stability and credit.
//!
//! An acknowledgement says of every stream how far this member has it without a gap, and up to where it has room. The
//! least of the former over all members is stable. Whoever lacks acknowledgements or credit keeps sending heartbeats
//! that ask for them, so a lost one is always replaced.

use alloc::vec;
use alloc::vec::Vec;

use super::{Cast, ViewHeader};
use crate::ident::{Rank, Seq};
use crate::pool::Pool;
use crate::ring::Taken;
use crate::time::Time;
use crate::wire::packet::{self, AckEntry, Header, Heartbeat};

/// Bytes of what a member has of a stream, with its bit among those who may be asked for it.
pub(super) const RECEIVED_BYTES: usize = size_of::<Seq>() + 1;
/// Bytes of a column besides.
pub(super) const FLOOR_BYTES: usize = size_of::<Floor>();

/// Received prefixes: one row a member, one column a stream, as acknowledgements tell them.
#[derive(Debug)]
pub(super) struct Stability {
    ranks: usize,
    received: Vec<Seq>,
    floors: Vec<Floor>,
}

/// The least of a column and how many members are there: it is looked for anew only when the last one leaves it.
#[derive(Clone, Copy, Debug)]
struct Floor {
    seq: Seq,
    members: usize,
}

impl Stability {
    pub(super) fn new(ranks: usize, me: Rank) -> Self {
        let mut all = Self {
            ranks,
            received: vec![0; ranks * ranks],
            floors: vec![Floor { seq: 0, members: ranks - 1 }; ranks],
        };
        for rank in 0..ranks {
            // A sender has all of its own stream. Of the own stream the end is known: it grows with each packet.
            if rank == usize::from(me) {
                all.floors[rank].members = ranks;
            } else {
                all.received[rank * ranks + rank] = Seq::MAX;
            }
        }
        all
    }

    /// How far `rank` has said to have the stream.
    pub(super) fn received(&self, stream: Rank, rank: Rank) -> Seq {
        self.received[usize::from(rank) * self.ranks + usize::from(stream)]
    }

    /// Up to where all have said to have the stream.
    pub(super) fn floor(&self, stream: Rank) -> Seq {
        self.floors[usize::from(stream)].seq
    }

    /// `rank` has the stream up to `seq`. False if that was known.
    pub(super) fn record(&mut self, stream: Rank, rank: Rank, seq: Seq) -> bool {
        let known = &mut self.received[usize::from(rank) * self.ranks + usize::from(stream)];
        if seq <= *known {
            return false;
        }
        let before = core::mem::replace(known, seq);
        let floor = &mut self.floors[usize::from(stream)];
        if before == floor.seq {
            floor.members -= 1;
            if floor.members == 0 {
                let column = self.received.iter().skip(usize::from(stream)).step_by(self.ranks);
                let least = column.clone().copied().min().unwrap_or(seq);
                *floor = Floor { seq: least, members: column.filter(|&&r| r == least).count() };
            }
        }
        true
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AckTimer {
    /// When the next acknowledgement is due.
    pub(super) at: Option<Time>,
    /// The rank with which the acknowledgement under way goes on: one packet may not hold them all.
    cursor: Option<usize>,
    last: Time,
}

impl Cast {
    /// A member told what it has.
    pub(crate) fn on_ack(
        &mut self,
        pool: &mut Pool,
        now: Time,
        from: Rank,
        first: Rank,
        entries: impl Iterator<Item = AckEntry>,
    ) {
        if self.frozen || from == self.me || usize::from(from) >= self.ranks() {
            return;
        }
        for (index, entry) in (usize::from(first)..self.ranks()).zip(entries) {
            let stream = index as Rank;
            if stream == from {
                continue;
            }
            let received = if stream == self.me {
                self.note_credit(now, from, entry.credit);
                entry.received.min(self.sender.transmitted)
            } else {
                self.hear_of(now, stream, entry.received);
                // A member cannot have more than the window lets it have.
                entry.received.min(self.streams[index].ring.end())
            };
            if self.stability.record(stream, from, received) {
                if stream == self.me {
                    self.note_progress_of_acks(now, from);
                }
                let floor = self.stability.floor(stream);
                self.learn_stable(pool, now, stream, floor);
            }
        }
    }

    /// A member gave a sign of life: how far its stream goes and is stable.
    pub(crate) fn on_heartbeat(&mut self, pool: &mut Pool, now: Time, from: Rank, beat: Heartbeat) {
        if self.frozen || from == self.me || usize::from(from) >= self.ranks() {
            return;
        }
        self.hear_of(now, from, beat.highest);
        self.learn_stable(pool, now, from, beat.stable);
        if beat.solicit {
            // Idempotent, and at most once in `ack_ms`, however many ask.
            let earliest = self.acks.last.plus_ms(self.settings.ack_ms).max(now);
            self.ack_by(earliest);
        }
    }

    /// `stream` is stable up to `seq`, as the least of the acknowledgements or the word of its sender has it.
    pub(super) fn learn_stable(&mut self, pool: &mut Pool, now: Time, rank: Rank, seq: Seq) {
        let stream = &mut self.streams[usize::from(rank)];
        // What is stable is here, too; a number beyond is not to be trusted.
        if seq <= stream.stable || seq > stream.prefix {
            return;
        }
        stream.stable = seq;
        self.count_unstable(rank);
        self.reclaim(pool, now, rank);
        if rank == self.me {
            self.adapt_window(now);
            self.peers.stable_at = now;
            self.beats.reset(now, self.settings.heartbeat_ms);
        } else if self.own_is_settled() {
            self.beats.put_off(now);
        }
    }

    /// Frees what is stable and delivered.
    pub(super) fn reclaim(&mut self, pool: &mut Pool, now: Time, rank: Rank) {
        let stream = &self.streams[usize::from(rank)];
        let end = stream.stable.min(stream.delivered);
        if stream.ring.base() >= end {
            return;
        }
        while self.streams[usize::from(rank)].ring.base() < end {
            if let Some(taken) = self.streams[usize::from(rank)].ring.advance() {
                self.release(pool, rank, taken);
            }
        }
        if rank != self.me {
            self.note_to_acknowledge(now, rank);
        }
    }

    /// Gives up a packet that was taken out of its ring.
    pub(super) fn release(&mut self, pool: &mut Pool, rank: Rank, taken: Taken) {
        if taken.is_wanted {
            self.streams[usize::from(rank)].wanted.count -= 1;
            self.repairs.wanted -= 1;
        }
        pool.free(taken.slot);
    }

    /// Keeps [`Cast::unstable`] true for one stream.
    pub(super) fn count_unstable(&mut self, rank: Rank) {
        let stream = &mut self.streams[usize::from(rank)];
        let unstable = stream.prefix > stream.stable;
        if unstable != core::mem::replace(&mut stream.unstable, unstable) {
            self.unstable = if unstable { self.unstable + 1 } else { self.unstable - 1 };
        }
    }

    /// Keeps [`Cast::undelivered`] true for one stream.
    pub(super) fn count_undelivered(&mut self, rank: Rank) {
        let stream = &mut self.streams[usize::from(rank)];
        let undelivered = stream.delivered < stream.boundary;
        if undelivered != core::mem::replace(&mut stream.undelivered, undelivered) {
            self.undelivered =
                if undelivered { self.undelivered + 1 } else { self.undelivered - 1 };
        }
    }

    /// Whether the own stream needs nobody's acknowledgement or credit.
    fn own_is_settled(&self) -> bool {
        let own = &self.streams[usize::from(self.me)];
        own.prefix == own.stable && !self.window_is_closed()
    }

    /// Whether there is no room for the next packet or, since a message was refused, for any message. Once there is,
    /// nobody is asked any more, even if the message is given up.
    pub(super) fn window_is_closed(&self) -> bool {
        let limit = self.send_limit();
        let longest = self.settings.message_bytes_max;
        limit.min(self.soft_limit()) <= self.sender.sealed
            || (self.sender.refused.is_some() && self.last_packet_of(longest) > limit)
    }

    /// Whether an answer is needed from somebody.
    pub(super) fn is_unsettled(&self) -> bool {
        self.unstable > 0 || self.window_is_closed()
    }

    fn note_credit(&mut self, now: Time, from: Rank, credit: Seq) {
        let known = &mut self.sender.credit[usize::from(from)];
        if credit <= *known {
            return;
        }
        let before = core::mem::replace(known, credit);
        if before == self.sender.credit_min {
            self.sender.credit_min = self.sender.credit.iter().copied().min().unwrap_or(credit);
        }
        self.note_progress_of_credit(now, from);
    }

    /// The prefix or the room of a stream grew: an acknowledgement is due soon, or at once if much was received or the
    /// sender is about to run into the end of what it was told that there is room for.
    pub(super) fn note_to_acknowledge(&mut self, now: Time, rank: Rank) {
        let stream = &self.streams[usize::from(rank)];
        let half = self.settings.window as u64 / 2;
        let batch = self.settings.ack_packets;
        let end = stream.ring.end();
        let much = stream.prefix >= stream.told_received + batch;
        let narrow = end >= stream.told_credit + batch && stream.high + half >= stream.told_credit;
        if much || narrow {
            self.ack_by(now);
        } else if stream.prefix > stream.told_received || end > stream.told_credit {
            self.ack_by(now.plus_ms(self.settings.ack_ms));
        }
    }

    fn ack_by(&mut self, at: Time) {
        if !self.frozen && self.acks.at.is_none_or(|due| at < due) {
            self.acks.at = Some(at);
        }
    }

    /// Writes the acknowledgement that is due, or the next part of it.
    pub(super) fn next_ack(
        &mut self,
        pool: &mut Pool,
        now: Time,
        view: &ViewHeader,
        out: &mut [u8],
    ) -> Option<usize> {
        if self.acks.cursor.is_none() && self.acks.at.is_some_and(|at| at <= now) {
            self.acks = AckTimer { at: None, cursor: Some(0), last: now };
        }
        let first = self.acks.cursor?;
        let count = packet::ack_entries_max(out.len()).min(self.ranks() - first);
        if count == 0 {
            return None;
        }
        // What is told here counts from now on here, too. What moves by that is in this very packet.
        let due = self.acks.at;
        for index in first..first + count {
            let rank = index as Rank;
            let prefix = self.streams[index].prefix;
            if rank != self.me && self.stability.record(rank, self.me, prefix) {
                let floor = self.stability.floor(rank);
                self.learn_stable(pool, now, rank, floor);
            }
        }
        self.acks.at = due;
        let streams = &mut self.streams[first..first + count];
        let entries = streams.iter_mut().map(|stream| {
            stream.told_received = stream.prefix;
            stream.told_credit = stream.ring.end();
            AckEntry { received: stream.told_received, credit: stream.told_credit }
        });
        let header = Header { rank: view.rank, group: view.group, fingerprint: view.fingerprint };
        let len = packet::encode_ack(out, &header, first as Rank, entries)?;
        self.acks.cursor = (first + count < self.ranks()).then_some(first + count);
        self.counters.acks += 1;
        Some(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_the_least_of_a_column() {
        let mut table = Stability::new(3, 0);
        assert!(table.record(1, 0, 5));
        assert_eq!(table.floor(1), 0);
        assert!(table.record(1, 2, 3));
        assert_eq!(table.floor(1), 3);
        assert!(!table.record(1, 2, 3));
        assert!(table.record(1, 2, 9));
        assert_eq!(table.floor(1), 5);
        assert_eq!((table.received(1, 0), table.received(1, 2), table.received(2, 0)), (5, 9, 0));
        for rank in 0..3 {
            table.record(0, rank, 4);
        }
        assert_eq!((table.floor(0), table.floor(2)), (4, 0));
        let mut alone = Stability::new(1, 0);
        alone.record(0, 0, 7);
        assert_eq!(alone.floor(0), 7);
    }
}
