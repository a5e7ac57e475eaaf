//! How a replica fares, for people.

use alloc::vec::Vec;
use core::fmt;

use super::ballot::majority_of;
use crate::ident::ProcessId;
use crate::view::DisplaySet;

/// Why a view is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Of [`super::ReplicaConfig::primary_of`], those who are members and have a state.
    pub with_state: Vec<ProcessId>,
    /// Of them, those who are members and have no state: they restarted, or are new.
    pub without_state: Vec<ProcessId>,
    /// Of them, those who are no members.
    pub missing: Vec<ProcessId>,
}

impl Waiting {
    /// How many of [`super::ReplicaConfig::primary_of`] there are.
    #[must_use]
    pub fn of(&self) -> usize {
        self.with_state.len() + self.without_state.len() + self.missing.len()
    }

    /// How many of them are more than half.
    #[must_use]
    pub fn needed(&self) -> usize {
        majority_of(self.of())
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { with_state, without_state, missing } = self;
        let of = self.of();
        if with_state.is_empty() {
            return write!(
                f,
                "waiting for {}: the state is made once all {of} are here",
                DisplaySet(missing)
            );
        }
        let (have, need) = (with_state.len(), self.needed());
        write!(f, "no majority: {have} of {of} have the state here, {need} must")?;
        if !missing.is_empty() {
            write!(f, "; {} missing", DisplaySet(missing))?;
        }
        if !without_state.is_empty() {
            write!(f, "; {} restarted without it", DisplaySet(without_state))?;
        }
        if have + without_state.len() >= need {
            f.write_str(
                "; bring back one that has it, or decide that the state here counts: recover",
            )?;
        }
        Ok(())
    }
}

/// How a replica fares.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplicaStatus {
    /// The members of a view say what they bring; before the first view there is none.
    Gathering,
    /// Nobody can say whose state counts. Nothing is applied, and calls are refused.
    Waiting(Waiting),
    /// The state is on its way here.
    Joining {
        /// From this member.
        donor: ProcessId,
        /// Bytes that are here.
        bytes: u64,
        /// Bytes of the whole, once that is known.
        of: Option<u64>,
    },
    /// The state is here, and too few others have it yet.
    Settling,
    /// Calls are answered.
    Serving,
}

impl fmt::Display for ReplicaStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gathering => f.write_str("the members of a view say what they bring"),
            Self::Waiting(waiting) => waiting.fmt(f),
            Self::Joining { donor, bytes, of: None } => {
                write!(f, "the state is on its way from {donor}, {bytes} bytes so far")
            }
            Self::Joining { donor, bytes, of: Some(of) } => {
                write!(f, "the state is on its way from {donor}, {bytes} of {of} bytes")
            }
            Self::Settling => f.write_str("too few others have the state yet"),
            Self::Serving => f.write_str("serving"),
        }
    }
}

/// Why a call or a read is refused. It was not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallRefused {
    /// The view is not served.
    Waiting(Waiting),
    /// It was not its turn in time.
    NotNow(ReplicaStatus),
    /// [`super::OUTSTANDING_MAX`] calls wait for their answer.
    TooMany,
    /// The operation cannot be written.
    Broken(super::Broken),
}

impl fmt::Display for CallRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting(waiting) => waiting.fmt(f),
            Self::NotNow(status) => write!(f, "not in time: {status}"),
            Self::TooMany => {
                write!(f, "{} calls wait for their answer: hear some first", super::OUTSTANDING_MAX)
            }
            Self::Broken(why) => write!(f, "the operation cannot be written: {why}"),
        }
    }
}

impl core::error::Error for CallRefused {}
