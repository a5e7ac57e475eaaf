//! Gaps: reported after a short random delay, reported again while they last, answered from the ring.
//!
//! A report goes to all and names who shall answer. The answer goes to the one that asked, or by multicast if two
//! did; therefore a member that has heard two others report a gap of its own keeps quiet for a while.

use alloc::vec;
use alloc::vec::Vec;

use super::{Cast, ViewHeader};
use crate::ident::{Rank, Seq};
use crate::ranges::{RangeList, SeqRange};
use crate::ring::{Askers, Repair};
use crate::time::Time;
use crate::wire::datagram::Header;
use crate::wire::packet::{self, NAK_RANGES_MAX};

/// Most ranges of others' packets that wait to be handed on; more are dropped, since who lacks them asks.
const FORWARDS_MAX: usize = 64;

/// Bytes of what is to be handed on.
pub(super) const FORWARDS_BYTES: usize = FORWARDS_MAX * size_of::<Forward>();
/// Bytes by which a row of those who may be asked is rounded up.
pub(super) const SOURCE_BYTES: usize = size_of::<u64>();

/// A packet is not sent again to the same member within this time, in ns: it is on its way.
const REPAIR_QUIET: u64 = 250_000;

/// Packets of a ring that somebody waits for: `count` of them within `from ..= upto`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted {
    pub(super) from: Seq,
    pub(super) upto: Seq,
    pub(super) count: usize,
}

/// Packets `next ..= upto` of `origin` are handed on to `to`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forward {
    pub(super) to: Rank,
    pub(super) origin: Rank,
    pub(super) next: Seq,
    pub(super) upto: Seq,
}

#[derive(Debug)]
pub(super) struct Repairs {
    /// No gap is due to be reported before.
    pub(super) next_nak: Option<Time>,
    /// Packets that somebody waits for, in all streams.
    pub(super) wanted: usize,
    /// The stream whose repairs are sent next.
    pub(super) turn: Rank,
    /// What is to be handed on, in order.
    pub(super) forwards: Vec<Forward>,
    /// Who may be asked for a stream: a row of bits each. Made when there is somebody.
    sources: Vec<u64>,
}

impl Repairs {
    pub(super) fn new() -> Self {
        Self {
            next_nak: None,
            wanted: 0,
            turn: 0,
            forwards: Vec::with_capacity(FORWARDS_MAX),
            sources: Vec::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.next_nak = None;
        self.wanted = 0;
        self.forwards.clear();
    }

    pub(super) fn sources_mut(&mut self, ranks: usize, stream: Rank) -> &mut [u64] {
        let words = ranks.div_ceil(64);
        if self.sources.is_empty() {
            self.sources = vec![0; ranks * words];
        }
        &mut self.sources[usize::from(stream) * words..][..words]
    }

    pub(super) fn is_source(&self, ranks: usize, stream: Rank, rank: Rank) -> bool {
        let at = usize::from(rank);
        let words = ranks.div_ceil(64);
        let word = self.sources.get(usize::from(stream) * words + at / 64);
        word.is_some_and(|bits| bits >> (at % 64) & 1 == 1)
    }

    fn wake_by(&mut self, at: Time) {
        if self.next_nak.is_none_or(|due| at < due) {
            self.next_nak = Some(at);
        }
    }
}

impl Cast {
    /// `stream` is said to go up to `seq`.
    pub(super) fn hear_of(&mut self, now: Time, rank: Rank, seq: Seq) {
        if rank == self.me {
            return;
        }
        let stream = &mut self.streams[usize::from(rank)];
        // A sender keeps within the room that it was told; a number beyond is not to be trusted.
        let seq = seq.min(stream.ring.end()).min(stream.bound);
        if seq > stream.high {
            if !stream.has_gap() {
                stream.gap.restart(now);
            }
            stream.gap.miss(now, stream.high + 1);
            stream.high = seq;
            self.watch_gap(now, rank);
        }
    }

