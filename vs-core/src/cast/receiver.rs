//! The streams of all members: packets are checked, kept, and delivered message by message.

use super::{Cast, gap, repair};
use crate::ident::{Rank, Seq};
use crate::pool::{Pool, Slot};
use crate::ring::{Entry, Ring};
use crate::time::Time;
use crate::wire::body::LENGTH_BYTES;
use crate::wire::packet::{Data, FLAG_FIRST, FLAG_FRAGMENT, FLAG_LAST};

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataOutcome {
    /// It is kept.
    New,
    /// It was here already, or is of no use any more.
    Duplicate,
    /// Outside of the window, or beyond the end of a closed stream.
    Beyond,
    /// The pool has no slot.
    NoSlot,
    /// Its body makes no sense.
    Malformed,
}

/// A message, lent until the next call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Delivered<'a> {
    /// The sender.
    pub(crate) from: Rank,
    /// The sender's number of it, from 1.
    pub(crate) number: u64,
    /// Its bytes.
    pub(crate) payload: &'a [u8],
}

/// What is known and kept of one member's packets. Of the own stream, `prefix`, `boundary` and `high` are what is
/// sealed.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) ring: Ring,
    /// All up to here was received.
    pub(super) prefix: Seq,
    /// The last message boundary in the prefix.
    pub(super) boundary: Seq,
    /// The highest packet that is known to exist, as far as the ring has room.
    pub(super) high: Seq,
    /// All members have it up to here.
    pub(super) stable: Seq,
    /// Delivered up to here.
    pub(super) delivered: Seq,
    /// Packets beyond are refused.
    pub(super) bound: Seq,
    /// `prefix` is above `stable`.
    pub(super) unstable: bool,
    /// `boundary` is above `delivered`.
    pub(super) undelivered: bool,
    pub(super) told_received: Seq,
    pub(super) told_credit: Seq,
    /// Its sender asks to be told.
    pub(super) asked: bool,
    pub(super) gap: gap::Gap,
    pub(super) wanted: repair::Wanted,
    /// Bytes that the fragments up to `prefix` leave to come.
    missing_bytes: usize,
    /// Bytes of packet `delivered + 1` that are delivered.
    offset: usize,
    messages: u64,
}

impl Stream {
    pub(super) fn new(origin: Rank, window: usize) -> Self {
        Self {
            ring: Ring::new(window),
            prefix: 0,
            boundary: 0,
            high: 0,
            stable: 0,
            delivered: 0,
            bound: Seq::MAX,
            unstable: false,
            undelivered: false,
            told_received: 0,
            told_credit: window as u64,
            asked: false,
            gap: gap::Gap::new(origin),
            wanted: repair::Wanted::default(),
            missing_bytes: 0,
            offset: 0,
            messages: 0,
        }
    }

    /// Whether a packet that is known to exist is not here.
    pub(super) fn has_gap(&self) -> bool {
        self.high > self.prefix
    }
}

/// Whether a body is well-formed in itself: whole messages, or one fragment of a plausible length.
fn is_sound(flags: u8, body: &[u8], body_bytes: usize, message_bytes_max: usize) -> bool {
    if body.is_empty() || body.len() > body_bytes {
        return false;
    }
    if flags & FLAG_FRAGMENT == 0 {
        return holds_messages(body, message_bytes_max);
    }
    match (flags & FLAG_FIRST != 0, flags & FLAG_LAST != 0) {
        (true, true) => false,
        (true, false) => {
            let total = length_at(body, 0);
            total.is_some_and(|n| n <= message_bytes_max && n + LENGTH_BYTES > body_bytes)
        }
        (false, _) => true,
    }
}

fn holds_messages(mut body: &[u8], message_bytes_max: usize) -> bool {
    while !body.is_empty() {
        match length_at(body, 0) {
            Some(len) if len <= message_bytes_max && len <= body.len() - LENGTH_BYTES => {
                body = &body[LENGTH_BYTES + len..];
            }
            _ => return false,
        }
    }
    true
}

fn length_at(body: &[u8], at: usize) -> Option<usize> {
    let field = body.get(at..at + LENGTH_BYTES)?;
    Some(u32::from_le_bytes(field.try_into().ok()?) as usize)
}

