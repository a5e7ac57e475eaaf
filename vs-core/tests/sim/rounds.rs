//! L6, counted: between start_change and view lies exactly one round of sync messages. It runs in
//! parallel with the one round of proposals of the membership servers.

use vs_core::ident::{Cid, ProcessId};
use vs_core::rule::Rules;
use vs_core::sim::{Churn, Share};
use vs_core::status::ServerCounters;
use vs_core::trace::{Event, Record};
use vs_core::{Time, View};

use crate::sites::{FAR_MS, SERVERS, Sites, group_config};

/// The number of one-way trips between the sites in `ns`, which is the number of rounds. What
/// happens within a site takes far less.
fn trips(ns: u64) -> u64 {
    Time(ns).as_millis() / FAR_MS
}

struct Rounds(Sites);

impl Rounds {
    fn new(seed: u64) -> Self {
        Self(Sites::new(seed, &group_config(), Rules::default()))
    }

    /// In a group with clusters.
    fn with_clusters(seed: u64) -> Self {
        Self(Sites::new(seed, &group_config().with_clusters(true), Rules::default()))
    }

    fn counters(&self) -> [ServerCounters; 2] {
        SERVERS.map(|s| self.0.world.server_counters(s))
    }

    /// What each of `processes` saw from `since` on.
    fn records(&mut self, processes: &[u64], since: Time) -> Vec<(ProcessId, Vec<Record>)> {
        let traces = self.0.clean_traces();
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
}

impl Change {
    fn of(records: &[Record]) -> Self {
        let mut change = Self::default();
        for Record { ts, event, .. } in records {
            match event {
                Event::StartChange { cid, .. } => {
                    change.cids.push(*cid);
                }
                Event::Sync { cid, .. } => {
                    // The sync message is sent while the membership servers still agree, never
                    // after the view.
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
        // All sync messages that count were here before the view was announced.
        assert_eq!(trips(self.installed[0].1 - *told), 0, "{p} waited for a sync message");
    }
}

#[test]
fn crash_takes_one_sync_round_beside_one_proposal_round() {
    for seed in 0..20 {
        let mut rounds = Rounds::new(seed);
        rounds.0.start(&[1, 2, 3, 11, 12]);
        rounds.0.await_view(&[1, 2, 3, 11, 12]);
        let (before, crash) = (rounds.counters(), rounds.0.world.now());
        rounds.0.world.kill(ProcessId(3));
        let survivors = [1, 2, 11, 12];
        let view = rounds.0.await_view(&survivors);

        for (b, a) in before.iter().zip(rounds.counters()) {
            assert_eq!(a.changes - b.changes, 1, "seed {seed}");
            assert_eq!(a.proposals - b.proposals, 1, "seed {seed}: one proposal a server");
            assert_eq!((a.views_fast - b.views_fast, a.views_slow - b.views_slow), (1, 0));
        }
        for (p, records) in rounds.records(&survivors, crash) {
            let change = Change::of(&records);
            assert_eq!(change.syncs.len(), 1, "seed {seed}: {p} sent one sync");
            change.assert_one_round(p, &view);
            // One trip there and one back for the proposals: the other site proposes when it hears
            // of the crash, and decides.
            let want = if p.0 < 10 { 2 } else { 1 };
            assert_eq!(trips(change.installed[0].1 - crash), want, "seed {seed}: {p}");
        }
    }
}

/// A leave causes no timeout: it takes as long as a crash that is noticed at once.
#[test]
fn leave_takes_one_sync_round_and_no_timeout() {
    for seed in 0..20 {
        let mut rounds = Rounds::new(seed);
        rounds.0.start(&[1, 2, 3, 11, 12]);
        rounds.0.await_view(&[1, 2, 3, 11, 12]);
        let leaves = rounds.0.world.now();
        rounds.0.world.leave(ProcessId(3));
        let survivors = [1, 2, 11, 12];
        let view = rounds.0.await_view(&survivors);
        for (p, records) in rounds.records(&survivors, leaves) {
            let change = Change::of(&records);
            change.assert_one_round(p, &view);
            let want = if p.0 < 10 { 2 } else { 1 };
            assert_eq!(trips(change.installed[0].1 - leaves), want, "seed {seed}: {p}");
        }
    }
}

#[test]
fn join_takes_one_sync_round() {
    for seed in 0..20 {
        join(Rounds::new(seed), seed);
    }
}

/// Sync messages of joiners leave at the start_change, too.
#[test]
fn join_with_clusters_takes_one_sync_round() {
    for seed in 0..20 {
        join(Rounds::with_clusters(seed), seed);
    }
}

fn join(mut rounds: Rounds, seed: u64) {
    rounds.0.start(&[1, 2, 11, 12]);
    rounds.0.await_view(&[1, 2, 11, 12]);
    let (before, since) = (rounds.counters(), rounds.0.world.now());
    rounds.0.start(&[13]);
    let view = rounds.0.await_view(&[1, 2, 11, 12, 13]);
    for (b, a) in before.iter().zip(rounds.counters()) {
        assert_eq!(a.proposals - b.proposals, 1, "seed {seed}: one proposal a server");
        assert_eq!((a.views_fast - b.views_fast, a.views_slow - b.views_slow), (1, 0));
    }
    for (p, records) in rounds.records(&[1, 2, 11, 12, 13], since) {
        let change = Change::of(&records);
        assert_eq!(change.syncs.len(), 1, "seed {seed}: {p} sent one sync");
        change.assert_one_round(p, &view);
        let want = if p.0 < 10 { 1 } else { 2 };
        assert_eq!(trips(change.installed[0].1 - since), want, "seed {seed}: {p}");
    }
}

#[test]
fn joiner_in_mid_change_needs_no_extra_view() {
    for seed in 0..20 {
        let mut rounds = Rounds::new(seed);
        rounds.0.start(&[1, 2, 3, 11, 12]);
        rounds.0.await_view(&[1, 2, 3, 11, 12]);
        let (before, crash) = (rounds.counters(), rounds.0.world.now());
        rounds.0.world.kill(ProcessId(3));
        // The other site has not heard of the crash when its joiner comes.
        rounds.0.world.run_for_ms(FAR_MS / 2).unwrap();
        rounds.0.start(&[13]);
        let view = rounds.0.await_view(&[1, 2, 11, 12, 13]);

        for (b, a) in before.iter().zip(rounds.counters()) {
            // One view for the crash and one for the join, whichever each server heard of first.
            assert_eq!(a.proposals - b.proposals, 2, "seed {seed}: one proposal for each event");
            assert_eq!((a.views_fast - b.views_fast, a.views_slow - b.views_slow), (1, 0));
        }
        for (p, records) in rounds.records(&[1, 2, 11, 12, 13], crash) {
            let change = Change::of(&records);
            change.assert_one_round(p, &view);
            // The site of the crash has sent sync messages when it hears of the joiner, and sends
            // new ones. At the other site the set only shrinks when the crash is heard of.
            let want = if p.0 < 10 { 2 } else { 1 };
            assert_eq!(change.syncs.len(), want, "seed {seed}: {p}: {:?}", change.syncs);
            // Nobody is slower than for the crash alone, plus the half trip by which the joiner was
            // later.
            assert_eq!(trips(change.installed[0].1 - crash), 2, "seed {seed}: {p}");
        }
    }
}

/// The share of views of the fast mode over many worlds: `vs sim --fast-share`.
#[test]
fn servers_agree_nearly_always_in_fast_mode() {
    let play = |per_1000_trips| {
        let churn = Churn { servers: 3, delay_ms: 25, per_1000_trips, changes: 10 };
        let mut all = Share::default();
        (0..50).for_each(|seed| all.add(&churn.play(seed).unwrap()));
        all
    };
    let apart = play(0);
    assert_eq!((apart.changes, apart.slow), (500, 0), "{apart:?}");
    assert!(apart.fast >= 1_400, "{apart:?}");
    // One change at each server in ten round trips.
    let overlapping = play(100);
    assert!(50 * overlapping.slow <= overlapping.fast + overlapping.slow, "{overlapping:?}");
}
