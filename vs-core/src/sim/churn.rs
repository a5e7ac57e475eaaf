//! How often membership servers agree in the fast mode, by how fast their clients come and go.

use alloc::string::String;
use alloc::vec::Vec;

use crate::config::{ConfigError, GroupConfig};
use crate::ident::{GroupName, ProcessId, ServerId};
use crate::member::ServerConfig;
use crate::rng::Rng;
use crate::sim::config::WorldConfig;
use crate::sim::defect::Defect;
use crate::sim::net::Link;
use crate::sim::scenario::small_configs;
use crate::sim::site::Site;
use crate::sim::world::World;

/// Clients of each server.
const CLIENTS: u64 = 4;

const GROUP: &str = "churn";

/// A world of distant servers that never fail. Their clients come and go; the clients' network is
/// perfect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Churn {
    /// Servers, with four clients each.
    pub servers: u64,
    /// Delay from one site to another, one way, in ms. A round trip of proposals takes twice as
    /// long.
    pub delay_ms: u64,
    /// Mean number of changes at each server in 1000 round trips of proposals. 0: a change begins
    /// only when no other is under way.
    pub per_1000_trips: u64,
    /// Changes until the run ends.
    pub changes: u64,
}

/// What came of runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Clients that were killed, left, or came.
    pub changes: u64,
    /// Views that servers decided in the fast mode, counted at each server.
    pub fast: u64,
    /// Views that servers decided in the slow mode, counted at each server.
    pub slow: u64,
}

impl Share {
    /// Adds another run.
    pub fn add(&mut self, other: &Self) {
        self.changes += other.changes;
        self.fast += other.fast;
        self.slow += other.slow;
    }
}

/// Why a run came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stuck {
    /// The world came to an end.
    Defect(Defect),
    /// A configuration cannot be used.
    Config(ConfigError),
    /// The members did not come to share a view.
    Apart,
    /// The traces break a property.
    Violated(String),
}

impl From<Defect> for Stuck {
    fn from(defect: Defect) -> Self {
        Self::Defect(defect)
    }
}

impl From<ConfigError> for Stuck {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl core::fmt::Display for Stuck {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Defect(defect) => defect.fmt(f),
            Self::Config(error) => error.fmt(f),
            Self::Apart => f.write_str("the members did not come to share a view"),
            Self::Violated(what) => f.write_str(what),
        }
    }
}

impl Churn {
    /// Plays the run of a seed.
    ///
    /// # Errors
    /// The world ended with a defect, or a configuration cannot be used.
    pub fn play(&self, seed: u64) -> Result<Share, Stuck> {
        let mut world = self.world(seed)?;
        let mut rng = Rng::new(seed);
        let before = decided(&world);
        let mut changes = 0;
        while changes < self.changes {
            if self.per_1000_trips == 0 {
                self.change(&mut world, 1 + rng.below(self.servers), &mut rng)?;
                changes += 1;
                world.run_for_ms(self.calm_ms())?;
                continue;
            }
            for server in 1..=self.servers {
                if rng.below(1000 * 2 * self.delay_ms) < self.per_1000_trips {
                    self.change(&mut world, server, &mut rng)?;
                    changes += 1;
                }
            }
            world.run_for_ms(1)?;
        }
        world.run_for_ms(self.calm_ms())?;
        let (fast, slow) = decided(&world);
        Ok(Share { changes, fast: fast - before.0, slow: slow - before.1 })
    }

    /// By then nothing is under way: a change, and a slow round after it, take a few trips.
    fn calm_ms(&self) -> u64 {
        10 * self.delay_ms + 100
    }

    /// A client at `server` joins, leaves or is killed.
    fn change(&self, world: &mut World, server: u64, rng: &mut Rng) -> Result<(), Stuck> {
        let p = ProcessId(CLIENTS * (server - 1) + 1 + rng.below(CLIENTS));
        if !world.is_running(p) {
            world.start(p)?;
        } else if rng.percent(50) {
            world.kill(p);
        } else {
            world.leave(p);
        }
        Ok(())
    }

    /// All clients share a view.
    fn world(&self, seed: u64) -> Result<World, Stuck> {
        let mut world = World::new(WorldConfig { seed, ..WorldConfig::default() });
        let processes = CLIENTS * self.servers;
        let (node, small, _) = small_configs(processes as usize);
        let group = GroupConfig { peer_ms: 2000, block_ok_ms: 1000, ..small };
        let name = GroupName::new(GROUP).map_err(|_| ConfigError::Rule("the group has no name"))?;
        let mut sites: Vec<(Site, u64)> = Vec::new();
        for s in 1..=self.servers {
            world.add_server(ServerId(s), ServerConfig::default(), 0)?;
            sites.push((Site::Server(ServerId(s)), s));
        }
        for p in 1..=processes {
            let home = 1 + (p - 1) / CLIENTS;
            world.add_process(ProcessId(p), node.clone(), &[ServerId(home)], ());
            world.join(ProcessId(p), &name, group.clone());
            sites.push((Site::Process(ProcessId(p)), home));
        }
        let far = Link { delay_us: 1000 * self.delay_ms, ..Link::LAN };
        for (a, home) in &sites {
            for (b, _) in sites.iter().filter(|(_, other)| other != home) {
                world.set_link(*a, *b, far);
            }
        }
        for p in 1..=processes {
            world.start(ProcessId(p))?;
        }
        world.run_for_ms(2 * self.calm_ms())?;
        Ok(world)
    }
}

fn decided(world: &World) -> (u64, u64) {
    let counters = world.servers().map(|s| world.server_counters(s));
    counters.fold((0, 0), |(fast, slow), c| (fast + c.views_fast, slow + c.views_slow))
}
