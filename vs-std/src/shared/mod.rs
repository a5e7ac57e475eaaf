//! A group as a handle that threads share.

mod arrivals;
mod ended;
mod eviction;
mod exchange;
mod outbox;
mod reservation;
mod sink;
mod stream;
mod worker;

use core::time::Duration;
use std::io;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use vs_core::ident::{Cid, GroupName};
use vs_core::member::{MembershipError, Peer};
use vs_core::seal::{Keys, Secret};
use vs_core::{Note, NoteError, View};

use crate::driver::Driver;
use crate::embedded::Membership;
use crate::group::{
    BatchError, Event, JoinError, JoinOptions, LEAVE_SLACK_MS, LeaveError, Member, RecvError, Role,
    SendError, SlowReader, again, pin,
};
use crate::keys::KeysError;
use crate::readiness::Readiness;
use crate::trace::MaybeTrace;

use arrivals::Arrivals;
use ended::Ended;
use eviction::Eviction;
use exchange::Exchange;
use outbox::{LENGTH_BYTES, Outbox, SEGMENT_BYTES, Until};
pub use reservation::Reservation;
pub use sink::MessageSink;
pub use stream::EventStream;
use worker::Worker;

/// What all clones have in common; the last one ends the thread.
#[derive(Debug)]
struct Handle {
    exchange: Arc<Exchange>,
    thread: Option<JoinHandle<()>>,
    send: Duration,
    leave: Duration,
}

impl Drop for Handle {
    fn drop(&mut self) {
        // The thread is not in a process that was forked: to wait for it would never end.
        if self.exchange.is_forked() {
            return;
        }
        self.exchange.abandon();
        let Some(thread) = self.thread.take() else { return };
        // A question that owned the last handle is answered by the thread itself.
        if thread.thread().id() != thread::current().id() {
            // A panic in it was told to the callers.
            let _ = thread.join();
        }
    }
}

/// A process in one group, as a handle that can be cloned and shared by threads. A thread of its
/// own behind it carries the protocol, so nobody has to call in time: the group lives while a clone
/// does.
///
/// Beside [`crate::Group`], which is quicker by a hand-over and a wake-up each way but needs the
/// one thread that drives it to call often. The name says what sets it apart: the group is one, the
/// handle is shared.
///
/// **Sending** writes the message into an outbox of `outbox_bytes` ([`JoinOptions`]) and returns.
/// The thread takes out all that has come together: a message goes out at once when the thread is
/// idle, and shares datagrams and system calls with others when it is busy; no timer holds it back.
/// Messages of one thread keep their order, through whatever clone, and nothing is lost on the way
/// while membership lasts: what is still here when it ends, [`Event::Left`] counts, and
/// [`Event::Detached`] with a final reason does not. When the window of the group or a receiver's
/// credit is used up, the outbox fills, and senders wait.
///
/// **Receiving** takes from an inbox of `inbox_bytes`, each event for one of the threads that ask,
/// in the order in which they happened. So somebody has to receive. What happens when the inbox is
/// full is chosen by [`crate::SlowReader`]: all senders of the group wait for this member, until it
/// is excluded (the default); it leaves for good; or it skips messages.
///
/// **Tasks** of any executor receive by [`SharedGroup::recv_async`] and [`SharedGroup::stream`] and
/// send by [`SharedGroup::send_async`] and [`SharedGroup::sink`]; event loops wait for
/// [`SharedGroup::readiness`].
///
/// When the last clone is dropped without [`SharedGroup::leave`], that is a crash in the eyes of
/// the others, after what was sent went out as far as the window had room. The drop waits for the
/// thread, which ends at once.
///
/// After a fork the parent's handles go on. Those of the child are dead: a call that would wake the
/// thread or wait for it says so ([`SendError::Forked`]), and nothing goes out. Fork while no other
/// thread uses the group: else the child may find a lock taken for good.
#[derive(Clone, Debug)]
pub struct SharedGroup {
    handle: Arc<Handle>,
}

