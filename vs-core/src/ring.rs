//! Rings of slot indices.
pub(crate) const ENTRY_BYTES: usize = 8;
