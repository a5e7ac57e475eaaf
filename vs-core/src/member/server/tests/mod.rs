//! Tests of the rooms of a membership server.

mod admission;
mod agree;
mod bench;
mod claims;
mod dial;
mod discover;
mod group;
mod identity;
mod lan;
mod links;
mod moshe;
mod peers;
mod profile;
mod regroup;
mod status;
mod words;
