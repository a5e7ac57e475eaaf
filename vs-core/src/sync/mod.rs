//! Virtual synchrony.
pub(crate) const SYNCS_MAX: usize = 8;
