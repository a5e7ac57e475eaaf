//! When sync messages and requests for them are sent, again and again until they are not needed.

use alloc::vec::Vec;

use smallvec::SmallVec;

use crate::ident::{Cid, ProcessId};
use crate::time::{Time, Wake, earlier};

/// The pause between repetitions is doubled up to this many times the first one.
const BACKOFF_MAX: u64 = 16;

/// Own sync messages that others asked for: of the current view and of the one before.
const ANSWERS_MAX: usize = 2;

/// Processes that are asked, or answered, alone at a time; who has to wait asks again.
const ALONE_MAX: usize = 16;

/// A timer whose pauses grow.
#[derive(Clone, Copy, Debug)]
struct Repetition {
    at: Time,
    pause_ms: u64,
}

impl Repetition {
    fn new(now: Time, pause_ms: u64) -> Self {
        Self { at: now.plus_ms(pause_ms), pause_ms }
    }

    /// Whether it is time; if so, the next pause begins.
    fn handle_timeout(&mut self, now: Time, pause_ms_max: u64) -> bool {
        let is_due = now >= self.at;
        if is_due {
            *self = Self::new(now, (2 * self.pause_ms).min(pause_ms_max));
        }
        is_due
    }
}

/// Something that is to be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The own sync message of the change under way, from this rank on.
    Sync {
        /// The first rank of the cut that was not sent.
        first: usize,
    },
    /// The own sync message for `cid`, which somebody asked for.
    Answer {
        /// The own cid that was asked for.
        cid: Cid,
        /// The first rank of the cut that was not sent.
        first: usize,
    },
    /// A request for missing sync messages.
    Request,
    /// A request for the sync message of this process for its `cid`, to it alone.
    RequestTo(ProcessId, Cid),
    /// The own sync message for `cid`, which this process alone asked for.
    AnswerTo {
        /// Who asked.
        process: ProcessId,
        /// The own cid that was asked for.
        cid: Cid,
        /// The first rank of the cut that was not sent.
        first: usize,
    },
}

/// What is to be sent of sync messages, now and later.
#[derive(Debug, Default)]
pub(super) struct Resend {
    /// Repeats the own sync message.
    sync: Option<Repetition>,
    /// Repeats the request for missing ones.
    request: Option<Repetition>,
    /// The first rank of the own sync message that is to be sent now.
    next_rank: Option<usize>,
    is_request_due: bool,
    /// Requests to the group so far, in this change.
    requests: u32,
    /// Whom to ask alone, and for which of its cids.
    asked_alone: Vec<(ProcessId, Cid)>,
    /// Who asked this process alone: for which cid, and the next rank.
    answered_alone: Vec<(ProcessId, Cid, usize)>,
    /// Own sync messages that somebody asked for: cid and next rank.
    answers: SmallVec<[(Cid, usize); ANSWERS_MAX]>,
}

impl Resend {
    /// The own sync message is fixed: it goes out now, and again after `pause_ms`.
    pub(super) fn start(&mut self, now: Time, pause_ms: u64) {
        let repetition = Some(Repetition::new(now, pause_ms));
        *self =
            Self { sync: repetition, request: repetition, next_rank: Some(0), ..Self::default() };
    }

    /// Another change is proposed: what was said for the one before is not needed any more.
    pub(super) fn handle_start_change(&mut self) {
        *self = Self::default();
    }

    /// The view is installed. Others wait for the own sync message for `unsent`, if a part of it
    /// was not sent yet.
    pub(super) fn handle_installed(&mut self, unsent: Option<Cid>) {
        *self = Self::default();
        if let Some(cid) = unsent {
            self.answer(cid);
        }
    }

    /// A process lacks the own sync message for `cid`: it is multicast once, however many ask.
    pub(super) fn answer(&mut self, cid: Cid) {
        let is_known = self.answers.iter().any(|(known, _)| *known == cid);
        if !is_known && self.answers.len() < ANSWERS_MAX {
            self.answers.push((cid, 0));
        }
    }

    /// `process` asked this process alone for the own sync message for `cid`.
    pub(super) fn answer_alone(&mut self, process: ProcessId, cid: Cid) {
        let is_known = self.answered_alone.iter().any(|(to, of, _)| (*to, *of) == (process, cid));
        if !is_known && self.answered_alone.len() < ALONE_MAX {
            self.answered_alone.push((process, cid, 0));
        }
    }

    /// The group was asked for `missing`, of processes that may hear no multicasts of this one, nor
    /// this one theirs: the second time they are asked alone, too. Nobody knows who hears whom
    /// between processes that share no view, as those that left the current one for a later one.
    pub(super) fn ask_alone(&mut self, missing: impl Iterator<Item = (ProcessId, Cid)>) {
        if self.requests > 1 {
            self.asked_alone = missing.take(ALONE_MAX).collect();
        }
    }

    /// Whether a part of the own sync message is still to be sent for this time.
    pub(super) fn is_unsent(&self) -> bool {
        self.next_rank.is_some()
    }

