//! Stamps: what two incarnations show each other without a signature, which takes forty times as
//! long to check. Only the two can make a stamp, so nobody else believes it.

use alloc::vec::Vec;

use ed25519_dalek::VerifyingKey;

use super::curve::shared;
use super::secret::Secret;
use super::signature::{Public, Signer};

/// Bytes of a stamp.
pub(crate) const STAMP_BYTES: usize = 16;

/// Shows one receiver who says something.
pub(crate) type Stamp = [u8; STAMP_BYTES];

/// What two incarnations share, and nobody else.
#[derive(Clone, Debug)]
pub(crate) struct Pair(Secret);

impl Pair {
    /// Of the incarnation that signs with `own`, and that whose public key is `other`: X25519 with
    /// the keys that they sign with. None if that is no key.
    pub(crate) fn new(own: &Signer, other: &Public) -> Option<Self> {
        let point = VerifyingKey::from_bytes(other.bytes()).ok()?.to_montgomery();
        let secret = shared(&own.exchange_secret(), &point.to_bytes())?;
        let mut both = Vec::from([own.public(), *other]);
        both.sort_unstable();
        Some(Self(secret.derive("vs pair", &[both[0].bytes(), both[1].bytes()])))
    }

    /// Shows the other one that this one says so. `purpose` tells apart what it says where; who
    /// says it has to stand in `parts`, since both make the same stamp.
    pub(crate) fn stamp(&self, purpose: &str, parts: &[&[u8]]) -> Stamp {
        let mut stamp = [0; STAMP_BYTES];
        self.0.expand(purpose, parts, &mut stamp);
        stamp
    }

    /// Whether one of `stamps` is what the other one would have made. In a time that does not
    /// depend on them.
    pub(crate) fn is_among(&self, stamps: &[Stamp], purpose: &str, parts: &[&[u8]]) -> bool {
        let own = self.stamp(purpose, parts);
        let differs = |stamp: &Stamp| own.iter().zip(stamp).fold(0, |all, (a, b)| all | (a ^ b));
        stamps.iter().fold(false, |any, stamp| any | (differs(stamp) == 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::SECRET_BYTES;

    fn signer(seed: u8) -> Signer {
        Signer::new(&Secret::new([seed; SECRET_BYTES]))
    }

    #[test]
    fn stamp_shows_the_other_one_alone() {
        let [one, two, three] = [1, 2, 3].map(signer);
        let pair = |own: &Signer, other: &Signer| Pair::new(own, &other.public()).unwrap();
        let stamps = [pair(&one, &three), pair(&one, &two)].map(|p| p.stamp("vs test", &[b"it"]));
        assert!(pair(&two, &one).is_among(&stamps, "vs test", &[b"it"]));
        assert!(pair(&three, &one).is_among(&stamps, "vs test", &[b"it"]));
        assert!(!pair(&two, &three).is_among(&stamps, "vs test", &[b"it"]));
        assert!(!pair(&two, &one).is_among(&stamps, "vs test", &[b"that"]));
        assert!(!pair(&two, &one).is_among(&stamps, "vs else", &[b"it"]));
        assert!(!pair(&two, &one).is_among(&stamps[..1], "vs test", &[b"it"]));
        let weak = Public::from_bytes([0; 32]);
        assert!(Pair::new(&one, &weak).is_none(), "of small order");
    }
}
