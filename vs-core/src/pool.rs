//! The slab pool: one allocation, slots of one packet each.
pub(crate) const SLOT_OVERHEAD_BYTES: usize = 8;
