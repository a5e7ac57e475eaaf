//! An incarnation of a process in a group, and what its keys follow from.

use alloc::boxed::Box;

use smallvec::SmallVec;

use super::opening::Opening;
use crate::ident::{GroupKey, Incarnation, ProcessId};
use crate::seal::{KeyRing, RingKey, Secret};

/// An incarnation of a process in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Who {
    pub(super) group: GroupKey,
    pub(super) process: ProcessId,
    pub(super) incarnation: Incarnation,
}

impl Who {
    /// A secret of this incarnation alone.
    pub(super) fn derive(&self, from: &Secret, purpose: &str) -> Secret {
        let numbers = [self.group.0, self.process.0, self.incarnation.millis()];
        let [group, process, millis] = numbers.map(u64::to_le_bytes);
        let nonce = self.incarnation.nonce().to_le_bytes();
        from.derive(purpose, &[&group, &process, &millis, &nonce])
    }

    pub(super) fn root(&self, key: &RingKey) -> Secret {
        self.derive(key.member(), "vs incarnation")
    }

    /// By what others find the key, without telling who it is.
    pub(super) fn selector(&self, key: &RingKey) -> u64 {
        let secret = self.derive(key.member(), "vs selector");
        let (selector, _) = secret.bytes().split_at(8);
        selector.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte))
    }
}

/// A peer, and what it sealed with the key of its incarnation.
#[derive(Debug)]
pub(super) struct PeerSeal {
    pub(super) who: Who,
    /// Under each key of the ring.
    selectors: SmallVec<[u64; 2]>,
    pub(super) opening: Option<Box<Opening>>,
}

impl PeerSeal {
    pub(super) fn new(who: Who, ring: &KeyRing) -> Self {
        Self { who, selectors: selectors(&who, ring), opening: None }
    }

    /// Under which selectors it may be heard.
    pub(super) fn selectors(&self) -> impl Iterator<Item = u64> + '_ {
        self.selectors.iter().copied()
    }

    /// Other keys hold from now on.
    pub(super) fn handle_keys(&mut self, old: &KeyRing, new: &KeyRing) {
        self.selectors = selectors(&self.who, new);
        self.opening.iter_mut().for_each(|opening| opening.handle_keys(old, new));
    }
}

fn selectors(who: &Who, ring: &KeyRing) -> SmallVec<[u64; 2]> {
    ring.iter().map(|key| who.selector(key)).collect()
}
