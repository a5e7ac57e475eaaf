//! L6, counted: between start_change and view lies exactly one round of sync messages, and it runs in parallel with
//! the one round of proposals of the membership servers.

use vs_core::ident::{Cid, GroupName, ProcessId, ServerId};
use vs_core::member::{ServerConfig, ServerCounters};
use vs_core::sim::{Link, Site, World, WorldConfig};
use vs_core::trace::{Event, Record};
use vs_core::{GroupConfig, NodeConfig, Time, View};

/// One way between the two sites.
const FAR_MS: u64 = 50;

/// What happens within a site is over after this.
const NEAR_MS: u64 = 5;

const SERVERS: [ServerId; 2] = [ServerId(1), ServerId(2)];

/// Processes 1 to 3 live at the site of server 1, 11 to 13 at that of server 2.
fn site_of(site: Site) -> u64 {
    match site {
        Site::Process(p) => 1 + p.0 / 10,
        Site::Server(s) => s.0,
    }
}

fn group() -> GroupName {
    GroupName::new("rounds").unwrap()
}

fn group_config() -> GroupConfig {
    GroupConfig {
        members_max: 8,
        window_packets: 64,
        message_bytes_max: 4096,
        ack_packets: 16,
        ..GroupConfig::default()
    }
}

fn node_config() -> NodeConfig {
    NodeConfig { pool_slots: group_config().slots(), groups_max: 1, ..NodeConfig::default() }
}

struct Rounds {
    world: World,
    processes: Vec<ProcessId>,
}

impl Rounds {
    fn new(seed: u64) -> Self {
        let mut world = World::new(WorldConfig { seed, ..WorldConfig::default() });
        for s in SERVERS {
            world.add_server(s, ServerConfig::default(), 0).unwrap();
        }
        let processes: Vec<ProcessId> = [1, 2, 3, 11, 12, 13].map(ProcessId).to_vec();
        for &p in &processes {
            let home = ServerId(site_of(Site::Process(p)));
            world.add_process(p, node_config(), &[home], ());
            world.join(p, &group(), group_config());
        }
        let sites: Vec<Site> =
            processes.iter().map(|p| Site::Process(*p)).chain(SERVERS.map(Site::Server)).collect();
        for a in &sites {
            for b in sites.iter().filter(|b| site_of(**b) != site_of(*a)) {
                world.set_link(
                    *a,
                    *b,
                    Link { jitter_us: 0, ..Link::LAN.with_delay_us(FAR_MS * 1000) },
                );
            }
        }
        Self { world, processes }
    }

    fn start(&mut self, processes: &[u64]) {
        for p in processes {
            self.world.start(ProcessId(*p)).unwrap();
        }
    }

    /// Runs until exactly `processes` share a view, and then on until nothing is under way any more.
    fn await_view(&mut self, processes: &[u64]) -> View {
        let members: Vec<ProcessId> = processes.iter().map(|p| ProcessId(*p)).collect();
        let settled = self.world.run_while_ms(5_000, |world| {
            let mut views = members.iter().map(|p| world.view(*p, group().key()));
            let first = views.next().flatten();
            !(first.is_some_and(|v| v.members() == members) && views.all(|v| v == first))
        });
        assert!(settled.unwrap(), "{processes:?} never came to share a view");
        self.world.run_for_ms(10 * FAR_MS).unwrap();
        self.world.view(members[0], group().key()).unwrap().clone()
    }

    fn counters(&self) -> [ServerCounters; 2] {
        SERVERS.map(|s| self.world.server_counters(s))
    }

    /// What each of `processes` saw from `since` on.
    fn records(&mut self, processes: &[u64], since: Time) -> Vec<(ProcessId, Vec<Record>)> {
        let traces = self.world.take_traces();
        assert_eq!(traces.len(), self.processes.len());
        traces
            .into_iter()
            .filter(|(p, _)| processes.contains(&p.0))
            .map(|(p, records)| (p, records.into_iter().filter(|r| r.ts >= since).collect()))
            .collect()
    }
}

/// One change, as one process saw it.
#[derive(Debug, Default)]
struct Change {
    cids: Vec<Cid>,
    syncs: Vec<(Cid, Time)>,
    announced: Vec<(View, Time)>,
    installed: Vec<(View, Time)>,
    /// When the first start_change came.
    begun: Option<Time>,
}

impl Change {
    fn of(records: &[Record]) -> Self {
        let mut change = Self::default();
        for Record { ts, event, .. } in records {
            match event {
                Event::StartChange { cid, .. } => {
                    change.begun = change.begun.or(Some(*ts));
                    change.cids.push(*cid);
                }
                Event::Sync { cid, .. } => {
                    // Sent while the membership servers are still at it: never after the view.
                    assert_eq!(change.cids.last(), Some(cid), "a sync for a change that is over");
                    assert!(change.announced.is_empty(), "a sync after the membership view");
                    change.syncs.push((*cid, *ts));
                }
                Event::MbrView { view } => change.announced.push(((**view).clone(), *ts)),
                Event::View { view, .. } => change.installed.push(((**view).clone(), *ts)),
                _ => {}
            }
        }
        change
    }

