//! The thread that carries a replica.

use core::ops::ControlFlow;
use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use vs_core::Time;
use vs_core::replica::{Answer, Broken, CallRefused, Replica, ReplicaEvent, State, Ticket};

use super::end::ReplicaEnd;
use super::front::{Ask, Front, Leave, Look, Told};
use super::jobs::JobThreads;
use crate::group::{End, EventRef, Member, RecvError};

/// Most threads that wait to look while the state is being written. Of more each sees nothing.
const LOOKS_MAX: usize = 1024;

pub(super) struct Worker<S: State> {
    member: Member,
    replica: Replica<S>,
    front: Arc<Front<S>>,
    asks: Vec<Ask<S>>,
    told: Vec<(u64, Told)>,
    /// Under which number each ticket was asked for, ascending.
    calls: VecDeque<(Ticket, u64)>,
    reads: HashMap<Ticket, (u64, Look<S>)>,
    /// Who wants to look, while the state is being written; at most [`LOOKS_MAX`].
    looks: Vec<Look<S>>,
    jobs: JobThreads<S>,
    hear: Box<dyn FnMut(ReplicaEvent) + Send>,
    /// It was said that the trace ends.
    is_trace_told: bool,
    leave_at: Option<Time>,
    leave_ms: u64,
}

impl<S: State + Send + 'static> Worker<S> {
    pub(super) fn new(
        member: Member,
        replica: Replica<S>,
        front: Arc<Front<S>>,
        hear: Box<dyn FnMut(ReplicaEvent) + Send>,
        leave_ms: u64,
    ) -> Self {
        Self {
            member,
            replica,
            jobs: JobThreads::new(Arc::clone(&front)),
            front,
            looks: Vec::new(),
            asks: Vec::new(),
            told: Vec::new(),
            calls: VecDeque::new(),
            reads: HashMap::new(),
            hear,
            is_trace_told: false,
            leave_at: None,
            leave_ms,
        }
    }

    /// Carries the replica until it ends.
    pub(super) fn run(mut self) {
        let front = Arc::clone(&self.front);
        let _told = Closed(Arc::clone(&front));
        front.begin();
        let end = match self.serve() {
            Ok(end) => end,
            Err(why) => {
                // The others go on without waiting for it.
                self.member.leave();
                self.member.advance();
                ReplicaEnd::Broken(why)
            }
        };
        drop(self);
        front.close(end);
    }

    fn serve(&mut self) -> Result<ReplicaEnd, Broken> {
        loop {
            self.front.bell.answer();
            if let Some(end) = self.take_asks() {
                return Ok(end);
            }
            let wake = self.go_on()?;
            if let Some(end) = self.end() {
                return Ok(end);
            }
            let now = self.member.driver().now();
            let wakes = wake.into_iter().chain(self.leave_at);
            let limit = wakes.map(|at| Duration::from_nanos(at - now)).min();
            if let Err(error) = self.member.wait(limit, Some(&self.front.bell)) {
                return Ok(ReplicaEnd::Ended(error.to_string()));
            }
            self.member.advance();
        }
    }

    /// Hears all that there is, and says what follows from it. Answers when to be called again.
    fn go_on(&mut self) -> Result<Option<Time>, Broken> {
        loop {
            let heard = self.hear()?;
            self.run_jobs()?;
            let now = self.member.driver().recent();
            let wake = self.replica.drive(now, &mut self.member.port())?;
            self.tell();
            self.member.flush();
            if !heard {
                return Ok(wake);
            }
        }
    }

    /// Hands out what takes long, and hears what has ended.
    fn run_jobs(&mut self) -> Result<(), Broken> {
        while let Some(job) = self.replica.poll_job() {
            self.jobs.run(job).map_err(|e| Broken(format!("no thread for a snapshot: {e}")))?;
        }
        while let Some(done) = self.jobs.poll()? {
            self.replica.handle_job(done)?;
        }
        if !self.replica.is_lent() {
            self.looks.drain(..).for_each(|look| look(&self.replica));
        }
        Ok(())
    }

    /// Whether there was anything to hear.
    fn hear(&mut self) -> Result<bool, Broken> {
        let Self { member, replica, hear: tell, .. } = self;
        let now = member.driver().recent();
        let mut result = Ok(());
        let mut hear = |replica: &mut Replica<S>, event: EventRef<'_>| {
            match event {
                EventRef::View { view, .. } => replica.handle_view(view),
                EventRef::Message { from, payload, stage, .. } => {
                    result = replica.handle_message(from, payload, stage);
                }
                EventRef::Direct { from, payload } => {
                    result = replica.handle_direct(now, from, payload);
                }
                EventRef::Detached { reason } => replica.handle_detached(reason),
                EventRef::Unanswered(why) => tell(ReplicaEvent::Note(why.to_string())),
                _ => {}
            }
            match result.is_err() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        let mut heard = member.hear_direct(|event| hear(replica, event)).0;
        if !replica.is_full() {
            let more = member.hear(|event| {
                let flow = hear(replica, event);
                // What follows may be promised to nobody: it is not to be read.
                let stops = replica.is_full() || replica.is_readable();
                if stops { ControlFlow::Break(()) } else { flow }
            });
            heard += more.0;
        }
        result.map(|()| heard > 0)
    }

    /// Hands over answers.
    fn tell(&mut self) {
        while let Some((ticket, answer)) = self.replica.poll_answer() {
            // Answers come in order, or nearly so.
            let at = self.calls.iter().position(|(known, _)| *known == ticket);
            if let Some((_, number)) = at.and_then(|at| self.calls.remove(at)) {
                self.told.push((number, Told::Answer(answer)));
            } else if let Some((number, look)) = self.reads.remove(&ticket) {
                look(&self.replica);
                self.told.push((number, Told::Answer(Answer::Readable)));
            }
        }
        while let Some(event) = self.replica.poll_event() {
            (self.hear)(event);
        }
        if !self.is_trace_told
            && let Some(error) = self.member.trace_error()
        {
            let words = format!("the trace ends here, it cannot be written: {error}");
            (self.hear)(ReplicaEvent::Note(words));
            self.is_trace_told = true;
        }
        self.front.tell(&mut self.told, &self.replica.status());
    }

    fn note_call(&mut self, number: u64, ticket: Result<Ticket, CallRefused>) {
        match ticket {
            Ok(ticket) => self.calls.push_back((ticket, number)),
            Err(refusal) => self.told.push((number, Told::Refused(refusal))),
        }
    }

    /// Takes what was asked for; how it ends, if it is to end at once.
    fn take_asks(&mut self) -> Option<ReplicaEnd> {
        let mut asks = core::mem::take(&mut self.asks);
        let leave = self.front.take_asks(&mut asks);
        for ask in asks.drain(..) {
            match ask {
                Ask::Call(number, op) => {
                    let ticket = self.replica.call_encoded(op);
                    self.note_call(number, ticket);
                }
                Ask::Collect(number, op, want, within_ms) => {
                    let ticket = self.replica.collect_encoded(op, want, within_ms);
                    self.note_call(number, ticket);
                }
                Ask::Read(number, look) => match self.replica.read() {
                    Ok(ticket) => drop(self.reads.insert(ticket, (number, look))),
                    Err(refusal) => self.told.push((number, Told::Refused(refusal))),
                },
                Ask::Look(look) if !self.replica.is_lent() => look(&self.replica),
                Ask::Look(look) if self.looks.len() < LOOKS_MAX => self.looks.push(look),
                Ask::Look(_) => {} // whoever asked hears that
                Ask::Member(change) => change(&mut self.member),
                Ask::Recover(number) => {
                    self.told.push((number, Told::Recovered(self.replica.recover())));
                }
            }
        }
        self.asks = asks;
        match leave {
            Some(Leave::Now) => return Some(ReplicaEnd::Left),
            Some(Leave::Politely) if self.leave_at.is_none() => {
                self.leave_at = Some(self.member.driver().now().plus_ms(self.leave_ms));
                self.member.leave();
            }
            _ => {}
        }
        None
    }

    fn end(&self) -> Option<ReplicaEnd> {
        let now = self.member.driver().recent();
        if self.leave_at.is_some_and(|at| at <= now) {
            return Some(ReplicaEnd::Left);
        }
        Some(match self.member.end()? {
            End::Left => ReplicaEnd::Left,
            End::Detached(reason) => RecvError::Detached(reason.clone()).into(),
            End::JoinTimedOut(why) => RecvError::JoinTimedOut { why: why.clone() }.into(),
            End::Forked => RecvError::Forked.into(),
        })
    }
}

/// Tells all threads that wait, if a panic ends this one: for example in `apply`.
struct Closed<S: State>(Arc<Front<S>>);

impl<S: State> Drop for Closed<S> {
    fn drop(&mut self) {
        let why = "the thread of the replica panicked, in apply or in a closure that reads";
        self.0.close(ReplicaEnd::Broken(Broken(why.into())));
    }
}
