//! What is missing of one stream, and what is learnt from how it comes after all: how long repairs take, and how late
//! packets come that others have overtaken.
//!
//! A packet that comes to one member alone is a repair. One that comes to all is the original, unless two members asked
//! for it; where another member was heard to ask, or a repair can be here, it can be either.

use super::Settings;
use crate::ident::{Rank, Seq};
use crate::ranges::SeqRange;
use crate::time::Time;

/// Reports of a gap are at least so far apart, in µs, however fast repairs come.
const REPEAT_MIN_US: u64 = 300;

/// A gap is reported again after so many halves of the time that repairs take.
const REPEAT_HALVES: u64 = 3;

/// Reports that bring nothing are each twice as far apart as the one before, so often.
const BACKOFFS_MAX: u32 = 8;

/// … and until it is known how long repairs take, so often.
const BLIND_BACKOFFS_MAX: u32 = 4;

/// Reports are at most this part of the time apart after which somebody is accused, and once so much has passed …
const STUCK_SHARE: u64 = 4;

/// … this part.
const STUCK_REPEATS: u64 = 16;

/// Of how late packets come a later one counts at once, an earlier one by this part of the difference: it stays close to
/// the latest.
const LATE_SHARE: u64 = 64;

/// One that was lost after all says nothing of that, but that there is less to wait for: by this part.
const LOST_SHARE: u64 = 16;

/// This part of it is waited for besides.
const LATE_MARGIN: u64 = 4;

/// A packet that was reported.
#[derive(Clone, Copy, Debug)]
struct Probe {
    seq: Seq,
    /// When it was reported first, and last.
    first: Time,
    last: Time,
    /// It is here; a repair that comes still tells something, too.
    is_here: bool,
}

