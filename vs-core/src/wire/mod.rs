//! Bytes: datagrams ([`packet`], [`beacon`]) and frames ([`frame`]). The only place that reads or writes them.

pub mod beacon;
pub(crate) mod control;
pub mod frame;
pub mod packet;
pub mod reach;

/// The version of the protocol, in every datagram and in the first frame of a connection.
pub const PROTOCOL_VERSION: u8 = 1;
