//! Tests of the rooms of a membership server.

mod agree;
mod group;
mod moshe;
