//! Beacons that are sealed: whoever lacks the key of servers can neither read nor forge one.
//!
//! All servers of a deployment share that key, so a nonce of its own for each beacon of each
//! incarnation of each server would have to be drawn, and twelve bytes are few for that. So each
//! incarnation draws a salt, from which its key follows; then a counter is enough.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::fmt;

use crate::ident::ServerId;
use crate::seal::{Aead, Keys, RingKey, TAG_BYTES, nonce};
use crate::time::Time;
use crate::wire::beacon::{
    self, BEACON_BYTES_MAX, Beacon, ENVELOPE_BYTES, Envelope, HEAD_BYTES, SALT_BYTES,
};

/// Room for a beacon that was opened.
pub(super) type Room = [u8; BEACON_BYTES_MAX];

/// Seals own beacons, and opens those of others.
pub(super) struct Sealer {
    keys: Keys,
    cipher: Box<dyn Aead>,
    salt: [u8; SALT_BYTES],
    /// Beacons that were sealed.
    count: u64,
    /// The latest beacon of each server that was heard, also of those that were forgotten.
    latest: BTreeMap<ServerId, Latest>,
}

/// The latest beacon of a server.
#[derive(Clone, Copy)]
struct Latest {
    boot: u64,
    salt: [u8; SALT_BYTES],
    counter: u64,
    at: Time,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Sealer {
    /// `None`: the key that seals is one of members.
    pub(super) fn new(mut keys: Keys) -> Option<Self> {
        let mut salt = [0; SALT_BYTES];
        salt.copy_from_slice(&keys.draw().bytes()[..SALT_BYTES]);
        let cipher = cipher(&keys, keys.ring().first(), &salt)?;
        let keys = keys.without_seed();
        Some(Self { keys, cipher, salt, count: 0, latest: BTreeMap::new() })
    }

    /// Other keys hold from now on. The salt stays, and the counter goes on: readers tell by them
    /// what is older. False, and nothing is changed, if the key that seals is one of members.
    pub(super) fn set_keys(&mut self, keys: &Keys) -> bool {
        let Some(cipher) = cipher(keys, keys.ring().first(), &self.salt) else { return false };
        (self.keys, self.cipher) = (keys.without_seed(), cipher);
        true
    }

    /// Whether a beacon of `server` with this boot value is later than what was heard of it before.
    /// One that is not was sent again by somebody else, or overtaken. Of `servers_max` servers it
    /// is remembered.
    pub(super) fn is_later(
        &mut self,
        now: Time,
        (server, boot): (ServerId, u64),
        envelope: &Envelope,
        servers_max: usize,
    ) -> bool {
        let Envelope { salt, counter, .. } = *envelope;
        if let Some(known) = self.latest.get(&server) {
            let is_again = known.boot == boot && known.salt == salt && counter <= known.counter;
            if boot < known.boot || is_again {
                return false;
            }
        } else if self.latest.len() >= servers_max {
            let oldest = self.latest.iter().min_by_key(|(_, latest)| latest.at);
            if let Some((&oldest, _)) = oldest {
                self.latest.remove(&oldest);
            }
        }
        self.latest.insert(server, Latest { boot, salt, counter, at: now });
        true
    }

    /// Writes a beacon, sealed; returns its length. `None`: as [`beacon::encode`].
    pub(super) fn seal(&mut self, out: &mut [u8], beacon: &Beacon<'_>) -> Option<usize> {
        let in_the_clear = beacon::encode(out, beacon)?;
        let end = ENVELOPE_BYTES + in_the_clear - HEAD_BYTES;
        let out = out.get_mut(..end + TAG_BYTES)?;
        out.copy_within(HEAD_BYTES..in_the_clear, ENVELOPE_BYTES);
        self.count += 1;
        let key = self.keys.ring().first().id();
        let clear = Envelope { key, salt: self.salt, counter: self.count }.encode();
        out[..ENVELOPE_BYTES].copy_from_slice(&clear);
        let tag = self.cipher.seal(&nonce(self.count), &clear, &mut out[ENVELOPE_BYTES..end]);
        out[end..].copy_from_slice(&tag);
        Some(out.len())
    }

    /// Of how many servers the latest beacon is remembered.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.latest.len()
    }

    /// Opens a sealed beacon into `room`: as it is in the clear. Answers it with what was in the
    /// clear of it.
    ///
    /// # Errors
    /// The id of the key that it is said to be sealed with; `None` if it is no sealed beacon.
    pub(super) fn open<'a>(
        &self,
        datagram: &[u8],
        room: &'a mut Room,
    ) -> Result<(&'a [u8], Envelope), Option<u8>> {
        let (clear, envelope, sealed) = Envelope::split(datagram).ok_or(None)?;
        let (sealed, tag) = sealed.split_last_chunk::<TAG_BYTES>().ok_or(None)?;
        let (head, content) = room.split_first_chunk_mut::<HEAD_BYTES>().ok_or(None)?;
        let content = content.get_mut(..sealed.len()).ok_or(None)?;
        let key = self.keys.ring().get(envelope.key);
        let cipher = key.and_then(|key| cipher(&self.keys, key, &envelope.salt));
        let cipher = cipher.ok_or(Some(envelope.key))?;
        content.copy_from_slice(sealed);
        if !cipher.open(&nonce(envelope.counter), clear, content, tag) {
            return Err(Some(envelope.key));
        }
        beacon::encode_head(head);
        Ok((&room[..HEAD_BYTES + sealed.len()], envelope))
    }
}

/// What seals the beacons of the server that drew `salt`.
fn cipher(keys: &Keys, key: &RingKey, salt: &[u8; SALT_BYTES]) -> Option<Box<dyn Aead>> {
    let secret = key.server()?.derive("vs beacon key", &[salt]);
    Some(keys.ciphers().cipher(key.suite(), &secret))
}