impl SharedGroup {
    /// Opens the sockets, starts the thread and asks the membership service for a place in `group`.
    /// Does not wait for it: the first [`Event::View`] says that it is granted, and what is sent
    /// earlier waits for that view.
    ///
    /// # Errors
    /// Says which option is at fault.
    pub fn join(group: &GroupName, options: JoinOptions) -> Result<Self, JoinError> {
        let (inbox_bytes, reading) = (options.inbox_bytes, options.reading());
        if reading != SlowReader::Block && matches!(options.driver.membership, Membership::External)
        {
            return Err(JoinError::SlowReader(reading));
        }
        let view = View::initial(options.driver.process);
        let arrivals = Arrivals::new(inbox_bytes, reading == SlowReader::Skip, view);
        let outbox = Outbox::new(options.outbox_bytes, options.group.message_bytes_max);
        if options.role == Role::Observer {
            outbox.refuse_all();
        }
        let exchange = Arc::new(Exchange::new(outbox, arrivals).map_err(JoinError::Thread)?);
        let leave_ms = options.group.peer_ms.saturating_add(LEAVE_SLACK_MS);
        let send = options.send_timeout;
        let core = options.pin;
        let member = Member::join(group, options)?;
        let eviction = Eviction::new(reading, inbox_bytes);
        let worker = Worker::new(member, Arc::clone(&exchange), eviction, leave_ms);
        let (told, tells) = mpsc::sync_channel(1);
        let carry = move || {
            let pinned = core.map_or(Ok(()), pin);
            let goes_on = pinned.is_ok();
            if told.send(pinned).is_ok() && goes_on {
                worker.run();
            }
        };
        let builder = thread::Builder::new().name("vs-group".into());
        let thread = builder.spawn(carry).map_err(JoinError::Thread)?;
        if let (Ok(Err(error)), Some(core)) = (tells.recv(), core) {
            return Err(JoinError::Pin { core, error });
        }
        // What has not reached the node in that time is given up, then the node has as long for the
        // rest.
        let leave = 2 * Duration::from_millis(leave_ms);
        let handle = Handle { exchange, thread: Some(thread), send, leave };
        Ok(Self { handle: Arc::new(handle) })
    }

    /// Multicasts `payload` to the group, this process included. Waits for room in the outbox, up
    /// to `send_timeout` of the options.
    ///
    /// # Errors
    /// See [`SendError`]; the message was not taken.
    pub fn send(&self, payload: &[u8]) -> Result<(), SendError> {
        self.send_timeout(payload, self.handle.send)
    }

    /// [`SharedGroup::send`] that waits for room for at most `timeout`.
    ///
    /// # Errors
    /// See [`SendError`]; the message was not taken.
    pub fn send_timeout(&self, payload: &[u8], timeout: Duration) -> Result<(), SendError> {
        // The clock is not looked at where there is room.
        match self.try_send(payload) {
            Err(SendError::Full) => {}
            result => return result,
        }
        self.look_for_fork();
        let result = self.exchange().outbox.push(payload, Until::after(timeout));
        self.exchange().taken(result).map_err(|error| self.explain(error))
    }

    /// [`SharedGroup::send`] that does not wait.
    ///
    /// # Errors
    /// See [`SendError`]; the message was not taken.
    pub fn try_send(&self, payload: &[u8]) -> Result<(), SendError> {
        let result = self.exchange().outbox.push(payload, Until::Now);
        self.exchange().taken(result)
    }

    /// Multicasts each of `payloads`, in order and with no message of this process in between but
    /// where 64 KiB end. Waits for room, for each 64 KiB up to `send_timeout` of the options.
    /// Returns how many there were.
    ///
    /// # Errors
    /// Says how many were taken, and why the next one was not.
    pub fn send_batch<P: AsRef<[u8]>>(
        &self,
        payloads: impl IntoIterator<Item = P>,
    ) -> Result<usize, BatchError> {
        let outbox = &self.exchange().outbox;
        // Put together before anything is locked: what `payloads` does takes its time.
        let (mut taken, mut count, mut segment) = (0, 0, outbox.spare());
        let mut refusal = None;
        for payload in payloads {
            let payload = payload.as_ref();
            refusal = outbox.check_len(payload.len()).err();
            if refusal.is_some() {
                break;
            }
            if segment.len() + LENGTH_BYTES + payload.len() > SEGMENT_BYTES && count > 0 {
                self.push(segment).map_err(|error| BatchError { taken, error })?;
                (taken, count, segment) = (taken + count, 0, outbox.spare());
            }
            outbox::write(&mut segment, payload);
            count += 1;
        }
        if count > 0 {
            self.push(segment).map_err(|error| BatchError { taken, error })?;
        }
        taken += count;
        refusal.map_or(Ok(taken), |error| Err(BatchError { taken, error }))
    }

