//! A replicated state: one state at all members of a group, through crashes, joins and partitions.
//!
//! Whoever implements [`State`] has a replicated store: operations are carried out by all in one
//! order, each once, also when it is asked for again after a crash or a partition. A newcomer gets
//! the state together with its place in the order. When a network parts, the side that more than
//! half of [`ReplicaConfig::primary_of`] belong to goes on, and the other one refuses; when it
//! heals, the others take the state of the side that was served.
//!
//! | Room | What it holds |
//! |---|---|
//! | [`Replica`] | one member, as a value |
//! | [`State`], [`Sink`], [`Source`] | what the application writes |
//! | [`Port`] | what a replica needs of its group |
//! | [`Spool`] | where snapshots lie on their way |
//! | [`Want`], [`Collected`] | a group call: what each member answered |
//! | [`Job`] | a snapshot that is written or read, on another thread if one likes |
//!
//! # How a view begins
//!
//! The group is in the order [`crate::order::Order::Safe`]. Each member says first how far its
//! state has come (`Here`). The last of these messages is at one place of the order, so all decide
//! alike there: if more than half of `primary_of` bring a state, the one that was served last and
//! has come furthest counts. Those who have it are settled. The others pull it from them, hold what
//! is delivered meanwhile, and say so when they have it (`Settled`). Once more than half of
//! `primary_of` are settled, the view is *served*: from this place of the order on operations are
//! applied, and answered.
//!
//! The state that a member brings is told in the view and not with its sync message: after that it
//! may have delivered the message by which the old view came to be served, and then it knows more
//! than the sync message says.
//!
//! # A large state
//!
//! While a snapshot is written, or read, the state is lent to a [`Job`]. What the group delivers
//! meanwhile is held in its order, with the marks of reads and the place from which a view is
//! served, and done once the state is back. So a job may take longer than the group waits for a
//! member. The joiner is told that there will be a snapshot, and asks again.
//!
//! # Test your state
//!
//! The example `hostile_state` plays a state in two hundred hostile worlds, in thirty lines that
//! test any other state as well. With `--broken` its `apply` goes by the order of a hash map; the
//! first world finds that two members that applied the same operations have different states:
//!
//! ```console
//! $ cargo run --release -p vs-core --features sim --example hostile_state
//! $ cargo run --release -p vs-core --features sim --example hostile_state -- --broken
//! ```
//!
//! # Why an answer holds
//!
//! An operation is answered only if it was delivered before the signal, in a served view. Then each
//! member of that view has it, or holds it for the state that is on its way (S19). More than half
//! of `primary_of` had the state. So each later majority has a member that had it and did not
//! restart since, or took its state from such a one. What is delivered after the signal is applied,
//! but answered in the next served view alone, from the sessions that are a part of the state. A
//! view that is known to be served only after its signal answers nothing: others may go on who do
//! not know it, and take the state of somebody else.
//!
//! A process that restarted has no state, and so no vote, until it has pulled it. If so many have
//! restarted that no majority remembers, nothing is served until they are back or an operator
//! decides ([`Replica::recover`]).

mod answer;
mod ballot;
mod calls;
mod collect;
mod config;
mod copy;
mod donate;
mod event;
mod hold;
mod job;
mod joining;
mod member;
mod owned;
mod port;
mod pull;
mod round;
mod sessions;
mod spool;
mod state;
mod status;
#[cfg(test)]
mod tests;
mod told;

pub use crate::wire::replica::Standing;
pub use answer::{Answer, Collected, Missing, Ticket, Want};
pub use config::ReplicaConfig;
pub use donate::SNAPSHOTS_MAX;
pub use event::{EVENTS_MAX, ReplicaEvent};
pub use job::{Job, JobDone};
pub use member::Replica;
pub use port::{NodePort, Port};
pub use pull::PULL_WINDOW_BYTES;
pub use sessions::{OUTSTANDING_MAX, SESSIONS_MAX};
pub use spool::{MakeSpool, Spool, in_memory};
pub use state::{Broken, Restore, Sink, Source, State, VALUE_BYTES_MAX, put_value, take_value};
pub use status::{CallRefused, ReplicaStatus, Waiting};
