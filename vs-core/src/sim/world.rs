//! The world: hosts, a network, and virtual time.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;

use crate::cast::CastCounters;
use crate::config::{ConfigError, GroupConfig, NodeConfig};
use crate::endpoint::ViewTraffic;
use crate::endpoint::{SendError, Sent};
use crate::ident::{GroupKey, GroupName, ProcessId, ServerId};
use crate::member::DetachReason;
use crate::member::{ServerConfig, ServerCounters};
use crate::rng::Rng;
use crate::sim::app::Application;
use crate::sim::fabric::Fabric;
use crate::sim::host::{Body, Host, Move, ProcessBody, ServerBody, Site};
use crate::sim::mark::Marks;
use crate::sim::net::{Link, NetCounters};
use crate::sim::recorder::{Beside, Watch};
use crate::spec::refine::Refuted;
use crate::time::Time;
use crate::time::Wake;
use crate::trace::Record;
use crate::view::View;

/// How a world behaves where nothing else is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorldConfig {
    /// Everything random comes from here.
    pub seed: u64,
    /// The time at which the world begins; incarnations and boot epochs are milliseconds of it.
    pub start: Time,
    /// Every path, until [`World::set_link`] says otherwise.
    pub link: Link,
    /// Whether the network carries IP multicast; else a node's runtime sends one datagram to each member.
    pub multicast: bool,
    /// Whether a process hears its own multicasts.
    pub loopback: bool,
    /// Datagrams that a runtime takes from a node in one call.
    pub segments_max: usize,
    /// Datagrams that wait for a paused process; more are lost.
    pub socket_datagrams: usize,
    /// Bytes that a connection takes in each direction before its writer has to wait.
    pub pipe_bytes: usize,
    /// Longest time in which the kernel closes the connections of a killed process, in µs.
    pub close_us: u64,
    /// Such closes that are resets, which may lose bytes under way, in percent.
    pub reset_percent: u64,
    /// Timers fire up to so much late, in µs.
    pub timer_slack_us: u64,
    /// Whether both servers of a pair dial each other; else only the one with the greater id does.
    pub dial_both: bool,
    /// The request for a connection that nobody answers is sent again after so long, in ms; Linux takes 1000.
    pub dial_retry_ms: u64,
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            start: Time::from_millis(1_000_000),
            link: Link::LAN,
            multicast: true,
            loopback: true,
            segments_max: 8,
            socket_datagrams: 256,
            pipe_bytes: 256 << 10,
            close_us: 1_000,
            reset_percent: 0,
            timer_slack_us: 0,
            dial_both: false,
            dial_retry_ms: 200,
        }
    }
}

/// What must never be seen in a run, apart from what the checker of traces finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Defect {
    /// After `handle_timeout(now)` and a full drain the next timeout was not after `now`.
    EndlessTimer {
        /// Where.
        site: Site,
        /// What for, if it was a process.
        wake: Option<Wake>,
        /// When.
        at: Time,
    },
    /// Polling did not come to an end.
    EndlessOutput {
        /// Where.
        site: Site,
        /// When.
        at: Time,
    },
    /// The application of a process sent again and again in one instant.
    EndlessSends {
        /// Of which process.
        process: ProcessId,
        /// When.
        at: Time,
    },
    /// A process took a step that the specification does not allow.
    Refuted {
        /// In which group.
        group: GroupName,
        /// The step.
        refuted: Box<Refuted>,
        /// When.
        at: Time,
    },
    /// An incarnation transmitted a datagram of a group whose counter is not above those before.
    RepeatedCounter {
        /// Of which process.
        process: ProcessId,
        /// The counter.
        counter: u64,
        /// When.
        at: Time,
    },
    /// More events than a run can need.
    EventsMax {
        /// How many there were.
        events: u64,
        /// When.
        at: Time,
    },
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndlessTimer { site, wake: Some(wake), at } => {
                write!(
                    f,
                    "{site}: the timer {wake:?} is due again right after it fired at {}",
                    at.0
                )
            }
            Self::EndlessTimer { site, wake: None, at } => {
                write!(f, "{site}: a timer is due again right after it fired at {}", at.0)
            }
            Self::EndlessOutput { site, at } => {
                write!(f, "{site}: polling did not come to an end at {}", at.0)
            }
            Self::EndlessSends { process, at } => {
                write!(f, "the application of {process} sends without end at {}", at.0)
            }
            Self::Refuted { group, refuted, at } => {
                write!(f, "not a step of the specification, group {group} at {}: {refuted}", at.0)
            }
            Self::RepeatedCounter { process, counter, at } => {
                write!(f, "{process} transmitted a second datagram {counter} at {}", at.0)
            }
            Self::EventsMax { events, at } => write!(f, "{events} events until {}", at.0),
        }
    }
}

