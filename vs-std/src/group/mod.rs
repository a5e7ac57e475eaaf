//! A group as a handle that blocks.

mod answer;
mod error;
mod event;
mod inbox;
mod member;
mod options;
mod pin;
mod reading;
mod wait;

use core::ops::ControlFlow;
use core::time::Duration;
use std::io;

use vs_core::ident::{Cid, GroupName};
use vs_core::member::{MembershipError, Peer};
use vs_core::seal::{Keys, Secret};
use vs_core::{Note, NoteError, Sent, Time, View};

use crate::driver::Driver;
use crate::keys::KeysError;
use crate::trace::MaybeTrace;

pub use answer::Unanswered;
pub(crate) use error::again;
pub use error::{BatchError, JoinError, LeaveError, RecvError, SendError};
pub use event::{Event, EventRef};
pub(crate) use inbox::{Chunks, Inbox};
pub(crate) use member::{End, Member};
pub use options::JoinOptions;
pub use pin::pin;
pub use reading::{Role, SlowReader};

/// What [`Group::leave`] may take beyond `peer_ms`, in ms.
pub(crate) const LEAVE_SLACK_MS: u64 = 1000;

/// How long the sockets may go unread while calls find what they need without them, in ns. The
/// kernel's buffers take what arrives meanwhile.
pub(crate) const UNREAD_NANOS: u64 = 100_000;

/// How long events wait in the node for a call that receives, in ns. After that a call that sends
/// moves them into the inbox. So a group whose members only send makes progress, and a program that
/// sends and receives in turn copies nothing.
const UNHEARD_NANOS: u64 = 10_000_000;

/// Bytes of messages that are fed before they go out: what one system call carries. More at a time
/// would only fill the receivers' buffers.
pub(crate) const FEED_BYTES: usize = 64 << 10;

/// A process in one group: a [`vs_core::Node`] with its sockets, driven by the thread that calls.
///
/// There is no thread behind it. Every call that sends or receives also carries the whole protocol:
/// it reads what arrived, answers it, and lets timers run, unless that was done within the last 100
/// µs. ([`Group::feed`] does so only when it lets something out.) **So an application has to call
/// often enough**: a process that is silent for `peer_ms` ([`vs_core::GroupConfig`], 2 s by
/// default) while others wait for it, or for the server's `silence_ms` (1 s by default), is
/// excluded from the group, and comes back when it calls again. With nothing to send, stay in
/// [`Group::recv`] or call [`Group::recv_timeout`]; a few calls in 100 ms let nobody wait.
///
/// What arrives while a call sends waits in an inbox of `inbox_bytes` ([`JoinOptions`]); when it is
/// full, sending needs somebody to receive first ([`SendError::InboxFull`]). All other bounds are
/// those of the node.
///
/// Many messages cost least with [`Group::send_batch`], or [`Group::feed`] and [`Group::flush`],
/// and [`Group::recv_with`]: small ones share datagrams, many datagrams a system call, and nothing
/// is allocated or copied for those that are heard. A call that waits for room has to hear what
/// comes meanwhile, and copies it; in turn with [`Group::recv_with`], [`Group::try_feed`] needs no
/// copy.
///
/// Dropping a group without [`Group::leave`] is a crash in the eyes of the others.
///
/// After a fork the parent's group goes on; that of the child is dead, and says so
/// ([`SendError::Forked`], [`RecvError::Forked`]).
#[derive(Debug)]
pub struct Group {
    member: Member,
    inbox: Inbox,
    chunks: Chunks,
    view: View,
    /// When the node was asked last for events.
    heard: Time,
    send_timeout: Duration,
    leave_ms: u64,
}

impl Group {
    /// Opens the sockets and asks the membership service for a place in `group`. Does not wait for
    /// it: the first [`Event::View`] says that it is granted, and what is sent earlier waits for
    /// that view.
    ///
    /// # Errors
    /// Says which option is at fault.
    pub fn join(group: &GroupName, options: JoinOptions) -> Result<Self, JoinError> {
        let (inbox_bytes, send_timeout) = (options.inbox_bytes, options.send_timeout);
        let leave_ms = options.group.peer_ms.saturating_add(LEAVE_SLACK_MS);
        let view = View::initial(options.driver.process);
        if let Some(core) = options.pin {
            pin(core).map_err(|error| JoinError::Pin { core, error })?;
        }
        let reading = options.reading();
        if let SlowReader::Evict { .. } = reading {
            return Err(JoinError::SlowReader(reading));
        }
        let member = Member::join(group, options)?;
        let inbox = Inbox::new(inbox_bytes, reading == SlowReader::Skip);
        let chunks = Chunks::default();
        Ok(Self { member, inbox, chunks, view, heard: Time::ZERO, send_timeout, leave_ms })
    }

