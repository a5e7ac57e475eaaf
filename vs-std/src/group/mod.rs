//! A group as a handle that blocks.

mod error;
mod inbox;
mod wait;

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use vs_core::ident::{GroupKey, GroupName, Incarnation, ProcessId};
use vs_core::trace::Header;
use vs_core::{Action, Blocking, DetachReason, GroupConfig, NodeConfig, Sent, Time, View};

use crate::clock::Clock;
use crate::driver::{Driver, DriverConfig};
use crate::trace::{MaybeTrace, TraceFile};
use crate::udp::UdpConfig;

pub use error::{JoinError, LeaveError, RecvError, SendError};
pub use inbox::Event;
use inbox::Inbox;

/// What [`Group::leave`] may take beyond `peer_ms`, in ms.
const LEAVE_SLACK_MS: u64 = 1000;

/// Who joins, by which sockets, within which bounds.
#[derive(Clone, Debug)]
pub struct JoinOptions {
    /// Who this process is, and where it finds the others.
    pub driver: DriverConfig,
    /// Bounds and times of the group. Blocking is [`Blocking::Auto`].
    pub group: GroupConfig,
    /// Bytes of events that wait to be received; while they are exceeded, by one event at most, no more are taken from
    /// the node, whose own bounds then make the senders wait. Default 4 MiB.
    pub inbox_bytes: usize,
    /// How long [`Group::send`] waits for room, in ms. Default 10,000.
    pub send_ms: u64,
    /// Where to write a trace for `vs check`; one that an earlier life of this process left is gone on with. Default:
    /// nowhere.
    pub trace: Option<PathBuf>,
}

impl JoinOptions {
    /// Everything by default for `process` (the same id after every start, and nobody else's), which finds the
    /// membership service at any of `servers`.
    #[must_use]
    pub fn new(process: ProcessId, servers: Vec<SocketAddr>, udp: UdpConfig) -> Self {
        let clock = Clock::new();
        let driver = DriverConfig {
            node: NodeConfig::default(),
            process,
            incarnation: Incarnation(clock.unix_start_ms()),
            seed: process.0 ^ clock.unix_offset(),
            servers,
            udp,
            clock,
        };
        let group = GroupConfig::default();
        Self { driver, group, inbox_bytes: 4 << 20, send_ms: 10_000, trace: None }
    }
}

/// How membership ended.
#[derive(Debug)]
enum End {
    Left,
    Detached(DetachReason),
}

/// A process in one group: a [`vs_core::Node`] with its sockets, driven by the thread that calls.
///
/// There is no thread behind it. Every call that sends or receives also carries the whole protocol: it reads what
/// arrived, answers it, and lets timers run. **So an application has to call often enough**: whoever is silent for
/// `peer_ms` ([`GroupConfig`], 2 s by default) while others wait for it, or for the server's `silence_ms` (1 s by
/// default), is excluded from the group, and comes back when it calls again. With nothing to send, stay in
/// [`Group::recv`] or call [`Group::recv_timeout`]; a few calls in 100 ms let nobody wait.
///
/// What arrives while a call sends waits in an inbox of `inbox_bytes` ([`JoinOptions`]); when it is full, sending needs
/// somebody to receive first ([`SendError::InboxFull`]). All other bounds are those of the node.
///
/// Dropping a group without [`Group::leave`] is a crash in the eyes of the others.
#[derive(Debug)]
pub struct Group {
    driver: Driver<MaybeTrace>,
    key: GroupKey,
    inbox: Inbox,
    view: View,
    send_ms: u64,
    leave_ms: u64,
    end: Option<End>,
}

