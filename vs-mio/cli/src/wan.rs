//! `vs sim --wan`: how long changes of view take between distant sites. With feature `mutants`,
//! each run is played again with a sync round that starts only after the membership view: that
//! shows what it saves to run both rounds side by side.

use vs_core::rule::Rules;
use vs_core::sim::{Wan, WanChange, WanTiming, WanTraffic};

use crate::failure::Failure;
use crate::output::say;

/// Sites, and the least and the greatest distance of two of them, one way.
const SITES: u64 = 3;
const DELAY_MS: (u64, u64) = (25, 75);

/// Datagrams lost, of 1000.
const LOSSES: [u16; 2] = [0, 10];

/// What is told of the runs of one stack.
struct Figures {
    median: u64,
    p90: u64,
    max: u64,
    /// The mean, in greatest one-way delays of each run.
    trips: f64,
    proposals: f64,
    slow: u64,
}

impl Figures {
    fn of(timings: &[WanTiming]) -> Self {
        let mut ms: Vec<u64> = timings.iter().map(|t| t.took_ms).collect();
        ms.sort_unstable();
        let at = |percent: usize| ms[(ms.len() - 1) * percent / 100];
        let n = timings.len() as f64;
        Self {
            median: at(50),
            p90: at(90),
            max: at(100),
            trips: timings.iter().map(|t| t.took_ms as f64 / t.far_ms as f64).sum::<f64>() / n,
            proposals: timings.iter().map(|t| t.proposals as f64).sum::<f64>() / n,
            slow: timings.iter().map(|t| t.slow).sum(),
        }
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "median_ms": self.median, "p90_ms": self.p90, "max_ms": self.max, "one_way_delays": self.trips,
            "proposals": self.proposals, "views_slow": self.slow,
        })
    }
}

/// The sync round waits for the membership view. Only a build with feature `mutants` can be told
/// so.
fn sync_after_view() -> Option<Rules> {
    #[cfg(feature = "mutants")]
    return Some(Rules::without(vs_core::rule::Rule::ParallelSync));
    #[cfg(not(feature = "mutants"))]
    return None;
}

/// Plays all seeds, each with every stack on the same links.
pub(crate) fn run((from, to): (u64, u64), json: bool) -> Result<(), Failure> {
    let (delay_ms_min, delay_ms_max) = DELAY_MS;
    if !json {
        say(format_args!(
            "{SITES} sites {delay_ms_min} to {delay_ms_max} ms apart one way, 10 % jitter, 2 members each, {} runs; \
             ms from the event to the view at the last member\n\
             loss  change  sync round            median   p90   max  one-way delays  proposals  slow views",
            to - from
        ));
    }
    for loss_permille in LOSSES {
        let play = |rules| {
            let wan = Wan {
                sites: SITES,
                delay_ms_min,
                delay_ms_max,
                loss_permille,
                rules,
                wan_times: true,
            };
            let mut all = Vec::new();
            for seed in from..to {
                let timings = wan.changes(seed);
                all.extend(timings.map_err(|stuck| Failure(format!("seed {seed}: {stuck}")))?);
            }
            Ok::<_, Failure>(all)
        };
        let beside = play(Rules::default())?;
        let after = sync_after_view().map(play).transpose()?;
        for change in WanChange::ALL {
            let of = |timings: &[WanTiming]| -> Vec<WanTiming> {
                timings.iter().copied().filter(|t| t.change == change).collect()
            };
            let after = after.as_deref().map(|timings| Figures::of(&of(timings)));
            tell(loss_permille, change, &of(&beside), after, json);
        }
    }
    traffic((from, to.min(from + TRAFFIC_RUNS_MAX)), json)
}

/// Runs with traffic, and seconds of each.
const TRAFFIC_RUNS_MAX: u64 = 10;
const TRAFFIC_SECONDS: u64 = 10;

/// What losses cost at the greatest distance, with the default times and with those for it.
fn traffic((from, to): (u64, u64), json: bool) -> Result<(), Failure> {
    let (far, loss_permille) = (DELAY_MS.1, 10);
    if !json {
        say(format_args!(
            "\n200 bytes of each member every 10 ms, {far} ms one way, 1 % lost, {} runs of {TRAFFIC_SECONDS} s\n\
             times     received  lost, of all kinds  gap reports  repairs  duplicates  excluded  syncs asked for",
            to - from
        ));
    }
    for (times, wan_times) in [("default", false), ("wan", true)] {
        let wan = Wan {
            sites: SITES,
            delay_ms_min: far,
            delay_ms_max: far,
            loss_permille,
            rules: Rules::default(),
            wan_times,
        };
        let mut all = WanTraffic::default();
        for seed in from..to {
            let run = wan.traffic(seed, TRAFFIC_SECONDS);
            all.add(&run.map_err(|stuck| Failure(format!("seed {seed}: {stuck}")))?);
        }
        let WanTraffic { packets, lost, naks, repaired, duplicates, excluded, syncs_asked } = all;
        if json {
            say(format_args!(
                "{}",
                serde_json::json!({
                    "times": times, "received": packets, "lost": lost, "gap_reports": naks, "repairs": repaired,
                    "duplicates": duplicates, "excluded": excluded, "syncs_asked": syncs_asked,
                })
            ));
        } else {
            say(format_args!(
                "{times:<8} {packets:>9} {lost:>19} {naks:>12} {repaired:>8} {duplicates:>11} {excluded:>9} {syncs_asked:>16}"
            ));
        }
    }
    Ok(())
}

fn tell(
    loss_permille: u16,
    change: WanChange,
    beside: &[WanTiming],
    after: Option<Figures>,
    json: bool,
) {
    let loss = f64::from(loss_permille) / 10.0;
    let figures = Figures::of(beside);
    let saved = after.as_ref().map(|after| (after.trips - figures.trips) / 2.0);
    let name = format!("{change:?}").to_lowercase();
    if json {
        return say(format_args!(
            "{}",
            serde_json::json!({
                "loss_percent": loss, "change": name, "runs": beside.len(), "beside": figures.json(),
                "after": after.as_ref().map(Figures::json), "saved_round_trips": saved,
            })
        ));
    }
    let stacks =
        [("beside the membership", Some(&figures)), ("after the membership", after.as_ref())];
    for (stack, figures) in stacks {
        let Some(Figures { median, p90, max, trips, proposals, slow }) = figures else { continue };
        say(format_args!(
            "{loss:>3} %  {name:<6}  {stack:<21} {median:>6} {p90:>5} {max:>5} {trips:>15.2} {proposals:>10.1} {slow:>11}"
        ));
    }
    if let Some(saved) = saved {
        say(format_args!("               saved: {saved:.2} of the greatest round trip"));
    }
}
