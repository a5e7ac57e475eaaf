//! Names of things: processes, incarnations, local ids, view ids, groups.

use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;
use core::num::ParseIntError;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// Largest value of a process id, server id, cid or part of a view id: 2^53 − 1, so that every JSON
/// reader keeps it exact.
pub const NUMBER_MAX: u64 = (1 << 53) - 1;

/// The highest cid or view number that a client may say to have been given: 2^52 − 1. Whatever a
/// client claims, its group has numbers left: half as many again.
pub const CLAIMED_MAX: u64 = NUMBER_MAX / 2;

/// The highest number that a server or a process believes another one to have given: as far above
/// [`CLAIMED_MAX`] as the highest possible one is above it. So a claim, however high, is followed
/// by numbers that all believe.
pub(crate) const CREDIBLE_MAX: u64 = CLAIMED_MAX + NUMBER_MAX / 4;

/// Cids and view numbers are set aside for each millisecond, so that what one incarnation of a
/// process was given is below what its next one begins with: they are microseconds of UNIX time.
pub const IDS_PER_MS: u64 = 1000;

/// Largest incarnation, in ms of UNIX time: in the year 2112.
pub const INCARNATION_MAX: u64 = CLAIMED_MAX / IDS_PER_MS;

/// Longest group name, in bytes of UTF-8.
pub const GROUP_NAME_BYTES_MAX: usize = 64;

macro_rules! number {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

/// Conversions of ids that are at most [`NUMBER_MAX`].
macro_rules! checked {
    ($($name:ident)*) => {
        $(
            impl TryFrom<u64> for $name {
                type Error = NumberError;

                fn try_from(number: u64) -> Result<Self, NumberError> {
                    checked_number(number).map(Self)
                }
            }

            impl FromStr for $name {
                type Err = NumberError;

                fn from_str(text: &str) -> Result<Self, NumberError> {
                    parse_number(text).map(Self)
                }
            }
        )*
    };
}

/// Conversions of names, from and into text.
macro_rules! text {
    ($name:ident, $error:ident) => {
        impl FromStr for $name {
            type Err = $error;

            fn from_str(name: &str) -> Result<Self, $error> {
                Self::new(name)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = $error;

            fn try_from(name: &str) -> Result<Self, $error> {
                Self::new(name)
            }
        }

        impl TryFrom<alloc::string::String> for $name {
            type Error = $error;

            fn try_from(name: alloc::string::String) -> Result<Self, $error> {
                Self::new(&name)
            }
        }

        impl From<$name> for alloc::string::String {
            fn from(name: $name) -> Self {
                Self::from(name.as_str())
            }
        }
    };
}

/// Why a text or a number is not an id.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NumberError {
    /// The text is not a decimal number.
    NotANumber(ParseIntError),
    /// The number is above [`NUMBER_MAX`].
    TooLarge,
}

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotANumber(_) => f.write_str("an id is a decimal number"),
            Self::TooLarge => write!(f, "an id is at most {NUMBER_MAX}"),
        }
    }
}

impl core::error::Error for NumberError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::NotANumber(error) => Some(error),
            Self::TooLarge => None,
        }
    }
}

fn checked_number(number: u64) -> Result<u64, NumberError> {
    if number > NUMBER_MAX { Err(NumberError::TooLarge) } else { Ok(number) }
}

fn parse_number(text: &str) -> Result<u64, NumberError> {
    checked_number(text.parse().map_err(NumberError::NotANumber)?)
}

checked!(ProcessId Cid ServerId);

number! {
    /// A process: stable across its crashes and recoveries; at most [`NUMBER_MAX`].
    ProcessId
}
number! {
    /// A local id ("cid") that the membership service gave to one process for one proposed view.
    /// Strictly increasing at each process, also across recoveries (M2).
    Cid
}
number! {
    /// A membership server; at most [`NUMBER_MAX`].
    ServerId
}

/// One run of a process, from its start to its end: the time of the start, and a nonce.
///
/// The time is in milliseconds of UNIX time, at most [`INCARNATION_MAX`], and grows with every
/// start. Cids and view ids begin there ([`IDS_PER_MS`]), so they increase across a crash without
/// stable storage (M2, M6).
///
/// The nonce tells apart two processes that by mistake have one id and start in the same
/// millisecond: a server that knows of both refuses one of them, and members never take a message
/// of one for a message of the other. The runtime draws it at random at every start; where there
/// are keys, [`Node::set_keys`](crate::Node::set_keys) makes it a hash of the key with which this
/// incarnation alone signs. The order is that of the times; the nonce decides between equal ones.
///
/// It is serialised as its time alone, as traces and the status show it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(from = "u64", into = "u64")]
pub struct Incarnation {
    millis: u64,
    nonce: u64,
}

impl Incarnation {
    /// A start at this time, in milliseconds of UNIX time, with nonce 0.
    #[must_use]
    pub const fn new(millis: u64) -> Self {
        Self { millis, nonce: 0 }
    }

    /// The same time with another nonce.
    #[must_use]
    pub const fn with_nonce(self, nonce: u64) -> Self {
        Self { nonce, ..self }
    }

    /// The time of the start, in milliseconds of UNIX time.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.millis
    }

    /// The nonce.
    #[must_use]
    pub const fn nonce(self) -> u64 {
        self.nonce
    }
}

impl From<u64> for Incarnation {
    fn from(millis: u64) -> Self {
        Self::new(millis)
    }
}

