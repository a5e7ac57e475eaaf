//! What others lack of what is here: packets that somebody waits for, packets that are handed on,
//! and who may be asked for what is missing here.
//!
//! A report of a gap goes to all and names who shall answer. The answer goes to the one that asked,
//! or by multicast if two did.

use alloc::vec;
use alloc::vec::Vec;

use crate::ident::{Rank, Seq};
use crate::ranges::SeqRange;
use crate::time::Time;

/// Most ranges of others' packets that wait to be handed on; more are dropped, since who lacks them
/// asks.
const FORWARDS_MAX: usize = 64;

/// Bytes of what is to be handed on.
pub(super) const FORWARDS_BYTES: usize = FORWARDS_MAX * size_of::<Forward>();
/// Bytes by which a row of those who may be asked is rounded up.
pub(super) const SOURCE_BYTES: usize = size_of::<u64>();

/// What became of a request for a packet that is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// It was sent a moment ago.
    UnderWay,
    /// Nobody had waited for it.
    New,
    /// Others wait for it already.
    Again,
    /// The asker waits for it already.
    Known,
}

/// Packets of a ring that somebody waits for: `count` of them within `from ..= upto`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted {
    from: Seq,
    upto: Seq,
    count: usize,
}

impl Wanted {
    /// Packets that somebody waits for.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Somebody waits for packet `seq`, and nobody did.
    pub(super) fn add(&mut self, seq: Seq) {
        let first = self.count == 0;
        self.from = if first { seq } else { self.from.min(seq) };
        self.upto = if first { seq } else { self.upto.max(seq) };
        self.count += 1;
    }

    /// Nobody waits for one of them any more.
    pub(super) fn remove(&mut self) {
        self.count -= 1;
    }

    /// The first that `is_wanted`.
    pub(super) fn first(&mut self, is_wanted: impl Fn(Seq) -> bool) -> Option<Seq> {
        let seq = (self.from..=self.upto).find(|&seq| is_wanted(seq))?;
        self.from = seq;
        Some(seq)
    }
}

/// Packets that somebody waits for, in all streams, and whose are sent next.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    wanted: usize,
    turn: Rank,
}

impl Repairs {
    /// Packets that somebody waits for.
    pub(super) fn wanted(&self) -> usize {
        self.wanted
    }

    /// The stream whose repairs are sent next.
    pub(super) fn turn(&self) -> Rank {
        self.turn
    }

    /// Somebody waits for one more.
    pub(super) fn add(&mut self) {
        self.wanted += 1;
    }

    /// Nobody waits for one of them any more.
    pub(super) fn remove(&mut self) {
        self.wanted -= 1;
    }

    /// The repairs of `rank`'s stream are sent next.
    pub(super) fn set_turn(&mut self, rank: Rank) {
        self.turn = rank;
    }

    /// Nobody waits for anything.
    pub(super) fn clear(&mut self) {
        self.wanted = 0;
    }
}

/// Packets `next ..= upto` of `origin` are handed on to `to`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forward {
    to: Rank,
    origin: Rank,
    next: Seq,
    upto: Seq,
}

impl Forward {
    /// All packets of `range` are still to be handed on.
    pub(super) fn new(to: Rank, origin: Rank, range: SeqRange) -> Self {
        Self { to, origin, next: range.from, upto: range.upto }
    }

    /// Who gets them.
    pub(super) fn to(&self) -> Rank {
        self.to
    }

    /// Whose packets they are.
    pub(super) fn origin(&self) -> Rank {
        self.origin
    }

    /// The next packet.
    pub(super) fn next(&self) -> Seq {
        self.next
    }

    /// The last packet.
    pub(super) fn upto(&self) -> Seq {
        self.upto
    }
}

/// What is to be handed on, in order.
#[derive(Debug)]
pub(super) struct Forwards(Vec<Forward>);

impl Forwards {
    pub(super) fn new() -> Self {
        Self(Vec::with_capacity(FORWARDS_MAX))
    }

    /// Adds one, if there is room.
    pub(super) fn push(&mut self, forward: Forward) {
        if self.0.len() < FORWARDS_MAX {
            self.0.push(forward);
        }
    }

    /// The one that is under way.
    pub(super) fn first(&self) -> Option<Forward> {
        self.0.first().copied()
    }

    /// The first one goes on with packet `next`, or is done.
    pub(super) fn go_on(&mut self, next: Seq) {
        if let Some(forward) = self.0.first_mut() {
            forward.next = next;
            if next > forward.upto {
                self.0.remove(0);
            }
        }
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

/// Who may be asked for a stream: a row of bits for each. Made when there is somebody.
#[derive(Debug)]
pub(super) struct Sources {
    ranks: usize,
    bits: Vec<u64>,
}

impl Sources {
    pub(super) fn new(ranks: usize) -> Self {
        Self { ranks, bits: Vec::new() }
    }

    fn words(&self) -> usize {
        self.ranks.div_ceil(64)
    }

    /// These, and nobody else, may be asked for `stream`.
    pub(super) fn set(&mut self, stream: Rank, sources: impl Iterator<Item = Rank>) {
        let words = self.words();
        let mut sources = sources.peekable();
        if self.bits.is_empty() {
            if sources.peek().is_none() {
                return;
            }
            self.bits = vec![0; self.ranks * words];
        }
        let row = &mut self.bits[usize::from(stream) * words..][..words];
        row.fill(0);
        for rank in sources {
            row[usize::from(rank) / 64] |= 1 << (rank % 64);
        }
    }

    /// Whether `rank` may be asked for `stream`.
    pub(super) fn has(&self, stream: Rank, rank: Rank) -> bool {
        let at = usize::from(rank);
        let word = self.bits.get(usize::from(stream) * self.words() + at / 64);
        word.is_some_and(|bits| bits >> (at % 64) & 1 == 1)
    }

    /// Who is asked for `stream` after `rank`.
    pub(super) fn after(&self, stream: Rank, rank: Rank) -> Option<Rank> {
        let from = usize::from(rank) + 1;
        let around = (from..self.ranks).chain(0..from).map(|r| r as Rank);
        around.into_iter().find(|&r| self.has(stream, r))
    }
}

/// When the next report of a gap is due, at the earliest.
#[derive(Debug, Default)]
pub(super) struct ReportTimer(Option<Time>);

impl ReportTimer {
    /// No gap is due to be reported before.
    pub(super) fn at(&self) -> Option<Time> {
        self.0
    }

    /// Whether reports may be due.
    pub(super) fn is_due(&self, now: Time) -> bool {
        self.0.is_some_and(|at| at <= now)
    }

    /// One is due at `at`.
    pub(super) fn wake_by(&mut self, at: Time) {
        if self.0.is_none_or(|due| at < due) {
            self.0 = Some(at);
        }
    }

    /// All were looked at: the next one is due at `at`.
    pub(super) fn set(&mut self, at: Option<Time>) {
        self.0 = at;
    }
}