    /// The rules of one round that hold for every survivor of every change.
    fn assert_one_round(&self, p: ProcessId, view: &View) {
        let cids: Vec<Cid> = self.syncs.iter().map(|(cid, _)| *cid).collect();
        assert_eq!(cids, self.cids, "{p}: one sync for each start_change, no more and no fewer");
        let views: Vec<&View> = self.installed.iter().map(|(v, _)| v).collect();
        assert_eq!(views, [view], "{p}: one view");
        let (announced, told) = self.announced.last().expect("a membership view");
        assert_eq!(announced, view, "{p}");
        assert_eq!(view.start(p), self.cids.last().copied(), "{p}: the view answers the last cid");
        // No round of messages fits in between: the nearest remote answer takes twice FAR_MS.
        let waited = self.installed[0].1 - *told;
        assert!(Time(waited).as_millis() < NEAR_MS, "{p} waited {waited} ns for the view");
    }
}

#[test]
fn a_crash_takes_one_sync_round_in_parallel_with_one_proposal_round() {
    for seed in 0..20 {
        let mut rounds = Rounds::new(seed);
        rounds.start(&[1, 2, 3, 11, 12]);
        rounds.await_view(&[1, 2, 3, 11, 12]);
        let (before, crash) = (rounds.counters(), rounds.world.now());
        rounds.world.kill(ProcessId(3));
        let survivors = [1, 2, 11, 12];
        let view = rounds.await_view(&survivors);

        for (b, a) in before.iter().zip(rounds.counters()) {
            assert_eq!(a.changes - b.changes, 1, "seed {seed}");
            assert_eq!(a.proposals - b.proposals, 1, "seed {seed}: one proposal a server");
            assert_eq!((a.views_fast - b.views_fast, a.views_slow - b.views_slow), (1, 0));
        }
        for (p, records) in rounds.records(&survivors, crash) {
            let change = Change::of(&records);
            assert_eq!(change.syncs.len(), 1, "seed {seed}: {p} sent one sync");
            change.assert_one_round(p, &view);
            let took = Time(change.installed[0].1 - crash).as_millis();
            let trips = if p.0 < 10 { 2 } else { 1 };
            assert!(took < trips * FAR_MS + NEAR_MS, "seed {seed}: {p} took {took} ms");
        }
    }
}

#[test]
fn a_join_takes_one_sync_round() {
    for seed in 0..20 {
        let mut rounds = Rounds::new(seed);
        rounds.start(&[1, 2, 11, 12]);
        rounds.await_view(&[1, 2, 11, 12]);
        let (before, since) = (rounds.counters(), rounds.world.now());
        rounds.start(&[13]);
        let view = rounds.await_view(&[1, 2, 11, 12, 13]);
        for (b, a) in before.iter().zip(rounds.counters()) {
            assert_eq!(a.proposals - b.proposals, 1, "seed {seed}: one proposal a server");
            assert_eq!(a.views_slow, b.views_slow, "seed {seed}");
        }
        for (p, records) in rounds.records(&[1, 2, 11, 12, 13], since) {
            let change = Change::of(&records);
            assert_eq!(change.syncs.len(), 1, "seed {seed}: {p} sent one sync");
            change.assert_one_round(p, &view);
        }
    }
}

#[test]
fn a_joiner_is_taken_up_in_mid_change_without_a_view_of_its_own() {
    for seed in 0..20 {
        let mut rounds = Rounds::new(seed);
        rounds.start(&[1, 2, 3, 11, 12]);
        rounds.await_view(&[1, 2, 3, 11, 12]);
        let (before, crash) = (rounds.counters(), rounds.world.now());
        rounds.world.kill(ProcessId(3));
        // The other site has not heard of the crash when its joiner comes.
        rounds.world.run_for_ms(FAR_MS / 2).unwrap();
        rounds.start(&[13]);
        let survivors = [1, 2, 11, 12];
        let view = rounds.await_view(&[1, 2, 11, 12, 13]);

        for (b, a) in before.iter().zip(rounds.counters()) {
            // One for the crash and one for the join, whichever each server heard of first.
            assert_eq!(a.proposals - b.proposals, 2, "seed {seed}: one proposal for each event");
            assert_eq!((a.views_fast - b.views_fast, a.views_slow - b.views_slow), (1, 0));
        }
        let mut twice = 0;
        for (p, records) in rounds.records(&survivors, crash) {
            let change = Change::of(&records);
            change.assert_one_round(p, &view);
            assert!(change.syncs.len() <= 2, "seed {seed}: {p}: {:?}", change.syncs);
            twice += usize::from(change.syncs.len() == 2);
            assert!(change.begun.is_some_and(|begun| begun >= crash));
        }
        assert!(twice >= 2, "seed {seed}: the join came in mid-change at the site of the crash");
    }
}
