//! What a node or a server needs to seal.

use alloc::sync::Arc;

use super::key::KeyRing;
use super::secret::{SECRET_BYTES, Secret};
use super::seed::Seed;
use super::signature::Signer;
use super::suite::Ciphers;

/// A ring of keys, ciphers, and secrets that nobody else knows. The core has no source of
/// randomness: the same keys and events give the same bytes.
#[derive(Clone, Debug)]
pub struct Keys {
    ring: Arc<KeyRing>,
    ciphers: &'static dyn Ciphers,
    seed: Seed,
    /// What the incarnation signs with whose keys these are; none at a server.
    signer: Option<Arc<Signer>>,
}

impl Keys {
    /// `seed` comes from the random source of the system, for each value and with each change of
    /// keys anew: what two values of one seed seal can be read. Who knows it knows the secrets that
    /// are drawn from it.
    #[must_use]
    pub fn new(ring: KeyRing, ciphers: &'static dyn Ciphers, seed: Secret) -> Self {
        Self { ring: Arc::new(ring), ciphers, seed: Seed::new(seed), signer: None }
    }

    /// The ring.
    #[must_use]
    pub fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// Where ciphers come from.
    #[must_use]
    pub fn ciphers(&self) -> &'static dyn Ciphers {
        self.ciphers
    }

    /// A secret that was never drawn before.
    #[must_use]
    pub fn draw(&mut self) -> Secret {
        self.seed.draw()
    }

    /// What the incarnation signs with whose keys these are.
    pub(crate) fn signer(&self) -> Option<&Signer> {
        self.signer.as_deref()
    }

    /// From here on these are the keys of an incarnation, which signs as with `before`. If nothing
    /// was signed before, what it signs with is drawn.
    pub(crate) fn set_signer(&mut self, before: Option<&Self>) {
        let known = before.and_then(|keys| keys.signer.clone()).or_else(|| self.signer.take());
        let signer = known.unwrap_or_else(|| {
            let secret = self.draw().derive("vs signer", &[]);
            Arc::new(Signer::new(&secret))
        });
        self.signer = Some(signer);
    }

    /// The nonce of the incarnation that signs with these keys.
    pub(crate) fn nonce(&self) -> Option<u64> {
        self.signer.as_ref().map(|signer| signer.nonce())
    }

    /// The same ring for a part that draws nothing.
    pub(crate) fn without_seed(&self) -> Self {
        Self { seed: Seed::new(Secret::new([0; SECRET_BYTES])), ..self.clone() }
    }

    /// The same ring with other secrets to draw: for a part that draws on its own.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        let seed = Seed::new(self.draw().derive("vs fork", &[]));
        Self { seed, ..self.clone() }
    }
}
