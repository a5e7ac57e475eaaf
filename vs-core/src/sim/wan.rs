//! How long changes of view take between distant sites, and what losses there cost.

use alloc::vec::Vec;

use crate::config::{ConfigError, GroupConfig, NodeConfig};
use crate::ident::{GroupKey, GroupName, Incarnation, ProcessId, ServerId};
use crate::member::ServerConfig;
use crate::rng::Rng;
use crate::rule::Rules;
use crate::sim::churn::Stuck;
use crate::sim::config::WorldConfig;
use crate::sim::net::Link;
use crate::sim::site::Site;
use crate::sim::world::World;
use crate::spec;
use crate::trace::{Header, Trace};

const GROUP: &str = "wan";

/// Members at each server: process 1 and the next ones at server 1, and so on.
pub const WAN_MEMBERS: u64 = 2;

/// Longest time of a change, in ms.
const CHANGE_MS_MAX: u64 = 20_000;

/// Time after which nothing is under way any more, in ms.
const CALM_MS: u64 = 2_000;

/// The changes of membership, one after the other in each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WanChange {
    /// A member is killed; its connection closes.
    Kill,
    /// A process joins.
    Join,
    /// A member leaves.
    Leave,
}

impl WanChange {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Kill, Self::Join, Self::Leave];
}

/// Sites far apart, each with a membership server and two members; the network within a site is a
/// calm one. Times of servers and clients are those of the default configurations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wan {
    /// Sites.
    pub sites: u64,
    /// Least delay between two sites, one way, in ms. Drawn for each pair; a tenth is added as
    /// jitter.
    pub delay_ms_min: u64,
    /// Greatest such delay, in ms.
    pub delay_ms_max: u64,
    /// Datagrams lost between sites, of 1000. Connections lose nothing.
    pub loss_permille: u16,
    /// The rules that all keep. Without [`ParallelSync`](crate::rule::Rule::ParallelSync), sync
    /// messages wait for the membership view.
    pub rules: Rules,
    /// Whether the group has the times of [`GroupConfig::wan`], or the default ones.
    pub wan_times: bool,
}

/// The random choices of a run, so that real links can be made alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WanDraw {
    /// How far two sites are apart, one way, in ms, jitter left out: each pair `(a, b)` with `b <
    /// a`.
    pub delays_ms: Vec<((u64, u64), u64)>,
    /// The process that is killed, joins and leaves.
    pub process: ProcessId,
}

/// How long one change took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WanTiming {
    /// The change.
    pub change: WanChange,
    /// From the event to the view at the last member, in ms.
    pub took_ms: u64,
    /// Greatest delay between two sites of the run, jitter left out, in ms.
    pub far_ms: u64,
    /// Proposals that servers sent.
    pub proposals: u64,
    /// Views that servers decided in the slow mode.
    pub slow: u64,
}

/// The cost of traffic on such links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WanTraffic {
    /// Packets, each receiver counted.
    pub packets: u64,
    /// Datagrams of any kind that the network lost.
    pub lost: u64,
    /// Reports of gaps.
    pub naks: u64,
    /// Packets sent again.
    pub repaired: u64,
    /// Packets that arrived once more.
    pub duplicates: u64,
    /// Members that were excluded by accusation, or views that nobody asked for.
    pub excluded: u64,
    /// Sync messages that were asked for, and given.
    pub syncs_asked: u64,
}

impl WanTraffic {
    /// Adds another run.
    pub fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.lost += other.lost;
        self.naks += other.naks;
        self.repaired += other.repaired;
        self.duplicates += other.duplicates;
        self.excluded += other.excluded;
        self.syncs_asked += other.syncs_asked;
    }
}

impl Wan {
    /// The random choices of the run of `seed`.
    #[must_use]
    pub fn draw(&self, seed: u64) -> WanDraw {
        let mut rng = Rng::new(seed);
        let pairs = (1..=self.sites).flat_map(|a| (1..a).map(move |b| (a, b)));
        let span = self.delay_ms_max - self.delay_ms_min + 1;
        let delays_ms = pairs.map(|pair| (pair, self.delay_ms_min + rng.below(span))).collect();
        WanDraw { delays_ms, process: ProcessId(1 + rng.below(self.sites * WAN_MEMBERS)) }
    }

    /// Times the views after a process is killed, joins again and leaves.
    ///
    /// # Errors
    /// The world ended with a defect, a configuration cannot be used, or a trace breaks a property.
    pub fn changes(&self, seed: u64) -> Result<Vec<WanTiming>, Stuck> {
        let draw = self.draw(seed);
        let (mut world, far_ms) = self.world(seed, &draw)?;
        let p = draw.process;
        let mut timings = Vec::new();
        for change in WanChange::ALL {
            let (began, before) = (world.now(), self.decided(&world));
            match change {
                WanChange::Kill => world.kill(p),
                WanChange::Join => world.start(p)?,
                WanChange::Leave => world.leave(p),
            }
            self.await_view(&mut world, (change != WanChange::Join).then_some(p))?;
            let took_ms = (world.now() - began) / 1_000_000;
            world.run_for_ms(CALM_MS)?;
            let (proposals, slow) = self.decided(&world);
            let (proposals, slow) = (proposals - before.0, slow - before.1);
            timings.push(WanTiming { change, took_ms, far_ms, proposals, slow });
        }
        judge(&mut world)?;
        Ok(timings)
    }