    /// Multicasts `payload` to the group, this process included, at once. Waits for room, up to
    /// `send_timeout` of the options.
    ///
    /// # Errors
    /// See [`SendError`]; the message was not taken.
    pub fn send(&mut self, payload: &[u8]) -> Result<Sent, SendError> {
        self.send_timeout(payload, self.send_timeout)
    }

    /// [`Group::send`] that waits for room for at most `timeout`.
    ///
    /// # Errors
    /// See [`SendError`]; the message was not taken.
    pub fn send_timeout(&mut self, payload: &[u8], timeout: Duration) -> Result<Sent, SendError> {
        let sent = self.feed_timeout(payload, timeout)?;
        self.flush_and_look()?;
        Ok(sent)
    }

    /// [`Group::send`] that does not wait.
    ///
    /// # Errors
    /// See [`SendError`]; the message was not taken.
    pub fn try_send(&mut self, payload: &[u8]) -> Result<Sent, SendError> {
        let sent = self.try_feed(payload)?;
        self.flush_and_look()?;
        Ok(sent)
    }

    /// Multicasts each of `payloads`, in order: packed into as few datagrams as they fit, with as
    /// few system calls as these need. Waits for room, for each up to `send_timeout` of the
    /// options. Returns how many there were.
    ///
    /// # Errors
    /// Says how many were taken, and why the next one was not.
    pub fn send_batch<P: AsRef<[u8]>>(
        &mut self,
        payloads: impl IntoIterator<Item = P>,
    ) -> Result<usize, BatchError> {
        let mut taken = 0;
        for payload in payloads {
            if let Err(error) = self.feed(payload.as_ref()) {
                // Those that were taken do not wait for the caller to look at the error.
                self.member.flush();
                return Err(BatchError { taken, error });
            }
            taken += 1;
        }
        self.flush().map_err(|error| BatchError { taken, error })?;
        Ok(taken)
    }

    /// Takes a message as [`Group::send`] does, but lets it go out only with the next call of any
    /// other name, at best [`Group::flush`] at the end of a burst; also when 64 KiB have come
    /// together, or there is no room for more. Until then it costs no system call.
    ///
    /// # Errors
    /// See [`SendError`]; the message was not taken.
    pub fn feed(&mut self, payload: &[u8]) -> Result<Sent, SendError> {
        self.feed_timeout(payload, self.send_timeout)
    }

    /// [`Group::feed`] that does not wait.
    ///
    /// # Errors
    /// See [`SendError`]; the message was not taken.
    pub fn try_feed(&mut self, payload: &[u8]) -> Result<Sent, SendError> {
        if self.member.unflushed() >= FEED_BYTES {
            self.flush_and_look()?;
        }
        match self.member.send(payload) {
            Err(SendError::Full) => {}
            result => return result,
        }
        // What has arrived meanwhile may make room.
        self.look().map_err(SendError::Wait)?;
        self.member.send(payload)
    }

    /// Lets out what was fed.
    ///
    /// # Errors
    /// [`SendError::Wait`] alone.
    pub fn flush(&mut self) -> Result<(), SendError> {
        self.flush_and_look()
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

    /// Hands all events that are there to `f`, or those up to the one for which it breaks; if there
    /// is none, waits for at most `timeout`. Nothing is copied or allocated for them. Returns how
    /// many there were: 0 after `timeout`, or when there is room again for a message that was
    /// refused with [`SendError::Full`].
    ///
    /// # Errors
    /// See [`RecvError`]: nothing more will come.
    pub fn recv_with(
        &mut self,
        timeout: Duration,
        mut f: impl FnMut(EventRef<'_>) -> ControlFlow<()>,
    ) -> Result<usize, RecvError> {
        let mut heard = 0;
        // What arrived while something was sent.
        while let Some(event) = self.pop() {
            heard += 1;
            if f((&event).into()).is_break() {
                self.look_if_due().map_err(RecvError::Wait)?;
                return Ok(heard);
            }
        }
        // What a call that sent has left.
        heard += self.hear_with(&mut f);
        if heard > 0 || self.member.take_writable() {
            self.look_if_due().map_err(RecvError::Wait)?;
            return Ok(heard);
        }
        let deadline = self.after(timeout);
        loop {
            self.check_end()?;
            let left = self.until(deadline);
            self.member.wait(Some(left), None).map_err(RecvError::Wait)?;
            self.member.advance();
            let heard = self.hear_with(&mut f);
            let is_over = left.is_zero() && !self.is_forked();
            if heard > 0 || self.member.take_writable() || is_over {
                return Ok(heard);
            }
        }
    }

    /// The events to come, until membership ends; [`Group::recv`] tells why it did.
    pub fn iter(&mut self) -> impl Iterator<Item = Event> + '_ {
        core::iter::from_fn(|| self.recv().ok())
    }

    /// The events that are there.
    pub fn try_iter(&mut self) -> impl Iterator<Item = Event> + '_ {
        core::iter::from_fn(|| self.try_recv().ok().flatten())
    }

