//! Exactly once: the sessions of all clients and their last answers are a part of the state.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use serde::de::DeserializeOwned;

use super::state::{Broken, Sink, Source, VALUE_BYTES_MAX, fill, put_value, take_value};

/// Most sessions. Of more, the one that has been silent for longest ends: by its place in the
/// order, never by a clock.
pub const SESSIONS_MAX: usize = 1024;

/// Operations of one session that may be without an answer.
pub const OUTSTANDING_MAX: usize = 1024;

/// What becomes of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is carried out now.
    Run,
    /// It was carried out before, with this answer.
    Ran(Vec<u8>),
    /// It was carried out before, and its answer was heard.
    Done,
    /// Another operation had this number.
    OtherOp,
    /// The session has ended or never began, or an operation before it is missing: it is never
    /// carried out.
    Ended,
}

/// One client.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Session {
    /// What its client opened it with.
    nonce: u64,
    /// The number of the last operation.
    last: u64,
    /// Number, hash of the operation, and answer, of those whose answer was not heard yet.
    answers: VecDeque<(u64, u64, Vec<u8>)>,
    /// The place in the order when it was used last.
    used_at: u64,
}

/// All sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sessions {
    next: u64,
    open: BTreeMap<u64, Session>,
}

impl Sessions {
    /// Opens a session at the place `at` of the order.
    pub(super) fn open(&mut self, nonce: u64, first: u64, at: u64) {
        if self.open.len() >= SESSIONS_MAX {
            let oldest = self.open.iter().min_by_key(|(id, session)| (session.used_at, **id));
            let oldest = oldest.map(|(id, _)| *id);
            oldest.map(|id| self.open.remove(&id));
        }
        let last = first.saturating_sub(1);
        let session = Session { nonce, last, answers: VecDeque::new(), used_at: at };
        self.open.insert(self.next, session);
        self.next = self.next.wrapping_add(1);
    }

    /// Writes all of them, one answer after the other: together they may be long.
    pub(super) fn snapshot(&self, out: &mut dyn Sink) -> Result<(), Broken> {
        put_value(out, &(self.next, self.open.len()))?;
        for (id, session) in &self.open {
            let Session { nonce, last, answers, used_at } = session;
            put_value(out, &(id, nonce, last, used_at, answers.len()))?;
            for (number, hash, answer) in answers {
                put_value(out, &(number, hash, bounded(answer.len(), VALUE_BYTES_MAX)?))?;
                out.put(answer)?;
            }
        }
        Ok(())
    }

    /// Reads what [`Sessions::snapshot`] wrote.
    pub(super) fn restore(input: &mut dyn Source) -> Result<Self, Broken> {
        let (next, len): (u64, usize) = take(input)?;
        let mut sessions = Self { next, open: BTreeMap::new() };
        for _ in 0..bounded(len, SESSIONS_MAX)? {
            let (id, nonce, last, used_at, len): (u64, u64, u64, u64, usize) = take(input)?;
            let mut answers = VecDeque::new();
            for _ in 0..bounded(len, OUTSTANDING_MAX)? {
                let (number, hash, len): (u64, u64, usize) = take(input)?;
                let mut answer = alloc::vec![0; bounded(len, VALUE_BYTES_MAX)?];
                if fill(input, &mut answer)? != len {
                    return Err(Broken::new("the snapshot ends within an answer"));
                }
                answers.push_back((number, hash, answer));
            }
            sessions.open.insert(id, Session { nonce, last, answers, used_at });
        }
        Ok(sessions)
    }

    /// The last session that was opened with `nonce`.
    pub(super) fn find(&self, nonce: u64) -> Option<u64> {
        self.open.iter().rev().find(|(_, session)| session.nonce == nonce).map(|(id, _)| *id)
    }

    /// What becomes of an operation with this hash; `done`: answers up to this number were heard.
    pub(super) fn look(&mut self, id: u64, no: u64, done: u64, hash: u64, at: u64) -> Fate {
        let Some(session) = self.open.get_mut(&id) else { return Fate::Ended };
        session.used_at = at;
        while session.answers.front().is_some_and(|(number, ..)| *number <= done) {
            session.answers.pop_front();
        }
        if session.last.checked_add(1) == Some(no) && session.answers.len() < OUTSTANDING_MAX {
            return Fate::Run;
        }
        if no > session.last {
            return Fate::Ended;
        }
        match session.answers.iter().find(|(number, ..)| *number == no) {
            None => Fate::Done,
            Some((_, known, _)) if *known != hash => Fate::OtherOp,
            Some((_, _, answer)) => Fate::Ran(answer.clone()),
        }
    }

