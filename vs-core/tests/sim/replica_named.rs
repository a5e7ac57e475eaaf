//! Situations that hurt users of replicated states in other systems, each by its name.
//!
//! Each is brought about at many instants, and what the replicas saw must show that it occurred.
//! Then everything is healed, and all serve one state in which each answer holds.

use crate::ledger::{Keeper, Run, Seen, play};
use vs_core::Time;
use vs_core::ident::{ProcessId, ServerId};
use vs_core::order::Order;
use vs_core::replica::ReplicaEvent;
use vs_core::sim::{Moment, Scenario, Site, Step, Trigger};
use vs_core::trace::Event;

/// Microseconds from the start of a scenario to the begin of its story. The processes that run
/// serve a state by then.
const BEGIN_US: u64 = 100_000;

/// Bytes of a state whose transfer takes some ms.
const LARGE: usize = 100_000;

fn site(p: u64) -> Site {
    Site::Process(ProcessId(p))
}

/// What is played, and with which ledgers.
#[derive(Clone)]
struct Story {
    scenario: Scenario,
    /// The state is that of processes 1 to this.
    primary: u64,
    ballast: usize,
}

/// Processes 1 to `processes`, each of which asks for something each `every_us` µs for `us` µs of
/// story. The state is that of all of them.
fn together(seed: u64, processes: u64, every_us: u64, us: u64) -> Story {
    let mut scenario = Scenario::calm(seed, processes).with_order(Order::Safe);
    scenario.heal_us = BEGIN_US + us;
    for plan in &mut scenario.processes {
        plan.load.interval_us = every_us;
        plan.load.until = scenario.world.start.plus_us(scenario.heal_us);
    }
    Story { scenario, primary: processes, ballast: 0 }
}

impl Story {
    /// The state is that of processes 1 to `primary`, and is large. The others do not run yet.
    fn of(mut self, primary: u64) -> Self {
        (self.primary, self.ballast) = (primary, LARGE);
        let is_late = |step: &Step| matches!(step, Step::Start(p) if p.0 > primary);
        self.scenario.steps.retain(|(_, step)| !is_late(step));
        self
    }

    /// Plays `step` at `us` µs of the story.
    fn then(mut self, us: u64, step: Step) -> Self {
        self.scenario.steps.push((BEGIN_US + us, step));
        self.scenario.steps.sort_by_key(|(at, _)| *at);
        self
    }

    /// Plays `steps` once `p` has come to `moment` for the first time in the story, each so many µs
    /// later.
    fn at(self, p: u64, moment: Moment, steps: &[(u64, Step)]) -> Self {
        let (process, steps) = (Some(ProcessId(p)), steps.to_vec());
        self.then(0, Step::When(Trigger { process, moment, nth: 1, steps }))
    }

    /// The time at `us` µs of the story.
    fn time(&self, us: u64) -> Time {
        self.scenario.world.start.plus_us(BEGIN_US + us)
    }

    /// Plays it, with ledgers that `set` changes. All serve in the end.
    fn play_with(&self, set: impl Fn(&mut Keeper)) -> Told {
        let primary_of: Vec<ProcessId> = (1..=self.primary).map(ProcessId).collect();
        let played = play(&self.scenario, |keeper| {
            keeper.primary_of.clone_from(&primary_of);
            keeper.ballast = self.ballast;
            set(keeper);
        });
        let run = match played {
            Ok(run) => run,
            Err(failure) => panic!("{failure}\nof the story {:?}", self.scenario.steps),
        };
        assert!(!run.history.recovered, "no state was given up");
        Told { begin: self.time(0), run }
    }

    fn play(&self) -> Told {
        let told = self.play_with(|_| ());
        let down = self.scenario.processes.iter().filter(|plan| plan.stays_down).count();
        assert_eq!(told.run.serving, self.scenario.processes.len() - down, "all serve");
        told
    }
}

/// All processes know `servers` servers and prefer them in turn, the first ones together.
fn with_servers(mut scenario: Scenario, servers: u64) -> Scenario {
    scenario.servers = (1..=servers).map(|s| (ServerId(s), 0)).collect();
    let per_server = (scenario.processes.len() as u64).div_ceil(servers);
    for plan in &mut scenario.processes {
        plan.servers = (1..=servers).map(ServerId).collect();
        plan.servers.rotate_left(((plan.id.0 - 1) / per_server) as usize);
    }
    scenario
}

