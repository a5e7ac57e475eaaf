//! How far an order delivers before the signal.

use super::Total;
use crate::ident::Seq;
use crate::order::offers::{Packets, Sealed};
use crate::order::safe::{Safe, is_safe};

impl Total {
    /// Whether the order lets the slot that comes next be delivered.
    #[inline]
    pub(super) fn is_regular(&self, packets: &impl Packets, slot: &Sealed<'_>) -> bool {
        match self.safe {
            None => true,
            Some(_) if self.has_tail() => true,
            Some(Safe::UpTo(safe)) => self.place.slot() <= safe,
            Some(Safe::AsKnown) => is_safe(packets, &self.place, slot),
        }
    }

    /// Up to which slot everything is known to be at all members; 0 where the order does not ask
    /// for it.
    pub(crate) fn safe_upto(&self, packets: &impl Packets) -> Seq {
        if self.safe.is_none() || packets.ranks() == 1 {
            return 0;
        }
        let mut place = self.place.clone();
        // What is begun was safe.
        if self.record > 0 || self.current.is_some() {
            let slot = packets.sealed(place.leader(), place.packet());
            place.pass(slot.as_ref(), self.record, self.rules);
        }
        while let Some(slot) = packets.sealed(place.leader(), place.packet())
            && is_safe(packets, &place, &slot)
        {
            place.pass(Some(&slot), 0, self.rules);
        }
        place.slot() - 1
    }

    /// From now on slots up to `safe` are delivered, and no other, whatever becomes known.
    pub(crate) fn freeze(&mut self, safe: Seq) {
        if self.safe.is_some() {
            self.safe = Some(Safe::UpTo(safe));
        }
    }

    /// What becomes known counts again.
    pub(crate) fn unfreeze(&mut self) {
        if self.safe.is_some() {
            self.safe = Some(Safe::AsKnown);
        }
    }
}
