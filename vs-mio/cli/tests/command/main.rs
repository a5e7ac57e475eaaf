//! The command `vs` from end to end: real processes, real sockets, multicast on loopback, and the
//! checker over what they did. Times are printed, never judged: limits only end a hang.

mod chat;
mod demo;
mod discover;
mod faults;
mod forged;
mod forger;
mod hostile;
mod keys;
mod kv;
mod metrics;
mod odd_worlds;
mod perf;
mod primary;
mod profile;
mod recorded;
mod rotation;
mod servers;
mod service;
mod starts;
mod status;
mod steps;
mod strangers;
mod top;
mod unicast;
mod world;
