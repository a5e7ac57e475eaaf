//! A process in one group, without a way to hand over what it hears: what both handles drive.

use core::ops::ControlFlow;
use core::time::Duration;
use std::io;
use std::path::PathBuf;

use vs_core::ident::{Cid, GroupKey, GroupName};
use vs_core::member::{MembershipError, Peer};
use vs_core::replica::Port;
use vs_core::seal::{Keys, Secret};
use vs_core::trace::{self, Header, Tracer};
use vs_core::{Action, Blocking, DetachReason, Note, NoteError, Sent, Time, View, WaitsFor};

use super::answer::Watch;
use super::error::{JoinError, SendError};
use super::event::EventRef;
use super::options::JoinOptions;
use super::reading::Role;
use super::wait::wait;
use crate::bell::Bell;
use crate::driver::{Driver, DriverConfig, DriverPort};
use crate::keys::KeysError;
use crate::trace::{MaybeTrace, TraceFile, reached_ms};

/// How membership ended.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Left,
    Detached(DetachReason),
    /// There was no view in time.
    JoinTimedOut(String),
    /// This process was forked from the one that joined.
    Forked,
}

/// Events that were handed over, and whether the hearer wants to hear no more now.
pub(crate) type Heard = (usize, ControlFlow<()>);

#[derive(Debug)]
pub(crate) struct Member {
    driver: Driver<MaybeTrace>,
    key: GroupKey,
    name: GroupName,
    is_observer: bool,
    busy_poll: Duration,
    /// When [`Member::advance`] was called last.
    advanced: Time,
    /// Bytes that were sent since the last write.
    unflushed: usize,
    /// There is room again for a message that found none.
    writable: bool,
    watch: Watch,
    end: Option<End>,
}

impl Member {
    /// Opens the sockets and asks for a place in `group`.
    pub(crate) fn join(group: &GroupName, options: JoinOptions) -> Result<Self, JoinError> {
        let JoinOptions { mut driver, group: config, note, role, .. } = options;
        let JoinOptions { busy_poll, join_timeout, trace, .. } = options;
        let is_observer = role == Role::Observer;
        if config.blocking != Blocking::Auto {
            return Err(JoinError::ManualBlocking);
        }
        let trace = trace.map(|path| begin_trace(path, &mut driver)).transpose()?;
        let watch = Watch::new(driver.clock.now(), &driver.membership, join_timeout);
        let mut driver = Driver::new(driver, MaybeTrace(trace)).map_err(JoinError::Open)?;
        let key = driver.join(group, config).map_err(JoinError::Refused)?;
        if !note.is_empty() {
            driver.set_note(key, note).map_err(JoinError::Note)?;
        }
        let mut member = Self {
            driver,
            key,
            name: group.clone(),
            is_observer,
            busy_poll,
            advanced: Time::ZERO,
            unflushed: 0,
            writable: false,
            watch,
            end: None,
        };
        member.advance();
        Ok(member)
    }

