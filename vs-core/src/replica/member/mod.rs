//! One member of a replicated state.

mod collect;
mod order;
mod transfer;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::answer::{Answer, Ticket, Want};
use super::calls::Calls;
use super::collect::Collects;
use super::config::ReplicaConfig;
use super::copy::LocalCopy;
use super::donate::Donations;
use super::event::{EVENTS_MAX, ReplicaEvent};
use super::job::Jobs;
use super::joining::Joining;
use super::owned::Owned;
use super::port::Port;
use super::pull::Pull;
use super::round::Round;
use super::state::{Broken, Restore, State};
use super::status::{CallRefused, ReplicaStatus, Waiting};
use super::told::Told;
use crate::endpoint::{DirectError, SendError};
use crate::ident::ProcessId;
use crate::rule::Rule;
use crate::time::Time;
use crate::wire::replica::{PART_OVERHEAD, Standing, Word, encode};

/// Most bytes of a part of a snapshot, and least that is asked for.
const PART_BYTES: (usize, usize) = (64, 32 << 10);

/// One member of a replicated state, as a value: it hears what the group hands out, and says what
/// is to be sent through a [`Port`]. The group has [`crate::order::Order::Safe`].
///
/// After each action of the group call [`Replica::handle_action`], for each direct message
/// [`Replica::handle_direct`], then [`Replica::drive`], and again at the time that it returned.
/// While [`Replica::is_full`], take no actions; direct messages come all the same.
///
/// A large state takes long to write or to read. [`Replica::drive`] does so in place, and meanwhile
/// nobody hears the group. Who takes the [`Job`](super::Job)s runs them elsewhere.
///
/// An error is final: the process must leave the group, since it cannot know any more whether its
/// state is that of the others.
#[derive(Debug)]
pub struct Replica<S: State> {
    me: ProcessId,
    config: ReplicaConfig,
    /// What the state begins with, if it is made.
    initial: Option<S>,
    copy: LocalCopy<S>,
    joining: Option<Joining<S>>,
    jobs: Jobs<S>,
    round: Option<Round>,
    calls: Calls,
    collects: Collects,
    donations: Donations,
    events: VecDeque<ReplicaEvent>,
    told: Told,
}

impl<S: State> Replica<S> {
    /// A replica of process `me`, which has no state yet. `initial` is what a new state begins
    /// with, the same at all members.
    #[must_use]
    pub fn new(me: ProcessId, config: ReplicaConfig, initial: S) -> Self {
        Self {
            me,
            calls: Calls::new(config.nonce),
            collects: Collects::default(),
            config,
            initial: Some(initial),
            copy: LocalCopy::none(),
            joining: None,
            jobs: Jobs::new(),
            round: None,
            donations: Donations::default(),
            events: VecDeque::new(),
            told: Told::default(),
        }
    }

    /// The same, and snapshots are read with `restore` in place of [`State::restore`]: for a state
    /// that needs more than the bytes of a snapshot, such as functions of another language.
    #[must_use]
    pub fn with_restore(mut self, restore: Restore<S>) -> Self {
        self.jobs.set_restore(restore);
        self
    }

    /// The local copy, perhaps old; `None` before there is one, and while a job has it that
    /// [`Replica::poll_job`] handed out.
    #[must_use]
    pub fn peek(&self) -> Option<&S> {
        self.copy.owned().map(Owned::state)
    }

