//! Sending in a task.

use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll};

use bytes::Bytes;
use futures_sink::Sink;

use super::SharedGroup;
use crate::group::SendError;
use crate::waiters::Place;

impl SharedGroup {
    /// Multicasts `payload`, as [`SharedGroup::send`] does, in a task. Waits for room in the outbox
    /// as long as it takes: while the inbox of this process is full, until somebody receives.
    ///
    /// **Cancel safety**: a future that is dropped before it is ready has sent nothing.
    ///
    /// # Errors
    /// See [`SendError`]; the message was not taken. [`SendError::Full`], [`SendError::TimedOut`]
    /// and [`SendError::InboxFull`] do not occur.
    pub async fn send_async(&self, payload: &[u8]) -> Result<(), SendError> {
        // A place among those who wait is needed only where there is no room.
        match self.try_send(payload) {
            Err(SendError::Full) => {}
            result => return result,
        }
        let mut messages = self.sink();
        poll_fn(|cx| messages.poll_send(cx, payload)).await
    }

    /// Takes messages, for tasks. There may be several sinks, and blocking senders beside them.
    ///
    /// A sink is a handle: the group lives while it does.
    #[must_use]
    pub fn sink(&self) -> MessageSink {
        MessageSink { group: self.clone(), place: Place::default(), held: None }
    }
}

/// Takes messages for a [`SharedGroup`], in a task: see [`SharedGroup::sink`].
///
/// As a [`Sink`] it takes anything that is bytes. It cannot know beforehand how long a message is
/// that it says it is ready for: one that the outbox has no room for is held in the sink, at most
/// one, and flushed before the next. Flush before you drop the sink: what it holds is tried once
/// more then, and lost if there is still no room. [`MessageSink::poll_send`] and
/// [`SharedGroup::send_async`] hold nothing.
pub struct MessageSink {
    group: SharedGroup,
    place: Place,
    /// A message that the outbox had no room for.
    held: Option<Bytes>,
}

impl MessageSink {
    /// Multicasts `payload`. If there is no room for it, it is not taken, and the task of `cx` is
    /// woken when there may be.
    ///
    /// **Wake-ups**: room wakes all tasks that wait for some, since each needs another amount; and
    /// so does the end.
    ///
    /// # Errors
    /// See [`SendError`]; the message was not taken.
    pub fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        payload: &[u8],
    ) -> Poll<Result<(), SendError>> {
        if self.held.is_some() {
            core::task::ready!(self.poll_flush(cx))?;
        }
        self.poll_push(cx, payload)
    }

    /// Whether the outbox has room for a message, and nothing is held. If not, the task of `cx` is
    /// woken when that may be so.
    ///
    /// # Errors
    /// See [`SendError`]; a message that was held is lost, since nothing is sent any more.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        core::task::ready!(self.poll_flush(cx))?;
        let exchange = self.group.exchange();
        let polled = exchange.outbox.poll_room(&mut self.place, cx.waker());
        if polled.is_pending() && exchange.is_forked() {
            return Poll::Ready(Err(SendError::Forked));
        }
        polled
    }

    /// Whether nothing is held: all is in the outbox. If not, the task of `cx` is woken when that
    /// may be so.
    ///
    /// # Errors
    /// See [`SendError`]; the message that was held is lost.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let Some(held) = self.held.take() else { return Poll::Ready(Ok(())) };
        let polled = self.poll_push(cx, &held);
        if polled.is_pending() {
            self.held = Some(held);
        }
        polled
    }

    fn poll_push(&mut self, cx: &mut Context<'_>, payload: &[u8]) -> Poll<Result<(), SendError>> {
        let exchange = self.group.exchange();
        match exchange.outbox.poll_push(payload, &mut self.place, cx.waker()) {
            Poll::Pending if exchange.is_forked() => Poll::Ready(Err(SendError::Forked)),
            Poll::Pending => Poll::Pending,
            Poll::Ready(result) => Poll::Ready(exchange.taken(result)),
        }
    }
}

impl<P: AsRef<[u8]>> Sink<P> for MessageSink {
    type Error = SendError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        MessageSink::poll_ready(self.get_mut(), cx)
    }

    /// [`SendError::Full`]: [`MessageSink::poll_ready`] was not waited for.
    fn start_send(mut self: Pin<&mut Self>, payload: P) -> Result<(), SendError> {
        if self.held.is_some() {
            return Err(SendError::Full);
        }
        match self.group.try_send(payload.as_ref()) {
            Err(SendError::Full) => {
                self.held = Some(Bytes::copy_from_slice(payload.as_ref()));
                Ok(())
            }
            result => result,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        MessageSink::poll_flush(self.get_mut(), cx)
    }

    /// Flushes. The group is not left.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        MessageSink::poll_flush(self.get_mut(), cx)
    }
}

/// Another sink of the same group. What one holds, it holds alone.
impl Clone for MessageSink {
    fn clone(&self) -> Self {
        self.group.sink()
    }
}

impl fmt::Debug for MessageSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageSink").field("held", &self.held).finish_non_exhaustive()
    }
}

impl Drop for MessageSink {
    fn drop(&mut self) {
        self.group.exchange().outbox.leave(&mut self.place);
        if let Some(held) = self.held.take() {
            // There is nobody left to tell.
            let _ = self.group.try_send(&held);
        }
    }
}
