//! Bytes: datagrams ([`datagram`], [`packet`], [`beacon`]) and frames ([`frame`]; their format is in `message`). The only
//! place that reads or writes them.

pub mod beacon;
pub mod body;
mod bytes;
pub(crate) mod control;
pub mod datagram;
pub mod frame;
#[cfg(test)]
pub(crate) mod golden;
pub(crate) mod message;
pub mod packet;
pub mod reach;
#[cfg(test)]
mod tests;

/// The version of the protocol between processes, in every datagram.
pub const PROTOCOL_VERSION: u8 = 2;

/// The version of the protocol with and between membership servers, in the first bytes of a connection and of a beacon.
/// When to raise it is said in `wire/message.rs` and `wire/beacon.rs`.
pub const STREAM_VERSION: u16 = 3;
