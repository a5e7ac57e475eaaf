//! Tests of the rooms of a membership server.

mod admission;
mod agree;
mod agreement;
mod bench;
mod claims;
mod dial;
mod discover;
mod group;
mod identity;
mod lan;
mod liars;
mod link_reports;
mod links;
mod numbers;
mod peers;
mod profile;
mod regroup;
mod sealed;
mod status;
mod unnamed;
