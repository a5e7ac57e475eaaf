//! The contract of a membership service (M1 to M6), held against what one says to a process of a
//! group.

use core::fmt;

use super::message::Peer;
use crate::ident::{Cid, NUMBER_MAX, ProcessId, ViewId};
use crate::view::{Members, VIEW_MEMBERS_MAX, View, ViewError};

/// A rule of the contract of a membership service that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContractError {
    /// A set is not in ascending order, or too large.
    Set,
    /// A number is above 2^53 − 1.
    Number,
    /// What is announced is no view.
    View(ViewError),
    /// A view has a secret where there are keys.
    NoSecret,
    /// M1: the process is in the set of each start_change and in each view.
    M1,
    /// M2: cids increase.
    M2 {
        /// The last one.
        last: Cid,
    },
    /// M3: a view lies within the set of the last start_change.
    M3 {
        /// A member that was not in it.
        member: ProcessId,
    },
    /// M4: a view carries the last cid.
    M4 {
        /// The last cid.
        last: Cid,
    },
    /// M5: each view has a start_change of its own before it.
    M5,
    /// M6: ids of views increase.
    M6 {
        /// The last one.
        last: ViewId,
    },
}

impl fmt::Display for ContractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set => f.write_str("the set of a start_change is ascending and has at most 2048 members"),
            Self::Number => f.write_str("numbers of a start_change are at most 2^53 - 1"),
            Self::View(error) => error.fmt(f),
            Self::NoSecret => f.write_str("where there are keys, a view has a secret"),
            Self::M1 => f.write_str(
                "M1: this process is in the set of each of its start_changes and in each of its views",
            ),
            Self::M2 { last } => write!(f, "M2: cids increase, and the last one was {}", last.0),
            Self::M3 { member } => write!(
                f,
                "M3: a view lies within the set of the last start_change, and {member} was not in it"
            ),
            Self::M4 { last } => write!(
                f,
                "M4: a view carries the last cid of each member, and that of this process is {}",
                last.0
            ),
            Self::M5 => f.write_str("M5: each view has a start_change of its own before it"),
            Self::M6 { last } => write!(
                f,
                "M6: ids of views increase, and the last one was {}.{}",
                last.major, last.minor
            ),
        }
    }
}

impl core::error::Error for ContractError {}

/// What was said so far, as far as the contract needs it.
#[derive(Debug)]
pub(super) struct Contract {
    last_cid: Cid,
    last_view: ViewId,
    /// The set of the last start_change, until its view.
    change: Option<Members>,
}

impl Contract {
    /// With what was said in the past.
    pub(super) fn new(last_cid: Cid, last_view: ViewId) -> Self {
        Self { last_cid, last_view, change: None }
    }

    /// The attachment ended: a change that was under way comes to nothing.
    pub(super) fn drop_change(&mut self) {
        self.change = None;
    }

    /// M1, M2, and that the set is one and its numbers are in range, as those of a view are.
    pub(super) fn start_change(
        &mut self,
        me: ProcessId,
        cid: Cid,
        peers: &[Peer],
    ) -> Result<(), ContractError> {
        if peers.len() > VIEW_MEMBERS_MAX || !peers.windows(2).all(|w| w[0].process < w[1].process)
        {
            return Err(ContractError::Set);
        }
        let numbers = peers.iter().map(|peer| peer.process.0).chain([cid.0]);
        if numbers.max() > Some(NUMBER_MAX) {
            return Err(ContractError::Number);
        }
        if !peers.iter().any(|peer| peer.process == me) {
            return Err(ContractError::M1);
        }
        if cid <= self.last_cid {
            return Err(ContractError::M2 { last: self.last_cid });
        }
        self.last_cid = cid;
        self.change = Some(peers.iter().map(|peer| peer.process).collect());
        Ok(())
    }

    /// M1, M3 to M6.
    pub(super) fn view(&mut self, me: ProcessId, view: &View) -> Result<(), ContractError> {
        view.validate().map_err(ContractError::View)?;
        let Some(start) = view.start(me) else { return Err(ContractError::M1) };
        let Some(set) = &self.change else { return Err(ContractError::M5) };
        if let Some(member) = view.members().iter().find(|p| set.binary_search(p).is_err()) {
            return Err(ContractError::M3 { member: *member });
        }
        if start != self.last_cid {
            return Err(ContractError::M4 { last: self.last_cid });
        }
        if view.id() <= self.last_view {
            return Err(ContractError::M6 { last: self.last_view });
        }
        self.last_view = view.id();
        self.change = None;
        Ok(())
    }
}
