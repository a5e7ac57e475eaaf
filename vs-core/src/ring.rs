//! Rings of slot indices: the packets of one sender in one view that are kept here.

use alloc::vec;
use alloc::vec::Vec;
use core::num::NonZeroU32;

use crate::ident::{Rank, Seq};
use crate::pool::Slot;
use crate::time::Time;

/// Bytes that a place in a ring takes.
pub(crate) const ENTRY_BYTES: usize =
    size_of::<Option<NonZeroU32>>() + size_of::<u8>() + size_of::<[u64; 2]>();

/// A flag of a place: something is noted of the repair of its packet.
const NOTED: u8 = 0x80;

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

    /// As a number, 0 for nobody: rings begin as zeros, which the system gives page by page as they
    /// are used.
    fn number(self) -> u64 {
        match self {
            Self::Nobody => 0,
            Self::One(rank) => u64::from(rank) + 1,
            Self::Many => u64::from(u32::MAX),
        }
    }

    fn from_number(number: u64) -> Self {
        match number {
            0 => Self::Nobody,
            // Ranks are below 2^16.
            1..=0x1_0000 => Self::One((number - 1) as Rank),
            _ => Self::Many,
        }
    }
}

/// A packet that is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The body.
    pub(crate) slot: Slot,
    /// Flags of the packet.
    pub(crate) flags: u8,
}

/// The repair of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repair {
    /// Who waits for one.
    pub(crate) wanted_by: Askers,
    /// Who got the last repair.
    pub(crate) done_to: Askers,
    /// When the last one was sent.
    pub(crate) done_at: Time,
}

/// A packet is not sent again to the same member within this time: it is on its way.
const REPAIR_QUIET_NANOS: u64 = 250_000;

impl Repair {
    /// Who waits once `from` asks, too. `None`: what was sent last is on its way to it. Where two
    /// members ask within `together_nanos`, others may lack the packet, too, and it goes to all.
    pub(crate) fn asked_by(self, now: Time, from: Rank, together_nanos: u64) -> Option<Self> {
        let since = now - self.done_at;
        let asker = match self.done_to {
            Askers::One(one) if one == from && since < REPAIR_QUIET_NANOS => return None,
            Askers::Many if since < REPAIR_QUIET_NANOS => return None,
            Askers::One(other) if other != from && since < together_nanos => Askers::Many,
            _ => Askers::One(from),
        };
        let wanted_by = match (self.wanted_by, asker) {
            (Askers::Nobody, asker) => asker,
            (_, Askers::Many) => Askers::Many,
            (known, _) => known.with(from),
        };
        Some(Self { wanted_by, ..self })
    }

    /// It was sent to who waited for it.
    pub(crate) fn done(self, now: Time) -> Self {
        Self { wanted_by: Askers::Nobody, done_to: self.wanted_by, done_at: now }
    }
}

/// What was taken out of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) slot: Slot,
    /// Somebody waits for a repair.
    pub(crate) is_wanted: bool,
}

/// Packets `base + 1 ..= base + window` of one stream, with holes. What the way of each packet
/// needs lies apart from what only repairs need. The places are made for the first packet: in a
/// large view few members send.
#[derive(Debug)]
pub(crate) struct Ring {
    window: usize,
    slots: Vec<Option<NonZeroU32>>,
    flags: Vec<u8>,
    repairs: Vec<[u64; 2]>,
    base: Seq,
    /// Place of packet `base + 1`: kept, so that no division is needed to find a packet.
    start: usize,
}

impl Ring {
    /// An empty ring of `window` places.
    pub(crate) fn new(window: usize) -> Self {
        let (slots, flags, repairs) = (Vec::new(), Vec::new(), Vec::new());
        Self { window, slots, flags, repairs, base: 0, start: 0 }
    }

    /// The last packet that is gone for good.
    pub(crate) fn base(&self) -> Seq {
        self.base
    }

    /// The highest packet that has a place.
    pub(crate) fn end(&self) -> Seq {
        self.base + self.window as u64
    }

    #[inline]
    fn place(&self, seq: Seq) -> Option<usize> {
        // Wraps to a large number for what is gone: one comparison is enough.
        let ahead = seq.wrapping_sub(self.base + 1);
        if ahead >= self.window as u64 {
            return None;
        }
        let place = self.start + ahead as usize;
        Some(if place < self.window { place } else { place - self.window })
    }

    /// The place of packet `seq`, if it is here.
    fn taken_place(&self, seq: Seq) -> Option<usize> {
        self.place(seq).filter(|&p| self.slots.get(p).is_some_and(Option::is_some))
    }

    /// Packet `seq`, if it is here.
    #[inline]
    pub(crate) fn get(&self, seq: Seq) -> Option<Entry> {
        let place = self.place(seq)?;
        let slot = Slot::from_raw((*self.slots.get(place)?)?);
        Some(Entry { slot, flags: self.flags[place] & !NOTED })
    }

    /// Whether packet `seq` is here.
    pub(crate) fn has(&self, seq: Seq) -> bool {
        self.taken_place(seq).is_some()
    }

