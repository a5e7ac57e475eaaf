//! Virtually synchronous group communication, sans I/O.
//!
//! Processes that move together from one view of a group to the next have delivered the same
//! messages in between, through crashes, joins, partitions and merges. This crate is the whole
//! protocol as a value that takes events and returns actions. It has no sockets, no clock, no
//! threads and no hidden randomness, and it allocates nothing while a view is stable. The runtimes
//! `vs-mio` and `vs-std` bind it to sockets; any other event loop can do the same
//! ([`manual::own_loop`]).
//!
//! # The rooms
//!
//! | Room | What it holds |
//! |---|---|
//! | [`Node`] | one process in any number of groups; what an event loop drives |
//! | `endpoint` | one group: dispatches what arrives, installs views, joins `sync` and `cast` |
//! | `sync` | agreement on views: knows counts and ids, no payload and no time |
//! | `cast` | reliable multicast inside one view: knows no agreement |
//! | [`order`] | whose message is delivered next |
//! | [`replica`] | a replicated state: one state at all members, through crashes and partitions |
//! | [`member`] | membership: the client, the contract, servers ([`member::Server`]), views of another source ([`member::external`]) |
//! | [`wire`] | every byte of datagrams, frames and beacons |
//! | [`ident`], [`Time`], [`View`] | names, numbers, views |
//! | [`trace`] | what a process saw, as values |
//! | [`status`] | what an operator is told |
//! | [`spec`] | the promised properties, as a checker of [`trace`]s |
//! | [`rule`] | the rules of the algorithm that tests may leave out, one at a time |
//! | `explore`, `sim` (feature `sim`) | every interleaving of small worlds; whole worlds on a hostile network, from a seed |
//! | [`manual`] | the pages: how to operate a group, the rules, the properties, the glossary |
//!
//! # Driving a node
//!
//! Methods come in four kinds: getters, commands ([`Node::join`], [`Node::send`], …), `handle_*`
//! for what happened outside, and `poll_*` for what follows. After any command or `handle_*`:
//!
//! 1. Call [`Node::poll_link`] until `None`: connect to a membership server, or leave it.
//! 2. Write [`Node::stream_output`] to the server, and report it with [`Node::stream_consumed`].
//! 3. Call [`Node::poll_transmit`] until `None`: send each datagram.
//! 4. Call [`Node::poll_action`]: tell the application, as much as it wants to hear. Its commands
//!    lead back to 1, and so does an installed view, which has something to transmit.
//! 5. Wait for a socket, or until [`Node::poll_timeout`]; then call [`Node::handle_timeout`].
//!
//! Times are nanoseconds from any origin, handed in with each call. The same calls with the same
//! times and seed give the same bytes.
//!
//! # Bounds and errors
//!
//! Every bound has a name in [`NodeConfig`] and [`GroupConfig`]. [`GroupSize`] says what a group of
//! a given configuration takes, [`Node::footprint`] what a node takes. Junk from the network ends
//! in a [`Verdict`] and a counter, never in a panic or an error. An error of a call says that
//! nothing changed. A panic is a defect of this crate.
//!
//! # Threads, `fork`, platforms
//!
//! A [`Node`] is a plain value without threads, locks or global state. It is [`Send`] if its tracer
//! is: it may move to another thread, and one thread at a time calls it. A program with several
//! nodes may drive each of them in a thread of its own.
//!
//! Do not use a node in both processes after `fork`: they would have one id, one incarnation and
//! the same numbers. Fork before the node is made, or make a new node in the child, with a process
//! id of its own.
//!
//! The crate needs `alloc` and no operating system: it builds for any target that has an allocator
//! and atomic pointers. What runtimes need of a platform is said in [`manual::operating`].
#![cfg_attr(
    feature = "sim",
    doc = "\n# Test your application\n\n[`sim::hostile_world`] is a program that plays it in two hundred hostile worlds, and says \
           what to do next."
)]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(feature = "sim")]
pub mod explore;
pub mod ident;
pub mod manual;
pub mod member;
pub mod order;
pub mod replica;
pub mod rng;
pub mod rule;
pub mod seal;
#[cfg(feature = "sim")]
pub mod sim;
pub mod spec;
pub mod status;
pub mod trace;
#[cfg(feature = "json")]
pub mod trace_json;
pub mod wire;

/// Bounds of the configuration: the least and the greatest value that a field may have.
pub mod limits {
    pub use crate::config::{
        BUFFER_BYTES_LIMIT, DATAGRAM_BYTES, GROUPS_LIMIT, MESSAGE_BYTES_LIMIT, NAK_DELAY_US_LIMIT,
        PACKETS_LIMIT, POOL_SLOTS_LIMIT, TIME_MS_LIMIT, WINDOW_PACKETS,
    };
}

mod cast;
mod config;
mod endpoint;
mod node;
mod pool;
mod ranges;
mod ring;
mod sync;
mod time;
mod view;

pub use cast::CastCounters;
pub use config::{Blocking, ClientConfig, ConfigError, GroupConfig, NodeConfig};
pub use endpoint::{
    Action, BlockOkError, DIRECT_QUEUE_BYTES, Dest, DirectError, GroupSize, NoteError, Route,
    SendError, Sent, Transmit, Verdict, WaitsFor,
};
pub use member::detach::DetachReason;
pub use member::link::LinkCommand;
pub use node::{Impostor, JoinError, Node, OtherKeys, OtherVersion};
pub use time::{Time, Wake};
pub use view::{
    Cluster, Clusters, DisplaySet, Members, NOTE_MAX, Note, NoteTooLong, VIEW_MEMBERS_MAX, View,
    ViewError, ViewKey,
};
