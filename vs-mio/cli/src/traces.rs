//! Traces: read line by line, and those of simulated runs kept in a directory.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use vs_core::trace::{Header, Record, Trace};
use vs_core::trace_json::{self, Reader};

use crate::failure::Failure;

/// The longest line of a trace, in bytes. That of a view with the most members takes less.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// What is read of a trace.
pub(crate) enum Read<'a> {
    /// The first line.
    Header(&'a Header),
    /// Any other line, with its number.
    Line(u64, &'a Record),
}

/// Reads one trace, line by line, and returns its header. A last line without line feed that cannot
/// be read is left out: a process that was killed may leave one.
pub(crate) fn read(file: &Path, mut hear: impl FnMut(Read<'_>)) -> Result<Header, Failure> {
    let unreadable = |e| Failure(format!("{}: the trace cannot be read: {e}", file.display()));
    let mut input = BufReader::new(File::open(file).map_err(unreadable)?);
    let mut reader = Reader::new();
    let mut has_header = false;
    let mut line = Vec::new();
    // A device may never end, nor its line.
    while input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(unreadable)? > 0
    {
        if line.len() as u64 == LINE_BYTES_MAX && !line.ends_with(b"\n") {
            return Err(Failure(format!(
                "{}: a line has more than {LINE_BYTES_MAX} bytes, so this is no trace",
                file.display()
            )));
        }
        match reader.read(&line) {
            Ok(None) => {}
            Ok(Some(read)) => hear(Read::Line(read.number, &read.record)),
            Err(_) if has_header && !line.ends_with(b"\n") => {}
            Err(e) => return Err(Failure(format!("{}:{}: {}", file.display(), e.line, e.what))),
        }
        if !has_header && let Some(header) = reader.header() {
            has_header = true;
            hear(Read::Header(header));
        }
        line.clear();
    }
    let missing =
        || Failure(format!("{}:1: the trace is empty: its header is missing", file.display()));
    reader.header().cloned().ok_or_else(missing)
}

/// Makes a directory for the traces of one run. Those of another would be judged with them.
pub(crate) fn make_room(dir: &Path) -> Result<(), Failure> {
    let unwritable = |e| Failure(format!("{}: the traces cannot be written: {e}", dir.display()));
    std::fs::create_dir_all(dir).map_err(unwritable)?;
    for entry in std::fs::read_dir(dir).map_err(unwritable)? {
        if entry.map_err(unwritable)?.path().extension().is_some_and(|e| e == "jsonl") {
            return Err(Failure(format!(
                "{0}: there are traces of another run; remove them, or name another directory",
                dir.display()
            )));
        }
    }
    Ok(())
}

/// A name for the file of each trace. The second one of a process is that of its impostor.
pub(crate) fn file_names(traces: &[Trace]) -> impl Iterator<Item = String> {
    traces.iter().enumerate().map(|(index, trace)| {
        let p = trace.header.process;
        let is_second = traces[..index].iter().any(|other| other.header.process == p);
        if is_second { format!("{p}-impostor.jsonl") } else { format!("{p}.jsonl") }
    })
}

/// Writes each trace as a runtime would.
pub(crate) fn keep(dir: &Path, traces: &[Trace]) -> std::io::Result<()> {
    for (trace, name) in traces.iter().zip(file_names(traces)) {
        let mut text = Vec::new();
        trace_json::encode_trace(trace, &mut text);
        let mut options = File::options();
        // What is there already, a link to elsewhere too, is not this run's.
        options.write(true).create_new(true).mode(0o600);
        options.open(dir.join(name))?.write_all(&text)?;
    }
    Ok(())
}
