//! Receiving in a task.

use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::{FusedStream, Stream};

use super::SharedGroup;
use crate::group::{Event, LeaveError, RecvError};
use crate::waiters::Place;

/// # In tasks
///
/// The methods that end in `_async`, [`SharedGroup::stream`] and [`SharedGroup::sink`] belong to no
/// runtime: any executor can poll them, and there is no thread and no timer behind them besides the
/// thread that the group has anyway. Their names are those of the crate `flume`. Blocking callers
/// and tasks can share a group.
///
/// All are safe to cancel: a future that is dropped has taken no event and sent no message, unless
/// it said so. If it had been woken already, the next one that waits is woken in its place. For a
/// timeout use that of the runtime.
impl SharedGroup {
    /// Waits for the next event, as [`SharedGroup::recv`] does, in a task.
    ///
    /// **Cancel safety**: a future that is dropped before it is ready has taken no event.
    ///
    /// # Errors
    /// See [`RecvError`]: nothing more will come.
    pub async fn recv_async(&self) -> Result<Event, RecvError> {
        let mut events = self.stream();
        poll_fn(|cx| events.poll_recv(cx)).await
    }

    /// The events to come, for tasks. There may be several streams, and blocking receivers beside
    /// them: each event goes to one of those who ask.
    ///
    /// A stream is a handle: the group lives while it does.
    #[must_use]
    pub fn stream(&self) -> EventStream {
        EventStream { group: self.clone(), place: Place::default() }
    }

    /// Leaves the group, as [`SharedGroup::leave`] does, in a task: waits until all members have
    /// what this process sent. Events that nobody receives meanwhile are thrown away. Returns the
    /// number of messages that nobody will see.
    ///
    /// **Cancel safety**: once it was polled the group is being left, also if it is dropped then.
    /// To wait on, call it again; to wait no more, drop the handles.
    ///
    /// # Errors
    /// See [`LeaveError`], without [`LeaveError::TimedOut`]; the group was left all the same.
    pub async fn leave_async(&self) -> Result<usize, LeaveError> {
        self.begin_leave();
        while self.recv_async().await.is_ok() {}
        self.how_it_was_left()
    }
}

/// The events of a [`SharedGroup`], in a task: see [`SharedGroup::stream`].
///
/// The stream ends when membership does. Most often [`Event::Left`] or [`Event::Detached`] with a
/// final reason comes last and tells why, and [`EventStream::end`] always does.
pub struct EventStream {
    group: SharedGroup,
    place: Place,
}

impl EventStream {
    /// The next event. If there is none, the task of `cx` is woken when there is.
    ///
    /// **Wake-ups**: each event wakes one of the tasks that wait, the one that has waited longest,
    /// and the end wakes all. A stream that was woken keeps its turn until it is polled or dropped,
    /// so a task that turns to other work for long should drop it.
    ///
    /// # Errors
    /// See [`RecvError`]: nothing more will come, and each further call says so.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, RecvError>> {
        let exchange = self.group.exchange();
        let polled = exchange.arrivals.poll_take(&mut self.place, cx.waker());
        // What has arrived is taken by a process that was forked, too.
        if polled.is_pending() && exchange.is_forked() {
            return Poll::Ready(Err(RecvError::Forked));
        }
        polled.map_ok(|(event, is_room)| {
            if is_room {
                exchange.bell.ring();
            }
            event
        })
    }

    /// Why nothing more will come; `None` while membership lasts.
    #[must_use]
    pub fn end(&self) -> Option<RecvError> {
        self.group.exchange().arrivals.ended().map(|ended| RecvError::from(&ended))
    }
}

impl Stream for EventStream {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.get_mut().poll_recv(cx).map(Result::ok)
    }
}

impl FusedStream for EventStream {
    fn is_terminated(&self) -> bool {
        let arrivals = &self.group.exchange().arrivals;
        arrivals.ended().is_some() && arrivals.is_empty()
    }
}

/// Another stream of the same group.
impl Clone for EventStream {
    fn clone(&self) -> Self {
        self.group.stream()
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").finish_non_exhaustive()
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.group.exchange().arrivals.leave(&mut self.place);
    }
}
