//! Whether what the clients of a replicated store saw is linearizable.
//!
//! It is if there is one order of the operations that explains each answer, and in which an
//! operation that was answered before another one was called stands before it. A put and a delete
//! are answered the value before, so each of them sees the state as a get does.
//!
//! An operation without an answer was carried out once, at any time after its call, or never. One
//! that was refused is left out by whoever records: if it took effect all the same, some answer has
//! no explanation.
//!
//! The algorithm is that of Wing and Gong ("Testing and Verifying Concurrent Objects", Journal of
//! Parallel and Distributed Computing 17, 1993) with the memory of Lowe ("Testing for
//! linearizability", Concurrency and Computation: Practice and Experience 29, 2017), in the form of
//! porcupine (<https://github.com/anishathalye/porcupine>): keys are judged apart, calls and answers
//! stand in a linked list, and a set of operations that was already reached with the same value is
//! not tried again.
//!
//! ```
//! use vs_core::Time;
//! use vs_core::spec::history::{Answer, Operation, Request, judge};
//!
//! let operation = |client, request, called, at, value: Option<&str>| Operation {
//!     client,
//!     key: "k".into(),
//!     request,
//!     called: Time(called),
//!     answer: Some(Answer { at: Time(at), value: value.map(Into::into) }),
//! };
//! let put = operation(1, Request::Put("a".into()), 0, 10, None);
//! let get = operation(2, Request::Get, 20, 30, Some("a"));
//! assert!(judge(&[put.clone(), get]).is_ok());
//! let stale = operation(2, Request::Get, 20, 30, None);
//! assert!(judge(&[put, stale]).is_err());
//! ```

mod list;
mod operation;
mod search;
#[cfg(test)]
mod tests;
mod told;

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

pub use operation::{Answer, Operation, Request};
use search::{Outcome, Search};

/// Most operations of a key that are judged.
pub const OPERATIONS_MAX: usize = 1 << 18;
/// Most sets of operations, each with a value, that are remembered for a key.
pub const STATES_MAX: usize = 1 << 20;

/// What a linearizable history consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Keys.
    pub keys: usize,
    /// Operations with an answer.
    pub answered: usize,
    /// Operations without one.
    pub open: usize,
    /// Operations without an answer that were carried out, as the answers of others show.
    pub carried_out: usize,
    /// Sets of operations that were tried.
    pub states: usize,
}

/// Why a history is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistoryError {
    /// No order explains the answers.
    NotLinearizable {
        /// The key.
        key: String,
        /// What fits one order, and what does not fit behind it; lines.
        told: String,
    },
    /// There are more than [`OPERATIONS_MAX`] operations of a key.
    TooMany {
        /// The key.
        key: String,
        /// So many.
        operations: usize,
    },
    /// [`STATES_MAX`] sets of operations were tried without a result.
    Undecided {
        /// The key.
        key: String,
    },
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLinearizable { key, told } => {
                write!(f, "the history of key {key} is not linearizable: {told}")
            }
            Self::TooMany { key, operations } => write!(
                f,
                "key {key} has {operations} operations, and {OPERATIONS_MAX} are judged at most: \
                 use more keys, or a shorter run"
            ),
            Self::Undecided { key } => write!(
                f,
                "key {key} is not decided: {STATES_MAX} sets of its operations were tried; use \
                 more keys, or fewer clients"
            ),
        }
    }
}

impl core::error::Error for HistoryError {}

/// Judges what the clients of a store saw that was empty at first. Each key is judged for itself:
/// a history is linearizable if it is so for each object.
///
/// # Errors
/// The history of a key is not linearizable, or beyond the bounds.
pub fn judge(operations: &[Operation]) -> Result<Judged, HistoryError> {
    let mut keys: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in operations {
        keys.entry(&operation.key).or_default().push(operation);
    }
    let mut judged = Judged { keys: keys.len(), ..Judged::default() };
    for (key, operations) in keys {
        let key = || key.to_string();
        if operations.len() > OPERATIONS_MAX {
            return Err(HistoryError::TooMany { key: key(), operations: operations.len() });
        }
        let mut search = Search::new(&operations);
        match search.run(STATES_MAX) {
            Outcome::Linearizable { carried_out } => {
                let answered = operations.iter().filter(|o| o.answer.is_some()).count();
                judged.answered += answered;
                judged.open += operations.len() - answered;
                judged.carried_out += carried_out;
                judged.states += search.states();
            }
            Outcome::Stuck(stuck) => {
                return Err(HistoryError::NotLinearizable {
                    key: key(),
                    told: told::told(&operations, &stuck),
                });
            }
            Outcome::TooManyStates => return Err(HistoryError::Undecided { key: key() }),
        }
    }
    Ok(judged)
}
