//! What the runtimes share on a host with an operating system, and the blocking one of them.
//!
//! - [`Group`]: a group as a handle that blocks: send, receive, leave. The thread that calls carries the protocol.
//! - [`SharedGroup`]: the same as a handle that threads share, with a thread of its own behind it.
//! - [`driver`]: a node with its sockets, for any loop that waits for sockets.
//! - [`udp`]: the two sockets of a node, set up and checked.
//! - [`beacons`]: the sockets by which membership servers find one another.
//! - [`trace`]: traces written to files.
//! - [`clock`]: the time that goes into a node.
#![forbid(unsafe_code)]

pub mod beacons;
pub mod clock;
pub mod driver;
pub mod trace;
pub mod udp;
pub mod unheard;

mod datagrams;
mod group;
mod link;
mod shared;

pub use group::{
    BatchError, Event, EventRef, Group, JoinError, JoinOptions, LeaveError, RecvError, SendError,
    pin,
};
pub use shared::{Reservation, SharedGroup};

/// The README's code, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
