//! X25519 (RFC 7748): public halves of secrets, and secrets that two sides share.

use curve25519_dalek::montgomery::MontgomeryPoint;
use zeroize::Zeroizing;

use super::secret::Secret;

/// Bytes of a public key.
pub(crate) const PUBLIC_BYTES: usize = 32;

/// The public half of `secret`.
pub(crate) fn public_half(secret: &Secret) -> [u8; PUBLIC_BYTES] {
    MontgomeryPoint::mul_base_clamped(*secret.bytes()).to_bytes()
}

/// What the holder of `own` shares with the holder of the private half of `public`. None if
/// `public` is of small order: whoever sent it would fix what both compute.
pub(crate) fn shared(own: &Secret, public: &[u8; PUBLIC_BYTES]) -> Option<Secret> {
    let shared = Zeroizing::new(MontgomeryPoint(*public).mul_clamped(*own.bytes()).to_bytes());
    let is_zero = shared.iter().fold(0, |all, byte| all | byte) == 0;
    (!is_zero).then(|| Secret::new(*shared))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> [u8; 32] {
        core::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
    }

    /// RFC 7748, section 6.1.
    #[test]
    fn shared_secret_is_that_of_the_standard() {
        let own = bytes("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
        let own = Secret::new(own);
        let public = bytes("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        assert_eq!(public_half(&own), public);
        let other = bytes("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        let both = bytes("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
        assert_eq!(shared(&own, &other).unwrap().bytes(), &both);
        assert!(shared(&own, &[0; 32]).is_none(), "of small order");
    }
}
