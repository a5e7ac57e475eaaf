//! Tests of the rooms of a membership server.

mod admission;
mod agree;
mod bench;
mod group;
mod moshe;
mod peers;
