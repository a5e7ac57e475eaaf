//! The joiner's side of a transfer: ranges are asked for, a bounded number of bytes ahead, and
//! written in order.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::spool::Written;
use super::state::{Broken, Sink};
use crate::ident::ProcessId;
use crate::time::Time;
use crate::wire::replica::{Standing, Word};

/// Most bytes that are asked for ahead of what was written. The window begins with 32 KiB. It grows
/// with what comes, and is halved when something was lost.
pub const PULL_WINDOW_BYTES: u64 = 512 << 10;
const WINDOW_BEGIN_BYTES: u64 = 32 << 10;
const WINDOW_LEAST_BYTES: u64 = 4 << 10;
/// A range that is asked for is this part of the window.
const RANGES_PER_WINDOW: u64 = 8;
/// So many bytes behind a gap say that it was lost and not overtaken.
const LOST_BEHIND_BYTES: u64 = 16 << 10;
/// Pieces out of order that are kept; more are dropped and asked for again.
const PIECES_MAX: usize = 64;
/// After so long without progress, in ms, what is missing is asked for again. Each time without
/// any doubles it, up to [`RETRY_MS_MAX`].
const RETRY_MS: u64 = 20;
const RETRY_MS_MAX: u64 = 640;
/// Times in a row that nothing came, after which the donor is given up for another one.
const RETRIES_MAX: u32 = 8;

/// Bytes that arrived: from, upto.
type Piece = (u64, u64);

/// A transfer of state to this process.
#[derive(Debug)]
pub(super) struct Pull {
    donor: ProcessId,
    /// The snapshot has at least so many messages.
    since: u64,
    /// How far the snapshot has come, its length and its sum.
    about: Option<(Standing, u64, u32)>,
    written: Written,
    /// The bytes behind what was written; a ring of [`PULL_WINDOW_BYTES`].
    window: Vec<u8>,
    /// What arrived out of order, ascending.
    pieces: Vec<Piece>,
    asked_upto: u64,
    /// Bytes that may be asked for ahead.
    window_bytes: u64,
    /// Something was lost: the window grows slowly from here on.
    is_careful: bool,
    /// The gap that was asked for again before its time.
    repaired: Option<u64>,
    retry_at: Time,
    retries: u32,
    is_due: bool,
}

/// What a word about the transfer leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Nothing,
    /// All is here, and the sum is right.
    Whole,
    /// The donor cannot go on, or what came was wrong.
    Failed,
}

impl Pull {
    /// What comes is kept in `written`, which is empty.
    pub(super) fn new(donor: ProcessId, since: u64, written: Written) -> Self {
        Self {
            donor,
            since,
            about: None,
            written,
            window: Vec::new(),
            pieces: Vec::new(),
            asked_upto: 0,
            window_bytes: WINDOW_BEGIN_BYTES,
            is_careful: false,
            repaired: None,
            retry_at: Time::ZERO,
            retries: 0,
            is_due: true,
        }
    }

    /// Asks for nothing before this time.
    pub(super) fn wait_until(&mut self, at: Time) {
        (self.is_due, self.retry_at) = (false, at);
    }

    pub(super) fn donor(&self) -> ProcessId {
        self.donor
    }

    /// How far the snapshot has come, once that is known.
    pub(super) fn standing(&self) -> Option<Standing> {
        self.about.map(|(standing, ..)| standing)
    }

    /// Bytes that are here, and of how many.
    pub(super) fn progress(&self) -> (u64, Option<u64>) {
        (self.written.len(), self.about.map(|(_, len, _)| len))
    }

    /// The snapshot, once all of it is here. Nothing more is asked for after that.
    pub(super) fn take_whole(&mut self) -> Option<(Standing, Written)> {
        let standing = self.standing().filter(|_| self.finish() == Progress::Whole)?;
        let nothing = Written::new(Box::new(Vec::<u8>::new()), 0);
        Some((standing, core::mem::replace(&mut self.written, nothing)))
    }

    /// A new view: what was on its way is lost.
    pub(super) fn handle_view(&mut self) {
        (self.is_due, self.retries) = (true, 0);
        self.asked_upto = self.written.len();
    }

