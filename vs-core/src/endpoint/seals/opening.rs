//! What one transmitter sent, as far as it was opened.

use alloc::boxed::Box;

use super::selectors::start;
use crate::endpoint::transmit::Verdict;
use crate::rng::Rng;
use crate::seal::{KeyRing, Keys, Lane, RingKey, Secret, Window};
use crate::wire::datagram::{Datagram, HEADER_BYTES};

/// Bytes that are authenticated with the content of a datagram for one receiver.
pub(super) const BOUND_BYTES: usize = HEADER_BYTES + size_of::<u64>();

/// The header of a datagram for one receiver, with the selector of that: none but the incarnation
/// that is meant opens it.
pub(super) fn bind<'a>(bound: &'a mut [u8; BOUND_BYTES], clear: &[u8], receiver: u64) -> &'a [u8] {
    let (header, selector) = bound.split_at_mut(HEADER_BYTES);
    header.copy_from_slice(clear);
    selector.copy_from_slice(&receiver.to_le_bytes());
    bound
}

/// What one transmitter sent, as far as it was opened.
#[derive(Debug, Default)]
pub(super) struct Opening {
    /// The key under which it sealed last, by its id. Until something was opened, one that it says
    /// to have.
    lane: Option<(u8, Lane)>,
    /// Of all keys: what was opened under one is not opened under another.
    window: Window,
    tries: Tries,
}

/// Keys of a transmitter that may be derived in vain, one after the other; each datagram that opens
/// allows for another one.
const TRIES_MAX: u8 = 64;

/// Beyond these, of so many datagrams in a row that need another key one is tried.
const ONE_OF: u8 = 16;

/// Which datagrams are worth another key. To derive one takes longer than all else, and who has no
/// key can name any. A transmitter that is heard again after long is found soon: one of sixteen is
/// tried, and nobody else can tell which. Who could would send just so many between its datagrams
/// that none of them is.
#[derive(Debug)]
struct Tries {
    left: u8,
    passed_over: u8,
    /// Which of the sixteen is tried; drawn for each sixteen.
    tried: u8,
    /// What draws; made once it is needed.
    rng: Option<Rng>,
}

impl Default for Tries {
    fn default() -> Self {
        Self { left: TRIES_MAX, passed_over: 0, tried: 0, rng: None }
    }
}

impl Tries {
    /// Whether another key may be derived. `seed` is secret.
    fn take(&mut self, seed: impl FnOnce() -> u64) -> bool {
        if self.left > 0 {
            self.left -= 1;
            return true;
        }
        let rng = self.rng.get_or_insert_with(|| Rng::new(seed()));
        if self.passed_over == 0 {
            self.tried = rng.below(ONE_OF.into()) as u8;
        }
        let is_tried = self.passed_over == self.tried;
        self.passed_over = (self.passed_over + 1) % ONE_OF;
        is_tried
    }

    fn handle_opened(&mut self) {
        self.left = (self.left + 1).min(TRIES_MAX);
    }
}

impl Opening {
    /// Opens a datagram in place. `root` makes the secret of the transmitter from a key. One that
    /// is for this process alone is bound to its selector `receiver`.
    pub(super) fn open(
        opening: &mut Option<Box<Self>>,
        keys: &Keys,
        datagram: &mut Datagram<'_>,
        receiver: Option<u64>,
        root: impl FnOnce(&RingKey) -> Secret,
    ) -> Verdict {
        let (id, number) = (datagram.key(), datagram.counter());
        let known = opening.get_or_insert_default();
        if !known.window.is_new(number) {
            return Verdict::Replayed;
        }
        let is_at_hand =
            matches!(&known.lane, Some((key, lane)) if *key == id && lane.has_key_of(number));
        if !is_at_hand
            && let Some(key) = keys.ring().get(id)
            && !known.tries.take(|| start(&key.member().derive("vs tries", &[])) ^ number)
        {
            return Verdict::Forged;
        }
        let (clear, content) = datagram.split();
        let mut bound = [0; BOUND_BYTES];
        let clear = match receiver {
            Some(receiver) => bind(&mut bound, clear, receiver),
            None => clear,
        };
        let is_open = match &mut known.lane {
            Some((key, lane)) if *key == id => lane.open(number, clear, content),
            other => {
                let Some(key) = keys.ring().get(id) else { return Verdict::OtherKey };
                let mut lane = Lane::new(key.suite(), keys.ciphers(), root(key));
                let is_open = lane.open(number, clear, content);
                // Who has no key moves a lane that is known to no other key.
                if is_open || other.is_none() {
                    *other = Some((id, lane));
                }
                is_open
            }
        };
        if !is_open {
            return Verdict::Forged;
        }
        known.window.note(number);
        known.tries.handle_opened();
        Verdict::Accepted
    }

    /// Other keys hold: what was sealed under one that is gone, or has another secret now, is
    /// opened no more.
    pub(super) fn handle_keys(&mut self, old: &KeyRing, new: &KeyRing) {
        let member = |ring: &KeyRing, id| ring.get(id).map(|key| key.member().clone());
        self.lane.take_if(|(id, _)| member(old, *id) != member(new, *id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_datagrams_are_worth_another_key() {
        let mut tries = Tries::default();
        let tried = |n: u32, tries: &mut Tries| (0..n).filter(|_| tries.take(|| 1)).count();
        assert_eq!(tried(1024, &mut tries), 64 + 60, "64, and one of sixteen");
        (0..3).for_each(|_| tries.handle_opened());
        assert_eq!(tried(3, &mut tries), 3);
        assert!(tried(16, &mut tries) == 1 && tried(16, &mut tries) == 1);
        (0..100).for_each(|_| tries.handle_opened());
        assert_eq!(tried(64, &mut tries), 64);
    }
}
