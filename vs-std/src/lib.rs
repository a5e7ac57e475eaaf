//! What the runtimes share on a host with an operating system, and the blocking one of them.
//!
//! - [`driver`]: a node with its sockets, for any loop that waits for sockets.
//! - [`udp`]: the two sockets of a node, set up and checked.
//! - [`trace`]: traces written to files.
//! - [`clock`]: the time that goes into a node.
#![forbid(unsafe_code)]

pub mod clock;
pub mod driver;
pub mod trace;
pub mod udp;

mod datagrams;
mod link;

