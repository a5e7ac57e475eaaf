//! What has happened in the current view.

use alloc::collections::{BTreeMap, BTreeSet};

use super::ballot::{Agreed, Ballot, is_majority};
use crate::ident::ProcessId;
use crate::order::Stage;
use crate::rule::Rules;
use crate::view::View;
use crate::wire::replica::{Here, Said, Standing, VERSION};

/// What is still to be said in the view.
#[derive(Debug, Default)]
struct Due {
    here: bool,
    settled: bool,
    recover: bool,
}

/// A view: who has said what they bring, whose state counts, who has it.
#[derive(Debug)]
pub(super) struct Round {
    view: View,
    heres: BTreeMap<ProcessId, Here>,
    /// Members that speak another version, or of something else: they take no part.
    strangers: BTreeSet<ProcessId>,
    agreed: Option<Agreed>,
    settled: BTreeSet<ProcessId>,
    is_served: bool,
    /// It was known before the signal that the view is served: each member that goes on knows.
    is_promised: bool,
    due: Due,
}

impl Round {
    pub(super) fn new(view: View) -> Self {
        let due = Due { here: true, ..Due::default() };
        Self {
            view,
            heres: BTreeMap::new(),
            strangers: BTreeSet::new(),
            agreed: None,
            settled: BTreeSet::new(),
            is_served: false,
            is_promised: false,
            due,
        }
    }

    pub(super) fn view(&self) -> &View {
        &self.view
    }

    /// Whether all members have said what they bring.
    pub(super) fn is_complete(&self) -> bool {
        self.heres.len() + self.strangers.len() == self.view.len()
    }

    pub(super) fn heres(&self) -> &BTreeMap<ProcessId, Here> {
        &self.heres
    }

    pub(super) fn is_agreed(&self) -> bool {
        self.agreed.is_some()
    }

    pub(super) fn is_served(&self) -> bool {
        self.is_served
    }

    /// Whether the state with which the view began to be served is promised: what is in it may be
    /// answered.
    pub(super) fn is_promised(&self) -> bool {
        self.is_promised
    }

    pub(super) fn settled(&self) -> &BTreeSet<ProcessId> {
        &self.settled
    }

    /// A member says what it brings. True if that was the last one.
    pub(super) fn handle_here(&mut self, from: ProcessId, here: Here) -> bool {
        let was_complete = self.is_complete();
        if self.view.contains(from) && !self.is_stranger(from) {
            self.heres.entry(from).or_insert(here);
        }
        !was_complete && self.is_complete()
    }

    /// A member has not said yet what it brings, and cannot be understood: it takes no part in the
    /// view. All who understand each other hear that at the same place of the order. Answers
    /// whether that is new.
    pub(super) fn handle_stranger(&mut self, from: ProcessId) -> bool {
        let is_new = self.view.contains(from) && !self.heres.contains_key(&from);
        is_new && self.strangers.insert(from)
    }

    /// Members that cannot be understood.
    pub(super) fn strangers(&self) -> &BTreeSet<ProcessId> {
        &self.strangers
    }

    /// Whether this member cannot be understood.
    pub(super) fn is_stranger(&self, p: ProcessId) -> bool {
        self.strangers.contains(&p)
    }

    /// Whose state counts, if anybody can say; `by`: whom an operator named.
    pub(super) fn decide(
        &mut self,
        primary_of: &[ProcessId],
        by: Option<ProcessId>,
        rules: Rules,
    ) -> Option<&Agreed> {
        let ballot = Ballot { primary_of, heres: &self.heres, rules };
        self.agreed = match by {
            Some(by) => Some(ballot.decide_by(by)),
            None => ballot.decide(),
        };
        let agreed = self.agreed.as_ref()?;
        self.settled.clone_from(&agreed.settled);
        Some(agreed)
    }

    /// Nobody can say whose state counts, and an operator may.
    pub(super) fn is_waiting(&self) -> bool {
        self.is_complete() && !self.is_agreed()
    }

    /// The operator of this process decides, if the view waits for that.
    pub(super) fn recover(&mut self) -> bool {
        self.due.recover |= self.is_waiting();
        self.is_waiting()
    }

    /// This process has the state from here on.
    pub(super) fn handle_restored(&mut self) {
        self.due.settled = true;
    }

    /// Says what is due, as far as `say` takes it. This process brings a state of `standing`.
    pub(super) fn speak(
        &mut self,
        standing: Option<Standing>,
        mut say: impl FnMut(&Said<'_>) -> bool,
    ) {
        let view = self.view.fingerprint();
        let Due { here, settled, recover } = &mut self.due;
        let mut say = |is_due: &mut bool, said| *is_due = *is_due && !say(&said);
        say(here, Said::Here { view, here: Here { version: VERSION, standing } });
        if !*here {
            say(settled, Said::Settled { view });
            say(recover, Said::Recover { view });
        }
    }

    /// A member has the state.
    pub(super) fn handle_settled(&mut self, from: ProcessId) {
        if self.heres.contains_key(&from) && self.agreed.is_some() {
            self.settled.insert(from);
        }
    }

    /// Whether the view is served from here on, at a delivery of `stage`: so many have the state
    /// that each later majority has one of them.
    pub(super) fn begin_to_serve(&mut self, primary_of: &[ProcessId], stage: Stage) -> bool {
        let settled = primary_of.iter().filter(|p| self.settled.contains(p)).count();
        let begins = self.agreed.is_some() && !self.is_served && is_majority(settled, primary_of);
        self.is_served |= begins;
        self.is_promised |= begins && stage == Stage::Regular;
        begins
    }
}
