//! The world: hosts, a network, and virtual time.

mod advance;
mod connect;
mod drive;
mod fault;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

use crate::cast::CastCounters;
use crate::config::{ConfigError, GroupConfig, NodeConfig};
use crate::endpoint::{SendError, Sent};
use crate::ident::{GroupKey, GroupName, ProcessId, ServerId};
use crate::member::DetachReason;
use crate::member::ServerConfig;
use crate::rng::Rng;
use crate::rule::Rules;
use crate::seal::KeyRing;
use crate::sim::adversary::Adversary;
use crate::sim::app::Application;
use crate::sim::config::WorldConfig;
use crate::sim::defect::Defect;
use crate::sim::fabric::Fabric;
use crate::sim::host::{Body, Host, Move, ProcessBody, ServerBody};
use crate::sim::mark::Marks;
use crate::sim::net::{Link, NetCounters};
use crate::sim::recorder::{Beside, StepObserver, Traffic, Watch};
use crate::sim::site::Site;
use crate::status::ServerCounters;
use crate::status::ServerStatus;
use crate::time::Time;
use crate::trace::Record;
use crate::view::View;

/// Faults that were done to hosts and paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostFaults {
    /// Processes killed.
    pub kills: u64,
    /// Hosts of processes that lost power.
    pub power_offs: u64,
    /// Processes that came back under their id.
    pub recoveries: u64,
    /// Processes or servers paused.
    pub pauses: u64,
    /// Applications that stopped reading for a while.
    pub slow_readers: u64,
    /// Clean leaves.
    pub leaves: u64,
    /// Directed paths cut.
    pub cuts: u64,
    /// Servers killed.
    pub server_kills: u64,
    /// Clocks set forward.
    pub clock_jumps: u64,
    /// Second processes started under an id.
    pub impostors: u64,
}

/// A seeded world of processes and membership servers. See the [module](crate::sim).
#[derive(Debug)]
pub struct World<A: Application = ()> {
    pub(crate) hosts: Vec<Host<A>>,
    pub(crate) fabric: Fabric,
    pub(crate) defect: Option<Defect>,
    pub(crate) buffer: Vec<u8>,
    pub(crate) faults: HostFaults,
    /// What processes have shown.
    pub(crate) watch: Rc<RefCell<Watch>>,
    /// The specification, if it is stepped beside.
    pub(crate) beside: Option<Rc<RefCell<Beside>>>,
    /// The rules that processes and servers keep which start from now on.
    pub(crate) rules: Rules,
    pub(crate) ring: Option<KeyRing>,
    pub(crate) sites: BTreeMap<Site, usize>,
    pub(crate) events: u64,
    /// Events after which a run is given up.
    pub(crate) events_max: u64,
}

/// Events after which a run is given up unless [`World::set_events_max`] says otherwise.
const EVENTS_MAX: u64 = 20_000_000;

/// Largest buffer that is handed to a node.
const BUFFER_BYTES: usize = 64 << 10;

impl<A: Application> World<A> {
    /// A world without hosts.
    #[must_use]
    pub fn new(config: WorldConfig) -> Self {
        Self {
            hosts: Vec::new(),
            fabric: Fabric::new(config),
            defect: None,
            buffer: alloc::vec![0; BUFFER_BYTES],
            faults: HostFaults::default(),
            watch: Rc::default(),
            beside: None,
            rules: Rules::default(),
            ring: None,
            sites: BTreeMap::new(),
            events: 0,
            events_max: EVENTS_MAX,
        }
    }

    /// Steps the executable specification beside each process that starts from now on; a step that
    /// it does not allow ends the run with [`Defect::Refuted`].
    pub fn refine(&mut self) {
        self.refine_observed(None);
    }

    /// The same, and `observer` is shown each step before it is judged. Set keys before: what came
    /// in datagrams is not judged where they are sealed.
    pub(crate) fn refine_observed(&mut self, observer: Option<StepObserver>) {
        let beside = Beside::new(self.ring.is_some(), observer);
        self.beside = Some(Rc::new(RefCell::new(beside)));
    }

