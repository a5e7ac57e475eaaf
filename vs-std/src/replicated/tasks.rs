//! A replicated state in tasks and event loops.

use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::sync::Arc;

use futures_core::Stream;
use vs_core::replica::{Collected, ReplicaEvent, ReplicaStatus, State, Want};

use super::call::CallError;
use super::end::ReplicaEnd;
use super::front::{Front, Leave};
use super::{Replicated, told_to_read};
use crate::readiness::Readiness;
use crate::waiters::Place;

/// # In tasks
///
/// The methods that end in `_async`, [`Replicated::events`] and [`Pending`](super::Pending) belong
/// to no runtime: any executor can poll them. They wait as long as it takes, without
/// [`ReplicaOptions::call_timeout`](super::ReplicaOptions::call_timeout); for a timeout use that of
/// the runtime. All may be dropped at any time.
impl<S: State + Send + 'static> Replicated<S> {
    /// [`Replicated::call`] in a task.
    ///
    /// **Cancel safety**: once it was polled the operation is on its way. A future that is dropped
    /// then leaves open whether it is carried out, once or never. To cancel the waiting alone, keep
    /// the [`Pending`](super::Pending) of [`Replicated::begin`] and poll that.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call_async(&self, op: &S::Op) -> Result<S::Out, CallError<S::Out>> {
        self.begin(op)?.await
    }

    /// [`Replicated::collect`] in a task, with the same cancel safety as
    /// [`Replicated::call_async`].
    ///
    /// # Errors
    /// See [`CallError`]; that members are missing is none.
    pub async fn collect_async(
        &self,
        op: &S::Op,
        want: Want,
        within: Duration,
    ) -> Result<Collected<S::Out>, CallError<Collected<S::Out>>> {
        self.begin_collect(op, want, within)?.await
    }

    /// [`Replicated::read`] in a task.
    ///
    /// **Cancel safety**: if it is dropped, `read` may still be called, and its result is dropped.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn read_async<R: Send + 'static>(
        &self,
        read: impl FnOnce(&S) -> R + Send + 'static,
    ) -> Result<R, CallError<S::Out>> {
        let (asked, receive) = self.ask_to_read(read)?;
        told_to_read(poll_fn(|cx| asked.poll(cx)).await, &receive)
    }

    /// Waits in a task until calls are answered.
    ///
    /// # Errors
    /// The replica has ended.
    pub async fn served_async(&self) -> Result<(), ReplicaEnd> {
        self.watch(|status| *status == ReplicaStatus::Serving).await
    }

    /// [`Replicated::leave`] in a task.
    ///
    /// **Cancel safety**: once it was polled the group is being left, also if it is dropped then.
    pub async fn leave_async(&self) -> ReplicaEnd {
        self.front().leave(Leave::Politely);
        self.watch(|_| false).await.err().unwrap_or(ReplicaEnd::Left)
    }

    async fn watch(
        &self,
        is_wanted: impl Fn(&ReplicaStatus) -> bool + Send,
    ) -> Result<(), ReplicaEnd> {
        let mut watcher = Watcher { front: Arc::clone(self.front()), place: Place::default() };
        let Watcher { front, place } = &mut watcher;
        poll_fn(|cx| front.poll_status(&is_wanted, place, cx.waker())).await
    }

    /// What happens besides answers, for tasks: as [`ReplicaOptions::hear`] hears it, which runs on
    /// the thread of the replica. Each event goes to one of those who ask. Set
    /// [`ReplicaOptions::events_max`], or there is none.
    ///
    /// [`ReplicaOptions::hear`]: super::ReplicaOptions::hear
    /// [`ReplicaOptions::events_max`]: super::ReplicaOptions::events_max
    #[must_use]
    pub fn events(&self) -> ReplicaEventStream<S> {
        ReplicaEventStream { replicated: self.clone(), place: Place::default() }
    }

    /// The next event of [`Replicated::events`], if it is there.
    ///
    /// # Errors
    /// The replica has ended: nothing more will come.
    pub fn try_event(&self) -> Result<Option<ReplicaEvent>, ReplicaEnd> {
        self.front().try_hear()
    }

    /// A descriptor that is readable while an answer is there that nobody has taken, while there is
    /// an event for [`Replicated::try_event`], and once the replica has ended. A loop that finds it
    /// readable looks at what it keeps: at events, and at each [`Pending`](super::Pending), by
    /// [`Pending::wait`](super::Pending::wait) with no time to wait.
    ///
    /// It is made at the first call. Without one nothing is spent on it.
    ///
    /// # Errors
    /// The system has no descriptor left: the files that may be open are too few.
    pub fn readiness(&self) -> io::Result<Readiness> {
        self.front().readiness()
    }
}

/// A task that waits for a status.
struct Watcher<S: State> {
    front: Arc<Front<S>>,
    place: Place,
}

impl<S: State> Drop for Watcher<S> {
    fn drop(&mut self) {
        self.front.leave_watchers(&mut self.place);
    }
}

/// What happens to a replica besides answers, in a task: see [`Replicated::events`].
///
/// It ends when the replica does; [`Replicated::end`] tells why. A stream is a handle: the replica
/// lives while it does.
pub struct ReplicaEventStream<S: State + Send + 'static> {
    replicated: Replicated<S>,
    place: Place,
}

impl<S: State + Send + 'static> ReplicaEventStream<S> {
    /// The next event. If there is none, the task of `cx` is woken when there is: the one that has
    /// waited longest for each event, and all at the end. A stream that is dropped has taken none.
    ///
    /// # Errors
    /// The replica has ended: nothing more will come.
    pub fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<ReplicaEvent, ReplicaEnd>> {
        self.replicated.front().poll_hear(&mut self.place, cx.waker())
    }
}

impl<S: State + Send + 'static> Stream for ReplicaEventStream<S> {
    type Item = ReplicaEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ReplicaEvent>> {
        self.get_mut().poll_event(cx).map(Result::ok)
    }
}

impl<S: State + Send + 'static> fmt::Debug for ReplicaEventStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplicaEventStream").finish_non_exhaustive()
    }
}

impl<S: State + Send + 'static> Drop for ReplicaEventStream<S> {
    fn drop(&mut self) {
        self.replicated.front().leave_hearers(&mut self.place);
    }
}
