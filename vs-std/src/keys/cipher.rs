//! Ciphers by the crate `ring`: the same as those of the core, in less than half the time.

use ring::aead::{
    AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, Tag, UnboundKey,
};
use vs_core::seal::{Aead, Ciphers, NONCE_BYTES, PORTABLE, Secret, Suite, TAG_BYTES};

/// The ciphers of `ring`, which uses what the processor has for them. They open what
/// [`vs_core::seal::Portable`] sealed, and the other way round.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fast;

/// [`Fast`], for where a reference is asked for.
pub static FAST: Fast = Fast;

impl Ciphers for Fast {
    fn cipher(&self, suite: Suite, key: &Secret) -> Box<dyn Aead> {
        // A suite that is younger than this crate is left to the core.
        let portable = || PORTABLE.cipher(suite, key);
        let Some(algorithm) = algorithm(suite) else { return portable() };
        match UnboundKey::new(algorithm, key.bytes()) {
            Ok(key) => Box::new(Cipher(LessSafeKey::new(key))),
            // Of a key of another length alone.
            Err(_) => portable(),
        }
    }
}

fn algorithm(suite: Suite) -> Option<&'static Algorithm> {
    match suite {
        Suite::Aes256Gcm => Some(&AES_256_GCM),
        Suite::ChaCha20Poly1305 => Some(&CHACHA20_POLY1305),
        _ => None,
    }
}

/// "Less safe" since the caller sees to it that no nonce is used twice, as [`Aead`] says.
struct Cipher(LessSafeKey);

impl Drop for Cipher {
    /// `ring` leaves keys in memory: another one takes the place.
    fn drop(&mut self) {
        if let Ok(none) = UnboundKey::new(self.0.algorithm(), &[0; 32]) {
            self.0 = LessSafeKey::new(none);
            // What nobody reads is else not written.
            core::hint::black_box(&self.0);
        }
    }
}

impl Aead for Cipher {
    fn seal(&self, nonce: &[u8; NONCE_BYTES], clear: &[u8], content: &mut [u8]) -> [u8; TAG_BYTES] {
        let (nonce, clear) = (Nonce::assume_unique_for_key(*nonce), Aad::from(clear));
        let sealed = self.0.seal_in_place_separate_tag(nonce, clear, content);
        debug_assert!(sealed.is_ok());
        let mut tag = [0; TAG_BYTES];
        match sealed {
            Ok(sealed) => tag.copy_from_slice(sealed.as_ref()),
            // Fails beyond 64 GiB alone. Nothing may go out in the clear; a tag of zeroes opens
            // nowhere.
            Err(_) => content.fill(0),
        }
        tag
    }

    fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        clear: &[u8],
        content: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> bool {
        let (nonce, clear) = (Nonce::assume_unique_for_key(*nonce), Aad::from(clear));
        self.0.open_in_place_separate_tag(nonce, clear, Tag::from(*tag), content, 0..).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use vs_core::seal::SECRET_BYTES;

    use super::*;

    /// Seals with `one`, and opens with `other` what became of it.
    fn crosses(one: &dyn Ciphers, other: &dyn Ciphers, suite: Suite) {
        let key = Secret::new([3; SECRET_BYTES]);
        let (sealer, opener) = (one.cipher(suite, &key), other.cipher(suite, &key));
        let (nonce, clear) = ([7; NONCE_BYTES], b"header");
        for len in [0, 1, 15, 16, 17, 1424] {
            let content = vec![0xab; len];
            let mut sealed = content.clone();
            let tag = sealer.seal(&nonce, clear, &mut sealed);
            let opens = |clear: &[u8], sealed: &[u8], tag: &[u8; TAG_BYTES]| {
                let mut bytes = sealed.to_vec();
                opener.open(&nonce, clear, &mut bytes, tag) && bytes == content
            };
            assert!(opens(clear, &sealed, &tag), "{suite}, {len} bytes");
            assert!(!opens(b"other", &sealed, &tag));
            assert!(!opens(clear, &sealed, &[0; TAG_BYTES]));
            if len > 0 {
                assert!(len < 15 || sealed != content);
                sealed[len - 1] ^= 1;
                assert!(!opens(clear, &sealed, &tag));
            }
        }
    }

    #[test]
    fn fast_and_portable_open_what_the_other_sealed() {
        for suite in Suite::ALL {
            assert!(algorithm(suite).is_some(), "{suite}");
            crosses(&FAST, &PORTABLE, suite);
            crosses(&PORTABLE, &FAST, suite);
            crosses(&FAST, &FAST, suite);
        }
    }
}