    /// Takes a message, to go out with the next [`Member::flush`].
    pub(crate) fn send(&mut self, payload: &[u8]) -> Result<Sent, SendError> {
        // Before the trace has a line of it.
        if self.unflushed == 0 {
            self.is_forked();
        }
        if self.is_observer {
            return Err(SendError::Observer);
        }
        match &self.end {
            Some(End::Detached(reason)) => return Err(SendError::Detached(reason.clone())),
            Some(End::JoinTimedOut(why)) => {
                return Err(SendError::JoinTimedOut { why: why.clone() });
            }
            Some(End::Forked) => return Err(SendError::Forked),
            Some(End::Left) | None => {}
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

    /// Whom a message waits for that finds no room.
    pub(crate) fn waits_for(&self) -> Option<WaitsFor> {
        self.driver.node().waits_for(self.key)
    }

    /// The application will not see `messages` of those that were heard.
    pub(crate) fn trace_gap(&mut self, messages: u64) {
        let (now, process) = (self.driver.recent(), self.driver.node().process());
        let tracer = self.driver.tracer_mut();
        if messages > 0 && tracer.enabled() {
            tracer.record(now, process, &self.name, trace::Event::Gap { messages });
        }
    }

    /// Sets what the next own sync message carries.
    pub(crate) fn set_note(&mut self, note: Note) -> Result<(), NoteError> {
        if self.end.is_some() {
            return Err(NoteError::NotJoined);
        }
        self.driver.set_note(self.key, note)
    }

    /// Seals with other keys from now on.
    pub(crate) fn set_keys(&mut self, keys: &Keys) -> Result<(), KeysError> {
        if self.end.is_some() {
            return Err(KeysError::Ended);
        }
        self.driver.set_keys(keys)?;
        self.flush();
        Ok(())
    }

    /// Asks to leave; goes out with the next [`Member::flush`].
    pub(crate) fn leave(&mut self) {
        self.driver.leave(self.key);
    }

    /// Waits for the sockets, and for `bell`, for at most `limit`.
    pub(crate) fn wait(&mut self, limit: Option<Duration>, bell: Option<&Bell>) -> io::Result<()> {
        if self.is_forked() {
            return Ok(());
        }
        let now = self.driver.now();
        let watch = self.watch.poll_timeout().map(|at| Duration::from_nanos(at - now));
        let limit = limit.into_iter().chain(watch).min();
        wait(&mut self.driver, limit, self.busy_poll, bell)
    }

    /// Reads, lets time pass, writes.
    pub(crate) fn advance(&mut self) {
        self.driver.advance(|_| Ok(()));
        self.note_fork();
        self.unflushed = 0;
        self.advanced = self.driver.recent();
        self.watch.advance(&self.driver);
        if self.end.is_none() {
            self.end = self.watch.join_failure(&self.driver).map(End::JoinTimedOut);
        }
    }

    /// Writes.
    pub(crate) fn flush(&mut self) {
        self.driver.flush(|_| Ok(()));
        self.note_fork();
        self.unflushed = 0;
    }

    /// Whether this process was forked from the one that joined: then nothing goes out any more,
    /// nor comes in, and membership has ended here.
    fn is_forked(&mut self) -> bool {
        let forked = self.driver.look_for_fork();
        self.note_fork();
        forked
    }

    fn note_fork(&mut self) {
        if self.driver.is_forked() {
            self.end = Some(End::Forked);
        }
    }

    /// Hands over events, until there are no more or `f` breaks.
    pub(crate) fn hear(&mut self, mut f: impl FnMut(EventRef<'_>) -> ControlFlow<()>) -> Heard {
        let mut heard = 0;
        if let Some(unanswered) = self.watch.take() {
            heard += 1;
            if f(EventRef::Unanswered(&unanswered)).is_break() {
                return (heard, ControlFlow::Break(()));
            }
        }
        while let Some(action) = self.driver.poll_action() {
            let flow = match action {
                Action::Deliver { from, number, payload, stage, .. } => {
                    f(EventRef::Message { from, number, payload, stage })
                }
                Action::Signal { transitional, .. } => f(EventRef::Signal { transitional }),
                Action::View { view, transitional, quorum, clusters, .. } => {
                    self.watch.handle_view();
                    f(EventRef::View { view, transitional, quorum, clusters })
                }
                Action::Primary { .. } => f(EventRef::Primary),
                Action::Lapsed { .. } => f(EventRef::Lapsed),
                Action::Restored { .. } => f(EventRef::Restored),
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
        let (directs, flow) = self.hear_direct(&mut f);
        heard += directs;
        if flow.is_break() {
            return (heard, flow);
        }
        while let Some(request) = self.driver.poll_membership() {
            heard += 1;
            if f(EventRef::Membership(&request)).is_break() {
                return (heard, ControlFlow::Break(()));
            }
        }
        (heard, ControlFlow::Continue(()))
    }

    /// Hands over what other members sent to this one alone.
    pub(crate) fn hear_direct(
        &mut self,
        mut f: impl FnMut(EventRef<'_>) -> ControlFlow<()>,
    ) -> Heard {
        let mut heard = 0;
        while let Some((from, payload)) = self.driver.poll_direct(self.key) {
            heard += 1;
            if f(EventRef::Direct { from, payload }).is_break() {
                return (heard, ControlFlow::Break(()));
            }
        }
        (heard, ControlFlow::Continue(()))
    }

    /// What a replica needs of the group.
    pub(crate) fn port(&mut self) -> impl Port + '_ {
        let Self { driver, key, .. } = self;
        DriverPort { driver, group: *key }
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

    /// The source of views proposes a change.
    pub(crate) fn handle_start_change(
        &mut self,
        cid: Cid,
        peers: &[Peer],
    ) -> Result<(), MembershipError> {
        self.driver.handle_start_change(self.key, cid, peers)?;
        self.flush();
        Ok(())
    }

    /// The source of views announces a view.
    pub(crate) fn handle_view(
        &mut self,
        view: View,
        secret: Option<Secret>,
    ) -> Result<(), MembershipError> {
        self.driver.handle_mbr_view(self.key, view, secret)?;
        self.flush();
        Ok(())
    }

    /// The source of views does not count this process in.
    pub(crate) fn handle_excluded(&mut self) -> Result<(), MembershipError> {
        self.driver.handle_excluded(self.key)?;
        self.flush();
        Ok(())
    }

    pub(crate) fn driver(&self) -> &Driver<MaybeTrace> {
        &self.driver
    }

    /// The error that ended the trace.
    pub(crate) fn trace_error(&mut self) -> Option<&io::Error> {
        self.driver.tracer_mut().0.as_ref().and_then(TraceFile::error)
    }
}

fn begin_trace(path: PathBuf, driver: &mut DriverConfig) -> Result<TraceFile, JoinError> {
    match reached_ms(&path) {
        Ok(reached_ms) => driver.start_above(reached_ms),
        Err(error) => return Err(JoinError::Trace { path, error: error.into() }),
    }
    let header =
        Header { process: driver.process, incarnation: driver.incarnation, runtime: "std".into() };
    TraceFile::open(&path, &header, driver.clock.unix_offset())
        .map_err(|error| JoinError::Trace { path, error })
}