    /// Sets the note of this process in a group with clusters: see [`vs_core::Node::set_note`].
    ///
    /// # Errors
    /// See [`NoteError`]; nothing changed.
    pub fn set_note(&mut self, note: Note) -> Result<(), NoteError> {
        self.member.set_note(note)
    }

    /// Seals with other keys from now on, and opens with these alone: see
    /// [`crate::driver::Driver::set_keys`].
    ///
    /// # Errors
    /// See [`KeysError`]; the keys are as before.
    pub fn set_keys(&mut self, keys: &Keys) -> Result<(), KeysError> {
        self.member.set_keys(keys)
    }

    /// Asks to leave, and does not wait: [`Event::Left`] is the last event that is received. For
    /// those who want to hear the others to the end; [`Group::leave`] does the rest otherwise.
    pub fn begin_leave(&mut self) {
        self.member.leave();
        self.member.advance();
    }

    /// Leaves the group once all members have what this process sent, after `peer_ms` at the
    /// latest. Events that were not received are thrown away. Returns the number of messages that
    /// were waiting for the next view, and that nobody will see.
    ///
    /// # Errors
    /// See [`LeaveError`]; the group was left all the same.
    pub fn leave(mut self) -> Result<usize, LeaveError> {
        self.begin_leave();
        let deadline = self.driver().now().plus_ms(self.leave_ms);
        loop {
            match self.next(Some(deadline)) {
                Ok(Some(Event::Left { unsent })) => return Ok(unsent),
                Ok(Some(_)) => {}
                Ok(None) => return Err(LeaveError::TimedOut),
                Err(RecvError::Wait(error)) => return Err(LeaveError::Wait(error)),
                Err(RecvError::Forked) => return Err(LeaveError::Forked),
                // An earlier request to leave was answered already.
                Err(RecvError::Left | RecvError::Detached(_) | RecvError::JoinTimedOut { .. }) => {
                    return Ok(0);
                }
            }
        }
    }

    /// The application's own source of views proposes a change: see
    /// [`vs_core::Node::handle_start_change`]. Answers [`Event::Membership`]; with
    /// [`crate::Membership::External`] alone.
    ///
    /// # Errors
    /// See [`MembershipError`]; nothing changed.
    pub fn handle_start_change(&mut self, cid: Cid, peers: &[Peer]) -> Result<(), MembershipError> {
        self.member.handle_start_change(cid, peers)
    }

    /// The application's own source of views announces a view: see
    /// [`vs_core::Node::handle_mbr_view`], also for its secret.
    ///
    /// # Errors
    /// See [`MembershipError`]; nothing changed.
    pub fn handle_view(
        &mut self,
        view: View,
        secret: Option<Secret>,
    ) -> Result<(), MembershipError> {
        self.member.handle_view(view, secret)
    }

    /// The application's own source of views does not count this process in any more: see
    /// [`vs_core::Node::handle_excluded`].
    ///
    /// # Errors
    /// See [`MembershipError`]; nothing changed.
    pub fn handle_excluded(&mut self) -> Result<(), MembershipError> {
        self.member.handle_excluded()
    }

    /// The view that the last [`Event::View`] named; before the first one, this process alone.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The driver, to look at: counters, and how the connection to the membership service fares.
    #[must_use]
    pub fn driver(&self) -> &Driver<MaybeTrace> {
        self.member.driver()
    }

    /// The error that ended the trace. The group continues without a trace.
    #[must_use]
    pub fn trace_error(&mut self) -> Option<&io::Error> {
        self.member.trace_error()
    }

    fn feed_timeout(&mut self, payload: &[u8], timeout: Duration) -> Result<Sent, SendError> {
        match self.try_feed(payload) {
            Err(SendError::Full) => {}
            result => return result,
        }
        let deadline = self.after(timeout);
        loop {
            if !self.inbox.has_room() {
                return Err(SendError::InboxFull);
            }
            let left = self.until(deadline);
            if left.is_zero() {
                return Err(SendError::TimedOut { waits_for: self.member.waits_for() });
            }
            self.round(Some(left)).map_err(SendError::Wait)?;
            match self.member.send(payload) {
                Err(SendError::Full) => {}
                result => return result,
            }
        }
    }

