//! Configuration: every bound and every time has a name, a unit and a default.

mod bounds;
mod client;
mod error;
mod group;
mod node;
mod setters;
#[cfg(test)]
mod tests;
mod times;

pub use bounds::{
    BUFFER_BYTES_LIMIT, DATAGRAM_BYTES, GROUPS_LIMIT, MESSAGE_BYTES_LIMIT, NAK_DELAY_US_LIMIT,
    PACKETS_LIMIT, POOL_SLOTS_LIMIT, TIME_MS_LIMIT, WINDOW_PACKETS,
};
pub use client::ClientConfig;
pub use error::ConfigError;
pub use group::{Blocking, GroupConfig};
pub use node::NodeConfig;

pub(crate) use setters::setters;
pub(crate) use times::{REDIAL_MOST_MS, attempt_ms, to_ms, to_us};
