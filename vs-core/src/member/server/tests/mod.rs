//! Tests of the rooms of a membership server.

mod agree;
mod moshe;