    /// Datagrams that somebody without a key sent: [`WorldConfig::harm_permille`].
    #[must_use]
    pub fn harm(&self) -> u64 {
        self.fabric.adversary.as_ref().map_or(0, Adversary::sent)
    }

    /// Sets the rules that each process and server keeps which starts from now on.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Each process that starts from now on seals with the keys of `ring`. Configure them with
    /// datagrams that have room for the tag.
    pub fn set_keys(&mut self, ring: KeyRing) {
        self.ring = Some(ring);
    }

    /// Steps of processes that were held against the specification.
    #[must_use]
    pub fn refined_steps(&self) -> u64 {
        self.beside.as_ref().map_or(0, |beside| beside.borrow().steps)
    }

    /// How often rare situations came up.
    #[must_use]
    pub fn marks(&self) -> Marks {
        self.watch.borrow().marks
    }

    /// Gives a run up with [`Defect::EventsMax`] after so many events.
    pub fn set_events_max(&mut self, events_max: u64) {
        self.events_max = events_max;
    }

    fn add_host(&mut self, site: Site, body: Body<A>) -> usize {
        let host = self.hosts.len();
        self.fabric.net.add_host();
        self.hosts.push(Host::new(site, body));
        let former = self.sites.insert(site, host);
        debug_assert!(former.is_none(), "{site} was added twice");
        host
    }

    /// Adds a membership server whose clock is `clock_ahead_ms` ahead, and starts it. It knows all
    /// servers of the world, also those added later.
    ///
    /// # Errors
    /// As [`crate::member::Server::new`].
    pub fn add_server(
        &mut self,
        id: ServerId,
        config: ServerConfig,
        clock_ahead_ms: u64,
    ) -> Result<(), ConfigError> {
        let body = ServerBody {
            id,
            config,
            clock_ahead_ms,
            boot: 0,
            server: None,
            conns: BTreeSet::new(),
            unwritten: BTreeSet::new(),
            dialed: BTreeMap::new(),
            past: ServerCounters::default(),
        };
        self.add_host(Site::Server(id), Body::Server(Box::new(body)));
        self.start_server(id)
    }

    /// Adds a process that knows `servers`, which must be there already, in the order of its
    /// preference. It does not run yet.
    ///
    /// # Panics
    /// If a server is not there.
    pub fn add_process(&mut self, id: ProcessId, config: NodeConfig, servers: &[ServerId], app: A) {
        let servers = servers.iter().map(|s| self.host(Site::Server(*s))).collect();
        let body = ProcessBody::new(id, config, servers, app);
        self.add_host(Site::Process(id), Body::Process(Box::new(body)));
    }

    /// Adds a second host on which a process may run under the id of `p`, as somebody comes to do
    /// who copies a configuration. It is in the groups that `p` is in by now, with the same
    /// servers, the last one of its list first. It does not run yet, and goes by the name of
    /// [`Site::Impostor`].
    pub fn add_impostor(&mut self, p: ProcessId, app: A) {
        let former = self.process(p);
        let (config, groups) = (former.config.clone(), former.groups.clone());
        let servers = former.servers.iter().rev().copied().collect();
        let body = ProcessBody { groups, ..ProcessBody::new(p, config, servers, app) };
        self.add_host(Site::Impostor(p), Body::Process(Box::new(body)));
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.fabric.now
    }

    /// Events so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The counters of the network.
    #[must_use]
    pub fn net_counters(&self) -> &NetCounters {
        &self.fabric.net.counters
    }