    /// Sets or clears the timers of a stream's gaps after its prefix or its known end has moved.
    pub(super) fn watch_gap(&mut self, now: Time, rank: Rank) {
        let delay = self.settings.nak_delay_us;
        let stream = &mut self.streams[usize::from(rank)];
        if !stream.has_gap() {
            stream.gap.close(stream.prefix);
            return;
        }
        let gap = &mut stream.gap;
        let least = gap.least_us(&self.settings);
        if !gap.is_watched() {
            gap.asked = gap.asked.min(stream.high - 1).max(stream.prefix);
        }
        if let Some(at) = gap.fresh_at {
            // What there is time enough for still is reported with it.
            if now.plus_us(least) <= at {
                gap.fresh_upto = stream.high;
            }
        } else if stream.high > gap.asked {
            let at = now.plus_us(least + self.rng.below(delay - delay / 4 + 1));
            gap.fresh_at = Some(at);
            gap.fresh_upto = stream.high;
            self.repairs.wake_by(at);
            self.watch_peers(now);
        }
    }

    /// Since when `rank` owes a repair, if it does: it is the source of a stream that has a gap.
    pub(super) fn repair_owed_since(&self, rank: Rank) -> Option<Time> {
        let owed = |(origin, stream): (Rank, &super::receiver::Stream)| {
            let asked = if stream.gap.settled {
                self.repairs.is_source(self.ranks(), origin, rank)
            } else {
                origin == rank
            };
            (asked && stream.has_gap()).then_some(stream.gap.since)
        };
        (0..).zip(&self.streams).filter_map(owed).min()
    }

    /// A member reports gaps. If this one shall answer, it does; else the report says what else need not be reported.
    pub(crate) fn on_nak(
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
            self.hear_report(now, from, origin, ranges);
        }
    }

    fn want(
        &mut self,
        now: Time,
        from: Rank,
        origin: Rank,
        ranges: impl Iterator<Item = SeqRange>,
    ) {
        let together = self.settings.nak_repeat_ms * 500_000;
        let upto = if origin == self.me { self.sender.transmitted } else { Seq::MAX };
        let stream = &mut self.streams[usize::from(origin)];
        let (base, end) = (stream.ring.base() + 1, stream.high.min(upto));
        for seq in ranges.filter_map(|r| r.clip(base, end)).flat_map(|r| r.from..=r.upto) {
            let Some(repair) = stream.ring.repair(seq) else { continue };
            if origin == self.me {
                self.sender.window.note_asked(from);
            }
            let since = now - repair.done_at;
            let asker = match repair.done_to {
                // It is on its way.
                Askers::One(one) if one == from && since < REPAIR_QUIET => {
                    self.counters.repairs_suppressed += 1;
                    continue;
                }
                Askers::Many if since < REPAIR_QUIET => {
                    self.counters.repairs_suppressed += 1;
                    continue;
                }
                // Two lack it, and others may.
                Askers::One(other) if other != from && since < together => Askers::Many,
                _ => Askers::One(from),
            };
            let wanted = &mut stream.wanted;
            if repair.wanted_by == Askers::Nobody {
                let first = wanted.count == 0;
                wanted.from = if first { seq } else { wanted.from.min(seq) };
                wanted.upto = if first { seq } else { wanted.upto.max(seq) };
                wanted.count += 1;
                self.repairs.wanted += 1;
            }
            let wanted_by = match (repair.wanted_by, asker) {
                (Askers::Nobody, asker) => asker,
                (_, Askers::Many) => Askers::Many,
                (known, _) => known.with(from),
            };
            stream.ring.note_repair(seq, Repair { wanted_by, ..repair });
        }
    }

    /// Two others have reported a gap that is here, too: the answer will be a multicast. The own report is put off,
    /// once.
    fn hear_report(
        &mut self,
        now: Time,
        from: Rank,
        origin: Rank,
        ranges: impl Iterator<Item = SeqRange>,
    ) {
        let delay = self.settings.nak_delay_us;
        let stream = &mut self.streams[usize::from(origin)];
        let gap = &mut stream.gap;
        let Some(due) = gap.next() else { return };
        let first =
            if gap.fresh_at.is_some() { gap.asked.max(stream.prefix) } else { stream.prefix };
        let mut same = false;
        for range in ranges {
            gap.shared |= range.clip(stream.prefix + 1, stream.high).is_some();
            same |= range.clip(first + 1, stream.high).is_some();
        }
        if gap.put_off || !same {
            return;
        }
        match gap.heard.replace(from) {
            Some(other) if other != from => {
                gap.put_off = true;
                gap.fresh_at = None;
                gap.asked = stream.high;
                gap.mature = stream.high;
                let pause = gap.pause_us(now, &self.settings) + self.rng.below(delay + 1);
                gap.repeat_at = Some(now.plus_us(pause).max(due));
                self.counters.naks_suppressed += 1;
            }
            _ => {}
        }
    }

