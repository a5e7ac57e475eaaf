//! The membership service: the client in each node, the servers ([`server`]), and what they say
//! ([`message`]). Or another one, of one's own: [`external`].

pub(crate) mod attached;
pub(crate) mod client;
mod contract;
pub(crate) mod detach;
mod detector;
mod discovery;
pub mod external;
pub(crate) mod link;
pub(crate) mod membership;
pub mod message;
pub(crate) mod past;
pub(crate) mod profile;
pub(crate) mod proposal;

pub mod server;
mod signs;

pub(crate) use detach::DetachReason;
pub(crate) use link::LinkCommand;

pub use contract::ContractError;
pub use detach::Departure;
pub use discovery::{DiscoveryConfig, UselessBeacon};
pub use external::{MembershipError, MembershipRequest};
pub use message::{Peer, Refusal};
pub use profile::{ProfileField, ProfileMismatch};
pub use server::{ConnId, LeftOut, Note, PeerTrouble, Server, ServerConfig};
