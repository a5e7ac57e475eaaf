//! Tests of the rooms of a membership server.

mod admission;
mod agree;
mod bench;
mod dial;
mod group;
mod identity;
mod moshe;
mod peers;
