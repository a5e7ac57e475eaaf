//! Where the application's threads and the one that carries the replica meet.

use core::fmt;
use core::task::{Poll, Waker};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{OnceLock, PoisonError};
use std::thread::ThreadId;
use std::time::Instant;

use vs_core::replica::{
    Answer, CallRefused, OUTSTANDING_MAX, Replica, ReplicaEvent, ReplicaStatus, State, Want,
};

use super::end::ReplicaEnd;
use crate::bell::Bell;
use crate::group::{Member, RecvError};
use crate::owner::Owner;
use crate::readiness::{Readiness, Ready};
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::waiters::{Place, Waiters, Woken};

/// Something that reads a state, or looks at the replica.
pub(super) type Look<S> = Box<dyn FnOnce(&Replica<S>) + Send>;

/// What a thread asks for.
pub(super) enum Ask<S: State> {
    /// An operation, as bytes.
    Call(u64, Vec<u8>),
    /// An operation, as bytes, and what the members answered; within so many ms.
    Collect(u64, Vec<u8>, Want, u64),
    /// To read, once that is linearizable; refused: the reason.
    Read(u64, Look<S>),
    /// To look now.
    Look(Look<S>),
    /// Something of the member.
    Member(Box<dyn FnOnce(&mut Member) + Send>),
    /// The state of this process counts.
    Recover(u64),
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Told {
    Answer(Answer),
    Refused(CallRefused),
    /// Whether anything waited for an operator.
    Recovered(bool),
}

/// An answer that somebody waits for.
enum Awaited {
    /// It is still to come, or was taken; the task to be woken when it comes, if one waits.
    Open(Option<Waker>),
    Told(Told),
}

struct Inner<S: State> {
    /// At most [`OUTSTANDING_MAX`].
    asks: Vec<Ask<S>>,
    /// By the number of their question the answers that somebody waits for.
    told: BTreeMap<u64, Awaited>,
    /// How many of them are there.
    answers: usize,
    /// Events that nobody has taken yet, and how many are kept at most.
    heard: VecDeque<ReplicaEvent>,
    heard_max: usize,
    /// Tasks that wait for an event: one is woken for each, as in a shared group.
    hearers: Waiters,
    /// The number of the next question.
    next: u64,
    status: ReplicaStatus,
    end: Option<ReplicaEnd>,
    /// The handles are gone, or the group is to be left.
    leave: Option<Leave>,
    /// Threads that wait.
    waiting: usize,
    /// Tasks that wait for another status, or the end.
    watchers: Waiters,
    /// What event loops wait for.
    ready: Ready,
}

/// Where answers are waited for, whatever the state is.
pub(super) trait Waits: Send + Sync {
    /// What became of what was asked for under `number`.
    fn wait_for(&self, number: u64, until: Option<Instant>) -> Option<Result<Told, ReplicaEnd>>;

    /// The same for the task of `waker`, which is woken when it is known. One task waits for it at
    /// a time.
    fn poll_for(&self, number: u64, waker: &Waker) -> Poll<Result<Told, ReplicaEnd>>;

    /// Nobody will ask what became of `number`.
    fn forget(&self, number: u64);
}

/// How the replica is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// In good order.
    Politely,
    /// At once.
    Now,
}

/// Where the application's threads and the one that carries the replica meet.
pub(super) struct Front<S: State> {
    inner: Mutex<Inner<S>>,
    came: Condvar,
    /// The thread that carries the replica.
    worker: OnceLock<ThreadId>,
    owner: Owner,
    pub(super) bell: Bell,
}

impl<S: State> fmt::Debug for Front<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front").finish_non_exhaustive()
    }
}

