//! Where the application's threads and the one that carries the replica meet.

use core::fmt;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::ThreadId;
use std::time::Instant;

use vs_core::replica::{Answer, CallRefused, OUTSTANDING_MAX, Replica, ReplicaStatus, State, Want};

use super::end::ReplicaEnd;
use crate::bell::Bell;
use crate::group::{Member, RecvError};
use crate::owner::Owner;

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

struct Inner<S: State> {
    /// At most [`OUTSTANDING_MAX`].
    asks: Vec<Ask<S>>,
    /// By the number of their question the answers that somebody waits for; `None`: still to come.
    told: BTreeMap<u64, Option<Told>>,
    /// The number of the next question.
    next: u64,
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
            told: BTreeMap::new(),
            next: 0,
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
            inner.told.insert(number, Some(Told::Refused(CallRefused::TooMany)));
            return Ok(number);
        }
        inner.told.insert(number, None);
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
        for (number, told) in told.drain(..) {
            // Whoever does not wait any more has taken its place away.
            inner.told.entry(number).and_modify(|place| *place = Some(told));
        }
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
            let told = inner.told.get_mut(&number).and_then(Option::take);
            told.map(Ok).or_else(|| inner.end.clone().map(Err))
        })
    }

    fn forget(&self, number: u64) {
        self.lock().told.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use vs_core::replica::{Broken, Sink, Source};

    use super::*;

    struct Nothing;

    impl State for Nothing {
        type Op = ();
        type Out = ();

        fn apply(&mut self, (): ()) {}

        fn snapshot(&self, _: &mut dyn Sink) -> Result<(), Broken> {
            Ok(())
        }

        fn restore(_: &mut dyn Source) -> Result<Self, Broken> {
            Ok(Self)
        }
    }

    #[test]
    fn questions_that_nobody_takes_are_bounded() {
        let front = Front::<Nothing>::new().unwrap();
        let ask = || front.ask(|number| Ask::Call(number, Vec::new()));
        for _ in 0..OUTSTANDING_MAX {
            ask().unwrap();
        }
        let refused = front.wait_for(ask().unwrap(), Some(Instant::now()));
        assert!(matches!(refused, Some(Ok(Told::Refused(CallRefused::TooMany)))));
        let mut asks = Vec::new();
        front.take_asks(&mut asks);
        assert_eq!(asks.len(), OUTSTANDING_MAX);
        assert!(front.wait_for(ask().unwrap(), Some(Instant::now())).is_none(), "it is asked");
    }

    #[test]
    fn an_answer_is_told_to_who_waits() {
        let front = Front::<Nothing>::new().unwrap();
        let [first, second] = [(); 2].map(|()| front.ask(Ask::Recover).unwrap());
        front.forget(second);
        let mut told = vec![(first, Told::Recovered(true)), (second, Told::Recovered(true))];
        front.tell(&mut told, &ReplicaStatus::Gathering);
        let now = Some(Instant::now());
        assert!(matches!(front.wait_for(first, now), Some(Ok(Told::Recovered(true)))));
        assert!(front.wait_for(first, now).is_none() && front.wait_for(second, now).is_none());
    }
}
