//! The membership service: clients ([`client`]), servers ([`server`]), and what they say to each other ([`message`]).

pub(crate) mod client;
mod detector;
pub mod message;
pub mod server;

pub use server::{ConnId, Note, Server, ServerConfig, ServerCounters};
