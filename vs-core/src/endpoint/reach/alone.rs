//! Whether what members send to this process alone arrives.
//!
//! A firewall may let multicasts in and stop unicast. Nothing shows that before something is lost
//! and the repair does not arrive. So a process asks some members through the group. They answer
//! twice, as always: if answers to the group arrive and none to this process alone does, unicast
//! does not work on this way.

use smallvec::SmallVec;

use crate::ident::{ProcessId, Rank};
use crate::rng::Rng;
use crate::time::Time;
use crate::view::{Members, View};

/// Members that are asked: those of the next ranks. What stops unicast is at this host as a rule,
/// so some tell as much as all.
const ASKED_MAX: usize = 3;

/// Pause before each question, in ms.
const ASK_MS: u64 = 1000;

/// So much longer is the pause for each member of the view, in ms, as questions of all arrive at
/// all.
const ASK_MS_PER_MEMBER: u64 = 20;

/// Longest pause before a question, in ms: as long as all answer the group alone, the pause
/// doubles.
const ASK_MAX_MS: u64 = 64_000;

/// Questions to which the answer to the group alone arrived, before unicast counts as stopped. One
/// answer may be lost.
const MISSED_MIN: u8 = 5;

/// Questions to a member before it is left at that, if too few of them are answered.
const QUESTIONS_MAX: u8 = 10;

/// A member that is asked.
#[derive(Clone, Copy, Debug)]
struct Asked {
    process: ProcessId,
    questions: u8,
    /// The answer to the last question arrived, to the group.
    is_answered: bool,
    /// Questions to which the answer to the group alone arrived.
    missed: u8,
}

impl Asked {
    fn is_missing(&self) -> bool {
        self.missed >= MISSED_MIN
    }
}

/// What is known of unicast to this process.
#[derive(Debug, Default)]
pub(super) struct Alone {
    /// Those that are asked in turn.
    asked: SmallVec<[Asked; ASKED_MAX]>,
    /// Whose turn is next.
    turn: usize,
    /// Members of the view that are not asked any more, ascending.
    done: Members,
    /// Members whose datagrams to this process alone do not arrive, ascending.
    missing: Members,
    ask_at: Time,
    pause_ms: u64,
}

impl Alone {
    /// A view begins, in which this process has rank `own`, and which is one of so many `groups` of
    /// it: all of them together ask as often as one. What was found out of members that are
    /// still there is kept.
    pub(super) fn handle_installed(
        &mut self,
        now: Time,
        view: &View,
        own: Rank,
        groups: usize,
        rng: &mut Rng,
    ) {
        self.done.retain(|p| view.contains(*p));
        let own = usize::from(own);
        let (before, after) = view.members().split_at(own.min(view.len()));
        let next: SmallVec<[ProcessId; ASKED_MAX]> =
            after.iter().skip(1).chain(before).copied().take(ASKED_MAX).collect();
        self.asked.retain(|asked| next.contains(&asked.process));
        for process in next {
            let is_asked = self.asked.iter().any(|asked| asked.process == process);
            if !is_asked && self.done.binary_search(&process).is_err() {
                self.asked.push(Asked { process, questions: 0, is_answered: false, missed: 0 });
            }
        }
        let pause_ms = ASK_MS + ASK_MS_PER_MEMBER * view.len() as u64;
        self.pause_ms = pause_ms.saturating_mul(groups.max(1) as u64);
        self.note_missing();
        self.put_off(now, rng);
    }

    /// The way to this process is another one now.
    pub(super) fn forget(&mut self) {
        self.done = Members::new();
    }

    /// Members that began together do not ask together.
    fn put_off(&mut self, now: Time, rng: &mut Rng) {
        let pause = Time::from_millis(self.pause_ms).0;
        self.ask_at = now + (pause - pause / 4 + rng.below(pause / 2));
    }

    fn note_missing(&mut self) {
        let missing = self.asked.iter().filter(|asked| asked.is_missing());
        self.missing = missing.map(|asked| asked.process).collect();
        self.missing.sort_unstable();
    }

    /// `process` answered the group, as this process had asked it.
    pub(super) fn handle_answer_to_group(&mut self, process: ProcessId) {
        let mut asked = self.asked.iter_mut();
        if let Some(asked) = asked.find(|asked| asked.process == process) {
            asked.is_answered = asked.questions > 0;
        }
    }

    /// `process` answered this process alone.
    pub(super) fn handle_answer(&mut self, process: ProcessId) {
        if self.asked.iter().any(|asked| asked.process == process) {
            self.end(process);
        }
    }

    /// `process` is not asked any more.
    fn end(&mut self, process: ProcessId) {
        self.asked.retain(|asked| asked.process != process);
        if let Err(at) = self.done.binary_search(&process) {
            self.done.insert(at, process);
        }
        self.note_missing();
    }

