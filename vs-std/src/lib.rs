//! What the runtimes share on a host with an operating system, and the blocking one of them.
//!
//! - [`Group`]: a group as a handle that blocks: send, receive, leave.
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
mod group;
mod link;

pub use group::{
    BatchError, Event, EventRef, Group, Iter, JoinError, JoinOptions, LeaveError, RecvError,
    SendError, TryIter, pin,
};

/// The README's code, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
