//! What the documentation of `vs_core::Node` promises for one group of one process. Each result is
//! compared with it.

use std::collections::BTreeMap;

use vs_core::ident::ProcessId;
use vs_core::order::Stage;
use vs_core::{
    Action, BlockOkError, Blocking, Clusters, DetachReason, GroupConfig, Note, NoteError,
    SendError, Sent, View,
};

/// Where a process is with a group, as far as it was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Out,
    In,
    Leaving,
    /// Detached for good; it is still to leave.
    Ended,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Block {
    #[default]
    Open,
    Asked,
    Answered,
}

/// One group of one process.
#[derive(Debug, Default)]
pub(super) struct Member {
    pub(super) phase: Phase,
    pub(super) config: GroupConfig,
    /// A result said that the membership has ended; the reason is still to be heard.
    owes_end: bool,
    /// `Action::Writable` is owed.
    pub(super) refused: bool,
    has_view: bool,
    /// The current view has had its signal.
    signalled: bool,
    /// The current view does not hold any more.
    lapsed: bool,
    block: Block,
    /// How many messages that were accepted for a next view may still wait.
    queued: usize,
    last_sent: u64,
    /// The last number heard of each sender in this view.
    heard: BTreeMap<ProcessId, u64>,
    /// The notes that were handed in; the empty one is the first.
    notes: Vec<Note>,
    /// Messages delivered in this view.
    pub(super) delivered: u64,
}

impl Member {
    pub(super) fn joined(&mut self, config: GroupConfig) {
        let notes = vec![Note::default()];
        *self = Self { phase: Phase::In, config, notes, ..Self::default() };
    }

    pub(super) fn asks_to_block(&self) -> bool {
        self.block == Block::Asked && self.phase != Phase::Ended
    }

    fn is_manual(&self) -> bool {
        self.config.blocking == Blocking::Manual
    }

    pub(super) fn sent(&mut self, len: usize, result: Result<Sent, SendError>) {
        if self.phase != Phase::In {
            assert_eq!(result, Err(SendError::NotJoined), "while {:?}", self.phase);
            return;
        }
        let max = self.config.message_bytes_max;
        match result {
            Err(SendError::NotJoined) => self.owes_end = true,
            _ if len > max => assert_eq!(result, Err(SendError::TooLarge { len, max })),
            Err(SendError::TooLarge { .. }) => panic!("{len} bytes are not too many"),
            Err(SendError::WindowFull) => self.refused = true,
            Err(SendError::Blocked) => {
                assert!(self.is_manual(), "it blocks by itself");
                assert!(!self.has_view || self.block == Block::Answered, "it may still send");
                self.refused = true;
            }
            Ok(Sent::Now(number)) => {
                assert!(self.has_view && self.block != Block::Answered);
                assert!(number > self.last_sent, "{number} after {}", self.last_sent);
                self.last_sent = number;
            }
            Ok(Sent::Queued(place)) => {
                assert!(place <= self.queued, "{place} of {}", self.queued);
                self.queued = place + 1;
            }
            Err(other) => panic!("{other}"),
        }
    }

    pub(super) fn block_ok(&mut self, result: Result<(), BlockOkError>) {
        match self.phase {
            Phase::Out => return assert_eq!(result, Err(BlockOkError::NotJoined)),
            Phase::Ended => return assert_eq!(result, Err(BlockOkError::NotRequested)),
            Phase::In | Phase::Leaving => {}
        }
        match result {
            Ok(()) => {
                // The request may be answered before it is heard.
                assert!(self.is_manual() && self.block != Block::Answered);
                self.block = Block::Answered;
            }
            Err(BlockOkError::NotRequested) if self.block == Block::Asked => self.owes_end = true,
            Err(BlockOkError::NotRequested) => {}
            Err(BlockOkError::NotJoined) => assert_eq!(self.phase, Phase::Leaving),
            Err(other) => panic!("{other}"),
        }
    }

    pub(super) fn noted(&mut self, note: Note, result: Result<(), NoteError>) {
        match result {
            Ok(()) => {
                assert!(matches!(self.phase, Phase::In | Phase::Leaving) && self.config.clusters);
                self.notes.push(note);
            }
            Err(NoteError::NotJoined) if self.phase == Phase::In => self.owes_end = true,
            Err(NoteError::NotJoined) => {}
            Err(NoteError::NoClusters) => assert!(!self.config.clusters),
            Err(other) => panic!("{other}"),
        }
    }

