//! What Noise computes with: the ciphers of this crate, SHA-256, X25519, and secrets that were
//! drawn. So nothing asks the system for randomness.

use alloc::boxed::Box;

use sha2::{Digest, Sha256};
use snow::Error;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::CryptoResolver;
use snow::types::{Cipher, Dh, Hash, Random};
use zeroize::Zeroizing;

use crate::seal::{
    Aead, Ciphers, Keys, NONCE_BYTES, PUBLIC_BYTES, SECRET_BYTES, Secret, Suite, TAG_BYTES,
    public_half, shared,
};

const HASH_BYTES: usize = 32;
const BLOCK_BYTES: usize = 64;

/// Bytes of a nonce before the counter that Noise writes into it.
const COUNTER_AT: usize = NONCE_BYTES - size_of::<u64>();

/// Hands them out for one handshake.
pub(super) struct Resolver {
    ciphers: &'static dyn Ciphers,
    /// What the ephemeral key comes from.
    seed: Secret,
}

impl Resolver {
    pub(super) fn new(keys: &mut Keys) -> Self {
        Self { ciphers: keys.ciphers(), seed: keys.draw() }
    }
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Drawn { seed: self.seed.clone(), drawn: 0 }))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        matches!(choice, DHChoice::Curve25519).then(|| Box::new(X25519::unset()) as _)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        matches!(choice, HashChoice::SHA256).then(|| Box::<Sha>::default() as _)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        let suite = match choice {
            CipherChoice::AESGCM => Suite::Aes256Gcm,
            CipherChoice::ChaChaPoly => Suite::ChaCha20Poly1305,
        };
        Some(Box::new(Sealer { ciphers: self.ciphers, suite, cipher: None }))
    }
}

/// Bytes that follow from a secret which nobody else knows.
struct Drawn {
    seed: Secret,
    drawn: u64,
}

impl Random for Drawn {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        self.drawn += 1;
        self.seed.expand("vs channel random", &[&self.drawn.to_le_bytes()], dest);
        Ok(())
    }
}

/// A pair of keys.
struct X25519 {
    private: Secret,
    public: [u8; PUBLIC_BYTES],
}

impl X25519 {
    fn unset() -> Self {
        Self { private: Secret::new([0; SECRET_BYTES]), public: [0; PUBLIC_BYTES] }
    }
}

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        PUBLIC_BYTES
    }

    fn priv_len(&self) -> usize {
        SECRET_BYTES
    }

    fn set(&mut self, privkey: &[u8]) {
        // Noise knows the length.
        let Some(private) = privkey.first_chunk() else { return };
        self.private = Secret::new(*private);
        self.public = public_half(&self.private);
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), Error> {
        let mut private = Zeroizing::new([0; SECRET_BYTES]);
        rng.try_fill_bytes(&mut *private)?;
        self.set(&*private);
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        self.private.bytes()
    }

    fn dh(&self, pubkey: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let public = pubkey.first_chunk().ok_or(Error::Dh)?;
        let shared = shared(&self.private, public).ok_or(Error::Dh)?;
        out.get_mut(..SECRET_BYTES).ok_or(Error::Dh)?.copy_from_slice(shared.bytes());
        Ok(())
    }
}

#[derive(Default)]
struct Sha(Sha256);

impl Hash for Sha {
    fn name(&self) -> &'static str {
        "SHA256"
    }

    fn block_len(&self) -> usize {
        BLOCK_BYTES
    }

    fn hash_len(&self) -> usize {
        HASH_BYTES
    }

    fn reset(&mut self) {
        self.0 = Sha256::default();
    }

    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        out[..HASH_BYTES].copy_from_slice(&self.0.finalize_reset());
    }
}

/// A cipher under the key that Noise sets.
struct Sealer {
    ciphers: &'static dyn Ciphers,
    suite: Suite,
    cipher: Option<Box<dyn Aead>>,
}

impl Sealer {
    /// The nonce with this number, as Noise writes it for the suite.
    fn nonce(&self, number: u64) -> [u8; NONCE_BYTES] {
        let mut nonce = [0; NONCE_BYTES];
        nonce[COUNTER_AT..].copy_from_slice(&match self.suite {
            Suite::Aes256Gcm => number.to_be_bytes(),
            Suite::ChaCha20Poly1305 => number.to_le_bytes(),
        });
        nonce
    }
}

impl Cipher for Sealer {
    fn name(&self) -> &'static str {
        noise_name(self.suite)
    }

    fn set(&mut self, key: &[u8; SECRET_BYTES]) {
        self.cipher = Some(self.ciphers.cipher(self.suite, &Secret::new(*key)));
    }

    fn encrypt(&self, nonce: u64, authtext: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        // Noise sets a key before it seals, and hands in room for the tag.
        let Some(cipher) = &self.cipher else { return 0 };
        let (content, tag) = out.split_at_mut(plaintext.len());
        content.copy_from_slice(plaintext);
        let made = cipher.seal(&self.nonce(nonce), authtext, content);
        tag[..TAG_BYTES].copy_from_slice(&made);
        plaintext.len() + TAG_BYTES
    }

    fn decrypt(
        &self,
        nonce: u64,
        authtext: &[u8],
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let cipher = self.cipher.as_ref().ok_or(Error::Decrypt)?;
        let (content, tag) = ciphertext.split_last_chunk::<TAG_BYTES>().ok_or(Error::Decrypt)?;
        let out = out.get_mut(..content.len()).ok_or(Error::Decrypt)?;
        out.copy_from_slice(content);
        let opens = cipher.open(&self.nonce(nonce), authtext, out, tag);
        opens.then_some(content.len()).ok_or(Error::Decrypt)
    }
}

/// The name of a suite in the names of Noise protocols.
pub(super) fn noise_name(suite: Suite) -> &'static str {
    match suite {
        Suite::Aes256Gcm => "AESGCM",
        Suite::ChaCha20Poly1305 => "ChaChaPoly",
    }
}