    /// Sets room for a message of `len` bytes aside, to be written in place: the memory is zero.
    /// Waits for room, up to `send_timeout` of the options; [`Reservation::commit`] never waits.
    /// What is not committed is given back.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was set aside.
    pub fn reserve(&self, len: usize) -> Result<Reservation<'_>, SendError> {
        match self.try_reserve(len) {
            Err(SendError::Full) => {}
            result => return result,
        }
        self.look_for_fork();
        let result = self.exchange().outbox.reserve(len, Until::after(self.handle.send));
        let segment = result.map_err(|error| self.explain(error))?;
        Ok(Reservation::new(self.exchange(), segment))
    }

    /// [`SharedGroup::reserve`] that does not wait.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was set aside.
    pub fn try_reserve(&self, len: usize) -> Result<Reservation<'_>, SendError> {
        let segment = self.exchange().outbox.reserve(len, Until::Now)?;
        Ok(Reservation::new(self.exchange(), segment))
    }

    /// Waits for the next event, as long as it takes.
    ///
    /// # Errors
    /// See [`RecvError`]: nothing more will come.
    pub fn recv(&self) -> Result<Event, RecvError> {
        loop {
            if let Some(event) = self.take_one(None)? {
                return Ok(event);
            }
        }
    }

    /// Waits for the next event for at most `timeout`; `None` if there was none.
    ///
    /// # Errors
    /// See [`RecvError`]: nothing more will come.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Option<Event>, RecvError> {
        self.take_one(Instant::now().checked_add(timeout))
    }

    /// The next event, if it is there.
    ///
    /// # Errors
    /// See [`RecvError`]: nothing more will come.
    pub fn try_recv(&self) -> Result<Option<Event>, RecvError> {
        self.take_one(Some(Instant::now()))
    }

    /// Waits for an event, as long as it takes, and appends what is there to `events`, up to
    /// `limit`: one look for all of them. Returns how many there were: 0 only if `limit` is.
    ///
    /// # Errors
    /// See [`RecvError`]: nothing more will come.
    pub fn recv_many(&self, events: &mut Vec<Event>, limit: usize) -> Result<usize, RecvError> {
        self.take(limit, None, |event| events.push(event))
    }

    /// The events to come, until membership ends; [`SharedGroup::recv`] tells why it did.
    pub fn iter(&self) -> impl Iterator<Item = Event> + '_ {
        core::iter::from_fn(|| self.recv().ok())
    }

    /// The events that are there.
    pub fn try_iter(&self) -> impl Iterator<Item = Event> + '_ {
        core::iter::from_fn(|| self.try_recv().ok().flatten())
    }

    /// A descriptor that is readable while an event can be received, and once membership has ended:
    /// a handle to be put into any event loop. Take events by [`SharedGroup::try_recv`] then, until
    /// there is none; the end is told in the same way.
    ///
    /// It is made at the first call. Without one nothing is spent on it; with it, the first event
    /// that finds none waiting costs a system call, and so does taking the last one.
    ///
    /// # Errors
    /// The system has no descriptor left: the files that may be open are too few.
    pub fn readiness(&self) -> io::Result<Readiness> {
        self.look_for_fork();
        self.exchange().arrivals.readiness()
    }

    /// The view that the last [`Event::View`] named which was received, through whatever clone;
    /// before the first one, this process alone.
    #[must_use]
    pub fn view(&self) -> View {
        self.exchange().arrivals.view()
    }

    /// Sets the note of this process in a group with clusters: see [`vs_core::Node::set_note`].
    /// Waits until the thread has done so.
    ///
    /// # Errors
    /// See [`NoteError`]; nothing changed.
    pub fn set_note(&self, note: Note) -> Result<(), NoteError> {
        self.ask(move |member| member.set_note(note)).unwrap_or(Err(NoteError::NotJoined))
    }

    /// Asks to leave, and does not wait: nothing more is taken, what was taken is sent, and
    /// [`Event::Left`] is the last event that is received.
    pub fn begin_leave(&self) {
        self.look_for_fork();
        self.exchange().outbox.begin_leave();
        self.exchange().bell.ring();
    }

    /// Leaves the group once all members have what this process sent, after twice `peer_ms` and a
    /// second at the latest. Events that nobody receives meanwhile are thrown away. Returns the
    /// number of messages that nobody will see. The other clones hear [`RecvError::Left`] from then
    /// on.
    ///
    /// # Errors
    /// See [`LeaveError`]; the group was left all the same.
    pub fn leave(self) -> Result<usize, LeaveError> {
        self.begin_leave();
        let until = Instant::now().checked_add(self.handle.leave);
        loop {
            match self.take(usize::MAX, until, drop) {
                Ok(0) => break,
                Ok(_) => {}
                Err(_) => return self.how_it_was_left(),
            }
        }
        self.exchange().abandon();
        Err(LeaveError::TimedOut)
    }

    fn how_it_was_left(&self) -> Result<usize, LeaveError> {
        match self.exchange().arrivals.ended() {
            Some(Ended::Left { unsent }) => Ok(unsent),
            Some(Ended::Failed(error)) => Err(LeaveError::Wait(again(&error))),
            Some(Ended::Forked) => Err(LeaveError::Forked),
            Some(Ended::Detached(_) | Ended::JoinTimedOut(_)) | None => Ok(0),
        }
    }

    /// The application's own source of views proposes a change: see
    /// [`vs_core::Node::handle_start_change`]. Answers [`Event::Membership`]; with
    /// [`crate::Membership::External`] alone.
    ///
    /// # Errors
    /// See [`MembershipError`]; nothing changed.
    pub fn handle_start_change(&self, cid: Cid, peers: &[Peer]) -> Result<(), MembershipError> {
        let peers = peers.to_vec();
        let answer = self.ask(move |member| member.handle_start_change(cid, &peers));
        answer.unwrap_or(Err(MembershipError::NotJoined))
    }

    /// The application's own source of views announces a view: see
    /// [`vs_core::Node::handle_mbr_view`], also for its secret.
    ///
    /// # Errors
    /// See [`MembershipError`]; nothing changed.
    pub fn handle_view(&self, view: View, secret: Option<Secret>) -> Result<(), MembershipError> {
        let answer = self.ask(move |member| member.handle_view(view, secret));
        answer.unwrap_or(Err(MembershipError::NotJoined))
    }

    /// The application's own source of views does not count this process in any more: see
    /// [`vs_core::Node::handle_excluded`].
    ///
    /// # Errors
    /// See [`MembershipError`]; nothing changed.
    pub fn handle_excluded(&self) -> Result<(), MembershipError> {
        let answer = self.ask(Member::handle_excluded);
        answer.unwrap_or(Err(MembershipError::NotJoined))
    }

    /// Seals with other keys from now on, and opens with these alone: see
    /// [`crate::driver::Driver::set_keys`].
    ///
    /// # Errors
    /// See [`KeysError`]; the keys are as before.
    pub fn set_keys(&self, keys: Keys) -> Result<(), KeysError> {
        let answer = self.ask(move |member| member.set_keys(&keys));
        answer.unwrap_or(Err(KeysError::Ended))
    }

    /// Lets the thread look at the driver: counters, and how the connection to the membership
    /// service fares. It carries nothing meanwhile, so `look` should be short. `None` once
    /// membership has ended.
    pub fn inspect<R: Send + 'static>(
        &self,
        look: impl FnOnce(&Driver<MaybeTrace>) -> R + Send + 'static,
    ) -> Option<R> {
        self.ask(|member| look(member.driver()))
    }

    /// The error that ended the trace. The group continues without a trace.
    #[must_use]
    pub fn trace_error(&self) -> Option<io::Error> {
        self.ask(|member| member.trace_error().map(again)).flatten()
    }

    /// A call that may wait for the thread waits for nobody in a process that was forked.
    fn look_for_fork(&self) {
        self.exchange().is_forked();
    }

    fn exchange(&self) -> &Exchange {
        &self.handle.exchange
    }

    fn ask<R: Send + 'static>(
        &self,
        answer: impl FnOnce(&mut Member) -> R + Send + 'static,
    ) -> Option<R> {
        self.look_for_fork();
        let (told, tells) = mpsc::sync_channel(1);
        let question = Box::new(move |member: &mut Member| drop(told.send(answer(member))));
        {
            let mut questions = self.exchange().questions();
            // Checked under the lock: if membership ends afterwards, the question is found and
            // dropped.
            if self.exchange().arrivals.ended().is_some() {
                return None;
            }
            questions.push(question);
        }
        self.exchange().bell.ring();
        tells.recv().ok()
    }

    fn push(&self, segment: Vec<u8>) -> Result<(), SendError> {
        self.look_for_fork();
        let result = self.exchange().outbox.push_segment(segment, Until::after(self.handle.send));
        self.exchange().taken(result).map_err(|error| self.explain(error))
    }

    /// Whether the calling thread is the one that carries the protocol.
    fn is_inside(&self) -> bool {
        let own = self.handle.thread.as_ref().map(|thread| thread.thread().id());
        own == Some(thread::current().id())
    }

    /// Who waited in vain is told for whom.
    fn explain(&self, error: SendError) -> SendError {
        match error {
            SendError::TimedOut { .. } if self.exchange().arrivals.is_full() => {
                SendError::InboxFull
            }
            // Inside `inspect` the thread would wait for itself.
            SendError::TimedOut { .. } if self.is_inside() => error,
            SendError::TimedOut { .. } => {
                let waits_for = self.ask(|member| member.waits_for()).flatten();
                SendError::TimedOut { waits_for }
            }
            error => error,
        }
    }

    fn take_one(&self, until: Option<Instant>) -> Result<Option<Event>, RecvError> {
        let mut one = None;
        self.take(1, until, |event| one = Some(event))?;
        Ok(one)
    }

    fn take(
        &self,
        limit: usize,
        until: Option<Instant>,
        take: impl FnMut(Event),
    ) -> Result<usize, RecvError> {
        // What has arrived is taken by a process that was forked, too.
        if self.exchange().arrivals.is_empty() {
            self.look_for_fork();
        }
        let (count, is_room) = self.exchange().arrivals.take(limit, until, take)?;
        if is_room {
            self.exchange().bell.ring();
        }
        Ok(count)
    }
}