impl From<Incarnation> for u64 {
    fn from(incarnation: Incarnation) -> Self {
        incarnation.millis
    }
}

/// The time alone.
impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.millis, f)
    }
}

/// The id of a view: `major` grows with every view at every process (S2), `minor` breaks ties
/// between components of a partitioned group and is the least server id in the view.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ViewId {
    /// Grows with every view.
    pub major: u64,
    /// The least id of the servers that agreed on the view.
    pub minor: u64,
}

impl fmt::Display for ViewId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.minor == 0 {
            write!(f, "{}", self.major)
        } else {
            write!(f, "{}.{}", self.major, self.minor)
        }
    }
}

/// Reads what [`ViewId`] displays: "4" or "4.2".
impl FromStr for ViewId {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        Ok(Self { major: parse_number(major)?, minor: parse_number(minor)? })
    }
}

/// The position of a member in the ascending member list of a view: how members are addressed on
/// the hot path.
pub type Rank = u16;

/// The number of a packet in the stream of one sender in one view, from 1; 0 means "none".
pub type Seq = u64;

/// The name of a group: 1 to [`GROUP_NAME_BYTES_MAX`] bytes of UTF-8 without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "alloc::string::String", into = "alloc::string::String")]
pub struct GroupName(Arc<str>);

/// Why a text is not a group name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupNameError {
    /// The text is empty.
    Empty,
    /// The text is longer than [`GROUP_NAME_BYTES_MAX`] bytes.
    TooLong,
    /// The text has a control character.
    Control,
}

impl fmt::Display for GroupNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a group name must not be empty"),
            Self::TooLong => {
                write!(f, "a group name has at most {GROUP_NAME_BYTES_MAX} bytes")
            }
            Self::Control => f.write_str("a group name must not contain control characters"),
        }
    }
}

impl core::error::Error for GroupNameError {}

/// The rules of a group name; those of a deployment's are the same.
pub(crate) fn check_name(name: &str) -> Result<(), GroupNameError> {
    if name.is_empty() {
        return Err(GroupNameError::Empty);
    }
    if name.len() > GROUP_NAME_BYTES_MAX {
        return Err(GroupNameError::TooLong);
    }
    if name.chars().any(char::is_control) {
        return Err(GroupNameError::Control);
    }
    Ok(())
}

impl GroupName {
    /// Checks `name`.
    ///
    /// # Errors
    /// Says which rule of a group name is broken.
    pub fn new(name: &str) -> Result<Self, GroupNameError> {
        check_name(name)?;
        Ok(Self(Arc::from(name)))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key that stands for this name in datagrams.
    #[must_use]
    pub fn key(&self) -> GroupKey {
        GroupKey(fnv1a(FNV_OFFSET, self.0.as_bytes()))
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text!(GroupName, GroupNameError);

/// The name of a deployment: a set of servers and processes that belong together, named by their
/// operator so that others are not taken up by mistake. The rules of a [`GroupName`]; by default
/// "default".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "alloc::string::String", into = "alloc::string::String")]
pub struct Deployment(Arc<str>);

/// A text is not the name of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeploymentError;

impl fmt::Display for DeploymentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the name of a deployment has 1 to {GROUP_NAME_BYTES_MAX} bytes without control characters"
        )
    }
}

impl core::error::Error for DeploymentError {}

impl Deployment {
    /// Checks `name`.
    ///
    /// # Errors
    /// It breaks a rule of a [`GroupName`].
    pub fn new(name: &str) -> Result<Self, DeploymentError> {
        GroupName::new(name).map(|name| Self(name.0)).map_err(|_| DeploymentError)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Deployment {
    fn default() -> Self {
        Self(Arc::from("default"))
    }
}

/// In quotes, since it stands in sentences.
impl fmt::Display for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

text!(Deployment, DeploymentError);

/// 64 bits of a group's name, in every datagram. A node refuses to join two groups whose keys
/// collide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey(pub u64);

/// Who a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The process id, the same after every recovery; at most 2^53 − 1.
    pub process: ProcessId,
    /// When the process started, at most [`INCARNATION_MAX`], with a nonce that is drawn at random
    /// at every start ([`Incarnation::with_nonce`]).
    pub incarnation: Incarnation,
    /// Where peers reach this node's unicast socket.
    pub addr: SocketAddr,
    /// Seed of all random choices of the node (delays of repairs).
    pub seed: u64,
}

/// The start value of [`fnv1a`].
pub const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// 64-bit FNV-1a of `bytes`, continued from `hash` (start with [`FNV_OFFSET`]): payload hashes of
/// traces, group keys.
#[must_use]
pub fn fnv1a(mut hash: u64, bytes: &[u8]) -> u64 {
    for &byte in bytes {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn ids_read_back_from_what_they_display() {
        for id in [ViewId { major: 4, minor: 0 }, ViewId { major: 7, minor: 2 }] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        let process = ProcessId(NUMBER_MAX);
        assert_eq!(process.to_string().parse(), Ok(process));
        assert_eq!(ServerId::try_from(NUMBER_MAX + 1), Err(NumberError::TooLarge));
        assert!(matches!("4.x".parse::<ViewId>(), Err(NumberError::NotANumber(_))));
        assert_eq!("".parse::<GroupName>(), Err(GroupNameError::Empty));
        assert_eq!("a\n".parse::<Deployment>(), Err(DeploymentError));
    }
}