    /// What is known of the repair of packet `seq`, if that is here.
    pub(crate) fn repair(&self, seq: Seq) -> Option<Repair> {
        let place = self.taken_place(seq)?;
        if self.flags[place] & NOTED == 0 {
            return Some(Repair::default());
        }
        let [askers, done_at] = self.repairs[place];
        Some(Repair {
            wanted_by: Askers::from_number(askers >> 32),
            done_to: Askers::from_number(askers & u64::from(u32::MAX)),
            done_at: Time(done_at),
        })
    }

    /// Who waits for a repair of packet `seq`.
    pub(crate) fn wanted_by(&self, seq: Seq) -> Askers {
        self.repair(seq).map_or(Askers::Nobody, |repair| repair.wanted_by)
    }

    /// Notes what is known of the repair of packet `seq`, if that is here.
    pub(crate) fn note_repair(&mut self, seq: Seq, repair: Repair) {
        if let Some(place) = self.taken_place(seq) {
            let askers = repair.wanted_by.number() << 32 | repair.done_to.number();
            self.repairs[place] = [askers, repair.done_at.0];
            self.flags[place] |= NOTED;
        }
    }

    /// Puts packet `seq` into its place; false, and nothing done, if it has none or the place is
    /// taken.
    pub(crate) fn insert(&mut self, seq: Seq, slot: Slot, flags: u8) -> bool {
        if self.slots.is_empty() {
            self.slots = vec![None; self.window];
            self.flags = vec![0; self.window];
            self.repairs = vec![[0; 2]; self.window];
        }
        match self.place(seq) {
            Some(p) if self.slots[p].is_none() => {
                self.slots[p] = Some(slot.raw());
                self.flags[p] = flags & !NOTED;
                true
            }
            _ => false,
        }
    }

    /// Takes packet `seq` out; its place stays.
    pub(crate) fn remove(&mut self, seq: Seq) -> Option<Taken> {
        self.place(seq).and_then(|place| self.take(place))
    }

    /// Moves the ring on by one packet and hands out what was in the place.
    pub(crate) fn advance(&mut self) -> Option<Taken> {
        let taken = self.take(self.start);
        self.start = if self.start + 1 == self.window { 0 } else { self.start + 1 };
        self.base += 1;
        taken
    }

    /// Takes every packet out, in order of their places.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Slot> + '_ {
        self.slots.iter_mut().filter_map(Option::take).map(Slot::from_raw)
    }

    fn take(&mut self, place: usize) -> Option<Taken> {
        let slot = Slot::from_raw(self.slots.get_mut(place)?.take()?);
        let is_wanted = self.flags[place] & NOTED != 0 && self.repairs[place][0] >> 32 != 0;
        Some(Taken { slot, is_wanted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Pool;

    #[test]
    fn packets_keep_their_places_while_the_ring_moves() {
        let mut pool = Pool::with_slots(5, 8);
        let mut ring = Ring::new(5);
        for seq in 1..=40 {
            let slot = pool.alloc().unwrap();
            assert!(!ring.has(seq) && ring.insert(seq, slot, 0));
            assert!(!ring.insert(seq, slot, 0), "the place is taken");
            if seq >= 4 {
                pool.free(ring.advance().unwrap().slot);
            }
        }
        assert_eq!((ring.base(), ring.end()), (37, 42));
        assert!(!ring.has(37) && ring.has(38) && ring.has(40) && !ring.has(41) && !ring.has(43));
        assert_eq!(ring.drain().count(), 3);
    }

    #[test]
    fn repair_notes_go_with_their_packet() {
        let mut pool = Pool::with_slots(4, 8);
        let mut ring = Ring::new(2);
        let slot = pool.alloc().unwrap();
        assert_eq!(ring.repair(1), None);
        assert!(ring.insert(1, slot, 3) && ring.insert(2, slot, 0));
        assert_eq!((ring.repair(1), ring.wanted_by(1)), (Some(Repair::default()), Askers::Nobody));
        for askers in [Askers::One(0), Askers::One(Rank::MAX), Askers::Many, Askers::Nobody] {
            let repair = Repair { wanted_by: askers, done_to: askers, done_at: Time(77) };
            ring.note_repair(1, repair);
            assert_eq!((ring.repair(1), ring.wanted_by(1)), (Some(repair), askers));
            assert_eq!(ring.get(1), Some(Entry { slot, flags: 3 }));
        }
        let wanted = Repair { wanted_by: Askers::Many, ..Repair::default() };
        ring.note_repair(1, wanted);
        ring.note_repair(3, wanted);
        assert_eq!(ring.advance(), Some(Taken { slot, is_wanted: true }));
        assert_eq!(ring.advance(), Some(Taken { slot, is_wanted: false }));
        assert!(ring.insert(3, slot, 0));
        assert_eq!(ring.repair(3), Some(Repair::default()), "the packet before in that place");
        assert_eq!(ring.remove(3), Some(Taken { slot, is_wanted: false }));
        assert_eq!(ring.remove(3), None);
    }

    #[test]
    fn askers_become_many() {
        let one = Askers::Nobody.with(3);
        assert_eq!((one, one.with(3), one.with(4)), (Askers::One(3), one, Askers::Many));
    }
}
