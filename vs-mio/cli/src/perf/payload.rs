//! Payloads that can be verified: numbered, timed, and with a checksum over all of it.

/// Bytes before the pattern: kind and number, time, checksum.
pub(super) const HEADER_BYTES: usize = 24;

/// Words that are summed side by side, so that the sums do not wait for each other.
const LANES: usize = 8;
const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;

/// What a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The n-th message of its sender, due at `time`, in ns of UNIX time.
    Data { n: u64, time: u64 },
    /// The sender sent so many and is done.
    End { total: u64 },
    /// What a member measured: JSON.
    Result,
}

const DATA: u8 = 1;
const END: u8 = 2;
const RESULT: u8 = 3;

/// A message of one sender, to be stamped again and again: the sum over the pattern is kept.
#[derive(Debug)]
pub(super) struct Template {
    bytes: Vec<u8>,
    pattern_sum: u64,
}

impl Template {
    /// A message of `len` bytes, [`HEADER_BYTES`] at least, with a pattern of its own for each
    /// `sender`.
    pub(super) fn new(sender: u64, len: usize) -> Self {
        let mut bytes = vec![0; len.max(HEADER_BYTES)];
        let mut rng = vs_core::rng::Rng::new(sender);
        bytes[HEADER_BYTES..].fill_with(|| rng.next_u64() as u8);
        let pattern_sum = sum(&bytes[HEADER_BYTES..]);
        Self { bytes, pattern_sum }
    }

    /// The message with this number and time.
    pub(super) fn stamp(&mut self, n: u64, time: u64) -> &[u8] {
        write_header(&mut self.bytes, DATA, n, time, self.pattern_sum);
        &self.bytes
    }
}

fn write_header(bytes: &mut [u8], kind: u8, n: u64, time: u64, pattern_sum: u64) {
    let first = u64::from(kind) << 56 | n;
    for (place, word) in
        bytes.chunks_exact_mut(8).zip([first, time, check(first, time, pattern_sum)])
    {
        place.copy_from_slice(&word.to_le_bytes());
    }
}

/// The end of a sender's messages.
pub(super) fn end(total: u64) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    write_header(&mut bytes, END, total, 0, sum(&[]));
    bytes
}

/// A member's result.
pub(super) fn result(json: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes.extend_from_slice(json);
    write_header(&mut bytes, RESULT, 0, 0, sum(json));
    bytes
}

/// What follows the header.
pub(super) fn body(bytes: &[u8]) -> &[u8] {
    bytes.get(HEADER_BYTES..).unwrap_or_default()
}

/// Verifies and reads a payload; `None` if it is not as it was sent.
pub(super) fn read(bytes: &[u8]) -> Option<Kind> {
    let (first, time, stored) = (word(bytes, 0)?, word(bytes, 8)?, word(bytes, 16)?);
    if stored != check(first, time, sum(&bytes[HEADER_BYTES..])) {
        return None;
    }
    let n = first & (u64::MAX >> 8);
    match (first >> 56) as u8 {
        DATA => Some(Kind::Data { n, time }),
        END => Some(Kind::End { total: n }),
        RESULT => Some(Kind::Result),
        _ => None,
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn check(first: u64, time: u64, pattern_sum: u64) -> u64 {
    mix(mix(mix(PRIME, first), time), pattern_sum)
}

fn mix(sum: u64, word: u64) -> u64 {
    (sum ^ word).wrapping_mul(PRIME).rotate_left(23)
}

/// A sum that changes when a bit does, when words change places, and when bytes are missing. Sums
/// of words and sums of these sums, as Fletcher's, side by side: verifying is to cost little beside
/// what is measured.
fn sum(bytes: &[u8]) -> u64 {
    let (mut sums, mut sums_of_sums) = ([0_u64; LANES], [0_u64; LANES]);
    let mut blocks = bytes.chunks_exact(8 * LANES);
    for block in &mut blocks {
        for lane in 0..LANES {
            let word = word(block, 8 * lane).unwrap_or_default();
            sums[lane] = sums[lane].wrapping_add(word);
            sums_of_sums[lane] = sums_of_sums[lane].wrapping_add(sums[lane]);
        }
    }
    let (words, rest) = blocks.remainder().as_chunks::<8>();
    let tail =
        words.iter().fold(bytes.len() as u64, |sum, word| mix(sum, u64::from_le_bytes(*word)));
    let tail = rest.iter().fold(tail, |sum, &byte| mix(sum, u64::from(byte)));
    if bytes.len() < 8 * LANES {
        return tail;
    }
    sums.into_iter().chain(sums_of_sums).fold(tail, mix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_of_a_stamp_is_noticed() {
        for len in [HEADER_BYTES, 25, 64, 1000] {
            let mut template = Template::new(7, len);
            let mut bytes = template.stamp(5, 99).to_vec();
            assert_eq!((bytes.len(), read(&bytes)), (len, Some(Kind::Data { n: 5, time: 99 })));
            for bit in 0..8 * len {
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(read(&bytes), None, "bit {bit} of {len} bytes");
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            assert_eq!(read(&bytes[..len - 1]), None);
        }
        assert_eq!(read(&end(3)), Some(Kind::End { total: 3 }));
        let result = result(b"{}");
        assert_eq!((read(&result), body(&result)), (Some(Kind::Result), &b"{}"[..]));
        assert_eq!(read(&[]), None);
    }
}
