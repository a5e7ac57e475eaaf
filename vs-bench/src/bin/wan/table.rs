//! The samples as a table.

use core::fmt::Write;

use vs_bench::samples::Samples;
use vs_core::sim::WanChange;

use crate::names::name;

/// Markdown.
pub(crate) fn markdown(losses: &[f64], rounds: u64, samples: &Samples) -> String {
    let mut out = format!(
        "Real sockets, {rounds} rounds: ms from the event to the view at the last member, median / p90 / max.\n\n\
         | | sync beside the membership round | sync after the membership view | after / beside \
         | saved, greatest one-way delays | simulated, medians |\n|---|---|---|---|---|---|\n"
    );
    for &loss in losses {
        for change in WanChange::ALL {
            row(&mut out, loss, change, samples);
        }
    }
    let worst = |what: &str| samples.range(&format!("wire/{what}")).unwrap_or_default().1;
    let frames = samples.median("wire/carried").unwrap_or_default();
    let _ = write!(
        out,
        "\nThe wires carried {frames:.0} frames a run (median) and put them out at most {:.2} ms late in 99 of 100, {:.2} ms \
         at worst; {:.0} too many to hold. Views that nobody asked for: {}.",
        worst("late_us_p99") / 1000.0,
        worst("late_us_max") / 1000.0,
        worst("overrun"),
        samples.count("disturbed"),
    );
    out
}

fn row(out: &mut String, loss: f64, change: WanChange, samples: &Samples) {
    let median = |how: &str, after: bool| {
        samples.median(&name(how, loss, after, change)).unwrap_or(f64::NAN)
    };
    let times = |after: bool| {
        let name = name("real", loss, after, change);
        let p90 = samples.quantile(&name, 0.9).unwrap_or(f64::NAN);
        let (_, max) = samples.range(&name).unwrap_or((f64::NAN, f64::NAN));
        format!("{:.0} / {p90:.0} / {max:.0}", median("real", after))
    };
    let what = match change {
        WanChange::Kill => "a member is killed",
        WanChange::Join => "a member joins",
        WanChange::Leave => "a member leaves",
    };
    let lost = if loss > 0.0 { format!(", {loss} % lost") } else { String::new() };
    let _ = writeln!(
        out,
        "| {what}{lost} | {} | {} | {:.2} | {:.2} | {:.0} and {:.0} |",
        times(false),
        times(true),
        median("real", true) / median("real", false),
        median("trips", true) - median("trips", false),
        median("sim", false),
        median("sim", true),
    );
}
