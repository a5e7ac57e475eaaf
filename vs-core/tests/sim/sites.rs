//! One group at two distant sites in a simulated world, each with a membership server. The delays
//! decide what happens in which order; only their last microseconds are random.
use core::time::Duration;

use vs_core::ident::{GroupName, Incarnation, ProcessId, ServerId};
use vs_core::member::ServerConfig;
use vs_core::rule::Rules;
use vs_core::sim::{Link, Site, World, WorldConfig};
use vs_core::spec;
use vs_core::trace::{Header, Record, Trace};
use vs_core::{GroupConfig, NodeConfig, View};

/// One way between the two sites.
pub(crate) const FAR_MS: u64 = 50;

pub(crate) const SERVERS: [ServerId; 2] = [ServerId(1), ServerId(2)];

/// Processes 1 to 3 live at the site of server 1, 11 to 13 at that of server 2.
const PROCESSES: [u64; 6] = [1, 2, 3, 11, 12, 13];

fn site_of(site: Site) -> u64 {
    match site {
        Site::Process(p) | Site::Impostor(p) => 1 + p.0 / 10,
        Site::Server(s) => s.0,
    }
}

pub(crate) fn group() -> GroupName {
    GroupName::new("sites").unwrap()
}

pub(crate) fn group_config() -> GroupConfig {
    GroupConfig::default()
        .with_members_max(8)
        .with_window_packets(64)
        .with_message_bytes_max(4096)
        .with_ack_packets(16)
}

pub(crate) struct Sites {
    pub(crate) world: World,
}

impl Sites {
    /// The servers run; the processes do not yet.
    pub(crate) fn new(seed: u64, config: &GroupConfig, rules: Rules) -> Self {
        let mut world = World::new(WorldConfig::default().with_seed(seed));
        world.set_rules(rules);
        let node = NodeConfig::default().with_groups_max(1);
        for s in SERVERS {
            world.add_server(s, ServerConfig::default(), 0).unwrap();
        }
        for p in PROCESSES.map(ProcessId) {
            let home = ServerId(site_of(Site::Process(p)));
            world.add_process(p, node.clone(), &[home], ());
            world.join(p, &group(), config.clone());
        }
        let far = Link::LAN.with_delay(Duration::from_millis(FAR_MS)).with_jitter(Duration::ZERO);
        let sites = || {
            PROCESSES
                .map(|p| Site::Process(ProcessId(p)))
                .into_iter()
                .chain(SERVERS.map(Site::Server))
        };
        for a in sites() {
            for b in sites().filter(|b| site_of(*b) != site_of(a)) {
                world.set_link(a, b, far);
            }
        }
        Self { world }
    }

    pub(crate) fn start(&mut self, processes: &[u64]) {
        for p in processes {
            self.world.start(ProcessId(*p)).unwrap();
        }
    }

    /// Runs until exactly `processes` share a view; `None` if they do not within 5 simulated
    /// seconds.
    pub(crate) fn meet(&mut self, processes: &[u64]) -> Option<View> {
        let members: Vec<ProcessId> = processes.iter().map(|p| ProcessId(*p)).collect();
        let met = self.world.run_while_ms(5_000, |world| {
            let mut views = members.iter().map(|p| world.view(*p, group().key()));
            let first = views.next().flatten();
            !(first.is_some_and(|v| v.members() == members) && views.all(|v| v == first))
        });
        met.unwrap().then(|| self.world.view(members[0], group().key()).unwrap().clone())
    }

    /// Runs until exactly `processes` share a view, and then on until nothing is under way any
    /// more.
    pub(crate) fn await_view(&mut self, processes: &[u64]) -> View {
        let view = self.meet(processes);
        let view = view.unwrap_or_else(|| panic!("{processes:?} never came to share a view"));
        self.world.run_for_ms(10 * FAR_MS).unwrap();
        view
    }

    /// Takes out the trace of each process, without header, and checks them.
    pub(crate) fn clean_traces(&mut self) -> Vec<(ProcessId, Vec<Record>)> {
        let records = self.world.take_traces();
        let trace = |(process, records): &(ProcessId, Vec<Record>)| {
            let (incarnation, runtime) = (Incarnation::new(0), "sim".into());
            Trace::from_records(Header { process: *process, incarnation, runtime }, records.clone())
        };
        let traces: Vec<Trace> = records.iter().map(trace).collect();
        let report = spec::check_with(&traces, &spec::Options::default());
        assert!(report.is_clean(), "{:?}", report.violations);
        records
    }
}
