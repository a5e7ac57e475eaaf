//! Reliable FIFO multicast inside a view.

/// Packets that a message of `len` bytes takes, with `body` bytes to a packet.
pub(crate) fn packets_for(len: usize, body: usize) -> usize {
    len.div_ceil(body - 4).max(1)
}
