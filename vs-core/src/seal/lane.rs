//! What one transmitter seals under one secret.

use alloc::boxed::Box;
use core::fmt;

use super::secret::Secret;
use super::suite::{Aead, Ciphers, Suite, TAG_BYTES, nonce};

/// Numbers under one key: after 2^26 of them another key follows, so the limits of the ciphers are
/// far away.
const KEY_BITS: u32 = 26;

/// The keys of one transmitter, one after another. Each datagram has a number that no other one of
/// the transmitter has, which is the nonce.
pub struct Lane {
    suite: Suite,
    ciphers: &'static dyn Ciphers,
    root: Secret,
    /// Which of the keys the cipher has: the number of a datagram without its last bits.
    period: u64,
    cipher: Box<dyn Aead>,
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { suite, period, .. } = self;
        f.debug_struct("Lane").field("suite", suite).field("period", period).finish_non_exhaustive()
    }
}

impl Lane {
    /// The keys that follow from `root`, which nobody else seals with.
    #[must_use]
    pub fn new(suite: Suite, ciphers: &'static dyn Ciphers, root: Secret) -> Self {
        let cipher = cipher(suite, ciphers, &root, 0);
        Self { suite, ciphers, root, period: 0, cipher }
    }

    /// Seals the datagram `number` in place: its `clear` part, its content and room for the tag.
    pub fn seal(&mut self, number: u64, clear: &[u8], content_and_tag: &mut [u8]) {
        self.move_to(number >> KEY_BITS);
        let end = content_and_tag.len().saturating_sub(TAG_BYTES);
        let (content, room) = content_and_tag.split_at_mut(end);
        let tag = self.cipher.seal(&nonce(number), clear, content);
        room.copy_from_slice(&tag[..room.len()]);
    }

    /// Whether the datagram `number` is sealed with the key that is at hand. Another one has to be
    /// derived, which takes many times as long as to open a datagram.
    #[must_use]
    pub fn has_key_of(&self, number: u64) -> bool {
        number >> KEY_BITS == self.period
    }

    /// Opens the datagram `number` in place. False if it is not authentic.
    #[must_use]
    pub fn open(&mut self, number: u64, clear: &[u8], content_and_tag: &mut [u8]) -> bool {
        let Some((content, tag)) = content_and_tag.split_last_chunk_mut::<TAG_BYTES>() else {
            return false;
        };
        let period = number >> KEY_BITS;
        if self.has_key_of(number) {
            return self.cipher.open(&nonce(number), clear, content, tag);
        }
        // Only what is authentic moves the lane on.
        let other = cipher(self.suite, self.ciphers, &self.root, period);
        let is_open = other.open(&nonce(number), clear, content, tag);
        if is_open && period > self.period {
            (self.period, self.cipher) = (period, other);
        }
        is_open
    }

    fn move_to(&mut self, period: u64) {
        if period != self.period {
            self.cipher = cipher(self.suite, self.ciphers, &self.root, period);
            self.period = period;
        }
    }
}

fn cipher(suite: Suite, ciphers: &dyn Ciphers, root: &Secret, period: u64) -> Box<dyn Aead> {
    ciphers
        .cipher(suite, &root.derive("vs lane", &[suite.name().as_bytes(), &period.to_le_bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::{PORTABLE, SECRET_BYTES};

    fn lane(byte: u8) -> Lane {
        Lane::new(Suite::Aes256Gcm, &PORTABLE, Secret::new([byte; SECRET_BYTES]))
    }

    #[test]
    fn lane_opens_what_its_twin_seals_under_each_key() {
        let (mut sealer, mut opener, mut stranger) = (lane(1), lane(1), lane(2));
        let last = (1 << KEY_BITS) - 1;
        // The last one comes late: it is of a key that has passed.
        for number in [0, 1, last, last + 1, last + 2, 5 << KEY_BITS, last + 3, last - 1] {
            let mut bytes = *b"content............tag";
            sealer.seal(number, b"clear", &mut bytes);
            let mut copy = bytes;
            assert!(!stranger.open(number, b"clear", &mut copy));
            copy = bytes;
            assert!(!opener.open(number + 1, b"clear", &mut copy));
            copy = bytes;
            assert!(!opener.open(number, b"Clear", &mut copy));
            assert!(opener.open(number, b"clear", &mut bytes), "{number}");
            assert_eq!(bytes[..6], b"content............tag"[..6]);
        }
        assert!(!opener.open(1, b"", &mut [0; TAG_BYTES - 1]));
    }
}