impl Cast {
    /// A packet of a stream arrived, sent to the group or to this member alone; its body is copied.
    pub(crate) fn on_data(
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
                    self.streams[usize::from(data.origin)].gap.repaired_in_vain(now, data.seq);
                }
                other
            }
        };
        self.count_outcome(outcome);
        outcome
    }

    /// As [`Cast::on_data`], for a packet whose body was kept in `slot` since it came before its view. The slot is
    /// taken: it is freed unless the packet is new.
    pub(crate) fn adopt(
        &mut self,
        pool: &mut Pool,
        now: Time,
        head: &Data<'_>,
        slot: Slot,
    ) -> DataOutcome {
        let admitted = {
            let body = pool.body(slot);
            let sound = self.is_sound(head.flags, body);
            let data = Data { body: &[], ..*head };
            match self.place_of(&data) {
                DataOutcome::New if !sound => DataOutcome::Malformed,
                other => other,
            }
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

    fn is_sound(&self, flags: u8, body: &[u8]) -> bool {
        is_sound(flags, body, self.settings.body_bytes, self.settings.message_bytes_max)
    }

    /// Whether there is a place for a packet, judged by its header.
    fn place_of(&self, data: &Data<'_>) -> DataOutcome {
        let Some(stream) = self.stream(data.origin) else { return DataOutcome::Malformed };
        if self.frozen || data.origin == self.me || data.seq <= stream.prefix {
            DataOutcome::Duplicate
        } else if data.seq > stream.ring.end() || data.seq > stream.bound {
            DataOutcome::Beyond
        } else if stream.ring.has(data.seq) {
            DataOutcome::Duplicate
        } else {
            DataOutcome::New
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
        let stream = &mut self.streams[usize::from(origin)];
        if !stream.ring.insert(seq, slot, flags) {
            pool.free(slot);
            return DataOutcome::Beyond;
        }
        if stream.has_gap() {
            stream.gap.filled(now, seq, to_group, &self.settings);
        } else {
            stream.gap.restart(now);
        }
        if seq > stream.high {
            // Nothing between is missing that was not missing before: no new gap to report.
            if seq == stream.high + 1 && stream.gap.asked == stream.high {
                stream.gap.asked = seq;
            }
            if seq > stream.high + 1 {
                stream.gap.miss(now, stream.high + 1);
            }
            stream.high = seq;
        }
        let mut outcome = DataOutcome::New;
        if seq == stream.prefix + 1 {
            match self.advance(pool, origin) {
                Some(misfit) if misfit == seq => outcome = DataOutcome::Malformed,
                Some(_) => self.counters.malformed += 1,
                None => {}
            }
            self.streams[usize::from(origin)].gap.restart(now);
            self.note_to_acknowledge(now, origin);
        }
        if outcome == DataOutcome::New {
            self.streams[usize::from(origin)].gap.progress(now);
        }
        self.watch_gap(now, origin);
        outcome
    }

    /// Moves the prefix over all that is there and fits together. A packet that does not fit is not what a member
    /// sends: it is treated as lost, and its sender is accused in the end. Returns its number.
    fn advance(&mut self, pool: &mut Pool, origin: Rank) -> Option<Seq> {
        let mut misfit = None;
        let stream = &mut self.streams[usize::from(origin)];
        while let Some(Entry { slot, flags }) = stream.ring.get(stream.prefix + 1) {
            let body = pool.body(slot);
            let left = match (stream.missing_bytes, flags & FLAG_FRAGMENT != 0) {
                (0, false) => Some(0),
                (0, true) if flags & FLAG_FIRST != 0 => {
                    length_at(body, 0).and_then(|n| (n + LENGTH_BYTES).checked_sub(body.len()))
                }
                (left, true) if flags & FLAG_FIRST == 0 => left
                    .checked_sub(body.len())
                    .filter(|&after| (after == 0) == (flags & FLAG_LAST != 0)),
                _ => None,
            };
            let Some(left) = left else {
                misfit = Some(stream.prefix + 1);
                break;
            };
            stream.missing_bytes = left;
            stream.prefix += 1;
            if left == 0 {
                stream.boundary = stream.prefix;
            }
        }
        stream.high = stream.high.max(stream.prefix);
        if let Some(taken) = misfit.and_then(|seq| stream.ring.remove(seq)) {
            stream.gap.asked = stream.prefix;
            stream.high = stream.high.max(stream.prefix + 1);
            self.release(pool, origin, taken);
        }
        self.count_unstable(origin);
        self.count_undelivered(origin);
        misfit
    }

    /// Whether [`Cast::deliver_next`] has something within `limit`.
    pub(crate) fn has_deliverable(&self, limit: impl Fn(Rank) -> Seq) -> bool {
        !self.frozen
            && (self.can_seal_alone(&limit)
                || (self.undelivered > 0
                    && (0..)
                        .zip(&self.streams)
                        .any(|(r, s)| s.delivered < s.boundary.min(limit(r)))))
    }

    /// In a view of one nobody waits for a transmission.
    fn can_seal_alone(&self, limit: &impl Fn(Rank) -> Seq) -> bool {
        self.ranks() == 1 && self.sender.open.is_some() && self.sender.sealed < limit(self.me)
    }

    /// The next message, packet by packet around the senders, each in the order of its sending and never beyond
    /// `limit`, which is a message boundary or has no end. A message that came in fragments is put together in
    /// `reassembly`, which has room for the largest.
    pub(crate) fn deliver_next<'a>(
        &mut self,
        pool: &'a mut Pool,
        now: Time,
        reassembly: &'a mut [u8],
        limit: impl Fn(Rank) -> Seq,
    ) -> Option<Delivered<'a>> {
        self.take_back(pool, now);
        if self.frozen {
            return None;
        }
        if self.can_seal_alone(&limit) {
            self.seal(pool);
        }
        let ranks = self.ranks();
        let turn = usize::from(self.turn);
        let from = (turn..ranks).chain(0..turn).find(|&index| {
            let stream = &self.streams[index];
            stream.delivered < stream.boundary.min(limit(index as Rank))
        })?;
        let stream = &mut self.streams[from];
        let before = stream.delivered;
        let payload = stream.next_message(pool, reassembly)?;
        let number = stream.messages;
        let next = if stream.delivered > before { (from + 1) % ranks } else { from };
        let from = from as Rank;
        self.turn = next as Rank;
        self.lent = Some(from);
        self.count_undelivered(from);
        self.counters.delivered += 1;
        Some(Delivered { from, number, payload })
    }

    /// What was lent is given back: its packet may be freed.
    pub(crate) fn take_back(&mut self, pool: &mut Pool, now: Time) {
        if let Some(rank) = self.lent.take() {
            self.reclaim(pool, now, rank);
        }
    }
}

