//! What the group delivers.

use super::Replica;
use crate::endpoint::Action;
use crate::ident::{ProcessId, ViewId};
use crate::member::DetachReason;
use crate::order::Stage;
use crate::replica::event::ReplicaEvent;
use crate::replica::hold::Held;
use crate::replica::joining::Joining;
use crate::replica::owned::{Outcome, Owned};
use crate::replica::round::Round;
use crate::replica::state::{Broken, State};
use crate::rule::Rule;
use crate::trace::StateEvent;
use crate::view::View;
use crate::wire::replica::{Said, VERSION, decode};

impl<S: State> Replica<S> {
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
            Action::Detached { ref reason, .. } => {
                self.handle_detached(reason);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// This process is out of the group. A final reason is the end, and told as such.
    pub fn handle_detached(&mut self, reason: &DetachReason) {
        if !reason.is_final() {
            self.tell(ReplicaEvent::Note(alloc::format!("{reason}; trying again")));
        }
    }

    /// A view is installed.
    pub fn handle_view(&mut self, view: &View) {
        self.round = Some(Round::new(view.clone()));
        self.calls.handle_view();
        if let Some(pull) = self.joining.as_mut().and_then(Joining::pull) {
            pull.handle_view();
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
        let Some(round) = &mut self.round else { return Ok(()) };
        let id = round.view().fingerprint();
        match decode(message) {
            None => self.handle_stranger(from, stage),
            Some(Said::Here { here, .. }) if here.version != VERSION => {
                self.handle_stranger(from, stage)
            }
            _ if round.is_stranger(from) => Ok(()),
            Some(Said::Here { view, here }) if view == id => {
                if round.handle_here(from, here) {
                    self.decide(None, stage)?;
                }
                Ok(())
            }
            Some(Said::Recover { view }) if view == id => {
                if round.is_waiting() {
                    self.decide(Some(from), stage)?;
                }
                Ok(())
            }
            Some(Said::Settled { view }) if view == id => {
                round.handle_settled(from);
                self.retain_joiners();
                self.look_whether_served(stage);
                Ok(())
            }
            Some(Said::Here { .. } | Said::Recover { .. } | Said::Settled { .. }) => Ok(()),
            Some(Said::Mark { nonce }) => {
                if from == self.me && stage == Stage::Regular && self.joining.is_none() {
                    self.handle_mark(nonce);
                }
                Ok(())
            }
            // What nobody serves is not applied, and asked for again.
            Some(Said::Open { .. } | Said::Op { .. }) if !round.is_served() => Ok(()),
            Some(said @ (Said::Open { .. } | Said::Op { .. })) => {
                self.handle_change(from, message, &said, stage)
            }
        }
    }

    /// A member cannot be understood, by anybody of this version.
    fn handle_stranger(&mut self, from: ProcessId, stage: Stage) -> Result<(), Broken> {
        let Some(round) = &mut self.round else { return Ok(()) };
        if !round.handle_stranger(from) {
            return Ok(());
        }
        let is_complete = round.is_complete();
        self.tell(ReplicaEvent::Stranger(from));
        if is_complete { self.decide(None, stage) } else { Ok(()) }
    }

    /// A message changes the state.
    fn handle_change(
        &mut self,
        from: ProcessId,
        message: &[u8],
        said: &Said<'_>,
        stage: Stage,
    ) -> Result<(), Broken> {
        if let Some(joining) = &mut self.joining {
            joining.hold(from, message, said, stage);
            return self.try_to_settle();
        }
        if self.copy.is_holding() {
            self.copy.hold_mut().push_message(from, message, said, stage, None);
            return Ok(());
        }
        self.apply(from, said, stage)
    }

    /// The own mark is delivered, as all are promised.
    fn handle_mark(&mut self, nonce: u64) {
        if self.copy.is_holding() {
            self.copy.hold_mut().push_mark(nonce);
        } else if self.is_serving() {
            self.calls.handle_mark(nonce, &mut self.told);
        }
    }

    /// Does what waits for the own copy, up to where something is to be read.
    pub(super) fn catch_up(&mut self) -> Result<(), Broken> {
        while !self.is_readable() {
            let Some(held) = self.copy.next() else { return Ok(()) };
            match held {
                Held::Message { from, stage, message, .. } => {
                    if let Some(said) = decode(&message) {
                        self.apply(from, &said, stage)?;
                    }
                }
                Held::Mark(nonce) => self.calls.handle_mark(nonce, &mut self.told),
                Held::Restored { standing, from, bytes } => {
                    self.handle_restored(standing, from, bytes)?;
                }
                Held::Served { epoch, is_promised } => self.serve(epoch, is_promised),
            }
        }
        Ok(())
    }

    /// Whether the view is served, and this copy is the one that is.
    pub(super) fn is_serving(&self) -> bool {
        let is_served = self.round.as_ref().is_some_and(Round::is_served);
        is_served && self.joining.is_none() && !self.copy.hold().has_served()
    }

    fn apply(&mut self, from: ProcessId, said: &Said<'_>, stage: Stage) -> Result<(), Broken> {
        let Some(owned) = self.copy.owned_mut() else { return Ok(()) };
        let outcome = owned.apply(said)?;
        if self.config.applied
            && let (Said::Op { op, .. }, Outcome::Answered { answer, is_new: true, .. }) =
                (said, &outcome)
        {
            let (op, answer) = (op.to_vec(), answer.clone());
            self.tell(ReplicaEvent::Applied { op, answer });
        }
        let Some(owned) = self.copy.owned() else { return Ok(()) };
        self.told.applied(said, stage, &outcome, owned.sessions(), owned.standing().at);
        // What is not promised to all is answered in the next served view.
        let is_promised = stage == Stage::Regular || !self.config.rules.keeps(Rule::ReplicaRegular);
        if from == self.me && is_promised {
            match outcome {
                Outcome::Opened { nonce } => self.calls.handle_open(nonce, owned.sessions()),
                Outcome::Answered { session, no, answer, .. } => {
                    self.calls.handle_answer(session, no, &answer, &mut self.told);
                }
                Outcome::Ended { session, no } => {
                    self.calls.handle_ended(session, no, &mut self.told);
                }
                Outcome::Nothing => {}
            }
        }
        Ok(())
    }

    /// All have said what they bring, or an operator has decided.
    fn decide(&mut self, by: Option<ProcessId>, stage: Stage) -> Result<(), Broken> {
        let Some(round) = &mut self.round else { return Ok(()) };
        let Some(agreed) = round.decide(&self.config.primary_of, by, self.config.rules) else {
            let waiting = self.round.as_ref().map(|round| self.waiting(round));
            waiting.into_iter().for_each(|waiting| self.tell(ReplicaEvent::Waiting(waiting)));
            return Ok(());
        };
        let (standing, is_created) = (agreed.standing, agreed.is_created);
        by.into_iter().for_each(|from| self.told.tell(|| StateEvent::Recover { from }));
        if agreed.settled.contains(&self.me) {
            self.joining = None;
            if let (true, Some(initial)) = (is_created, self.initial.take()) {
                self.copy.create(Owned::new(initial));
                self.told.tell(|| StateEvent::Create);
                self.tell(ReplicaEvent::Created);
            }
            self.told.tell(|| StateEvent::Settled);
        } else {
            // A snapshot of the own state is none of the one that counts.
            self.donations.forget();
            self.join(standing);
            // What was asked for in the view before may have come by now.
            self.try_to_settle()?;
        }
        self.retain_joiners();
        self.look_whether_served(stage);
        Ok(())
    }

    fn look_whether_served(&mut self, stage: Stage) {
        let Some(round) = &mut self.round else { return };
        if !round.begin_to_serve(&self.config.primary_of, stage) {
            return;
        }
        let (epoch, is_promised) = (round.view().id(), round.is_promised());
        if let Some(joining) = &mut self.joining {
            joining.set_epoch(epoch);
        } else if self.copy.is_holding() {
            self.copy.hold_mut().push_served(epoch, is_promised);
        } else {
            self.serve(epoch, is_promised);
        }
    }

    /// The own copy is served from here on. What it has may be answered if that is promised: others
    /// may go on who do not know that the view is served, with the state of somebody else.
    fn serve(&mut self, epoch: ViewId, is_promised: bool) {
        let Some(owned) = self.copy.owned_mut() else { return };
        owned.set_epoch(epoch);
        if is_promised {
            self.told.tell(|| StateEvent::Serve { epoch });
        }
        if is_promised || !self.config.rules.keeps(Rule::ReplicaPromised) {
            self.calls.resolve(owned.sessions(), &mut self.told);
        }
        self.tell(ReplicaEvent::Served);
    }
}
