//! A call that has no answer yet, and why it may get none.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use vs_core::replica::{Answer, Broken, CallRefused};

use super::end::ReplicaEnd;
use super::front::{Told, Waits};

/// A question whose answer is kept until this is dropped.
pub(super) struct Asked {
    front: Arc<dyn Waits>,
    number: u64,
}

impl Asked {
    pub(super) fn new(front: Arc<dyn Waits>, number: u64) -> Self {
        Self { front, number }
    }

    pub(super) fn wait_until(&self, until: Option<Instant>) -> Option<Result<Told, ReplicaEnd>> {
        self.front.wait_for(self.number, until)
    }

    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<Told, ReplicaEnd>> {
        self.front.poll_for(self.number, cx.waker())
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.front.forget(self.number);
    }
}

/// A call that has no answer yet. It goes on if this is dropped.
///
/// Wait for the answer by [`Pending::wait`], or in a task: it is a future of the answer, which
/// waits as long as it takes and never says [`CallError::Unknown`]. The task that polled last is
/// woken. Do not poll it again once it was ready.
#[must_use = "wait for the answer, or drop it on purpose"]
pub struct Pending<R> {
    asked: Asked,
    read: fn(Answer) -> Result<R, Broken>,
}

impl<R> fmt::Debug for Pending<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}

impl<R> Pending<R> {
    /// `read` reads an answer that it is carried out.
    pub(super) fn new(asked: Asked, read: fn(Answer) -> Result<R, Broken>) -> Self {
        Self { asked, read }
    }

    /// Waits for the answer, for at most `timeout`.
    ///
    /// # Errors
    /// See [`CallError`]; with [`CallError::Unknown`] it may be waited for again: it is carried out
    /// once at most, however often.
    pub fn wait(self, timeout: Duration) -> Result<R, CallError<R>> {
        match self.asked.wait_until(Instant::now().checked_add(timeout)) {
            None => Err(CallError::Unknown(self)),
            Some(told) => self.outcome(told),
        }
    }

    fn outcome(&self, told: Result<Told, ReplicaEnd>) -> Result<R, CallError<R>> {
        match told.map_err(CallError::Ended)? {
            Told::Answer(answer @ (Answer::Done(_) | Answer::Collected(_))) => {
                (self.read)(answer).map_err(CallError::Broken)
            }
            Told::Answer(Answer::TooLarge) => Err(CallError::TooLarge),
            Told::Refused(why) => Err(CallError::Refused(why)),
            _ => Err(CallError::Lost),
        }
    }
}

impl<R> Future for Pending<R> {
    type Output = Result<R, CallError<R>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.asked.poll(cx).map(|told| self.outcome(told))
    }
}

/// Why a call has no answer.
#[non_exhaustive]
pub enum CallError<Out> {
    /// It was not sent, and will not be carried out.
    Refused(CallRefused),
    /// There is no answer in time. It may still be carried out, once: wait for it again.
    Unknown(Pending<Out>),
    /// The session of this process ended before the answer was heard: it was carried out once or
    /// never.
    Lost,
    /// The operation is longer than [`vs_core::GroupConfig::message_bytes_max`]; it was not carried
    /// out.
    TooLarge,
    /// The replica has ended. What was sent before was carried out once or never.
    Ended(ReplicaEnd),
    /// The call came from the thread of the replica: from inside
    /// [`vs_core::replica::State::apply`], from a closure that reads, or from
    /// [`super::ReplicaOptions::hear`]. It would wait for itself.
    Inside,
    /// The answer cannot be read.
    Broken(Broken),
}

impl<Out> fmt::Debug for CallError<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallError({self})")
    }
}

impl<Out> fmt::Display for CallError<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => why.fmt(f),
            Self::Unknown(_) => f.write_str("there is no answer yet: wait for it again"),
            Self::Lost => f.write_str(
                "the session ended before the answer was heard: the operation was carried out once \
                 or never",
            ),
            Self::TooLarge => f.write_str(
                "the operation is longer than message_bytes_max: raise it at all members",
            ),
            Self::Ended(end) => end.fmt(f),
            Self::Inside => f.write_str(
                "a call from inside apply, a closure that reads, or hear would wait for itself",
            ),
            Self::Broken(why) => write!(f, "the answer cannot be read: {why}"),
        }
    }
}

impl<Out> core::error::Error for CallError<Out> {}