impl Stream {
    pub(super) fn touched(&self) -> Seq {
        self.delivered + u64::from(self.offset > 0)
    }

    /// The next message of the prefix: a slice of its packet, or put together in `reassembly`.
    fn next_message<'a>(&mut self, pool: &'a Pool, reassembly: &'a mut [u8]) -> Option<&'a [u8]> {
        let entry = self.ring.get(self.delivered + 1)?;
        let body = pool.body(entry.slot);
        let payload = if entry.flags & FLAG_FRAGMENT == 0 {
            let start = self.offset + LENGTH_BYTES;
            let end = start + length_at(body, self.offset)?;
            let payload = body.get(start..end)?;
            if end == body.len() {
                self.delivered += 1;
                self.offset = 0;
            } else {
                self.offset = end;
            }
            payload
        } else {
            self.next_large(pool, reassembly)?
        };
        self.messages += 1;
        Some(payload)
    }

    fn next_large<'a>(&mut self, pool: &Pool, reassembly: &'a mut [u8]) -> Option<&'a [u8]> {
        let mut filled = 0;
        for seq in self.delivered + 1..=self.boundary {
            let entry = self.ring.get(seq)?;
            let body = pool.body(entry.slot);
            let head = if entry.flags & FLAG_FIRST == 0 { 0 } else { LENGTH_BYTES };
            let part = body.get(head..)?;
            reassembly.get_mut(filled..filled + part.len())?.copy_from_slice(part);
            filled += part.len();
            if entry.flags & FLAG_LAST != 0 {
                self.delivered = seq;
                return reassembly.get(..filled);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_checked() {
        let sound = |flags, body: &[u8]| is_sound(flags, body, 16, 40);
        assert!(sound(0, &[1, 0, 0, 0, 7, 0, 0, 0, 0]));
        assert!(!sound(0, &[2, 0, 0, 0, 7]), "longer than what is there");
        assert!(!sound(0, &[1, 0, 0, 0, 7, 0, 0]), "half a length");
        assert!(!sound(0, &[255, 255, 255, 255, 7]));
        assert!(!sound(0, &[]));
        let first = FLAG_FRAGMENT | FLAG_FIRST;
        let mut body = [0_u8; 16];
        for (total, fine) in [(12, false), (13, true), (40, true), (41, false)] {
            body[0] = total;
            assert_eq!(sound(first, &body), fine, "{total}");
        }
        body[0] = 30;
        assert!(!sound(first, &body[..3]), "not even a length");
        assert!(!sound(first | FLAG_LAST, &body));
        assert!(sound(FLAG_FRAGMENT, &body) && sound(FLAG_FRAGMENT, &body[1..]));
        assert!(sound(FLAG_FRAGMENT | FLAG_LAST, &body[..1]));
    }
}
