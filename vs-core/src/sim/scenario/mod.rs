//! Scenarios: everything that a run needs, as a value. A seed makes it, and [`Scenario::run`] plays
//! it.

mod draw;
mod generate;
mod mix;
mod run;
mod swarm;

pub use run::play;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::config::{ClientConfig, GroupConfig, NodeConfig};
use crate::ident::{ProcessId, ServerId};
use crate::member::ServerConfig;
use crate::order::Order;
use crate::rng::Rng;
use crate::rule::Rules;
use crate::seal::{KeyRing, RingKey, SECRET_BYTES, Secret, Suite, TAG_BYTES};
use crate::sim::config::WorldConfig;
use crate::sim::kind::Fault;
use crate::sim::load::Load;
use crate::sim::moment::Moment;
use crate::sim::net::Link;
use crate::sim::profile::Profile;
use crate::sim::site::Site;

/// Something that is done to a world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Starts a process, for the first time or again.
    Start(ProcessId),
    /// Kills a process.
    Kill(ProcessId),
    /// Takes the power from the host of a process.
    PowerOff(ProcessId),
    /// Leaves cleanly and ends.
    Leave(ProcessId),
    /// Sends so many messages in a burst.
    Send(ProcessId, u64),
    /// Stops a process or server for a while.
    Pause(Site),
    /// Lets a paused process or server go on.
    Resume(Site),
    /// The application stops reading.
    StopReading(ProcessId),
    /// The application reads again.
    Read(ProcessId),
    /// Cuts one direction of a path.
    Cut(Site, Site),
    /// Heals one direction of a path.
    Heal(Site, Site),
    /// From now on multicasts are lost on one direction of a path. Healing the path does not change
    /// that.
    BlockMulticast(Site, Site),
    /// From now on multicasts are carried again on one direction of a path.
    CarryMulticast(Site, Site),
    /// Cuts all paths between sites of different parts.
    Partition(Vec<Vec<Site>>),
    /// Heals all paths.
    HealAll,
    /// Changes all paths.
    Links(Link),
    /// Changes one direction of a path.
    SetLink(Site, Site, Link),
    /// Kills a server.
    KillServer(ServerId),
    /// Starts a server with a new boot epoch.
    StartServer(ServerId),
    /// Starts a second process under the id of a running one, on a host of its own. Does nothing if
    /// that one does not run.
    StartImpostor(ProcessId),
    /// Kills that second process.
    KillImpostor(ProcessId),
    /// Sets the clock of a process or server forward by so many ms.
    Clock(Site, u64),
    /// From now on a process says to have received what nobody has sent, until all is healed.
    Lie(ProcessId),
    /// Waits for a moment.
    When(Trigger),
}

/// Something that is done when a process comes to a moment for the `nth` time, counted from 1 and
/// from when the trigger was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// The process; any process if none.
    pub process: Option<ProcessId>,
    /// The moment.
    pub moment: Moment,
    /// The number of the occurrence, from 1.
    pub nth: u64,
    /// The steps that follow, each with its delay in µs.
    pub steps: Vec<(u64, Step)>,
}

/// A process of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessPlan {
    /// Its id.
    pub id: ProcessId,
    /// Its membership servers, in the order of its preference.
    pub servers: Vec<ServerId>,
    /// Its groups, as positions in [`Scenario::GROUPS`].
    pub groups: Vec<usize>,
    /// What it sends.
    pub load: Load,
    /// Whether its application answers block requests itself.
    pub manual_block: bool,
    /// Whether it stays away at the end if it is down by then.
    pub stays_down: bool,
    /// How far the clock that its lives begin by is ahead, in ms; if it is `Some`, each begins
    /// above what the trace of the lives before has reached.
    pub clock_ahead_ms: Option<u64>,
    /// Whether it is not the process itself, but one that is started under its id while it runs
    /// ([`Step::StartImpostor`]). Of those in [`Scenario::processes`] none is.
    pub impostor: bool,
}

