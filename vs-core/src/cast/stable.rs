//! What everybody has: acknowledgements, stability and credit.
//!
//! An acknowledgement says of every stream how far this member has it without a gap, and up to where it has room. The
//! least of the former over all members is stable. Whoever lacks acknowledgements or credit keeps sending heartbeats
//! that ask for them, so a lost one is always replaced.

use alloc::vec;
use alloc::vec::Vec;

use super::{Cast, CastDest, CastTransmit, ViewHeader};
use crate::ident::{Rank, Seq};
use crate::pool::Pool;
use crate::ring::Taken;
use crate::time::Time;
use crate::wire::datagram::Header;
use crate::wire::packet::{self, AckEntry, Heartbeat};

/// Bytes of what a member has of a stream, with its bit among those who may be asked for it.
pub(super) const RECEIVED_BYTES: usize = size_of::<Seq>() + 1;
/// Bytes of a column besides.
pub(super) const FLOOR_BYTES: usize = size_of::<Floor>() + size_of::<Vec<Seq>>();

/// In views of more members than this, acknowledgements for one sender go to that one alone, since all together would be
/// the square of the members; and they are the less often, so that a sender gets as many in a time as from so many.
const FEW_RANKS: usize = 32;

/// An acknowledgement rather tells again what was told of so many streams than that it goes out in parts.
const TOLD_BETWEEN_MAX: usize = 8;

/// So many times the times of the configuration members of a view of `ranks` take to acknowledge.
pub(super) fn slowness(ranks: usize) -> u64 {
    (ranks / FEW_RANKS).max(1) as u64
}

/// Received prefixes, as acknowledgements tell them: one column a stream, made when its first packet is told of.
#[derive(Debug)]
pub(super) struct Stability {
    ranks: usize,
    me: Rank,
    columns: Vec<Vec<Seq>>,
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
        let mut floors = vec![Floor { seq: 0, members: ranks - 1 }; ranks];
        // A sender has all of its own stream. Of the own stream the end is known: it grows with each packet.
        floors[usize::from(me)].members = ranks;
        Self { ranks, me, columns: vec![Vec::new(); ranks], floors }
    }

    /// How far `rank` has said to have the stream.
    pub(super) fn received(&self, stream: Rank, rank: Rank) -> Seq {
        let told = self.columns[usize::from(stream)].get(usize::from(rank)).copied();
        told.unwrap_or_else(|| self.untold(stream, rank))
    }

    /// What holds without a word.
    fn untold(&self, stream: Rank, rank: Rank) -> Seq {
        if stream == rank && rank != self.me { Seq::MAX } else { 0 }
    }

    /// Up to where all have said to have the stream.
    pub(super) fn floor(&self, stream: Rank) -> Seq {
        self.floors[usize::from(stream)].seq
    }

    /// `rank` has the stream up to `seq`. False if that was known.
    pub(super) fn record(&mut self, stream: Rank, rank: Rank, seq: Seq) -> bool {
        let before = self.received(stream, rank);
        if seq <= before {
            return false;
        }
        let column = &mut self.columns[usize::from(stream)];
        if column.is_empty() {
            column.resize(self.ranks, 0);
            if stream != self.me {
                column[usize::from(stream)] = Seq::MAX;
            }
        }
        column[usize::from(rank)] = seq;
        let floor = &mut self.floors[usize::from(stream)];
        if before == floor.seq {
            floor.members -= 1;
            if floor.members == 0 {
                let least = column.iter().copied().min().unwrap_or(seq);
                let members = column.iter().filter(|&&r| r == least).count();
                *floor = Floor { seq: least, members };
            }
        }
        true
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AckTimer {
    /// When the next acknowledgement is due.
    pub(super) at: Option<Time>,
    /// The rank with which the acknowledgement under way goes on, and whether it is of all that send: one packet may not
    /// hold them all.
    cursor: Option<(usize, bool)>,
    /// Somebody lacks acknowledgements of others' streams: the next one is of all that send.
    of_all: bool,
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
            // Who waits for its own packets asks for them alone.
            if beat.highest > beat.stable {
                self.streams[usize::from(from)].asked = true;
            } else {
                self.acks.of_all = true;
            }
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
    pub(super) fn own_is_settled(&self) -> bool {
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

    /// Writes the acknowledgement that is due, or the next part of it: of streams of which there is something to tell.
    pub(super) fn next_ack(
        &mut self,
        pool: &mut Pool,
        now: Time,
        view: &ViewHeader,
        out: &mut [u8],
    ) -> Option<CastTransmit> {
        if self.acks.cursor.is_none() && self.acks.at.is_some_and(|at| at <= now) {
            let cursor = Some((0, self.acks.of_all));
            self.acks = AckTimer { at: None, cursor, of_all: false, last: now };
        }
        let (from, of_all) = self.acks.cursor.take()?;
        let most = packet::ack_entries_max(out.len());
        let (first, end) = self.streams_to_tell(from, of_all, most)?;
        // What is told here counts from now on here, too. What moves by that is in this very packet.
        let due = self.acks.at;
        for index in first..end {
            let rank = index as Rank;
            let prefix = self.streams[index].prefix;
            if rank != self.me && self.stability.record(rank, self.me, prefix) {
                let floor = self.stability.floor(rank);
                self.learn_stable(pool, now, rank, floor);
            }
        }
        self.acks.at = due;
        let streams = &mut self.streams[first..end];
        let entries = streams.iter_mut().map(|stream| {
            stream.asked = false;
            stream.told_received = stream.prefix;
            stream.told_credit = stream.ring.end();
            AckEntry { received: stream.told_received, credit: stream.told_credit }
        });
        let header = Header { rank: view.rank, group: view.group, fingerprint: view.fingerprint };
        let len = packet::encode_ack(out, &header, first as Rank, entries)?;
        self.acks.cursor = Some((end, of_all));
        self.counters.acks += 1;
        let for_one = self.ranks() > FEW_RANKS && end == first + 1 && !of_all;
        let dest = if for_one { CastDest::Rank(first as Rank) } else { CastDest::Group };
        Some(CastTransmit { dest, len, segment_bytes: len })
    }

    /// The next streams from `from` on of which others have to be told something, at most `most`, and some between.
    fn streams_to_tell(&self, from: usize, of_all: bool, most: usize) -> Option<(usize, usize)> {
        let tells = |index: &usize| {
            let stream = &self.streams[*index];
            let news =
                stream.prefix > stream.told_received || stream.ring.end() > stream.told_credit;
            *index != usize::from(self.me)
                && (news || ((of_all || stream.asked) && stream.prefix > 0))
        };
        let first = (from..self.ranks()).find(tells)?;
        let mut end = first + 1;
        while let Some(next) =
            (end..self.ranks().min(first + most).min(end + TOLD_BETWEEN_MAX)).find(tells)
        {
            end = next + 1;
        }
        Some((first, end))
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
