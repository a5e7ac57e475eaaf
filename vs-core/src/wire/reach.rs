//! Whether multicasts are heard: what one member asks another, and the answer.

use crate::ident::ProcessId;
use crate::wire::packet::{self, HEADER_BYTES, Header, Kind, Malformed};

/// Bytes of the datagram.
pub const REACH_BYTES: usize = HEADER_BYTES + 16;

const FLAG_ANSWER: u8 = 1;
const FLAG_DIRECT_ALONE: u8 = 2;

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Nothing of what you send to the group is heard here.
    Ask,
    /// … though what you send to me alone is: multicast does not work from you to me.
    Unheard,
    /// Said twice, to the group and to the one that asked.
    Answer,
}

/// From one process to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Who says it.
    pub process: ProcessId,
    /// To whom.
    pub target: ProcessId,
    /// What.
    pub word: Word,
}

/// Writes it; its length, or `None` if `out` is too short.
pub fn encode(out: &mut [u8], header: &Header, reach: &Reach) -> Option<usize> {
    let flags = match reach.word {
        Word::Ask => 0,
        Word::Unheard => FLAG_DIRECT_ALONE,
        Word::Answer => FLAG_ANSWER,
    };
    let out = packet::begin(out, REACH_BYTES, Kind::Reach, flags, header)?;
    packet::put_u64(out, 24, reach.process.0);
    packet::put_u64(out, 32, reach.target.0);
    Some(REACH_BYTES)
}

pub(super) fn decode(bytes: &[u8]) -> Result<Reach, Malformed> {
    if bytes.len() != REACH_BYTES {
        return Err(Malformed::Length);
    }
    let raw = packet::Raw(bytes);
    let word = match bytes[4] & (FLAG_ANSWER | FLAG_DIRECT_ALONE) {
        0 => Word::Ask,
        FLAG_DIRECT_ALONE => Word::Unheard,
        FLAG_ANSWER => Word::Answer,
        _ => return Err(Malformed::Field),
    };
    Ok(Reach { process: ProcessId(raw.u64_at(24)), target: ProcessId(raw.u64_at(32)), word })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::GroupKey;
    use crate::wire::packet::{Content, FLAG_GROUP, decode, mark_group};

    #[test]
    fn what_is_encoded_is_decoded() {
        let header = Header { rank: 1, group: GroupKey(2), fingerprint: 3 };
        for word in [Word::Ask, Word::Unheard, Word::Answer] {
            let reach = Reach { process: ProcessId(7), target: ProcessId(9), word };
            let mut out = [0xaa; 2 * REACH_BYTES];
            assert_eq!(encode(&mut out, &header, &reach), Some(REACH_BYTES));
            assert!(encode(&mut out[..REACH_BYTES - 1], &header, &reach).is_none());
            assert!(matches!(decode(&out), Err(Malformed::Length)), "longer than it is");
            out.copy_within(..REACH_BYTES, REACH_BYTES);
            mark_group(&mut out[..REACH_BYTES], REACH_BYTES);
            for (bytes, to_group) in out.chunks(REACH_BYTES).zip([true, false]) {
                let packet = decode(bytes).unwrap();
                assert!(matches!(packet.content, Content::Reach(r) if r == reach));
                assert_eq!((packet.header, packet.to_group), (header, to_group));
            }
            out[4] = FLAG_GROUP | FLAG_ANSWER | FLAG_DIRECT_ALONE;
            assert!(matches!(decode(&out[..REACH_BYTES]), Err(Malformed::Field)));
        }
    }
}