    /// When a member is asked.
    pub(super) fn next_timeout(&self) -> Option<Time> {
        (!self.asked.is_empty()).then_some(self.ask_at)
    }

    /// Whether a member is to be asked now.
    pub(super) fn is_due(&self, now: Time) -> bool {
        !self.asked.is_empty() && self.ask_at <= now
    }

    /// The member that is asked now, if one is.
    pub(super) fn next(&mut self, now: Time, rng: &mut Rng) -> Option<ProcessId> {
        if !self.is_due(now) {
            return None;
        }
        self.turn = (self.turn + 1) % self.asked.len();
        if self.turn == 0 && self.asked.iter().all(Asked::is_missing) {
            self.pause_ms = self.pause_ms.max((2 * self.pause_ms).min(ASK_MAX_MS));
        }
        self.put_off(now, rng);
        let asked = &mut self.asked[self.turn];
        asked.missed = asked.missed.saturating_add(core::mem::take(&mut asked.is_answered).into());
        let (process, is_missing) = (asked.process, asked.is_missing());
        if asked.questions >= QUESTIONS_MAX && !is_missing {
            self.end(process);
            return None;
        }
        asked.questions = asked.questions.saturating_add(1);
        self.note_missing();
        Some(process)
    }

    /// Members whose datagrams to this process alone do not arrive, though their multicasts do.
    pub(super) fn missing(&self) -> &[ProcessId] {
        &self.missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::{Cid, ViewId};

    fn view(major: u64, members: &[u64]) -> View {
        let members: alloc::vec::Vec<_> = members.iter().map(|p| ProcessId(*p)).collect();
        let start = alloc::vec![Cid(major); members.len()];
        View::new(ViewId { major, minor: 1 }, &members, &start).unwrap()
    }

    /// Asks for `ms` from `now` on, and answers as `answer` says: to the group, and alone. The
    /// questions are counted.
    fn ask(alone: &mut Alone, now: &mut Time, ms: u64, answer: fn(u64) -> (bool, bool)) -> usize {
        let (mut rng, mut questions, end) = (Rng::new(1), 0, now.plus_ms(ms));
        while let Some(at) = alone.next_timeout().filter(|at| *at < end) {
            *now = at;
            let Some(process) = alone.next(at, &mut rng) else { continue };
            questions += 1;
            let (to_group, is_alone) = answer(process.0);
            if to_group {
                alone.handle_answer_to_group(process);
            }
            if is_alone {
                alone.handle_answer(process);
            }
        }
        *now = end;
        questions
    }

    #[test]
    fn unicast_that_arrives_is_asked_for_once() {
        let (mut alone, mut now) = (Alone::default(), Time::ZERO);
        alone.handle_installed(now, &view(1, &[1, 2, 3, 4, 5, 6]), 4, 1, &mut Rng::new(1));
        assert_eq!(ask(&mut alone, &mut now, 600_000, |_| (true, true)), ASKED_MAX);
        alone.handle_installed(now, &view(2, &[1, 2, 5, 6]), 2, 1, &mut Rng::new(1));
        assert_eq!(ask(&mut alone, &mut now, 600_000, |_| (true, true)), 0, "they came along");
        assert!(alone.missing().is_empty());
        alone.forget();
        alone.handle_installed(now, &view(3, &[1, 2, 5, 6]), 2, 1, &mut Rng::new(1));
        assert_eq!(ask(&mut alone, &mut now, 600_000, |_| (false, false)), 30);
        assert_eq!((alone.missing(), alone.next_timeout()), (&[][..], None), "nobody answers");
    }

    #[test]
    fn unicast_that_is_stopped_is_noticed() {
        let (mut alone, mut now) = (Alone::default(), Time::ZERO);
        alone.handle_installed(now, &view(1, &[1, 2, 3]), 0, 1, &mut Rng::new(1));
        let questions = ask(&mut alone, &mut now, 20_000, |p| (true, p == 3));
        assert!(questions <= 15, "{questions}");
        assert_eq!(alone.missing(), [ProcessId(2)]);
        let questions = ask(&mut alone, &mut now, 640_000, |p| (true, p == 3));
        assert!(questions <= 15, "less and less often: {questions}");
        alone.handle_installed(now, &view(2, &[1, 2, 3]), 0, 1, &mut Rng::new(1));
        assert_eq!(alone.missing(), [ProcessId(2)], "it came along");
        ask(&mut alone, &mut now, 2_000, |_| (true, true));
        assert_eq!((alone.missing(), alone.next_timeout()), (&[][..], None), "it is let in");
    }
}
