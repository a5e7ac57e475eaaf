//! Group calls: an operation is carried out, and then the members are asked what each of them
//! answered.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::answer::{Collected, Missing, Ticket, Want};
use super::ballot::is_majority;
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
    questions: VecDeque<(ProcessId, u64, u64)>,
}

impl Collects {
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    /// What is asked for under this ticket is a group call.
    pub(super) fn add(&mut self, ticket: Ticket, want: Want, within_ms: u64) {
        self.calls.push(Collect { ticket, want, within_ms, asking: None });
    }

    /// The operation of this ticket was carried out, as this number of a session, with the own
    /// answer.
    pub(super) fn begin(
        &mut self,
        ticket: Ticket,
        (session, no): (u64, u64),
        me: ProcessId,
        answer: &[u8],
        members: &[ProcessId],
    ) {
        let call = self.calls.iter_mut().find(|call| call.ticket == ticket);
        let Some(call) = call else { return };
        call.asking = Some(Asking {
            session,
            no,
            until: None,
            retry_at: Time::ZERO,
            pause_ms: RETRY_MS,
            waiting: members.iter().copied().filter(|p| *p != me).collect(),
            replies: BTreeMap::from([(me, answer.to_vec())]),
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
        mut say: impl FnMut(ProcessId, &Word<'_>) -> bool,
    ) -> Option<Time> {
        let mut wake: Option<Time> = None;
        for call in &mut self.calls {
            let Some(asking) = &mut call.asking else { continue };
            let until = *asking.until.get_or_insert(now.plus_ms(call.within_ms));
            asking.look_around(now >= until, circle);
            if asking.is_over(call.want, circle) {
                wake = Some(now);
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
        }
        wake
    }

    /// The next one that has come to its end.
    /// Answers the number of its operation, too.
    pub(super) fn poll(
        &mut self,
        circle: &Circle<'_>,
    ) -> Option<(Ticket, u64, Collected<Vec<u8>>)> {
        let is_over = |c: &Collect| c.asking.as_ref().is_some_and(|a| a.is_over(c.want, circle));
        let at = self.calls.iter().position(is_over)?;
        let Collect { ticket, want, asking, .. } = self.calls.remove(at);
        let asking = asking?;
        let is_enough = asking.is_enough(want, circle);
        let Asking { no, replies, missing, .. } = asking;
        let (replies, missing) = (replies.into_iter().collect(), missing.into_iter().collect());
        Some((ticket, no, Collected { replies, missing, is_enough }))
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

    fn is_over(&self, want: Want, circle: &Circle<'_>) -> bool {
        self.waiting.is_empty() || self.is_enough(want, circle)
    }
}
