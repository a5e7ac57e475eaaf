//! Where the threads of the application and the one that carries the protocol meet.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::arrivals::Arrivals;
use super::ended::Ended;
use super::outbox::{IsFirst, Outbox};
use crate::bell::Bell;
use crate::group::{Member, SendError};
use crate::owner::Owner;

/// Something to be done by the thread, between two rounds.
pub(super) type Question = Box<dyn FnOnce(&mut Member) + Send>;

/// Where the application's threads and the one that carries the protocol meet.
pub(super) struct Exchange {
    pub(super) outbox: Outbox,
    pub(super) arrivals: Arrivals,
    pub(super) bell: Bell,
    owner: Owner,
    /// No handle needs the group any more.
    abandoned: AtomicBool,
    questions: Mutex<Vec<Question>>,
}

impl Exchange {
    pub(super) fn new(outbox: Outbox, arrivals: Arrivals) -> io::Result<Self> {
        Ok(Self {
            outbox,
            arrivals,
            bell: Bell::new()?,
            owner: Owner::here(),
            abandoned: AtomicBool::new(false),
            questions: Mutex::default(),
        })
    }

    /// What the outbox took is noticed: the thread is woken for the first of what waits.
    pub(super) fn taken(&self, result: Result<IsFirst, SendError>) -> Result<(), SendError> {
        if result? {
            if self.is_forked() {
                return Err(SendError::Forked);
            }
            self.bell.ring();
        }
        Ok(())
    }

    /// Whether this process was forked from the one that joined: the thread is not in this one, so
    /// nobody waits for it.
    pub(super) fn is_forked(&self) -> bool {
        let forked = self.owner.is_elsewhere();
        if forked {
            self.close(&Ended::Forked);
        }
        forked
    }

    /// The thread carries the group no more.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        self.bell.ring();
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    pub(super) fn close(&self, ended: &Ended) {
        self.outbox.close(ended.clone());
        self.arrivals.close(ended.clone());
        // A question that is dropped tells its caller that there is no answer. Nothing is locked
        // meanwhile.
        let questions = core::mem::take(&mut *self.questions());
        drop(questions);
    }

    pub(super) fn questions(&self) -> MutexGuard<'_, Vec<Question>> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn answer_questions(&self, member: &mut Member) {
        // Nothing is locked while they are answered. A new question is answered in the next round.
        let questions = core::mem::take(&mut *self.questions());
        for question in questions {
            question(member);
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("outbox", &self.outbox)
            .field("arrivals", &self.arrivals)
            .field("bell", &self.bell)
            .finish_non_exhaustive()
    }
}