/// A story that was played.
struct Told {
    begin: Time,
    run: Run,
}

impl Told {
    /// What `p` saw in the story, with the times in µs of it.
    fn seen(&self, p: u64) -> impl Iterator<Item = (u64, &Seen)> {
        let log = self
            .run
            .history
            .log
            .iter()
            .filter(move |(at, q, _)| *q == ProcessId(p) && *at >= self.begin);
        log.map(|(at, _, seen)| ((*at - self.begin) / 1_000, seen))
    }

    fn count(&self, p: u64, what: impl Fn(&Seen) -> bool) -> usize {
        self.seen(p).filter(|(_, seen)| what(seen)).count()
    }

    /// Where the state of `p` came from, and when, each time.
    fn restored(&self, p: u64) -> Vec<(u64, u64)> {
        let from = |(at, seen): (u64, &Seen)| match seen {
            Seen::Event(ReplicaEvent::Restored { from, .. }) => Some((at, from.0)),
            _ => None,
        };
        self.seen(p).filter_map(from).collect()
    }

    /// How far the transfer to `p` had come at `us` µs: the donor, and bytes.
    fn pulled(&self, p: u64, us: u64) -> Option<(u64, u64)> {
        let before = self.seen(p).take_while(|(at, _)| *at <= us);
        before.fold(None, |last, (_, seen)| match seen {
            Seen::Pulled { donor, bytes } => Some((donor.0, *bytes)),
            Seen::Event(ReplicaEvent::Restored { .. }) => None,
            _ => last,
        })
    }

    /// How often a transfer to `p` began anew.
    fn begun_anew(&self, p: u64) -> usize {
        let bytes: Vec<u64> = self
            .seen(p)
            .filter_map(|(_, seen)| match seen {
                Seen::Pulled { bytes, .. } => Some(*bytes),
                _ => None,
            })
            .collect();
        bytes.windows(2).filter(|pair| pair[1] < pair[0]).count()
    }

    /// Views that `p` has installed before `us` µs.
    fn views(&self, p: u64, us: u64) -> usize {
        let traces = &self.run.outcome.traces;
        let trace = traces.iter().find(|trace| trace.header.process == ProcessId(p)).unwrap();
        let (from, to) = (self.begin, self.begin.plus_us(us));
        let records = trace.lines.iter().map(|line| &line.record);
        let within = records.filter(|record| (from..to).contains(&record.ts));
        within.filter(|record| matches!(record.event, Event::View { .. })).count()
    }

    /// Calls and reads of `p` that were answered between two times, in µs of the story.
    fn answered(&self, p: u64, from: u64, to: u64) -> usize {
        let within = self.seen(p).filter(|(at, _)| (from..to).contains(at));
        within.filter(|(_, seen)| matches!(seen, Seen::Answered { .. } | Seen::Read)).count()
    }
}

fn is_served(seen: &Seen) -> bool {
    matches!(seen, Seen::Event(ReplicaEvent::Served))
}

fn is_created(seen: &Seen) -> bool {
    matches!(seen, Seen::Event(ReplicaEvent::Created))
}

fn is_waiting(seen: &Seen) -> bool {
    matches!(seen, Seen::Event(ReplicaEvent::Waiting(_)))
}

/// Process 5 joins 1 to 4, while all call for `us` µs.
fn joiner(us: u64) -> Story {
    together(1, 5, 4_000, us).of(4).then(0, Step::Start(ProcessId(5)))
}

/// Times in the transfer to 5 in µs of the story, if nothing happens: the first bytes, and the end.
/// And its donor.
fn transfer(story: &Story) -> (u64, u64, u64) {
    let told = story.play();
    let is_part = |seen: &Seen| matches!(seen, Seen::Pulled { bytes, .. } if *bytes > 0);
    let (begin, _) = told.seen(5).find(|(_, seen)| is_part(seen)).unwrap();
    let [(end, donor)] = told.restored(5)[..] else { panic!("{:?}", told.restored(5)) };
    assert!(end > begin + 1_000, "the transfer takes from {begin} to {end} µs");
    (begin, end, donor)
}

/// `count` moments of the transfer to 5, from its first bytes to its last, and its donor.
fn moments(story: &Story, count: u64) -> (Vec<u64>, u64) {
    let (begin, end, donor) = transfer(story);
    ((0..count).map(|i| begin + i * (end - begin) / count).collect(), donor)
}

