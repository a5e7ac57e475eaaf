//! Measurements of the workspace: what its benches and its two programs share. Nothing to use from outside.
//!
//! - [`load`]: a server under many clients, for the bench `groups`;
//! - [`memory`]: nodes and a membership server with nothing around them, for `cargo bench -p vs-bench`;
//! - [`path`]: the way of a message through the core, for the bench of that name and for `instructions`.
//!
//! `vs-bench/README.md` says how each measurement is run and what it shows.

pub mod load;
pub mod memory;
pub mod path;