    /// What a view tells of who came together.
    fn told(&self, me: ProcessId, view: &View, with: &[ProcessId], clusters: Option<&Clusters>) {
        assert_eq!(clusters.is_some(), self.config.clusters);
        let Some(clusters) = clusters else { return };
        let mut all: Vec<ProcessId> = clusters.iter().flat_map(|c| c.members).copied().collect();
        all.sort_unstable();
        assert_eq!(all, view.members());
        assert_eq!(clusters.of(me).map(|own| own.members), Some(with));
        assert_eq!(clusters.is_fresh(me), !self.has_view);
        assert!(clusters.note(me).is_some_and(|note| self.notes.contains(&note)));
    }

    pub(super) fn left(&mut self, result: bool) {
        assert_eq!(result, matches!(self.phase, Phase::In | Phase::Ended), "{:?}", self.phase);
        if result {
            // The reason of an end is not told any more.
            (self.phase, self.owes_end) = (Phase::Leaving, false);
        }
    }

    pub(super) fn hear(&mut self, me: ProcessId, action: &Action<'_>) {
        match action {
            Action::Deliver { from, number, payload, stage, .. } => {
                self.is_active();
                assert_eq!(*stage != Stage::Regular, self.signalled, "{stage:?}");
                let last = self.heard.entry(*from).or_default();
                assert_eq!(*number, *last + 1, "of {from}");
                *last = *number;
                self.delivered += 1;
                assert!(payload.len() <= self.config.message_bytes_max);
            }
            Action::Signal { transitional, .. } => {
                self.is_active();
                assert!(transitional.contains(&me) && self.config.order.is_one_for_all());
                assert!(!core::mem::replace(&mut self.signalled, true), "twice");
            }
            Action::View { view, transitional, clusters, .. } => {
                self.is_active();
                self.told(me, view, transitional, *clusters);
                let signalled = core::mem::take(&mut self.signalled);
                assert_eq!(signalled, self.config.order.is_one_for_all());
                assert!(view.contains(me) && view.len() <= self.config.members_max);
                assert!(transitional.contains(&me));
                (self.has_view, self.lapsed, self.block) = (true, false, Block::Open);
                (self.last_sent, self.delivered) = (0, 0);
                self.heard.clear();
            }
            Action::Primary { .. } => panic!("no group of this town has primary views"),
            Action::Lapsed { .. } => {
                self.is_active();
                assert!(self.has_view && !core::mem::replace(&mut self.lapsed, true));
            }
            Action::Restored { .. } => {
                self.is_active();
                assert!(core::mem::take(&mut self.lapsed), "it holds");
            }
            Action::Block { .. } => {
                // It may have waited since before an end.
                assert!(matches!(self.phase, Phase::In | Phase::Leaving));
                assert!(self.is_manual() && self.block != Block::Asked);
                // It may have been answered already.
                if self.block == Block::Open {
                    self.block = Block::Asked;
                }
            }
            Action::Writable { .. } => {
                self.is_active();
                assert!(core::mem::take(&mut self.refused), "nothing was refused");
            }
            Action::Detached { reason, .. } => self.detached(reason),
            Action::Left { unsent, .. } => {
                assert_eq!(self.phase, Phase::Leaving);
                assert!(*unsent <= self.queued, "{unsent} of {}", self.queued);
                *self = Self::default();
            }
            other => panic!("{other:?}"),
        }
    }

    fn is_active(&self) {
        let active = matches!(self.phase, Phase::In | Phase::Leaving);
        assert!(active && !self.owes_end, "{:?}, {}", self.phase, self.owes_end);
    }

    fn detached(&mut self, reason: &DetachReason) {
        if !reason.is_final() {
            assert!(matches!(self.phase, Phase::In | Phase::Leaving), "{reason}");
        } else {
            // Who is leaving hears that it has left, whatever else happens.
            assert_eq!(self.phase, Phase::In, "{reason}");
            (self.phase, self.owes_end) = (Phase::Ended, false);
        }
    }

    /// Once all was heard, nothing is owed.
    pub(super) fn settled(&self) {
        assert!(!self.owes_end, "the reason of the end was never told");
        assert!(self.phase != Phase::In || !self.refused, "Writable was never told");
    }
}
