//! The seeded world.

mod app;
mod connect;
mod drive;
mod fabric;
mod fault;
mod generate;
mod host;
mod net;
mod outcome;
mod queue;
mod run;
mod scenario;
mod stream;
mod world;

pub use app::{Application, Handle, Load, Traffic};
pub use host::Site;
pub use net::{Link, NetCounters};
pub use outcome::{Failure, Outcome, Stats, Why};
pub use scenario::{ProcessPlan, Profile, Scenario, Step};
pub use world::{Defect, HostFaults, World, WorldConfig};
