//! Bytes: datagrams ([`packet`], [`beacon`]) and frames ([`frame`]). The only place that reads or writes them.

pub mod beacon;
pub mod body;
pub(crate) mod control;
pub mod frame;
pub mod packet;
pub mod reach;

/// The version of the protocol between processes, in every datagram.
pub const PROTOCOL_VERSION: u8 = 1;

/// The version of the protocol with and between membership servers, in the first bytes of a connection.
pub const STREAM_VERSION: u16 = 2;