    /// How far the copy that [`Replica::peek`] shows has come.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        self.copy.owned().map(Owned::standing)
    }

    /// Whether a job has the local copy: [`Replica::peek`] shows none meanwhile.
    #[must_use]
    pub fn is_lent(&self) -> bool {
        self.copy.is_lent()
    }

    /// Asks for `op` to be carried out: once, in the order of all. [`Replica::poll_answer`] has the
    /// answer; it may take a view or more.
    ///
    /// # Errors
    /// See [`CallRefused`]; it will not be carried out.
    pub fn call(&mut self, op: &S::Op) -> Result<Ticket, CallRefused> {
        let op = S::encode(op).map_err(CallRefused::Broken)?;
        self.call_encoded(op)
    }

    /// [`Replica::call`] of an operation that [`State::encode`] wrote.
    ///
    /// # Errors
    /// See [`CallRefused`]; it will not be carried out.
    pub fn call_encoded(&mut self, op: Vec<u8>) -> Result<Ticket, CallRefused> {
        self.admit()?;
        Ok(self.calls.call(op, false))
    }

    /// Asks for `op` to be carried out, as [`Replica::call`], and then each member for its answer.
    /// [`Answer::Collected`] has as many replies as are wanted, or says of each one that is missing
    /// why (T9), at most `within_ms` after the own answer.
    ///
    /// # Errors
    /// See [`CallRefused`]; it will not be carried out.
    pub fn collect(
        &mut self,
        op: &S::Op,
        want: Want,
        within_ms: u64,
    ) -> Result<Ticket, CallRefused> {
        let op = S::encode(op).map_err(CallRefused::Broken)?;
        self.collect_encoded(op, want, within_ms)
    }

    /// [`Replica::collect`] of an operation that [`State::encode`] wrote.
    ///
    /// # Errors
    /// See [`CallRefused`]; it will not be carried out.
    pub fn collect_encoded(
        &mut self,
        op: Vec<u8>,
        want: Want,
        within_ms: u64,
    ) -> Result<Ticket, CallRefused> {
        self.admit()?;
        let ticket = self.calls.call(op, true);
        self.collects.add(ticket, want, within_ms);
        Ok(ticket)
    }

    /// Asks to read: once [`Replica::poll_answer`] says [`Answer::Readable`], the local copy has
    /// everything that was answered to anybody before this call, until the next action is handled.
    ///
    /// # Errors
    /// See [`CallRefused`].
    pub fn read(&mut self) -> Result<Ticket, CallRefused> {
        self.admit()?;
        Ok(self.calls.read())
    }

    fn admit(&self) -> Result<(), CallRefused> {
        if let ReplicaStatus::Waiting(waiting) = self.status() {
            return Err(CallRefused::Waiting(waiting));
        }
        if self.calls.has_room(self.collects.len()) { Ok(()) } else { Err(CallRefused::TooMany) }
    }

    /// Whether the action that was handled last makes a read possible: poll the answers before the
    /// next action, which may be an operation that nobody is promised.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.calls.is_readable()
    }

    /// The next answer.
    pub fn poll_answer(&mut self) -> Option<(Ticket, Answer)> {
        let Some((ticket, answer)) = self.calls.poll_answer() else { return self.poll_collected() };
        if matches!(answer, Answer::Lost | Answer::TooLarge) {
            self.collects.forget(ticket);
        }
        Some((ticket, answer))
    }

    /// The next event. Poll them after each action: the oldest are dropped while [`EVENTS_MAX`]
    /// wait.
    pub fn poll_event(&mut self) -> Option<ReplicaEvent> {
        self.events.pop_front()
    }

    /// Reads the answer of an operation.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn decode(answer: &[u8]) -> Result<S::Out, Broken> {
        S::decode(answer)
    }

    /// An operator decides, while the view waits: the state of this process counts, or if nobody
    /// has one, a new one is made. What only absent processes have is lost. False if nothing waits.
    pub fn recover(&mut self) -> bool {
        self.round.as_mut().is_some_and(Round::recover)
    }

    fn tell(&mut self, event: ReplicaEvent) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// How it fares.
    #[must_use]
    pub fn status(&self) -> ReplicaStatus {
        let Some(round) = self.round.as_ref().filter(|round| round.is_complete()) else {
            return ReplicaStatus::Gathering;
        };
        if !round.is_agreed() {
            return ReplicaStatus::Waiting(self.waiting(round));
        }
        if let Some(joining) = &self.joining {
            let (bytes, of) = joining.progress();
            return ReplicaStatus::Joining { donor: joining.donor(), bytes, of };
        }
        if round.is_served() { ReplicaStatus::Serving } else { ReplicaStatus::Settling }
    }

    fn waiting(&self, round: &Round) -> Waiting {
        let (here, missing): (Vec<ProcessId>, Vec<ProcessId>) =
            self.config.primary_of.iter().partition(|p| round.heres().contains_key(p));
        let has_state = |p: &ProcessId| round.heres().get(p).is_some_and(|h| h.standing.is_some());
        let (with_state, without_state) = here.into_iter().partition(has_state);
        Waiting { with_state, without_state, missing }
    }

    /// Whether no action is to be taken before [`Replica::drive`] was called and this is false:
    /// [`ReplicaConfig::hold_bytes`] are held until the state is here, or the trace of the process
    /// is to be told first what the last action led to.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let held = self.joining.as_ref().map_or(0, Joining::held_bytes);
        held + self.copy.hold().bytes() >= self.config.hold_bytes || self.told.has_lines()
    }

    /// Sends what is due, as far as the group takes it. Returns when to be called again.
    ///
    /// # Errors
    /// The replica cannot go on.
    pub fn drive(&mut self, now: Time, port: &mut impl Port) -> Result<Option<Time>, Broken> {
        self.told.learn(port.is_traced());
        self.catch_up()?;
        while let Some(job) = self.jobs.pop() {
            self.handle_job(job.run())?;
        }
        self.told.offers(&mut self.donations);
        self.told.write(port);
        let standing = self.copy.standing();
        if let Some(round) = &mut self.round {
            round.speak(standing, |said| port.send(&encode(said)).is_ok());
        }
        if self.is_serving() {
            if !self.config.rules.keeps(Rule::ReplicaReadMark) {
                self.calls.read_at_once(&mut self.told);
            }
            while let Some(message) = self.calls.next() {
                match port.send(&message) {
                    Ok(()) => self.calls.handle_sent(&mut self.told),
                    Err(SendError::TooLarge { .. }) => self.calls.handle_too_large(&mut self.told),
                    Err(_) => break,
                }
            }
        }
        self.told.write(port);
        if self.pull().is_some_and(|pull| pull.handle_timeout(now)) {
            self.turn_to_next_donor(now)?;
        }
        let part = port.direct_bytes_max().saturating_sub(PART_OVERHEAD);
        let part = part.clamp(PART_BYTES.0, PART_BYTES.1) as u32;
        let mut say = |to, word: &Word<'_>| {
            // What has nobody to go to, or does not fit any more, is asked for again.
            port.send_direct(to, &encode(word)) != Err(DirectError::QueueFull)
        };
        self.donations.answer(part, &mut say);
        let mut wake = (!self.donations.is_idle()).then(|| now.plus_us(1));
        if let Some(pull) = self.pull() {
            let donor = pull.donor();
            pull.ask(now, part, |word| say(donor, word));
            wake = wake.or(Some(pull.poll_timeout()));
        }
        let asked = self.drive_collects(now, port);
        let wake = wake.into_iter().chain(asked).min();
        Ok(if self.copy.has_next() { Some(now) } else { wake })
    }

    /// The transfer to this process. Nobody donates before it is known whose state counts.
    fn pull(&mut self) -> Option<&mut Pull> {
        self.round.as_ref().filter(|round| round.is_agreed())?;
        self.joining.as_mut()?.pull()
    }
}
