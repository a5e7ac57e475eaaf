//! Generates a scenario from a seed.

use alloc::vec::Vec;

use crate::ident::{ProcessId, ServerId};
use crate::order::Order;
use crate::rng::Rng;
use crate::seal::Suite;
use crate::sim::config::WorldConfig;
use crate::sim::kind::Fault;
use crate::sim::load::Load;
use crate::sim::net::Link;
use crate::sim::profile::Profile;
use crate::sim::scenario::draw::Draw;
use crate::sim::scenario::mix;
use crate::sim::scenario::{ProcessPlan, Scenario, Step, small_configs};
use crate::sim::site::Site;

/// Mixed into a seed, so that the choice of the processes that make views primary changes no other
/// choice.
const PRIMARY_SEED: u64 = 0x54;

/// Mixed into a seed, so that the choice of the order changes no other choice.
const ORDER_SEED: u64 = 0x70;

/// Mixed into a seed, so that the choice of clusters changes no other choice.
const CLUSTERS_SEED: u64 = 0xc1;
/// The same for clocks.
const CLOCKS_SEED: u64 = 0xc10c;

/// Percentage of scenarios whose groups have clusters.
const CLUSTERS_PERCENT: u64 = 30;

/// Percentage of scenarios whose groups have one order for all members.
const ORDERED_PERCENT: u64 = 30;

/// Percentage of the others whose groups are causal.
const CAUSAL_PERCENT: u64 = 20;

/// Percentage of swarms whose processes all start in the same instant.
const HERD_PERCENT: u64 = 10;

/// Percentage of swarms in a network that does not carry multicasts everywhere.
const BLOCKED_PERCENT: u64 = 10;

/// Percentage of swarms whose datagrams are sealed; in half of these somebody without a key does
/// harm.
const SEALED_PERCENT: u64 = 25;

/// Greatest share of datagrams after which that one sends something, of 1000.
const HARM_PERMILLE: u64 = 300;

/// From so many processes on, of which many do not hear each other's multicasts, `peer_ms` is
/// [`CROWD_PEER_MS`] for each of them: a node may say one word a millisecond to find out who does
/// not hear it, and takes one member for deaf each 50 ms.
const CROWD: usize = 16;

/// Most processes of a swarm whose multicasts do not arrive everywhere: each datagram goes to each
/// of them, so the events of a run grow with the square of their number.
const DEAF_MAX: usize = 64;

/// Part of `peer_ms` for each member of such a crowd, in ms.
const CROWD_PEER_MS: u64 = 100;

/// How often `peer_ms` may pass more while such a crowd settles.
const CROWD_ROUNDS: u64 = 4;

impl Scenario {
    /// The scenario of a seed: [`Profile::Swarm`].
    #[must_use]
    pub fn random(seed: u64) -> Self {
        let scenario = Generator::new(Profile::Swarm, seed, Draw::Seed(Rng::new(seed))).generate();
        // Drawn from other seeds, so that no other choice changes.
        let scenario = scenario.with_deaf_paths(&mut Rng::new(!seed));
        scenario.with_seals(&mut Rng::new(seed.rotate_left(32)))
    }

    fn with_deaf_paths(mut self, rng: &mut Rng) -> Self {
        if !rng.percent(BLOCKED_PERCENT) || self.processes.len() > DEAF_MAX {
            return self;
        }
        let percent = if rng.percent(50) { 100 } else { 25 };
        if self.processes.len() >= CROWD {
            let peer_ms = CROWD_PEER_MS * self.processes.len() as u64;
            self.group.peer_ms = self.group.peer_ms.max(peer_ms);
            self.settle_ms += CROWD_ROUNDS * peer_ms;
        }
        self.with_multicast_blocked(percent, rng.next_u64())
    }

    fn with_seals(self, rng: &mut Rng) -> Self {
        if !rng.percent(SEALED_PERCENT) {
            return self;
        }
        let suite = Suite::ALL[rng.below(Suite::ALL.len() as u64) as usize];
        let harm = if rng.percent(50) { rng.below(HARM_PERMILLE) as u16 } else { 0 };
        self.sealed(suite).with_harm(harm)
    }

