//! Group calls: an operation is carried out, and then the members are asked what each of them
//! answered.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::answer::{Collected, Missing, Ticket, Want};
use super::ballot::is_majority;
use super::calls::Own;
use super::told::{Name, Told};
use crate::ident::ProcessId;
use crate::time::Time;
use crate::wire::replica::{Reply, Word};

/// After so long without a reply, in ms, members are asked again. Each time doubles it, up to
/// [`RETRY_MS_MAX`].
const RETRY_MS: u64 = 20;
const RETRY_MS_MAX: u64 = 640;
/// Questions of other members that wait to be answered; more are dropped and asked again.
const QUESTIONS_MAX: usize = 256;

/// A group call.
#[derive(Debug)]
struct Collect {
    ticket: Ticket,
    want: Want,
    within_ms: u64,
    asking: Option<Asking>,
}

/// The operation is carried out; the members are asked.
#[derive(Debug)]
struct Asking {
    name: Name,
    session: u64,
    no: u64,
    /// Known once it was driven first.
    until: Option<Time>,
    retry_at: Time,
    pause_ms: u64,
    waiting: BTreeSet<ProcessId>,
    replies: BTreeMap<ProcessId, Vec<u8>>,
    missing: BTreeMap<ProcessId, Missing>,
}

/// A group call that has come to its end.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) ticket: Ticket,
    /// The number of its operation.
    pub(super) no: u64,
    pub(super) collected: Collected<Vec<u8>>,
}

/// The view, as a group call sees it.
pub(super) struct Circle<'a> {
    pub(super) members: &'a [ProcessId],
    pub(super) strangers: &'a BTreeSet<ProcessId>,
    pub(super) primary_of: &'a [ProcessId],
}

/// The group calls of this process, and what others ask for theirs.
#[derive(Debug, Default)]
pub(super) struct Collects {
    calls: Vec<Collect>,
    ended: VecDeque<Ended>,
    questions: VecDeque<(ProcessId, u64, u64)>,
}

impl Collects {
    pub(super) fn len(&self) -> usize {
        self.calls.len() + self.ended.len()
    }

    /// What is asked for under this ticket is a group call.
    pub(super) fn add(&mut self, ticket: Ticket, want: Want, within_ms: u64) {
        self.calls.push(Collect { ticket, want, within_ms, asking: None });
    }

    /// The operation of a call was carried out: all members are asked, if it is a group call.
    pub(super) fn begin(&mut self, own: Own, me: ProcessId, circle: &Circle<'_>, told: &mut Told) {
        let Own { ticket, name, session, no, answer } = own;
        let call = self.calls.iter_mut().find(|call| call.ticket == ticket);
        let Some(call) = call else { return };
        let want = match call.want {
            Want::All => circle.members.len(),
            Want::Majority => circle.primary_of.len() / 2 + 1,
            Want::First(k) => k,
        };
        told.collects(name, want as u64);
        call.asking = Some(Asking {
            name,
            session,
            no,
            until: None,
            retry_at: Time::ZERO,
            pause_ms: RETRY_MS,
            waiting: circle.members.iter().copied().filter(|p| *p != me).collect(),
            replies: BTreeMap::from([(me, answer)]),
            missing: BTreeMap::new(),
        });
    }

    /// The operation of this ticket was not carried out, or nobody knows.
    pub(super) fn forget(&mut self, ticket: Ticket) {
        self.calls.retain(|call| call.ticket != ticket);
    }

    /// A member replies.
    pub(super) fn handle_told(&mut self, from: ProcessId, session: u64, no: u64, told: Reply<'_>) {
        let mut asking = self.calls.iter_mut().filter_map(|call| call.asking.as_mut());
        let Some(asking) = asking.find(|a| (a.session, a.no) == (session, no)) else { return };
        if !asking.waiting.remove(&from) {
            return;
        }
        match told {
            Reply::Answer(answer) => drop(asking.replies.insert(from, answer.to_vec())),
            Reply::Refused => drop(asking.missing.insert(from, Missing::Refused)),
            Reply::TooLarge => drop(asking.missing.insert(from, Missing::TooLarge)),
        }
    }

