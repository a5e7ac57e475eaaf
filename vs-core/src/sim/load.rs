//! What a process sends.

use crate::config::setters;
use crate::time::Time;

/// Shape of the messages of [`Traffic`](super::Traffic).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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

impl Default for Load {
    /// No messages, and block requests are answered at once.
    fn default() -> Self {
        Self { interval_us: 0, burst_max: 1, bytes_max: 0, block_ok_us: 0, until: Time::ZERO }
    }
}

/// Setters.
impl Load {
    setters! {
        with_interval(interval_us: us);
        with_burst_max(burst_max: u64);
        with_bytes_max(bytes_max: u64);
        with_block_ok(block_ok_us: us);
        with_until(until: Time);
    }
}