    /// The scenario that bytes describe, whatever they are, so that a fuzzer can steer it. It is
    /// smaller than others.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Generator::new(Profile::Swarm, 0, Draw::Bytes(bytes)).generate()
    }

    /// A scenario of 2 to 12 processes that stresses something which the seed draws.
    #[must_use]
    pub fn of_any_profile(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let profile = if rng.percent(50) {
            Profile::Mixed
        } else {
            // Swarms draw everything themselves.
            Profile::ALL[rng.below(Profile::ALL.len() as u64 - 1) as usize]
        };
        Generator::new(profile, seed, Draw::Seed(rng)).generate()
    }

    /// The scenario of a seed that stresses one thing.
    #[must_use]
    pub fn with_profile(profile: Profile, seed: u64) -> Self {
        let scenario = Generator::new(profile, seed, Draw::Seed(Rng::new(seed))).generate();
        Self { by_profile: true, ..scenario }
    }
}

/// Scenarios in which the clocks of processes differ, in percent.
const CLOCKS_PERCENT: u64 = 25;

/// Most processes of a scenario that bytes describe: a fuzzer wants many runs.
const FUZZED_PROCESSES_MAX: u64 = 6;

pub(crate) struct Generator<'a> {
    pub(crate) draw: Draw<'a>,
    profile: Profile,
    pub(crate) scenario: Scenario,
    /// Processes that have not been started yet.
    pub(crate) unborn: Vec<ProcessId>,
    weights: Vec<(Fault, u64)>,
}

impl<'a> Generator<'a> {
    fn new(profile: Profile, seed: u64, mut draw: Draw<'a>) -> Self {
        let world = WorldConfig {
            seed: draw.next_u64(),
            multicast: draw.percent(70),
            loopback: draw.percent(50),
            segments_max: 1 + draw.below(8) as usize,
            socket_datagrams: 8 << draw.below(4),
            pipe_bytes: 64 << 10,
            close_us: 100 << draw.below(7),
            reset_percent: if draw.percent(30) { 50 } else { 0 },
            timer_slack_us: if draw.percent(30) { 1_000 } else { 0 },
            dial_both: draw.percent(50),
            ..WorldConfig::default()
        };
        let redial_ms = 10 + draw.below(40);
        let nodes = processes(profile, &mut draw);
        let servers = match profile {
            Profile::Servers => 3,
            Profile::Cascade => 2,
            _ => 1 + draw.below(3),
        };
        let (node, mut group, mut server) = small_configs(nodes as usize);
        server.redial_ms = redial_ms;
        if seed % 4 == 3 {
            server.announce_max = 3;
        }
        if profile == Profile::Swarm {
            group.early_packets_max = draw.one(&[1, 4, 64]);
            group.window_packets = Some(draw.one(&[16, 32]));
            group.ack_ms = draw.one(&[5, 20]);
        }
        let heal_us = 300_000 + draw.below(900_000);
        let clocks = draw.percent(50);
        let servers = (1..=servers)
            .map(|s| (ServerId(s), if clocks { draw.below(100_000) } else { 0 }))
            .collect();
        let scenario = Scenario {
            profile,
            world,
            node,
            group,
            server,
            servers,
            heal_us,
            ..Scenario::calm(seed, 0)
        };
        let unborn = (1..=nodes).map(ProcessId).collect();
        let weights = match profile {
            Profile::Swarm => mix::weights(&mut draw),
            _ => Fault::weights(profile).to_vec(),
        };
        Self { draw, profile, scenario, unborn, weights }
    }

    fn generate(mut self) -> Scenario {
        self.processes();
        self.starts();
        self.paths();
        let more = if self.profile == Profile::Swarm { 8 } else { 0 };
        let faults = 1 + more + self.draw.below(10);
        for _ in 0..faults {
            let at = self.draw.below(self.scenario.heal_us);
            self.fault(at);
        }
        // Whoever is left over joins at some time.
        while let Some(p) = self.unborn.pop() {
            let at = self.draw.below(self.scenario.heal_us);
            self.push(at, Step::Start(p));
        }
        if self.profile == Profile::Swarm {
            self.impostors();
        }
        self.primary();
        self.order();
        self.clusters();
        self.clocks();
        let heal_us = self.scenario.heal_us;
        self.scenario.steps.retain(|(at, _)| *at <= heal_us);
        self.scenario.steps.sort_by_key(|(at, _)| *at);
        self.scenario
    }