#[test]
fn a_donor_dies_and_another_goes_on() {
    let story = joiner(50_000);
    let (moments, donor) = moments(&story, 20);
    let (mut parts, mut replaced) = (Vec::new(), 0);
    for us in moments {
        let told = story.clone().then(us, Step::Kill(ProcessId(donor))).play();
        let (from, bytes) = told.pulled(5, us).unwrap();
        assert_eq!(from, donor, "it pulls from the one that dies");
        let restored = told.restored(5);
        let [(at, from)] = restored[..] else { panic!("at {us} µs: {restored:?}") };
        // The last parts may be on their way when it dies.
        assert!(at > us && (from != donor || bytes > LARGE as u64 / 2), "{us} {restored:?}");
        replaced += usize::from(from != donor);
        parts.push(bytes);
    }
    let (first, last) = (parts[0], parts[parts.len() - 1]);
    assert!(first < 5_000 && last > 80_000 && replaced >= 15, "{replaced} {parts:?}");
}

#[test]
fn a_donor_cut_off_for_a_moment_goes_on() {
    let story = joiner(170_000);
    let (moments, donor) = moments(&story, 4);
    for (us, cut_us) in moments.into_iter().flat_map(|us| [(us, 20_000), (us, 150_000)]) {
        let cut = |a, b| Step::Cut(site(a), site(b));
        let heal = |a, b| Step::Heal(site(a), site(b));
        let mut story = story.clone();
        for other in (1..=5).filter(|p| *p != donor) {
            story = story.then(us, cut(other, donor)).then(us, cut(donor, other));
            let back_us = us + cut_us;
            story = story.then(back_us, heal(other, donor)).then(back_us, heal(donor, other));
        }
        let told = story.play();
        assert!(told.pulled(5, us).is_some_and(|(from, _)| from == donor));
        let [(at, from)] = told.restored(5)[..] else { panic!("{:?}", told.restored(5)) };
        assert!(at > us + cut_us && from == donor, "{at} {from}");
        assert_eq!(told.begun_anew(5), 0);
    }
}

#[test]
fn a_donor_cut_off_for_long_is_replaced() {
    let mut story = joiner(300_000);
    story.scenario.heal_us = BEGIN_US + 2_000_000;
    let (moments, donor) = moments(&story, 4);
    for us in moments {
        let mut story = story.clone();
        for other in (1..=5).filter(|p| *p != donor) {
            story = story.then(us, Step::Cut(site(other), site(donor)));
            story = story.then(us, Step::Cut(site(donor), site(other)));
        }
        let told = story.then(us + 1_000_000, Step::HealAll).play();
        assert!(told.pulled(5, us).is_some_and(|(from, _)| from == donor));
        let restored = told.restored(5);
        assert!(restored[0].0 < us + 1_000_000 && restored[0].1 != donor, "{restored:?}");
        assert!(!told.restored(donor).is_empty(), "it comes back, and has missed something");
    }
}

#[test]
fn a_joiner_dies_in_transfer_and_comes_back() {
    let story = joiner(60_000);
    let (moments, _) = moments(&story, 5);
    for (us, away_us) in moments.into_iter().flat_map(|us| [(us, 1_000), (us, 40_000)]) {
        let five = ProcessId(5);
        let story = story.clone().then(us, Step::Kill(five));
        let told = story.then(us + away_us, Step::Start(five)).play();
        assert!(told.pulled(5, us).is_some(), "it dies within the transfer");
        let [(at, _)] = told.restored(5)[..] else { panic!("{:?}", told.restored(5)) };
        assert!(at > us + away_us);
    }
}

#[test]
fn a_transfer_goes_on_through_many_views() {
    let mut story = together(1, 7, 4_000, 300_000).of(4);
    story.ballast = 15 * LARGE;
    let mut story = story.then(0, Step::Start(ProcessId(5)));
    for i in 0..20 {
        let guest = ProcessId(6 + i % 2);
        story = story.then(5_000 * i, Step::Start(guest));
        story = story.then(5_000 * i + 6_000, Step::Leave(guest));
    }
    let told = story.play();
    let [(at, _)] = told.restored(5)[..] else { panic!("{:?}", told.restored(5)) };
    let views = told.views(5, at);
    assert!(views >= 5, "{views} views in {at} µs");
    assert_eq!(told.begun_anew(5), 0);
}

