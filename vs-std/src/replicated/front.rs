//! Where the application's threads and the one that carries the replica meet.

use core::fmt;
use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::ThreadId;
use std::time::Instant;

use vs_core::replica::{Answer, CallRefused, Replica, ReplicaStatus, State};

use super::end::ReplicaEnd;
use crate::bell::Bell;
use crate::group::RecvError;
use crate::owner::Owner;

/// Something that reads a state, or looks at the replica.
pub(super) type Look<S> = Box<dyn FnOnce(&Replica<S>) + Send>;

/// What a thread asks for.
pub(super) enum Ask<S: State> {
    /// An operation, as bytes.
    Call(u64, Vec<u8>),
    /// To read, once that is linearizable; refused: the reason.
    Read(u64, Look<S>),
    /// To look now.
    Look(Look<S>),
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

/// The answer to a question.
#[derive(Debug)]
enum Slot {
    /// It is still to come.
    Open,
    Told(Told),
    /// Nobody waits for it any more.
    Closed,
}

/// Answers by the number of their question. Numbers are given in turn.
#[derive(Debug, Default)]
struct Slots {
    first: u64,
    slots: VecDeque<Slot>,
}

impl Slots {
    /// The number of the next question.
    fn open(&mut self) -> u64 {
        self.slots.push_back(Slot::Open);
        self.first + self.slots.len() as u64 - 1
    }

    fn get(&mut self, number: u64) -> Option<&mut Slot> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.slots.get_mut(at)
    }

    fn tell(&mut self, number: u64, told: Told) {
        if let Some(slot @ Slot::Open) = self.get(number) {
            *slot = Slot::Told(told);
        }
    }

    /// Takes the answer if it is there.
    fn take(&mut self, number: u64) -> Option<Told> {
        let slot = self.get(number).filter(|slot| matches!(slot, Slot::Told(_)))?;
        let Slot::Told(told) = core::mem::replace(slot, Slot::Closed) else { return None };
        self.close(number);
        Some(told)
    }

    fn close(&mut self, number: u64) {
        if let Some(slot) = self.get(number) {
            *slot = Slot::Closed;
        }
        while let Some(Slot::Closed) = self.slots.front() {
            self.slots.pop_front();
            self.first += 1;
        }
    }
}

struct Inner<S: State> {
    asks: Vec<Ask<S>>,
    slots: Slots,
    status: ReplicaStatus,
    end: Option<ReplicaEnd>,
    /// The handles are gone, or the group is to be left.
    leave: Option<Leave>,
    /// Threads that wait.
    waiting: usize,
}

/// Where answers are waited for, whatever the state is.
pub(super) trait Waits: Send + Sync {
    /// What became of what was asked for under `number`.
    fn wait_for(&self, number: u64, until: Option<Instant>) -> Option<Result<Told, ReplicaEnd>>;

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
    pub(super) fn new() -> io::Result<Self> {
        let inner = Inner {
            asks: Vec::new(),
            slots: Slots::default(),
            status: ReplicaStatus::Gathering,
            end: None,
            leave: None,
            waiting: 0,
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

    /// Asks; answers the number under which the answer will be told.
    pub(super) fn ask(&self, ask: impl FnOnce(u64) -> Ask<S>) -> Result<u64, ReplicaEnd> {
        self.is_forked();
        let mut inner = self.lock();
        if let Some(end) = &inner.end {
            return Err(end.clone());
        }
        let number = inner.slots.open();
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
        told.drain(..).for_each(|(number, told)| inner.slots.tell(number, told));
        if inner.status != *status {
            inner.status.clone_from(status);
        }
        let wakes = news && inner.waiting > 0;
        drop(inner);
        if wakes {
            self.came.notify_all();
        }
    }

    /// Nothing more will come.
    pub(super) fn close(&self, end: ReplicaEnd) {
        let mut inner = self.lock();
        inner.end.get_or_insert(end);
        let asks = core::mem::take(&mut inner.asks);
        drop(inner);
        drop(asks);
        self.came.notify_all();
    }
}

impl<S: State + Send> Waits for Front<S> {
    fn wait_for(&self, number: u64, until: Option<Instant>) -> Option<Result<Told, ReplicaEnd>> {
        self.wait(until, |inner| {
            let told = inner.slots.take(number).map(Ok);
            told.or_else(|| inner.end.clone().map(Err))
        })
    }

    fn forget(&self, number: u64) {
        self.lock().slots.close(number);
    }
}
