//! What is missing of one stream: when it is reported, and to whom.
//!
//! A gap is reported after a short random delay and reported again while it lasts. A member that
//! has heard two others report a gap of its own keeps quiet for a while: the answer to two is a
//! multicast.

mod delay;

use super::settings::Settings;
use crate::ident::{Rank, Seq};
use crate::ranges::{RangeList, SeqRange};
use crate::rng::Rng;
use crate::time::Time;
use crate::wire::packet::NAK_RANGES_MAX;

use delay::{Arrival, Delays};

/// The part of a stream in which packets can be missing: `prefix` is the last one before it, `high`
/// the last one in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    prefix: Seq,
    high: Seq,
}

impl Span {
    pub(super) fn new(prefix: Seq, high: Seq) -> Self {
        Self { prefix, high }
    }
}

/// A report that is due: who is asked, and for what.
#[derive(Debug)]
pub(super) struct Report {
    source: Rank,
    ranges: RangeList<NAK_RANGES_MAX>,
}

impl Report {
    /// Who is asked.
    pub(super) fn source(&self) -> Rank {
        self.source
    }

    /// What is missing; perhaps nothing any more.
    pub(super) fn ranges(&self) -> &[SeqRange] {
        self.ranges.as_slice()
    }
}

/// What is missing of a stream, and who was asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    /// Since when there is a gap and nothing new came.
    since: Time,
    /// Since when there is a gap and its first packet did not come.
    stuck: Time,
    /// When gaps above `asked` are reported, up to `fresh_upto`: what became known later may still
    /// be on its way.
    fresh_at: Option<Time>,
    fresh_upto: Seq,
    /// When gaps up to `mature` are reported again.
    repeat_at: Option<Time>,
    /// Gaps up to here were reported.
    asked: Seq,
    /// Gaps up to here were reported so long ago that the repair can have come at `repeat_at`.
    mature: Seq,
    delays: Delays,
    /// Reports in a row that brought nothing.
    unanswered: u32,
    /// The part of a report that did not fit one packet.
    rest: Option<SeqRange>,
    /// Who is asked.
    source: Rank,
    /// Whether the endpoint named who may be asked.
    settled: bool,
    /// The last other member that was heard to report a gap that is here, too, since the own last
    /// report.
    heard: Option<Rank>,
    /// There was such a member since the stream had no gap.
    shared: bool,
    /// The report was put off since the last own one.
    put_off: bool,
}

impl Gap {
    pub(super) fn new(origin: Rank) -> Self {
        Self {
            since: Time::ZERO,
            stuck: Time::ZERO,
            fresh_at: None,
            fresh_upto: 0,
            repeat_at: None,
            asked: 0,
            mature: 0,
            delays: Delays::default(),
            unanswered: 0,
            rest: None,
            source: origin,
            settled: false,
            heard: None,
            shared: false,
            put_off: false,
        }
    }

    /// Since when there is a gap and nothing new came.
    pub(super) fn since(&self) -> Time {
        self.since
    }

    /// Whether the endpoint named who may be asked.
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    /// When gaps above those that were reported are due.
    #[cfg(test)]
    pub(super) fn fresh_at(&self) -> Option<Time> {
        self.fresh_at
    }

    /// Gaps up to here were reported.
    #[cfg(test)]
    pub(super) fn asked(&self) -> Seq {
        self.asked
    }

