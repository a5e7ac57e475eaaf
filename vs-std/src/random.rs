//! Random numbers of the operating system.

use core::hash::{BuildHasher, Hasher};
use std::collections::hash_map::RandomState;

/// A random number from the operating system: for ids that a process draws for itself, and for
/// seeds.
#[must_use]
pub fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