#[test]
fn three_joiners_share_two_donors() {
    let mut story = together(1, 6, 2_000, 300_000).of(3);
    story.primary = 3;
    let mut story = story.then(0, Step::Kill(ProcessId(3)));
    for p in 3..=6 {
        story = story.then(50_000, Step::Start(ProcessId(p)));
    }
    let told = story.play();
    let donors: Vec<u64> = (3..=6)
        .map(|p| {
            let [(_, donor)] = told.restored(p)[..] else { panic!("{:?}", told.restored(p)) };
            donor
        })
        .collect();
    assert!(donors.contains(&1) && donors.contains(&2), "{donors:?}");
    let first = (3..=6).map(|p| told.restored(p)[0].0).min().unwrap();
    assert!((3..=6).all(|p| told.pulled(p, first - 1).is_some()), "they pull at one time");
}

#[test]
fn a_fresh_majority_serves_nothing_until_recovered() {
    let mut story = together(1, 3, 2_000, 2_000_000);
    // Each has a server of its own.
    story.scenario = with_servers(story.scenario, 3);
    let parts = (1..=3).map(|p| vec![site(p), Site::Server(ServerId(p))]).collect::<Vec<_>>();
    let [one, two, three] = &parts[..] else { unreachable!() };
    let apart = vec![[&one[..], &two[..]].concat(), three.clone()];
    let mut story = story.then(0, Step::Partition(apart));
    for p in [1, 2].map(ProcessId) {
        story = story.then(10, Step::Kill(p)).then(20_000, Step::Start(p));
    }
    let (heal_us, recover_us) = (800_000, 1_500_000);
    let story = story.then(heal_us, Step::HealAll);
    let recover_at = story.time(recover_us);
    let told = story.play_with(|keeper| {
        keeper.recover_at = (keeper.me == ProcessId(3)).then_some(recover_at);
    });
    assert_eq!(told.run.serving, 3);
    let before = told.run.history.log.iter().filter(|(at, ..)| *at < told.begin);
    let answered = before.filter(|(.., seen)| matches!(seen, Seen::Answered { .. })).count();
    assert!(answered > 10, "{answered} answers that must be kept");
    for p in 1..=3 {
        let early = told.seen(p).filter(|(at, _)| (1_000..recover_us).contains(at));
        let early: Vec<&Seen> = early.map(|(_, seen)| seen).collect();
        assert!(early.iter().any(|seen| is_waiting(seen)), "{p} waits");
        assert!(!early.iter().any(|seen| is_served(seen) || is_created(seen)), "{p}: {early:?}");
        assert_eq!(told.answered(p, 1_000, recover_us), 0);
        assert!(told.answered(p, recover_us, u64::MAX) > 10, "{p} serves then");
    }
    let waits_again =
        |(at, seen): (u64, &Seen)| (heal_us..recover_us).contains(&at) && is_waiting(seen);
    assert!((1..=3).all(|p| told.seen(p).any(waits_again)), "they wait together, too");
    let restored: Vec<u64> = (1..=2).flat_map(|p| told.restored(p)).map(|(_, from)| from).collect();
    assert_eq!(restored, [3, 3]);
}

#[test]
fn a_minority_serves_nothing_and_comes_back() {
    for seed in 0..2 {
        let mut story = together(seed, 5, 8_000, 1_600_000);
        story.scenario = with_servers(story.scenario, 2);
        let sites = |ps: &[u64], server| {
            let sites = ps.iter().map(|p| site(*p));
            sites.chain([Site::Server(ServerId(server))]).collect::<Vec<_>>()
        };
        let parts = vec![sites(&[1, 2, 3], 1), sites(&[4, 5], 2)];
        let heal_us = 1_200_000;
        let story = story.then(0, Step::Partition(parts)).then(heal_us, Step::HealAll);
        let told = story.play();
        for p in [4, 5] {
            // What was on its way is here by then.
            assert_eq!(told.answered(p, 1_000, heal_us), 0);
            let parted = |(at, seen): (u64, &Seen)| at < heal_us && is_waiting(seen);
            assert!(told.seen(p).any(parted), "{p} has a view of the minority");
            assert!(!told.restored(p).is_empty(), "{p} takes what it has missed");
        }
        for p in 1..=5 {
            let from_us = if p < 4 { 700_000 } else { heal_us };
            assert!(told.answered(p, from_us, u64::MAX) > 50, "{p} goes on");
        }
    }
}

