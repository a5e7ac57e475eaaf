//! What is learnt from how missing packets come after all: how long repairs take, and how late
//! packets come that others have overtaken.
//!
//! A packet that comes to one member alone is a repair. One that comes to all is the original,
//! unless two members asked for it; where another member was heard to ask, or a repair can be here,
//! it can be either.

use super::super::settings::Settings;
use crate::ident::Seq;
use crate::time::Time;

/// Reports of a gap are at least so far apart, in µs, however fast repairs come.
const REPEAT_MIN_US: u64 = 300;

/// The pause before a gap is reported again, in halves of the time that a repair takes.
const REPEAT_HALVES: u64 = 3;

/// The pause between reports that bring nothing is doubled at most this number of times.
const BACKOFFS_MAX: u32 = 8;

/// The same bound until it is known how long repairs take.
const BLIND_BACKOFFS_MAX: u32 = 4;

/// Reports are at most this part of the time apart after which somebody is accused.
const STUCK_SHARE: u64 = 4;

/// The same share once a gap has lasted for the first one.
const STUCK_REPEATS: u64 = 16;

/// A sample of how late packets come counts at once if it is later than what is known. An earlier
/// one counts by this part of the difference: so what is known stays close to the latest.
const LATE_SHARE: u64 = 64;

/// A packet that was lost lowers what is known of late packets by this part: there is less to wait
/// for.
const LOST_SHARE: u64 = 16;

/// A report waits for late packets by this part longer than they are known to take.
const LATE_MARGIN: u64 = 4;

/// A packet that was reported.
#[derive(Clone, Copy, Debug)]
struct Probe {
    seq: Seq,
    /// When it was reported first, and last.
    first: Time,
    last: Time,
    /// It is here. A repair that still comes tells something, too.
    is_here: bool,
}

/// How a missing packet came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    seq: Seq,
    /// Whether it came to all or to this member alone, if that is known.
    to_group: Option<bool>,
    /// Whether it came to all and nobody else was heard to ask for it.
    is_original: bool,
    /// Whether it was reported.
    was_asked: bool,
}

impl Arrival {
    /// Packet `seq` of a stream came, `to_group` if it is known whether to all. Gaps were reported
    /// up to `asked`, and perhaps by others (`shared`).
    pub(super) fn new(seq: Seq, to_group: Option<bool>, shared: bool, asked: Seq) -> Self {
        let is_original = to_group == Some(true) && !shared;
        Self { seq, to_group, is_original, was_asked: seq <= asked }
    }
}

/// What is known of the delays of one stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Delays {
    /// The packet whose repair will tell how long repairs take.
    probe: Option<Probe>,
    /// How long repairs take, in µs, once one was seen.
    repair_us: Option<u64>,
    /// Reports in a row that were repeated before the repair could be here.
    hasty: u32,
    /// A packet that is missing, and since when that is known. If it comes by itself, that is how
    /// long it was overtaken.
    awaited: Option<(Seq, Time)>,
    /// How late packets come that were overtaken, in µs: nearly the longest time.
    late_us: u64,
}

impl Delays {
    /// Packet `seq` is known to be missing from now on.
    pub(super) fn handle_missing(&mut self, now: Time, seq: Seq) {
        self.awaited = self.awaited.or(Some((seq, now)));
    }

    /// Nothing is missing any more.
    pub(super) fn handle_closed(&mut self) {
        self.awaited = None;
    }

    /// Packet `seq` was reported for the first time.
    pub(super) fn handle_asked(&mut self, now: Time, seq: Seq, settings: &Settings) {
        let long = settings.peer_ms() * 1000 / STUCK_SHARE;
        let patience = self.repair_us.map_or(long, |known| 2 * known);
        if self.probe.is_none_or(|probe| (now - probe.last) / 1000 > patience) {
            self.probe = Some(Probe { seq, first: now, last: now, is_here: false });
        }
    }

    /// What is missing up to `upto` is reported once more.
    pub(super) fn handle_asked_again(&mut self, now: Time, upto: Seq) {
        if let Some(probe) = &mut self.probe
            && !probe.is_here
            && probe.seq <= upto
        {
            probe.last = now;
        }
    }

