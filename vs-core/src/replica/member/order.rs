//! What the group delivers.

use super::Replica;
use crate::endpoint::Action;
use crate::ident::ProcessId;
use crate::order::Stage;
use crate::replica::event::ReplicaEvent;
use crate::replica::owned::{Outcome, Owned};
use crate::replica::round::Round;
use crate::replica::state::{Broken, State};
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

    pub(super) fn is_serving(&self) -> bool {
        self.joining.is_none() && self.round.as_ref().is_some_and(Round::is_served)
    }

    pub(super) fn apply(
        &mut self,
        from: ProcessId,
        said: &Said<'_>,
        stage: Stage,
    ) -> Result<(), Broken> {
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
    pub(super) fn decide(&mut self, by: Option<ProcessId>) -> Result<(), Broken> {
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

    pub(super) fn look_whether_served(&mut self) {
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
}
