//! Whether a member hears multicasts: what one member asks another, and the answer.
//!
//! ```text
//! 33 flags: 1 an answer, 2 multicasts do not arrive, 4 they do | 34 reserved
//! 40 process u64 | 48 target u64
//! ```

use crate::ident::ProcessId;
use crate::wire::bytes::{Raw, put_u64};
use crate::wire::datagram::{self, Header, Kind, Malformed, TARGET_AT};

/// Bytes of the datagram.
pub const REACH_BYTES: usize = 56;

const FLAG_ANSWER: u8 = 1;
const FLAG_DIRECT_ALONE: u8 = 2;
const FLAG_BOTH: u8 = 4;

/// What one process says to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// A question: nothing that the target sends to the group arrives here.
    Ask,
    /// A statement: what the target sends to this process alone arrives, but its multicasts do not.
    Unheard,
    /// A statement: multicasts of the target arrive beside the copies that it sends. A process that
    /// does not know this word takes it for a question.
    Heard,
    /// An answer. It is sent twice: to the group, and to the process that asked.
    Answer,
}

/// A question or an answer about multicasts, from one process to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Who sends it.
    pub process: ProcessId,
    /// Whom it is for.
    pub target: ProcessId,
    /// What it says.
    pub word: Word,
}

/// Writes it; its length, or `None` if `out` is too short.
pub fn encode(out: &mut [u8], header: &Header, reach: &Reach) -> Option<usize> {
    let flags = match reach.word {
        Word::Ask => 0,
        Word::Unheard => FLAG_DIRECT_ALONE,
        Word::Heard => FLAG_BOTH,
        Word::Answer => FLAG_ANSWER,
    };
    let out = datagram::begin(out, REACH_BYTES, Kind::Reach, flags, header)?;
    put_u64(out, 40, reach.process.0);
    put_u64(out, TARGET_AT, reach.target.0);
    Some(REACH_BYTES)
}

pub(super) fn decode(bytes: &[u8], flags: u8) -> Result<Reach, Malformed> {
    if bytes.len() != REACH_BYTES {
        return Err(Malformed::Length);
    }
    let raw = Raw(bytes);
    let word = match flags & (FLAG_ANSWER | FLAG_DIRECT_ALONE | FLAG_BOTH) {
        0 => Word::Ask,
        FLAG_DIRECT_ALONE => Word::Unheard,
        FLAG_BOTH => Word::Heard,
        FLAG_ANSWER => Word::Answer,
        _ => return Err(Malformed::Field),
    };
    Ok(Reach { process: ProcessId(raw.u64_at(40)), target: ProcessId(raw.u64_at(TARGET_AT)), word })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::GroupKey;
    use crate::wire::packet::{Content, open};

    #[test]
    fn each_word_comes_back_as_it_was_encoded() {
        let header = Header { rank: 1, group: GroupKey(2), fingerprint: 3 };
        for word in [Word::Ask, Word::Unheard, Word::Heard, Word::Answer] {
            let reach = Reach { process: ProcessId(7), target: ProcessId(9), word };
            let mut out = [0xaa; REACH_BYTES + 1];
            assert_eq!(encode(&mut out, &header, &reach), Some(REACH_BYTES));
            assert!(encode(&mut out[..REACH_BYTES - 1], &header, &reach).is_none());
            assert!(matches!(open(&mut out), Err(Malformed::Length)), "longer than it is");
            let packet = open(&mut out[..REACH_BYTES]).unwrap();
            assert!(matches!(packet.content, Content::Reach(r) if r == reach));
            assert_eq!(packet.header, header);
            out[33] = FLAG_ANSWER | FLAG_DIRECT_ALONE;
            assert!(matches!(open(&mut out[..REACH_BYTES]), Err(Malformed::Field)));
        }
    }
}
