//! The slab pool: slots of one packet body each, shared by all groups of a node.
//!
//! The pool grows when a group reserves slots, and never else. The free list is last-in first-out
//! above a high-water mark, so memory that was never needed is never touched.

use alloc::vec::Vec;
use core::num::NonZeroU32;

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
    /// The bodies of the slots that were ever used.
    bytes: Vec<u8>,
    /// Their stored lengths.
    lengths: Vec<u32>,
    free: Vec<Slot>,
    /// Slots for which there is memory.
    slots: usize,
    slots_max: usize,
    reserved: usize,
    body_bytes: usize,
}

impl Pool {
    /// A pool without slots, of bodies of `body_bytes` bytes. [`Pool::reserve`] makes slots, at
    /// most `slots_max`.
    pub(crate) fn new(slots_max: usize, body_bytes: usize) -> Self {
        Self {
            bytes: Vec::new(),
            lengths: Vec::new(),
            free: Vec::new(),
            slots: 0,
            slots_max,
            reserved: 0,
            body_bytes,
        }
    }

    /// A pool in which `slots` slots are reserved.
    #[cfg(test)]
    pub(crate) fn with_slots(slots: usize, body_bytes: usize) -> Self {
        let mut pool = Self::new(slots, body_bytes);
        assert!(pool.reserve(slots));
        pool
    }

    /// Slots in all.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// Bytes that the pool takes, used or not.
    pub(crate) fn footprint(&self) -> usize {
        self.slots.saturating_mul(slot_footprint(self.body_bytes))
    }

    /// Greatest length of a body.
    pub(crate) fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// Slots in use.
    pub(crate) fn used(&self) -> usize {
        self.lengths.len() - self.free.len()
    }

    /// Slots that [`Pool::alloc`] can still give.
    pub(crate) fn available(&self) -> usize {
        self.slots - self.used()
    }

    /// A slot with an empty body, if one is free.
    pub(crate) fn alloc(&mut self) -> Option<Slot> {
        match self.free.pop() {
            Some(slot) => {
                self.lengths[slot.index()] = 0;
                Some(slot)
            }
            None => self.alloc_fresh(),
        }
    }

    /// A slot that was never used. There is memory for it already.
    #[cold]
    fn alloc_fresh(&mut self) -> Option<Slot> {
        let fresh = self.lengths.len();
        let slot = Slot::at(fresh).filter(|_| fresh < self.slots)?;
        self.lengths.push(0);
        self.bytes.resize((fresh + 1) * self.body_bytes, 0);
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
    #[inline]
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
    #[inline]
    pub(crate) fn len(&self, slot: Slot) -> usize {
        self.lengths[slot.index()] as usize
    }

    /// Sets the stored length, at most the room of a body.
    pub(crate) fn set_len(&mut self, slot: Slot, len: usize) {
        // Bodies are shorter than a datagram, so the length fits.
        self.lengths[slot.index()] = len.min(self.body_bytes) as u32;
    }

    /// Sets `slots` slots aside for a group, and makes them if they are not there. False, and
    /// nothing changed, if fewer are left of `slots_max`, or if there is no memory.
    pub(crate) fn reserve(&mut self, slots: usize) -> bool {
        let possible = slots <= self.unreserved() && self.grow(self.reserved + slots);
        if possible {
            self.reserved += slots;
        }
        possible
    }

    /// Gives up a reservation. The slots stay for the next group.
    pub(crate) fn release(&mut self, slots: usize) {
        self.reserved = self.reserved.saturating_sub(slots);
    }

    /// Slots that no group has set aside, those that are still to be made among them.
    pub(crate) fn unreserved(&self) -> usize {
        self.slots_max - self.reserved
    }

    /// Makes the slots `slots` in all, unless there are as many; false if there is no memory.
    fn grow(&mut self, slots: usize) -> bool {
        if slots <= self.slots {
            return true;
        }
        let Some(bytes) = slots.checked_mul(self.body_bytes) else { return false };
        let done = self.bytes.try_reserve_exact(bytes - self.bytes.len()).is_ok()
            && self.lengths.try_reserve_exact(slots - self.lengths.len()).is_ok()
            && self.free.try_reserve_exact(slots - self.free.len()).is_ok();
        if done {
            self.slots = slots;
        }
        done
    }
}

/// Bytes that a slot takes: its body, its stored length and its place in the free list.
pub(crate) fn slot_footprint(body_bytes: usize) -> usize {
    body_bytes.saturating_add(size_of::<u32>() + size_of::<Slot>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_reused_before_fresh_ones_are_touched() {
        let mut pool = Pool::with_slots(3, 8);
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
    fn reservations_are_bounded_by_the_most_slots() {
        let mut pool = Pool::new(10, 8);
        assert_eq!((pool.slots(), pool.alloc()), (0, None));
        assert!(pool.reserve(7));
        assert!(!pool.reserve(4));
        assert_eq!((pool.slots(), pool.unreserved()), (7, 3));
        pool.release(7);
        assert!(pool.reserve(10));
        assert_eq!(pool.slots(), 10);
        assert!(!Pool::new(usize::MAX, 8).reserve(usize::MAX), "there is no such memory");
    }

    #[test]
    fn a_pool_that_grows_keeps_what_it_holds() {
        let mut pool = Pool::new(usize::MAX, 8);
        assert!(pool.reserve(1));
        let a = pool.store(b"first").unwrap();
        assert_eq!(pool.alloc(), None);
        assert!(pool.reserve(2));
        let b = pool.store(b"second").unwrap();
        assert_eq!((pool.body(a), pool.body(b)), (&b"first"[..], &b"second"[..]));
        assert_eq!((pool.used(), pool.available()), (2, 1));
    }
}
