//! What goes out next. Nothing is queued: reports of gaps, acknowledgements, repairs, what is handed on, new packets
//! and heartbeats are derived from the state when asked for.

use super::stable::slowness;
use super::{Cast, CastDest, CastTransmit, ViewHeader};
use crate::ident::{Rank, Seq};
use crate::pool::Pool;
use crate::ring::Askers;
use crate::time::Time;
use crate::wire::datagram::Header;
use crate::wire::packet::{self, Data, Heartbeat, data_bytes};

/// Heartbeats of a member that lacks acknowledgements or credit are at most this many times `heartbeat_ms` apart.
const UNSETTLED_BACKOFF_MAX: u64 = 16;

/// The idle groups of a node together send no more heartbeats than so many at `heartbeat_max_ms`.
const IDLE_GROUPS: usize = 64;

/// When heartbeats are sent: `interval_ms` after `from`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beats {
    from: Time,
    last: Time,
    interval_ms: u64,
    /// So many times `heartbeat_max_ms` is the longest pause.
    spread: u64,
}

impl Beats {
    pub(super) fn new(now: Time, interval_ms: u64) -> Self {
        Self { from: now, last: now, interval_ms, spread: 1 }
    }

    /// Something was sent that others have to learn the end of.
    pub(super) fn reset(&mut self, now: Time, interval_ms: u64) {
        self.from = now;
        self.interval_ms = interval_ms;
    }

    /// Others make progress by themselves.
    pub(super) fn put_off(&mut self, now: Time) {
        self.from = now;
    }

    fn sent(&mut self, now: Time, interval_ms_max: u64) {
        self.from = now;
        self.last = now;
        self.interval_ms = (self.interval_ms * 2).min(interval_ms_max);
    }
}

/// A packet that is shorter than those before it by at most this part of their length is padded if others follow: a
/// run of datagrams is cheap, each run is not.
const PADDING_SHARE: usize = 8;

/// Datagrams of one length, the last may be shorter, in one buffer.
struct Batch<'a> {
    out: &'a mut [u8],
    used: usize,
    /// Length of each datagram but the last; 0 while there is none.
    segment_bytes: usize,
    /// Length of the last one.
    last: usize,
    left: usize,
}

impl<'a> Batch<'a> {
    fn new(out: &'a mut [u8], segments_max: usize) -> Self {
        Self { out, used: 0, segment_bytes: 0, last: 0, left: segments_max.max(1) }
    }

    fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// What the last datagram has to be padded with before another one can follow.
    fn padding(&self) -> usize {
        self.segment_bytes - self.last
    }

    fn has_room(&self, len: usize) -> bool {
        let place = self.used + self.padding();
        self.left > 0
            && (self.is_empty() || len <= self.segment_bytes)
            && self.padding() * PADDING_SHARE <= self.segment_bytes
            && place + len <= self.out.len()
    }

    /// Appends a data packet for which there is room.
    fn push(&mut self, header: &Header, data: &Data<'_>) -> bool {
        let start = self.used - self.last;
        if self.padding() > 0 {
            packet::pad_data(&mut self.out[start..start + self.segment_bytes], self.last);
            self.used = start + self.segment_bytes;
        }
        let Some(len) = packet::encode_data(&mut self.out[self.used..], header, data) else {
            return false;
        };
        self.used += len;
        self.last = len;
        self.segment_bytes = self.segment_bytes.max(len);
        self.left -= 1;
        true
    }

    fn finish(self, dest: CastDest) -> Option<CastTransmit> {
        let Self { used: len, segment_bytes, .. } = self;
        (len > 0).then_some(CastTransmit { dest, len, segment_bytes })
    }
}

