//! Why a connection is not sealed as both sides want it.

use core::fmt;

/// Why a connection is not sealed as this side wants it, and ends. Whoever is between both sides
/// can bring about each of these: so none of them is a reason to give up for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelError {
    /// There are keys here; the other side sends in the clear.
    Clear,
    /// The other side seals; there are no keys here.
    Sealed,
    /// The other side speaks another version of the protocol.
    Version {
        /// The version of the other side.
        other: u16,
        /// Ours.
        own: u16,
    },
    /// The other side speaks another protocol.
    Protocol,
    /// The other side seals with the key of this id, which is not here.
    NotHere(u8),
    /// This side seals with the key of this id, which the other side does not have.
    NotThere(u8),
    /// The key of this id has another suite there than here.
    Suite(u8),
    /// The key of this id is another one there than here, or the deployment is.
    Other(u8),
    /// What arrived is no handshake.
    Handshake,
    /// What arrived was not sealed by the other side.
    Forged,
}

impl ChannelError {
    /// A code that says which of them it is, and its numbers.
    pub(crate) fn code(self) -> (u8, u64, u64) {
        match self {
            Self::Clear => (0, 0, 0),
            Self::Sealed => (1, 0, 0),
            Self::Version { other, own } => (2, other.into(), own.into()),
            Self::Protocol => (3, 0, 0),
            Self::NotHere(id) => (4, id.into(), 0),
            Self::NotThere(id) => (5, id.into(), 0),
            Self::Suite(id) => (6, id.into(), 0),
            Self::Other(id) => (7, id.into(), 0),
            Self::Handshake => (8, 0, 0),
            Self::Forged => (9, 0, 0),
        }
    }

    /// Which of them a code says.
    pub(crate) fn of_code((code, first, second): (u64, u64, u64)) -> Option<Self> {
        let id = || u8::try_from(first).ok();
        let version = |number: u64| u16::try_from(number).ok();
        Some(match code {
            0 => Self::Clear,
            1 => Self::Sealed,
            2 => Self::Version { other: version(first)?, own: version(second)? },
            3 => Self::Protocol,
            4 => Self::NotHere(id()?),
            5 => Self::NotThere(id()?),
            6 => Self::Suite(id()?),
            7 => Self::Other(id()?),
            8 => Self::Handshake,
            9 => Self::Forged,
            _ => return None,
        })
    }
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clear => f.write_str(
                "the other side has no key and sends in the clear: give it the key of this side",
            ),
            Self::Sealed => f.write_str(
                "the other side has a key and seals what it sends: give this side the same key",
            ),
            Self::Version { other, own } => write!(
                f,
                "the other side speaks version {other} of the protocol, this side {own}: upgrade the older one"
            ),
            Self::Protocol => f.write_str("what answers there speaks another protocol"),
            Self::NotHere(id) => write!(
                f,
                "the other side seals with the key {id}, which this side does not have: add it here"
            ),
            Self::NotThere(id) => write!(
                f,
                "the other side does not have the key {id}, with which this side seals: add it there"
            ),
            Self::Suite(id) => {
                write!(f, "the key {id} has another suite at the other side: name one at both")
            }
            Self::Other(id) => write!(
                f,
                "the key {id} is another one at the other side, or its deployment is: take the same at both"
            ),
            Self::Handshake => {
                f.write_str("what the other side sent is no handshake: it is another program")
            }
            Self::Forged => f.write_str(
                "what arrived was not sealed by the other side: somebody between both has changed it",
            ),
        }
    }
}

impl core::error::Error for ChannelError {}
