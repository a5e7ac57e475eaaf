//! A replicated state as a handle that threads share.

mod call;
mod end;
mod front;
mod io;
mod jobs;
mod spool;
mod tasks;
mod worker;

use core::time::Duration;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use vs_core::ident::{GroupName, ProcessId};
use vs_core::order::Order;
use vs_core::replica::{
    Answer, Broken, CallRefused, Collected, Replica, ReplicaConfig, ReplicaEvent, ReplicaStatus,
    Restore, State, Want,
};
use vs_core::seal::Keys;

use crate::driver::Driver;
use crate::group::{JoinError, JoinOptions, LEAVE_SLACK_MS, Member, Role, SlowReader};
use crate::keys::KeysError;
use crate::random::random;
use crate::trace::MaybeTrace;

use call::Asked;
pub use call::{CallError, Pending};
pub use end::ReplicaEnd;
use front::{Ask, Front, Leave, Told, Waits};
pub use io::{SnapshotReader, SnapshotWriter};
pub use spool::{SPOOL_MEMORY_BYTES, spool};
pub use tasks::ReplicaEventStream;
use worker::Worker;

/// How a replicated state is opened.
#[non_exhaustive]
pub struct ReplicaOptions {
    /// Of which processes more than half must have the state, and its bounds.
    pub replica: ReplicaConfig,
    /// How long [`Replicated::call`] and [`Replicated::read`] wait. Default 10 s.
    pub call_timeout: Duration,
    /// Hears what happens, on the thread of the replica. Default: nobody.
    pub hear: Box<dyn FnMut(ReplicaEvent) + Send>,
    /// How many events are kept for [`Replicated::events`] and [`Replicated::try_event`]. Of more
    /// the oldest is thrown away. Default 0: they are not used.
    pub events_max: usize,
}

impl core::fmt::Debug for ReplicaOptions {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { replica, call_timeout, events_max, .. } = self;
        f.debug_struct("ReplicaOptions")
            .field("replica", replica)
            .field("call_timeout", call_timeout)
            .field("events_max", events_max)
            .finish_non_exhaustive()
    }
}

impl ReplicaOptions {
    /// Everything by default for a state that more than half of `primary_of` must have. The list is
    /// the same at all members, for the life of the state.
    #[must_use]
    pub fn new(primary_of: &[ProcessId]) -> Self {
        Self {
            replica: ReplicaConfig::new(primary_of, random()).with_make_spool(spool),
            call_timeout: Duration::from_secs(10),
            hear: Box::new(|_| ()),
            events_max: 0,
        }
    }

    /// Sets [`Self::replica`].
    #[must_use]
    pub fn with_replica(mut self, replica: ReplicaConfig) -> Self {
        self.replica = replica;
        self
    }

    /// Sets [`Self::call_timeout`].
    #[must_use]
    pub fn with_call_timeout(mut self, call_timeout: Duration) -> Self {
        self.call_timeout = call_timeout;
        self
    }

    /// Sets [`Self::hear`].
    #[must_use]
    pub fn with_hear(mut self, hear: impl FnMut(ReplicaEvent) + Send + 'static) -> Self {
        self.hear = Box::new(hear);
        self
    }

    /// Sets [`Self::events_max`].
    #[must_use]
    pub fn with_events_max(mut self, events_max: usize) -> Self {
        self.events_max = events_max;
        self
    }

    /// Hears for the application, and keeps events for those who ask.
    fn hear_and_keep<S: State + Send + 'static>(
        mut hear: Box<dyn FnMut(ReplicaEvent) + Send>,
        front: &Arc<Front<S>>,
    ) -> Box<dyn FnMut(ReplicaEvent) + Send> {
        let front = Arc::clone(front);
        Box::new(move |event| {
            front.keep(event.clone());
            hear(event);
        })
    }
}

/// A call whose answer is that of each member.
type PendingCollection<S> = Pending<Collected<<S as State>::Out>>;

#[derive(Debug)]
struct Handle<S: State> {
    front: Arc<Front<S>>,
    thread: Option<JoinHandle<()>>,
    call_timeout: Duration,
}

