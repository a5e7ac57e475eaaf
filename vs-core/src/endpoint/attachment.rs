//! Where a process is between joining a group and leaving it.

use crate::ident::{Cid, ViewId};
use crate::time::{Time, Wake};
use crate::wire::datagram::TransmitCounter;

/// Where the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Live,
    /// The process leaves. Own messages are made stable before the attachment is given up, until
    /// this time at the latest.
    Leaving(Time),
    /// Detached for good: the application was told why, and has to leave.
    Ended,
    /// Left: nothing more happens.
    Left,
}

/// The highest ids that a process was given: ids of the group it joins next are higher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HighestIds {
    cid: Cid,
    view: ViewId,
}

impl HighestIds {
    pub(crate) fn new(cid: Cid, view: ViewId) -> Self {
        Self { cid, view }
    }

    pub(crate) fn cid(self) -> Cid {
        self.cid
    }

    pub(crate) fn view(self) -> ViewId {
        self.view
    }

    /// The higher ones of both.
    #[must_use]
    pub(crate) fn max(self, other: Self) -> Self {
        Self { cid: self.cid.max(other.cid), view: self.view.max(other.view) }
    }
}

/// What is left of the groups that a node has left: ids, incarnations and counters continue from
/// there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LeftGroups {
    count: u64,
    ids: HighestIds,
    transmit_counter: TransmitCounter,
}

impl LeftGroups {
    /// One more group was left, in which `ids` were given and datagrams numbered by
    /// `transmit_counter`.
    pub(crate) fn add(&mut self, ids: HighestIds, transmit_counter: TransmitCounter) {
        self.count += 1;
        self.ids = self.ids.max(ids);
        self.transmit_counter = self.transmit_counter.max(transmit_counter);
    }

    /// How many groups were left.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The highest ids of any of them.
    pub(crate) fn ids(&self) -> HighestIds {
        self.ids
    }

    /// The furthest counter of any of them: in a group that is joined again no datagram has a
    /// number that one had before.
    pub(crate) fn transmit_counter(&self) -> TransmitCounter {
        self.transmit_counter
    }
}

/// The attachment of a process to its group.
#[derive(Debug)]
pub(super) struct Attachment {
    phase: Phase,
    /// The attachment ended, and a new one is asked for when the application has caught up.
    is_lost: bool,
    /// Ids that this process was given in groups that it has left.
    before: HighestIds,
}

impl Attachment {
    pub(super) fn new(before: HighestIds) -> Self {
        Self { phase: Phase::Live, is_lost: false, before }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// The application leaves; own messages are made stable until `deadline` at the latest.
    pub(super) fn begin_leaving(&mut self, deadline: Time) {
        self.phase = Phase::Leaving(deadline);
    }

    /// The process is detached for good.
    pub(super) fn end(&mut self) {
        self.phase = Phase::Ended;
    }

    /// The group is left.
    pub(super) fn leave(&mut self) {
        self.phase = Phase::Left;
    }

    /// Whether the process takes part in the group.
    pub(super) fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Live | Phase::Leaving(_))
    }

    pub(super) fn ids_before(&self) -> HighestIds {
        self.before
    }

    /// Whether a new attachment is to be asked for when the application has caught up.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost
    }

    pub(super) fn handle_lost(&mut self) {
        self.is_lost = true;
    }

    /// A new attachment was asked for.
    pub(super) fn handle_requested(&mut self) {
        self.is_lost = false;
    }

    /// When leaving ends at the latest.
    pub(super) fn poll_timeout(&self) -> Option<(Time, Wake)> {
        match self.phase {
            Phase::Leaving(deadline) => Some((deadline, Wake::Peer)),
            Phase::Live | Phase::Ended | Phase::Left => None,
        }
    }
}
