//! Virtually synchronous group communication, sans I/O.
//!
//! Processes that go together from one view of a group to the next deliver the same messages in between, through
//! crashes, joins, partitions and merges. This crate is the whole protocol as a value that takes events and returns
//! actions: no sockets, no clock, no threads, no hidden randomness, and no allocation while a view is stable. The
//! runtimes `vs-mio` and `vs-std` bind it to sockets; any other event loop can, see `examples/own_loop.rs`.
//!
//! # Who lives here
//!
//! - [`Node`]: one process in any number of groups. A group's endpoint joins two halves: `sync` agrees on views and
//!   knows only counts and ids; `cast` carries messages inside a view and knows of no agreement.
//! - [`member::Server`]: a membership server. It decides who may be in the next view; data never passes through it. Views
//!   of another source do as well: [`member::external`].
//! - [`spec`]: the promised properties as a checker over [`trace`]s.
//! - `explore` (feature `sim`): every interleaving of small worlds of the real automata.
//! - `sim` (feature `sim`): whole worlds of nodes and servers on a hostile network, from a seed.
//!
//! # Driving a node
//!
//! Methods come in four kinds: getters, commands ([`Node::join`], [`Node::send`], …), `handle_*` for what happened
//! outside, and `poll_*` for what follows. After any command or `handle_*`:
//!
//! 1. [`Node::poll_link`] until `None`: connect to, or leave, a membership server;
//! 2. write [`Node::stream_output`] to the server and report it with [`Node::stream_consumed`];
//! 3. [`Node::poll_transmit`] until `None`: send each datagram;
//! 4. [`Node::poll_action`]: tell the application, as much as it wants to hear; its commands lead back to 1, and so does
//!    an installed view, which has something to transmit;
//! 5. wait for a socket, or until [`Node::poll_timeout`], then [`Node::handle_timeout`].
//!
//! Times are nanoseconds from any origin, handed in with each call. The same calls with the same times and seed give
//! the same bytes.
//!
//! # Limits
//!
//! Every bound has a name in [`NodeConfig`] and [`GroupConfig`]; [`Node::footprint`] estimates what they come to. Junk
//! from the network ends in a [`Verdict`] and a counter, never in a panic or an error.
#![cfg_attr(
    feature = "sim",
    doc = "\n# Test your application\n\n[`sim::hostile_world`]: a program that plays it in two hundred hostile worlds, \
           and how to go on from there."
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
pub mod rng;
pub mod rule;
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
mod schedule;
mod sync;
mod time;
mod view;

pub use cast::CastCounters;
pub use config::{Blocking, ClientConfig, ConfigError, GroupConfig, NodeConfig};
pub use endpoint::{
    Action, BlockOkError, Dest, GroupSize, Route, SendError, Sent, Transmit, Verdict,
};
pub use member::detach::DetachReason;
pub use member::link::LinkCommand;
pub use node::{JoinError, Node};
pub use time::{Time, Wake};
pub use view::{DisplaySet, Members, VIEW_MEMBERS_MAX, View, ViewError, ViewKey};
