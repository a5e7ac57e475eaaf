//! What stands behind a sync message to show who says it, where there are keys: the last of its
//! optional fields.

use alloc::vec::Vec;

use super::bytes::take_option;
use crate::seal::{PROOF_BYTES, PUBLIC_BYTES, Proof, Public, STAMP_BYTES, Stamp};

/// The tag of a proof.
const PROOF_TAG: u8 = 3;

/// The tag of stamps.
const STAMPS_TAG: u8 = 4;

/// Bytes of a field before its content: a tag, and a length of two bytes at most.
const HEAD_BYTES: usize = 3;

/// Most stamps behind a sync message.
pub(crate) const STAMPS_MAX: usize = 32;

/// What shows who says a sync message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// To everybody.
    Proof(Proof),
    /// To one receiver each, in any order; and the public key of who says it.
    Stamps(Public, Vec<Stamp>),
}

impl Shown {
    /// Bytes of a proof, at most.
    pub(crate) const PROOF_FIELD_BYTES: usize = HEAD_BYTES + PROOF_BYTES;

    /// Bytes of so many stamps, at most.
    pub(crate) const fn stamps_field_bytes(stamps: usize) -> usize {
        HEAD_BYTES + PUBLIC_BYTES + stamps * STAMP_BYTES
    }

    /// Writes it; answers its length.
    pub(super) fn put(&self, out: &mut [u8]) -> Option<usize> {
        let (tag, content) = match self {
            Self::Proof(proof) => (PROOF_TAG, proof.to_bytes().to_vec()),
            Self::Stamps(public, stamps) => {
                (STAMPS_TAG, [&public.bytes()[..], stamps.as_flattened()].concat())
            }
        };
        Some(postcard::to_slice(&(tag, &content[..]), out).ok()?.len())
    }

    fn read(tag: u8, content: &[u8]) -> Option<Self> {
        if tag == PROOF_TAG {
            return Some(Self::Proof(Proof::from_bytes(content.try_into().ok()?)));
        }
        let (public, stamps) = content.split_first_chunk::<PUBLIC_BYTES>()?;
        let (stamps, rest) = stamps.as_chunks::<STAMP_BYTES>();
        let is_sound = rest.is_empty() && stamps.len() <= STAMPS_MAX;
        is_sound.then(|| Self::Stamps(Public::from_bytes(*public), stamps.to_vec()))
    }

    /// What stands behind `said`, of which the last part is the optional fields `options`: what is
    /// shown, and all before it. None if it is not there, or not the last.
    pub(super) fn behind<'a>(said: &'a [u8], options: &'a [u8]) -> Option<(&'a [u8], Self)> {
        let mut rest = options;
        while let Some((tag, content, behind)) = take_option(rest) {
            if tag == PROOF_TAG || tag == STAMPS_TAG {
                let before = &said[..said.len().checked_sub(rest.len())?];
                let shown = Self::read(tag, content)?;
                return behind.is_empty().then_some((before, shown));
            }
            rest = behind;
        }
        None
    }
}
