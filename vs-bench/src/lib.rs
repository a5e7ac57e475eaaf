//! Measurements of the workspace: what its benches and its programs share. Nothing to use from
//! outside.
//!
//! - [`load`]: a server under many clients, for the bench `groups`;
//! - [`members`]: processes of a group, and how long it takes until all have the next view, for
//!   `compare` and `wan`;
//! - [`memory`]: nodes and a membership server with nothing around them, for `cargo bench -p
//!   vs-bench`;
//! - [`path`]: the way of a message through the core, for the bench of that name and for
//!   `instructions`;
//! - [`process`], [`programs`], [`samples`]: what `compare` and `wan` start, build and keep.
//!
//! `vs-bench/README.md` says how each measurement is run and what it shows.

pub mod load;
pub mod members;
pub mod memory;
pub mod path;
pub mod process;
pub mod programs;
pub mod samples;
