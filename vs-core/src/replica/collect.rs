//! Group calls: an operation is carried out, and then the members are asked what each of them
//! answered.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::answer::{Collected, Missing, Ticket, Want};
use super::ballot::majority_of;
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
    /// Once the operation is carried out.
    asking: Option<Asking>,
}

/// The operation is carried out; the members are asked.
#[derive(Debug)]
struct Asking {
    name: Name,
    session: u64,
    no: u64,
    /// Replies that are wanted, and of whom, if not of anybody.
    wanted: usize,
    of: Option<Vec<ProcessId>>,
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
        let (wanted, of) = match call.want {
            Want::All => (circle.members.len(), None),
            Want::Majority => {
                (majority_of(circle.primary_of.len()), Some(circle.primary_of.to_vec()))
            }
            Want::First(k) => (k, None),
        };
        told.collects(name, wanted as u64);
        call.asking = Some(Asking {
            name,
            session,
            no,
            wanted,
            of,
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
    pub(super) fn handle_reply(
        &mut self,
        from: ProcessId,
        session: u64,
        no: u64,
        reply: Reply<'_>,
    ) {
        let mut asking = self.calls.iter_mut().filter_map(|call| call.asking.as_mut());
        if let Some(asking) = asking.find(|a| (a.session, a.no) == (session, no)) {
            asking.handle_reply(from, reply);
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
        let Self { calls, ended, .. } = self;
        let mut wake: Option<Time> = None;
        calls.retain_mut(|call| {
            let Some(asking) = &mut call.asking else { return true };
            match asking.drive(now, call.within_ms, circle, &mut say) {
                Some(next) => wake = Some(wake.map_or(next, |wake| wake.min(next))),
                None => {
                    let asking = call.asking.take();
                    ended.extend(asking.map(|asking| asking.end(call.ticket, told)));
                }
            }
            call.asking.is_some()
        });
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

    /// Answers what others ask, as long as `say` takes it; `reply` knows what was answered, `None`
    /// if that is not known yet.
    pub(super) fn answer<'a>(
        &mut self,
        reply: impl Fn(u64, u64) -> Option<Reply<'a>>,
        mut say: impl FnMut(ProcessId, &Word<'_>) -> bool,
    ) {
        while let Some(&(to, session, no)) = self.questions.front() {
            if let Some(reply) = reply(session, no)
                && !say(to, &Word::Reply { session, no, reply })
            {
                return;
            }
            self.questions.pop_front();
        }
    }
}

impl Asking {
    fn handle_reply(&mut self, from: ProcessId, reply: Reply<'_>) {
        if !self.waiting.remove(&from) {
            return;
        }
        match reply {
            Reply::Answer(answer) => drop(self.replies.insert(from, answer.to_vec())),
            Reply::Refused => drop(self.missing.insert(from, Missing::Refused)),
            Reply::TooLarge => drop(self.missing.insert(from, Missing::TooLarge)),
        }
    }

    /// Asks who has not replied. Returns when to be called again; `None`: nothing is waited for.
    fn drive(
        &mut self,
        now: Time,
        within_ms: u64,
        circle: &Circle<'_>,
        mut say: impl FnMut(ProcessId, &Word<'_>) -> bool,
    ) -> Option<Time> {
        let until = *self.until.get_or_insert(now.plus_ms(within_ms));
        self.look_around(now >= until, circle);
        if self.waiting.is_empty() || self.is_enough() {
            return None;
        }
        if self.retry_at <= now {
            self.retry_at = now.plus_ms(self.pause_ms);
            self.pause_ms = (2 * self.pause_ms).min(RETRY_MS_MAX);
            let word = Word::Question { session: self.session, no: self.no };
            self.waiting.iter().take_while(|p| say(**p, &word)).count();
        }
        Some(self.retry_at.min(until))
    }

    /// Gives up who is gone, takes no part, or is late.
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

    fn is_enough(&self) -> bool {
        let counts = |p: &&ProcessId| self.of.as_ref().is_none_or(|of| of.contains(p));
        self.replies.keys().filter(counts).count() >= self.wanted
    }

    fn end(self, ticket: Ticket, told: &mut Told) -> Ended {
        let is_enough = self.is_enough();
        let Self { name, no, replies, missing, .. } = self;
        let (replies, missing) = (replies.into_iter().collect(), missing.into_iter().collect());
        let collected = Collected { replies, missing, is_enough };
        told.collected(name, &collected);
        Ended { ticket, no, collected }
    }
}
