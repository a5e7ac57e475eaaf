//! Two processes under one id: a configuration was copied, say. One of them is refused with a
//! reason, and nobody else has to know.
//!
//! As in `named.rs` each situation is brought about at many instants, and the checker and the
//! specification judge.

use vs_core::ident::{ProcessId, ServerId};
use vs_core::sim::{Moment, Scenario, Site, Step};
use vs_core::trace::{Event, Mark};

use crate::story::{Story, Telling, site, together};

const TWO: ProcessId = ProcessId(2);

/// Four processes of which 4 joins, with servers that 2 prefers in the order of their ids, and its
/// impostor in the reverse order.
fn joined_by_four(seed: u64, servers: u64, us: u64) -> Scenario {
    let mut scenario = together(seed, 4, 2_000, us).without(4);
    scenario.servers = (1..=servers).map(|s| (ServerId(s), 0)).collect();
    for plan in &mut scenario.processes {
        plan.servers = (1..=servers).map(ServerId).collect();
    }
    scenario.then(0, Step::Start(ProcessId(4)))
}

/// It is told that it was refused, and nothing else. If its own server knows that, it gives up; on
/// the word of another one it asks again.
fn assert_refused(story: &Story, servers: u64, what: &str) {
    let seen = story.of_impostor(2);
    match seen[..] {
        [Event::Start { .. }, Event::Leave, Event::Crash] if servers == 1 => {
            assert_eq!(story.marks(Mark::DuplicateId), 1, "{what}");
        }
        [Event::Start { .. }, Event::Crash] if servers > 1 => {
            assert!(story.marks(Mark::DuplicateId) > 0, "{what}");
        }
        _ => panic!("{what}: {seen:?}"),
    }
}

/// It starts at any moment of a change, at the server of the first or at another one. Elsewhere
/// messages of the one were taken for those of the other, or both were thrown out in turn, for
/// ever. Here nobody notices anything but the second, which is refused.
#[test]
fn second_process_under_members_id_is_refused() {
    for servers in [1, 2] {
        for us in (0..5_000).step_by(200) {
            let scenario = joined_by_four(us, servers, 700_000);
            let story = scenario.then(us, Step::StartImpostor(TWO)).play();
            assert_refused(&story, servers, &format!("{servers} servers, {us} µs"));
            assert_eq!(story.lost(), 0);
            for p in 1..=4 {
                let views = story.views(p);
                assert_eq!(views.len(), 1, "{servers} servers, {us} µs: {p}: {views:?}");
            }
        }
    }
}

/// Both begin in the same millisecond. Fault to avoid: the one that came last takes the place of
/// the first, which hears nothing any more and never learns why. Expected: one of them is refused,
/// whichever came late.
#[test]
fn one_of_two_simultaneous_duplicates_is_refused() {
    let (mut first, mut second) = (0, 0);
    for servers in [1, 2] {
        for seed in 0..30 {
            let mut scenario = joined_by_four(seed, servers, 700_000);
            scenario.steps.push((0, Step::StartImpostor(TWO)));
            scenario.steps.sort_by_key(|(at, _)| *at);
            let story = scenario.play();
            assert!(story.marks(Mark::DuplicateId) > 0, "{servers} servers, seed {seed}");
            let installs = |e: &&Event| matches!(e, Event::View { .. });
            let impostor_in = story.of_impostor(2).iter().any(installs);
            (first, second) = (first + u64::from(!impostor_in), second + u64::from(impostor_in));
        }
    }
    assert!(first >= 10 && second >= 10, "{first} {second}");
}

/// The first process dies while the second waits. The second cannot be told from a later
/// incarnation then, and takes over. When the first comes back, it is the second, and is refused. A
/// member that is told of the heir too early may pass over the view before it; that is a matter of
/// microseconds where two servers have to tell each other.
#[test]
fn second_process_takes_over_id_after_death() {
    for servers in [1, 2] {
        for (us, death) in [(1_000, Step::Kill(TWO)), (30_000, Step::PowerOff(TWO))] {
            let mut all_saw_both = 0;
            for seed in 0..10 {
                let scenario = joined_by_four(seed, servers, 900_000)
                    .then(20_000, Step::StartImpostor(TWO))
                    .then(20_000 + us, death.clone());
                let story = scenario.play();
                let installs =
                    |e: &&Event| matches!(e, Event::View { view, .. } if view.len() == 4);
                let views = story.of_impostor(2).into_iter().filter(installs).count();
                assert_eq!(views, 1, "{servers} servers, {death:?}, {seed}: it is in the group");
                // Another server hears of the end of the first one only when that is a change
                // already.
                let heir = |p| story.views(p).into_iter().nth(servers as usize);
                let with_others =
                    |p| heir(p).is_some_and(|v| v.members.len() == 4 && v.with == [1, 3, 4]);
                all_saw_both += u64::from([1, 3, 4].into_iter().all(with_others));
                assert_eq!(story.marks(Mark::DuplicateId), 1, "the first one, when it is back");
            }
            let least = if servers == 1 { 10 } else { 6 };
            assert!(all_saw_both >= least, "{servers} servers, {death:?}: {all_saw_both} of 10");
        }
    }
}