impl Group {
    /// Opens the sockets and asks the membership service for a place in `group`. Does not wait for it: the first
    /// [`Event::View`] says that it is granted, and what is sent earlier waits for that view.
    ///
    /// # Errors
    /// Says which option is at fault.
    pub fn join(group: &GroupName, options: JoinOptions) -> Result<Self, JoinError> {
        let JoinOptions { driver, group: config, inbox_bytes, send_ms, trace } = options;
        if config.blocking != Blocking::Auto {
            return Err(JoinError::ManualBlocking);
        }
        let process = driver.process;
        let trace = trace.map(|path| begin_trace(path, &driver)).transpose()?;
        let mut driver = Driver::new(driver, MaybeTrace(trace)).map_err(JoinError::Open)?;
        let leave_ms = config.peer_ms.saturating_add(LEAVE_SLACK_MS);
        let key = driver.join(group, config).map_err(JoinError::Refused)?;
        driver.advance(|_| Ok(()));
        let (inbox, view) = (Inbox::new(inbox_bytes), View::initial(process));
        Ok(Self { driver, key, inbox, view, send_ms, leave_ms, end: None })
    }

    /// Multicasts `payload` to the group, this process included. Waits for room, up to `send_ms` of the options.
    ///
    /// # Errors
    /// See [`SendError`]; the message was not taken.
    pub fn send(&mut self, payload: &[u8]) -> Result<Sent, SendError> {
        self.send_timeout(payload, Duration::from_millis(self.send_ms))
    }

    /// [`Group::send`] that waits for room for at most `timeout`.
    ///
    /// # Errors
    /// See [`SendError`]; the message was not taken.
    pub fn send_timeout(&mut self, payload: &[u8], timeout: Duration) -> Result<Sent, SendError> {
        let deadline = self.after(timeout);
        loop {
            match self.try_send(payload) {
                Err(SendError::Full) => {}
                result => return result,
            }
            if !self.inbox.has_room() {
                return Err(SendError::InboxFull);
            }
            let left = self.until(deadline);
            if left.is_zero() {
                return Err(SendError::TimedOut);
            }
            self.round(Some(left)).map_err(SendError::Wait)?;
        }
    }

    /// [`Group::send`] that does not wait.
    ///
    /// # Errors
    /// See [`SendError`]; the message was not taken.
    pub fn try_send(&mut self, payload: &[u8]) -> Result<Sent, SendError> {
        self.round(Some(Duration::ZERO)).map_err(SendError::Wait)?;
        if let Some(End::Detached(reason)) = &self.end {
            return Err(SendError::Detached(reason.clone()));
        }
        let sent = self.driver.send(self.key, payload).map_err(|error| match error {
            vs_core::SendError::NotJoined => SendError::Left,
            vs_core::SendError::TooLarge { len, max } => SendError::TooLarge { len, max },
            vs_core::SendError::WindowFull | vs_core::SendError::Blocked => SendError::Full,
        })?;
        self.driver.advance(|_| Ok(()));
        Ok(sent)
    }

    /// Waits for the next event, as long as it takes.
    ///
    /// # Errors
    /// See [`RecvError`]: nothing more will come.
    pub fn recv(&mut self) -> Result<Event, RecvError> {
        loop {
            if let Some(event) = self.next(None)? {
                return Ok(event);
            }
        }
    }

