//! What replicas say to each other: in the group, in its order; and one to another about a
//! transfer of state.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::ident::{FNV_OFFSET, ViewId, fnv1a};

/// The version of these messages. A replica that hears another one ends with an error.
pub(super) const VERSION: u8 = 1;

/// How far a state has come. Two states with equal standings are equal.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Standing {
    /// The last served view of which the state has all operations so far.
    pub epoch: ViewId,
    /// Messages that changed the state, over its whole life.
    pub at: u64,
    /// A hash over all of them.
    pub digest: u64,
}

impl Standing {
    /// One more message that changes the state.
    pub(super) fn advance(&mut self, said: &Said<'_>) {
        // Whoever brings a state says how far it has come: any number.
        self.at = self.at.wrapping_add(1);
        let numbers = match *said {
            Said::Op { session, no, op, .. } => [session, no, hash(op)],
            Said::Open { nonce, first } => [nonce, first, 0],
            _ => [0; 3],
        };
        self.digest = numbers.iter().fold(self.digest, |h, n| fnv1a(h, &n.to_le_bytes()));
    }

    /// Names the snapshot of a state that has come so far.
    pub(super) fn transfer(&self) -> u64 {
        let Self { epoch, at, digest } = self;
        [epoch.major, epoch.minor, *at, *digest]
            .iter()
            .fold(FNV_OFFSET, |hash, n| fnv1a(hash, &n.to_le_bytes()))
    }
}

/// What a member brings to a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Here {
    pub(super) version: u8,
    /// Of the state that it has: its vote.
    pub(super) standing: Option<Standing>,
}

/// A message in the group. Those about a view name its fingerprint, since they may come in a later
/// view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Said<'a> {
    /// The sender has installed the view.
    Here { view: u64, here: Here },
    /// The sender has the state, up to here.
    Settled { view: u64 },
    /// An operator decides that the state of the sender counts.
    Recover { view: u64 },
    /// The sender wants a session, whose first operation has the number `first`.
    Open { nonce: u64, first: u64 },
    /// An operation of a session, whose answers up to number `done` were heard.
    Op { session: u64, no: u64, done: u64, op: &'a [u8] },
    /// The sender reads when it hears this.
    Mark { nonce: u64 },
}

/// A message about a transfer, from one member to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Word<'a> {
    /// A snapshot, please, that has at least so many messages.
    Ask { since: u64 },
    /// There is one, of this length and sum.
    About { standing: Standing, len: u64, sum: u32 },
    /// The bytes of this range, please, in parts of at most so many bytes.
    Range { transfer: u64, from: u64, upto: u64, part: u32 },
    /// Some of them.
    Part { transfer: u64, from: u64, bytes: &'a [u8] },
    /// There is none, or not any more.
    Gone,
}

/// Of an operation.
pub(super) fn hash(op: &[u8]) -> u64 {
    // Eight bytes at a time: operations may be long.
    let (words, rest) = op.as_chunks();
    let mix =
        |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let hash = words.iter().fold(op.len() as u64, |h, word| mix(h, u64::from_le_bytes(*word)));
    fnv1a(mix(hash, FNV_OFFSET), rest)
}

/// Bytes that a [`Word::Part`] takes besides its bytes, at most.
pub(super) const PART_OVERHEAD: usize = 1 + 10 + 10 + 5;

pub(super) fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    // It cannot fail: all lengths are known, and memory is not bounded here.
    postcard::to_allocvec(message).unwrap_or_default()
}

pub(super) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Some(message),
        _ => None,
    }
}
