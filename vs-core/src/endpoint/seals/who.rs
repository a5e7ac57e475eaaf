//! An incarnation of a process in a group, and what its keys follow from.

use alloc::boxed::Box;

use super::opening::Opening;
use super::selectors::Selectors;
use crate::ident::{GroupKey, Incarnation, ProcessId};
use crate::seal::{KeyRing, Pair, Public, RingKey, Secret, Signer};

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
    pub(super) fn selectors(&self, ring: &KeyRing) -> Selectors {
        Selectors::new(ring, |key| self.derive(key.member(), "vs selector"))
    }
}

/// A peer, and what it sealed with the key of its incarnation.
#[derive(Debug)]
pub(super) struct PeerSeal {
    pub(super) who: Who,
    selectors: Selectors,
    pub(super) opening: Option<Box<Opening>>,
    /// Its public key, once it was shown.
    pub(super) public: Option<Public>,
    /// What this process shares with it.
    pub(super) pair: Option<Pair>,
}

impl PeerSeal {
    pub(super) fn new(who: Who, ring: &KeyRing) -> Self {
        Self { who, selectors: who.selectors(ring), opening: None, public: None, pair: None }
    }

    /// Under which selectors it may be heard.
    pub(super) fn selectors(&self) -> &Selectors {
        &self.selectors
    }

    /// Works out what the incarnation that signs with `own` shares with it, if its key is known.
    pub(super) fn meet(&mut self, own: Option<&Signer>) {
        if self.pair.is_none() {
            self.pair = own.zip(self.public.as_ref()).and_then(|(own, it)| Pair::new(own, it));
        }
    }

    /// Other keys hold from now on.
    pub(super) fn handle_keys(&mut self, old: &KeyRing, new: &KeyRing) {
        self.selectors = self.who.selectors(new);
        self.opening.iter_mut().for_each(|opening| opening.handle_keys(old, new));
    }
}
