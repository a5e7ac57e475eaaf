//! The packets of one member: what is here of them, what is missing, what everybody has, what is
//! delivered.

use super::gap::{Gap, Report, Span};
use super::message::DataOutcome;
use super::repair::{Asked, Wanted};
use super::settings::Settings;
use crate::ident::{Rank, Seq};
use crate::order::Head;
use crate::pool::{Pool, Slot};
use crate::ranges::SeqRange;
use crate::ring::{Askers, Entry, Ring, Taken};
use crate::rng::Rng;
use crate::time::Time;
use crate::wire::body::{self, Flags};
use crate::wire::packet::AckEntry;

/// How soon an acknowledgement is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AckDue {
    Now,
    Soon,
    Never,
}

/// What is known and kept of one member's packets. Of the own stream, `prefix`, `boundary` and
/// `high` are what is sealed.
#[derive(Debug)]
pub(super) struct Stream {
    ring: Ring,
    /// All up to here was received.
    prefix: Seq,
    /// The last message boundary in the prefix.
    boundary: Seq,
    /// The highest packet that is known to exist, as far as the ring has room.
    high: Seq,
    /// All members have it up to here.
    stable: Seq,
    /// Delivered up to here.
    delivered: Seq,
    /// Packets beyond are refused.
    bound: Seq,
    /// `prefix` is above `stable`, when that was last counted.
    unstable: bool,
    /// `boundary` is above `delivered`, when that was last counted.
    undelivered: bool,
    /// Only whole messages are acknowledged.
    acks_messages: bool,
    /// Nothing beyond is acknowledged.
    ack_end: Seq,
    /// What the last acknowledgement said.
    told: AckEntry,
    /// Its sender asks to be told.
    asked: bool,
    gap: Gap,
    wanted: Wanted,
    /// Bytes that the fragments up to `prefix` leave to come.
    missing_bytes: usize,
    /// Bytes of packet `delivered + 1` that are delivered.
    offset: usize,
    /// Messages delivered.
    messages: u64,
}

impl Stream {
    pub(super) fn new(origin: Rank, settings: &Settings) -> Self {
        let window = settings.window();
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
            acks_messages: settings.acks_at_once(),
            ack_end: Seq::MAX,
            told: AckEntry { received: 0, credit: window as u64 },
            asked: false,
            gap: Gap::new(origin),
            wanted: Wanted::default(),
            missing_bytes: 0,
            offset: 0,
            messages: 0,
        }
    }

    /// The gap-free prefix.
    pub(super) fn prefix(&self) -> Seq {
        self.prefix
    }

    /// The last message boundary in the prefix.
    pub(super) fn boundary(&self) -> Seq {
        self.boundary
    }

    /// The highest packet that is known to exist.
    #[cfg(test)]
    pub(super) fn high(&self) -> Seq {
        self.high
    }

    /// Up to where all members have it.
    pub(super) fn stable(&self) -> Seq {
        self.stable
    }

    /// Packets that are delivered as a whole.
    #[inline]
    pub(super) fn delivered(&self) -> Seq {
        self.delivered
    }

    /// Packets that are delivered, in whole or in part.
    pub(super) fn touched(&self) -> Seq {
        self.delivered + u64::from(self.offset > 0)
    }

    /// The last packet that is given up.
    pub(super) fn base(&self) -> Seq {
        self.ring.base()
    }

    /// The highest packet that there is room for.
    pub(super) fn room_end(&self) -> Seq {
        self.ring.end()
    }

    /// Packet `seq`, if it is here.
    pub(super) fn packet(&self, seq: Seq) -> Option<Entry> {
        self.ring.get(seq)
    }

    /// Whether packet `seq` is here.
    pub(super) fn has(&self, seq: Seq) -> bool {
        self.ring.has(seq)
    }

    /// Whether it has packets that are not known to be stable, if that was not so when it was asked
    /// last.
    pub(super) fn turned_unstable(&mut self) -> Option<bool> {
        let unstable = self.prefix > self.stable;
        let before = core::mem::replace(&mut self.unstable, unstable);
        (before != unstable).then_some(unstable)
    }

    /// Whether it has messages that are not delivered, if that was not so when it was asked last.
    #[inline]
    pub(super) fn turned_undelivered(&mut self) -> Option<bool> {
        let undelivered = self.delivered < self.boundary;
        let before = core::mem::replace(&mut self.undelivered, undelivered);
        (before != undelivered).then_some(undelivered)
    }

    /// Whether a packet that is known to exist is not here.
    pub(super) fn has_gap(&self) -> bool {
        self.high > self.prefix
    }

    /// What is missing, and who was asked.
    pub(super) fn gap(&self) -> &Gap {
        &self.gap
    }

    fn span(&self) -> Span {
        Span::new(self.prefix, self.high)
    }
}

