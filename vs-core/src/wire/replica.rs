//! What replicas say to each other: in the group, in its order; and one to another about a
//! transfer of state.
//!
//! Both are messages of a group, or of one member to another, as its application sees them. They
//! are written by [postcard](https://postcard.jamesmunns.com): the number of the variant as a
//! varint, then its fields in order. `message.rs` says how each type is written; bytes have their
//! length in front. Nothing may follow.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize, Serializer};

use crate::ident::{FNV_OFFSET, ViewId, fnv1a};

/// The version of these messages, in each [`Here`]. Members of another one take no part. Raise it
/// if a replica of the version before would misread a message, would not know it, or would compute
/// another [`Standing`]. The samples in `tests/golden/replica` show whether bytes have changed.
pub(crate) const VERSION: u8 = 2;

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
    pub(crate) fn advance(&mut self, said: &Said<'_>) {
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
    pub(crate) fn transfer(&self) -> u64 {
        let Self { epoch, at, digest } = self;
        [epoch.major, epoch.minor, *at, *digest]
            .iter()
            .fold(FNV_OFFSET, |hash, n| fnv1a(hash, &n.to_le_bytes()))
    }
}

/// What a member brings to a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Here {
    pub(crate) version: u8,
    /// Of the state that it has: its vote.
    pub(crate) standing: Option<Standing>,
}

/// A message in the group. Those about a view name its fingerprint, since they may come in a later
/// view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Said<'a> {
    /// The sender has installed the view.
    Here { view: u64, here: Here },
    /// The sender has the state, up to here.
    Settled { view: u64 },
    /// An operator decides that the state of the sender counts.
    Recover { view: u64 },
    /// The sender wants a session, whose first operation has the number `first`.
    Open { nonce: u64, first: u64 },
    /// An operation of a session, whose answers up to number `done` were heard.
    Op {
        session: u64,
        no: u64,
        done: u64,
        #[serde(serialize_with = "all_at_once")]
        op: &'a [u8],
    },
    /// The sender reads when it hears this.
    Mark { nonce: u64 },
}

/// A message about a transfer, from one member to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Word<'a> {
    /// A snapshot, please, that has at least so many messages.
    Ask { since: u64 },
    /// There is one, of this length and sum.
    About { standing: Standing, len: u64, sum: u32 },
    /// The bytes of this range, please, in parts of at most so many bytes.
    Range { transfer: u64, from: u64, upto: u64, part: u32 },
    /// Some of them.
    Part {
        transfer: u64,
        from: u64,
        #[serde(serialize_with = "all_at_once")]
        bytes: &'a [u8],
    },
    /// There is none, or not any more.
    Gone,
    /// There will be one: ask again.
    Soon,
    /// What was the answer to this operation?
    Question { session: u64, no: u64 },
    /// That was it.
    Reply { session: u64, no: u64, reply: Reply<'a> },
}

/// What a member answered to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reply<'a> {
    Answer(#[serde(serialize_with = "all_at_once")] &'a [u8]),
    /// It was never carried out here, or its answer was heard.
    Refused,
    /// The answer is too long for a message to one member.
    TooLarge,
}

/// Bytes that a [`Word::Reply`] takes besides its answer, at most.
pub(crate) const REPLY_OVERHEAD: usize = 1 + 10 + 10 + 1 + 5;

/// Of an operation.
pub(crate) fn hash(op: &[u8]) -> u64 {
    // Eight bytes at a time: operations may be long.
    let (words, rest) = op.as_chunks();
    let mix =
        |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let hash = words.iter().fold(op.len() as u64, |h, word| mix(h, u64::from_le_bytes(*word)));
    fnv1a(mix(hash, FNV_OFFSET), rest)
}

/// Bytes that a [`Word::Part`] takes besides its bytes, at most.
pub(crate) const PART_OVERHEAD: usize = 1 + 10 + 10 + 5;

/// What a message takes besides what it carries for the application, nearly always.
const OVERHEAD_USUAL: usize = 48;

/// A message that may carry bytes of the application.
pub(crate) trait Carries: Serialize {
    fn carried(&self) -> &[u8];
}

