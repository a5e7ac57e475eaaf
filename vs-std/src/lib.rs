//! What the runtimes share on a host with an operating system, and the blocking one of them.
//!
//! - [`Group`]: a group as a handle that blocks: send, receive, leave. The thread that calls
//!   carries the protocol.
//! - [`SharedGroup`]: the same as a handle that threads share, with a thread of its own behind it.
//! - [`Replicated`]: a state that all members of a group have ([`vs_core::replica`]).
//! - [`driver`]: a node with its sockets, and with a membership server inside where none is named,
//!   for any loop that waits for sockets.
//! - [`server`]: a membership server with its sockets, for the same loops.
//! - [`udp`]: the two sockets of a node, set up and checked.
//! - [`keys`]: files of keys, random secrets, and fast ciphers, for what is to be sealed.
//! - [`beacons`]: the sockets by which membership servers find one another.
//! - [`trace`]: traces written to files.
//! - [`clock`]: the time that goes into a node.
//!
//! # Platforms
//!
//! Linux is where this crate is developed and tested. Calls of Linux alone have a fall-back for
//! other systems: the filter that keeps own multicasts out, eventfd, and pinning threads. On macOS
//! and other Unix systems it has not been tried. On Windows it is known not to build:
//! [`SharedGroup`] and the trace files use descriptors of Unix.
#![forbid(unsafe_code)]

pub mod beacons;
pub mod clock;
pub mod driver;
pub mod faults;
pub mod keys;
pub mod server;
pub mod trace;
pub mod udp;
pub mod unheard;

mod bell;
mod changes;
mod datagrams;
mod embedded;
mod group;
mod inside;
mod interface;
mod link;
mod name;
mod open_error;
mod open_files;
mod overflow;
mod owner;
mod random;
mod readiness;
mod replicated;
mod shared;
mod tcp;
mod watch;

pub use embedded::{EmbeddedConfig, EmbeddedServer, Membership};
pub use group::{
    BatchError, Event, EventRef, Group, JoinError, JoinOptions, LeaveError, RecvError, Role,
    SendError, SlowReader, Unanswered, pin,
};
pub use name::{ServerName, ServerNameError};
pub use open_files::OpenFiles;
pub use random::random;
pub use readiness::Readiness;
pub use replicated::{
    CallError, Pending, ReplicaEnd, ReplicaOptions, Replicated, SPOOL_MEMORY_BYTES, SnapshotReader,
    SnapshotWriter, spool,
};
pub use shared::{Reservation, SharedGroup};
pub use watch::AddressNote;

/// The README's code, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The programs of the manual that need this crate.
#[cfg(doctest)]
#[doc = include_str!("../../vs-core/src/manual/first_application.md")]
struct FirstApplication;
