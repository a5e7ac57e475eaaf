//! The verdict: the checker over all traces, and what this story has to show besides.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use vs_core::ident::ProcessId;
use vs_core::spec::{self, Component, Options, Report, Stability};
use vs_core::trace::{Event, Trace};
use vs_core::trace_json::parse_trace;
use vs_core::{DisplaySet, Members, View};

use super::stage::line;
use super::story::{
    AWAKE, FIRST, JOINERS, KILLED, LAST, PAUSED, SIDES, SURVIVORS, Settled, Times, trace_file,
};
use crate::check;
use crate::failure::Failure;

/// The traces of the members, by process.
type Traces = BTreeMap<ProcessId, Trace>;

/// Judges the traces in `dir`, and what they were when the group had settled.
pub(super) fn judge(dir: &Path, settled: &Settled) -> Result<(), Failure> {
    line("");
    line("The verdict, from the traces alone:");
    let files: Vec<PathBuf> = FIRST.iter().chain(&JOINERS).map(|id| trace_file(dir, *id)).collect();
    let traces = read(dir)?;
    let mut failed = 0;
    for (what, holds) in story(&traces, settled) {
        line(&format!("  {}  {what}", if holds { "ok    " } else { "FAILED" }));
        failed += usize::from(!holds);
    }
    let safety = check::judge(&files, &[])?;
    let liveness = liveness(settled)?;
    for (what, report) in [("every process, to its end", &safety), ("once settled", &liveness)] {
        let verdict = if report.is_clean() { "ok    " } else { "FAILED" };
        line(&format!("  {verdict}  the checker, {what}: {report}"));
        failed += usize::from(!report.is_clean());
    }
    let report = if safety.is_clean() { &liveness } else { &safety };
    if !report.is_clean() {
        check::text(&mut std::io::stdout().lock(), report, &files)
            .map_err(|e| Failure(format!("the verdict cannot be written: {e}")))?;
    }
    figures(settled.times);
    match failed {
        0 => Ok(()),
        1 => Err(Failure("one thing did not hold; it is named above".into())),
        n => Err(Failure(format!("{n} things did not hold; they are named above"))),
    }
}

/// Tells how long the changes took.
fn figures(times: Times) {
    line(&format!(
        "All were in their new view {:.0} ms after the kill, {:.0} ms after the cut, and {:.0} ms after the healing.",
        times.kill, times.cut, times.heal
    ));
}

fn read(dir: &Path) -> Result<Traces, Failure> {
    let mut traces = Traces::new();
    for id in FIRST.iter().chain(&JOINERS) {
        let file = trace_file(dir, *id);
        let unreadable = |e| Failure(format!("{}: the trace cannot be read: {e}", file.display()));
        let bytes = std::fs::read(&file).map_err(unreadable)?;
        traces.insert(*id, parse(&file, &bytes)?);
    }
    Ok(traces)
}

fn parse(file: &Path, bytes: &[u8]) -> Result<Trace, Failure> {
    parse_trace(bytes).map_err(|e| Failure(format!("{}:{}: {}", file.display(), e.line, e.what)))
}

/// Judges liveness: before anybody left, all that had to come had come.
fn liveness(settled: &Settled) -> Result<Report, Failure> {
    let traces: Result<Vec<Trace>, Failure> =
        settled.traces.iter().map(|(file, bytes)| parse(file, bytes)).collect();
    let traces = traces?;
    let line = traces.iter().find_map(|trace| trace.lines.first());
    let group = line.map(|line| line.record.group.clone());
    let group = group.ok_or_else(|| Failure("the traces hold no event".into()))?;
    let component = Component { group, members: Members::from_slice(&LAST) };
    let stability = Stability { components: vec![component] };
    Ok(spec::check_with(&traces, &Options::settled(stability)))
}

