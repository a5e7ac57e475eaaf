//! Scenarios: all that a run needs, as a value. The seed makes it, the [`run`](Scenario::run) follows it.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;

use crate::config::{ClientConfig, GroupConfig, NodeConfig};
use crate::ident::{ProcessId, ServerId};
use crate::member::ServerConfig;
use crate::rng::Rng;
use crate::rule::Rule;
use crate::sim::app::Load;
use crate::sim::generate;
use crate::sim::host::Site;
use crate::sim::kind::Fault;
use crate::sim::net::Link;
use crate::sim::world::WorldConfig;
use crate::trace::Event;

/// Something that is done to a world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Starts a process, for the first time or again.
    Start(ProcessId),
    /// Kills a process.
    Kill(ProcessId),
    /// Takes the power from a process' host.
    PowerOff(ProcessId),
    /// Leaves cleanly and ends.
    Leave(ProcessId),
    /// Sends so many messages in a burst.
    Send(ProcessId, u64),
    /// Stops a process or server for a while.
    Pause(Site),
    /// Lets it go on.
    Resume(Site),
    /// The application stops reading.
    StopReading(ProcessId),
    /// The application reads again.
    Read(ProcessId),
    /// Cuts one direction of a path.
    Cut(Site, Site),
    /// Makes it whole.
    Heal(Site, Site),
    /// Multicasts are lost on one direction of a path from now on, though it is healed.
    BlockMulticast(Site, Site),
    /// Cuts all paths between sites of different parts.
    Partition(Vec<Vec<Site>>),
    /// Makes all paths whole.
    HealAll,
    /// Changes all paths.
    Links(Link),
    /// Changes one direction of a path.
    SetLink(Site, Site, Link),
    /// Kills a server.
    KillServer(ServerId),
    /// Starts a server with a new boot epoch.
    StartServer(ServerId),
    /// Starts a second process under the id of one that runs, on a host of its own; nothing if that one does not run.
    StartImpostor(ProcessId),
    /// Kills it.
    KillImpostor(ProcessId),
    /// Sets the clock of a process or server forward by so many ms.
    Clock(Site, u64),
    /// Waits for a moment.
    When(Trigger),
}

/// A moment in the life of a process, at which things may be done to it or to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It was told of a proposed change.
    StartChange,
    /// It has sent its sync message.
    Sync,
    /// It was told the view of the membership service.
    MbrView,
    /// It has handed a packet on.
    Forward,
    /// It has installed a view.
    View,
    /// It was asked to stop sending.
    Block,
}

impl Moment {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::StartChange, Self::Sync, Self::MbrView, Self::Forward, Self::View, Self::Block];

    pub(crate) fn of(event: &Event) -> Option<Self> {
        match event {
            Event::StartChange { .. } => Some(Self::StartChange),
            Event::Sync { .. } => Some(Self::Sync),
            Event::MbrView { .. } => Some(Self::MbrView),
            Event::Forward { .. } => Some(Self::Forward),
            Event::View { .. } => Some(Self::View),
            Event::Block => Some(Self::Block),
            _ => None,
        }
    }
}

/// Something that is done when a process comes to a moment for the `nth` time, counted from 1 and from when the trigger
/// was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// Which process; any if none.
    pub process: Option<ProcessId>,
    /// What it comes to.
    pub moment: Moment,
    /// The how-many-th time.
    pub nth: u64,
    /// What follows, each so many µs later.
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
    /// Whether it is not the process itself, but one that is started under its id while it runs
    /// ([`Step::StartImpostor`]). Of those in [`Scenario::processes`] none is.
    pub impostor: bool,
}

/// What a scenario stresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Everything, in proportions that the seed draws.
    #[default]
    Mixed,
    /// Many messages, applications that read now and then, kills.
    Busy,
    /// A slow membership round into which change after change falls.
    Cascade,
    /// Loss, and processes that recover before they are missed.
    QuickRecovery,
    /// Heavy loss and kills in the middle of a burst.
    Lossy,
    /// Three servers, paths between them that come and go.
    Servers,
    /// Each seed has its own mix of faults, some of them bound to moments, and its own size: [`Scenario::random`].
    Swarm,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Mixed,
        Self::Busy,
        Self::Cascade,
        Self::QuickRecovery,
        Self::Lossy,
        Self::Servers,
        Self::Swarm,
    ];

    /// The name by which [`Profile::from_name`] finds it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Busy => "busy",
            Self::Cascade => "cascade",
            Self::QuickRecovery => "quick-recovery",
            Self::Lossy => "lossy",
            Self::Servers => "servers",
            Self::Swarm => "swarm",
        }
    }

    /// The profile of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A run in the making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Where it came from.
    pub seed: u64,
    /// What it stresses.
    pub profile: Profile,
    /// Whether the profile was asked for, not drawn.
    pub by_profile: bool,
    /// How many faults of each kind are planned, in the order of [`Fault::ALL`].
    pub kinds: [u64; Fault::ALL.len()],
    /// A rule that everyone leaves out.
    pub left_out: Option<Rule>,
    /// Whether the executable specification is stepped beside ([`crate::spec::refine`]).
    pub refine: bool,
    /// The world.
    pub world: WorldConfig,
    /// Every node.
    pub node: NodeConfig,
    /// Every group.
    pub group: GroupConfig,
    /// Every server.
    pub server: ServerConfig,
    /// The servers, and how far the clock of each is ahead, in ms.
    pub servers: Vec<(ServerId, u64)>,
    /// The processes.
    pub processes: Vec<ProcessPlan>,
    /// What happens, at µs from the start, ascending.
    pub steps: Vec<(u64, Step)>,
    /// When faults end and everything is healed, in µs from the start.
    pub heal_us: u64,
    /// Longest simulated time from then until all is settled, in ms.
    pub settle_ms: u64,
}

impl Scenario {
    /// Names of the groups; most scenarios use the first alone.
    pub const GROUPS: [&'static str; 2] = ["alpha", "beta"];

    /// The scenario of a seed: [`Profile::Swarm`].
    #[must_use]
    pub fn random(seed: u64) -> Self {
        generate::random(seed)
    }

    /// The scenario that bytes say, whatever they are: a fuzzer can steer it. It is smaller than others.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        generate::from_bytes(bytes)
    }

    /// A scenario of 2 to 12 processes, stressing something that the seed draws.
    #[must_use]
    pub fn of_any_profile(seed: u64) -> Self {
        generate::of_any_profile(seed)
    }

    /// The scenario of a seed, stressing one thing.
    #[must_use]
    pub fn with_profile(profile: Profile, seed: u64) -> Self {
        generate::with_profile(profile, seed)
    }

    /// A scenario in which nothing happens: one membership server, processes 1 to `processes`, which all start at once in
    /// one group, send nothing of their own accord and have nodes that answer block requests. Its fields are to be
    /// changed, and its steps to be added.
    #[must_use]
    pub fn calm(seed: u64, processes: u64) -> Self {
        generate::calm(seed, processes)
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

    /// The same for applications that keep to one group and leave it to the node to answer block requests.
    #[must_use]
    pub fn plain(mut self) -> Self {
        for plan in &mut self.processes {
            (plan.groups, plan.manual_block) = (alloc::vec![0], false);
        }
        self
    }

    /// The same with the executable specification stepped beside.
    #[must_use]
    pub fn refined(self) -> Self {
        Self { refine: true, ..self }
    }

    /// The same in a network that from the start carries no multicasts on so many of 100 paths from one process to
    /// another, which `seed` draws.
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
    #[must_use]
    pub fn leaving_out(self, rule: Rule) -> Self {
        Self { left_out: Some(rule), ..self }
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
