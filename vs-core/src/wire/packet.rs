//! Datagrams.
/// Bytes before the body of a data packet.
pub const DATA_HEADER_BYTES: usize = 48;