    /// How far clocks are apart, in some scenarios: one hour at most. By a choice of its own.
    fn clocks(&mut self) {
        if let Draw::Seed(_) = self.draw {
            self.draw = Draw::Seed(Rng::new(self.scenario.seed ^ CLOCKS_SEED));
        }
        if !self.draw.percent(CLOCKS_PERCENT) {
            return;
        }
        let most_ms = self.draw.one(&[1_000, 100_000, 3_600_000]);
        for plan in &mut self.scenario.processes {
            plan.clock_ahead_ms = Some(self.draw.below(most_ms));
        }
    }

    /// Which processes make views primary, in some scenarios: by a choice of its own, so that each
    /// seed is the world that it was before there were any. Bytes say so with those that are left.
    fn primary(&mut self) {
        if let Draw::Seed(_) = self.draw {
            self.draw = Draw::Seed(Rng::new(self.scenario.seed ^ PRIMARY_SEED));
        }
        let mut all: Vec<ProcessId> = self.scenario.processes.iter().map(|p| p.id).collect();
        match self.draw.below(4) {
            0 => all.clear(),
            1 => all.truncate(1 + self.draw.below(all.len() as u64) as usize),
            _ => {}
        }
        self.scenario.group.primary_of = all;
    }

    /// The order of the groups, by a choice of its own.
    fn order(&mut self) {
        if let Draw::Seed(_) = self.draw {
            self.draw = Draw::Seed(Rng::new(self.scenario.seed ^ ORDER_SEED));
        }
        if self.draw.percent(ORDERED_PERCENT) {
            self.scenario.group.order = self.draw.one(&[Order::Total, Order::Safe]);
        } else if self.draw.percent(CAUSAL_PERCENT) {
            self.scenario.group.order = Order::Causal;
        }
    }

    /// Whether the groups have clusters, by a choice of its own.
    fn clusters(&mut self) {
        if let Draw::Seed(_) = self.draw {
            self.draw = Draw::Seed(Rng::new(self.scenario.seed ^ CLUSTERS_SEED));
        }
        self.scenario.group.clusters = self.draw.percent(CLUSTERS_PERCENT);
    }

    fn processes(&mut self) {
        let interval_us = match self.profile {
            Profile::Busy => 2_000 + self.draw.below(8_000),
            // As much is said in a large group as in a small one.
            Profile::Swarm => (3_000 + self.draw.below(8_000)) * self.unborn.len() as u64,
            _ => 10_000 + self.draw.below(60_000),
        };
        let bytes_max = if self.draw.percent(50) { 4096 } else { 600 };
        let until = self.scenario.world.start.plus_us(self.scenario.heal_us);
        let two_groups = self.draw.percent(12);
        for index in 0..self.unborn.len() {
            let mut servers: Vec<ServerId> =
                self.scenario.servers.iter().map(|(s, _)| *s).collect();
            let turn = self.draw.below(servers.len() as u64) as usize;
            servers.rotate_left(turn);
            let groups = match self.draw.below(3) {
                0 | 1 if two_groups => alloc::vec![0, 1],
                _ if two_groups => alloc::vec![1],
                _ => alloc::vec![0],
            };
            let load = Load {
                interval_us,
                burst_max: 1 + self.draw.below(5),
                bytes_max,
                block_ok_us: if self.draw.percent(70) { 0 } else { self.draw.below(30_000) },
                until,
            };
            self.scenario.processes.push(ProcessPlan {
                id: self.unborn[index],
                servers,
                groups,
                load,
                manual_block: self.draw.percent(30),
                stays_down: self.draw.percent(20),
                clock_ahead_ms: None,
                impostor: false,
            });
        }
    }

    /// Most processes start together; some are kept for joins.
    fn starts(&mut self) {
        if self.profile == Profile::Swarm && self.draw.percent(HERD_PERCENT) {
            let at = self.draw.below(1_000);
            for p in core::mem::take(&mut self.unborn) {
                self.push(at, Step::Start(p));
            }
            return;
        }
        let joiners = self.draw.below(1 + self.unborn.len() as u64 / 2) as usize;
        for p in self.unborn.split_off(joiners.min(self.unborn.len())) {
            let at = self.draw.below(20_000);
            self.push(at, Step::Start(p));
        }
    }

