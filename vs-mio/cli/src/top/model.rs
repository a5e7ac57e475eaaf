//! What all have answered so far.

use core::time::Duration;
use std::collections::VecDeque;

use vs_core::status::Status;

use super::asking::Answer;
use super::changes::{Change, changes, has_restarted};
use super::rates::Values;

/// Changes that are remembered.
pub(super) const CHANGES_MAX: usize = 1000;

/// An answer.
pub(super) struct Seen {
    pub(super) at: Duration,
    pub(super) status: Status,
    pub(super) values: Values,
}

/// An address that is asked.
pub(super) struct Asked {
    pub(super) addr: String,
    /// The last answer.
    pub(super) now: Option<Seen>,
    /// The one before, if counters have not begun again since.
    pub(super) before: Option<Seen>,
    /// Why the last question was not answered.
    pub(super) trouble: Option<String>,
}

impl Asked {
    /// How much the counter `name` grew a second: the sum over all whose labels begin with
    /// `labels`. `None` while there is nothing to compare, and while there is no answer.
    pub(super) fn rate(&self, name: &'static str, labels: &[String]) -> Option<f64> {
        let now = self.now.as_ref().filter(|_| self.trouble.is_none())?;
        now.values.rate(self.before_values(), self.between(), name, labels)
    }

    pub(super) fn before_values(&self) -> Option<&Values> {
        self.before.as_ref().map(|seen| &seen.values)
    }

    /// The time between the last two answers.
    pub(super) fn between(&self) -> Duration {
        match (&self.before, &self.now) {
            (Some(before), Some(now)) => now.at.saturating_sub(before.at),
            _ => Duration::ZERO,
        }
    }
}

/// All that was answered.
pub(super) struct Model {
    pub(super) asked: Vec<Asked>,
    /// The last one first.
    pub(super) changes: VecDeque<Change>,
    /// The time of the last answer, in s of UNIX time.
    pub(super) unix_s: u64,
}

impl Model {
    pub(super) fn new(addrs: &[String]) -> Self {
        let asked =
            |addr: &String| Asked { addr: addr.clone(), now: None, before: None, trouble: None };
        let asked = addrs.iter().map(asked).collect();
        Self { asked, changes: VecDeque::new(), unix_s: 0 }
    }

    /// How many have answered the last question.
    pub(super) fn answering(&self) -> usize {
        self.asked.iter().filter(|asked| asked.trouble.is_none() && asked.now.is_some()).count()
    }

    /// Takes an answer, and remembers what is different.
    pub(super) fn handle(&mut self, answer: Answer) {
        let Answer { index, at, unix_s, told } = answer;
        self.unix_s = unix_s;
        let Some(asked) = self.asked.get_mut(index) else { return };
        let words = match told {
            Ok(status) => {
                let mut words = Vec::new();
                if asked.trouble.take().is_some() && asked.now.is_some() {
                    words.push("answers again".to_owned());
                }
                let last = asked.now.take();
                words.extend(changes(last.as_ref().map(|seen| &seen.status), &status));
                asked.before = last.filter(|last| !has_restarted(&last.status, &status));
                asked.now = Some(Seen { at, values: Values::of(&status), status });
                words
            }
            Err(why) => {
                let is_told = asked.trouble.is_some();
                asked.trouble = Some(why.clone());
                if is_told { Vec::new() } else { vec![why] }
            }
        };
        let addr = asked.addr.clone();
        for what in words {
            self.changes.push_front(Change { unix_s, addr: addr.clone(), what });
        }
        self.changes.truncate(CHANGES_MAX);
    }
}

#[cfg(test)]
mod tests;