    /// The donor said something.
    pub(super) fn handle(
        &mut self,
        now: Time,
        word: &Word<'_>,
        len_max: u64,
    ) -> Result<Progress, Broken> {
        match *word {
            Word::About { standing, len, sum } if standing.at >= self.since => {
                if len > len_max {
                    return Err(Broken(alloc::format!(
                        "the state of the group has {len} bytes and state_bytes_max is {len_max}: \
                         raise it"
                    )));
                }
                if self.about.is_none() {
                    self.about = Some((standing, len, sum));
                    self.note_progress(now);
                    self.is_due = true;
                }
                Ok(self.finish())
            }
            Word::Part { transfer, from, bytes } if Some(transfer) == self.transfer() => {
                let before = self.written.len();
                self.keep(from, bytes)?;
                let came = self.written.len() - before;
                if came > 0 {
                    self.note_progress(now);
                    let slowly = came * WINDOW_LEAST_BYTES / self.window_bytes + 1;
                    self.window_bytes += if self.is_careful { slowly } else { came };
                    self.window_bytes = self.window_bytes.min(PULL_WINDOW_BYTES);
                }
                Ok(self.finish())
            }
            // It is asked again, as long as it says so.
            Word::Soon => {
                self.note_progress(now);
                Ok(Progress::Nothing)
            }
            Word::Gone => Ok(Progress::Failed),
            _ => Ok(Progress::Nothing),
        }
    }

    fn note_progress(&mut self, now: Time) {
        (self.retries, self.retry_at) = (0, now.plus_ms(RETRY_MS));
    }

    fn transfer(&self) -> Option<u64> {
        self.about.map(|(standing, ..)| standing.transfer())
    }

    fn finish(&self) -> Progress {
        match self.about {
            Some((_, len, sum)) if self.written.len() == len => {
                if self.written.sum() == sum {
                    Progress::Whole
                } else {
                    Progress::Failed
                }
            }
            _ => Progress::Nothing,
        }
    }

    /// Keeps a piece that was asked for, and writes what is in order.
    fn keep(&mut self, from: u64, bytes: &[u8]) -> Result<(), Broken> {
        let Some(upto) = from.checked_add(bytes.len() as u64) else { return Ok(()) };
        let start = self.written.len();
        let (first, last) = (from.max(start), upto.min(start + PULL_WINDOW_BYTES));
        if first >= last {
            return Ok(());
        }
        let bytes = &bytes[(first - from) as usize..(last - from) as usize];
        if first == start && self.pieces.is_empty() {
            return self.written.put(bytes); // the usual case
        }
        if !self.note_piece((first, last)) {
            return Ok(());
        }
        if self.window.is_empty() {
            self.window = alloc::vec![0; PULL_WINDOW_BYTES as usize];
        }
        let at = (first % PULL_WINDOW_BYTES) as usize;
        let head = bytes.len().min(self.window.len() - at);
        self.window[at..at + head].copy_from_slice(&bytes[..head]);
        self.window[..bytes.len() - head].copy_from_slice(&bytes[head..]);
        self.write_pieces()
    }

    /// False if there is no room to remember it. What is to be written first always has room.
    fn note_piece(&mut self, (mut from, mut upto): Piece) -> bool {
        if self.pieces.len() >= PIECES_MAX {
            if self.pieces.last().is_none_or(|last| last.0 <= from) {
                return false;
            }
            self.pieces.pop();
        }
        self.pieces.retain(|&(a, b)| {
            let touches = a <= upto && from <= b;
            if touches {
                (from, upto) = (from.min(a), upto.max(b));
            }
            !touches
        });
        let at = self.pieces.partition_point(|piece| piece.0 < from);
        self.pieces.insert(at, (from, upto));
        true
    }

