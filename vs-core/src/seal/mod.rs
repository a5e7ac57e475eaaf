//! Keys, and what is sealed with them: who does not have the key can neither read nor forge.
//!
//! A [`KeyRing`] holds the keys of a deployment. Each is a secret of 32 bytes with an id and a
//! [`Suite`]; from the key of servers follows that of members ([`KeyRing::of_members`]), so hosts
//! of members need not be able to pose as servers. Everything else is derived from these, each for
//! one purpose ([`Secret::derive`]).
//!
//! Without keys nothing is sealed, and nothing is paid for it.

mod curve;
mod key;
mod keys;
mod lane;
mod secret;
mod seed;
mod signature;
mod stamp;
mod suite;
mod window;

pub(crate) use curve::{PUBLIC_BYTES, public_half, shared};
pub use key::{KEY_ID_MAX, KEYS_MAX, KeyError, KeyRing, RingKey};
pub use keys::Keys;
pub use lane::Lane;
pub use secret::{SECRET_BYTES, Secret};
pub(crate) use seed::Seed;
pub(crate) use signature::{PROOF_BYTES, Proof, Public, Signer};
pub(crate) use stamp::{Pair, STAMP_BYTES, Stamp};
pub(crate) use suite::nonce;
pub use suite::{Aead, Ciphers, NONCE_BYTES, PORTABLE, Portable, Suite, TAG_BYTES, UnknownSuite};
pub use window::{WINDOW, Window};