    /// Waits for the next event for at most `timeout`; `None` if there was none.
    ///
    /// # Errors
    /// See [`RecvError`]: nothing more will come.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Event>, RecvError> {
        let deadline = self.after(timeout);
        self.next(Some(deadline))
    }

    /// The next event, if it is there.
    ///
    /// # Errors
    /// See [`RecvError`]: nothing more will come.
    pub fn try_recv(&mut self) -> Result<Option<Event>, RecvError> {
        self.next(Some(Time::ZERO))
    }

    /// Asks to leave, and does not wait: [`Event::Left`] is the last event that is received. For those who want to hear
    /// the others to the end; [`Group::leave`] does the rest otherwise.
    pub fn begin_leave(&mut self) {
        self.driver.leave(self.key);
        self.driver.advance(|_| Ok(()));
    }

    /// Leaves the group once all members have what this process sent, after `peer_ms` at the latest. Events that were
    /// not received are thrown away. Returns the number of messages that were waiting for the next view, and that
    /// nobody will see.
    ///
    /// # Errors
    /// See [`LeaveError`]; the group was left all the same.
    pub fn leave(mut self) -> Result<usize, LeaveError> {
        self.begin_leave();
        let deadline = self.driver.now().plus_ms(self.leave_ms);
        loop {
            match self.next(Some(deadline)) {
                Ok(Some(Event::Left { unsent })) => return Ok(unsent),
                Ok(Some(_)) => {}
                Ok(None) => return Err(LeaveError::TimedOut),
                Err(RecvError::Wait(error)) => return Err(LeaveError::Wait(error)),
                // Whoever asked to leave earlier has heard how that ended.
                Err(RecvError::Left | RecvError::Detached(_)) => return Ok(0),
            }
        }
    }

    /// The view that the last [`Event::View`] named; before the first one, this process alone.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The driver, to look at: counters, and how the connection to the membership service fares.
    #[must_use]
    pub fn driver(&self) -> &Driver<MaybeTrace> {
        &self.driver
    }

    /// The error that ended the trace; the group goes on without.
    #[must_use]
    pub fn trace_error(&mut self) -> Option<&io::Error> {
        self.driver.tracer_mut().0.as_ref().and_then(TraceFile::error)
    }

    /// The next event; `None` once `deadline` has passed.
    fn next(&mut self, deadline: Option<Time>) -> Result<Option<Event>, RecvError> {
        let mut wait = Some(Duration::ZERO);
        loop {
            self.round(wait).map_err(RecvError::Wait)?;
            if let Some(event) = self.inbox.pop() {
                if let Event::View { view, .. } = &event {
                    self.view = view.clone();
                }
                return Ok(Some(event));
            }
            match &self.end {
                None => {}
                Some(End::Left) => return Err(RecvError::Left),
                Some(End::Detached(reason)) => return Err(RecvError::Detached(reason.clone())),
            }
            wait = deadline.map(|deadline| self.until(deadline));
            if wait.is_some_and(|wait| wait.is_zero()) {
                return Ok(None);
            }
        }
    }

    /// Waits for the sockets, for at most `limit`, and does all that follows. Afterwards everything that can be written
    /// was written, and the inbox is full or the node has nothing more to tell.
    fn round(&mut self, limit: Option<Duration>) -> io::Result<()> {
        wait::wait(&mut self.driver, limit)?;
        self.driver.advance(|_| Ok(()));
        while self.hear() {
            // An installed view has something to send, and that may be heard again.
            self.driver.advance(|_| Ok(()));
        }
        Ok(())
    }

    /// Fills the inbox; false if nothing came.
    fn hear(&mut self) -> bool {
        let mut heard = false;
        while self.inbox.has_room()
            && let Some(action) = self.driver.poll_action()
        {
            heard = true;
            let event = match action {
                Action::Deliver { from, number, payload, .. } => {
                    Event::Message { from, number, payload: Bytes::copy_from_slice(payload) }
                }
                Action::View { view, transitional, .. } => {
                    Event::View { view: view.clone(), transitional: transitional.to_vec() }
                }
                Action::Detached { reason, .. } => {
                    if reason.is_final() {
                        self.end = Some(End::Detached(reason.clone()));
                    }
                    Event::Detached { reason }
                }
                Action::Left { unsent, .. } => {
                    self.end = Some(End::Left);
                    Event::Left { unsent }
                }
                // A send that found no room is tried again in each round; blocking is automatic.
                Action::Writable { .. } | Action::Block { .. } => continue,
            };
            self.inbox.push(event);
        }
        heard
    }

    fn after(&self, timeout: Duration) -> Time {
        self.driver.now() + u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX)
    }

    fn until(&self, deadline: Time) -> Duration {
        Duration::from_nanos(deadline - self.driver.now())
    }
}

fn begin_trace(path: PathBuf, driver: &DriverConfig) -> Result<TraceFile, JoinError> {
    let header =
        Header { process: driver.process, incarnation: driver.incarnation, runtime: "std".into() };
    TraceFile::open(&path, &header, driver.clock.unix_offset())
        .map_err(|error| JoinError::Trace { path, error })
}