/// What is missing of a stream, and who was asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    /// Since when there is a gap and nothing new came.
    pub(super) since: Time,
    /// … and its first packet did not come.
    stuck: Time,
    /// When gaps above `asked` are reported, up to `fresh_upto`: what became known later may still be on its way.
    pub(super) fresh_at: Option<Time>,
    pub(super) fresh_upto: Seq,
    /// When gaps up to `mature` are reported again.
    pub(super) repeat_at: Option<Time>,
    /// Gaps up to here were reported.
    pub(super) asked: Seq,
    /// … long enough ago for the repair to have come, once `repeat_at` is there.
    pub(super) mature: Seq,
    /// Its repair tells how long repairs take.
    probe: Option<Probe>,
    /// How long repairs take, in µs, once it was seen.
    delay_us: Option<u64>,
    /// Reports in a row that were repeated before the repair could be here.
    hasty: u32,
    /// A packet that is missing, and since when that is known: if it comes by itself, it was overtaken for so long.
    awaited: Option<(Seq, Time)>,
    /// How late packets come that were overtaken, in µs: nearly the longest time.
    late_us: u64,
    /// Reports in a row that brought nothing.
    pub(super) unanswered: u32,
    /// The part of a report that did not fit one packet.
    pub(super) rest: Option<SeqRange>,
    /// Who is asked.
    pub(super) source: Rank,
    /// Whether the endpoint named who may be asked.
    pub(super) settled: bool,
    /// The last other member that was heard to report a gap that is here, too, since the own last report.
    pub(super) heard: Option<Rank>,
    /// There was one since the stream had no gap.
    pub(super) shared: bool,
    /// The report was put off since the last own one.
    pub(super) put_off: bool,
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
            probe: None,
            delay_us: None,
            hasty: 0,
            awaited: None,
            late_us: 0,
            unanswered: 0,
            rest: None,
            source: origin,
            settled: false,
            heard: None,
            shared: false,
            put_off: false,
        }
    }

    /// Something new came.
    pub(super) fn progress(&mut self, now: Time) {
        self.since = now;
    }

    /// The gap begins, or begins later than before, or everybody gets a new chance.
    pub(super) fn restart(&mut self, now: Time) {
        self.since = now;
        self.stuck = now;
    }

    /// Packet `seq` is known to be missing from now on.
    pub(super) fn miss(&mut self, now: Time, seq: Seq) {
        self.awaited = self.awaited.or(Some((seq, now)));
    }

    /// Packet `seq` was reported for the first time.
    pub(super) fn note_asked(&mut self, now: Time, seq: Seq, settings: &Settings) {
        let long = settings.peer_ms * 1000 / STUCK_SHARE;
        let patience = self.delay_us.map_or(long, |known| 2 * known);
        if self.probe.is_none_or(|probe| (now - probe.last) / 1000 > patience) {
            self.probe = Some(Probe { seq, first: now, last: now, is_here: false });
        }
    }

    /// What is missing up to `upto` is reported once more.
    pub(super) fn note_asked_again(&mut self, now: Time, upto: Seq) {
        self.unanswered += 1;
        if let Some(probe) = &mut self.probe
            && !probe.is_here
            && probe.seq <= upto
        {
            probe.last = now;
        }
    }

    /// Packet `seq` came, `to_group` if it is known whether to all, and may have been reported.
    pub(super) fn filled(
        &mut self,
        now: Time,
        seq: Seq,
        to_group: Option<bool>,
        settings: &Settings,
    ) {
        let to_all = to_group == Some(true) && !self.shared;
        if let Some((awaited, since)) = self.awaited
            && awaited == seq
        {
            self.awaited = None;
            let late = (now - since) / 1000;
            let is_early = self.delay_us.map_or(seq > self.asked, |known| late < known / 2);
            if to_all && is_early {
                self.learn_late(late.min(settings.nak_delay_max_us));
            } else if to_group == Some(false) {
                self.late_us -= self.late_us.div_ceil(LOST_SHARE);
            }
        }
        if seq > self.asked {
            return;
        }
        self.unanswered = 0;
        let is_early = |us: u64| self.delay_us.is_none_or(|known| us < known / 2);
        if let Some(probe) = &mut self.probe
            && probe.seq == seq
        {
            let us = (now - probe.first) / 1000;
            if probe.first != probe.last || to_all && is_early(us) {
                probe.is_here = true;
            } else {
                self.probe = None;
                self.learn_delay(us);
            }
        }
    }

    /// Packet `seq` came to this member alone and was here: the repair of what was only overtaken, or of what had been
    /// reported again too early.
    pub(super) fn repaired_in_vain(&mut self, now: Time, seq: Seq) {
        if let Some(probe) = self.probe
            && probe.is_here
            && probe.seq == seq
        {
            self.probe = None;
            if probe.first == probe.last {
                self.learn_delay((now - probe.first) / 1000);
            } else {
                self.hasty = (self.hasty + 1).min(BACKOFFS_MAX);
            }
        }
    }

    fn learn_late(&mut self, sample: u64) {
        let known = self.late_us;
        self.late_us = known.max(sample) - known.saturating_sub(sample) / LATE_SHARE;
    }

    /// Between a report, the only one, and its repair lie so many µs.
    fn learn_delay(&mut self, us: u64) {
        self.hasty = 0;
        // Slower ones count at once, since a report too early costs more than one too late.
        self.delay_us = Some(match self.delay_us {
            Some(known) if us < known => known - (known - us) / 8,
            Some(known) => known.midpoint(us),
            None => us,
        });
    }

    /// The least pause before a new gap is reported, in µs: packets that were only overtaken are about to come.
    pub(super) fn least_us(&self, settings: &Settings) -> u64 {
        let late = self.late_us + self.late_us / LATE_MARGIN;
        late.min(settings.nak_delay_max_us).max(settings.nak_delay_us / 4)
    }

    /// The pause before gaps are reported again, in µs: as long as repairs take and half of that, at least, and longer where
    /// that was too early; `max_us` bounds what it grows to while nothing comes, and is the pause until it is known how long
    /// repairs take. The third report and those after it may be too early for that: they are each twice as far apart. Where
    /// the first packet is missing for long, report after report was lost: then more are risked, before somebody is accused.
    pub(super) fn pause_us(&self, now: Time, settings: &Settings) -> u64 {
        let max_us = settings.nak_repeat_ms * 1000;
        let peer_us = settings.peer_ms * 1000;
        let stuck = (now - self.stuck) / 1000 > peer_us / STUCK_SHARE;
        let bound = peer_us / if stuck { STUCK_REPEATS } else { STUCK_SHARE };
        let Some(delay_us) = self.delay_us else {
            let doublings = self.hasty.saturating_add(self.unanswered.saturating_sub(1));
            let grown = max_us << doublings.min(BLIND_BACKOFFS_MAX);
            return if stuck { max_us } else { grown.min(bound.max(max_us)) };
        };
        let base = (delay_us * REPEAT_HALVES / 2) << self.hasty;
        let base = base.clamp(REPEAT_MIN_US.min(bound), bound);
        (base << self.unanswered.min(BACKOFFS_MAX)).min(max_us.max(base))
    }

    pub(super) fn is_watched(&self) -> bool {
        self.fresh_at.is_some() || self.repeat_at.is_some()
    }

    pub(super) fn next(&self) -> Option<Time> {
        match (self.fresh_at, self.repeat_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    pub(super) fn close(&mut self, prefix: Seq) {
        self.fresh_at = None;
        self.repeat_at = None;
        self.rest = None;
        self.heard = None;
        self.shared = false;
        self.put_off = false;
        self.awaited = None;
        self.unanswered = 0;
        self.asked = self.asked.max(prefix);
    }
}