/// Simulated time that a healed world may take to settle, in ms: longer than the longest
/// readmission.
const SETTLE_MS: u64 = 20_000;

/// Everything that a run needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// The seed.
    pub seed: u64,
    /// The profile.
    pub profile: Profile,
    /// Whether the caller chose the profile; otherwise the seed drew it.
    pub by_profile: bool,
    /// How many faults of each kind are planned, in the order of [`Fault::ALL`].
    pub kinds: [u64; Fault::ALL.len()],
    /// The rules of the algorithm that all processes and servers keep.
    pub rules: Rules,
    /// Whether the executable specification is stepped beside ([`crate::spec::refine`]).
    pub refine: bool,
    /// How datagrams are sealed, if they are.
    pub suite: Option<Suite>,
    /// Configuration of the world.
    pub world: WorldConfig,
    /// Configuration of every node.
    pub node: NodeConfig,
    /// Configuration of every group.
    pub group: GroupConfig,
    /// Configuration of every server.
    pub server: ServerConfig,
    /// The servers, and how far the clock of each is ahead, in ms.
    pub servers: Vec<(ServerId, u64)>,
    /// The processes.
    pub processes: Vec<ProcessPlan>,
    /// The steps and their times, in µs from the start, ascending.
    pub steps: Vec<(u64, Step)>,
    /// When faults end and everything is healed, in µs from the start.
    pub heal_us: u64,
    /// Longest simulated time from then until all is settled, in ms.
    pub settle_ms: u64,
}

