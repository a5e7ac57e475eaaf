//! The fuzz targets. Whatever arrives, in whatever order: nothing panics, nothing hangs, nothing
//! grows without bound, and what a group promises holds for all that keep to the rules.
//!
//! | target | what an input is |
//! |---|---|
//! | [`wire`] | a datagram, or a description of a control message |
//! | [`frames`] | bytes from strangers to a membership server, or from a server to a node |
//! | [`node`] | what the peers of a node in a view of three send, and what its clock shows |
//! | [`trace`] | traces as text, or a description of some; the checker judges them |
//! | [`api`] | calls of the public interface, and what happens to the datagrams |
//! | [`world`] | a scenario of the simulator |
//! | [`sealed`] | changes to a sealed datagram, bytes to a server with keys, or a key file |
//!
//! ```text
//! # hunts
//! cargo +nightly fuzz run node -- -max_total_time=600 -malloc_limit_mb=64
//! # replays, on any compiler
//! cargo run --manifest-path fuzz/Cargo.toml --bin node -- fuzz/corpus/node
//! # writes initial inputs
//! cargo run --manifest-path fuzz/Cargo.toml --bin seeds
//! # keeps the inputs that add coverage
//! cargo +nightly fuzz cmin node
//! ```

mod bytes;
mod cluster;
mod control;
mod lone;
mod message;
mod target;

pub mod api;
pub mod frames;
pub mod node;
pub mod sealed;
pub mod trace;
pub mod wire;
pub mod world;

pub use bytes::Bytes;
pub use target::replay;

/// Initial inputs, by name.
pub type Seeds = Vec<(String, Vec<u8>)>;
