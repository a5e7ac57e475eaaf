//! Signatures of incarnations: Ed25519 (RFC 8032). The nonce of an incarnation is a hash of its
//! public key, so it needs nobody to vouch for the key, and nobody else can speak as it.

use core::fmt;

use alloc::vec::Vec;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use super::curve::PUBLIC_BYTES;
use super::secret::Secret;

/// Bytes of a [`Proof`].
pub(crate) const PROOF_BYTES: usize = PUBLIC_BYTES + SIGNATURE_BYTES;

const SIGNATURE_BYTES: usize = ed25519_dalek::SIGNATURE_LENGTH;

/// What an incarnation signs with. It is wiped when it is dropped, and never printed.
pub(crate) struct Signer(SigningKey);

impl Signer {
    /// `secret` is used for nothing else.
    pub(crate) fn new(secret: &Secret) -> Self {
        Self(SigningKey::from_bytes(secret.bytes()))
    }

    /// The nonce of the incarnation that signs so.
    pub(crate) fn nonce(&self) -> u64 {
        self.public().nonce()
    }

    /// By what others know its signatures.
    pub(crate) fn public(&self) -> Public {
        Public(self.0.verifying_key().to_bytes())
    }

    /// The same key, for X25519.
    pub(super) fn exchange_secret(&self) -> Secret {
        Secret::new(self.0.to_scalar_bytes())
    }

    /// Shows that the incarnation says this. `purpose` tells apart what it says where.
    pub(crate) fn sign(&self, purpose: &str, parts: &[&[u8]]) -> Proof {
        let signature = self.0.sign(&signed(purpose, parts)).to_bytes();
        Proof { public: self.public(), signature }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(..)")
    }
}

/// The public key of an incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Public([u8; PUBLIC_BYTES]);

impl Public {
    pub(crate) fn from_bytes(bytes: [u8; PUBLIC_BYTES]) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8; PUBLIC_BYTES] {
        &self.0
    }

    /// The nonce of the incarnation that has it: the first eight bytes of the SHA-256 of the key,
    /// little-endian; never 0, which is no nonce.
    pub(crate) fn nonce(&self) -> u64 {
        let hash = Sha256::new().chain_update("vs nonce").chain_update(self.0).finalize();
        let nonce = hash.iter().take(8).rev().fold(0, |all, byte| all << 8 | u64::from(*byte));
        nonce.max(1)
    }
}

/// Shows that an incarnation said something: its public key, and its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    public: Public,
    signature: [u8; SIGNATURE_BYTES],
}

impl Proof {
    pub(crate) fn from_bytes(bytes: &[u8; PROOF_BYTES]) -> Self {
        let (mut public, mut signature) = ([0; PUBLIC_BYTES], [0; SIGNATURE_BYTES]);
        public.copy_from_slice(&bytes[..PUBLIC_BYTES]);
        signature.copy_from_slice(&bytes[PUBLIC_BYTES..]);
        Self { public: Public(public), signature }
    }

    /// The public key of who says it.
    pub(crate) fn public(&self) -> Public {
        self.public
    }

    pub(crate) fn to_bytes(self) -> [u8; PROOF_BYTES] {
        let mut bytes = [0; PROOF_BYTES];
        bytes[..PUBLIC_BYTES].copy_from_slice(self.public.bytes());
        bytes[PUBLIC_BYTES..].copy_from_slice(&self.signature);
        bytes
    }

    /// Whether the incarnation with this nonce said what [`Signer::sign`] was given. The cheap
    /// question comes first.
    pub(crate) fn shows(&self, nonce: u64, purpose: &str, parts: &[&[u8]]) -> bool {
        if self.public.nonce() != nonce {
            return false;
        }
        let Ok(key) = VerifyingKey::from_bytes(self.public.bytes()) else { return false };
        let signature = Signature::from_bytes(&self.signature);
        // Weak keys verify what nobody signed.
        key.verify_strict(&signed(purpose, parts), &signature).is_ok()
    }
}

/// What is signed: each part behind its length, so that no two contexts read the same.
fn signed(purpose: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut all = Vec::new();
    for part in core::iter::once(purpose.as_bytes()).chain(parts.iter().copied()) {
        all.extend_from_slice(&(part.len() as u64).to_le_bytes());
        all.extend_from_slice(part);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::SECRET_BYTES;

    fn signer(seed: u8) -> Signer {
        Signer::new(&Secret::new([seed; SECRET_BYTES]))
    }

    #[test]
    fn proof_shows_what_one_incarnation_said_and_nothing_else() {
        let (one, other) = (signer(1), signer(2));
        let proof = one.sign("vs test", &[b"ab", b"c"]);
        assert!(proof.shows(one.nonce(), "vs test", &[b"ab", b"c"]));
        assert!(!proof.shows(other.nonce(), "vs test", &[b"ab", b"c"]));
        assert!(!proof.shows(one.nonce(), "vs else", &[b"ab", b"c"]));
        assert!(!proof.shows(one.nonce(), "vs test", &[b"a", b"bc"]));
        assert_ne!(one.nonce(), other.nonce());
    }

    #[test]
    fn any_changed_bit_of_a_proof_shows_nothing() {
        let one = signer(1);
        let bytes = one.sign("vs test", &[b"abc"]).to_bytes();
        assert!(Proof::from_bytes(&bytes).shows(one.nonce(), "vs test", &[b"abc"]));
        for bit in (0..8 * PROOF_BYTES).step_by(7) {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!Proof::from_bytes(&changed).shows(one.nonce(), "vs test", &[b"abc"]), "{bit}");
        }
    }

    /// RFC 8032, section 7.1, test 1: the key that follows from the secret.
    #[test]
    fn public_key_is_that_of_the_standard() {
        let hex = |text: &str| -> [u8; 32] {
            core::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
        };
        let secret = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let public = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        assert_eq!(Signer::new(&Secret::new(secret)).public(), Public(public));
    }
}
