//! One group, judged by every family of properties.

use alloc::vec::Vec;

use super::model::Group;
use super::options::Options;
use super::report::Findings;
use super::{
    blocking, clusters, delivery, liveness, membership, order, primary, state, synchrony, views,
};
use crate::order::Order;

/// Judges a group by every property.
pub(super) fn judge(group: &Group, options: &Options, findings: &mut Findings) {
    let counts = findings.counts();
    counts.processes += group.logs.len() as u64;
    let mut installed: Vec<_> = group.stays.iter().filter_map(|stay| stay.view).collect();
    installed.sort_unstable();
    installed.dedup();
    counts.views += installed.len() as u64;

    membership::judge(group, findings);
    views::judge(group, findings);
    primary::judge(group, findings);
    delivery::judge(group, findings);
    synchrony::judge(group, findings);
    blocking::judge(group, findings);
    match group.order {
        Order::Fifo => {}
        Order::Causal => order::judge_causal(group, findings),
        Order::Total | Order::Safe => order::judge(group, findings),
    }
    if group.has_clusters {
        clusters::judge(group, findings);
    }
    if group.has_state {
        state::judge(group, findings);
    }
    if let Some(stability) = &options.stable {
        liveness::judge(group, stability, findings);
    }
}