    /// Asks who has not replied, as long as `say` takes it. Returns when to be called again.
    pub(super) fn drive(
        &mut self,
        now: Time,
        circle: &Circle<'_>,
        told: &mut Told,
        mut say: impl FnMut(ProcessId, &Word<'_>) -> bool,
    ) -> Option<Time> {
        let mut wake: Option<Time> = None;
        let calls = core::mem::take(&mut self.calls);
        for mut call in calls {
            let Some(mut asking) = call.asking.take() else {
                self.calls.push(call);
                continue;
            };
            let until = *asking.until.get_or_insert(now.plus_ms(call.within_ms));
            asking.look_around(now >= until, circle);
            if asking.is_over(call.want, circle) {
                let ended = asking.end(call.ticket, call.want, circle, told);
                self.ended.push_back(ended);
                continue;
            }
            if asking.retry_at <= now {
                asking.retry_at = now.plus_ms(asking.pause_ms);
                asking.pause_ms = (2 * asking.pause_ms).min(RETRY_MS_MAX);
                let word = Word::Tell { session: asking.session, no: asking.no };
                asking.waiting.iter().take_while(|p| say(**p, &word)).count();
            }
            let next = asking.retry_at.min(until);
            wake = Some(wake.map_or(next, |wake| wake.min(next)));
            self.calls.push(Collect { asking: Some(asking), ..call });
        }
        wake
    }

    /// The next one that has come to its end.
    pub(super) fn poll(&mut self) -> Option<Ended> {
        self.ended.pop_front()
    }

    /// Another member asks what was answered here.
    pub(super) fn handle_question(&mut self, from: ProcessId, session: u64, no: u64) {
        if self.questions.len() < QUESTIONS_MAX {
            self.questions.push_back((from, session, no));
        }
    }

    /// Answers what others ask, as long as `say` takes it; `told` knows what was answered, `None`
    /// if that is not known yet.
    pub(super) fn answer<'a>(
        &mut self,
        told: impl Fn(u64, u64) -> Option<Reply<'a>>,
        mut say: impl FnMut(ProcessId, &Word<'_>) -> bool,
    ) {
        while let Some(&(to, session, no)) = self.questions.front() {
            if let Some(told) = told(session, no)
                && !say(to, &Word::Told { session, no, told })
            {
                return;
            }
            self.questions.pop_front();
        }
    }
}

impl Asking {
    fn look_around(&mut self, is_late: bool, circle: &Circle<'_>) {
        let Self { waiting, missing, .. } = self;
        waiting.retain(|p| {
            let why = if !circle.members.contains(p) {
                Missing::Left
            } else if circle.strangers.contains(p) {
                Missing::Refused
            } else if is_late {
                Missing::Timeout
            } else {
                return true;
            };
            missing.insert(*p, why);
            false
        });
    }

    fn is_enough(&self, want: Want, circle: &Circle<'_>) -> bool {
        match want {
            Want::All => self.waiting.is_empty() && self.missing.is_empty(),
            Want::Majority => {
                let count = circle.primary_of.iter().filter(|p| self.replies.contains_key(p));
                is_majority(count.count(), circle.primary_of)
            }
            Want::First(k) => self.replies.len() >= k,
        }
    }

    fn end(self, ticket: Ticket, want: Want, circle: &Circle<'_>, told: &mut Told) -> Ended {
        let is_enough = self.is_enough(want, circle);
        let Self { name, no, replies, missing, .. } = self;
        let (replies, missing) = (replies.into_iter().collect(), missing.into_iter().collect());
        let collected = Collected { replies, missing, is_enough };
        told.collected(name, &collected);
        Ended { ticket, no, collected }
    }

    fn is_over(&self, want: Want, circle: &Circle<'_>) -> bool {
        self.waiting.is_empty() || self.is_enough(want, circle)
    }
}
