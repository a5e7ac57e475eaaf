//! Why a byte stream is refused.

use super::channel::ChannelError;

/// Why a byte stream is not of this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// It begins with something else.
    Magic,
    /// It is of another version.
    Version(u16),
    /// It is not sealed as this side seals.
    Seal(ChannelError),
    /// A frame is longer than [`FRAME_BYTES_MAX`](super::frame::FRAME_BYTES_MAX).
    TooLong,
    /// A frame is of a kind that this version does not know and must not skip.
    Kind(u8),
    /// The content of a frame makes no sense.
    Content,
}

impl FrameError {
    /// What the other side did, in words.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Magic => "it speaks another protocol",
            Self::Version(_) => "it speaks another version of the protocol",
            Self::Seal(_) => "it does not seal as this side does",
            Self::Kind(_) => "it sent a frame of a kind that this version does not know",
            Self::TooLong => "it sent a frame above the limit",
            Self::Content => "it sent a frame that makes no sense",
        }
    }
}
