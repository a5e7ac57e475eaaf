//! A process in one group, without a way to hand over what it hears: what both handles drive.

use core::ops::ControlFlow;
use core::time::Duration;
use std::io;
use std::path::PathBuf;

use vs_core::ident::{GroupKey, GroupName};
use vs_core::trace::Header;
use vs_core::{Action, Blocking, DetachReason, Sent, Time};

use super::error::{JoinError, SendError};
use super::event::EventRef;
use super::options::JoinOptions;
use super::wait::wait;
use crate::driver::{Driver, DriverConfig};
use crate::shared::Bell;
use crate::trace::{MaybeTrace, TraceFile};

/// How membership ended.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Left,
    Detached(DetachReason),
}

/// Events that were handed over, and whether the hearer wants to hear no more now.
pub(crate) type Heard = (usize, ControlFlow<()>);

#[derive(Debug)]
pub(crate) struct Member {
    driver: Driver<MaybeTrace>,
    key: GroupKey,
    busy_poll: Duration,
    /// When [`Member::advance`] was called last.
    advanced: Time,
    /// Bytes that were sent since the last write.
    unflushed: usize,
    /// There is room again for a message that found none.
    writable: bool,
    end: Option<End>,
}

impl Member {
    /// Opens the sockets and asks for a place in `group`.
    pub(crate) fn join(group: &GroupName, options: JoinOptions) -> Result<Self, JoinError> {
        let JoinOptions { driver, group: config, busy_poll, trace, .. } = options;
        if config.blocking != Blocking::Auto {
            return Err(JoinError::ManualBlocking);
        }
        let trace = trace.map(|path| begin_trace(path, &driver)).transpose()?;
        let mut driver = Driver::new(driver, MaybeTrace(trace)).map_err(JoinError::Open)?;
        let key = driver.join(group, config).map_err(JoinError::Refused)?;
        let mut member = Self {
            driver,
            key,
            busy_poll,
            advanced: Time::ZERO,
            unflushed: 0,
            writable: false,
            end: None,
        };
        member.advance();
        Ok(member)
    }

    /// Takes a message, to go out with the next [`Member::flush`].
    pub(crate) fn send(&mut self, payload: &[u8]) -> Result<Sent, SendError> {
        if let Some(End::Detached(reason)) = &self.end {
            return Err(SendError::Detached(reason.clone()));
        }
        let sent = self.driver.send(self.key, payload).map_err(|error| match error {
            vs_core::SendError::NotJoined => SendError::Left,
            vs_core::SendError::TooLarge { len, max } => SendError::TooLarge { len, max },
            // The window is full, or the view changes: a later call may succeed.
            _ => SendError::Full,
        })?;
        self.unflushed += payload.len();
        Ok(sent)
    }

    /// Asks to leave; goes out with the next [`Member::flush`].
    pub(crate) fn leave(&mut self) {
        self.driver.leave(self.key);
    }

    /// Waits for the sockets, and for `bell`, for at most `limit`.
    pub(crate) fn wait(&mut self, limit: Option<Duration>, bell: Option<&Bell>) -> io::Result<()> {
        wait(&mut self.driver, limit, self.busy_poll, bell)
    }

    /// Reads, lets time pass, writes.
    pub(crate) fn advance(&mut self) {
        self.driver.advance(|_| Ok(()));
        self.unflushed = 0;
        self.advanced = self.driver.recent();
    }

    /// Writes.
    pub(crate) fn flush(&mut self) {
        self.driver.flush(|_| Ok(()));
        self.unflushed = 0;
    }

    /// Hands over what there is to hear, until there is nothing more or `f` breaks.
    pub(crate) fn hear(&mut self, mut f: impl FnMut(EventRef<'_>) -> ControlFlow<()>) -> Heard {
        let mut heard = 0;
        while let Some(action) = self.driver.poll_action() {
            let flow = match action {
                Action::Deliver { from, number, payload, .. } => {
                    f(EventRef::Message { from, number, payload })
                }
                Action::View { view, transitional, .. } => f(EventRef::View { view, transitional }),
                Action::Primary { .. } => f(EventRef::Primary),
                Action::Detached { reason, .. } => {
                    if reason.is_final() {
                        self.end = Some(End::Detached(reason.clone()));
                    }
                    f(EventRef::Detached { reason: &reason })
                }
                Action::Left { unsent, .. } => {
                    self.end = Some(End::Left);
                    f(EventRef::Left { unsent })
                }
                Action::Writable { .. } => {
                    self.writable = true;
                    continue;
                }
                // Blocking is automatic, and what this version does not know of is not for it.
                _ => continue,
            };
            heard += 1;
            if flow.is_break() {
                return (heard, flow);
            }
        }
        (heard, ControlFlow::Continue(()))
    }

    /// Whether there has come room for a message that found none, since this was asked last.
    pub(crate) fn take_writable(&mut self) -> bool {
        core::mem::take(&mut self.writable)
    }

    /// How membership ended; nothing more is heard then.
    pub(crate) fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Bytes that were sent since the last write.
    pub(crate) fn unflushed(&self) -> usize {
        self.unflushed
    }

    /// When [`Member::advance`] was called last.
    pub(crate) fn advanced(&self) -> Time {
        self.advanced
    }

    pub(crate) fn driver(&self) -> &Driver<MaybeTrace> {
        &self.driver
    }

    /// The error that ended the trace.
    pub(crate) fn trace_error(&mut self) -> Option<&io::Error> {
        self.driver.tracer_mut().0.as_ref().and_then(TraceFile::error)
    }
}

fn begin_trace(path: PathBuf, driver: &DriverConfig) -> Result<TraceFile, JoinError> {
    let header =
        Header { process: driver.process, incarnation: driver.incarnation, runtime: "std".into() };
    TraceFile::open(&path, &header, driver.clock.unix_offset())
        .map_err(|error| JoinError::Trace { path, error })
}
