//! By what a reader finds a key, in the clear. Who does not have the key of members cannot tell
//! what is meant.

use smallvec::SmallVec;

use crate::seal::{KeyRing, RingKey, Secret};

/// What one thing is called in the clear, under each key of the ring.
#[derive(Clone, Debug, Default)]
pub(super) struct Selectors(SmallVec<[(u8, u64); 2]>);

impl Selectors {
    /// `of` says which secret the name under a key is taken from.
    pub(super) fn new(ring: &KeyRing, mut of: impl FnMut(&RingKey) -> Secret) -> Self {
        Self(ring.iter().map(|key| (key.id(), start(&of(key)))).collect())
    }

    /// What it is called under the key that seals.
    pub(super) fn first(&self) -> u64 {
        self.0.first().map_or(0, |(_, selector)| *selector)
    }

    /// What it is called under the key with this id.
    pub(super) fn under(&self, key: u8) -> Option<u64> {
        self.0.iter().find(|(id, _)| *id == key).map(|(_, selector)| *selector)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().map(|(_, selector)| *selector)
    }
}

/// The first bytes of a secret that is used for nothing else.
pub(super) fn start(secret: &Secret) -> u64 {
    let (start, _) = secret.bytes().split_at(size_of::<u64>());
    start.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte))
}
