//! Bytes: datagrams ([`datagram`], [`packet`], [`body`], [`trailer`], [`control`], [`reach`],
//! [`path`], [`direct`], [`beacon`]), frames ([`frame`]), how connections
//! are sealed, and what replicated states say. The only
//! place that reads or writes them. The [manual](crate::manual::wire) has all on one page.

pub mod beacon;
pub mod body;
mod bytes;
pub(crate) mod channel;
pub mod control;
pub mod datagram;
#[cfg(test)]
mod datagram_tests;
pub mod direct;
mod field;
pub mod frame;
mod frame_error;
#[cfg(test)]
pub(crate) mod golden;
pub(crate) mod message;
pub mod packet;
pub mod path;
pub mod reach;
pub(crate) mod replica;
pub(crate) mod shown;
pub(crate) mod stream;
#[cfg(test)]
mod tests;
pub mod trailer;

pub use channel::ChannelError;

/// The version of the protocol between processes, in every datagram.
///
/// Raise it if a program of the version before would misread a datagram, or would do the wrong
/// thing because it ignores a part of it: a field moves, or gets another type or meaning; a kind
/// that everybody must understand is added. Do not raise it for an optional field of a control
/// message, nor for the use of a reserved bit or byte that a reader may ignore. Never give a kind,
/// a flag or a tag that was in use another meaning. The samples in `tests/golden/datagrams` show
/// whether bytes have changed.
pub const PROTOCOL_VERSION: u8 = 2;

/// The version of the protocol with and between membership servers, in the first bytes of a
/// connection and of a beacon. Its highest bit is none of it: it says that what follows is sealed
/// ([`frame::SEALED_BIT`]). When to raise it is said in `wire/message.rs` and `wire/beacon.rs`.
pub const STREAM_VERSION: u16 = 3;
