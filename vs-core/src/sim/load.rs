//! What a process sends.

use crate::time::Time;

/// Shape of the messages of [`Traffic`](super::Traffic).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Mean pause between two bursts, in µs.
    pub interval_us: u64,
    /// Most messages of a burst.
    pub burst_max: u64,
    /// Longest message, in bytes; most are far shorter.
    pub bytes_max: u64,
    /// Longest time that the application takes to answer a block request, in µs.
    pub block_ok_us: u64,
    /// Time from which no new messages are sent.
    pub until: Time,
}
