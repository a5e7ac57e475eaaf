//! Traces in files: JSON Lines, each line with the kernel before its event takes effect outside the process.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use vs_core::Time;
use vs_core::ident::{GroupName, ProcessId};
use vs_core::trace::{Event, Header, Tracer};
use vs_core::trace_json::{encode_event, encode_header};

/// A trace that is being written.
///
/// Nothing is buffered in the process, so that a `kill -9` loses no line. What the disk refuses must not stop the
/// group: the first error ends the trace and is kept for [`TraceFile::error`].
#[derive(Debug)]
pub struct TraceFile {
    file: File,
    /// UNIX time at the node's time zero, in nanoseconds.
    unix_offset: u64,
    line: Vec<u8>,
    error: Option<io::Error>,
}

impl TraceFile {
    /// Begins a trace at `path`; what was there is gone. `unix_offset`: [`crate::clock::Clock::unix_offset`] of the
    /// clock whose times the node is given.
    ///
    /// # Errors
    /// The file cannot be made or written.
    pub fn create(path: &Path, header: &Header, unix_offset: u64) -> io::Result<Self> {
        let mut file = File::create(path)?;
        let mut line = Vec::new();
        encode_header(header, &mut line);
        file.write_all(&line)?;
        Ok(Self { file, unix_offset, line, error: None })
    }

    /// The error that ended the trace.
    #[must_use]
    pub fn error(&self) -> Option<&io::Error> {
        self.error.as_ref()
    }
}

impl Tracer for TraceFile {
    fn enabled(&self) -> bool {
        self.error.is_none()
    }

    fn record(&mut self, now: Time, process: ProcessId, group: &GroupName, event: Event) {
        if self.error.is_some() {
            return;
        }
        self.line.clear();
        encode_event(now + self.unix_offset, process, group, &event, &mut self.line);
        self.error = self.file.write_all(&self.line).err();
    }
}

/// A trace that may be absent, for programs that decide when they run.
#[derive(Debug, Default)]
pub struct MaybeTrace(pub Option<TraceFile>);

impl Tracer for MaybeTrace {
    fn enabled(&self) -> bool {
        self.0.as_ref().is_some_and(Tracer::enabled)
    }

    fn record(&mut self, now: Time, process: ProcessId, group: &GroupName, event: Event) {
        if let Some(file) = &mut self.0 {
            file.record(now, process, group, event);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_ends_the_trace_and_is_told() {
        let file = File::options().write(true).open("/dev/full").unwrap();
        let mut trace = TraceFile { file, unix_offset: 0, line: Vec::new(), error: None };
        assert!(trace.enabled());
        trace.record(Time(5), ProcessId(7), &GroupName::new("g").unwrap(), Event::Block);
        assert_eq!(trace.error().unwrap().kind(), io::ErrorKind::StorageFull);
        assert!(!trace.enabled());
    }
}