    fn write_pieces(&mut self) -> Result<(), Broken> {
        while let Some(&(from, upto)) = self.pieces.first()
            && from <= self.written.len()
        {
            self.pieces.remove(0);
            let mut from = self.written.len();
            while from < upto {
                let at = (from % PULL_WINDOW_BYTES) as usize;
                let n = ((upto - from) as usize).min(self.window.len() - at);
                self.written.put(&self.window[at..at + n])?;
                from += n as u64;
            }
        }
        Ok(())
    }

    /// When to call [`Pull::handle_timeout`].
    pub(super) fn poll_timeout(&self) -> Time {
        self.retry_at
    }

    /// Nothing came for a while: what is missing is asked for again. True if the donor is given up.
    pub(super) fn handle_timeout(&mut self, now: Time) -> bool {
        // Before the first question nothing can be late.
        if self.retry_at == Time::ZERO || now < self.retry_at {
            return false;
        }
        self.retries += 1;
        let pause_ms = (RETRY_MS << self.retries.min(5)).min(RETRY_MS_MAX);
        self.retry_at = now.plus_ms(pause_ms);
        self.is_due = true;
        self.asked_upto = self.written.len();
        if self.about.is_some() {
            self.shrink(2);
        }
        self.retries > RETRIES_MAX
    }

    fn shrink(&mut self, times: u64) {
        self.window_bytes = (self.window_bytes / times).max(WINDOW_LEAST_BYTES);
        self.is_careful = true;
    }

    /// Asks the donor for what is missing, in parts of at most `part` bytes, as long as `say` takes
    /// what is said.
    pub(super) fn ask(&mut self, now: Time, part: u32, mut say: impl FnMut(&Word<'_>) -> bool) {
        if self.retry_at == Time::ZERO {
            self.retry_at = now.plus_ms(RETRY_MS);
        }
        let Some((standing, len, _)) = self.about else {
            if self.is_due {
                self.is_due = !say(&Word::Ask { since: self.since });
            }
            return;
        };
        let transfer = standing.transfer();
        self.ask_for_gap(transfer, part, &mut say);
        let limit = len.min(self.written.len() + self.window_bytes);
        let range_bytes = self.window_bytes / RANGES_PER_WINDOW;
        while self.asked_upto < limit {
            let at = self.asked_upto;
            let here = self.pieces.iter().find(|piece| piece.0 <= at && at < piece.1);
            if let Some(&(_, upto)) = here {
                self.asked_upto = upto;
                continue;
            }
            // Whole ranges, so that not each part leads to a question.
            let rest = limit - at;
            if rest < range_bytes && limit != len {
                return;
            }
            let next = self.pieces.iter().map(|piece| piece.0).find(|from| *from > at);
            let upto = next.unwrap_or(limit).min(at + rest.min(range_bytes));
            if !say(&Word::Range { transfer, from: at, upto, part }) {
                return;
            }
            self.asked_upto = upto;
        }
    }

    /// What was lost, by all appearances, is asked for once more before its time.
    fn ask_for_gap(&mut self, transfer: u64, part: u32, say: &mut impl FnMut(&Word<'_>) -> bool) {
        let from = self.written.len();
        let (Some(&(upto, _)), Some(&(_, end))) = (self.pieces.first(), self.pieces.last()) else {
            return;
        };
        if self.repaired == Some(from) || end - from < LOST_BEHIND_BYTES.min(self.window_bytes / 2)
        {
            return;
        }
        if say(&Word::Range { transfer, from, upto, part }) {
            self.repaired = Some(from);
            self.shrink(2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::spool::in_memory;

    #[test]
    fn a_window_is_whole_until_something_is_lost() {
        let (now, standing) = (Time::ZERO.plus_ms(1000), Standing::default());
        let mut pull = Pull::new(ProcessId(1), 0, Written::new(in_memory(), 1 << 30));
        let about = Word::About { standing, len: 1 << 20, sum: 0 };
        for word in [None, Some(about)] {
            word.map(|word| pull.handle(now, &word, 1 << 30).unwrap());
            assert!(!pull.handle_timeout(now));
            pull.ask(now, 1000, |_| true);
        }
        assert_eq!((pull.asked_upto, pull.is_careful), (WINDOW_BEGIN_BYTES, false));
    }
}
