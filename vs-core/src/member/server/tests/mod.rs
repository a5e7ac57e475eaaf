//! Tests of the rooms of a membership server.

mod admission;
mod agree;
mod bench;
mod group;
mod identity;
mod links;
mod moshe;
mod peers;
