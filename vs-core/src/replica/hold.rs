//! What waits for a state, in the order of the group.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::ident::{ProcessId, ViewId};
use crate::order::Stage;
use crate::wire::replica::{Said, Standing};

/// Bytes that a message takes in the hold besides its own.
const HELD_BYTES: usize = 64;

/// What waits for a state.
#[derive(Debug)]
pub(super) enum Held {
    /// A message that changes the state.
    Message {
        /// How far the state has come with it.
        at: u64,
        from: ProcessId,
        stage: Stage,
        message: Vec<u8>,
    },
    /// The own mark: who waits for it may read here.
    Mark(u64),
    /// The state that came from another member is to be that of the group here.
    Restored { standing: Standing, from: ProcessId, bytes: u64 },
    /// The view is served from here on.
    Served {
        epoch: ViewId,
        /// [`super::round::Round::is_promised`].
        is_promised: bool,
    },
}

/// What waits for a state, in the order of the group.
#[derive(Debug)]
pub(super) struct Hold {
    /// How far the state has come with all that is held.
    standing: Standing,
    queue: VecDeque<Held>,
    bytes: usize,
    /// How often [`Held::Served`] is in it.
    served: usize,
}

impl Hold {
    /// Nothing yet, behind a state of this standing.
    pub(super) fn new(standing: Standing) -> Self {
        Self { standing, queue: VecDeque::new(), bytes: 0, served: 0 }
    }

    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether the state is still to hear that its view is served.
    pub(super) fn has_served(&self) -> bool {
        self.served > 0
    }

    pub(super) fn set_epoch(&mut self, epoch: ViewId) {
        self.standing.epoch = epoch;
    }

    /// The next message of the order changes the state; one that a snapshot of `known` messages
    /// has is not kept.
    pub(super) fn push_message(
        &mut self,
        from: ProcessId,
        message: &[u8],
        said: &Said<'_>,
        stage: Stage,
        known: Option<u64>,
    ) {
        self.standing.advance(said);
        let at = self.standing.at;
        if known.is_none_or(|known| at > known) {
            self.bytes += HELD_BYTES + message.len();
            let message = message.to_vec();
            self.queue.push_back(Held::Message { at, from, stage, message });
        }
    }

    pub(super) fn push_mark(&mut self, nonce: u64) {
        self.queue.push_back(Held::Mark(nonce));
    }

    /// The state came `from` another member, in `bytes` bytes, and has all of this.
    pub(super) fn push_restored(&mut self, from: ProcessId, bytes: u64) {
        self.queue.push_back(Held::Restored { standing: self.standing, from, bytes });
    }

    pub(super) fn push_served(&mut self, epoch: ViewId, is_promised: bool) {
        self.set_epoch(epoch);
        self.served += 1;
        self.queue.push_back(Held::Served { epoch, is_promised });
    }

    pub(super) fn pop(&mut self) -> Option<Held> {
        let held = self.queue.pop_front()?;
        match &held {
            Held::Message { message, .. } => self.bytes -= HELD_BYTES + message.len(),
            Held::Served { .. } => self.served -= 1,
            Held::Mark(_) | Held::Restored { .. } => {}
        }
        Some(held)
    }

    /// What a snapshot of `known` messages has is not needed.
    pub(super) fn drop_known(&mut self, known: u64) {
        let is_known = |held: &Held| matches!(held, Held::Message { at, .. } if *at <= known);
        while self.queue.front().is_some_and(is_known) {
            self.pop();
        }
    }
}
