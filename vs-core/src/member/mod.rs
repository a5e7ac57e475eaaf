//! The membership service: the client in each node, the servers ([`server`]), and what they say ([`message`]).

pub(crate) mod client;
mod detector;
pub mod message;
pub mod server;

pub use server::{ConnId, Departure, LeftOut, Note, Server, ServerConfig, ServerCounters};
