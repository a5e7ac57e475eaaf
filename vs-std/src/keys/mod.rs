//! Keys on a host with an operating system: files of keys, random secrets, and fast ciphers.
//!
//! ```no_run
//! use vs_std::{JoinOptions, keys};
//!
//! let ring = keys::read_key_file("KEY")?; // made by `vs keygen KEY`, the same at all hosts
//! let options = JoinOptions::discover().with_keys(keys::keys(ring)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cipher;
mod error;
mod file;

use std::io;

use ring::rand::{SecureRandom, SystemRandom};
use vs_core::seal::{KeyRing, Keys, RingKey, SECRET_BYTES, Secret, Suite};
use zeroize::Zeroizing;

pub use cipher::{FAST, Fast};
pub use error::KeysError;
pub use file::{KEY_FILE_BYTES_MAX, KeyFileError, read_key_file, write_key_file};

/// What a node or a server needs to seal with `ring`: [`Fast`], and a seed that was never used
/// before.
///
/// # Errors
/// The system has no random numbers.
pub fn keys(ring: KeyRing) -> io::Result<Keys> {
    Ok(Keys::new(ring, &FAST, random_secret()?))
}

/// The same ring and ciphers with a seed that was never used before. A configuration may be cloned
/// and used twice, and no two users of keys may draw the same secrets.
pub(crate) fn with_fresh_seed(keys: &Keys) -> io::Result<Keys> {
    Ok(Keys::new(keys.ring().clone(), keys.ciphers(), random_secret()?))
}

/// A new key of servers. Ids begin at 1: `None` if `id` is 0.
///
/// # Errors
/// The system has no random numbers.
pub fn generate(id: u8, suite: Suite) -> io::Result<Option<RingKey>> {
    Ok(RingKey::of_servers(id, suite, random_secret()?))
}

/// 32 bytes from the random source of the system.
fn random_secret() -> io::Result<Secret> {
    let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
    let filled = SystemRandom::new().fill(&mut *bytes);
    filled.map_err(|_| io::Error::other("the system has no random numbers"))?;
    Ok(Secret::new(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_secrets_are_the_same() {
        let [one, other] = [(); 2].map(|()| generate(7, Suite::Aes256Gcm).unwrap().unwrap());
        assert_ne!(one.line(), other.line());
        assert_eq!(one.id(), 7);
        assert!(generate(0, Suite::Aes256Gcm).unwrap().is_none());
        let mut first = keys(KeyRing::new(vec![one]).unwrap()).unwrap();
        let mut second = with_fresh_seed(&first).unwrap();
        assert_ne!(first.draw().bytes(), second.draw().bytes());
    }
}