    /// What each server that runs says of itself.
    pub(crate) fn server_status(&self) -> impl Iterator<Item = ServerStatus> + '_ {
        self.hosts.iter().filter_map(|host| match &host.body {
            Body::Server(body) => Some(body.server.as_ref()?.status()),
            Body::Process(_) => None,
        })
    }

    /// The faults that were done to hosts and paths.
    #[must_use]
    pub fn faults(&self) -> &HostFaults {
        &self.faults
    }

    /// The world's random numbers, for what surrounds it.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.fabric.rng
    }

    /// The application of a process.
    ///
    /// # Panics
    /// If there is no such process, as do all methods that are given one.
    #[must_use]
    pub fn app(&self, p: impl Into<Site>) -> &A {
        &self.process(p).app
    }

    /// The application of a process; it acts right after.
    pub fn with_app(&mut self, p: impl Into<Site>, change: impl FnOnce(&mut A)) {
        let host = self.host(p.into());
        if let Body::Process(body) = &mut self.hosts[host].body {
            change(&mut body.app);
        }
        self.act(host);
    }

    /// The view of `group` that a process is in; none while it does not run or is not in the group.
    #[must_use]
    pub fn view(&self, p: impl Into<Site>, group: GroupKey) -> Option<&View> {
        self.process(p).node.as_ref()?.view(group)
    }

    /// Whether a process is in the middle of a change of its view of `group`.
    #[must_use]
    pub fn is_changing(&self, p: impl Into<Site>, group: GroupKey) -> bool {
        self.process(p).node.as_ref().is_some_and(|node| node.is_changing(group))
    }

    /// Whether a process runs (it may be paused).
    #[must_use]
    pub fn is_running(&self, p: impl Into<Site>) -> bool {
        self.process(p).node.is_some()
    }

    /// Why a process was detached for good, in this incarnation.
    #[must_use]
    pub fn detached(&self, p: impl Into<Site>) -> Option<&DetachReason> {
        self.process(p).detached.as_ref().map(|(_, reason)| reason)
    }

    /// Whether a process is in no view since another one has its id, and asks again now and then.
    #[must_use]
    pub fn is_id_claimed(&self, p: impl Into<Site>) -> bool {
        self.process(p).id_claimed
    }

    /// Sends as the application of `p`, past its [`Application`].
    ///
    /// # Errors
    /// As [`crate::Node::send`].
    pub fn send(
        &mut self,
        p: impl Into<Site>,
        group: GroupKey,
        payload: &[u8],
    ) -> Result<Sent, SendError> {
        let host = self.host(p.into());
        let now = self.hosts[host].clock(self.now());
        let Body::Process(body) = &mut self.hosts[host].body else {
            return Err(SendError::NotJoined);
        };
        let node = body.node.as_mut().ok_or(SendError::NotJoined)?;
        let sent = node.send(now, group, payload);
        self.service(host);
        sent
    }

    /// What the multicast of `p` counted in its current view of `group`; none while it does not run
    /// or is not in the group.
    #[must_use]
    pub fn cast_counters(&self, p: impl Into<Site>, group: GroupKey) -> Option<&CastCounters> {
        self.process(p).node.as_ref()?.cast_counters(group)
    }

    /// What two processes do not agree about that went together from one view to the next, if there
    /// is anything: [`Application::common_state`].
    #[must_use]
    pub fn disagreement(&self) -> Option<String> {
        self.compare().err()
    }

    /// How many states of those who went together were compared with that of another, all of them
    /// the same.
    pub(crate) fn compare(&self) -> Result<u64, String> {
        let mut compared = 0;
        let mut common = BTreeMap::new();
        for p in self.processes() {
            for Move { group, from, to, state } in &self.process(p).moves {
                let (q, known) = *common.entry((group, from, to)).or_insert((p, state));
                compared += u64::from(q != p);
                if known != state {
                    return Err(alloc::format!(
                        "{q} and {p} went together from {from} to {to}, {q} with {known}, {p} with {state}"
                    ));
                }
            }
        }
        Ok(compared)
    }

    /// The messages of `p` in its current view.
    pub(crate) fn traffic(&self, p: impl Into<Site>, group: GroupKey) -> Traffic {
        let node = self.process(p).node.as_ref();
        node.map_or_else(Traffic::default, |node| node.tracer().traffic(group))
    }

    /// Messages of `p` that wait for its next view.
    pub(crate) fn queued(&self, p: impl Into<Site>, group: GroupKey) -> usize {
        let Some(node) = &self.process(p).node else { return 0 };
        let groups = node.status(None).groups;
        let mut of_group = groups.first.iter().filter(|status| status.name.key() == group);
        of_group.next().map_or(0, |status| status.queued)
    }

    /// The counters of a server, over all its incarnations.
    ///
    /// # Panics
    /// If there is no such server, as do all methods that are given one.
    #[must_use]
    pub fn server_counters(&self, s: ServerId) -> ServerCounters {
        match &self.hosts[self.host(Site::Server(s))].body {
            Body::Server(body) => body.counters(),
            Body::Process(_) => ServerCounters::default(),
        }
    }

    /// All processes, ascending.
    pub fn processes(&self) -> impl Iterator<Item = ProcessId> + '_ {
        self.sites.keys().filter_map(|site| match site {
            Site::Process(p) => Some(*p),
            Site::Server(_) | Site::Impostor(_) => None,
        })
    }

    /// All ids that a second process may go by, ascending.
    pub fn impostors(&self) -> impl Iterator<Item = ProcessId> + '_ {
        self.sites.keys().filter_map(|site| match site {
            Site::Impostor(p) => Some(*p),
            Site::Process(_) | Site::Server(_) => None,
        })
    }

    /// All servers, ascending.
    pub fn servers(&self) -> impl Iterator<Item = ServerId> + '_ {
        self.sites.keys().filter_map(|site| match site {
            Site::Server(s) => Some(*s),
            Site::Process(_) | Site::Impostor(_) => None,
        })
    }

    /// The trace of each process over all its lives, taken out; that of an impostor comes after
    /// that of the process whose id it has.
    pub fn take_traces(&mut self) -> Vec<(ProcessId, Vec<Record>)> {
        let mut traces = Vec::new();
        for host in &mut self.hosts {
            if let Body::Process(p) = &mut host.body {
                let mut records = core::mem::take(&mut p.records);
                if let Some(node) = &mut p.node {
                    records.append(&mut node.tracer_mut().records);
                }
                traces.push((p.id, records));
            }
        }
        traces.sort_by_key(|(p, _)| *p);
        traces
    }

    pub(crate) fn host(&self, site: Site) -> usize {
        match self.sites.get(&site) {
            Some(host) => *host,
            None => panic!("there is no {site} in this world"),
        }
    }

    pub(crate) fn process(&self, p: impl Into<Site>) -> &ProcessBody<A> {
        let site = p.into();
        match &self.hosts[self.host(site)].body {
            Body::Process(body) => body,
            Body::Server(_) => panic!("{site} is no process"),
        }
    }
}

impl<A: Application> World<A> {
    /// Joins: now if the process runs, and at each later start.
    pub fn join(&mut self, p: impl Into<Site>, group: &GroupName, config: GroupConfig) {
        let host = self.host(p.into());
        if let Body::Process(body) = &mut self.hosts[host].body {
            body.groups.push((group.clone(), config));
        }
        if self.hosts[host].is_running() {
            self.join_group(host, group);
        }
    }

    /// Changes the treatment of datagrams and the delay of connections from `from` to `to`.
    pub fn set_link(&mut self, from: Site, to: Site, link: Link) {
        let (from, to) = (self.host(from), self.host(to));
        self.fabric.net.set_link(from, to, link);
    }

    /// From now on each datagram that arrives at a process takes so much of its processor time, in
    /// whole µs; see [`WorldConfig::datagram_us`].
    pub fn set_datagram(&mut self, cost: core::time::Duration) {
        self.fabric.config = self.fabric.config.clone().with_datagram(cost);
    }

    /// Changes all paths.
    pub fn set_every_link(&mut self, link: Link) {
        self.fabric.net.set_every_link(link);
    }
}