impl<S: State> Front<S> {
    /// At most `heard_max` events are kept for those who ask for them.
    pub(super) fn new(heard_max: usize) -> io::Result<Self> {
        let inner = Inner {
            asks: Vec::new(),
            told: BTreeMap::new(),
            answers: 0,
            heard: VecDeque::new(),
            heard_max,
            hearers: Waiters::default(),
            next: 0,
            status: ReplicaStatus::Gathering,
            end: None,
            leave: None,
            waiting: 0,
            watchers: Waiters::default(),
            ready: Ready::default(),
        };
        let (inner, came) = (Mutex::new(inner), Condvar::new());
        let (owner, bell) = (Owner::here(), Bell::new()?);
        Ok(Self { inner, came, worker: OnceLock::new(), owner, bell })
    }

    /// Whether this process was forked from the one that opened the state: the thread is not in
    /// this one, so nobody waits for it.
    pub(super) fn is_forked(&self) -> bool {
        let forked = self.owner.is_elsewhere();
        if forked {
            self.close(RecvError::Forked.into());
        }
        forked
    }

    fn lock(&self) -> MutexGuard<'_, Inner<S>> {
        // Whatever panicked, the state is complete at each step.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks; answers the number under which the answer will be told. While [`OUTSTANDING_MAX`]
    /// questions wait for the thread, that is a refusal.
    pub(super) fn ask(&self, ask: impl FnOnce(u64) -> Ask<S>) -> Result<u64, ReplicaEnd> {
        self.is_forked();
        let mut inner = self.lock();
        if let Some(end) = &inner.end {
            return Err(end.clone());
        }
        let number = inner.next;
        inner.next += 1;
        if inner.asks.len() >= OUTSTANDING_MAX {
            inner.told.insert(number, Awaited::Told(Told::Refused(CallRefused::TooMany)));
            inner.answers += 1;
            inner.note_ready();
            return Ok(number);
        }
        inner.told.insert(number, Awaited::Open(None));
        let is_first = inner.asks.is_empty();
        inner.asks.push(ask(number));
        drop(inner);
        if is_first {
            self.bell.ring();
        }
        Ok(number)
    }

    /// Whether the calling thread is the one that carries the replica.
    pub(super) fn is_inside(&self) -> bool {
        self.worker.get() == Some(&std::thread::current().id())
    }

