//! What a replica is made with.

use alloc::vec::Vec;

use super::spool::{MakeSpool, in_memory};
use crate::config::setters;
use crate::ident::ProcessId;
use crate::rule::Rules;

/// What a replica is made with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReplicaConfig {
    /// The processes of which more than half must have the state for it to be served. The same at
    /// all members, for the life of the state.
    pub primary_of: Vec<ProcessId>,
    /// Random: tells the sessions of this process apart from those of all others.
    pub nonce: u64,
    /// Bytes of messages that are held while the state is on its way here. Beyond that nothing is
    /// heard, and the senders wait. Default 16 MiB.
    pub hold_bytes: usize,
    /// Bytes of the largest state. Default 4 GiB.
    pub state_bytes_max: u64,
    /// Whether [`super::ReplicaEvent::Applied`] tells each operation. Default false.
    pub applied: bool,
    /// Where snapshots lie while they are on their way. Default: in memory.
    pub make_spool: MakeSpool,
    /// The rules that the replica keeps.
    pub(crate) rules: Rules,
}

impl ReplicaConfig {
    /// Everything by default for a state of these processes.
    #[must_use]
    pub fn new(primary_of: &[ProcessId], nonce: u64) -> Self {
        let mut primary_of = primary_of.to_vec();
        primary_of.sort_unstable();
        primary_of.dedup();
        Self {
            primary_of,
            nonce,
            hold_bytes: 16 << 20,
            state_bytes_max: 4 << 30,
            applied: false,
            make_spool: in_memory,
            rules: Rules::default(),
        }
    }
}

/// For tests.
#[cfg(feature = "mutants")]
impl ReplicaConfig {
    /// The same without `rule`: see [`crate::rule`].
    #[must_use]
    pub fn leaving_out(self, rule: crate::rule::Rule) -> Self {
        Self { rules: Rules::without(rule), ..self }
    }
}

/// Setters.
impl ReplicaConfig {
    setters! {
        with_hold_bytes(hold_bytes: usize);
        with_state_bytes_max(state_bytes_max: u64);
        with_applied(applied: bool);
        with_make_spool(make_spool: MakeSpool);
    }
}