    /// A packet that was missing came.
    pub(super) fn handle_arrival(&mut self, now: Time, arrival: &Arrival, settings: &Settings) {
        self.learn_from_awaited(now, arrival, settings);
        if arrival.was_asked {
            self.learn_from_probe(now, arrival);
        }
    }

    fn learn_from_awaited(&mut self, now: Time, arrival: &Arrival, settings: &Settings) {
        let Some((_, since)) = self.awaited.filter(|(seq, _)| *seq == arrival.seq) else { return };
        self.awaited = None;
        let late = (now - since) / 1000;
        let is_early = self.repair_us.map_or(!arrival.was_asked, |known| late < known / 2);
        if arrival.is_original && is_early {
            self.learn_late(late.min(settings.nak_delay_max_us()));
        } else if arrival.to_group == Some(false) {
            self.late_us -= self.late_us.div_ceil(LOST_SHARE);
        }
    }

    fn learn_from_probe(&mut self, now: Time, arrival: &Arrival) {
        let is_early = |us: u64| self.repair_us.is_none_or(|known| us < known / 2);
        if let Some(probe) = &mut self.probe
            && probe.seq == arrival.seq
        {
            let us = (now - probe.first) / 1000;
            if probe.first != probe.last || arrival.is_original && is_early(us) {
                probe.is_here = true;
            } else {
                self.probe = None;
                self.learn_repair(us);
            }
        }
    }

    /// Packet `seq` came to this member alone and was here: the repair of what was only overtaken,
    /// or of what had been reported again too early.
    pub(super) fn handle_needless_repair(&mut self, now: Time, seq: Seq) {
        if let Some(probe) = self.probe
            && probe.is_here
            && probe.seq == seq
        {
            self.probe = None;
            if probe.first == probe.last {
                self.learn_repair((now - probe.first) / 1000);
            } else {
                self.hasty = (self.hasty + 1).min(BACKOFFS_MAX);
            }
        }
    }

    fn learn_late(&mut self, sample: u64) {
        let known = self.late_us;
        self.late_us = known.max(sample) - known.saturating_sub(sample) / LATE_SHARE;
    }

    /// `us` µs lie between a report, the only one, and its repair.
    fn learn_repair(&mut self, us: u64) {
        self.hasty = 0;
        // A slower repair counts at once, since a report too early costs more than one too late.
        self.repair_us = Some(match self.repair_us {
            Some(known) if us < known => known - (known - us) / 8,
            Some(known) => known.midpoint(us),
            None => us,
        });
    }

    /// The least pause before a new gap is reported, in µs: packets that were only overtaken are
    /// about to come.
    pub(super) fn before_report_us(&self, settings: &Settings) -> u64 {
        let late = self.late_us + self.late_us / LATE_MARGIN;
        late.min(settings.nak_delay_max_us()).max(settings.nak_delay_us() / 4)
    }

    /// The pause before gaps are reported again, in µs, after `unanswered` reports in a row that
    /// brought nothing.
    ///
    /// It is one and a half times as long as repairs take, and longer where that was too early.
    /// `nak_repeat_ms` bounds what it grows to while nothing comes, and is the pause until it is
    /// known how long repairs take. The third report and those after it may be too early for that:
    /// each pause is twice the one before. Where the first packet has been missing for `stuck_us`,
    /// report after report was lost: then more are risked, before somebody is accused.
    pub(super) fn repeat_us(&self, stuck_us: u64, unanswered: u32, settings: &Settings) -> u64 {
        let max_us = settings.nak_repeat_ms() * 1000;
        let peer_us = settings.peer_ms() * 1000;
        let stuck = stuck_us > peer_us / STUCK_SHARE;
        let bound = peer_us / if stuck { STUCK_REPEATS } else { STUCK_SHARE };
        let Some(repair_us) = self.repair_us else {
            let doublings = self.hasty.saturating_add(unanswered.saturating_sub(1));
            let grown = max_us << doublings.min(BLIND_BACKOFFS_MAX);
            return if stuck { max_us } else { grown.min(bound.max(max_us)) };
        };
        let base = (repair_us * REPEAT_HALVES / 2) << self.hasty;
        let base = base.clamp(REPEAT_MIN_US.min(bound), bound);
        (base << unanswered.min(BACKOFFS_MAX)).min(max_us.max(base))
    }
}
