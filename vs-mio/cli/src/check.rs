//! `vs check`: judges traces.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use vs_core::Members;
use vs_core::ident::{GroupName, ProcessId};
use vs_core::spec::{Collector, Component, Evidence, Options, Report, Stability, Violation};

use crate::failure::Failure;
use crate::traces::{self, Read};

/// Checks the traces of one run against every property that the group promises
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: vs demo --traces run && vs check run\n\n\
                  Exit status 0: every property that was judged holds; 1: one does not, or a trace cannot be read.")]
pub(crate) struct Args {
    /// Trace files, or directories whose files *.jsonl are read
    #[arg(required = true, value_name = "TRACE")]
    traces: Vec<PathBuf>,
    /// The run had settled when the traces ended, with these processes alive: judge liveness, too
    #[arg(long, value_name = "ID,ID,…", value_delimiter = ',')]
    settled: Vec<u64>,
    /// One JSON object for each violation, then a summary
    #[arg(long)]
    json: bool,
}

/// Judges the traces and says what was found.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let files = files(&args.traces)?;
    let survivors: Members = args.settled.iter().copied().map(ProcessId).collect();
    let report = judge(&files, &survivors)?;
    let mut out = std::io::stdout().lock();
    let written =
        if args.json { json(&mut out, &report, &files) } else { text(&mut out, &report, &files) };
    let written = match args.settled.is_empty() && !args.json {
        true => written.and_then(|()| {
            writeln!(out, "liveness was not judged: say with --settled who was there in the end")
        }),
        false => written,
    };
    written.map_err(|e| Failure(format!("the verdict cannot be written: {e}")))?;
    if report.is_clean() {
        return Ok(());
    }
    Err(Failure("the traces violate what is promised; see the lines named above".into()))
}

/// The files that are meant: those of a directory in the order of their names.
pub(crate) fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let unreadable =
            |e| Failure(format!("{}: the directory cannot be read: {e}", path.display()));
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path).map_err(unreadable)? {
            found.push(entry.map_err(unreadable)?.path());
        }
        found.retain(|file| file.extension().is_some_and(|e| e == "jsonl"));
        if found.is_empty() {
            return Err(Failure(format!("{}: the directory has no file *.jsonl", path.display())));
        }
        found.sort();
        files.append(&mut found);
    }
    Ok(files)
}

/// Judges `files`; liveness, too, if it is known who survived.
pub(crate) fn judge(files: &[PathBuf], survivors: &[ProcessId]) -> Result<Report, Failure> {
    let mut collector = Collector::new();
    let (mut groups, mut processes) = (Vec::new(), Vec::new());
    for file in files {
        processes.push(collect(file, &mut collector, &mut groups)?);
    }
    if survivors.is_empty() {
        return Ok(collector.finish(&Options::default()));
    }
    if let Some(unknown) = survivors.iter().find(|p| !processes.contains(p)) {
        return Err(Failure(format!("--settled: there is no trace of process {unknown}")));
    }
    let mut members = Members::from_slice(survivors);
    members.sort_unstable();
    members.dedup();
    let component = |group| Component { group, members: members.clone() };
    let components = groups.into_iter().map(component).collect();
    Ok(collector.finish(&Options::settled(Stability { components })))
}

/// Hands one trace on, line by line. Tells whose trace it is.
fn collect(
    file: &Path,
    collector: &mut Collector,
    groups: &mut Vec<GroupName>,
) -> Result<ProcessId, Failure> {
    let mut index = None;
    let header = traces::read(file, |read| match read {
        Read::Header(header) => index = Some(collector.trace(header)),
        Read::Line(number, record) => {
            if !groups.contains(&record.group) {
                groups.push(record.group.clone());
            }
            collector.record(index.unwrap_or_default(), number, record);
        }
    })?;
    Ok(header.process)
}

/// Writes the verdict for people: each violation with the lines that contradict each other, then
/// the sum.
pub(crate) fn text(
    out: &mut impl Write,
    report: &Report,
    files: &[PathBuf],
) -> std::io::Result<()> {
    for violation in &report.violations {
        let Violation { property, group, what, .. } = violation;
        let process = violation.event.process;
        writeln!(out, "{property} violated by process {process} in group {group}: {what}")?;
        writeln!(out, "  the property: {}", property.statement())?;
        for evidence in evidence(violation) {
            let (place, line) = located(evidence, files);
            writeln!(out, "  {place}: {line}")?;
        }
    }
    writeln!(out, "{report}")
}

fn json(out: &mut impl Write, report: &Report, files: &[PathBuf]) -> std::io::Result<()> {
    for violation in &report.violations {
        let lines: Vec<_> = evidence(violation)
            .map(|evidence| {
                let file = files.get(evidence.trace).map(|file| file.display().to_string());
                serde_json::json!({"p": evidence.process.0, "file": file, "line": evidence.line})
            })
            .collect();
        let object = serde_json::json!({
            "property": violation.property.name(),
            "g": violation.group.as_str(),
            "processes": violation.processes.iter().map(|p| p.0).collect::<Vec<_>>(),
            "what": violation.what,
            "lines": lines,
        });
        writeln!(out, "{object}")?;
    }
    let counts = &report.counts;
    let summary = serde_json::json!({
        "summary": true,
        "holds": report.is_clean(),
        "violated": report.violated().map(|p| p.name()).collect::<Vec<_>>(),
        "traces": counts.traces,
        "events": counts.events,
        "views": counts.views,
        "installations": counts.installations,
        "sent": counts.sent,
        "delivered": counts.delivered,
        "unjudged": counts.unjudged,
        "broken_off": counts.broken_off,
    });
    writeln!(out, "{summary}")
}

/// The lines that show a violation: the one that must not be, and the one that it contradicts.
fn evidence(violation: &Violation) -> impl Iterator<Item = &Evidence> {
    core::iter::once(&violation.event).chain(&violation.other)
}

/// `file:line` and what stands there.
fn located(evidence: &Evidence, files: &[PathBuf]) -> (String, String) {
    let Some(file) = files.get(evidence.trace) else {
        return (evidence.to_string(), String::new());
    };
    let at = usize::try_from(evidence.line.saturating_sub(1)).unwrap_or(usize::MAX);
    let lines = File::open(file).map(|file| BufReader::new(file).split(b'\n'));
    let line = lines.ok().and_then(|mut lines| lines.nth(at)).and_then(Result::ok);
    let text = String::from_utf8_lossy(&line.unwrap_or_default()).into_owned();
    (format!("{}:{}", file.display(), evidence.line), text)
}
