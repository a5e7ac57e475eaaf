//! What the runtimes share on a host with an operating system, and the blocking one of them.
//!
//! - [`udp`]: the two sockets of a node, set up and checked.
//! - [`trace`]: traces written to files.
//! - [`clock`]: the time that goes into a node.
#![forbid(unsafe_code)]

pub mod clock;
pub mod trace;
pub mod udp;
