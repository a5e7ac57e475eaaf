//! The seeded world.

mod app;
mod connect;
mod drive;
mod fabric;
mod fault;
mod host;
mod mutation;
mod net;
mod queue;
mod stream;
mod world;

pub use app::{Application, Handle, Load, Traffic};
pub use host::Site;
pub use mutation::Mutation;
pub use net::{Link, NetCounters};
pub use world::{Defect, HostFaults, World, WorldConfig};
