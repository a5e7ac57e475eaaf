//! Which random worlds a test plays.

use core::ops::Range;

/// `default`, unless `VS_SIM_SEEDS=100..200` gives others.
pub(crate) fn seeds(default: Range<u64>) -> Range<u64> {
    let Ok(text) = std::env::var("VS_SIM_SEEDS") else { return default };
    let range = text.split_once("..").and_then(|(a, b)| a.parse().ok().zip(b.parse().ok()));
    let (from, to) = range.expect("VS_SIM_SEEDS is a range like 100..200");
    from..to
}