    /// Counts what traffic costs: each member sends 200 bytes every 10 ms for `seconds`, then a
    /// member is killed.
    ///
    /// # Errors
    /// As [`Wan::changes`].
    pub fn traffic(&self, seed: u64, seconds: u64) -> Result<WanTraffic, Stuck> {
        let (mut world, _) = self.world(seed, &self.draw(seed))?;
        let view = world.view(ProcessId(1), key()?).cloned();
        let lost = world.net_counters().lost;
        for _ in 0..seconds * 100 {
            for p in self.processes() {
                // Refused for want of room: then it is sent 10 ms later.
                let _ = world.send(p, key()?, &[7; 200]);
            }
            world.run_for_ms(10)?;
        }
        world.run_for_ms(CALM_MS)?;
        let lost = world.net_counters().lost - lost;
        let mut all = WanTraffic { lost, ..WanTraffic::default() };
        for p in self.processes() {
            all.excluded += u64::from(world.view(p, key()?) != view.as_ref());
            let Some(cast) = world.cast_counters(p, key()?) else { continue };
            all.packets += cast.received;
            all.naks += cast.naks;
            all.repaired += cast.repaired;
            all.duplicates += cast.duplicates;
        }
        world.kill(ProcessId(1));
        self.await_view(&mut world, Some(ProcessId(1)))?;
        all.syncs_asked = world.marks().count(crate::trace::Mark::SyncAskedFor);
        judge(&mut world)?;
        Ok(all)
    }

    fn processes(&self) -> impl Iterator<Item = ProcessId> + use<> {
        (1..=self.sites * WAN_MEMBERS).map(ProcessId)
    }

    fn decided(&self, world: &World) -> (u64, u64) {
        let counters = world.servers().map(|s| world.server_counters(s));
        counters.fold((0, 0), |(sent, slow), c| (sent + c.proposals, slow + c.views_slow))
    }

    /// All but `without` share a view.
    fn await_view(&self, world: &mut World, without: Option<ProcessId>) -> Result<(), Stuck> {
        let members: Vec<_> = self.processes().filter(|p| Some(*p) != without).collect();
        let key = key()?;
        let met = world.run_while_ms(CHANGE_MS_MAX, |world| {
            let mut views = members.iter().map(|p| world.view(*p, key));
            let first = views.next().flatten();
            !(first.is_some_and(|v| v.members() == members) && views.all(|v| v == first))
        })?;
        if met { Ok(()) } else { Err(Stuck::Apart) }
    }

    /// All share a view; and how far the farthest sites are apart, in ms.
    fn world(&self, seed: u64, draw: &WanDraw) -> Result<(World, u64), Stuck> {
        let mut world = World::new(WorldConfig { seed, ..WorldConfig::default() });
        world.set_rules(self.rules);
        let group = GroupConfig {
            members_max: (self.sites * WAN_MEMBERS) as usize,
            window_packets: Some(256),
            message_bytes_max: 64 << 10,
            ..if self.wan_times { GroupConfig::wan() } else { GroupConfig::default() }
        };
        let node = NodeConfig { groups_max: 1, ..NodeConfig::default() };
        let mut sites: Vec<(Site, u64)> = Vec::new();
        for s in 1..=self.sites {
            world.add_server(ServerId(s), ServerConfig::default(), 0)?;
            sites.push((Site::Server(ServerId(s)), s));
        }
        for p in self.processes() {
            let home = 1 + (p.0 - 1) / WAN_MEMBERS;
            world.add_process(p, node.clone(), &[ServerId(home)], ());
            world.join(p, &name()?, group.clone());
            sites.push((Site::Process(p), home));
        }
        let mut far_ms = 0;
        for &((a, b), ms) in &draw.delays_ms {
            far_ms = far_ms.max(ms);
            let link = Link {
                delay_us: 1000 * ms,
                jitter_us: 100 * ms,
                loss_permille: self.loss_permille,
                ..Link::LAN
            };
            let at = |site| sites.iter().filter(move |(_, s)| *s == site).map(|(site, _)| *site);
            for (x, y) in at(a).flat_map(|x| at(b).map(move |y| (x, y))) {
                world.set_link(x, y, link);
                world.set_link(y, x, link);
            }
        }
        for p in self.processes() {
            world.start(p)?;
        }
        self.await_view(&mut world, None)?;
        world.run_for_ms(CALM_MS)?;
        Ok((world, far_ms))
    }
}

fn name() -> Result<GroupName, ConfigError> {
    GroupName::new(GROUP).map_err(|_| ConfigError::Rule("the group has no name"))
}

fn key() -> Result<GroupKey, ConfigError> {
    Ok(name()?.key())
}

/// Checks the traces.
fn judge(world: &mut World) -> Result<(), Stuck> {
    let trace = |(process, records)| {
        let header = Header { process, incarnation: Incarnation::new(0), runtime: "sim".into() };
        Trace::from_records(header, records)
    };
    let traces: Vec<Trace> = world.take_traces().into_iter().map(trace).collect();
    match spec::check(&traces).violations.into_iter().next() {
        Some(violation) => Err(Stuck::Violated(alloc::format!("{violation:?}"))),
        None => Ok(()),
    }
}
