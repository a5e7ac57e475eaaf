//! Random worlds: a few hundred seeds. Each is healed in the end and judged, liveness included.

use core::panic::AssertUnwindSafe;
use std::collections::BTreeMap;
use std::panic::catch_unwind;

use crate::seeds::seeds;
use vs_core::ident::{GroupKey, ProcessId};
use vs_core::sim::{
    Application, Defect, FLOOR_RUNS, Handle, Outcome, ProcessPlan, Profile, Scenario, Stats, Step,
    Traffic, Why,
};
use vs_core::trace::{Event, Mark};
use vs_core::{Action, Time};

/// Number of seeds, unless the environment gives another.
const SEEDS: core::ops::Range<u64> = 0..2000;

/// Seeds of [`Scenario::of_any_profile`] that once found a fault, and the fault.
const REGRESSIONS: [(u64, &str); 12] = [
    (7, "a word of a server that another kind of word overtook was never heard"),
    (81, "a process came back to a server with a slower clock: a cid again (M2)"),
    (115, "… and a view id again (M6)"),
    (166, "… and a sync message that counted twice (S10)"),
    (138, "the clients of a server that restarted and said nothing stayed for ever"),
    (321, "a stopped server of the simulator forgot to connect again"),
    (1687, "words on the one of two connections that ended were lost for good"),
    (6071, "an attachment that was left was read last, and took the place of the newer one"),
    (7987, "… with the end of its connection it took the newer one along"),
    (8202, "… in one of two groups"),
    (20027, "a server restarted unnoticed behind a connection of its earlier life"),
    (37391, "a server that had forgotten gave a client cids that a view of others had passed"),
];

/// Runs a scenario. A panic names the seed, too.
fn run(scenario: &Scenario) -> Result<Outcome, String> {
    let outcome = catch_unwind(AssertUnwindSafe(|| scenario.run()))
        .map_err(|_| format!("seed {} ({}): panicked", scenario.seed, scenario.profile))?;
    match &outcome.failure {
        Some(failure) => Err(failure.to_string()),
        None => Ok(outcome),
    }
}

