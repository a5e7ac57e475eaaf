//! When acknowledgements are sent, and of which streams.

use crate::ident::Rank;
use crate::time::Time;

/// In views of more members than this, an acknowledgement for one sender goes to that sender alone:
/// all together would be the square of the members. Each member acknowledges more rarely, so that a
/// sender gets as many acknowledgements in a time as from this number of members.
const FEW_RANKS: usize = 32;

/// An acknowledgement is one run of ranks. Rather than to end the run, it repeats what it has told
/// of up to this number of streams.
const TOLD_BETWEEN_MAX: usize = 8;

/// The factor on the times of the configuration after which members of a view of `ranks`
/// acknowledge.
pub(super) fn slowness(ranks: usize) -> u64 {
    (ranks / FEW_RANKS).max(1) as u64
}

/// The acknowledgement that is under way: one packet may not hold all of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    /// The rank with which it goes on.
    from: usize,
    /// Whether it is of all that send.
    of_all: bool,
}

impl Round {
    /// Whether it is of all that send.
    pub(super) fn is_of_all(&self) -> bool {
        self.of_all
    }

    /// The ranks of the next part, of at most `entries_max`: those that `tells`, and some between.
    pub(super) fn next_part(
        &self,
        ranks: usize,
        entries_max: usize,
        tells: impl Fn(Rank) -> bool,
    ) -> Option<(usize, usize)> {
        let tells = |index: &usize| tells(*index as Rank);
        let first = (self.from..ranks).find(tells)?;
        let mut end = first + 1;
        while let Some(next) =
            (end..ranks.min(first + entries_max).min(end + TOLD_BETWEEN_MAX)).find(tells)
        {
            end = next + 1;
        }
        Some((first, end))
    }

    /// Whether a part of `streams` streams in a view of `ranks` is for their sender alone.
    pub(super) fn is_for_one(&self, ranks: usize, streams: usize) -> bool {
        ranks > FEW_RANKS && streams == 1 && !self.of_all
    }
}

/// When acknowledgements are due.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Acks {
    /// When the next one is due.
    at: Option<Time>,
    round: Option<Round>,
    /// Somebody lacks acknowledgements of others' streams: the next one is of all that send.
    of_all: bool,
    last: Time,
}

impl Acks {
    /// When the next one is due.
    pub(super) fn at(&self) -> Option<Time> {
        self.at
    }

    /// One is due at `at`.
    pub(super) fn wake_by(&mut self, at: Time) {
        if self.at.is_none_or(|due| at < due) {
            self.at = Some(at);
        }
    }

    /// The next one is due at `at`, whatever was said meanwhile.
    pub(super) fn set_at(&mut self, at: Option<Time>) {
        self.at = at;
    }

    /// A member lacks acknowledgements of others' streams.
    pub(super) fn ask_for_all(&mut self) {
        self.of_all = true;
    }

    /// When the next one may go out that was asked for, if members may ask for one in `ack_ms`.
    pub(super) fn earliest(&self, now: Time, ack_ms: u64) -> Time {
        self.last.plus_ms(ack_ms).max(now)
    }

    /// The one that is under way or due. [`Acks::go_on`] says that it is not at its end.
    pub(super) fn take_round(&mut self, now: Time) -> Option<Round> {
        if self.round.is_none() && self.at.is_some_and(|at| at <= now) {
            let round = Some(Round { from: 0, of_all: self.of_all });
            *self = Self { at: None, round, of_all: false, last: now };
        }
        self.round.take()
    }

    /// The part up to rank `end` was told.
    pub(super) fn go_on(&mut self, round: Round, end: usize) {
        self.round = Some(Round { from: end, ..round });
    }
}