    /// The state of all paths at the start.
    fn paths(&mut self) {
        let loss_permille = match (self.profile, self.draw.below(100)) {
            (Profile::Lossy | Profile::QuickRecovery, _) => 50 + self.draw.below(250),
            (_, 0..50) => 0,
            (_, 50..80) => self.draw.below(30),
            _ => 50 + self.draw.below(150),
        };
        let link = Link {
            delay_us: 20 << self.draw.below(6),
            jitter_us: self.draw.below(1_000),
            loss_permille: loss_permille as u16,
            duplicate_permille: if self.draw.percent(50) { self.draw.below(50) as u16 } else { 0 },
            reorder_permille: if self.draw.percent(50) { self.draw.below(100) as u16 } else { 0 },
            reorder_us: self.draw.below(5_000),
            ..Link::LAN
        };
        self.push(0, Step::Links(link));
        let far = matches!(self.profile, Profile::Cascade | Profile::Servers);
        if far || self.draw.percent(15) {
            self.wide_area(link);
        }
    }

    /// Each server is a site of its own, with the processes that prefer it.
    fn wide_area(&mut self, link: Link) {
        let far = Link { delay_us: 2_000 + self.draw.below(40_000), ..link };
        let homes: Vec<(Site, ServerId)> = self
            .scenario
            .processes
            .iter()
            .map(|p| (Site::Process(p.id), p.servers[0]))
            .chain(self.scenario.servers.iter().map(|(s, _)| (Site::Server(*s), *s)))
            .collect();
        for (a, home_a) in &homes {
            for (b, home_b) in &homes {
                if home_a != home_b {
                    self.push(0, Step::SetLink(*a, *b, far));
                }
            }
        }
    }

    pub(crate) fn push(&mut self, at_us: u64, step: Step) {
        self.scenario.steps.push((at_us, step));
    }

    pub(crate) fn any_process(&mut self) -> ProcessId {
        let n = self.scenario.processes.len() as u64;
        self.scenario.processes[self.draw.below(n) as usize].id
    }

    pub(crate) fn any_server(&mut self) -> ServerId {
        let n = self.scenario.servers.len() as u64;
        self.scenario.servers[self.draw.below(n) as usize].0
    }

    pub(crate) fn sites(&self) -> Vec<Site> {
        let processes = self.scenario.processes.iter().map(|p| Site::Process(p.id));
        processes.chain(self.scenario.servers.iter().map(|(s, _)| Site::Server(*s))).collect()
    }

    /// A duration of up to half a second.
    pub(crate) fn duration(&mut self) -> u64 {
        match self.draw.below(3) {
            0 => self.draw.below(10_000),
            1 => self.draw.below(100_000),
            _ => self.draw.below(500_000),
        }
    }

    pub(crate) fn after(&mut self, at: u64, us: u64) -> u64 {
        at + self.draw.below(us)
    }

    fn before(&mut self, at: u64, us: u64) -> u64 {
        at.saturating_sub(self.draw.below(us))
    }

    fn fault(&mut self, at: u64) {
        let total = self.weights.iter().map(|(_, w)| w).sum();
        let mut draw = self.draw.below(total);
        for (fault, weight) in self.weights.clone() {
            if draw < weight {
                self.scenario.kinds[fault as usize] += 1;
                return self.do_fault(fault, at);
            }
            draw -= weight;
        }
    }

    fn do_fault(&mut self, fault: Fault, at: u64) {
        let p = self.any_process();
        let until = at + self.duration();
        match fault {
            Fault::Kill => self.kill(p, at, until),
            Fault::QuickRecovery => {
                let back = self.after(at, 8_000);
                let sent = self.before(at, 2_000);
                self.push(sent, Step::Send(p, 3));
                self.kill(p, at, back);
            }
            Fault::PowerOff => {
                self.push(at, Step::PowerOff(p));
                self.push(until, Step::Start(p));
            }
            Fault::Pause => self.pause(Site::Process(p), at, until),
            Fault::SlowReader => self.slow_reader(p, at, until),
            Fault::OneWayCut => self.one_way_cut(at, until),
            Fault::ClientCut => {
                let server = self.any_server();
                self.cut_both(Site::Process(p), Site::Server(server), at, until);
            }
            Fault::Partition => self.partition(at, until),
            Fault::Flap => {
                for round in 0..2 + self.draw.below(3) {
                    let start = at + round * 40_000;
                    let end = self.after(start, 35_000);
                    self.partition(start, end);
                }
            }
            Fault::Storm => self.storm(at, until),
            Fault::Leave => {
                self.push(at, Step::Leave(p));
                self.push(until, Step::Start(p));
            }
            Fault::Join => self.join_in_mid_change(p, at),
            Fault::ServerPause => {
                let server = self.any_server();
                self.pause(Site::Server(server), at, until);
            }
            Fault::ServerCut => {
                let (a, b) = (self.any_server(), self.any_server());
                if a != b {
                    self.cut_both(Site::Server(a), Site::Server(b), at, until);
                }
            }
            Fault::ServerKill => {
                let server = self.any_server();
                self.push(at, Step::KillServer(server));
                self.push(until, Step::StartServer(server));
            }
            Fault::Stale
            | Fault::Isolate
            | Fault::LossyPath
            | Fault::HerdRestart
            | Fault::Churn
            | Fault::ClockJump
            | Fault::Impostor
            | Fault::AtMoment => self.do_swarm_fault(fault, at),
        }
    }

