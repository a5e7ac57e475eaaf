//! A state that is on its way here, and what is delivered meanwhile.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::pull::Pull;
use crate::ident::{ProcessId, ViewId};
use crate::order::Stage;
use crate::wire::replica::{Said, Standing};

/// Bytes that a message takes in the hold besides its own.
const HELD_BYTES: usize = 64;

/// A message that is applied once the state is here.
#[derive(Debug)]
pub(super) struct Held {
    /// Its place in the order.
    pub(super) at: u64,
    pub(super) from: ProcessId,
    pub(super) stage: Stage,
    pub(super) message: Vec<u8>,
}

/// A state that is on its way here.
#[derive(Debug)]
pub(super) struct Joining {
    /// What is held begins behind so many messages.
    since: u64,
    /// How far the state of the group has come.
    standing: Standing,
    held: VecDeque<Held>,
    held_bytes: usize,
    pull: Pull,
    /// Donors that were given up in a row.
    failures: usize,
}

impl Joining {
    pub(super) fn new(standing: Standing, pull: Pull) -> Self {
        Self {
            since: standing.at,
            standing,
            held: VecDeque::new(),
            held_bytes: 0,
            pull,
            failures: 0,
        }
    }

    /// What is held begins behind so many messages.
    pub(super) fn since(&self) -> u64 {
        self.since
    }

    pub(super) fn pull(&self) -> &Pull {
        &self.pull
    }

    pub(super) fn pull_mut(&mut self) -> &mut Pull {
        &mut self.pull
    }

    /// Another donor takes the place of the one before.
    pub(super) fn turn_to(&mut self, pull: Pull) {
        self.pull = pull;
    }

    /// The donor cannot go on. Answers how many could not, in a row.
    pub(super) fn handle_failure(&mut self) -> usize {
        self.failures += 1;
        self.failures
    }

    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    pub(super) fn set_epoch(&mut self, epoch: ViewId) {
        self.standing.epoch = epoch;
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Holds the next message of the order, unless the snapshot has it.
    pub(super) fn hold(&mut self, from: ProcessId, message: &[u8], said: &Said<'_>, stage: Stage) {
        self.standing.advance(said);
        let at = self.standing.at;
        if self.pull.standing().is_some_and(|snapshot| at <= snapshot.at) {
            return;
        }
        self.held_bytes += HELD_BYTES + message.len();
        self.held.push_back(Held { at, from, stage, message: message.to_vec() });
    }

    /// What the snapshot has is not needed.
    pub(super) fn drop_known(&mut self) {
        let Some(snapshot) = self.pull.standing() else { return };
        while let Some(held) = self.held.front().filter(|held| held.at <= snapshot.at) {
            self.held_bytes -= HELD_BYTES + held.message.len();
            self.held.pop_front();
        }
        self.since = self.since.max(snapshot.at);
    }

    /// Whether the snapshot is here, and everything behind it is held.
    pub(super) fn is_ready(&self) -> bool {
        let at = self.standing.at;
        self.pull.is_whole() && self.pull.standing().is_some_and(|snapshot| snapshot.at <= at)
    }

    pub(super) fn into_parts(self) -> (Standing, Pull, VecDeque<Held>) {
        (self.standing, self.pull, self.held)
    }
}
