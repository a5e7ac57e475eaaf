//! The membership service: the client in each node, the servers ([`server`]), and what they say ([`message`]).

pub(crate) mod client;
mod detector;
mod discovery;
pub mod message;
pub mod server;

pub use discovery::{DiscoveryConfig, UselessBeacon};
pub use message::Refusal;
pub use server::{ConnId, Note, PeerTrouble, Server, ServerConfig, ServerCounters};
