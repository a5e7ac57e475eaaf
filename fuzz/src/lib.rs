//! What the fuzz targets try. Whatever arrives, and in whatever order: nothing panics, nothing hangs, nothing grows
//! without bound, and what is promised of a group holds for whoever keeps to the rules.
//!
//! | target | what an input is |
//! |---|---|
//! | [`wire`] | a datagram, or a description of a control message |
//! | [`frames`] | what strangers say to a membership server that serves a group, or what a server says to a node |
//! | [`node`] | what the peers of a node in a view of three say, and what its clock shows |
//! | [`trace`] | traces as text, or a description of some; the checker judges them |
//! | [`api`] | calls of the public interface by some processes, and what becomes of their datagrams |
//! | [`world`] | a scenario of the simulator |
//!
//! ```text
//! cargo +nightly fuzz run node -- -max_total_time=600 -malloc_limit_mb=64     # hunts
//! cargo run --manifest-path fuzz/Cargo.toml --bin node -- fuzz/corpus/node    # replays, on any compiler
//! cargo run --manifest-path fuzz/Cargo.toml --bin seeds                       # writes inputs to begin with
//! cargo +nightly fuzz cmin node                                               # keeps those that add something
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
pub mod trace;
pub mod wire;
pub mod world;

pub use bytes::Bytes;
pub use target::replay;

/// Inputs to begin with, by name.
pub type Seeds = Vec<(String, Vec<u8>)>;
