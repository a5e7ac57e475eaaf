//! Byte streams between clients and servers: a preamble with the version, then frames, each behind
//! its length. What stands in a frame: `wire::message`.

use alloc::vec::Vec;

use zeroize::Zeroize;

use super::STREAM_VERSION;
use super::channel::ChannelError;
pub use super::frame_error::FrameError;
use super::message::Frame;

/// What each side of a connection says first: who speaks, and which version.
const MAGIC: [u8; 4] = *b"VSM\0";

/// Bytes of the preamble: the magic and the version.
pub const PREAMBLE_BYTES: usize = 6;

/// The bit of the version by which a side says that it seals all behind its preamble.
pub const SEALED_BIT: u16 = 1 << 15;

/// Bytes of a frame's length.
const LENGTH_BYTES: usize = 4;

/// Longest frame, in bytes. A report of [`crate::VIEW_MEMBERS_MAX`] clients takes less.
pub const FRAME_BYTES_MAX: usize = 256 << 10;

/// Longest frame of somebody who has not named itself yet, in bytes. How somebody names itself
/// takes less.
pub const UNNAMED_FRAME_BYTES_MAX: usize = 4 << 10;

/// Bytes that the buffers of a connection keep while nothing is in them: signs of life, no more. A
/// server has many of them, and now and then a large frame goes through each.
const KEPT_BYTES: usize = 1 << 10;

/// Empties a buffer of which all was taken.
fn clear(bytes: &mut Vec<u8>, at: &mut usize) {
    if bytes.capacity() > KEPT_BYTES {
        *bytes = Vec::new();
    }
    bytes.clear();
    *at = 0;
}

/// The preamble of this version, of who sends in the clear.
#[must_use]
pub fn preamble() -> [u8; PREAMBLE_BYTES] {
    preamble_of(STREAM_VERSION)
}

/// The preamble of this version, of who seals all behind it.
#[must_use]
pub fn sealed_preamble() -> [u8; PREAMBLE_BYTES] {
    preamble_of(STREAM_VERSION | SEALED_BIT)
}

fn preamble_of(version: u16) -> [u8; PREAMBLE_BYTES] {
    let mut out = [0; PREAMBLE_BYTES];
    out[..MAGIC.len()].copy_from_slice(&MAGIC);
    out[MAGIC.len()..].copy_from_slice(&version.to_le_bytes());
    out
}

/// The version that a preamble says, without the bit, and whether the other side seals. `None`: it
/// is not complete.
pub(super) fn read_preamble(bytes: &[u8]) -> Result<Option<(u16, bool)>, FrameError> {
    let known = bytes.len().min(MAGIC.len());
    if bytes[..known] != MAGIC[..known] {
        return Err(FrameError::Magic);
    }
    let Some(version) = bytes.get(MAGIC.len()..PREAMBLE_BYTES) else { return Ok(None) };
    let version = u16::from_le_bytes([version[0], version[1]]);
    Ok(Some((version & !SEALED_BIT, version & SEALED_BIT != 0)))
}

/// Appends what is said as a frame to `out`.
pub(crate) fn encode<'a, M>(message: &'a M, out: &mut Vec<u8>)
where
    Frame: From<&'a M>,
{
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    Frame::from(message).encode(out);
    let len = (out.len() - start - LENGTH_BYTES) as u32;
    out[start..start + LENGTH_BYTES].copy_from_slice(&len.to_le_bytes());
}

/// What has arrived. Where it was sealed it may hold secrets of views, and is wiped.
#[derive(Debug, Default)]
struct Arrived {
    bytes: Vec<u8>,
    is_secret: bool,
}

impl Arrived {
    /// The first `n` bytes were taken.
    fn forget(&mut self, n: usize) {
        if !self.is_secret {
            self.bytes.drain(..n);
            return;
        }
        let rest = self.bytes.len() - n;
        self.bytes.copy_within(n.., 0);
        self.bytes[rest..].zeroize();
        self.bytes.truncate(rest);
    }

    /// The first `n` bytes were taken, and so is the room of them.
    fn shrink_to(&mut self, n: usize) {
        let rest = self.bytes[n..].to_vec();
        let mut before = core::mem::replace(&mut self.bytes, rest);
        if self.is_secret {
            before.zeroize();
        }
    }
}

impl Drop for Arrived {
    fn drop(&mut self) {
        if self.is_secret {
            self.bytes.zeroize();
        }
    }
}

