//! Packets of views that are not installed here yet (rule 9 of section 2).

use alloc::collections::VecDeque;

use crate::ident::{Rank, Seq};
use crate::pool::{Pool, Slot};

/// A packet that is kept for a view to come.
#[derive(Debug)]
pub(crate) struct EarlyPacket {
    pub(crate) fingerprint: u64,
    pub(crate) origin: Rank,
    pub(crate) seq: Seq,
    pub(crate) flags: u8,
    pub(crate) stable: Seq,
    pub(crate) slot: Slot,
}

/// The early packets of a group: the latest ones, within a bound. What is dropped is repaired once the view is
/// installed.
#[derive(Debug)]
pub(crate) struct Early {
    packets: VecDeque<EarlyPacket>,
    packets_max: usize,
}

impl Early {
    pub(crate) fn new(packets_max: usize) -> Self {
        Self { packets: VecDeque::with_capacity(packets_max), packets_max }
    }

    /// Whether the next packet takes the place of another.
    pub(crate) fn is_full(&self) -> bool {
        self.packets.len() == self.packets_max
    }

    /// Keeps `packet` with `body`; the oldest one gives way. False if there is no room at all.
    pub(crate) fn keep(
        &mut self,
        pool: &mut Pool,
        body: &[u8],
        packet: impl FnOnce(Slot) -> EarlyPacket,
    ) -> bool {
        if self.packets_max == 0 {
            return false;
        }
        if self.is_full()
            && let Some(oldest) = self.packets.pop_front()
        {
            pool.free(oldest.slot);
        }
        let Some(slot) = pool.store(body) else { return false };
        self.packets.push_back(packet(slot));
        true
    }

    pub(crate) fn pop(&mut self) -> Option<EarlyPacket> {
        self.packets.pop_front()
    }

    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        while let Some(packet) = self.packets.pop_front() {
            pool.free(packet.slot);
        }
    }
}
