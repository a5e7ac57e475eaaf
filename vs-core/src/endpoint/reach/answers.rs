//! Whom a member has to answer, and how often it does.

use smallvec::SmallVec;

use crate::ident::ProcessId;
use crate::time::Time;

/// Members whose questions wait to be answered; others ask again.
const ANSWERS_MAX: usize = 8;

/// Least pause between two answers to the group, in ms for each member. All members of a large
/// group may ask at a time, and each answer to the group arrives at all of them.
const PAUSE_MS_PER_MEMBER: u64 = 1;

/// Who is to be answered. One answer to the group is for all who wait.
#[derive(Debug, Default)]
pub(super) struct Answers {
    waiting: SmallVec<[ProcessId; 1]>,
    /// The group was answered: now those who wait are, each alone.
    is_telling: bool,
    /// The group is not answered again before.
    from: Time,
}

/// What is to be sent next.
pub(super) enum Answer {
    ToGroup(ProcessId),
    Alone(ProcessId),
}

impl Answers {
    /// `process` is to be answered.
    pub(super) fn add(&mut self, process: ProcessId) {
        if self.waiting.len() < ANSWERS_MAX && !self.waiting.contains(&process) {
            self.waiting.push(process);
        }
    }

    /// When the group is to be answered.
    pub(super) fn next_timeout(&self) -> Option<Time> {
        (!self.waiting.is_empty()).then_some(self.from)
    }

    /// Whether there is an answer to be sent now.
    pub(super) fn is_due(&self, now: Time) -> bool {
        !self.waiting.is_empty() && (self.is_telling || now >= self.from)
    }

    /// The next answer in a group of so many members.
    pub(super) fn next(&mut self, now: Time, members: usize) -> Option<Answer> {
        let first = *self.waiting.first()?;
        if self.is_telling {
            self.waiting.remove(0);
            self.is_telling = !self.waiting.is_empty();
            return Some(Answer::Alone(first));
        }
        if now < self.from {
            return None;
        }
        // To the group first: what is sent to the asker alone proves only then that multicast does
        // not work.
        self.is_telling = true;
        self.from = now.plus_ms(PAUSE_MS_PER_MEMBER * members as u64);
        Some(Answer::ToGroup(first))
    }
}
