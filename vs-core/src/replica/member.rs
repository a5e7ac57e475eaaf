//! One member of a replicated state.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;

use super::ballot::donors;
use super::calls::{Answer, Calls, Ticket};
use super::config::ReplicaConfig;
use super::donate::Donations;
use super::joining::Joining;
use super::owned::{Outcome, Owned};
use super::port::Port;
use super::pull::{Progress, Pull};
use super::round::Round;
use super::spool::Written;
use super::state::{Broken, State};
use super::status::{CallRefused, ReplicaStatus, Waiting};
use crate::endpoint::{Action, DirectError, SendError};
use crate::ident::ProcessId;
use crate::order::Stage;
use crate::time::Time;
use crate::view::View;
use crate::wire::replica::{PART_OVERHEAD, Said, Standing, VERSION, Word, decode, encode};

/// Most bytes of a part of a snapshot, and least that is asked for.
const PART_BYTES: (usize, usize) = (64, 32 << 10);

/// A donor is tried so often, all donors in turn, before the replica gives up.
const DONOR_TRIES: usize = 3;

/// Most events that wait for [`Replica::poll_event`]. Of more the oldest is dropped.
pub const EVENTS_MAX: usize = 1 << 16;

/// What a replica tells besides answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplicaEvent {
    /// A new state is made: nobody had one.
    Created,
    /// Calls are answered from here on.
    Served,
    /// The view is not served: nobody can say whose state counts.
    Waiting(Waiting),
    /// The state has come from this member.
    Restored {
        /// The donor.
        from: ProcessId,
        /// Bytes of it.
        bytes: u64,
    },
    /// An operation was carried out: with [`ReplicaConfig::applied`] alone.
    Applied {
        /// The operation, as [`State::encode`] wrote it.
        op: Vec<u8>,
        /// Its answer.
        answer: Vec<u8>,
    },
    /// The own state could not be written for a joiner, which turns to another member.
    SnapshotFailed(Broken),
}

impl fmt::Display for ReplicaEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created => f.write_str("a new state begins"),
            Self::Served => f.write_str("the state is served"),
            Self::Waiting(waiting) => waiting.fmt(f),
            Self::Restored { from, bytes } => {
                write!(f, "the state has come from {from}, {bytes} bytes")
            }
            Self::Applied { .. } => f.write_str("an operation was carried out"),
            Self::SnapshotFailed(why) => {
                write!(f, "the state cannot be written for a newcomer: {why}")
            }
        }
    }
}

/// One member of a replicated state, as a value: it hears what the group hands out, and says what
/// is to be sent through a [`Port`]. The group has [`crate::order::Order::Safe`].
///
/// After each action of the group call [`Replica::handle_action`], for each direct message
/// [`Replica::handle_direct`], then [`Replica::drive`], and again at the time that it returned.
/// While [`Replica::is_full`], take no actions; direct messages come all the same.
///
/// An error is final: the process must leave the group, since it cannot know any more whether its
/// state is that of the others.
#[derive(Debug)]
pub struct Replica<S: State> {
    me: ProcessId,
    config: ReplicaConfig,
    /// What the state begins with, if it is made.
    initial: Option<S>,
    owned: Option<Owned<S>>,
    joining: Option<Joining>,
    round: Option<Round>,
    calls: Calls,
    donations: Donations,
    events: VecDeque<ReplicaEvent>,
}

impl<S: State> Replica<S> {
    /// A replica of process `me`, which has no state yet. `initial` is what a new state begins
    /// with, the same at all members.
    #[must_use]
    pub fn new(me: ProcessId, config: ReplicaConfig, initial: S) -> Self {
        Self {
            me,
            calls: Calls::new(config.nonce),
            config,
            initial: Some(initial),
            owned: None,
            joining: None,
            round: None,
            donations: Donations::default(),
            events: VecDeque::new(),
        }
    }

    /// The local copy, perhaps old; `None` before there is one.
    #[must_use]
    pub fn peek(&self) -> Option<&S> {
        self.owned.as_ref().map(Owned::state)
    }