    /// Whether there is something to be sent now.
    #[inline] // It is asked for with each datagram, and seldom true.
    pub(super) fn has_due(&self) -> bool {
        self.next_rank.is_some()
            || self.is_request_due
            || !self.answers.is_empty()
            || !self.asked_alone.is_empty()
            || !self.answered_alone.is_empty()
    }

    /// What is to be sent next; [`Resend::handle_sent`] follows.
    pub(super) fn next_due(&self) -> Option<Due> {
        if let Some(first) = self.next_rank {
            return Some(Due::Sync { first });
        }
        if let Some(&(cid, first)) = self.answers.first() {
            return Some(Due::Answer { cid, first });
        }
        if self.is_request_due {
            return Some(Due::Request);
        }
        if let Some(&(process, cid)) = self.asked_alone.last() {
            return Some(Due::RequestTo(process, cid));
        }
        let &(process, cid, first) = self.answered_alone.last()?;
        Some(Due::AnswerTo { process, cid, first })
    }

    /// `due` was sent up to the rank `next`, or as a whole.
    pub(super) fn handle_sent(&mut self, due: Due, next: Option<usize>) {
        match (due, next) {
            (Due::Sync { .. }, next) => self.next_rank = next,
            (Due::Answer { .. }, Some(rank)) => self.answers[0].1 = rank,
            (Due::Answer { .. }, None) => drop(self.answers.remove(0)),
            (Due::Request, _) => {
                self.is_request_due = false;
                self.requests = self.requests.saturating_add(1);
            }
            (Due::RequestTo(..), _) => drop(self.asked_alone.pop()),
            (Due::AnswerTo { .. }, None) => drop(self.answered_alone.pop()),
            (Due::AnswerTo { .. }, Some(rank)) => {
                self.answered_alone.iter_mut().last().into_iter().for_each(|last| last.2 = rank);
            }
        }
    }

    /// When to call [`Resend::handle_timeout`]; `is_waiting`: for sync messages of others.
    pub(super) fn poll_timeout(&self, is_waiting: bool) -> Option<(Time, Wake)> {
        let wake = |repetition: Option<Repetition>| repetition.map(|r| (r.at, Wake::Sync));
        earlier(wake(self.sync), wake(self.request.filter(|_| is_waiting)))
    }

    /// Time has passed; the first pause was `pause_ms`.
    pub(super) fn handle_timeout(&mut self, now: Time, pause_ms: u64, is_waiting: bool) {
        let pause_ms_max = BACKOFF_MAX * pause_ms;
        if self.sync.as_mut().is_some_and(|r| r.handle_timeout(now, pause_ms_max)) {
            self.next_rank = Some(0);
        }
        let request = self.request.as_mut().filter(|_| is_waiting);
        if request.is_some_and(|r| r.handle_timeout(now, pause_ms_max)) {
            self.is_request_due = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Others wait for it, as they are still on their way to the view.
    #[test]
    fn unsent_sync_goes_out_after_installation() {
        let mut resend = Resend::default();
        resend.start(Time::from_millis(0), 10);
        resend.handle_sent(Due::Sync { first: 0 }, Some(7));
        assert!(resend.is_unsent());
        resend.handle_installed(Some(Cid(5)));
        assert_eq!(resend.next_due(), Some(Due::Answer { cid: Cid(5), first: 0 }));
        assert_eq!(resend.poll_timeout(true), None, "it is not repeated by itself");
    }
    /// A multicast that did not arrive once does not arrive on that way at all, perhaps.
    #[test]
    fn second_request_also_goes_to_each_alone() {
        let mut resend = Resend::default();
        resend.start(Time::ZERO, 10);
        resend.handle_sent(Due::Sync { first: 0 }, None);
        let all = || (1..=100).map(|p| (ProcessId(p), Cid(p)));
        for (ms, alone) in [(10, 0), (30, ALONE_MAX)] {
            resend.handle_timeout(Time::from_millis(ms), 10, true);
            resend.handle_sent(Due::Sync { first: 0 }, None);
            assert_eq!(resend.next_due(), Some(Due::Request));
            resend.handle_sent(Due::Request, None);
            resend.ask_alone(all());
            let mut asked = 0;
            while let Some(due @ Due::RequestTo(..)) = resend.next_due() {
                resend.handle_sent(due, None);
                asked += 1;
            }
            assert_eq!((asked, resend.next_due()), (alone, None));
        }
    }

    #[test]
    fn answers_to_each_alone_are_bounded() {
        let mut resend = Resend::default();
        let ask = |resend: &mut Resend| {
            (1..=100).for_each(|p| resend.answer_alone(ProcessId(p), Cid(7)));
        };
        ask(&mut resend);
        ask(&mut resend);
        let mut answers = 0;
        while let Some(due @ Due::AnswerTo { first, .. }) = resend.next_due() {
            resend.handle_sent(due, (first == 0).then_some(9));
            answers += 1;
        }
        assert_eq!(answers, 2 * ALONE_MAX, "each in two parts");
    }
}