/// What arrives.
impl Stream {
    /// Whether there is a place for packet `seq`.
    pub(super) fn place_of(&self, seq: Seq) -> DataOutcome {
        if seq <= self.prefix {
            DataOutcome::Duplicate
        } else if seq > self.ring.end() || seq > self.bound {
            DataOutcome::Beyond
        } else if self.ring.has(seq) {
            DataOutcome::Duplicate
        } else {
            DataOutcome::New
        }
    }

    /// Packet `seq` came and has a place; false, and nothing changed, if it has none. It is in the
    /// prefix only after [`Stream::advance`].
    pub(super) fn handle_packet(
        &mut self,
        now: Time,
        (seq, slot, flags): (Seq, Slot, Flags),
        to_group: Option<bool>,
        settings: &Settings,
    ) -> bool {
        if !self.ring.insert(seq, slot, flags.bits()) {
            return false;
        }
        if self.has_gap() {
            self.gap.handle_packet(now, seq, to_group, settings);
        } else {
            self.gap.restart(now);
        }
        if seq > self.high {
            self.gap.handle_new_end(now, self.high, seq);
            self.high = seq;
        }
        true
    }

    /// Packet `seq` came to this member alone and was here.
    pub(super) fn handle_needless_repair(&mut self, now: Time, seq: Seq) {
        self.gap.handle_needless_repair(now, seq);
    }

    /// Something new came.
    pub(super) fn handle_progress(&mut self, now: Time) {
        self.gap.handle_progress(now);
    }

    /// Moves the prefix over all that is there and fits together. A packet that does not fit is not
    /// what a member sends: it is treated as lost, and its sender is accused in the end. Answers
    /// its number and what was in its place.
    pub(super) fn advance(&mut self, pool: &Pool) -> Option<(Seq, Taken)> {
        let mut misfit = None;
        while let Some(Entry { slot, flags }) = self.ring.get(self.prefix + 1) {
            let flags = Flags::of(flags);
            let Some(left) = body::left_after(self.missing_bytes, flags, pool.body(slot)) else {
                misfit = Some(self.prefix + 1);
                break;
            };
            self.missing_bytes = left;
            self.prefix += 1;
            if left == 0 {
                self.boundary = self.prefix;
            }
        }
        self.high = self.high.max(self.prefix);
        let seq = misfit?;
        let taken = self.ring.remove(seq)?;
        self.gap.ask_anew(self.prefix);
        self.high = self.high.max(seq);
        Some((seq, taken))
    }

    /// The stream is said to go up to `seq`; false if that is known. A sender keeps within the room
    /// that it was told: a number beyond is not to be trusted.
    pub(super) fn handle_known_end(&mut self, now: Time, seq: Seq) -> bool {
        let seq = seq.min(self.ring.end()).min(self.bound);
        if seq <= self.high {
            return false;
        }
        if !self.has_gap() {
            self.gap.restart(now);
        }
        self.gap.handle_missing(now, self.high + 1);
        self.high = seq;
        true
    }
}

/// What is missing.
impl Stream {
    /// Sets or clears the timers of gaps after the prefix or the known end has moved. Answers when
    /// a report is due, if that was decided now.
    pub(super) fn watch_gap(
        &mut self,
        now: Time,
        settings: &Settings,
        rng: &mut Rng,
    ) -> Option<Time> {
        if !self.has_gap() {
            self.gap.close(self.prefix);
            return None;
        }
        self.gap.watch(now, self.span(), settings, rng)
    }

    /// Everybody gets a new chance to repair.
    pub(super) fn restart_gap(&mut self, now: Time) {
        self.gap.restart(now);
    }

    /// Member `from` reports gaps of this stream; true if the own report is put off for that.
    pub(super) fn hear_report(
        &mut self,
        now: Time,
        from: Rank,
        ranges: impl Iterator<Item = SeqRange>,
        settings: &Settings,
        rng: &mut Rng,
    ) -> bool {
        let span = self.span();
        self.gap.hear_report(now, span, from, ranges, settings, rng)
    }

    /// The report that is due, of at most `ranges_max` ranges.
    pub(super) fn take_report(
        &mut self,
        now: Time,
        ranges_max: usize,
        settings: &Settings,
        next_source: impl FnOnce(Rank) -> Option<Rank>,
    ) -> Option<Report> {
        let (span, ring) = (self.span(), &self.ring);
        self.gap.take_report(now, span, ranges_max, settings, |seq| ring.has(seq), next_source)
    }