    /// How far the local copy has come.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        self.owned.as_ref().map(Owned::standing)
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
        Ok(self.calls.call(op))
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
        if self.calls.has_room() { Ok(()) } else { Err(CallRefused::TooMany) }
    }

    /// Whether the action that was handled last makes a read possible: poll the answers before the
    /// next action, which may be an operation that nobody is promised.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.calls.is_readable()
    }

    /// The next answer.
    pub fn poll_answer(&mut self) -> Option<(Ticket, Answer)> {
        self.calls.poll_answer()
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
            let (bytes, of) = joining.pull().progress();
            return ReplicaStatus::Joining { donor: joining.pull().donor(), bytes, of };
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

    /// Whether [`ReplicaConfig::hold_bytes`] are held: no action is to be taken until the state is
    /// here.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let held = self.joining.as_ref().map_or(0, Joining::held_bytes);
        held >= self.config.hold_bytes
    }

    /// The group hands out an action.
    ///
    /// # Errors
    /// The replica cannot go on.
    pub fn handle_action(&mut self, action: &Action<'_>) -> Result<(), Broken> {
        match *action {
            Action::View { view, .. } => {
                self.handle_view(view);
                Ok(())
            }
            Action::Deliver { from, payload, stage, .. } => {
                self.handle_message(from, payload, stage)
            }
            _ => Ok(()),
        }
    }

    /// A view is installed.
    pub fn handle_view(&mut self, view: &View) {
        self.round = Some(Round::new(view.clone()));
        self.calls.handle_view();
        if let Some(joining) = &mut self.joining {
            joining.pull_mut().handle_view();
        }
    }

    /// A message of the group is delivered.
    ///
    /// # Errors
    /// The replica cannot go on.
    pub fn handle_message(
        &mut self,
        from: ProcessId,
        message: &[u8],
        stage: Stage,
    ) -> Result<(), Broken> {
        let Some(said) = decode(message) else {
            return Err(Broken(alloc::format!(
                "{from} said what is no message of a replicated state: is another program in the \
                 group?"
            )));
        };
        let Some(round) = &mut self.round else { return Ok(()) };
        let id = round.view().fingerprint();
        match said {
            Said::Here { here, .. } if here.version != VERSION => Err(Broken(alloc::format!(
                "{from} speaks version {} of replicated states and this process {VERSION}: run one",
                here.version
            ))),
            Said::Here { view, here } if view == id => {
                if round.handle_here(from, here) {
                    self.decide(None)?;
                }
                Ok(())
            }
            Said::Recover { view } if view == id => {
                if round.is_waiting() {
                    self.decide(Some(from))?;
                }
                Ok(())
            }
            Said::Settled { view } if view == id => {
                round.handle_settled(from);
                self.retain_joiners();
                self.look_whether_served();
                Ok(())
            }
            Said::Here { .. } | Said::Recover { .. } | Said::Settled { .. } => Ok(()),
            Said::Mark { nonce } => {
                if from == self.me && stage == Stage::Regular && self.is_serving() {
                    self.calls.handle_mark(nonce);
                }
                Ok(())
            }
            // What nobody serves is not applied, and asked for again.
            Said::Open { .. } | Said::Op { .. } if !round.is_served() => Ok(()),
            Said::Open { .. } | Said::Op { .. } => match &mut self.joining {
                Some(joining) => {
                    joining.hold(from, message, &said, stage);
                    self.try_to_settle()
                }
                None => self.apply(from, &said, stage),
            },
        }
    }

    fn is_serving(&self) -> bool {
        self.joining.is_none() && self.round.as_ref().is_some_and(Round::is_served)
    }

    fn apply(&mut self, from: ProcessId, said: &Said<'_>, stage: Stage) -> Result<(), Broken> {
        let Some(owned) = &mut self.owned else { return Ok(()) };
        let outcome = owned.apply(said)?;
        if self.config.applied
            && let (Said::Op { op, .. }, Outcome::Answered { answer, is_new: true, .. }) =
                (said, &outcome)
        {
            let (op, answer) = (op.to_vec(), answer.clone());
            self.tell(ReplicaEvent::Applied { op, answer });
        }
        let Some(owned) = &self.owned else { return Ok(()) };
        // What is not promised to all is answered in the next served view.
        if from == self.me && stage == Stage::Regular {
            match outcome {
                Outcome::Opened { nonce } => self.calls.handle_open(nonce, owned.sessions()),
                Outcome::Answered { session, no, answer, .. } => {
                    self.calls.handle_answer(session, no, &answer);
                }
                Outcome::Ended { session, no } => self.calls.handle_ended(session, no),
                Outcome::Nothing => {}
            }
        }
        Ok(())
    }

    /// All have said what they bring, or an operator has decided.
    fn decide(&mut self, by: Option<ProcessId>) -> Result<(), Broken> {
        let Some(round) = &mut self.round else { return Ok(()) };
        let Some(agreed) = round.decide(&self.config.primary_of, by) else {
            let waiting = self.round.as_ref().map(|round| self.waiting(round));
            waiting.into_iter().for_each(|waiting| self.tell(ReplicaEvent::Waiting(waiting)));
            return Ok(());
        };
        let (standing, is_created) = (agreed.standing, agreed.is_created);
        if agreed.settled.contains(&self.me) {
            self.joining = None;
            if let (true, Some(initial)) = (is_created, self.initial.take()) {
                self.owned = Some(Owned::new(initial));
                self.tell(ReplicaEvent::Created);
            }
        } else {
            // A snapshot of the own state is none of the one that counts.
            self.donations.forget();
            self.join(standing);
            // What was asked for in the view before may have come by now.
            self.try_to_settle()?;
        }
        self.retain_joiners();
        self.look_whether_served();
        Ok(())
    }

    /// The state has to come from others. What is on its way goes on if it leads there.
    fn join(&mut self, standing: Standing) {
        let Some(donor) = self.donor(None) else { return };
        if let Some(joining) = &mut self.joining
            && joining.standing() == standing
        {
            let is_there = |round: &Round| round.settled().contains(&joining.pull().donor());
            if !self.round.as_ref().is_some_and(is_there) {
                self.pull_from(donor);
            }
            return;
        }
        let pull = self.new_pull(donor, standing.at);
        self.joining = Some(Joining::new(standing, pull));
    }

    fn new_pull(&self, donor: ProcessId, since: u64) -> Pull {
        Pull::new(donor, since, (self.config.make_spool)(), self.config.state_bytes_max)
    }

    fn pull_from(&mut self, donor: ProcessId) {
        let Some(since) = self.joining.as_ref().map(Joining::since) else { return };
        let pull = self.new_pull(donor, since);
        if let Some(joining) = &mut self.joining {
            joining.turn_to(pull);
        }
    }

    /// Who donates to this process: the one whose turn it is, or the next one after `failed`.
    fn donor(&self, failed: Option<ProcessId>) -> Option<ProcessId> {
        let round = self.round.as_ref()?;
        let members = round.view().members();
        let mine = donors(members, round.settled()).into_iter().find(|(j, _)| *j == self.me);
        let Some(failed) = failed else { return mine.map(|(_, donor)| donor) };
        let settled = || round.settled().iter().copied().filter(|p| *p != self.me);
        settled().find(|p| *p > failed).or_else(|| settled().next())
    }

    /// The donor cannot go on: the next one.
    fn turn_to_next_donor(&mut self) -> Result<(), Broken> {
        let donors = self.round.as_ref().map_or(0, |round| round.settled().len());
        let Some(joining) = &mut self.joining else { return Ok(()) };
        if joining.handle_failure() > DONOR_TRIES * donors.max(1) {
            return Err(Broken::new("no member could hand the state over: see what they report"));
        }
        let failed = joining.pull().donor();
        if let Some(next) = self.donor(Some(failed)) {
            self.pull_from(next);
        }
        Ok(())
    }

    fn retain_joiners(&mut self) {
        let Some(round) = &self.round else { return };
        let settled = round.settled();
        self.donations.retain(|p| round.view().contains(p) && !settled.contains(&p));
    }

    fn look_whether_served(&mut self) {
        let Some(round) = &mut self.round else { return };
        if !round.begin_to_serve(&self.config.primary_of) {
            return;
        }
        let epoch = round.view().id();
        if let Some(joining) = &mut self.joining {
            return joining.set_epoch(epoch);
        }
        if let Some(owned) = &mut self.owned {
            owned.set_epoch(epoch);
            self.calls.resolve(owned.sessions());
            self.tell(ReplicaEvent::Served);
        }
    }

    /// Another member says something to this one alone.
    ///
    /// # Errors
    /// The replica cannot go on.
    pub fn handle_direct(
        &mut self,
        now: Time,
        from: ProcessId,
        message: &[u8],
    ) -> Result<(), Broken> {
        let Some(word) = decode(message) else { return Ok(()) };
        match word {
            Word::Ask { since } => self.donate(from, since),
            Word::Range { transfer, from: start, upto, part } => {
                self.donations.handle_range(from, transfer, (start, upto), part);
            }
            Word::About { .. } | Word::Part { .. } | Word::Gone => {
                let max = self.config.state_bytes_max;
                let Some(joining) = &mut self.joining else { return Ok(()) };
                if joining.pull().donor() != from {
                    return Ok(());
                }
                match joining.pull_mut().handle(now, &word, max)? {
                    Progress::Nothing => joining.drop_known(),
                    Progress::Whole => self.try_to_settle()?,
                    Progress::Failed => self.turn_to_next_donor()?,
                }
            }
        }
        Ok(())
    }

    fn donate(&mut self, joiner: ProcessId, since: u64) {
        let owned = self.owned.as_ref().filter(|owned| owned.standing().at >= since);
        let Some(owned) = owned.filter(|_| self.joining.is_none()) else {
            return self.donations.refuse(joiner);
        };
        if self.donations.share(joiner, since) {
            return;
        }
        let out = Written::new((self.config.make_spool)(), self.config.state_bytes_max);
        match owned.snapshot(out) {
            Ok(written) => self.donations.add(joiner, owned.standing(), written),
            Err(why) => {
                self.donations.refuse(joiner);
                self.tell(ReplicaEvent::SnapshotFailed(why));
            }
        }
    }

    /// If the snapshot is here and all that is behind it is held, the state is made of them: not
    /// before it is known whose state counts, since the view may take that of others.
    fn try_to_settle(&mut self) -> Result<(), Broken> {
        if !self.round.as_ref().is_some_and(Round::is_agreed) {
            return Ok(());
        }
        let Some(joining) = self.joining.take_if(|joining| joining.is_ready()) else {
            return Ok(());
        };
        let (standing, mut pull, held) = joining.into_parts();
        let from = pull.donor();
        let Some(snapshot) = pull.standing() else { return Ok(()) };
        let written = pull.written();
        let bytes = written.len();
        let owned = Owned::restore(snapshot, &mut written.reader()).map_err(|why| {
            Broken(alloc::format!("the state that came from {from} cannot be restored: {why}"))
        })?;
        self.owned = Some(owned);
        for message in held.into_iter().filter(|held| held.at > snapshot.at) {
            if let Some(said) = decode(&message.message) {
                self.apply(message.from, &said, message.stage)?;
            }
        }
        let Some(owned) = &mut self.owned else { return Ok(()) };
        owned.set_epoch(standing.epoch);
        if owned.standing() != standing {
            return Err(Broken(alloc::format!(
                "the state that came from {from} is not that of the group: its messages differ"
            )));
        }
        let Some(round) = &mut self.round else { return Ok(()) };
        round.handle_restored();
        let is_served = round.is_served();
        if is_served {
            self.calls.resolve(owned.sessions());
        }
        self.tell(ReplicaEvent::Restored { from, bytes });
        if is_served {
            self.tell(ReplicaEvent::Served);
        }
        Ok(())
    }

    /// Sends what is due, as far as the group takes it. Returns when to be called again.
    ///
    /// # Errors
    /// The replica cannot go on.
    pub fn drive(&mut self, now: Time, port: &mut impl Port) -> Result<Option<Time>, Broken> {
        let standing = self.standing();
        if let Some(round) = &mut self.round {
            round.speak(standing, |said| port.send(&encode(said)).is_ok());
        }
        if self.is_serving() {
            while let Some(message) = self.calls.next() {
                match port.send(&message) {
                    Ok(()) => self.calls.handle_sent(),
                    Err(SendError::TooLarge { .. }) => self.calls.handle_too_large(),
                    Err(_) => break,
                }
            }
        }
        // Nobody donates before it is known whose state counts.
        let is_agreed = self.round.as_ref().is_some_and(Round::is_agreed);
        let pulling = self.joining.as_mut().filter(|_| is_agreed);
        if pulling.is_some_and(|joining| joining.pull_mut().handle_timeout(now)) {
            self.turn_to_next_donor()?;
        }
        let part = port.direct_bytes_max().saturating_sub(PART_OVERHEAD);
        let part = part.clamp(PART_BYTES.0, PART_BYTES.1) as u32;
        let mut say = |to, word: &Word<'_>| {
            // What has nobody to go to, or does not fit any more, is asked for again.
            port.send_direct(to, &encode(word)) != Err(DirectError::QueueFull)
        };
        self.donations.answer(part, &mut say);
        let mut wake = (!self.donations.is_idle()).then(|| now.plus_us(1));
        if let Some(joining) = self.joining.as_mut().filter(|_| is_agreed) {
            let donor = joining.pull().donor();
            joining.pull_mut().ask(now, part, |word| say(donor, word));
            wake = wake.or(Some(joining.pull().poll_timeout()));
        }
        Ok(wake)
    }
}