fn run_all(scenarios: impl Iterator<Item = Scenario>) -> Stats {
    let mut stats = Stats::default();
    let mut failures = Vec::new();
    for scenario in scenarios {
        match run(&scenario) {
            Ok(outcome) => stats.add(&outcome.stats),
            Err(failure) => failures.push(failure),
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
    println!("{stats}");
    stats
}

#[test]
fn random_worlds_hold_every_property() {
    let seeds = seeds(SEEDS);
    let stats = run_all(seeds.clone().map(Scenario::random));
    assert_eq!(stats.runs, seeds.end - seeds.start);
    // A simulator in which nothing goes wrong proves nothing.
    if stats.runs >= FLOOR_RUNS {
        assert_eq!(stats.shortfalls(), Vec::<String>::new(), "{stats}");
    }
}

#[test]
fn stressed_worlds_hold_every_property() {
    let seeds = seeds(SEEDS);
    let seeds = seeds.start..seeds.start + (seeds.end - seeds.start) / 2;
    let stats = run_all(seeds.clone().map(Scenario::of_any_profile));
    let runs = seeds.end - seeds.start;
    assert_eq!(stats.runs, runs);
    if runs < 100 {
        return;
    }
    // A simulator that meets no trouble proves nothing.
    let f = &stats.faults;
    for (what, count, floor) in [
        ("views", stats.views, 10 * runs),
        ("views entered together", stats.views_together, 2 * runs),
        ("joins in mid-change", stats.joins_in_mid_change, runs / 10),
        ("views passed over", stats.views_passed_over, runs / 50),
        ("packets forwarded", stats.forwards, runs / 50),
        ("messages", stats.delivered, 100 * runs),
        ("views decided in the slow mode", stats.servers.views_slow, runs / 100),
        ("kills", f.kills, runs / 2),
        ("power losses", f.power_offs, runs / 20),
        ("recoveries", f.recoveries, runs / 2),
        ("pauses", f.pauses, runs / 10),
        ("slow readers", f.slow_readers, runs / 10),
        ("leaves", f.leaves, runs / 10),
        ("cut paths", f.cuts, runs),
        ("killed servers", f.server_kills, runs / 20),
        ("lost datagrams", stats.net.lost, 50 * runs),
        ("duplicated datagrams", stats.net.duplicated, 10 * runs),
        ("reordered datagrams", stats.net.reordered, 10 * runs),
        ("datagrams on cut paths", stats.net.cut, 10 * runs),
    ] {
        assert!(count >= floor.max(1), "{what}: {count}, want {floor}\n{stats}");
    }
}

/// Large groups are too rare among a few thousand seeds: this runs the first one of a moderate
/// size.
#[test]
fn large_world_holds_every_property() {
    let is_large = |scenario: &Scenario| (32..50).contains(&scenario.processes.len());
    let scenario = (0..).map(Scenario::random).find(is_large).expect("one in a few thousand");
    let outcome = run(&scenario).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(outcome.stats.marks.count(Mark::LargeView) > 0, "{}", outcome.stats);
}

/// Any bytes make a scenario, and none ends in a failure.
#[test]
fn any_bytes_make_a_world() {
    let mut rng = vs_core::rng::Rng::new(7);
    for len in [0, 1, 7, 40, 200, 1000].repeat(5) {
        let bytes: Vec<u8> = (0..len).map(|_| rng.next_u64() as u8).collect();
        let scenario = Scenario::from_bytes(&bytes);
        assert_eq!(scenario, Scenario::from_bytes(&bytes));
        if let Some(failure) = scenario.run().failure {
            panic!("{bytes:?}: {failure}");
        }
    }
}

/// The last process of a group left while it owed an answer to a block request. Its trace did not
/// show the leave, so the checker took it for a survivor that never installed its last view (L5).
#[test]
fn empty_group_owes_nothing() {
    if let Err(failure) = run(&Scenario::random(1_037_160)) {
        panic!("{failure}");
    }
}

/// A process asked over two connections, of which it had left one, while its earlier incarnation
/// still held its id. The server admitted both requests, last the one on the connection that the
/// process had left. The process waited for its first view without end.
#[test]
fn recovered_process_with_two_connections_gets_its_view() {
    if let Err(failure) = run(&Scenario::random(1_027_018)) {
        panic!("{failure}");
    }
}

/// Runs the scenario and returns the processes that are down in the end although their trace does
/// not show it.
fn endless_traces(scenario: &Scenario) -> Vec<ProcessId> {
    let make = |plan: &ProcessPlan| Traffic::of(plan, scenario.seed);
    let mut down = Vec::new();
    let outcome = scenario.run_with(make, |world| {
        down.extend(world.processes().filter(|p| !world.is_running(*p)));
        Ok(())
    });
    assert!(outcome.failure.is_none(), "{}", outcome.failure.unwrap());
    down.retain(|p| {
        let trace = outcome.traces.iter().find(|trace| trace.header.process == *p).unwrap();
        let mut last = BTreeMap::new();
        last.extend(trace.lines.iter().map(|line| (&line.record.group, &line.record.event)));
        !last.values().all(|event| matches!(event, Event::Leave | Event::Crash))
    });
    down
}

/// In the first of these seeds, a process was told to leave again while it was leaving. The world
/// removed it as if it had left, and its trace did not show the end.
#[test]
fn trace_shows_the_end_of_each_incarnation() {
    for seed in [1_037_160].into_iter().chain(0..200) {
        assert_eq!(endless_traces(&Scenario::random(seed)), [], "seed {seed}");
    }
}

#[test]
fn seeds_that_once_failed_hold() {
    for (seed, fault) in REGRESSIONS {
        if let Err(failure) = run(&Scenario::of_any_profile(seed)) {
            panic!("{fault}: {failure}");
        }
    }
}

/// A later incarnation replaces the earlier one. When it waited for the end of the earlier one,
/// both ran.
#[test]
fn one_of_two_incarnations_runs() {
    if let Err(failure) = run(&Scenario::random(1_012_412)) {
        panic!("{failure}");
    }
}

/// A crowd of 45 processes of which many do not hear each other's multicasts. A member whose
/// view the others had left for a later one asked for their sync messages through the group alone,
/// which some of them do not hear, and accused them of what they owed it in the view that they had
/// left: it was excluded and came back without end.
#[test]
fn deaf_member_of_a_view_that_others_left_catches_up() {
    if let Err(failure) = run(&Scenario::random(723_472)) {
        panic!("{failure}");
    }
}

/// The process is detached while it is stopped. The group is not settled before the process is
/// back, although no other process is left.
#[test]
fn detached_lone_process_comes_back() {
    if let Err(failure) = run(&Scenario::random(213_483)) {
        panic!("{failure}");
    }
}

#[test]
fn each_profile_holds_every_property() {
    let runs = (seeds(SEEDS).end - seeds(SEEDS).start) / 10;
    for profile in Profile::ALL {
        let stats = run_all((0..runs).map(|seed| Scenario::with_profile(profile, seed)));
        assert_eq!(stats.runs, runs, "{profile}");
    }
}

#[test]
fn same_seed_gives_same_run() {
    for seed in 0..10 {
        let (a, b) = (Scenario::random(seed).run(), Scenario::random(seed).run());
        assert_eq!(a.stats, b.stats, "seed {seed}");
        assert!(a.traces == b.traces, "seed {seed}: traces differ");
    }
}

/// An application with faults to find: once all are in the view, or while the view is being
/// installed.
#[derive(Clone, Copy, PartialEq)]
enum Faulty {
    AtMoves(ProcessId, bool),
    InTheEnd(ProcessId),
    Complains,
    No,
}

impl Application for Faulty {
    fn handle_action(&mut self, _: Time, action: &Action<'_>) {
        if let (Self::AtMoves(_, over), Action::View { view, .. }) = (self, action) {
            *over = view.len() == 3;
        }
    }

    fn act(&mut self, _: &mut Handle<'_>) -> Option<Time> {
        None
    }

    fn common_state(&self, _: GroupKey) -> Option<String> {
        match self {
            Self::AtMoves(p, false) | Self::InTheEnd(p) => Some(p.to_string()),
            _ => None,
        }
    }

    fn complaint(&self) -> Option<&str> {
        (*self == Self::Complains).then_some("no")
    }
}

/// A fault of one application, or of several together, is the failure of the run.
#[test]
fn wrong_applications_are_found() {
    let mut scenario = Scenario::calm(1, 3);
    let late = Step::Start(ProcessId(3));
    scenario.steps.retain(|(_, step)| *step != late);
    scenario.steps.push((50_000, late));
    let why = |make: fn(ProcessId) -> Faulty, check: Result<(), String>| {
        let failure = scenario.run_with(|plan| make(plan.id), |_| check).failure;
        failure.map_or_else(String::new, |failure| failure.to_string())
    };
    assert_eq!(why(|_| Faulty::No, Ok(())), "");
    assert_eq!(why(|_| Faulty::No, Err("odd".into())), "seed 1: odd");
    assert_eq!(why(|_| Faulty::Complains, Ok(())), "seed 1: the application of process 1: no");
    let in_the_end = why(Faulty::InTheEnd, Ok(()));
    assert!(in_the_end.starts_with("seed 1: 1 and 2 went together from "), "{in_the_end}");
    let apart = why(|p| Faulty::AtMoves(p, false), Ok(()));
    assert!(apart.starts_with("seed 1: 1 and 2 went together from "), "{apart}");
    assert!(apart.ends_with(", 1 with 1, 2 with 2"), "{apart}");
    let two = |p| if p == ProcessId(3) { Faulty::InTheEnd(p) } else { Faulty::No };
    assert_eq!(why(two, Ok(())), "seed 1: in the end 1 has no common state and 3 has 3");
}

/// Sends a message whenever it may act, or for each own message that it delivers; a few times or
/// without end.
struct Sender {
    process: ProcessId,
    group: Option<GroupKey>,
    always: bool,
    /// How many messages it may still send.
    left: u64,
    due: bool,
}

impl Application for Sender {
    fn handle_joined(&mut self, group: GroupKey) {
        self.group = Some(group);
    }

    fn handle_action(&mut self, _: Time, action: &Action<'_>) {
        self.due |= match action {
            Action::Deliver { from, .. } => *from == self.process,
            Action::View { .. } => true,
            _ => false,
        };
    }

    fn act(&mut self, handle: &mut Handle<'_>) -> Option<Time> {
        if self.left > 0 && (self.always || self.due) {
            self.due = handle.send(self.group?, b"again").is_err();
            self.left -= u64::from(!self.due);
        }
        None
    }
}

/// The process could deliver its own messages without end in one instant, and its trace would take
/// all memory.
#[test]
fn application_that_sends_without_end_is_named() {
    let mut scenario = Scenario::calm(1, 2);
    // As long as the process is alone, no window stops it.
    let late = Step::Start(ProcessId(1));
    scenario.steps.retain(|(_, step)| *step != late);
    scenario.steps.push((50_000, late));
    for (always, left) in [(true, u64::MAX), (false, u64::MAX), (true, 1_000), (false, 1_000)] {
        let talks = ProcessId(2);
        let make = |plan: &ProcessPlan| Sender {
            process: plan.id,
            group: None,
            always,
            left: if plan.id == talks { left } else { 0 },
            due: false,
        };
        let outcome = scenario.run_with(make, |_| Ok(()));
        match outcome.failure.map(|failure| failure.why) {
            None => assert_eq!(left, 1_000),
            Some(Why::Defect(Defect::EndlessSends { process, .. })) => {
                assert_eq!((process, left), (talks, u64::MAX));
                let lines: usize = outcome.traces.iter().map(|trace| trace.lines.len()).sum();
                assert!(lines < 200_000, "{lines}");
            }
            Some(why) => panic!("{always} {left}: {why}"),
        }
    }
}

/// Minimum counts, and what did not happen, matter only for many runs.
#[test]
fn one_run_reports_what_happened() {
    let outcome = Scenario::random(1).run();
    let one = outcome.stats.to_string();
    assert!(one.contains(" settled together in the end; ") && one.contains(" delivered"), "{one}");
    assert!(!one.contains(" 0 ") && !one.contains("or more"), "{one}");
    let mut both = outcome.stats;
    both.add(&outcome.stats);
    let both = both.to_string();
    assert!(both.starts_with("2 runs, ") && both.contains(" 0 Impostor"), "{both}");
}

/// A state that no application returns is not compared, and the count shows that.
#[test]
fn compared_states_are_counted() {
    let scenario = Scenario::calm(1, 3);
    let compared = |app: Faulty| {
        let outcome = scenario.run_with(|_| app, |_| Ok(()));
        assert!(outcome.failure.is_none(), "{}", outcome.failure.unwrap());
        outcome.stats.compared
    };
    assert_eq!(compared(Faulty::No), 0);
    // At the end, two of three states are compared with the first.
    assert!(compared(Faulty::InTheEnd(ProcessId(1))) >= 2);
}