impl<S: State> Drop for Handle<S> {
    fn drop(&mut self) {
        if self.front.is_forked() {
            return;
        }
        self.front.leave(Leave::Now);
        let Some(thread) = self.thread.take() else { return };
        if thread.thread().id() != thread::current().id() {
            let _ = thread.join();
        }
    }
}

/// A state that all members of a group have, as a handle that can be cloned and shared by threads.
/// A thread of its own carries the protocol and applies the operations.
///
/// See [`vs_core::replica`] for what is promised. When the last handle is dropped without
/// [`Replicated::leave`], that is a crash in the eyes of the others. After a fork the parent's
/// handles go on, and those of the child have ended.
#[derive(Debug)]
pub struct Replicated<S: State> {
    handle: Arc<Handle<S>>,
}

impl<S: State> Clone for Replicated<S> {
    fn clone(&self) -> Self {
        Self { handle: Arc::clone(&self.handle) }
    }
}

impl<S: State + Send + 'static> Replicated<S> {
    /// Joins `group` and takes part in its state. A new state begins with `initial`, the same at
    /// all members. The order of the group and its `primary_of` are those that a replica needs,
    /// whatever `join` says; a member with another list is refused. Does not wait: see
    /// [`Replicated::wait_until_served`].
    ///
    /// # Errors
    /// Says which option is at fault.
    pub fn open(
        group: &GroupName,
        join: JoinOptions,
        options: ReplicaOptions,
        initial: S,
    ) -> Result<Self, JoinError> {
        Self::open_with(group, join, options, initial, Restore::new(S::restore))
    }

    /// [`Replicated::open`] that reads snapshots with `restore` in place of [`State::restore`].
    ///
    /// # Errors
    /// Says which option is at fault.
    pub fn open_with(
        group: &GroupName,
        mut join: JoinOptions,
        options: ReplicaOptions,
        initial: S,
        restore: Restore<S>,
    ) -> Result<Self, JoinError> {
        if join.role != Role::Member {
            return Err(JoinError::Observer);
        }
        if join.reading() != SlowReader::Block {
            return Err(JoinError::SlowReader(join.reading()));
        }
        join.group.order = Order::Safe;
        // Whoever has another list is refused: two sides might be served at once.
        join.group.primary_of.clone_from(&options.replica.primary_of);
        let (me, leave_ms) = (join.driver.process, join.group.peer_ms + LEAVE_SLACK_MS);
        let front = Arc::new(Front::new(options.events_max).map_err(JoinError::Thread)?);
        let member = Member::join(group, join)?;
        let ReplicaOptions { replica, call_timeout, mut hear, events_max } = options;
        if events_max > 0 {
            hear = ReplicaOptions::hear_and_keep(hear, &front);
        }
        let replica = Replica::new(me, replica, initial).with_restore(restore);
        let worker = Worker::new(member, replica, Arc::clone(&front), hear, leave_ms);
        let thread = thread::Builder::new().name("vs-replica".into()).spawn(|| worker.run());
        let thread = Some(thread.map_err(JoinError::Thread)?);
        Ok(Self { handle: Arc::new(Handle { front, thread, call_timeout }) })
    }

    fn front(&self) -> &Arc<Front<S>> {
        &self.handle.front
    }

    fn deadline(&self) -> Option<Instant> {
        Instant::now().checked_add(self.handle.call_timeout)
    }

    /// Carries `op` out, once, in the order of all, and waits for its answer, for at most
    /// [`ReplicaOptions::call_timeout`].
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn call(&self, op: &S::Op) -> Result<S::Out, CallError<S::Out>> {
        self.begin(op)?.wait(self.handle.call_timeout)
    }

    /// Asks for `op` to be carried out, once, in the order of all. Does not wait; the answer is
    /// that of [`Pending::wait`].
    ///
    /// # Errors
    /// See [`CallError`]: it cannot be written, or the replica has ended.
    pub fn begin(&self, op: &S::Op) -> Result<Pending<S::Out>, CallError<S::Out>> {
        self.ask_for(op, Ask::Call, |answer| match answer {
            Answer::Done(answer) => S::decode(&answer),
            _ => Err(no_answer()),
        })
    }

    /// Carries `op` out, as [`Replicated::call`], and then asks each member for its answer: as many
    /// replies as are wanted, or of each that is missing the reason (T9). Members have `within` to
    /// reply, from the own answer on.
    ///
    /// # Errors
    /// See [`CallError`]; that members are missing is none.
    pub fn collect(
        &self,
        op: &S::Op,
        want: Want,
        within: Duration,
    ) -> Result<Collected<S::Out>, CallError<Collected<S::Out>>> {
        let pending = self.begin_collect(op, want, within)?;
        pending.wait(self.handle.call_timeout.saturating_add(within))
    }

    fn ask_for<R>(
        &self,
        op: &S::Op,
        ask: impl FnOnce(u64, Vec<u8>) -> Ask<S>,
        read: fn(Answer) -> Result<R, Broken>,
    ) -> Result<Pending<R>, CallError<R>> {
        if self.front().is_inside() {
            return Err(CallError::Inside);
        }
        let op = S::encode(op).map_err(|why| CallError::Refused(CallRefused::Broken(why)))?;
        let number = self.front().ask(|number| ask(number, op)).map_err(CallError::Ended)?;
        Ok(Pending::new(self.asked(number), read))
    }

    fn asked(&self, number: u64) -> Asked {
        let front: Arc<Front<S>> = Arc::clone(self.front());
        Asked::new(front, number)
    }

    fn begin_collect(
        &self,
        op: &S::Op,
        want: Want,
        within: Duration,
    ) -> Result<PendingCollection<S>, CallError<Collected<S::Out>>> {
        let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        let ask = |number, op| Ask::Collect(number, op, want, within_ms);
        self.ask_for(op, ask, |answer| match answer {
            Answer::Collected(collected) => collected.try_map(|answer| S::decode(&answer)),
            _ => Err(no_answer()),
        })
    }

    /// Reads the state, linearizably: what was answered to anybody before this call is in it.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn read<R: Send + 'static>(
        &self,
        read: impl FnOnce(&S) -> R + Send + 'static,
    ) -> Result<R, CallError<S::Out>> {
        let (asked, receive) = self.ask_to_read(read)?;
        match asked.wait_until(self.deadline()) {
            Some(told) => told_to_read(told, &receive),
            None => Err(CallError::Refused(CallRefused::NotNow(self.status()))),
        }
    }

    fn ask_to_read<R: Send + 'static>(
        &self,
        read: impl FnOnce(&S) -> R + Send + 'static,
    ) -> Result<(Asked, Receiver<R>), CallError<S::Out>> {
        if self.front().is_inside() {
            return Err(CallError::Inside);
        }
        let (send, receive) = mpsc::sync_channel(1);
        let look = move |replica: &Replica<S>| {
            if let Some(state) = replica.peek() {
                let _ = send.send(read(state));
            }
        };
        let number = self.front().ask(|number| Ask::Read(number, Box::new(look)));
        Ok((self.asked(number.map_err(CallError::Ended)?), receive))
    }

    /// Looks at the local copy, which is perhaps old, or no copy at all. While a snapshot of it is
    /// being written this waits. `None` once the replica has ended, while too many calls wait for
    /// it, and on its own thread: inside `apply`, inside a closure that reads, or inside
    /// [`ReplicaOptions::hear`].
    pub fn peek<R: Send + 'static>(
        &self,
        look: impl FnOnce(Option<&S>) -> R + Send + 'static,
    ) -> Option<R> {
        if self.front().is_inside() {
            return None; // it would wait for itself
        }
        let (send, receive) = mpsc::sync_channel(1);
        let ask = move |replica: &Replica<S>| {
            let _ = send.send(look(replica.peek()));
        };
        let number = self.front().ask(|_| Ask::Look(Box::new(ask))).ok()?;
        self.front().forget(number);
        receive.recv().ok()
    }

    /// How the replica fares.
    #[must_use]
    pub fn status(&self) -> ReplicaStatus {
        self.front().status()
    }

    /// Waits until calls are answered; false after `timeout`. Does not wait on the thread of the
    /// replica.
    ///
    /// # Errors
    /// The replica has ended.
    pub fn wait_until_served(&self, timeout: Duration) -> Result<bool, ReplicaEnd> {
        let until = Instant::now().checked_add(timeout);
        let is_serving = |status: &ReplicaStatus| *status == ReplicaStatus::Serving;
        match self.front().wait_for_status(until, is_serving) {
            Some(result) => result.map(|()| true),
            None => Ok(false),
        }
    }

    /// An operator decides that the state of this process counts, while nobody else can say whose:
    /// see [`Replica::recover`]. False if nothing waits for that, on the thread of the replica, and
    /// while too many calls wait for it.
    ///
    /// # Errors
    /// The replica has ended.
    pub fn recover(&self) -> Result<bool, ReplicaEnd> {
        if self.front().is_inside() {
            return Ok(false);
        }
        let number = self.front().ask(Ask::Recover)?;
        let told = self.front().wait_for(number, self.deadline());
        self.front().forget(number);
        match told {
            Some(told) => Ok(matches!(told?, Told::Recovered(true))),
            None => Ok(false),
        }
    }

    /// Seals with other keys from now on, and opens with these alone: see
    /// [`crate::driver::Driver::set_keys`].
    ///
    /// # Errors
    /// See [`KeysError`]; the keys are as before. While too many calls wait it is as if membership
    /// had ended.
    pub fn set_keys(&self, keys: Keys) -> Result<(), KeysError> {
        if self.front().is_inside() {
            return Err(KeysError::Ended); // it would wait for itself
        }
        let (send, receive) = mpsc::sync_channel(1);
        let change = move |member: &mut Member| drop(send.send(member.set_keys(&keys)));
        let number = self.front().ask(|_| Ask::Member(Box::new(change)));
        let number = number.map_err(|_| KeysError::Ended)?;
        self.front().forget(number);
        receive.recv().unwrap_or(Err(KeysError::Ended))
    }

    /// Lets the thread of the replica look at the driver: the status of the node, and of the server
    /// inside. It carries nothing meanwhile, so `look` should be short. `None` once the replica has
    /// ended, while too many calls wait for it, and on its own thread.
    pub fn inspect<R: Send + 'static>(
        &self,
        look: impl FnOnce(&Driver<MaybeTrace>) -> R + Send + 'static,
    ) -> Option<R> {
        if self.front().is_inside() {
            return None; // it would wait for itself
        }
        let (send, receive) = mpsc::sync_channel(1);
        let look = move |member: &mut Member| drop(send.send(look(member.driver())));
        let number = self.front().ask(|_| Ask::Member(Box::new(look))).ok()?;
        self.front().forget(number);
        receive.recv().ok()
    }

    /// How it ended, once it has.
    #[must_use]
    pub fn end(&self) -> Option<ReplicaEnd> {
        self.front().end()
    }

    /// Leaves the group in good order, for all handles, and waits for that; not on the thread of
    /// the replica, which could not leave while it waits.
    pub fn leave(self) -> ReplicaEnd {
        self.front().leave(Leave::Politely);
        let end = self.front().wait_for_status(None, |_| false);
        end.and_then(Result::err).unwrap_or(ReplicaEnd::Left)
    }
}

/// What was read, or why it was not.
fn told_to_read<R, Out>(
    told: Result<Told, ReplicaEnd>,
    receive: &Receiver<R>,
) -> Result<R, CallError<Out>> {
    match told.map_err(CallError::Ended)? {
        Told::Answer(Answer::Readable) => receive.try_recv().map_err(|_| CallError::Lost),
        Told::Refused(why) => Err(CallError::Refused(why)),
        _ => Err(CallError::Lost),
    }
}

/// Of a question that has another kind of answer.
fn no_answer() -> Broken {
    Broken::new("it is the answer to another question")
}
