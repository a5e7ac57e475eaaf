//! The services as automata: small state machines that take an action or refuse it.
//!
//! [`Mbrshp`] and [`CoRfifo`] are what the algorithm stands on; [`WvRfifo`], [`VsRfifo`],
//! [`TransSet`], self delivery and [`Client`] are what it offers. They are written as in the paper:
//! one global state, preconditions and effects. Where the paper derives one automaton from another
//! (virtual synchrony, transitional sets and self delivery *add* preconditions to within-view
//! FIFO), a child looks at the state of its parent and keeps only what it adds.
//!
//! [`Causal`] and [`Total`] are what orders other than FIFO add, in the same manner.
//!
//! Where the paper chooses without saying how (which cut, which previous view), the choice is made
//! by the first action that shows it, and all later ones have to agree with it.
//!
//! Values all through: `Clone + Eq + Hash`, so that a model checker can make them a part of its
//! state.

mod causal;
mod client;
mod co_rfifo;
mod mbrshp;
#[cfg(test)]
mod tests;
mod total;
mod trans_set;
mod vs_rfifo;
mod wv_rfifo;

use alloc::string::String;
use core::fmt;

pub use causal::Causal;
pub use client::Client;
pub use co_rfifo::CoRfifo;
pub use mbrshp::Mbrshp;
pub use total::Total;
pub use trans_set::TransSet;
pub use vs_rfifo::VsRfifo;
pub use wv_rfifo::{Payload, WvRfifo};

/// An action that a specification does not allow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Refused {
    /// The automaton that refuses it.
    pub automaton: &'static str,
    /// The precondition that does not hold.
    pub rule: &'static str,
    /// What holds instead.
    pub what: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} does not hold: {}", self.automaton, self.rule, self.what)
    }
}

impl core::error::Error for Refused {}

/// Whether an action was allowed.
pub type Step = Result<(), Refused>;

/// Demands a precondition.
pub(crate) fn demand(
    automaton: &'static str,
    rule: &'static str,
    holds: bool,
    what: impl FnOnce() -> String,
) -> Step {
    if holds { Ok(()) } else { Err(Refused { automaton, rule, what: what() }) }
}