#[test]
fn the_leader_dies_and_then_its_successor() {
    let moments = [Moment::StartChange, Moment::Sync, Moment::MbrView, Moment::View];
    for i in 0..12 {
        let story = together(i, 5, 2_000, 120_000);
        let dies = [(37 * i, Step::Kill(ProcessId(2)))];
        let story = story.at(2, moments[i as usize % 4], &dies);
        let kill_us = 5_000 + 130 * i;
        let told = story.then(kill_us, Step::Kill(ProcessId(1))).play();
        for p in 1..=2 {
            assert_eq!(told.restored(p).len(), 1, "{p} dies and comes back");
        }
        for p in 3..=5 {
            assert!(told.answered(p, kill_us + 1, 120_000) > 20, "{p} goes on");
            assert!(told.restored(p).is_empty(), "{p} has all");
        }
    }
}

#[test]
fn a_paused_member_reads_no_old_value() {
    for (seed, pause_us) in (0..3).flat_map(|seed| [(seed, 50_000), (seed, 700_000)]) {
        let three = ProcessId(3);
        let story = together(seed, 5, 4_000, pause_us + 100_000);
        let story = story.then(0, Step::Pause(Site::Process(three)));
        let story = story.then(pause_us, Step::Resume(Site::Process(three)));
        let told = story.then(pause_us, Step::Send(three, 20)).play();
        let is_old = |seen: &Seen| matches!(seen, Seen::AsksToRead { len, floor } if len < floor);
        let is_late = pause_us > 300_000;
        assert!(told.count(3, is_old) > 0 || !is_late, "it asks before it knows all");
        assert!(told.answered(3, pause_us, u64::MAX) > 0);
        assert!(told.answered(1, 400_000, pause_us) > 0 || !is_late, "others write meanwhile");
    }
}

#[test]
fn sessions_come_with_the_state_after_failover() {
    let mut story = together(1, 5, 4_000, 1_300_000);
    story.ballast = LARGE;
    // 5 hears nobody, and is heard: what it asks for is carried out, and it hears no answer.
    let others = [1, 2, 3, 4].map(site).into_iter().chain([Site::Server(ServerId(1))]);
    for other in others {
        story = story.then(0, Step::Cut(other, site(5)));
    }
    let story = story.then(0, Step::Send(ProcessId(5), 20));
    let story = story.then(200_000, Step::Kill(ProcessId(1)));
    let told = story.then(1_000_000, Step::HealAll).play();
    let restored = told.restored(5);
    let with_state = |(at, seen): &(u64, &Seen)| {
        matches!(seen, Seen::Answered { .. }) && restored.iter().any(|(then, _)| then == at)
    };
    let answers = told.seen(5).filter(with_state).count();
    assert!(answers > 5, "{answers} answers came with the state: {restored:?}");
}

#[test]
fn a_joiner_whose_hold_is_full_settles() {
    let mut story = together(1, 5, 1_000, 100_000).of(4);
    story.ballast = 3 * LARGE;
    let told = story.then(0, Step::Start(ProcessId(5))).play_with(|keeper| {
        keeper.config = |config| config.with_hold_bytes(1_000);
    });
    assert_eq!(told.run.serving, 5);
    let full = told.seen(5).find(|(_, seen)| **seen == Seen::Full).unwrap().0;
    let [(at, _)] = told.restored(5)[..] else { panic!("{:?}", told.restored(5)) };
    assert!(full + 1_000 < at, "it is full from {full} to {at} µs");
    assert!(told.answered(1, at, u64::MAX) > 20);
}

#[test]
fn a_state_beyond_the_joiners_bound_is_named() {
    let mut story = joiner(300_000).then(150_000, Step::Leave(ProcessId(5)));
    story.scenario.processes[4].stays_down = true;
    let told = story.play_with(|keeper| {
        if keeper.me == ProcessId(5) {
            keeper.config = |config| config.with_state_bytes_max(LARGE as u64 / 2);
            keeper.may_break = true;
        }
    });
    let broke = |seen: &Seen| match seen {
        Seen::Broke(why) => Some(why.clone()),
        _ => None,
    };
    let whys: Vec<String> = told.seen(5).filter_map(|(_, seen)| broke(seen)).collect();
    let [why] = &whys[..] else { panic!("{whys:?}") };
    assert!(why.contains("state_bytes_max is 50000"), "{why}");
    assert_eq!(told.run.serving, 4);
    assert!((1..=4).all(|p| told.answered(p, 200_000, u64::MAX) > 10), "the others go on");
}
