//! A call that has no answer yet, and why it may get none.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use vs_core::replica::{Answer, Broken, CallRefused};

use super::end::ReplicaEnd;
use super::front::{Told, Waits};

/// A call that has no answer yet. It goes on if this is dropped.
pub struct Pending<R> {
    front: Arc<dyn Waits>,
    number: u64,
    read: fn(Answer) -> Result<R, Broken>,
}

impl<R> fmt::Debug for Pending<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}

impl<R> Pending<R> {
    /// `read` reads an answer that it is carried out.
    pub(super) fn new(
        front: Arc<dyn Waits>,
        number: u64,
        read: fn(Answer) -> Result<R, Broken>,
    ) -> Self {
        Self { front, number, read }
    }

    /// Waits for the answer, for at most `timeout`.
    ///
    /// # Errors
    /// See [`CallError`]; with [`CallError::Unknown`] it may be waited for again: it is carried out
    /// once at most, however often.
    pub fn wait(self, timeout: Duration) -> Result<R, CallError<R>> {
        match self.front.wait_for(self.number, Instant::now().checked_add(timeout)) {
            None => Err(CallError::Unknown(self)),
            Some(Err(end)) => Err(CallError::Ended(end)),
            Some(Ok(Told::Answer(answer @ (Answer::Done(_) | Answer::Collected(_))))) => {
                (self.read)(answer).map_err(CallError::Broken)
            }
            Some(Ok(Told::Answer(Answer::TooLarge))) => Err(CallError::TooLarge),
            Some(Ok(Told::Refused(why))) => Err(CallError::Refused(why)),
            Some(Ok(_)) => Err(CallError::Lost),
        }
    }
}

impl<R> Drop for Pending<R> {
    fn drop(&mut self) {
        self.front.forget(self.number);
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