    /// It is needed up to `upto`. If it is `closed`, packets beyond are refused, and what is known
    /// to exist there is not needed.
    pub(super) fn settle(&mut self, upto: Seq, closed: bool) {
        self.bound = if closed { upto } else { Seq::MAX };
        if closed && self.high > upto {
            self.high = upto.max(self.prefix);
        }
    }

    /// `sources` may be asked for it, and `first` is the first of them.
    pub(super) fn settle_sources(&mut self, now: Time, first: Rank, sources: &[Rank]) {
        self.gap.settle(now, self.prefix, first, sources);
    }

    /// It is open and its sender is asked; false if that was so.
    pub(super) fn unsettle(&mut self, now: Time, origin: Rank) -> bool {
        self.bound = Seq::MAX;
        self.gap.unsettle(now, self.prefix, origin)
    }
}

/// What others lack.
impl Stream {
    /// Packets that somebody waits for.
    #[cfg(test)]
    pub(super) fn wanted_count(&self) -> usize {
        self.wanted.count()
    }

    /// The part of `from ..= upto` that can be here.
    pub(super) fn clip_here(&self, range: SeqRange, upto: Seq) -> Option<SeqRange> {
        range.clip(self.ring.base() + 1, self.high.min(upto))
    }

    /// Member `from` lacks packet `seq`, which was known to be here perhaps. `None`: it is not.
    pub(super) fn handle_asked(
        &mut self,
        now: Time,
        from: Rank,
        seq: Seq,
        settings: &Settings,
    ) -> Option<Asked> {
        let before = self.ring.repair(seq)?;
        let Some(repair) = before.asked_by(now, from, settings.repair_together_nanos()) else {
            return Some(Asked::UnderWay);
        };
        if before.wanted_by == repair.wanted_by {
            return Some(Asked::Known);
        }
        let is_new = before.wanted_by == Askers::Nobody;
        if is_new {
            self.wanted.add(seq);
        }
        self.ring.note_repair(seq, repair);
        Some(if is_new { Asked::New } else { Asked::Again })
    }

    /// The first packet that somebody waits for.
    pub(super) fn first_wanted(&mut self) -> Option<Seq> {
        let ring = &self.ring;
        self.wanted.first(|seq| ring.wanted_by(seq) != Askers::Nobody)
    }

    /// Whether somebody waits for a packet.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.count() > 0
    }

    /// Who waits for packet `seq`.
    pub(super) fn wanted_by(&self, seq: Seq) -> Askers {
        self.ring.wanted_by(seq)
    }

    /// Packet `seq` was sent again to who waits for it; false if it is not here.
    pub(super) fn handle_repaired(&mut self, now: Time, seq: Seq) -> bool {
        let Some(repair) = self.ring.repair(seq) else { return false };
        self.ring.note_repair(seq, repair.done(now));
        self.wanted.remove();
        true
    }

    /// Nobody waits any more for a packet that was given up.
    pub(super) fn unwant(&mut self) {
        self.wanted.remove();
    }

    /// Takes all packets out; nobody waits for any.
    pub(super) fn clear(&mut self) -> impl Iterator<Item = Slot> + '_ {
        self.wanted = Wanted::default();
        self.ring.drain()
    }
}

/// What everybody has.
impl Stream {
    /// All members have it up to `seq`; false if that is known. What is stable is here, too: a
    /// number beyond is not to be trusted.
    pub(super) fn handle_stable(&mut self, seq: Seq) -> bool {
        let is_news = seq > self.stable && seq <= self.prefix;
        if is_news {
            self.stable = seq;
        }
        is_news
    }

    /// Up to where packets can be given up: they are stable and delivered.
    #[inline]
    pub(super) fn reclaimable(&self) -> Seq {
        self.stable.min(self.delivered)
    }

    /// Gives up the first packet. The caller has asked [`Stream::reclaimable`].
    pub(super) fn reclaim(&mut self) -> Option<Taken> {
        self.ring.advance()
    }

    /// How soon its sender has to be told what was received and what there is room for.
    #[inline]
    pub(super) fn ack_due(&self, settings: &Settings) -> AckDue {
        let half = settings.window() as u64 / 2;
        let batch = settings.ack_packets();
        let end = self.ring.end();
        let received = self.acknowledged();
        let much = received >= self.told.received + batch;
        let narrow = end >= self.told.credit + batch && self.high + half >= self.told.credit;
        let has_news = received > self.told.received || end > self.told.credit;
        if much || narrow || (self.acks_messages && has_news) {
            AckDue::Now
        } else if has_news {
            AckDue::Soon
        } else {
            AckDue::Never
        }
    }

