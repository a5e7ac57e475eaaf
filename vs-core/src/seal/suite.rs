//! Ciphers: which there are, and how one is called.

use alloc::boxed::Box;
use core::fmt;
use core::str::FromStr;

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{AeadInOut, KeyInit};
use chacha20poly1305::ChaCha20Poly1305;

use super::secret::Secret;

/// Bytes of the tag that authenticates what was sealed.
pub const TAG_BYTES: usize = 16;

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 12;

/// How is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Suite {
    /// AES with 256 bits in Galois counter mode: the fastest where processors have AES.
    Aes256Gcm,
    /// ChaCha20 and Poly1305 (RFC 8439): where they have not.
    ChaCha20Poly1305,
}

impl Suite {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Aes256Gcm, Self::ChaCha20Poly1305];

    /// Its name in key files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes256Gcm => "aes-256-gcm",
            Self::ChaCha20Poly1305 => "chacha20-poly1305",
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No suite has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownSuite;

impl FromStr for Suite {
    type Err = UnknownSuite;

    fn from_str(name: &str) -> Result<Self, UnknownSuite> {
        Self::ALL.into_iter().find(|suite| suite.name() == name).ok_or(UnknownSuite)
    }
}

/// A cipher under one key. A nonce must never be used twice for sealing under one key.
pub trait Aead: Send + Sync {
    /// Seals `content` in place and returns the tag, which also covers `clear`.
    fn seal(&self, nonce: &[u8; NONCE_BYTES], clear: &[u8], content: &mut [u8]) -> [u8; TAG_BYTES];

    /// Opens `content` in place. False if it, `clear` or `tag` are not those that were sealed under
    /// this key and nonce; then `content` is of no use.
    #[must_use]
    fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        clear: &[u8],
        content: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> bool;
}

/// The nonce of what has this number.
pub(crate) fn nonce(number: u64) -> [u8; NONCE_BYTES] {
    let mut nonce = [0; NONCE_BYTES];
    nonce[..size_of::<u64>()].copy_from_slice(&number.to_le_bytes());
    nonce
}

/// Where ciphers come from: a runtime may have faster ones than [`Portable`].
pub trait Ciphers: Send + Sync + fmt::Debug {
    /// A cipher of `suite` under `key`.
    fn cipher(&self, suite: Suite, key: &Secret) -> Box<dyn Aead>;
}

/// Ciphers in plain Rust, for any target.
#[derive(Clone, Copy, Debug, Default)]
pub struct Portable;

/// [`Portable`], for where a reference is asked for.
pub static PORTABLE: Portable = Portable;

impl Ciphers for Portable {
    fn cipher(&self, suite: Suite, key: &Secret) -> Box<dyn Aead> {
        match suite {
            Suite::Aes256Gcm => Box::new(InPlace(Aes256Gcm::new(key.bytes().into()))),
            Suite::ChaCha20Poly1305 => Box::new(InPlace(ChaCha20Poly1305::new(key.bytes().into()))),
        }
    }
}

struct InPlace<C>(C);

impl<C: AeadInOut + Send + Sync> Aead for InPlace<C>
where
    aes_gcm::aead::Nonce<C>: From<[u8; NONCE_BYTES]>,
    aes_gcm::aead::Tag<C>: From<[u8; TAG_BYTES]> + Into<[u8; TAG_BYTES]>,
{
    fn seal(&self, nonce: &[u8; NONCE_BYTES], clear: &[u8], content: &mut [u8]) -> [u8; TAG_BYTES] {
        // Fails beyond 64 GiB alone. A tag of zeroes opens nowhere.
        let sealed = self.0.encrypt_inout_detached(&(*nonce).into(), clear, content.into());
        debug_assert!(sealed.is_ok());
        sealed.map_or([0; TAG_BYTES], Into::into)
    }

    fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        clear: &[u8],
        content: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> bool {
        let (nonce, tag) = ((*nonce).into(), (*tag).into());
        self.0.decrypt_inout_detached(&nonce, clear, content.into(), &tag).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::seal::SECRET_BYTES;

    #[test]
    fn what_was_sealed_opens_and_nothing_else() {
        let key = |byte| Secret::new([byte; SECRET_BYTES]);
        for suite in Suite::ALL {
            let cipher = PORTABLE.cipher(suite, &key(1));
            let (nonce, clear, content) = ([9; NONCE_BYTES], b"header", b"what was sealed");
            let mut sealed = *content;
            let tag = cipher.seal(&nonce, clear, &mut sealed);
            let opens = |cipher: &dyn Aead, nonce, clear: &[u8], sealed: &[u8], tag| {
                let mut bytes: Vec<u8> = sealed.into();
                cipher.open(nonce, clear, &mut bytes, tag) && bytes == content
            };
            assert!(opens(&*cipher, &nonce, clear, &sealed, &tag), "{suite}");
            assert!(!opens(&*cipher, &[8; NONCE_BYTES], clear, &sealed, &tag));
            assert!(!opens(&*cipher, &nonce, b"Header", &sealed, &tag));
            assert!(!opens(&*cipher, &nonce, clear, &sealed[1..], &tag));
            assert!(!opens(&*cipher, &nonce, clear, &sealed, &[0; TAG_BYTES]));
            let other = PORTABLE.cipher(suite, &key(2));
            assert!(!opens(&*other, &nonce, clear, &sealed, &tag));
        }
    }

    #[test]
    fn suites_are_found_by_their_names() {
        for suite in Suite::ALL {
            assert_eq!(suite.name().parse(), Ok(suite));
        }
        assert_eq!("rot13".parse::<Suite>(), Err(UnknownSuite));
    }
}
