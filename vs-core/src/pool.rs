//! The slab pool: one allocation, slots of one packet body each, shared by all groups of a node.
//!
//! The free list is last-in first-out above a high-water mark, so memory that was never needed is never touched.

use alloc::vec;
use alloc::vec::Vec;
use core::num::NonZeroU32;

/// Bytes that a slot takes besides its body: its stored length and its place in the free list.
pub(crate) const SLOT_OVERHEAD_BYTES: usize = 8;

/// A slot of the pool. Whoever holds it gives it back once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(NonZeroU32);

impl Slot {
    fn at(index: usize) -> Option<Self> {
        u32::try_from(index + 1).ok().and_then(NonZeroU32::new).map(Self)
    }

    /// As a number, which [`Slot::from_raw`] makes the slot again.
    pub(crate) fn raw(self) -> NonZeroU32 {
        self.0
    }

    /// The slot that [`Slot::raw`] was asked of.
    pub(crate) fn from_raw(raw: NonZeroU32) -> Self {
        Self(raw)
    }

    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Packet bodies, all of one greatest size.
#[derive(Debug)]
pub(crate) struct Pool {
    bytes: Vec<u8>,
    lengths: Vec<u32>,
    free: Vec<Slot>,
    /// Slots from here on were never used.
    fresh: usize,
    reserved: usize,
    body_bytes: usize,
}

impl Pool {
    /// A pool of `slots` bodies of `body_bytes` bytes. The pages are zero and untouched.
    pub(crate) fn new(slots: usize, body_bytes: usize) -> Self {
        Self {
            bytes: vec![0; slots * body_bytes],
            lengths: vec![0; slots],
            free: Vec::with_capacity(slots),
            fresh: 0,
            reserved: 0,
            body_bytes,
        }
    }

    /// Slots in all.
    pub(crate) fn slots(&self) -> usize {
        self.lengths.len()
    }

    /// Greatest length of a body.
    #[cfg(test)]
    pub(crate) fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// Slots in use.
    pub(crate) fn used(&self) -> usize {
        self.fresh - self.free.len()
    }

    /// Slots that [`Pool::alloc`] can still give.
    pub(crate) fn available(&self) -> usize {
        self.slots() - self.used()
    }

    /// A slot with an empty body, if one is free.
    pub(crate) fn alloc(&mut self) -> Option<Slot> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.fresh < self.slots() => {
                let slot = Slot::at(self.fresh)?;
                self.fresh += 1;
                slot
            }
            None => return None,
        };
        self.lengths[slot.index()] = 0;
        Some(slot)
    }

    /// A slot that holds a copy of `body`; `None` if no slot is free or `body` is too long for one.
    pub(crate) fn store(&mut self, body: &[u8]) -> Option<Slot> {
        if body.len() > self.body_bytes {
            return None;
        }
        let slot = self.alloc()?;
        self.body_mut(slot)[..body.len()].copy_from_slice(body);
        self.set_len(slot, body.len());
        Some(slot)
    }

    /// Gives a slot back.
    pub(crate) fn free(&mut self, slot: Slot) {
        self.free.push(slot);
    }

    /// The stored bytes.
    pub(crate) fn body(&self, slot: Slot) -> &[u8] {
        let start = slot.index() * self.body_bytes;
        &self.bytes[start..start + self.len(slot)]
    }

    /// The whole room of a body, to be written; [`Pool::set_len`] says how much of it counts.
    pub(crate) fn body_mut(&mut self, slot: Slot) -> &mut [u8] {
        let start = slot.index() * self.body_bytes;
        &mut self.bytes[start..start + self.body_bytes]
    }

    /// The stored length.
    pub(crate) fn len(&self, slot: Slot) -> usize {
        self.lengths[slot.index()] as usize
    }

    /// Sets the stored length, at most the room of a body.
    pub(crate) fn set_len(&mut self, slot: Slot, len: usize) {
        // Bodies are shorter than a datagram, so the length fits.
        self.lengths[slot.index()] = len.min(self.body_bytes) as u32;
    }

    /// Sets `slots` slots aside for a group; false if fewer are left.
    pub(crate) fn reserve(&mut self, slots: usize) -> bool {
        let possible = slots <= self.unreserved();
        if possible {
            self.reserved += slots;
        }
        possible
    }

    /// Gives up a reservation.
    pub(crate) fn release(&mut self, slots: usize) {
        self.reserved = self.reserved.saturating_sub(slots);
    }

    /// Slots that no group has set aside.
    pub(crate) fn unreserved(&self) -> usize {
        self.slots() - self.reserved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_reused_before_fresh_ones_are_touched() {
        let mut pool = Pool::new(3, 8);
        let a = pool.store(b"first").unwrap();
        let b = pool.store(b"second").unwrap();
        assert_eq!((pool.body(a), pool.body(b)), (&b"first"[..], &b"second"[..]));
        pool.free(a);
        assert_eq!(pool.alloc(), Some(a));
        assert_eq!(pool.body(a), b"");
        assert_eq!((pool.used(), pool.available()), (2, 1));
        assert!(pool.alloc().is_some());
        assert_eq!(pool.alloc(), None);
        assert_eq!(pool.store(b"too long for it"), None);
    }

    #[test]
    fn reservations_are_bounded_by_the_slots() {
        let mut pool = Pool::new(10, 8);
        assert!(pool.reserve(7));
        assert!(!pool.reserve(4));
        assert_eq!(pool.unreserved(), 3);
        pool.release(7);
        assert!(pool.reserve(10));
    }
}