/// Puts frames together from what arrives. Holds less than one frame and what was pushed last.
#[derive(Debug)]
pub(crate) struct Decoder {
    bytes: Arrived,
    at: usize,
    greeted: bool,
    skipped: u64,
    frame_bytes_max: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        let (bytes, frame_bytes_max) = (Arrived::default(), FRAME_BYTES_MAX);
        Self { bytes, at: 0, greeted: false, skipped: 0, frame_bytes_max }
    }
}

impl Decoder {
    /// A decoder of what somebody says who has not named itself yet.
    pub(crate) fn unnamed() -> Self {
        Self { frame_bytes_max: UNNAMED_FRAME_BYTES_MAX, ..Self::default() }
    }

    /// A decoder of what is sealed behind a preamble that was read elsewhere.
    pub(super) fn behind_preamble(mut self) -> Self {
        self.bytes.is_secret = true;
        Self { greeted: true, ..self }
    }

    /// The other side has named itself: frames may be long from now on.
    pub(crate) fn handle_named(&mut self) {
        self.frame_bytes_max = FRAME_BYTES_MAX;
    }

    /// Takes bytes; call [`Decoder::next`] until it has no more.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.input().extend_from_slice(bytes);
    }

    /// Where bytes are appended, as [`Decoder::push`] does.
    pub(super) fn input(&mut self) -> &mut Vec<u8> {
        self.bytes.forget(self.at);
        self.at = 0;
        &mut self.bytes.bytes
    }

    /// The next whole frame, if there is one, as what it means.
    pub(crate) fn next<M: TryFrom<Frame>>(&mut self) -> Result<Option<M>, FrameError> {
        if !self.greeted && !self.take_preamble()? {
            return Ok(None);
        }
        loop {
            if self.at == self.bytes.bytes.len() {
                self.bytes.forget(self.at);
                clear(&mut self.bytes.bytes, &mut self.at);
                return Ok(None);
            }
            let rest = &self.bytes.bytes[self.at..];
            let Some((len, rest)) = rest.split_first_chunk::<LENGTH_BYTES>() else {
                self.keep_rest();
                return Ok(None);
            };
            let len = u32::from_le_bytes(*len) as usize;
            if len > self.frame_bytes_max {
                return Err(FrameError::TooLong);
            }
            let Some(content) = rest.get(..len) else {
                self.keep_rest();
                return Ok(None);
            };
            let frame = Frame::decode(content)?;
            self.at += LENGTH_BYTES + len;
            match frame {
                Some(frame) => {
                    return M::try_from(frame).map(Some).map_err(|_| FrameError::Content);
                }
                None => self.skipped += 1,
            }
        }
    }

    /// Of what arrived, the room goes with the frames that were taken: who sends many and a part of
    /// another one would keep the room of all.
    fn keep_rest(&mut self) {
        if self.bytes.bytes.capacity() > KEPT_BYTES + 2 * self.held_bytes() {
            self.bytes.shrink_to(self.at);
            self.at = 0;
        }
    }

    /// Bytes of frames that are not complete, or not taken.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.bytes.len() - self.at
    }

    /// Frames that were skipped since the last call: their kinds are not known here.
    pub(crate) fn take_skipped(&mut self) -> u64 {
        core::mem::take(&mut self.skipped)
    }

    fn take_preamble(&mut self) -> Result<bool, FrameError> {
        let Some((version, seals)) = read_preamble(&self.bytes.bytes[self.at..])? else {
            return Ok(false);
        };
        if version != STREAM_VERSION {
            return Err(FrameError::Version(version));
        }
        if seals {
            return Err(FrameError::Seal(ChannelError::Sealed));
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

    /// An output that begins with the preamble of who seals.
    pub(super) fn sealed(bytes_max: usize) -> Self {
        Self { bytes: sealed_preamble().to_vec(), at: 0, bytes_max }
    }

    /// Where what was sealed is appended.
    pub(super) fn sink(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Whether no more waits than the bound allows, `besides` counted.
    pub(super) fn is_within_with(&self, besides: usize) -> bool {
        self.pending().len().saturating_add(besides) <= self.bytes_max
    }

    /// Appends a frame; false if more waits than the bound allows, and the connection is to be
    /// given up.
    pub(crate) fn push<'a, M>(&mut self, message: &'a M) -> bool
    where
        Frame: From<&'a M>,
    {
        encode(message, &mut self.bytes);
        self.is_within()
    }

    /// Appends a frame that was encoded before; as [`Output::push`].
    pub(crate) fn push_encoded(&mut self, frame: &[u8]) -> bool {
        self.bytes.extend_from_slice(frame);
        self.is_within()
    }

    fn is_within(&self) -> bool {
        self.is_within_with(0)
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
            // Who reads all but a byte keeps no room of what it has read.
            let room = KEPT_BYTES + 2 * self.bytes.len();
            if self.bytes.capacity() > 2 * room {
                self.bytes.shrink_to(room);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::ident::ProcessId;
    use crate::wire::message::{Accuse, Ping};

    /// So many accused.
    fn accuse(n: u64) -> Frame {
        let accused = (0..n).map(ProcessId).collect();
        Accuse { group: "chat".into(), accused }.into()
    }

    fn pushed(frames: impl IntoIterator<Item = Frame>) -> Output {
        let mut output = Output::new(1 << 20);
        assert!(frames.into_iter().all(|frame| output.push(&frame)));
        output
    }

    #[test]
    fn frames_survive_any_cut_of_the_stream() {
        let output = pushed((0..20).map(accuse));
        for step in 1..40 {
            let mut decoder = Decoder::default();
            let mut seen = 0;
            for chunk in output.pending().chunks(step) {
                decoder.push(chunk);
                while let Some(frame) = decoder.next::<Frame>().unwrap() {
                    assert_eq!(frame, accuse(seen));
                    seen += 1;
                }
            }
            assert_eq!(seen, 20);
        }
    }

    #[test]
    fn who_reads_all_but_a_byte_keeps_no_room() {
        let mut output = pushed([accuse(10_000)]);
        output.consumed(output.pending().len() - 1);
        assert_eq!(output.pending().len(), 1);
        assert!(output.bytes.capacity() <= 2 * (KEPT_BYTES + 2));
    }

    #[test]
    fn a_large_frame_leaves_no_large_buffer() {
        let (mut output, mut decoder) = (pushed([accuse(10_000)]), Decoder::default());
        decoder.push(output.pending());
        assert_eq!(decoder.next::<Frame>().unwrap(), Some(accuse(10_000)));
        assert!(decoder.next::<Frame>().unwrap().is_none());
        output.consumed(output.pending().len());
        assert!(decoder.bytes.bytes.capacity().max(output.bytes.capacity()) <= KEPT_BYTES);
    }

    /// What a decoder makes of a frame with `content`, followed by a [`Ping`].
    fn framed(content: &[u8]) -> (Result<Option<Frame>, FrameError>, u64) {
        let mut bytes = preamble().to_vec();
        bytes.extend_from_slice(&(content.len() as u32).to_le_bytes());
        bytes.extend_from_slice(content);
        encode(&Frame::from(Ping), &mut bytes);
        let mut decoder = Decoder::default();
        decoder.push(&bytes);
        (decoder.next(), decoder.take_skipped())
    }

    #[test]
    fn unknown_optional_fields_are_skipped() {
        let mut content = vec![];
        accuse(3).encode(&mut content);
        for options in [&[200, 0][..], &[1, 2, 7, 7, 2, 1, 9]] {
            let with = [&content[..], options].concat();
            assert_eq!(framed(&with), (Ok(Some(accuse(3))), 0));
            let cut = framed(&with[..with.len() - 1]).0;
            assert_eq!(cut, Err(FrameError::Content), "a field that is cut short");
        }
    }

    #[test]
    fn unknown_kinds_are_skipped_from_128_on() {
        assert_eq!(framed(&[255, 1, 2, 3]), (Ok(Some(Ping.into())), 1));
        assert_eq!(framed(&[127, 1, 2, 3]), (Err(FrameError::Kind(127)), 0));
        assert_eq!(framed(&[]), (Err(FrameError::Content), 0));
    }

    #[test]
    fn hostile_streams_are_refused() {
        let refuse = |bytes: &[u8]| {
            let mut decoder = Decoder::default();
            decoder.push(bytes);
            decoder.next::<Frame>().unwrap_err()
        };
        assert_eq!(refuse(b"GET / HTTP/1.1"), FrameError::Magic);
        assert_eq!(refuse(b"VSM\0\x63\0"), FrameError::Version(99));
        assert_eq!(refuse(b"VSM\0\x63\x80"), FrameError::Version(99));
        assert_eq!(refuse(&sealed_preamble()), FrameError::Seal(ChannelError::Sealed));
        let mut long = preamble().to_vec();
        long.extend_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(refuse(&long), FrameError::TooLong);
        let mut odd = preamble().to_vec();
        odd.extend_from_slice(&[2, 0, 0, 0, 4, 9]);
        assert_eq!(refuse(&odd), FrameError::Content);
    }
}
