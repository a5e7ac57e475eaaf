//! Secrets, and what is derived from them.

use core::fmt;
use core::hash::{Hash, Hasher};

use alloc::boxed::Box;
use alloc::vec::Vec;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes of a secret.
pub const SECRET_BYTES: usize = 32;

/// 32 secret bytes. They are wiped when the value is dropped, and never printed. They stand in a
/// place of their own, so that a value that is moved leaves no copy behind.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret(Box<[u8; SECRET_BYTES]>);

impl Secret {
    /// A secret of these bytes, which should come from the random source of the system or from
    /// another secret.
    #[must_use]
    pub fn new(mut bytes: [u8; SECRET_BYTES]) -> Self {
        let secret = Self(Box::new(bytes));
        bytes.zeroize();
        secret
    }

    /// The bytes, for a cipher or a file.
    #[must_use]
    pub fn bytes(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }

    /// Another secret, which tells nothing of this one: HKDF with SHA-256 (RFC 5869). `purpose` is
    /// the salt. Each part of `context` stands behind its length in the info, so that no two
    /// contexts read the same.
    #[must_use]
    pub fn derive(&self, purpose: &str, context: &[&[u8]]) -> Self {
        let mut out = Box::new([0; SECRET_BYTES]);
        self.expand(purpose, context, &mut *out);
        Self(out)
    }

    /// A secret that follows from all of `parts`, in order: who lacks one of them does not know it.
    #[must_use]
    pub(crate) fn combine(purpose: &str, parts: &[&Self]) -> Self {
        let mut all = Zeroizing::new(Vec::with_capacity(SECRET_BYTES * parts.len()));
        parts.iter().for_each(|part| all.extend_from_slice(&*part.0));
        let mut out = Box::new([0; SECRET_BYTES]);
        expand(purpose, &all, &[], &mut *out);
        Self(out)
    }

    /// Fills `out`, of at most 8,160 bytes, as [`Secret::derive`] does.
    pub(crate) fn expand(&self, purpose: &str, context: &[&[u8]], out: &mut [u8]) {
        // Contexts may hold secrets, and what grows leaves copies behind.
        let bytes = context.iter().map(|part| 8 + part.len()).sum();
        let mut info = Zeroizing::new(Vec::with_capacity(bytes));
        for part in context {
            info.extend_from_slice(&(part.len() as u64).to_le_bytes());
            info.extend_from_slice(part);
        }
        expand(purpose, &*self.0, &info, out);
    }
}

fn expand(purpose: &str, secret: &[u8], info: &[u8], out: &mut [u8]) {
    // Fails beyond 255 blocks of 32 bytes alone.
    let filled = Hkdf::<Sha256>::new(Some(purpose.as_bytes()), secret).expand(info, out);
    debug_assert!(filled.is_ok(), "{} bytes", out.len());
}

/// In a time that does not depend on the bytes.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(&*other.0).fold(0, |all, (a, b)| all | (a ^ b)) == 0
    }
}

impl Eq for Secret {}

impl Hash for Secret {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn purposes_and_contexts_give_other_secrets() {
        let root = Secret::new([7; SECRET_BYTES]);
        let all = [
            root.derive("a", &[]),
            root.derive("b", &[]),
            root.derive("a", &[b"bc"]),
            root.derive("a", &[b"b", b"c"]),
            root.derive("a", &[b"bc", b""]),
            Secret::new([8; SECRET_BYTES]).derive("a", &[]),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|other| other.bytes() != one.bytes()), "{i}");
        }
        assert_eq!(root.derive("a", &[b"bc"]).bytes(), all[2].bytes());
    }

    #[test]
    fn secrets_are_not_printed() {
        assert_eq!(format!("{:?}", Secret::new([0x41; SECRET_BYTES])), "Secret(..)");
    }
}
