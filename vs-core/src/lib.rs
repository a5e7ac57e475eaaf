//! Virtually synchronous group communication, sans I/O.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod config;
pub mod ident;
pub mod member;
#[cfg(feature = "sim")]
pub mod sim;
pub mod rng;
pub mod spec;
pub mod time;
pub mod trace;
#[cfg(feature = "json")]
pub mod trace_json;
pub mod wire;

mod action;
mod cast;
mod endpoint;
mod node;
mod pool;
mod ranges;
mod ring;
mod sync;
mod view;

pub use action::*;
pub use config::{Blocking, ClientConfig, ConfigError, GroupConfig, NodeConfig};
pub use node::{Counters, Identity, Node};
pub use time::Time;
pub use view::{DisplaySet, Members, VIEW_MEMBERS_MAX, View, ViewError};
