//! Networks that carry multicasts to some only, or to nobody: members find out, of each pair on its
//! own, and send what goes to the group in copies by unicast.

use core::time::Duration;

use vs_core::ident::ProcessId;
use vs_core::sim::{Link, Profile, Scenario, Stats, Step};
use vs_core::trace::Mark;

use crate::story::{Story, Telling, site, together};

/// Time in which all is found out, in µs: well below `peer_ms`, after which members are accused.
const FOUND_US: u64 = 290_000;

fn blocked_between(mut scenario: Scenario, from: &[u64], to: &[u64], us: u64) -> Scenario {
    for (a, b) in from.iter().flat_map(|a| to.iter().map(move |b| (*a, *b))).filter(|(a, b)| a != b)
    {
        scenario = scenario.then(us, Step::BlockMulticast(site(a), site(b)));
    }
    scenario
}

/// Nobody was thrown out for what the network does.
fn assert_whole(story: &Story, what: &str) {
    assert_eq!(story.marks(Mark::Accused), 0, "{what}");
    assert_eq!(story.lost(), 0, "{what}");
}

#[test]
fn group_forms_and_talks_without_multicast() {
    for seed in 0..20 {
        let scenario = together(seed, 4, 3_000, 600_000).with_multicast_blocked(100, seed);
        let story = scenario.play();
        // Each of four is told by each of the others, once.
        assert_eq!(story.marks(Mark::Unheard), 12, "{seed}");
        assert_whole(&story, &format!("{seed}"));
    }
}

/// A switch forgets who listens: multicast stops in the middle of a view, and all that was sent
/// arrives all the same.
#[test]
fn multicast_loss_is_noticed_before_accusations() {
    for us in (0..40_000).step_by(2_000) {
        let all = [1, 2, 3];
        let story = blocked_between(together(us, 3, 1_500, 700_000), &all, &all, us).play();
        assert_eq!(story.marks(Mark::Unheard), 6, "{us} µs");
        assert_whole(&story, &format!("{us} µs"));
        for p in all {
            assert!(story.views(p).is_empty(), "{us} µs: {p} had to change its view");
        }
    }
}

/// One member hears no multicasts, by its own fault: the others reach it by unicast, and each other
/// as before.
#[test]
fn one_deaf_member_costs_one_copy() {
    for seed in 0..10 {
        let scenario = blocked_between(together(seed, 4, 2_000, 600_000), &[1, 2, 3], &[4], 0);
        let story = scenario.play();
        assert_eq!(story.marks(Mark::Unheard), 3, "{seed}");
        assert_whole(&story, &format!("{seed}"));
    }
}

/// Multicasts are carried again: whoever got copies says so, and they end. They were sent until
/// those members restarted.
#[test]
fn multicast_returns_copies_end() {
    let all = [1, 2, 3, 4];
    for (from, to, copied) in [(&[1, 2][..], &[3, 4][..], 4), (&all, &all, 12)] {
        for seed in 0..5 {
            let mut scenario = blocked_between(together(seed, 4, 4_000, 12_000_000), from, to, 0);
            for (a, b) in from.iter().flat_map(|a| to.iter().map(move |b| (*a, *b))) {
                scenario = scenario.then(300_000, Step::CarryMulticast(site(a), site(b)));
            }
            let story = scenario.play();
            assert_eq!(story.marks(Mark::Unheard), copied, "{seed}");
            assert_eq!(story.marks(Mark::HeardAgain), copied, "{seed}");
            assert_whole(&story, &format!("{seed}"));
        }
    }
}

/// Only one of the members cannot be heard: it alone falls back.
#[test]
fn only_the_unheard_member_falls_back() {
    for seed in 0..10 {
        let scenario = blocked_between(together(seed, 4, 2_000, 600_000), &[2], &[1, 3, 4], 0);
        let story = scenario.play();
        assert_eq!(story.marks(Mark::Unheard), 3, "{seed}");
        assert_whole(&story, &format!("{seed}"));
    }
}

