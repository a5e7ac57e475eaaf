//! Nodes without a simulator: alone, or in a cluster in memory.

#[path = "../common/mod.rs"]
mod common;

mod internal_messages;
mod order;
mod own_membership;
mod regressions;
mod strangers;