    fn has_news(&self) -> bool {
        self.acknowledged() > self.told.received || self.ring.end() > self.told.credit
    }

    /// What may be acknowledged.
    #[inline]
    pub(super) fn acknowledged(&self) -> Seq {
        let received = if self.acks_messages { self.boundary } else { self.prefix };
        received.min(self.ack_end)
    }

    /// From now on nothing beyond `end` is acknowledged.
    pub(super) fn set_ack_end(&mut self, end: Seq) {
        self.ack_end = end;
    }

    /// Its sender asks to be told.
    pub(super) fn handle_solicited(&mut self) {
        self.asked = true;
    }

    /// Whether there is something to tell; if `all` is asked for, that is so wherever something was
    /// received.
    pub(super) fn tells(&self, all: bool) -> bool {
        self.has_news() || ((all || self.asked) && self.prefix > 0)
    }

    /// What is told now.
    pub(super) fn tell(&mut self) -> AckEntry {
        self.asked = false;
        // What was told before a bound was set stays told.
        let received = self.acknowledged().max(self.told.received);
        self.told = AckEntry { received, credit: self.ring.end() };
        self.told
    }
}

/// Delivery.
impl Stream {
    /// What is delivered next, up to packet `limit`, which is a message boundary or has no end.
    #[inline]
    pub(super) fn peek(&self, limit: Seq) -> Option<Head> {
        let head = Head { packet: self.delivered + 1, offset: self.offset };
        (self.delivered < self.boundary.min(limit)).then_some(head)
    }

    /// Whether the message that is delivered next is one between members.
    pub(super) fn is_internal(&self) -> bool {
        let entry = self.ring.get(self.delivered + 1);
        entry.is_some_and(|entry| Flags::of(entry.flags).is_internal())
    }

    /// The next message of the prefix: a slice of its packet, or put together in `reassembly`.
    #[inline(always)] // once for each message
    pub(super) fn take<'a>(
        &mut self,
        pool: &'a Pool,
        reassembly: &'a mut [u8],
    ) -> Option<&'a [u8]> {
        let entry = self.ring.get(self.delivered + 1)?;
        let (flags, mut body) = (Flags::of(entry.flags), pool.body(entry.slot));
        if !flags.is_plain() {
            if flags.is_fragment() {
                return self.take_large(pool, reassembly);
            }
            body = body::content(flags, body);
        }
        let (payload, end) = body::message_at(body, self.offset)?;
        if end == body.len() {
            self.delivered += 1;
            self.offset = 0;
        } else {
            self.offset = end;
        }
        Some(payload)
    }

    #[inline(never)]
    fn take_large<'a>(&mut self, pool: &Pool, reassembly: &'a mut [u8]) -> Option<&'a [u8]> {
        let mut filled = 0;
        for seq in self.delivered + 1..=self.boundary {
            let entry = self.ring.get(seq)?;
            let flags = Flags::of(entry.flags);
            let part = body::part(flags, pool.body(entry.slot))?;
            reassembly.get_mut(filled..filled + part.len())?.copy_from_slice(part);
            filled += part.len();
            if flags.is_last() {
                self.delivered = seq;
                return reassembly.get(..filled);
            }
        }
        None
    }

    /// What is delivered next is passed over: a packet, or all packets of a large message.
    pub(super) fn pass_over(&mut self) {
        let is_last = |seq: &Seq| {
            let flags = self.ring.get(*seq).map(|entry| Flags::of(entry.flags));
            flags.is_none_or(Flags::ends_message)
        };
        let last = (self.delivered + 1..=self.boundary).find(is_last);
        (self.delivered, self.offset) = (last.unwrap_or(self.delivered + 1), 0);
    }

    /// A message was delivered to the application: its number, from 1.
    #[inline]
    pub(super) fn count_message(&mut self) -> u64 {
        self.messages += 1;
        self.messages
    }

    /// The own stream: packet `seq` is sealed. False if it has no place.
    pub(super) fn handle_sealed(&mut self, seq: Seq, slot: Slot, flags: Flags) -> bool {
        let placed = self.ring.insert(seq, slot, flags.bits());
        self.prefix = seq;
        self.boundary = seq;
        self.high = seq;
        placed
    }
}
