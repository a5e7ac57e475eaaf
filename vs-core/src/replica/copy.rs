//! The own copy of the state: at hand, or lent to a job that writes it; and what waits for it.

use super::hold::{Held, Hold};
use super::owned::Owned;
use super::state::State;
use crate::wire::replica::Standing;

/// The own copy of the state.
#[derive(Debug)]
pub(super) struct LocalCopy<S> {
    /// `None` before there is one, and while a job has it.
    owned: Option<Owned<S>>,
    /// The job that has it.
    lent_to: Option<u64>,
    hold: Hold,
}

impl<S: State> LocalCopy<S> {
    /// There is none.
    pub(super) fn none() -> Self {
        Self { owned: None, lent_to: None, hold: Hold::new(Standing::default()) }
    }

    /// The state, unless a job has it.
    pub(super) fn owned(&self) -> Option<&Owned<S>> {
        self.owned.as_ref()
    }

    pub(super) fn owned_mut(&mut self) -> Option<&mut Owned<S>> {
        self.owned.as_mut()
    }

    /// Whether there is one, at hand or not.
    pub(super) fn exists(&self) -> bool {
        self.owned.is_some() || self.is_lent()
    }

    /// Whether a job has it.
    pub(super) fn is_lent(&self) -> bool {
        self.lent_to.is_some()
    }

    /// Whether a job has it, or something waits for it.
    pub(super) fn is_holding(&self) -> bool {
        self.is_lent() || !self.hold.is_empty()
    }

    /// Whether something waits that [`LocalCopy::next`] has.
    pub(super) fn has_next(&self) -> bool {
        self.owned.is_some() && !self.hold.is_empty()
    }

    /// How far it has come, with all that waits for it.
    pub(super) fn standing(&self) -> Option<Standing> {
        match &self.owned {
            Some(owned) if self.hold.is_empty() => Some(owned.standing()),
            _ => self.exists().then(|| self.hold.standing()),
        }
    }

    pub(super) fn hold(&self) -> &Hold {
        &self.hold
    }

    pub(super) fn hold_mut(&mut self) -> &mut Hold {
        &mut self.hold
    }

    /// There is one from here on.
    pub(super) fn create(&mut self, owned: Owned<S>) {
        let hold = Hold::new(owned.standing());
        self.replace(owned, hold);
    }

    /// Another one takes the place of what was here; `hold` waits for it.
    pub(super) fn replace(&mut self, owned: Owned<S>, hold: Hold) {
        *self = Self { owned: Some(owned), lent_to: None, hold };
    }

    /// Lends it to a job, if it is here and nothing waits for it.
    pub(super) fn lend(&mut self, job: u64) -> Option<Owned<S>> {
        let owned = self.owned.take_if(|_| self.hold.is_empty())?;
        self.hold = Hold::new(owned.standing());
        self.lent_to = Some(job);
        Some(owned)
    }

    /// A job hands it back, unless another one took its place.
    pub(super) fn take_back(&mut self, job: u64, owned: Owned<S>) {
        if self.lent_to == Some(job) {
            self.lent_to = None;
            self.owned = Some(owned);
        }
    }

    /// What is to be done with it next.
    pub(super) fn next(&mut self) -> Option<Held> {
        self.owned.as_ref()?;
        self.hold.pop()
    }
}
