//! Virtually synchronous group communication on [mio].
//!
//! - [`Driver`]: a [`vs_core::Node`] with its sockets, for programs that have a [`mio::Poll`] of
//!   their own;
//! - [`run`]: a loop for those that have none;
//! - [`ServerDriver`] and [`run_server`]: the same for a membership server.
//!
//! # In your own loop
//!
//! [`Driver::register`] takes the tokens that you give it. From then on, in each round:
//!
//! 1. [`mio::Poll::poll`] for at most [`Driver::timeout`];
//! 2. [`Driver::handle_event`] for each event; it says whether the event was the driver's;
//! 3. [`Driver::advance`];
//! 4. [`Driver::poll_action`], as much as the application wants to hear. Commands
//!    ([`Driver::send`], …) and installed views have something to send: [`Driver::flush`] before
//!    the next poll.
//!
//! Events are edge-triggered. What was left unread, so that one busy socket does not starve the
//! rest, is remembered ([`Driver::has_backlog`]), and the timeout is zero until it was read.
//!
//! # Without a server to start
//!
//! With [`vs_std::Membership::Embedded`] in its [`DriverConfig`] a driver has a membership server
//! of its own, which finds those inside the other processes. Its sockets are registered with those
//! of the node, and [`Driver::poll_note`] tells what it sees.
//!
//! # Platforms
//!
//! Sockets are registered by their descriptors, so this crate is for Unix systems. Linux is where
//! it is tested.
#![forbid(unsafe_code)]

mod driver;
mod run;
mod serve;

pub use driver::{Driver, Tokens};
pub use run::{run, run_server};
pub use serve::ServerDriver;
pub use vs_std::driver::{ConnectFailure, DriverConfig, IoCounters, LinkStatus, OpenError};
pub use vs_std::keys;
