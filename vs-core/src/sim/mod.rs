//! The seeded world: whole nodes and whole membership servers on a hostile network, in virtual
//! time.
//!
//! Nothing here is a model of the protocol: the same [`Node`](crate::Node) and
//! [`Server`](crate::member::Server) that a runtime drives exchange real datagrams and real stream
//! bytes. What is simulated is what surrounds them: paths that delay, lose, duplicate and reorder;
//! connections that stall, end, or just fall silent; processes that crash, recover, stop and go on;
//! servers that restart; applications that do not read. Everything random comes from one seed, so
//! whatever goes wrong can be seen again.
//!
//! To test your application, begin with the page [`hostile_world`].
//!
//! # A world by hand
//!
//! Implement [`Application`], put it on some processes, do to them what the world will do, and look
//! at the result:
//!
//! ```
//! use vs_core::ident::{GroupKey, GroupName, ProcessId, ServerId};
//! use vs_core::sim::{Application, Handle, Site, World, WorldConfig};
//! use vs_core::{Action, GroupConfig, NodeConfig, Time};
//!
//! /// Adds up what everybody says.
//! #[derive(Default)]
//! struct Sum {
//!     group: Option<GroupKey>,
//!     say: Option<u8>,
//!     total: u64,
//! }
//!
//! impl Application for Sum {
//!     fn handle_joined(&mut self, group: GroupKey) {
//!         self.group = Some(group);
//!     }
//!
//!     fn handle_action(&mut self, _now: Time, action: &Action<'_>) {
//!         if let Action::Deliver { payload, .. } = action {
//!             self.total += u64::from(payload[0]);
//!         }
//!     }
//!
//!     fn act(&mut self, handle: &mut Handle<'_>) -> Option<Time> {
//!         if let (Some(group), Some(number)) = (self.group, self.say.take()) {
//!             handle.send(group, &[number]).unwrap();
//!         }
//!         None
//!     }
//! }
//!
//! let mut world = World::new(WorldConfig::default().with_seed(7));
//! world.add_server(ServerId(1), Default::default(), 0).unwrap();
//! let group = GroupName::new("sums").unwrap();
//! for p in (1..=3).map(ProcessId) {
//!     world.add_process(p, NodeConfig::default(), &[ServerId(1)], Sum::default());
//!     let config = GroupConfig::default()
//!         .with_members_max(4)
//!         .with_window_packets(64)
//!         .with_message_bytes_max(1024)
//!         .with_ack_packets(16);
//!     world.join(p, &group, config);
//!     world.start(p).unwrap();
//! }
//! let together = |world: &World<Sum>, n| {
//!     world.view(ProcessId(1), group.key()).is_some_and(|view| view.len() == n)
//! };
//! assert!(world.run_while_ms(1000, |world| !together(world, 3)).unwrap());
//!
//! world.pause(Site::Process(ProcessId(2)));
//! world.with_app(ProcessId(1), |sum| sum.say = Some(40));
//! world.with_app(ProcessId(3), |sum| sum.say = Some(2));
//! world.run_for_ms(50).unwrap();
//! world.resume(Site::Process(ProcessId(2)));
//! world.kill(ProcessId(3));
//! assert!(world.run_while_ms(1000, |world| !together(world, 2)).unwrap());
//! assert_eq!((world.app(ProcessId(1)).total, world.app(ProcessId(2)).total), (42, 42));
//! ```
//!
//! # Scenarios
//!
//! [`Scenario::random`] makes a whole run from one number: 2 to 128 processes, servers, traffic,
//! and a mix of faults of its own, some at a time, some at a moment of a view change ([`Trigger`]).
//! [`Scenario::from_bytes`] makes one from any bytes, so that a fuzzer can steer it.
//! [`Scenario::run`] plays it, heals everything, demands that the group settles (within a bound of
//! simulated time), and has [`spec`](crate::spec) judge the traces, liveness included; with
//! [`Scenario::refined`] the executable specification is stepped beside each process;
//! [`Scenario::run_with`] puts other applications on the processes, and [`Scenario::calm`] is a
//! scenario to write on. Rare situations are counted ([`Mark`](crate::trace::Mark)): runs that
//! never come to one prove nothing about it ([`Stats::shortfalls`]). `vs sim` plays any number of
//! them; a million take some 45 minutes on two cores:
//!
//! ```text
//! vs sim --seeds 0..1000000
//! ```

mod adversary;
mod app;
mod arrived;
mod churn;
mod config;
mod defect;
mod fabric;
mod host;
pub mod hostile_world;
mod kind;
mod liar;
mod load;
mod mark;
mod moment;
mod net;
mod notes;
mod outcome;
mod processor;
mod profile;
mod queue;
mod recorder;
mod scenario;
mod site;
mod stats;
mod stream;
#[cfg(test)]
mod tests;
mod transmitted;
mod wan;
mod world;

pub use app::{Application, Handle, Traffic};
pub use churn::{Churn, Share, Stuck};
pub use config::WorldConfig;
pub use defect::Defect;
pub use kind::Fault;
pub use load::Load;
pub use mark::Marks;
pub use moment::Moment;
pub use net::{Link, NetCounters};
pub use outcome::{Failure, Outcome, Why};
pub use profile::Profile;
pub use recorder::StepObserver;

pub use scenario::{ProcessPlan, Scenario, Step, Trigger, play};
pub use site::Site;
pub use stats::{FLOOR_RUNS, Stats};
pub use wan::{WAN_MEMBERS, Wan, WanChange, WanDraw, WanTiming, WanTraffic};
pub use world::{HostFaults, World};
