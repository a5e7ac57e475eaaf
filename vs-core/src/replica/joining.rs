//! A state that is on its way here, and what is delivered meanwhile.

use super::hold::Hold;
use super::owned::Owned;
use super::pull::Pull;
use super::spool::Written;
use super::state::State;
use crate::ident::{FNV_OFFSET, ProcessId, ViewId};
use crate::order::Stage;
use crate::wire::replica::{Said, Standing};

/// How far the bytes of the state have become one.
#[derive(Debug)]
enum Making<S> {
    /// They are still on their way.
    Coming,
    /// A job reads them.
    Read { job: u64, bytes: u64, hash: u64 },
    /// The state that the snapshot has.
    Made { owned: Owned<S>, bytes: u64, hash: u64 },
}

/// A state that is on its way here.
#[derive(Debug)]
pub(super) struct Joining<S> {
    /// What is held begins behind so many messages.
    since: u64,
    /// What the group delivers meanwhile, behind the state that counts.
    hold: Hold,
    pull: Pull,
    making: Making<S>,
    /// Donors that were given up since anything came.
    failures: usize,
}

impl<S: State> Joining<S> {
    /// The state of this standing counts.
    pub(super) fn new(standing: Standing, pull: Pull) -> Self {
        let (since, hold) = (standing.at, Hold::new(standing));
        Self { since, hold, pull, making: Making::Coming, failures: 0 }
    }

    /// What is held begins behind so many messages.
    pub(super) fn since(&self) -> u64 {
        self.since
    }

    pub(super) fn donor(&self) -> ProcessId {
        self.pull.donor()
    }

    /// Bytes that are here, and of how many.
    pub(super) fn progress(&self) -> (u64, Option<u64>) {
        match self.making {
            Making::Coming => self.pull.progress(),
            Making::Read { bytes, .. } | Making::Made { bytes, .. } => (bytes, Some(bytes)),
        }
    }

    /// The hash of the snapshot, once all of it is here; of nothing, if no trace tells it.
    pub(super) fn hash(&self) -> u64 {
        match self.making {
            Making::Coming => FNV_OFFSET,
            Making::Read { hash, .. } | Making::Made { hash, .. } => hash,
        }
    }

    /// The transfer, while bytes are still on their way.
    pub(super) fn pull(&mut self) -> Option<&mut Pull> {
        matches!(self.making, Making::Coming).then_some(&mut self.pull)
    }

    /// Another donor takes the place of the one before.
    pub(super) fn turn_to(&mut self, pull: Pull) {
        self.pull = pull;
        self.making = Making::Coming;
    }

    /// The donor cannot go on. Answers how many could not, since anything came.
    pub(super) fn handle_failure(&mut self) -> usize {
        self.failures += 1;
        self.failures
    }

    /// Something of a snapshot came.
    pub(super) fn handle_progress(&mut self) {
        self.failures = 0;
        if let Some(snapshot) = self.pull.standing() {
            self.hold.drop_known(snapshot.at);
            self.since = self.since.max(snapshot.at);
        }
    }

    pub(super) fn standing(&self) -> Standing {
        self.hold.standing()
    }

    pub(super) fn set_epoch(&mut self, epoch: ViewId) {
        self.hold.set_epoch(epoch);
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.hold.bytes()
    }

    /// Holds the next message of the order, unless the snapshot has it.
    pub(super) fn hold(&mut self, from: ProcessId, message: &[u8], said: &Said<'_>, stage: Stage) {
        let known = self.pull.standing().map(|snapshot| snapshot.at);
        self.hold.push_message(from, message, said, stage, known);
    }

    /// If all bytes are here, `read` begins to make the state of them; it answers its number.
    pub(super) fn read(&mut self, read: impl FnOnce(Standing, Written) -> u64) {
        if matches!(self.making, Making::Coming)
            && let Some((standing, written)) = self.pull.take_whole()
        {
            let (bytes, hash) = (written.len(), written.hash().unwrap_or(FNV_OFFSET));
            self.making = Making::Read { job: read(standing, written), bytes, hash };
        }
    }

    /// Whether the job of this number makes the state.
    pub(super) fn is_read_by(&self, job: u64) -> bool {
        matches!(self.making, Making::Read { job: mine, .. } if mine == job)
    }

    /// That job has made it.
    pub(super) fn handle_read(&mut self, owned: Owned<S>) {
        if let Making::Read { bytes, hash, .. } = self.making {
            self.making = Making::Made { owned, bytes, hash };
        }
    }

    /// Whether the state is made, and all that is behind it is held.
    pub(super) fn is_ready(&self) -> bool {
        let at = self.standing().at;
        matches!(&self.making, Making::Made { owned, .. } if owned.standing().at <= at)
    }

    /// The state, and what is to be done with it: a snapshot may have more than was held first.
    pub(super) fn into_parts(self) -> Option<(Owned<S>, Hold)> {
        let (mut hold, from) = (self.hold, self.pull.donor());
        let Making::Made { owned, bytes, .. } = self.making else { return None };
        hold.drop_known(owned.standing().at);
        hold.push_restored(from, bytes);
        Some((owned, hold))
    }
}