impl Cast {
    /// The next datagram, or up to `segments_max` of one length (the last may be shorter) for one destination. `out`
    /// has room for the largest datagram. `None`: nothing is due.
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
        let one = |len| CastTransmit { dest: CastDest::Group, len, segment_bytes: len };
        // The buffer may have room for many datagrams; one must not be longer than agreed.
        let datagram_bytes = out.len().min(data_bytes(self.settings.body_bytes));
        let datagram = &mut out[..datagram_bytes];
        if let Some(len) = self.next_nak(now, view, datagram) {
            return Some(one(len));
        }
        if let Some(transmit) = self.next_ack(pool, now, view, datagram) {
            return Some(transmit);
        }
        let header = Header { rank: view.rank, group: view.group, fingerprint: view.fingerprint };
        if let Some(transmit) = self.next_repairs(pool, now, &header, out, segments_max) {
            return Some(transmit);
        }
        if let Some(transmit) = self.next_forwards(pool, &header, out, segments_max) {
            return Some(transmit);
        }
        if let Some(transmit) = self.next_own(pool, now, &header, out, segments_max) {
            return Some(transmit);
        }
        self.next_heartbeat(now, view, &header, out).map(one)
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
        let stream = &self.streams[usize::from(origin)];
        let Some(entry) = stream.ring.get(seq) else { return false };
        let body = pool.body(entry.slot);
        batch.has_room(data_bytes(body.len()))
            && batch.push(
                header,
                &Data { flags: entry.flags, origin, seq, stable: stream.stable, body },
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
        let mut batch = Batch::new(out, segments_max);
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
        self.streams[usize::from(origin)].ring.wanted_by(seq)
    }

    fn next_forwards(
        &mut self,
        pool: &Pool,
        header: &Header,
        out: &mut [u8],
        segments_max: usize,
    ) -> Option<CastTransmit> {
        let mut batch = Batch::new(out, segments_max);
        while let Some(&forward) = self.repairs.forwards.first() {
            let mut next = forward.next;
            while next <= forward.upto {
                let here = self.streams[usize::from(forward.origin)].ring.has(next);
                if here && !self.write(pool, header, &mut batch, forward.origin, next) {
                    break;
                }
                self.counters.forwarded += u64::from(here);
                next += 1;
            }
            if next > forward.upto {
                self.repairs.forwards.remove(0);
            } else {
                self.repairs.forwards[0].next = next;
            }
            if !batch.is_empty() || next <= forward.upto {
                return batch.finish(CastDest::Rank(forward.to));
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
        let before = self.sender.transmitted;
        let mut batch = Batch::new(out, segments_max);
        loop {
            let seq = self.sender.transmitted + 1;
            if seq > self.sender.sealed {
                let Some(open) = self.sender.open else { break };
                if !batch.has_room(data_bytes(open.len)) {
                    break;
                }
                self.seal(pool);
            }
            if !self.write(pool, header, &mut batch, self.me, seq) {
                break;
            }
            self.sender.transmitted = seq;
        }
        let sent = self.sender.transmitted - before;
        if sent > 0 {
            self.counters.sent += sent;
            self.beats.reset(now, self.settings.heartbeat_ms);
            self.note_transmitted(now, before);
        }
        batch.finish(CastDest::Group)
    }

    /// The node is in so many groups. What heartbeats are for, the first ones see to; those at the longest pause are for
    /// what all of those missed.
    pub(crate) fn spread_beats(&mut self, groups: usize) {
        self.beats.spread = groups.div_ceil(IDLE_GROUPS).max(1) as u64;
    }

    fn heartbeat_max_ms(&self) -> u64 {
        self.settings.heartbeat_max_ms.saturating_mul(self.beats.spread)
    }

    /// When the next heartbeat is due.
    pub(super) fn next_beat(&self) -> Time {
        let mut interval = self.beats.interval_ms;
        if self.is_unsettled() {
            // Where many may lack what others have, none asks as often.
            let often = self.settings.heartbeat_ms * UNSETTLED_BACKOFF_MAX;
            let slow = if self.own_is_settled() { slowness(self.ranks()) } else { 1 };
            interval = interval.min((often * slow).min(often.max(self.settings.peer_ms / 4)));
        }
        let latest = self.beats.last.plus_ms(self.heartbeat_max_ms());
        self.beats.from.plus_ms(interval).min(latest)
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
            highest: self.sender.transmitted,
            stable: self.streams[usize::from(self.me)].stable,
            view: view.id,
        };
        let len = packet::encode_heartbeat(out, header, &beat)?;
        self.beats.sent(now, self.heartbeat_max_ms());
        self.counters.heartbeats += 1;
        Some(len)
    }
}