    /// The stream of `origin` is needed up to `upto`, even if nothing of it was ever heard here; its gaps are asked
    /// for at `sources` in turn. If it is `closed`, packets beyond are refused.
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
        let usable = |&&r: &&Rank| r != me && usize::from(r) < ranks;
        if !(sources.is_empty() && self.repairs.sources.is_empty()) {
            let row = self.repairs.sources_mut(ranks, origin);
            row.fill(0);
            for rank in sources.iter().filter(usable) {
                row[usize::from(*rank) / 64] |= 1 << (rank % 64);
            }
        }
        let stream = &mut self.streams[usize::from(origin)];
        stream.bound = if closed { upto } else { Seq::MAX };
        // What is known to exist beyond the end of a closed stream is not needed.
        if closed && stream.high > upto {
            stream.high = upto.max(stream.prefix);
        }
        let gap = &mut stream.gap;
        if let Some(&first) = sources.iter().find(usable) {
            gap.settled = true;
            if gap.source != first && !sources.contains(&gap.source) {
                gap.source = first;
                // The new source was not asked for anything yet.
                gap.asked = stream.prefix;
                gap.restart(now);
            }
        }
        self.hear_of(now, origin, upto);
        self.watch_gap(now, origin);
    }

    /// The change of view that [`Cast::settle`] served has lapsed: each stream is open and its sender is asked.
    pub(crate) fn unsettle(&mut self, now: Time) {
        for rank in 0..self.ranks() as Rank {
            let stream = &mut self.streams[usize::from(rank)];
            stream.bound = Seq::MAX;
            if core::mem::take(&mut stream.gap.settled) {
                stream.gap.source = rank;
                stream.gap.asked = stream.gap.asked.min(stream.prefix);
                stream.gap.restart(now);
                self.watch_gap(now, rank);
            }
        }
    }

    /// Hands packets `from ..= upto` of `origin`, as far as they are here, on to `to`.
    pub(crate) fn forward(&mut self, to: Rank, origin: Rank, from: Seq, upto: Seq) {
        let ranks = self.ranks();
        let known = to != self.me && usize::from(to) < ranks && usize::from(origin) < ranks;
        if known && self.repairs.forwards.len() < FORWARDS_MAX {
            let stream = &self.streams[usize::from(origin)];
            if let Some(range) = (SeqRange { from, upto }).clip(stream.ring.base() + 1, stream.high)
            {
                let forward = Forward { to, origin, next: range.from, upto: range.upto };
                self.repairs.forwards.push(forward);
            }
        }
    }

    /// Writes a report of gaps that is due.
    pub(super) fn next_nak(
        &mut self,
        now: Time,
        view: &ViewHeader,
        out: &mut [u8],
    ) -> Option<usize> {
        if self.frozen || self.repairs.next_nak.is_none_or(|at| at > now) {
            return None;
        }
        let mut next: Option<Time> = None;
        for rank in 0..self.ranks() as Rank {
            if let Some(len) = self.report(now, rank, view, out) {
                // There may be more.
                self.repairs.next_nak = Some(now);
                return Some(len);
            }
            let at = self.streams[usize::from(rank)].gap.next();
            next = next.into_iter().chain(at).min();
        }
        self.repairs.next_nak = next;
        None
    }

    /// Writes what is due to be reported of one stream.
    fn report(
        &mut self,
        now: Time,
        rank: Rank,
        view: &ViewHeader,
        out: &mut [u8],
    ) -> Option<usize> {
        let Some(region) = self.due_region(now, rank) else {
            self.watch_gap(now, rank);
            return None;
        };
        let stream = &mut self.streams[usize::from(rank)];
        let limit = packet::nak_ranges_max(out.len());
        let mut list = RangeList::<NAK_RANGES_MAX>::new();
        let missing = (region.from..=region.upto).filter(|&seq| !stream.ring.has(seq));
        let mut full_at = None;
        for seq in missing {
            if !list.push(seq, limit) {
                full_at = Some(seq);
                break;
            }
        }
        let gap = &mut stream.gap;
        if region.from > gap.asked
            && let Some(first) = list.as_slice().first()
        {
            gap.note_asked(now, first.from, &self.settings);
        }
        gap.rest = full_at.map(|from| SeqRange { from, upto: region.upto });
        gap.asked = gap.asked.max(full_at.map_or(region.upto, |seq| seq - 1));
        if gap.repeat_at.is_none() {
            gap.mature = gap.asked;
            gap.repeat_at = Some(now.plus_us(gap.pause_us(now, &self.settings)));
        }
        gap.heard = None;
        gap.put_off = false;
        let source = gap.source;
        self.watch_gap(now, rank);
        if list.as_slice().is_empty() {
            return None;
        }
        let header = Header { rank: view.rank, group: view.group, fingerprint: view.fingerprint };
        let len = packet::encode_nak(out, &header, rank, source, list.as_slice())?;
        self.counters.naks += 1;
        Some(len)
    }

    /// The part of a stream in which gaps are due to be reported.
    fn due_region(&mut self, now: Time, rank: Rank) -> Option<SeqRange> {
        let ranks = self.ranks();
        let stream = &mut self.streams[usize::from(rank)];
        let (prefix, high) = (stream.prefix, stream.high);
        let gap = &mut stream.gap;
        if let Some(rest) = gap.rest.take().and_then(|r| r.clip(prefix + 1, high)) {
            return Some(rest);
        }
        let is_due = |at: Option<Time>| at.is_some_and(|at| at <= now);
        let mature = gap.mature.min(gap.asked);
        if is_due(gap.repeat_at) && mature > prefix {
            gap.repeat_at = None;
            gap.note_asked_again(now, mature);
            if gap.settled {
                let from = usize::from(gap.source) + 1;
                let around = (from..ranks).chain(0..from).map(|r| r as Rank);
                let next = around.into_iter().find(|&r| self.repairs.is_source(ranks, rank, r));
                gap.source = next.unwrap_or(gap.source);
            }
            return (SeqRange { from: prefix + 1, upto: mature }).clip(1, high);
        }
        if is_due(gap.repeat_at) {
            // What was reported meanwhile is next.
            gap.mature = gap.asked;
            gap.repeat_at = Some(now.plus_us(gap.pause_us(now, &self.settings)));
        }
        if is_due(gap.fresh_at) {
            gap.fresh_at = None;
            let (from, upto) = (gap.asked.max(prefix) + 1, gap.fresh_upto);
            return (SeqRange { from, upto }).clip(1, high);
        }
        None
    }

    /// The stream whose wanted packets are sent next, and the first of them.
    pub(super) fn next_wanted(&mut self) -> Option<(Rank, Seq)> {
        if self.repairs.wanted == 0 {
            return None;
        }
        let (ranks, turn) = (self.ranks(), usize::from(self.repairs.turn));
        let index = (turn..ranks).chain(0..turn).find(|&i| self.streams[i].wanted.count > 0)?;
        self.repairs.turn = index as Rank;
        let stream = &mut self.streams[index];
        let is_wanted = |&seq: &Seq| stream.ring.wanted_by(seq) != Askers::Nobody;
        let seq = (stream.wanted.from..=stream.wanted.upto).find(is_wanted)?;
        stream.wanted.from = seq;
        Some((index as Rank, seq))
    }

    /// The repair of a wanted packet is done.
    pub(super) fn note_repaired(&mut self, now: Time, origin: Rank, seq: Seq) {
        let stream = &mut self.streams[usize::from(origin)];
        if let Some(repair) = stream.ring.repair(seq) {
            let (wanted_by, done_to) = (Askers::Nobody, repair.wanted_by);
            stream.ring.note_repair(seq, Repair { wanted_by, done_to, done_at: now });
            stream.wanted.count -= 1;
            self.repairs.wanted -= 1;
            self.counters.repaired += 1;
            if stream.wanted.count == 0 {
                self.repairs.turn = (usize::from(origin) + 1) as Rank % self.streams.len() as Rank;
            }
        }
    }
}
