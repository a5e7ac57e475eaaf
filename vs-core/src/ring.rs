//! Rings of slot indices: the packets of one sender in one view that are kept here.

use alloc::vec;
use alloc::vec::Vec;

use crate::ident::{Rank, Seq};
use crate::pool::Slot;
use crate::time::Time;

/// Bytes that a place in a ring takes.
pub(crate) const ENTRY_BYTES: usize = size_of::<Entry>();

/// Who asks, or was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Askers {
    #[default]
    Nobody,
    One(Rank),
    Many,
}

impl Askers {
    /// With `rank` among them.
    pub(crate) fn with(self, rank: Rank) -> Self {
        match self {
            Self::Nobody => Self::One(rank),
            Self::One(one) if one == rank => self,
            Self::One(_) | Self::Many => Self::Many,
        }
    }
}

/// A place in a ring.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Entry {
    /// The body; `None`: not here.
    pub(crate) slot: Option<Slot>,
    /// Flags of the packet.
    pub(crate) flags: u8,
    /// Who waits for a repair.
    pub(crate) wanted_by: Askers,
    /// Who got the last repair, at `repaired_at`.
    pub(crate) repaired_to: Askers,
    /// Time of the last repair.
    pub(crate) repaired_at: Time,
}

/// Packets `base + 1 ..= base + window` of one stream, with holes.
#[derive(Debug)]
pub(crate) struct Ring {
    entries: Vec<Entry>,
    base: Seq,
    /// Place of packet `base + 1`: kept, so that no division is needed to find a packet.
    start: usize,
}

impl Ring {
    /// An empty ring of `window` places.
    pub(crate) fn new(window: usize) -> Self {
        Self { entries: vec![Entry::default(); window], base: 0, start: 0 }
    }

    /// The last packet that is gone for good.
    pub(crate) fn base(&self) -> Seq {
        self.base
    }

    /// The highest packet that has a place.
    pub(crate) fn end(&self) -> Seq {
        self.base + self.entries.len() as u64
    }

    fn place(&self, seq: Seq) -> Option<usize> {
        if seq <= self.base || seq > self.end() {
            return None;
        }
        let place = self.start + (seq - self.base - 1) as usize;
        Some(if place < self.entries.len() { place } else { place - self.entries.len() })
    }

    /// Packet `seq`, if it is here.
    pub(crate) fn get(&self, seq: Seq) -> Option<&Entry> {
        self.place(seq).map(|p| &self.entries[p]).filter(|e| e.slot.is_some())
    }

    /// Packet `seq`, if it is here.
    pub(crate) fn get_mut(&mut self, seq: Seq) -> Option<&mut Entry> {
        self.place(seq).map(|p| &mut self.entries[p]).filter(|e| e.slot.is_some())
    }

    /// Whether packet `seq` is here.
    pub(crate) fn has(&self, seq: Seq) -> bool {
        self.get(seq).is_some()
    }

    /// Puts packet `seq` into its place; false, and nothing done, if it has none or the place is taken.
    pub(crate) fn insert(&mut self, seq: Seq, slot: Slot, flags: u8) -> bool {
        match self.place(seq) {
            Some(p) if self.entries[p].slot.is_none() => {
                self.entries[p] = Entry { slot: Some(slot), flags, ..Entry::default() };
                true
            }
            _ => false,
        }
    }

    /// Takes packet `seq` out; its place stays.
    pub(crate) fn remove(&mut self, seq: Seq) -> Option<Entry> {
        let place = self.place(seq)?;
        let entry = core::mem::take(&mut self.entries[place]);
        entry.slot.is_some().then_some(entry)
    }

    /// Moves the ring on by one packet and hands out what was in the place.
    pub(crate) fn advance(&mut self) -> Option<Entry> {
        let entry = core::mem::take(&mut self.entries[self.start]);
        self.start = if self.start + 1 == self.entries.len() { 0 } else { self.start + 1 };
        self.base += 1;
        entry.slot.is_some().then_some(entry)
    }

    /// Takes every packet out, in order of their places.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Entry> + '_ {
        self.entries.iter_mut().map(core::mem::take).filter(|e| e.slot.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Pool;

    #[test]
    fn packets_keep_their_places_while_the_ring_moves() {
        let mut pool = Pool::new(5, 8);
        let mut ring = Ring::new(5);
        for seq in 1..=40 {
            let slot = pool.alloc().unwrap();
            assert!(!ring.has(seq) && ring.insert(seq, slot, 0));
            assert!(!ring.insert(seq, slot, 0), "the place is taken");
            if seq >= 4 {
                pool.free(ring.advance().and_then(|entry| entry.slot).unwrap());
            }
        }
        assert_eq!((ring.base(), ring.end()), (37, 42));
        assert!(!ring.has(37) && ring.has(38) && ring.has(40) && !ring.has(41) && !ring.has(43));
        assert_eq!(ring.drain().count(), 3);
    }

    #[test]
    fn askers_become_many() {
        let one = Askers::Nobody.with(3);
        assert_eq!((one, one.with(3), one.with(4)), (Askers::One(3), one, Askers::Many));
    }
}
