//! Frames of the byte streams between clients and servers: a preamble with the version, then length and content of
//! each frame, in postcard.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::STREAM_VERSION;

/// What each side of a connection says first: who speaks, and which version.
const MAGIC: [u8; 4] = *b"VSM\0";

/// Bytes of the preamble: the magic and the version.
pub const PREAMBLE_BYTES: usize = 6;

/// Bytes of a frame's length.
const LENGTH_BYTES: usize = 4;

/// Longest frame, in bytes. A report of [`crate::VIEW_MEMBERS_MAX`] clients takes less.
pub const FRAME_BYTES_MAX: usize = 256 << 10;

/// Bytes that the buffers of a connection keep while nothing is in them: signs of life, no more. A server has many of
/// them, and now and then a large frame goes through each.
const KEPT_BYTES: usize = 1 << 10;

/// Empties a buffer of which all was taken.
fn clear(bytes: &mut Vec<u8>, at: &mut usize) {
    if bytes.capacity() > KEPT_BYTES {
        *bytes = Vec::new();
    }
    bytes.clear();
    *at = 0;
}

/// Why a byte stream is not of this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// It begins with something else.
    Magic,
    /// It is of another version.
    Version(u16),
    /// A frame is longer than [`FRAME_BYTES_MAX`].
    TooLong,
    /// The content of a frame makes no sense.
    Content,
}

impl FrameError {
    /// What the other side did, in words.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Magic => "it speaks another protocol",
            Self::Version(_) => "it speaks another version of the protocol",
            Self::TooLong => "it sent a frame above the limit",
            Self::Content => "it sent a frame that makes no sense",
        }
    }
}

/// The preamble of this version.
#[must_use]
pub fn preamble() -> [u8; PREAMBLE_BYTES] {
    let mut out = [0; PREAMBLE_BYTES];
    out[..MAGIC.len()].copy_from_slice(&MAGIC);
    out[MAGIC.len()..].copy_from_slice(&STREAM_VERSION.to_le_bytes());
    out
}

/// Appends a frame with `content` to `out`.
pub(crate) fn encode<M: Serialize>(content: &M, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    if let Ok(bytes) = postcard::to_allocvec(content) {
        out.extend_from_slice(&bytes);
    }
    let len = (out.len() - start - LENGTH_BYTES) as u32;
    out[start..start + LENGTH_BYTES].copy_from_slice(&len.to_le_bytes());
}

/// Puts frames together from what arrives. Holds less than one frame and what was pushed last.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    bytes: Vec<u8>,
    at: usize,
    greeted: bool,
}

impl Decoder {
    /// Takes bytes; call [`Decoder::next`] until it has no more.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame, if there is one.
    pub(crate) fn next<M: for<'de> Deserialize<'de>>(&mut self) -> Result<Option<M>, FrameError> {
        if !self.greeted && !self.take_preamble()? {
            return Ok(None);
        }
        if self.at == self.bytes.len() {
            clear(&mut self.bytes, &mut self.at);
            return Ok(None);
        }
        let rest = &self.bytes[self.at..];
        let Some((len, rest)) = rest.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let len = u32::from_le_bytes(*len) as usize;
        if len > FRAME_BYTES_MAX {
            return Err(FrameError::TooLong);
        }
        let Some(content) = rest.get(..len) else { return Ok(None) };
        let (message, left) =
            postcard::take_from_bytes(content).map_err(|_| FrameError::Content)?;
        if !left.is_empty() {
            return Err(FrameError::Content);
        }
        self.at += LENGTH_BYTES + len;
        Ok(Some(message))
    }

    fn take_preamble(&mut self) -> Result<bool, FrameError> {
        let rest = &self.bytes[self.at..];
        let known = rest.len().min(MAGIC.len());
        if rest[..known] != MAGIC[..known] {
            return Err(FrameError::Magic);
        }
        let Some(version) = rest.get(MAGIC.len()..PREAMBLE_BYTES) else { return Ok(false) };
        let version = u16::from_le_bytes([version[0], version[1]]);
        if version != STREAM_VERSION {
            return Err(FrameError::Version(version));
        }
        self.at += PREAMBLE_BYTES;
        self.greeted = true;
        Ok(true)
    }
}

/// Bytes that wait to be written, within a bound.
#[derive(Debug)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    at: usize,
    bytes_max: usize,
}

impl Output {
    /// An output that begins with the preamble.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes: preamble().to_vec(), at: 0, bytes_max }
    }

    /// Appends a frame; false if more waits than the bound allows, and the connection is to be given up.
    pub(crate) fn push<M: Serialize>(&mut self, content: &M) -> bool {
        encode(content, &mut self.bytes);
        self.bytes.len() - self.at <= self.bytes_max
    }

    pub(crate) fn pending(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    pub(crate) fn consumed(&mut self, n: usize) {
        self.at = (self.at + n).min(self.bytes.len());
        if self.at == self.bytes.len() {
            clear(&mut self.bytes, &mut self.at);
        } else if self.at > self.bytes.len() / 2 {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_any_cut_of_the_stream() {
        let mut output = Output::new(1 << 20);
        for n in 0..20_u64 {
            assert!(output.push(&(n, alloc::vec![n; n as usize])));
        }
        let stream = output.pending().to_vec();
        for step in 1..40 {
            let mut decoder = Decoder::default();
            let mut seen = 0;
            for chunk in stream.chunks(step) {
                decoder.push(chunk);
                while let Some((n, list)) = decoder.next::<(u64, Vec<u64>)>().unwrap() {
                    assert_eq!((n, list.len()), (seen, seen as usize));
                    seen += 1;
                }
            }
            assert_eq!(seen, 20);
        }
    }

    #[test]
    fn a_large_frame_leaves_no_large_buffer() {
        let (mut output, mut decoder) = (Output::new(1 << 20), Decoder::default());
        assert!(output.push(&alloc::vec![7_u64; 10_000]));
        decoder.push(output.pending());
        assert_eq!(decoder.next::<Vec<u64>>().unwrap().map(|list| list.len()), Some(10_000));
        assert!(decoder.next::<Vec<u64>>().unwrap().is_none());
        output.consumed(output.pending().len());
        assert!(decoder.bytes.capacity().max(output.bytes.capacity()) <= KEPT_BYTES);
    }

    #[test]
    fn hostile_streams_are_refused() {
        let refuse = |bytes: &[u8]| {
            let mut decoder = Decoder::default();
            decoder.push(bytes);
            decoder.next::<u64>().unwrap_err()
        };
        assert_eq!(refuse(b"GET / HTTP/1.1"), FrameError::Magic);
        assert_eq!(refuse(b"VSM\0\x63\0"), FrameError::Version(99));
        let mut long = preamble().to_vec();
        long.extend_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(refuse(&long), FrameError::TooLong);
        let mut odd = preamble().to_vec();
        odd.extend_from_slice(&[2, 0, 0, 0, 1, 1]);
        assert_eq!(refuse(&odd), FrameError::Content);
    }
}
