//! The members that hear no multicasts of this process, and get copies by unicast.

use crate::endpoint::Route;
use crate::endpoint::book::AddressBook;
use crate::ident::ProcessId;
use crate::time::{Pace, Time};
use crate::view::{Members, View};

/// Members that may be taken for deaf at a time; more of them only at a rate. What all of a crowd
/// seem not to hear at once was lost for another reason, and copies make that worse.
const TAKEN_AT_ONCE: u64 = 16;

/// Pause after each member beyond these, in ms.
const TAKEN_EVERY_MS: u64 = 50;

/// First pause before a process that nobody hears tries multicasts again, in ms; doubled up to
/// [`TRY_MAX_MS`].
const TRY_MS: u64 = 1000;

/// Longest pause before a process that nobody hears tries multicasts again, in ms.
const TRY_MAX_MS: u64 = 64_000;

/// How long such a process multicasts, in ms, beside the copies that it sends.
const TRY_FOR_MS: u64 = 100;

/// Answers to the group with which it tries, at once.
const TRIES: u8 = 8;

/// Who gets copies.
#[derive(Debug)]
pub(super) struct Deaf {
    /// Members that said that they hear no multicast of this process, ascending.
    unheard_by: Members,
    /// Whether all others said so, in this view or in one before from which one of them is still
    /// here.
    is_unheard_by_all: bool,
    /// At which rate members are taken for deaf.
    pace: Pace,
    /// Multicasts go out again from here on, for a while.
    try_at: Time,
    pause_ms: u64,
    is_trying: bool,
    /// Answers to the group that are still to be sent.
    tries: u8,
}

impl Default for Deaf {
    fn default() -> Self {
        Self {
            unheard_by: Members::new(),
            is_unheard_by_all: false,
            pace: Pace::default(),
            try_at: Time::ZERO,
            pause_ms: TRY_MS,
            is_trying: false,
            tries: 0,
        }
    }
}

impl Deaf {
    /// A view begins. A member that could not hear multicasts still cannot.
    pub(super) fn handle_installed(&mut self, view: &View) {
        self.unheard_by.retain(|p| view.contains(*p));
        self.is_unheard_by_all &= !self.unheard_by.is_empty();
    }

    /// `process` says that it hears no multicast of this process. False if that was known, or is
    /// not believed yet.
    pub(super) fn handle_unheard(
        &mut self,
        now: Time,
        process: ProcessId,
        view: &View,
        book: &AddressBook,
    ) -> bool {
        // Processes that were to join and did not are forgotten.
        self.unheard_by.retain(|p| book.contains(*p));
        let Err(at) = self.unheard_by.binary_search(&process) else { return false };
        let pause = Time::from_millis(TAKEN_EVERY_MS).0;
        if self.pace.take(now, TAKEN_AT_ONCE, pause).is_err() {
            return false;
        }
        self.unheard_by.insert(at, process);
        let members = self.unheard_by.iter().filter(|p| view.contains(**p)).count();
        if view.len() > 1 && members + 1 == view.len() && !self.is_unheard_by_all {
            self.is_unheard_by_all = true;
            self.try_at = now.plus_ms(self.pause_ms);
        }
        true
    }

    /// `process` says that multicasts of this process arrive beside the copies. False if it gets
    /// none.
    pub(super) fn handle_heard(&mut self, process: ProcessId) -> bool {
        let Ok(at) = self.unheard_by.binary_search(&process) else { return false };
        self.unheard_by.remove(at);
        self.is_unheard_by_all = false;
        (self.is_trying, self.tries, self.pause_ms) = (false, 0, TRY_MS);
        true
    }

    /// Members of the view or of the proposed one that get copies.
    pub(super) fn unheard_by(&self) -> &[ProcessId] {
        &self.unheard_by
    }

    /// How a datagram for the group is carried.
    pub(super) fn routes<'a>(&'a self, book: &'a AddressBook) -> impl Iterator<Item = Route> + 'a {
        let Self { unheard_by, is_unheard_by_all, is_trying, .. } = self;
        let wanted = |p| *is_unheard_by_all || unheard_by.binary_search(&p).is_ok();
        let multicast = (!is_unheard_by_all || *is_trying).then_some(Route::Multicast);
        multicast.into_iter().chain(book.addresses(wanted).map(Route::Unicast))
    }

    /// When multicasts are tried again, or no more.
    pub(super) fn next_timeout(&self) -> Option<Time> {
        self.is_unheard_by_all.then_some(self.try_at)
    }

    /// Time has passed.
    pub(super) fn handle_timeout(&mut self, now: Time) {
        if !self.is_unheard_by_all || now < self.try_at {
            return;
        }
        self.is_trying = !self.is_trying;
        if self.is_trying {
            self.tries = TRIES;
            self.try_at = now.plus_ms(TRY_FOR_MS);
        } else {
            self.tries = 0;
            self.pause_ms = (2 * self.pause_ms).min(TRY_MAX_MS);
            self.try_at = now.plus_ms(self.pause_ms);
        }
    }

    /// Whether answers are to be sent to try multicasts.
    pub(super) fn has_tries(&self) -> bool {
        self.tries > 0
    }

    /// Whom an answer to the group names that is sent to try multicasts.
    pub(super) fn next_try(&mut self) -> Option<ProcessId> {
        self.tries = self.tries.checked_sub(1)?;
        self.unheard_by.first().copied()
    }
}