/// What has to be seen in the traces of this story, and whether it is.
fn story(traces: &Traces, settled: &Settled) -> Vec<(String, bool)> {
    let [first, second] = JOINERS;
    let sets = DisplaySet;
    vec![
        (
            format!(
                "after the kill of {KILLED}, {} went from one view to the next together",
                sets(&SURVIVORS)
            ),
            SURVIVORS.iter().all(|p| installed(traces, *p, &SURVIVORS, &SURVIVORS)),
        ),
        (
            format!(
                "{} delivered all of that view in one order, that of {KILLED}",
                sets(&SURVIVORS)
            ),
            SURVIVORS.iter().all(|p| {
                let order = order_before_crash(traces, *p);
                !order.is_empty() && order == order_before_crash(traces, SURVIVORS[0])
            }),
        ),
        (
            format!("the change for {first} alone was under way when {second} arrived"),
            SURVIVORS.iter().any(|p| changed_in_mid_change(traces, *p)),
        ),
        (
            format!("no member installed a view with {first} before the one with {second}, too"),
            SURVIVORS.iter().all(|p| {
                let mut until_both =
                    views(traces, *p).take_while(|(view, _)| view.members() != LAST);
                until_both.all(|(view, _)| !view.contains(first))
            }),
        ),
        (
            format!("both joiners came in with one view, {} from the same one", sets(&SURVIVORS)),
            SURVIVORS.iter().all(|p| installed(traces, *p, &LAST, &SURVIVORS)),
        ),
        (
            format!("{PAUSED}, stopped, was excluded by {}", sets(&AWAKE)),
            AWAKE.iter().all(|p| installed(traces, *p, &AWAKE, &AWAKE)),
        ),
        (
            format!("{PAUSED}, resumed, joined again from its old view, alone"),
            installed(traces, PAUSED, &LAST, &[PAUSED])
                && AWAKE.iter().all(|p| installed(traces, *p, &LAST, &AWAKE)),
        ),
        (
            format!(
                "parted, {} and {} went on in views of their own",
                sets(SIDES[0].last),
                sets(SIDES[1].last)
            ),
            SIDES
                .iter()
                .all(|side| side.last.iter().all(|p| installed(traces, *p, side.last, side.last))),
        ),
        (
            "merged, each came into one view with its side, and with nobody else".into(),
            SIDES
                .iter()
                .all(|side| side.last.iter().all(|p| installed(traces, *p, &LAST, side.last))),
        ),
        (
            "every line that was typed was sent once, and came back to its sender".into(),
            settled.typed.iter().all(|(p, typed)| {
                let (sent, own) = sent_and_own(traces, *p);
                sent == *typed && own == *typed
            }),
        ),
    ]
}

fn events<'a>(traces: &'a Traces, p: ProcessId) -> impl Iterator<Item = &'a Event> + use<'a> {
    let lines = traces.get(&p).map(|trace| trace.lines.iter());
    lines.into_iter().flatten().map(|line| &line.record.event)
}

/// The views that `p` installed, with their transitional sets.
fn views<'a>(
    traces: &'a Traces,
    p: ProcessId,
) -> impl Iterator<Item = (&'a View, &'a Members)> + use<'a> {
    events(traces, p).filter_map(|event| match event {
        Event::View { view, transitional, .. } => Some((&**view, transitional)),
        _ => None,
    })
}

/// Whether `p` installed a view of `members`, coming from one view with `with`.
fn installed(traces: &Traces, p: ProcessId, members: &[ProcessId], with: &[ProcessId]) -> bool {
    views(traces, p)
        .any(|(view, transitional)| view.members() == members && transitional.as_slice() == with)
}

/// What `p` delivered in the view in which the leader was killed, in its order.
fn order_before_crash(traces: &Traces, p: ProcessId) -> Vec<(ProcessId, u64)> {
    let is_view =
        |event: &&Event| matches!(event, Event::View { view, .. } if view.members() == FIRST);
    let delivered = |event: &Event| match event {
        Event::Deliver { from, n, .. } => Some((*from, *n)),
        _ => None,
    };
    let in_view = events(traces, p).skip_while(|event| !is_view(event)).skip(1);
    let in_view = in_view.take_while(|event| !matches!(event, Event::View { .. }));
    in_view.filter_map(delivered).collect()
}

/// Whether `p` was told of the first joiner alone, and then of both, with no view in between.
fn changed_in_mid_change(traces: &Traces, p: ProcessId) -> bool {
    let [first, second] = JOINERS;
    let mut alone = false;
    for event in events(traces, p) {
        match event {
            Event::StartChange { set, .. } if set.contains(&first) => {
                if alone && set.contains(&second) {
                    return true;
                }
                alone = !set.contains(&second);
            }
            Event::View { .. } => alone = false,
            _ => {}
        }
    }
    false
}

/// Messages that `p` sent, and those of them that it delivered.
fn sent_and_own(traces: &Traces, p: ProcessId) -> (u64, u64) {
    let (mut sent, mut own) = (0, 0);
    for event in events(traces, p) {
        match event {
            Event::Send { .. } => sent += 1,
            Event::Deliver { from, .. } if *from == p => own += 1,
            _ => {}
        }
    }
    (sent, own)
}