/// The network falls into two parts, and the second process starts in the part without the first:
/// as far as anybody there can know, it is the only one. When the parts merge, one of them is
/// refused.
#[test]
fn merge_refuses_one_of_two_duplicates() {
    for seed in 0..10 {
        let mut scenario = joined_by_four(seed, 2, 1_200_000);
        for plan in &mut scenario.processes[2..] {
            plan.servers.reverse();
        }
        let server = |s| Site::Server(ServerId(s));
        let parts = vec![vec![server(1), site(1), site(2)], vec![server(2), site(3), site(4)]];
        let story = scenario
            .then(50_000, Step::Partition(parts))
            .then(500_000, Step::StartImpostor(TWO))
            .then(800_000 + 1_000 * seed, Step::HealAll)
            .play();
        let with_it = |p| story.views(p).iter().any(|v| v.members == [2, 3, 4]);
        assert!(with_it(3) && with_it(4), "seed {seed}: {:?}", story.views(3));
        assert!(story.views(1).iter().any(|v| v.members == [1, 2]), "{:?}", story.views(1));
        let four = |e: &&Event| matches!(e, Event::View { view, .. } if view.len() == 4);
        assert!(story.of_impostor(2).iter().any(four), "seed {seed}: the later life stays");
        assert!(story.marks(Mark::DuplicateId) > 0);
        assert_eq!(story.views(1).last().unwrap().members, [1, 2, 3, 4]);
    }
}

/// Both start in the same millisecond, in two parts of the network. Cids begin at the time of a
/// start, so servers that do not hear each other give both the same ones. Messages of one may reach
/// processes that are in a group with the other, and only the nonce tells them apart.
#[test]
fn duplicates_of_one_millisecond_in_two_parts_merge() {
    for seed in 0..40 {
        let mut scenario = joined_by_four(seed, 2, 1_200_000).without(2);
        for plan in &mut scenario.processes[2..] {
            plan.servers.reverse();
        }
        let server = |s| Site::Server(ServerId(s));
        let mut parts = vec![vec![server(1), site(1), site(2)], vec![server(2), site(3), site(4)]];
        if seed % 2 == 1 {
            parts[1].push(Site::Impostor(TWO));
        }
        let story = scenario
            .then(50_000, Step::Partition(parts))
            .then(500_000, Step::Start(TWO))
            .then(500_000, Step::StartImpostor(TWO))
            .then(800_000 + 1_000 * seed, Step::HealAll)
            .play();
        let start = |event: &Event| match event {
            Event::Start { incarnation } => Some(incarnation.millis()),
            _ => None,
        };
        let of_impostor = story.of_impostor(2).into_iter().find_map(start);
        let of_first = story.whole(2).find_map(|record| start(&record.event));
        assert!(of_first.is_some() && of_first == of_impostor, "seed {seed}");
        assert!(story.views(1).iter().any(|v| v.members == [1, 2]), "seed {seed}");
        assert!(story.views(3).iter().any(|v| v.members == [2, 3, 4]), "seed {seed}");
        assert!(story.marks(Mark::DuplicateId) > 0, "seed {seed}: one of them is refused");
        assert_eq!(story.views(1).last().unwrap().members, [1, 2, 3, 4], "seed {seed}");
    }
}

/// The second process starts at a moment in a change of the first one, and ends before anybody has
/// told it anything.
#[test]
fn duplicate_that_ends_early_changes_nothing() {
    for moment in [Moment::StartChange, Moment::Sync, Moment::MbrView, Moment::View] {
        let scenario = joined_by_four(1, 1, 300_000).at(2, moment, 0, Step::StartImpostor(TWO));
        let story = scenario.then(100_000, Step::KillImpostor(TWO)).play();
        assert!(matches!(story.of_impostor(2)[..], [Event::Start { .. }, Event::Crash]));
        assert_eq!((story.marks(Mark::DuplicateId), story.views(1).len()), (0, 1));
    }
}

/// Only the first process is left in the end, and it was the one that was refused. It was taken for
/// settled with its last view.
#[test]
fn refused_process_restarts_once_the_id_is_free() {
    let mut scenario = together(1, 2, 2_000, 700_000);
    scenario.servers = vec![(ServerId(1), 0), (ServerId(2), 0)];
    for plan in &mut scenario.processes {
        plan.servers = vec![ServerId(1), ServerId(2)];
    }
    scenario.processes[0].stays_down = true;
    let server = |s| Site::Server(ServerId(s));
    let parts = vec![vec![server(1), site(1), site(2)], vec![server(2)]];
    let scenario = scenario
        .then(0, Step::Kill(ProcessId(1)))
        .then(20_000, Step::Partition(parts))
        .then(600_000, Step::StartImpostor(TWO));
    // Traffic does not wait to be heard by who has left it.
    let outcome = scenario.run();
    assert!(outcome.failure.is_none(), "{}", outcome.failure.unwrap());
    assert!(outcome.stats.marks.count(Mark::DuplicateId) > 0);
}