    /// Waits until `until` for what `find` finds. Inside it looks once: it would wait for itself.
    fn wait<R>(
        &self,
        until: Option<Instant>,
        mut find: impl FnMut(&mut Inner<S>) -> Option<R>,
    ) -> Option<R> {
        self.is_forked();
        let until = if self.is_inside() { Some(Instant::now()) } else { until };
        let mut inner = self.lock();
        loop {
            if let Some(found) = find(&mut inner) {
                return Some(found);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            inner.waiting += 1;
            inner = match left {
                Some(left) if left.is_zero() => {
                    inner.waiting -= 1;
                    return None;
                }
                Some(left) => {
                    let result = self.came.wait_timeout(inner, left);
                    result.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.came.wait(inner).unwrap_or_else(PoisonError::into_inner),
            };
            inner.waiting -= 1;
        }
    }

    /// Waits until the status is one that `is_wanted`, or the end.
    pub(super) fn wait_for_status(
        &self,
        until: Option<Instant>,
        is_wanted: impl Fn(&ReplicaStatus) -> bool,
    ) -> Option<Result<(), ReplicaEnd>> {
        self.wait(until, |inner| match &inner.end {
            Some(end) => Some(Err(end.clone())),
            None => is_wanted(&inner.status).then_some(Ok(())),
        })
    }

    /// The same for the task of `waker`, which is woken when the status changes, and keeps its
    /// `place` among those who wait until then.
    pub(super) fn poll_status(
        &self,
        is_wanted: impl Fn(&ReplicaStatus) -> bool,
        place: &mut Place,
        waker: &Waker,
    ) -> Poll<Result<(), ReplicaEnd>> {
        self.is_forked();
        let mut inner = self.lock();
        if let Some(end) = &inner.end {
            return Poll::Ready(Err(end.clone()));
        }
        if is_wanted(&inner.status) {
            return Poll::Ready(Ok(()));
        }
        let replaced = inner.watchers.wait(place, waker);
        drop(inner);
        drop(replaced);
        Poll::Pending
    }

    /// The task of `place` does not wait for a status any more.
    pub(super) fn leave_watchers(&self, place: &mut Place) {
        if place.is_taken() {
            let departed = self.lock().watchers.leave(place);
            drop(departed);
        }
    }

    /// The next event, if it is there.
    pub(super) fn try_hear(&self) -> Result<Option<ReplicaEvent>, ReplicaEnd> {
        self.is_forked();
        let mut inner = self.lock();
        match inner.hear() {
            None => inner.end.clone().map_or(Ok(None), Err),
            event => Ok(event),
        }
    }

    /// The next event. If there is none, the task of `waker` is woken once there is, and keeps its
    /// `place` among those who wait until then.
    pub(super) fn poll_hear(
        &self,
        place: &mut Place,
        waker: &Waker,
    ) -> Poll<Result<ReplicaEvent, ReplicaEnd>> {
        self.is_forked();
        let mut inner = self.lock();
        if let Some(event) = inner.hear() {
            let departed = inner.hearers.leave(place);
            drop(inner);
            drop(departed);
            return Poll::Ready(Ok(event));
        }
        if let Some(end) = &inner.end {
            return Poll::Ready(Err(end.clone()));
        }
        let replaced = inner.hearers.wait(place, waker);
        drop(inner);
        drop(replaced);
        Poll::Pending
    }

    /// The task of `place` does not wait for an event any more. One for which it was woken goes to
    /// another.
    pub(super) fn leave_hearers(&self, place: &mut Place) {
        if !place.is_taken() {
            return;
        }
        let mut inner = self.lock();
        let departed = inner.hearers.leave(place);
        let passes_on = departed.was_woken && !inner.heard.is_empty();
        let woken = inner.hearers.take(usize::from(passes_on));
        drop(inner);
        drop(departed);
        woken.wake();
    }

    /// A descriptor that is readable while an answer or an event is there, and after the end.
    pub(super) fn readiness(&self) -> io::Result<Readiness> {
        self.is_forked();
        let mut inner = self.lock();
        let is_ready = inner.is_ready();
        inner.ready.get(is_ready)
    }

    pub(super) fn status(&self) -> ReplicaStatus {
        self.lock().status.clone()
    }

    pub(super) fn end(&self) -> Option<ReplicaEnd> {
        self.is_forked();
        self.lock().end.clone()
    }

    pub(super) fn leave(&self, how: Leave) {
        if self.is_forked() {
            return;
        }
        self.lock().leave.get_or_insert(how);
        self.bell.ring();
    }

    // What the thread that carries the replica calls.

    pub(super) fn begin(&self) {
        self.worker.get_or_init(|| std::thread::current().id());
    }

    /// What was asked for since the last time, and whether the replica is to end.
    pub(super) fn take_asks(&self, asks: &mut Vec<Ask<S>>) -> Option<Leave> {
        let mut inner = self.lock();
        core::mem::swap(&mut inner.asks, asks);
        inner.leave
    }

    /// Tells what became of things, and how the replica fares.
    pub(super) fn tell(&self, told: &mut Vec<(u64, Told)>, status: &ReplicaStatus) {
        let mut inner = self.lock();
        let news = !told.is_empty() || inner.status != *status;
        let mut woken = Woken::default();
        for (number, told) in told.drain(..) {
            woken.extend(inner.answer(number, told));
        }
        inner.note_ready();
        let mut has_changed = false;
        if inner.status != *status {
            inner.status.clone_from(status);
            woken.extend(inner.watchers.take_all());
            has_changed = true;
        }
        let wakes = news && inner.waiting > 0;
        drop(inner);
        // A subscriber may call the replica: nothing is locked for it.
        if has_changed {
            tracing::info!(?status, "the status of the replicated state");
        }
        woken.wake();
        if wakes {
            self.came.notify_all();
        }
    }

    /// Keeps an event for those who ask. Of more than are kept the oldest is thrown away.
    pub(super) fn keep(&self, event: ReplicaEvent) {
        let mut inner = self.lock();
        let oldest =
            if inner.heard.len() < inner.heard_max { None } else { inner.heard.pop_front() };
        inner.heard.push_back(event);
        inner.note_ready();
        let woken = inner.hearers.take(1);
        drop(inner);
        drop(oldest);
        woken.wake();
    }

    /// Nothing more will come.
    pub(super) fn close(&self, end: ReplicaEnd) {
        let mut inner = self.lock();
        inner.end.get_or_insert(end);
        inner.note_ready();
        let asks = core::mem::take(&mut inner.asks);
        let mut woken = inner.watchers.take_all();
        woken.extend(inner.hearers.take_all());
        for awaited in inner.told.values_mut() {
            if let Awaited::Open(waker) = awaited {
                waker.take().into_iter().for_each(|waker| woken.push(waker));
            }
        }
        drop(inner);
        drop(asks);
        self.came.notify_all();
        woken.wake();
    }
}

impl<S: State> Inner<S> {
    fn is_ready(&self) -> bool {
        self.answers > 0 || !self.heard.is_empty() || self.end.is_some()
    }

    fn note_ready(&mut self) {
        self.ready.set(self.is_ready());
    }

    fn hear(&mut self) -> Option<ReplicaEvent> {
        let event = self.heard.pop_front()?;
        self.note_ready();
        Some(event)
    }

    /// Notes an answer. Whoever does not wait any more has taken its place away.
    fn answer(&mut self, number: u64, told: Told) -> Woken {
        let mut woken = Woken::default();
        if let Some(awaited) = self.told.get_mut(&number)
            && let Awaited::Open(waker) = core::mem::replace(awaited, Awaited::Told(told))
        {
            self.answers += 1;
            waker.into_iter().for_each(|waker| woken.push(waker));
        }
        woken
    }

    /// What became of what was asked for under `number`, if that is known.
    fn take(&mut self, number: u64) -> Option<Result<Told, ReplicaEnd>> {
        match self.told.get_mut(&number) {
            Some(awaited @ Awaited::Told(_)) => {
                let taken = core::mem::replace(awaited, Awaited::Open(None));
                self.answers -= 1;
                self.note_ready();
                if let Awaited::Told(told) = taken { Some(Ok(told)) } else { None }
            }
            _ => self.end.clone().map(Err),
        }
    }
}

impl<S: State + Send> Waits for Front<S> {
    fn wait_for(&self, number: u64, until: Option<Instant>) -> Option<Result<Told, ReplicaEnd>> {
        self.wait(until, |inner| inner.take(number))
    }

    fn poll_for(&self, number: u64, waker: &Waker) -> Poll<Result<Told, ReplicaEnd>> {
        self.is_forked();
        let mut inner = self.lock();
        if let Some(told) = inner.take(number) {
            return Poll::Ready(told);
        }
        let mut replaced = None;
        if let Some(Awaited::Open(known)) = inner.told.get_mut(&number) {
            let is_known = known.as_ref().is_some_and(|known| known.will_wake(waker));
            replaced = if is_known { None } else { known.replace(waker.clone()) };
        }
        drop(inner);
        drop(replaced);
        Poll::Pending
    }

    fn forget(&self, number: u64) {
        let mut inner = self.lock();
        let awaited = inner.told.remove(&number);
        if let Some(Awaited::Told(_)) = awaited {
            inner.answers -= 1;
            inner.note_ready();
        }
        drop(inner);
        drop(awaited);
    }
}

#[cfg(test)]
#[path = "front_tests.rs"]
mod tests;