    /// Writes; then looks at the sockets if that is due, so that the message did not wait for it.
    fn flush_and_look(&mut self) -> Result<(), SendError> {
        self.member.flush();
        if self.is_forked() {
            return Err(SendError::Forked);
        }
        if self.member.driver().recent() - self.member.advanced() < UNREAD_NANOS {
            return Ok(());
        }
        self.look().map_err(SendError::Wait)
    }

    fn look_if_due(&mut self) -> io::Result<()> {
        if self.driver().now() - self.member.advanced() < UNREAD_NANOS {
            return Ok(());
        }
        self.look()
    }

    /// Carries the protocol without waiting. What there is to hear is left to a call that receives,
    /// for a while.
    fn look(&mut self) -> io::Result<()> {
        self.member.wait(Some(Duration::ZERO), None)?;
        self.member.advance();
        if self.member.advanced() - self.heard >= UNHEARD_NANOS {
            self.fill_all();
        }
        Ok(())
    }

    /// The next event; `None` once `deadline` has passed.
    fn next(&mut self, deadline: Option<Time>) -> Result<Option<Event>, RecvError> {
        if !self.inbox.is_empty() {
            self.look_if_due().map_err(RecvError::Wait)?;
        }
        loop {
            if let Some(event) = self.pop() {
                return Ok(Some(event));
            }
            self.check_end()?;
            if self.fill_all() {
                continue;
            }
            let left = deadline.map(|deadline| self.until(deadline));
            self.round(left).map_err(RecvError::Wait)?;
            if left.is_some_and(|left| left.is_zero()) && !self.is_forked() {
                return Ok(self.pop());
            }
        }
    }

    fn pop(&mut self) -> Option<Event> {
        let event = self.inbox.pop()?;
        if let Event::View { view, .. } = &event {
            self.view = view.clone();
        }
        Some(event)
    }

    fn is_forked(&self) -> bool {
        matches!(self.member.end(), Some(End::Forked))
    }

    fn check_end(&self) -> Result<(), RecvError> {
        match self.member.end() {
            None => Ok(()),
            Some(End::Left) => Err(RecvError::Left),
            Some(End::Detached(reason)) => Err(RecvError::Detached(reason.clone())),
            Some(End::JoinTimedOut(why)) => Err(RecvError::JoinTimedOut { why: why.clone() }),
            Some(End::Forked) => Err(RecvError::Forked),
        }
    }

    /// Waits for the sockets, for at most `limit`, and does all that follows. Afterwards everything
    /// that can be written was written, and the inbox is full or the node has nothing more to tell.
    fn round(&mut self, limit: Option<Duration>) -> io::Result<()> {
        // What an earlier look has left in the node is no reason for the sockets to become ready.
        let limit = if self.fill_all() { Some(Duration::ZERO) } else { limit };
        self.member.wait(limit, None)?;
        self.member.advance();
        self.fill_all();
        Ok(())
    }

    /// Fills the inbox, and writes what follows; false if nothing came.
    fn fill_all(&mut self) -> bool {
        self.heard = self.member.advanced();
        let mut any = false;
        while self.fill() {
            any = true;
            // What was heard is acknowledged, an installed view has something to send, and that may
            // be heard again.
            self.member.flush();
        }
        any
    }

    /// Fills the inbox; false if nothing came.
    fn fill(&mut self) -> bool {
        let Self { member, inbox, chunks, .. } = self;
        if !inbox.has_room() {
            return false;
        }
        let (heard, _) = member.hear(|event| {
            inbox.push(event.keep(|payload| chunks.copy(payload)));
            if inbox.has_room() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        member.trace_gap(inbox.take_skipped());
        heard > 0
    }

    /// Hands over events, and writes what follows, until there are no more or `f` breaks. Returns
    /// how many there were.
    fn hear_with(&mut self, f: &mut impl FnMut(EventRef<'_>) -> ControlFlow<()>) -> usize {
        let Self { member, view: current, heard: asked, .. } = self;
        *asked = member.advanced();
        let mut total = 0;
        loop {
            let (heard, flow) = member.hear(|event| {
                if let EventRef::View { view, .. } = event {
                    current.clone_from(view);
                }
                f(event)
            });
            total += heard;
            if heard == 0 {
                return total;
            }
            member.flush();
            if flow.is_break() {
                return total;
            }
        }
    }

    fn after(&self, timeout: Duration) -> Time {
        self.driver().now() + u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX)
    }

    fn until(&self, deadline: Time) -> Duration {
        Duration::from_nanos(deadline - self.driver().now())
    }
}
