//! Packets of views that are not installed here yet ([point 9](crate::manual::algorithm#point-9)).

use alloc::collections::VecDeque;

use crate::ident::{Rank, Seq};
use crate::pool::{Pool, Slot};
use crate::wire::packet::Data;

/// A packet of a view that may be installed next.
#[derive(Debug)]
pub(super) struct EarlyPacket {
    fingerprint: u64,
    origin: Rank,
    seq: Seq,
    flags: u8,
    stable: Seq,
    slot: Slot,
}

impl EarlyPacket {
    /// The fingerprint of its view.
    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The packet without its body, and the slot that holds the body.
    pub(super) fn into_parts(self) -> (Data<'static>, Slot) {
        let Self { origin, seq, flags, stable, slot, .. } = self;
        (Data { flags, origin, seq, stable, body: &[] }, slot)
    }
}

/// The early packets of a group: the latest ones, within a bound. A packet that is dropped is
/// repaired once its view is installed.
#[derive(Debug)]
pub(super) struct Early {
    packets: VecDeque<EarlyPacket>,
    packets_max: usize,
}

impl Early {
    pub(super) fn new(packets_max: usize) -> Self {
        Self { packets: VecDeque::with_capacity(packets_max), packets_max }
    }

    /// Whether the next packet takes the place of another.
    pub(super) fn is_full(&self) -> bool {
        self.packets.len() == self.packets_max
    }

    /// Keeps a packet of the view with `fingerprint`; the oldest one gives way. False if there is
    /// no room at all.
    pub(super) fn keep(&mut self, pool: &mut Pool, fingerprint: u64, data: &Data<'_>) -> bool {
        if self.packets_max == 0 {
            return false;
        }
        if self.is_full()
            && let Some(oldest) = self.packets.pop_front()
        {
            pool.free(oldest.slot);
        }
        let Data { flags, origin, seq, stable, body } = *data;
        let Some(slot) = pool.store(body) else { return false };
        self.packets.push_back(EarlyPacket { fingerprint, origin, seq, flags, stable, slot });
        true
    }

    /// Takes out the oldest packet.
    pub(super) fn pop(&mut self) -> Option<EarlyPacket> {
        self.packets.pop_front()
    }

    /// Drops all packets.
    pub(super) fn clear(&mut self, pool: &mut Pool) {
        while let Some(packet) = self.packets.pop_front() {
            pool.free(packet.slot);
        }
    }
}
