//! Which random worlds a test plays.

use core::ops::Range;

/// `default`, unless `VS_SIM_SEEDS=100..200` gives others, or `VS_SIM_SEEDS=5000` the first 5000.
pub(crate) fn seeds(default: Range<u64>) -> Range<u64> {
    let Ok(text) = std::env::var("VS_SIM_SEEDS") else { return default };
    let range = match text.split_once("..") {
        Some((from, to)) => from.parse().ok().zip(to.parse().ok()),
        None => text.parse().ok().map(|n| (0, n)),
    };
    let (from, to) = range.expect("VS_SIM_SEEDS is a number or a range like 100..200");
    from..to
}