impl Carries for Said<'_> {
    fn carried(&self) -> &[u8] {
        if let Self::Op { op, .. } = self { op } else { &[] }
    }
}

impl Carries for Word<'_> {
    fn carried(&self) -> &[u8] {
        match self {
            Self::Part { bytes, .. } | Self::Reply { reply: Reply::Answer(bytes), .. } => bytes,
            _ => &[],
        }
    }
}

/// As postcard writes a list of bytes, but all at once.
fn all_at_once<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

pub(crate) fn encode(message: &impl Carries) -> Vec<u8> {
    let room = Vec::with_capacity(OVERHEAD_USUAL + message.carried().len());
    // It cannot fail: all lengths are known, and memory is not bounded here.
    postcard::to_extend(message, room).unwrap_or_default()
}

pub(crate) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Some(message),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;
    use crate::wire::golden::{self, Sample};

    const STANDING: Standing =
        Standing { epoch: ViewId { major: 70_000, minor: 2 }, at: 300, digest: 0x0102_0304 };

    fn here(standing: Option<Standing>) -> Said<'static> {
        Said::Here { view: 99, here: Here { version: VERSION, standing } }
    }

    fn said() -> Vec<(&'static str, &'static str, Said<'static>)> {
        vec![
            ("here", "a member brings a state", here(Some(STANDING))),
            ("here-without", "a member brings none", here(None)),
            ("settled", "a member has the state", Said::Settled { view: 99 }),
            ("recover", "an operator decides", Said::Recover { view: 99 }),
            ("open", "a session", Said::Open { nonce: 1000, first: 1 }),
            ("op", "an operation", Said::Op { session: 1, no: 300, done: 299, op: b"hello" }),
            ("mark", "a read", Said::Mark { nonce: 5 }),
        ]
    }

    fn words() -> Vec<(&'static str, &'static str, Word<'static>)> {
        let reply = |reply| Word::Reply { session: 1, no: 300, reply };
        let range = Word::Range { transfer: 7, from: 1000, upto: 2000, part: 500 };
        vec![
            ("ask", "a snapshot is asked for", Word::Ask { since: 300 }),
            ("snapshot", "there is one", Word::About { standing: STANDING, len: 1 << 30, sum: 9 }),
            ("range", "a range of it is asked for", range),
            ("part", "a part of it", Word::Part { transfer: 7, from: 1000, bytes: b"bytes" }),
            ("gone", "there is none", Word::Gone),
            ("soon", "there will be one", Word::Soon),
            ("question", "an answer is asked for", Word::Question { session: 1, no: 300 }),
            ("reply", "it is told", reply(Reply::Answer(b"hello"))),
            ("reply-without", "there is none", reply(Reply::Refused)),
        ]
    }

    #[test]
    fn golden_replica() {
        let sample = |name: &str, what: &str, bytes| Sample {
            name: name.to_string(),
            what: what.to_string(),
            bytes,
        };
        let in_group = said().into_iter().map(|(name, what, said)| {
            let bytes = encode(&said);
            assert_eq!(decode(&bytes), Some(said));
            assert_eq!(decode::<Said<'_>>(&[&bytes[..], &[0]].concat()), None, "nothing follows");
            sample(name, what, bytes)
        });
        let direct = words().into_iter().map(|(name, what, word)| {
            let bytes = encode(&word);
            assert_eq!(decode(&bytes), Some(word));
            sample(name, what, bytes)
        });
        let samples: Vec<Sample> = in_group.chain(direct).collect();
        golden::check("replica", "wire::replica::VERSION", &samples);
    }

    #[test]
    fn a_standing_is_computed_as_in_the_version() {
        let mut standing = STANDING;
        standing.advance(&Said::Open { nonce: 1000, first: 1 });
        standing.advance(&Said::Op { session: 1, no: 300, done: 299, op: b"twelve bytes" });
        let Standing { at, digest, .. } = standing;
        assert_eq!((at, digest), (302, 0xa0e2_b89b_d44d_1e9c));
    }
}
