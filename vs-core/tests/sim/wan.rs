//! Sites 50 to 150 ms of round trip apart: what the sync round beside the membership round saves,
//! and that the default times do there.

use vs_core::rule::{Rule, Rules};
use vs_core::sim::{Wan, WanChange, WanTraffic};

fn wan(loss_permille: u16, sync_after_view: bool) -> Wan {
    Wan {
        sites: 3,
        delay_ms_min: 25,
        delay_ms_max: 75,
        loss_permille,
        rules: if sync_after_view { Rules::without(Rule::ParallelSync) } else { Rules::default() },
        wan_times: true,
    }
}

#[test]
fn sync_after_membership_view_costs_a_trip() {
    for seed in 0..20 {
        let beside = wan(0, false).changes(seed).unwrap();
        let after = wan(0, true).changes(seed).unwrap();
        for (beside, after) in beside.iter().zip(&after) {
            assert_eq!((beside.slow, after.slow), (0, 0), "seed {seed}");
            // At the shortest distance that there is, and jitter may have gone the other way.
            let change = beside.change;
            assert!(after.took_ms > beside.took_ms + 10, "seed {seed}: {beside:?} {after:?}");
            if change != WanChange::Join {
                let bound = 2 * beside.far_ms + 2 * beside.far_ms / 10 + 10;
                assert!(beside.took_ms <= bound, "seed {seed}: {beside:?}");
            }
        }
    }
}

fn traffic(wan_times: bool) -> WanTraffic {
    let far = Wan { delay_ms_min: 75, wan_times, ..wan(10, false) };
    let mut all = WanTraffic::default();
    (0..5).for_each(|seed| all.add(&far.traffic(seed, 10).unwrap()));
    println!("{all:?}");
    all
}

/// What is learnt of these links keeps reports down; without that there were 72,000.
#[test]
fn far_lossy_links_accuse_nobody() {
    let all = traffic(false);
    assert_eq!(all.excluded, 0, "{all:?}");
    assert!(all.naks < 9_000 && all.repaired < 9_000, "{all:?}");
}

/// Of reports and of repairs one in twenty is lost, too: in these worlds members were excluded
/// while a missing packet was reported at no more than a steady pace.
#[test]
fn far_links_losing_a_twentieth_accuse_nobody() {
    let far = Wan { delay_ms_min: 75, ..wan(50, false) };
    for seed in [29, 61, 66] {
        let all = far.traffic(seed, 10).unwrap();
        assert_eq!(all.excluded, 0, "seed {seed}: {all:?}");
    }
}

/// Of 120,000 packets between sites 1200 are lost, and of what is sent for them again a hundredth.
#[test]
fn wan_times_repair_little_more_than_losses() {
    let all = traffic(true);
    assert_eq!(all.excluded, 0, "{all:?}");
    assert!((600..2400).contains(&all.repaired), "{all:?}");
    assert!(all.naks < 2400, "{all:?}");
    assert!(all.duplicates < 1200, "{all:?}");
}