    /// When the next report is due.
    pub(super) fn next_report(&self) -> Option<Time> {
        match (self.fresh_at, self.repeat_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Something new came.
    pub(super) fn handle_progress(&mut self, now: Time) {
        self.since = now;
    }

    /// The gap begins, or begins later than before, or everybody gets a new chance.
    pub(super) fn restart(&mut self, now: Time) {
        self.since = now;
        self.stuck = now;
    }

    /// Packet `seq` is known to be missing from now on.
    pub(super) fn handle_missing(&mut self, now: Time, seq: Seq) {
        self.delays.handle_missing(now, seq);
    }

    /// Packet `seq` of a stream that has a gap came, `to_group` if it is known whether to all.
    pub(super) fn handle_packet(
        &mut self,
        now: Time,
        seq: Seq,
        to_group: Option<bool>,
        settings: &Settings,
    ) {
        let arrival = Arrival::new(seq, to_group, self.shared, self.asked);
        self.delays.handle_arrival(now, &arrival, settings);
        if seq <= self.asked {
            self.unanswered = 0;
        }
    }

    /// Packet `seq` came, and no packet above `high` had been known.
    pub(super) fn handle_new_end(&mut self, now: Time, high: Seq, seq: Seq) {
        if seq > high + 1 {
            self.delays.handle_missing(now, high + 1);
        } else if self.asked == high {
            // Nothing between is missing that was not missing before: there is no new gap to
            // report.
            self.asked = seq;
        }
    }

    /// Packet `seq` came to this member alone and was here.
    pub(super) fn handle_needless_repair(&mut self, now: Time, seq: Seq) {
        self.delays.handle_needless_repair(now, seq);
    }

    /// What is missing beyond `prefix` is asked for anew.
    pub(super) fn ask_anew(&mut self, prefix: Seq) {
        self.asked = prefix;
    }

    /// The endpoint names who may be asked: the first of `sources`, unless the one that is asked is
    /// among them.
    pub(super) fn settle(&mut self, now: Time, prefix: Seq, first: Rank, sources: &[Rank]) {
        self.settled = true;
        if self.source != first && !sources.contains(&self.source) {
            self.source = first;
            // The new source was not asked for anything yet.
            self.asked = prefix;
            self.restart(now);
        }
    }

    /// The sender is asked again; false if it was asked all the time.
    pub(super) fn unsettle(&mut self, now: Time, prefix: Seq, origin: Rank) -> bool {
        let was_settled = core::mem::take(&mut self.settled);
        if was_settled {
            self.source = origin;
            self.asked = self.asked.min(prefix);
            self.restart(now);
        }
        was_settled
    }

    /// There is no gap (any more).
    pub(super) fn close(&mut self, prefix: Seq) {
        self.fresh_at = None;
        self.repeat_at = None;
        self.rest = None;
        self.heard = None;
        self.shared = false;
        self.put_off = false;
        self.delays.handle_closed();
        self.unanswered = 0;
        self.asked = self.asked.max(prefix);
    }

    /// There is a gap in `span`: sets the timer of its first report. Answers when that is due, if
    /// it was set now.
    pub(super) fn watch(
        &mut self,
        now: Time,
        span: Span,
        settings: &Settings,
        rng: &mut Rng,
    ) -> Option<Time> {
        let least_us = self.delays.before_report_us(settings);
        if self.next_report().is_none() {
            self.asked = self.asked.min(span.high - 1).max(span.prefix);
        }
        if let Some(at) = self.fresh_at {
            // What there is time enough for still is reported with it.
            if now.plus_us(least_us) <= at {
                self.fresh_upto = span.high;
            }
            return None;
        }
        if span.high <= self.asked {
            return None;
        }
        let delay_us = settings.nak_delay_us();
        let at = now.plus_us(least_us + rng.below(delay_us - delay_us / 4 + 1));
        self.fresh_at = Some(at);
        self.fresh_upto = span.high;
        Some(at)
    }

    /// Member `from` reports gaps of the same stream. Once two others have reported a gap in
    /// `span`, the answer will be a multicast: the own report is put off, once. True if it is now.
    pub(super) fn hear_report(
        &mut self,
        now: Time,
        span: Span,
        from: Rank,
        ranges: impl Iterator<Item = SeqRange>,
        settings: &Settings,
        rng: &mut Rng,
    ) -> bool {
        let Some(due) = self.next_report() else { return false };
        let first = if self.fresh_at.is_some() { self.asked.max(span.prefix) } else { span.prefix };
        let mut same = false;
        for range in ranges {
            self.shared |= range.clip(span.prefix + 1, span.high).is_some();
            same |= range.clip(first + 1, span.high).is_some();
        }
        if self.put_off || !same || self.heard.replace(from).is_none_or(|other| other == from) {
            return false;
        }
        self.put_off = true;
        self.fresh_at = None;
        self.asked = span.high;
        self.mature = span.high;
        let pause_us = self.repeat_us(now, settings) + rng.below(settings.nak_delay_us() + 1);
        self.repeat_at = Some(now.plus_us(pause_us).max(due));
        true
    }

    /// What is due to be reported of `span`, as far as it does not fulfil `is_here`: at most
    /// `ranges_max` ranges. The ranges are empty if nothing is missing there. Where a report is
    /// repeated, `next_source` says who is asked after one that was.
    pub(super) fn take_report(
        &mut self,
        now: Time,
        span: Span,
        ranges_max: usize,
        settings: &Settings,
        is_here: impl Fn(Seq) -> bool,
        next_source: impl FnOnce(Rank) -> Option<Rank>,
    ) -> Option<Report> {
        let region = self.take_due(now, span, settings, next_source)?;
        let mut ranges = RangeList::new();
        let mut missing = (region.from..=region.upto).filter(|&seq| !is_here(seq));
        let full_at = missing.find(|&seq| !ranges.push(seq, ranges_max));
        if region.from > self.asked
            && let Some(first) = ranges.as_slice().first()
        {
            self.delays.handle_asked(now, first.from, settings);
        }
        self.rest = full_at.map(|from| SeqRange { from, upto: region.upto });
        self.asked = self.asked.max(full_at.map_or(region.upto, |seq| seq - 1));
        if self.repeat_at.is_none() {
            self.repeat_later(now, settings);
        }
        self.heard = None;
        self.put_off = false;
        Some(Report { source: self.source, ranges })
    }

    /// The part of a stream in which gaps are due to be reported.
    fn take_due(
        &mut self,
        now: Time,
        Span { prefix, high }: Span,
        settings: &Settings,
        next_source: impl FnOnce(Rank) -> Option<Rank>,
    ) -> Option<SeqRange> {
        if let Some(rest) = self.rest.take().and_then(|r| r.clip(prefix + 1, high)) {
            return Some(rest);
        }
        let is_due = |at: Option<Time>| at.is_some_and(|at| at <= now);
        let mature = self.mature.min(self.asked);
        if is_due(self.repeat_at) && mature > prefix {
            self.repeat_at = None;
            self.unanswered += 1;
            self.delays.handle_asked_again(now, mature);
            if self.settled {
                self.source = next_source(self.source).unwrap_or(self.source);
            }
            return (SeqRange { from: prefix + 1, upto: mature }).clip(1, high);
        }
        if is_due(self.repeat_at) {
            // What was reported meanwhile is next.
            self.repeat_later(now, settings);
        }
        if is_due(self.fresh_at) {
            self.fresh_at = None;
            let (from, upto) = (self.asked.max(prefix) + 1, self.fresh_upto);
            return (SeqRange { from, upto }).clip(1, high);
        }
        None
    }

    /// What was reported until now is reported again after a pause.
    fn repeat_later(&mut self, now: Time, settings: &Settings) {
        self.mature = self.asked;
        self.repeat_at = Some(now.plus_us(self.repeat_us(now, settings)));
    }

    fn repeat_us(&self, now: Time, settings: &Settings) -> u64 {
        self.delays.repeat_us((now - self.stuck) / 1000, self.unanswered, settings)
    }
}
