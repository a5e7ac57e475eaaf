//! The way of a message through the core: send, `poll_transmit`, `handle_datagram`, `poll_action`,
//! and the acknowledgements that follow, between nodes in memory.

use vs_core::SendError;
use vs_core::order::Order;

use crate::memory::{Memory, Settings};

/// Bytes that a sender hands over before its datagrams go out: what one call with segmentation
/// offload carries.
const BURST_BYTES: usize = 64 << 10;

/// Time per byte, as at a gigabyte a second.
const NANOS_PER_BYTE: u64 = 1;

/// Members that send messages to each other, burst by burst.
#[derive(Debug)]
pub struct Path {
    memory: Memory,
    senders: usize,
    payload: Vec<u8>,
    /// Messages of a burst, of each sender.
    messages: usize,
}

impl Path {
    /// `members` members in one view of a group of this order. The first `senders` of them send
    /// messages of `bytes` bytes.
    #[must_use]
    pub fn new(members: usize, senders: usize, bytes: usize, order: Order) -> Self {
        let mut settings = Settings::new(members);
        settings.group.order = order;
        let memory = Memory::together(members, &settings);
        let messages = (BURST_BYTES / senders / bytes).max(1);
        Self { memory, senders, payload: vec![7; bytes], messages }
    }

    /// Messages that one burst delivers, counted at each member, the sender included.
    #[must_use]
    pub fn delivered_by_burst(&self) -> u64 {
        (self.messages * self.senders * self.memory.members.len()) as u64
    }

    /// Each sender sends a burst, and all that follows from it is done. Time goes on as at a
    /// gigabyte a second.
    ///
    /// # Panics
    /// If the node takes no message though the window is not full.
    pub fn burst(&mut self) {
        for sender in 0..self.senders {
            for _ in 0..self.messages {
                while let Err(error) = self.memory.send(sender, &self.payload) {
                    assert_eq!(error, SendError::WindowFull);
                    self.memory.pass_ns(1_000);
                }
            }
        }
        self.memory
            .pass_ns((self.messages * self.senders * self.payload.len()) as u64 * NANOS_PER_BYTE);
    }

    /// Lets all traffic arrive, and checks that nothing is missing.
    ///
    /// # Panics
    /// If something is missing.
    pub fn check(&mut self) {
        self.memory.pass_ns(100_000_000);
        let delivered: Vec<u64> = self.memory.members.iter().map(|m| m.delivered).collect();
        assert!(
            delivered.iter().all(|n| *n == delivered[0]),
            "messages are missing: {delivered:?}"
        );
    }
}
