//! How long datagrams may be on the way to a member: a probe of some length, and the answer.
//!
//! ```text
//! 33 flags: 1 an answer | 34 rank of the target u16 (of an answer) | 36 length of the probe u32
//! 40 padding (of a probe)
//! ```

use crate::ident::Rank;
use crate::wire::bytes::{Raw, put_u16, put_u32};
use crate::wire::datagram::{self, Header, Kind, Malformed};

/// Bytes of an answer, and least length of a probe.
pub const PATH_BYTES: usize = 40;

const FLAG_ANSWER: u8 = 1;

/// A probe of the way to the other members, or an answer to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// A datagram of `bytes`, padded.
    Probe {
        /// Its length, in bytes.
        bytes: u32,
    },
    /// A probe of `bytes` has arrived.
    Arrived {
        /// Who sent the probe.
        target: Rank,
        /// The length of the probe, in bytes.
        bytes: u32,
    },
}

/// Writes it; its length, or `None` if `out` is too short, or a probe would be shorter than
/// [`PATH_BYTES`].
pub fn encode(out: &mut [u8], header: &Header, path: &Path) -> Option<usize> {
    let (flags, target, bytes, len) = match *path {
        Path::Probe { bytes } => (0, 0, bytes, bytes as usize),
        Path::Arrived { target, bytes } => (FLAG_ANSWER, target, bytes, PATH_BYTES),
    };
    if len < PATH_BYTES {
        return None;
    }
    let out = datagram::begin(out, len, Kind::Path, flags, header)?;
    put_u16(out, 34, target);
    put_u32(out, 36, bytes);
    Some(len)
}

pub(super) fn decode(content: &[u8], flags: u8) -> Result<Path, Malformed> {
    if content.len() < PATH_BYTES {
        return Err(Malformed::Length);
    }
    let raw = Raw(content);
    let (target, bytes) = (raw.u16_at(34), raw.u32_at(36));
    let is_answer = flags & FLAG_ANSWER != 0;
    let expected = if is_answer { PATH_BYTES } else { bytes as usize };
    if content.len() != expected {
        return Err(Malformed::Length);
    }
    Ok(if is_answer { Path::Arrived { target, bytes } } else { Path::Probe { bytes } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::GroupKey;
    use crate::wire::packet::{Content, open};

    #[test]
    fn probes_and_answers_come_back_as_encoded() {
        let header = Header { rank: 1, group: GroupKey(2), fingerprint: 3 };
        let probes = [PATH_BYTES as u32, 1472].map(|bytes| Path::Probe { bytes });
        for path in probes.into_iter().chain([Path::Arrived { target: 7, bytes: 60_000 }]) {
            let mut out = [0xaa; 2000];
            let len = encode(&mut out, &header, &path).unwrap();
            match open(&mut out[..len]).map(|packet| packet.content) {
                Ok(Content::Path(read)) => assert_eq!(read, path),
                other => panic!("{other:?}"),
            }
            assert!(open(&mut out[..len - 1]).is_err(), "shorter than it says");
            assert_eq!(encode(&mut out[..len - 1], &header, &path), None);
        }
        assert_eq!(encode(&mut [0; 2000], &header, &Path::Probe { bytes: 39 }), None);
    }
}