impl core::error::Error for Defect {}

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
            sites: BTreeMap::new(),
            events: 0,
            events_max: EVENTS_MAX,
        }
    }

    /// Steps the executable specification beside each process that starts from now on; a step that it does not allow
    /// ends the run with [`Defect::Refuted`].
    pub fn refine(&mut self) {
        self.beside = Some(Rc::default());
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

    /// Adds a membership server whose clock is `clock_ahead_ms` ahead, and starts it. It knows all servers of the
    /// world, also those added later.
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

    /// Adds a process that knows `servers`, which must be there already, in the order of its preference. It does not
    /// run yet.
    ///
    /// # Panics
    /// If a server is not there.
    pub fn add_process(&mut self, id: ProcessId, config: NodeConfig, servers: &[ServerId], app: A) {
        let servers = servers.iter().map(|s| self.host(Site::Server(*s))).collect();
        let body = ProcessBody::new(id, config, servers, app);
        self.add_host(Site::Process(id), Body::Process(Box::new(body)));
    }

    /// Adds a second host on which a process may run under the id of `p`, as somebody comes to do who copies a
    /// configuration. It is in the groups that `p` is in by now, with the same servers, the last one of its list first.
    /// It does not run yet, and goes by the name of [`Site::Impostor`].
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

    /// What the network did.
    #[must_use]
    pub fn net_counters(&self) -> &NetCounters {
        &self.fabric.net.counters
    }

    /// What each server that runs makes of its links, in words.
    pub(crate) fn server_links(&self) -> Vec<(ServerId, String)> {
        let links = |host: &Host<A>| match &host.body {
            Body::Server(body) => Some((body.id, body.server.as_ref()?.links_in_words())),
            Body::Process(_) => None,
        };
        self.hosts.iter().filter_map(links).collect()
    }

    /// What was done to hosts and paths.
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

    /// Why a process was detached for good, in this life.
    #[must_use]
    pub fn detached(&self, p: impl Into<Site>) -> Option<&DetachReason> {
        self.process(p).detached.as_ref().map(|(_, reason)| reason)
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

    /// What the multicast of `p` counted in its current view of `group`; none while it does not run or is not in the
    /// group.
    #[must_use]
    pub fn cast_counters(&self, p: impl Into<Site>, group: GroupKey) -> Option<&CastCounters> {
        self.process(p).node.as_ref()?.cast_counters(group)
    }

    /// What two processes do not agree about that went together from one view to the next, if there is anything:
    /// [`Application::common_state`].
    #[must_use]
    pub fn disagreement(&self) -> Option<String> {
        self.compare().err()
    }

    /// How many states of those who went together were compared with that of another, all of them the same.
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
    pub(crate) fn traffic(&self, p: impl Into<Site>, group: GroupKey) -> ViewTraffic {
        let node = self.process(p).node.as_ref();
        node.and_then(|node| node.traffic(group)).unwrap_or_default()
    }

    /// What a server counted, over all its lives.
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

    /// The trace of each process over all its lives, taken out; that of an impostor comes after that of the process whose
    /// id it has.
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

    /// Changes all paths.
    pub fn set_every_link(&mut self, link: Link) {
        self.fabric.net.set_every_link(link);
    }
}