/// Multicast stops while a change runs, at any moment of it: the sync messages arrive before
/// anybody is accused of owing them.
#[test]
fn change_completes_without_multicast() {
    let four = ProcessId(4);
    for us in (0..6_000).step_by(250) {
        let scenario = together(us, 4, 2_000, 900_000).without(4).then(0, Step::Start(four));
        let all = [1, 2, 3, 4];
        let story = blocked_between(scenario, &all, &all, us).play();
        assert_whole(&story, &format!("{us} µs"));
        let views = story.views(1);
        let [view] = &views[..] else { panic!("{us} µs: {views:?}") };
        assert_eq!((&view.members[..], &view.with[..]), (&all[..], &[1, 2, 3][..]), "{us} µs");
        assert!(view.at_us < FOUND_US, "{us} µs: {view:?}");
    }
}

/// Who is dead, stopped, cut off or far away, or has a way that loses much, is not taken for deaf.
#[test]
fn other_faults_make_nobody_deaf() {
    let lossy = Link::LAN.with_loss_permille(300);
    let far = Link::LAN.with_delay(Duration::from_millis(60)).with_jitter(Duration::from_millis(5));
    let tales: [(&str, Vec<(u64, Step)>); 6] = [
        ("killed", vec![(0, Step::Kill(ProcessId(3)))]),
        ("without power", vec![(0, Step::PowerOff(ProcessId(3)))]),
        ("stopped", vec![(0, Step::Pause(site(3))), (280_000, Step::Resume(site(3)))]),
        ("cut off on one way", vec![(0, Step::Cut(site(1), site(2)))]),
        ("losses", vec![(0, Step::Links(lossy))]),
        ("far away", vec![(0, Step::Links(far))]),
    ];
    for (what, steps) in tales {
        for seed in 0..10 {
            let scenario = together(seed, 3, 2_000, 900_000);
            let story = steps.iter().fold(scenario, |s, (us, step)| s.then(*us, step.clone()));
            assert_eq!(story.play().marks(Mark::Unheard), 0, "{what}, {seed}");
        }
    }
}

/// Everything else that can happen happens, too, with the specification beside.
#[test]
fn random_worlds_without_multicast_hold_every_property() {
    let mut stats = Stats::default();
    let profiles = |seed| Profile::ALL[seed as usize % Profile::ALL.len()];
    for seed in 0..300 {
        let percent = [100, 30][seed as usize % 2];
        let scenario = Scenario::with_profile(profiles(seed), 50_000 + seed)
            .with_multicast_blocked(percent, seed)
            .refined();
        let outcome = scenario.run();
        assert!(outcome.failure.is_none(), "{percent} %: {}", outcome.failure.unwrap());
        stats.add(&outcome.stats);
    }
    let (told, runs) = (stats.marks.count(Mark::Unheard), stats.runs);
    assert!(told >= 3 * runs, "{told} of {runs} runs\n{stats}");
}

/// Members of an idle view, whose heartbeats were partly lost, had become patient with each other.
/// Then multicast stops, and a process joins. The patient members waited for the sync messages of
/// others, and had them excluded.
#[test]
fn change_after_calm_completes_without_multicast() {
    let lossy = Link::LAN.with_loss_permille(500);
    let at = 40_000_000;
    let mut calm = 0;
    for seed in 0..16 {
        let mut scenario = together(seed, 4, 0, at + 10_000_000).without(4);
        scenario.group.heartbeat_max_ms = 1000;
        scenario.group.unheard_ms = 250;
        scenario.group.peer_ms = 2000;
        let scenario =
            scenario.then(0, Step::Links(lossy)).then(30_000_000, Step::Links(Link::LAN));
        if scenario.clone().play().marks(Mark::Unheard) > 0 {
            continue; // so much was lost that copies are sent already
        }
        calm += 1;
        let scenario = scenario.then(at + 1000, Step::Start(ProcessId(4)));
        let all = [1, 2, 3, 4];
        let story = blocked_between(scenario, &all, &all, at).play();
        assert_eq!(story.marks(Mark::Accused), 0, "seed {seed}");
        assert_eq!(story.views(1).len(), 1, "seed {seed}");
    }
    assert!(calm > 2, "{calm}");
}