impl Scenario {
    /// Names of the groups; most scenarios use the first alone.
    pub const GROUPS: [&'static str; 2] = ["alpha", "beta"];

    /// A scenario in which nothing happens. It has one membership server, and processes 1 to
    /// `processes`, which all start at once in one group, send nothing of their own accord and have
    /// nodes that answer block requests. Change its fields and add steps.
    #[must_use]
    pub fn calm(seed: u64, processes: u64) -> Self {
        let world = WorldConfig { seed, ..WorldConfig::default() };
        let (node, group, server) = small_configs(processes as usize);
        let load = Load {
            interval_us: 0,
            burst_max: 1,
            bytes_max: group.message_bytes_max as u64,
            block_ok_us: 0,
            until: world.start,
        };
        let plan = |id| ProcessPlan {
            id,
            servers: alloc::vec![ServerId(1)],
            groups: alloc::vec![0],
            load,
            manual_block: false,
            stays_down: false,
            clock_ahead_ms: None,
            impostor: false,
        };
        let all = || (1..=processes).map(ProcessId);
        Self {
            seed,
            profile: Profile::default(),
            by_profile: false,
            kinds: [0; Fault::ALL.len()],
            rules: Rules::default(),
            refine: false,
            suite: None,
            world,
            node,
            group,
            server,
            servers: alloc::vec![(ServerId(1), 0)],
            processes: all().map(plan).collect(),
            steps: all().map(|p| (0, Step::Start(p))).collect(),
            heal_us: 0,
            settle_ms: SETTLE_MS,
        }
    }

    /// Under which ids a second process is started at some time, ascending.
    pub(crate) fn impostors(&self) -> BTreeSet<ProcessId> {
        fn of(step: &Step) -> Vec<ProcessId> {
            match step {
                Step::StartImpostor(p) => alloc::vec![*p],
                Step::When(trigger) => {
                    trigger.steps.iter().flat_map(|(_, step)| of(step)).collect()
                }
                _ => Vec::new(),
            }
        }
        self.steps.iter().flat_map(|(_, step)| of(step)).collect()
    }

    /// The same for applications that keep to one group and leave it to the node to answer block
    /// requests.
    #[must_use]
    pub fn plain(mut self) -> Self {
        for plan in &mut self.processes {
            (plan.groups, plan.manual_block) = (alloc::vec![0], false);
        }
        self
    }

    /// The same with the executable specification stepped beside. It is that of groups without
    /// clusters.
    #[must_use]
    pub fn refined(self) -> Self {
        Self { refine: true, ..self }.with_clusters(false)
    }

    /// The same with groups of this order.
    #[must_use]
    pub fn with_order(mut self, order: Order) -> Self {
        self.group.order = order;
        self
    }

    /// The same with groups whose views tell clusters, or with groups that have none.
    #[must_use]
    pub fn with_clusters(mut self, clusters: bool) -> Self {
        self.group.clusters = clusters;
        self
    }

    /// The same with datagrams that are sealed. They are longer by the tag.
    #[must_use]
    pub fn sealed(mut self, suite: Suite) -> Self {
        if self.suite.replace(suite).is_none() {
            self.node.datagram_bytes += TAG_BYTES;
        }
        self
    }

    /// The same with somebody on the network who has no key, and after so many of 1000 datagrams
    /// sends one: see [`WorldConfig::harm_permille`].
    #[must_use]
    pub fn with_harm(mut self, permille: u16) -> Self {
        self.world.harm_permille = permille;
        self
    }

    /// The keys with which datagrams are sealed.
    pub(crate) fn ring(&self) -> Option<KeyRing> {
        let mut secret = [0; SECRET_BYTES];
        secret[..8].copy_from_slice(&self.seed.to_le_bytes());
        let key = RingKey::of_servers(1, self.suite?, Secret::new(secret))?;
        KeyRing::new(alloc::vec![key]).ok()
    }

    /// The same in a network that from the start carries no multicasts on so many of 100 paths from
    /// one process to another, which `seed` draws.
    #[must_use]
    pub fn with_multicast_blocked(mut self, percent: u64, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let sites: Vec<Site> = self.processes.iter().map(|plan| Site::Process(plan.id)).collect();
        let pairs = sites.iter().flat_map(|a| sites.iter().map(move |b| (*a, *b)));
        let blocked = pairs.filter(|(a, b)| a != b && rng.percent(percent));
        let steps = blocked.map(|(a, b)| (0, Step::BlockMulticast(a, b)));
        self.steps = steps.chain(core::mem::take(&mut self.steps)).collect();
        self
    }

    /// The same with a rule of the algorithm left out everywhere.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn leaving_out(self, rule: crate::rule::Rule) -> Self {
        Self { rules: Rules::without(rule), ..self }
    }
}

/// Small bounds and short times, so that limits are met and a run is quick.
pub(crate) fn small_configs(members_max: usize) -> (NodeConfig, GroupConfig, ServerConfig) {
    let group = GroupConfig {
        members_max,
        window_packets: Some(32),
        message_bytes_max: 4096,
        queue_bytes: 16 << 10,
        early_packets_max: 64,
        block_ok_ms: 200,
        peer_ms: 300,
        ack_packets: 8,
        heartbeat_max_ms: 200,
        unheard_ms: 20,
        ..GroupConfig::default()
    };
    let client = ClientConfig {
        server_silence_ms: 200,
        heartbeat_ms: 50,
        reconnect_max_ms: 200,
        connect_ms: 200,
        ..ClientConfig::default()
    };
    let node = NodeConfig {
        datagram_bytes: 512,
        groups_max: Scenario::GROUPS.len(),
        client,
        ..NodeConfig::default()
    };
    let server = ServerConfig {
        silence_ms: 200,
        heartbeat_ms: 50,
        accuse_ms: 30,
        readmit_ms: 100,
        reattach_ms: 300,
        regroup_ms: 400,
        redial_ms: 30,
        redial_max_ms: 200,
        refused_ms: 200,
        dial_ms: 500,
        link_hold_ms: 50,
        link_hold_max_ms: 400,
        ..ServerConfig::default()
    };
    (node, group, server)
}