    /// The next operation of the session was carried out.
    pub(super) fn note(&mut self, id: u64, hash: u64, answer: &[u8]) {
        if let Some(session) = self.open.get_mut(&id) {
            session.last += 1;
            session.answers.push_back((session.last, hash, answer.to_vec()));
        }
    }

    /// The answer of an operation that was carried out.
    pub(super) fn answer(&self, id: u64, no: u64) -> Option<&[u8]> {
        let answers = &self.open.get(&id)?.answers;
        answers.iter().find(|(number, ..)| *number == no).map(|(_, _, answer)| &answer[..])
    }

    /// Whether the operation will be carried out if it comes: none behind it was.
    pub(super) fn expects(&self, id: u64, no: u64) -> bool {
        self.open.get(&id).is_some_and(|session| no > session.last)
    }

    /// What the client of a session opened it with.
    pub(super) fn nonce(&self, id: u64) -> Option<u64> {
        self.open.get(&id).map(|session| session.nonce)
    }

    /// Whether the session is open, and that of the client that opens with `nonce`: in a state
    /// that an operator named, it may be that of another one.
    pub(super) fn is_of(&self, id: u64, nonce: u64) -> bool {
        self.open.get(&id).is_some_and(|session| session.nonce == nonce)
    }
}

fn take<T: DeserializeOwned>(input: &mut dyn Source) -> Result<T, Broken> {
    take_value(input)?.ok_or_else(|| Broken::new("the snapshot ends within its sessions"))
}

fn bounded(len: usize, max: usize) -> Result<usize, Broken> {
    if len > max {
        return Err(Broken(alloc::format!("the snapshot has {len} of what are {max} at most")));
    }
    Ok(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::spool::{Written, in_memory};

    #[test]
    fn an_operation_runs_once_and_is_answered_again() {
        let mut sessions = Sessions::default();
        sessions.open(9, 1, 0);
        let id = sessions.find(9).unwrap();
        assert_eq!(sessions.look(id, 1, 0, 77, 1), Fate::Run);
        sessions.note(id, 77, b"one");
        assert_eq!(sessions.look(id, 1, 0, 77, 2), Fate::Ran(b"one".to_vec()));
        assert_eq!(sessions.look(id, 1, 0, 78, 2), Fate::OtherOp);
        assert_eq!(sessions.look(id, 3, 0, 79, 2), Fate::Ended, "2 is missing");
        assert_eq!(sessions.look(id, 2, 1, 79, 2), Fate::Run);
        assert_eq!(sessions.look(id, 1, 1, 77, 3), Fate::Done);
        assert_eq!(sessions.look(id + 1, 1, 0, 77, 3), Fate::Ended, "never opened");
    }

    #[test]
    fn the_session_that_was_silent_for_longest_ends() {
        let mut sessions = Sessions::default();
        for n in 0..SESSIONS_MAX as u64 {
            sessions.open(n, 1, n);
        }
        let first = sessions.find(0).unwrap();
        assert_eq!(sessions.look(first, 1, 0, 5, SESSIONS_MAX as u64), Fate::Run);
        let second = sessions.find(1).unwrap();
        sessions.open(5000, 1, SESSIONS_MAX as u64 + 1);
        assert!(sessions.is_of(first, 0) && !sessions.is_of(second, 1));
        assert_eq!(sessions.look(second, 1, 0, 5, 0), Fate::Ended);
    }

    #[test]
    fn the_last_number_of_all_ends_a_session() {
        let mut sessions = Sessions::default();
        sessions.open(9, u64::MAX, 0);
        let id = sessions.find(9).unwrap();
        assert_eq!(sessions.look(id, u64::MAX, 0, 77, 1), Fate::Run);
        sessions.note(id, 77, b"one");
        assert_eq!(sessions.look(id, u64::MAX, 0, 77, 2), Fate::Ran(b"one".to_vec()));
    }

    #[test]
    fn answers_longer_than_one_value_are_in_a_snapshot() {
        let mut sessions = Sessions::default();
        sessions.open(9, 1, 0);
        sessions.open(10, 4, 1);
        let id = sessions.find(9).unwrap();
        for n in 0..2 {
            sessions.note(id, n, &alloc::vec![n as u8; VALUE_BYTES_MAX / 2 + 1]);
        }
        let mut written = Written::new(in_memory(), u64::MAX);
        sessions.snapshot(&mut written).unwrap();
        assert!(Sessions::restore(&mut written.reader()).unwrap() == sessions);
    }
}