    pub(crate) fn kill(&mut self, p: ProcessId, at: u64, back: u64) {
        if self.draw.percent(60) {
            // Some of its last messages reach only some.
            let (n, sent) = (1 + self.draw.below(4), self.before(at, 300));
            self.push(sent, Step::Send(p, n));
        }
        self.push(at, Step::Kill(p));
        self.push(back, Step::Start(p));
    }

    fn slow_reader(&mut self, p: ProcessId, at: u64, until: u64) {
        self.push(at, Step::StopReading(p));
        self.push(until, Step::Read(p));
        if self.profile == Profile::Busy {
            // A change while the application is behind.
            let (victim, killed) = (self.any_process(), self.after(at, 20_000));
            self.kill(victim, killed, until);
        }
    }

    fn storm(&mut self, at: u64, until: u64) {
        let link = Link {
            loss_permille: self.draw.below(400) as u16,
            duplicate_permille: self.draw.below(200) as u16,
            reorder_permille: self.draw.below(300) as u16,
            reorder_us: 10_000,
            ..Link::LAN
        };
        self.push(at, Step::Links(link));
        self.push(until, Step::Links(Link::LAN));
    }

    pub(crate) fn pause(&mut self, site: Site, at: u64, until: u64) {
        self.push(at, Step::Pause(site));
        self.push(until, Step::Resume(site));
    }

    pub(crate) fn cut_both(&mut self, a: Site, b: Site, at: u64, until: u64) {
        for (from, to) in [(a, b), (b, a)] {
            self.push(at, Step::Cut(from, to));
            self.push(until, Step::Heal(from, to));
        }
    }

    fn one_way_cut(&mut self, at: u64, until: u64) {
        let sites = self.sites();
        let a = sites[self.draw.below(sites.len() as u64) as usize];
        let b = sites[self.draw.below(sites.len() as u64) as usize];
        if a != b {
            self.push(at, Step::Cut(a, b));
            self.push(until, Step::Heal(a, b));
        }
    }

    fn partition(&mut self, at: u64, until: u64) {
        let mut parts = alloc::vec![Vec::new(); 2 + usize::from(self.draw.percent(20))];
        for site in self.sites() {
            let part = self.draw.below(parts.len() as u64) as usize;
            parts[part].push(site);
        }
        self.push(at, Step::Partition(parts));
        self.push(until, Step::HealAll);
    }

    /// One process leaves, and another joins during that change.
    fn join_in_mid_change(&mut self, p: ProcessId, at: u64) {
        let Some(joiner) = self.unborn.pop() else {
            // All were born: one that went before comes back in the change that another's end
            // makes.
            let (other, back) = (self.any_process(), self.after(at, 6_000));
            self.kill(other, at.saturating_sub(100_000), back);
            return self.kill(p, at, at + 200_000);
        };
        if self.draw.percent(70) {
            self.kill(p, at, at + 200_000);
        }
        let joined = self.after(at, 6_000);
        self.push(joined, Step::Start(joiner));
    }
}

/// The number of processes.
fn processes(profile: Profile, draw: &mut Draw<'_>) -> u64 {
    let fuzzed = matches!(draw, Draw::Bytes(_));
    match profile {
        Profile::Swarm if fuzzed => 2 + draw.below(FUZZED_PROCESSES_MAX - 1),
        Profile::Swarm => mix::processes(draw),
        _ if draw.percent(5) => 9 + draw.below(4),
        _ => 2 + draw.below(7),
    }
}
