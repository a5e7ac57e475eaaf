//! Whom a message waits for that finds no room.

use alloc::vec::Vec;
use core::fmt;

use super::Endpoint;
use crate::ident::{ProcessId, Rank};
use crate::view::DisplaySet;

/// What a message waits for that was refused with [`crate::SendError::WindowFull`]
/// ([`crate::Node::waits_for`]). It is a look at one moment: what is waited for may change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitsFor {
    /// For the first view, or for the view of the change under way: a membership server has to
    /// answer.
    Membership,
    /// The view changes: for the sync messages of these processes, ascending.
    Syncs(Vec<ProcessId>),
    /// For these members, ascending: their applications do not take what is delivered, and their
    /// rings are full.
    Reading(Vec<ProcessId>),
    /// For these members, ascending: they do not acknowledge what was sent.
    Acks(Vec<ProcessId>),
}

/// As the end of a sentence that begins with what waits.
impl fmt::Display for WaitsFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Membership => f.write_str("waits for a view of the membership service"),
            Self::Syncs(of) => write!(f, "waits for a change of view, for {}", DisplaySet(of)),
            Self::Reading(of) => {
                write!(f, "waits for {}, which do not receive what is sent", DisplaySet(of))
            }
            Self::Acks(of) => {
                write!(f, "waits for {}, which do not acknowledge what is sent", DisplaySet(of))
            }
        }
    }
}

impl Endpoint {
    /// Whom a message waits for that finds no room now.
    pub(crate) fn waits_for(&self) -> Option<WaitsFor> {
        if self.is_waiting_for_first_view() {
            return Some(WaitsFor::Membership);
        }
        if !self.may_flush() {
            let missing: Vec<_> = self.sync.missing().map(|(process, _)| process).collect();
            return Some(match missing.is_empty() {
                true => WaitsFor::Membership,
                false => WaitsFor::Syncs(missing),
            });
        }
        let cast = self.current.cast();
        let members = |blames: &dyn Fn(Rank) -> bool| -> Vec<ProcessId> {
            let blamed = (0..).zip(self.view().members()).filter(|(rank, _)| blames(*rank));
            blamed.map(|(_, process)| *process).collect()
        };
        let reading = members(&|rank| cast.keeps_credit(rank));
        if !reading.is_empty() {
            return Some(WaitsFor::Reading(reading));
        }
        let acks = members(&|rank| cast.keeps_window(rank));
        (!acks.is_empty()).then_some(WaitsFor::Acks(acks))
    }
}
