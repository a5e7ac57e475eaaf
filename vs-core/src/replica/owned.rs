//! A state that is here: what is applied, with the sessions that belong to it.

use alloc::vec::Vec;

use super::sessions::{Fate, Sessions};
use super::spool::Written;
use super::state::{Broken, Restore, Source, State};
use crate::ident::ViewId;
use crate::wire::replica::{Said, Standing, hash};

#[derive(Debug)]
pub(super) struct Owned<S> {
    state: S,
    sessions: Sessions,
    standing: Standing,
}

/// What a message has led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Opened {
        nonce: u64,
    },
    /// `is_new`: it was carried out now, and not before.
    Answered {
        session: u64,
        no: u64,
        answer: Vec<u8>,
        is_new: bool,
    },
    /// Not carried out: the session is over, or its number was used before.
    Ended {
        session: u64,
        no: u64,
    },
    Nothing,
}

impl<S: State> Owned<S> {
    pub(super) fn new(state: S) -> Self {
        Self { state, sessions: Sessions::default(), standing: Standing::default() }
    }

    pub(super) fn state(&self) -> &S {
        &self.state
    }

    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    pub(super) fn set_epoch(&mut self, epoch: ViewId) {
        self.standing.epoch = epoch;
    }

    pub(super) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Applies the next message of the order.
    pub(super) fn apply(&mut self, said: &Said<'_>) -> Result<Outcome, Broken> {
        self.standing.advance(said);
        let at = self.standing.at;
        match *said {
            Said::Open { nonce, first } => {
                self.sessions.open(nonce, first, at);
                Ok(Outcome::Opened { nonce })
            }
            Said::Op { session, no, done, op } => {
                let hash = hash(op);
                Ok(match self.sessions.look(session, no, done, hash, at) {
                    Fate::Run => {
                        let answer = self.run(op)?;
                        self.sessions.note(session, hash, &answer);
                        Outcome::Answered { session, no, answer, is_new: true }
                    }
                    Fate::Ran(answer) => Outcome::Answered { session, no, answer, is_new: false },
                    Fate::Done | Fate::OtherOp | Fate::Ended => Outcome::Ended { session, no },
                })
            }
            _ => Ok(Outcome::Nothing),
        }
    }

    fn run(&mut self, op: &[u8]) -> Result<Vec<u8>, Broken> {
        let at = self.standing.at;
        let op = S::decode(op).map_err(|why| {
            Broken(alloc::format!(
                "operation {at} of the order cannot be read here ({why}): give all members the \
                 same version of the application"
            ))
        })?;
        S::encode(&self.state.apply(op))
    }

    /// What clients have asked for is not known any more: no rule allows that.
    pub(super) fn forget_sessions(&mut self) {
        self.sessions = Sessions::default();
    }

    /// Writes all of it.
    pub(super) fn snapshot(&self, mut out: Written) -> Result<Written, Broken> {
        self.sessions.snapshot(&mut out)?;
        self.state.snapshot(&mut out)?;
        Ok(out)
    }

    /// Reads what [`Owned::snapshot`] wrote when the state had come to `standing`.
    pub(super) fn restore(
        standing: Standing,
        input: &mut dyn Source,
        restore: Option<&Restore<S>>,
    ) -> Result<Self, Broken> {
        let sessions = Sessions::restore(input)?;
        let state = match restore {
            Some(restore) => restore.run(input)?,
            None => S::restore(input)?,
        };
        if input.take(&mut [0])? != 0 {
            return Err(Broken::new("restore did not read the snapshot to its end"));
        }
        Ok(Self { state, sessions, standing })
    }
}
