//! Traces in files: JSON Lines, each line with the kernel before its event takes effect outside the
//! process.

use core::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::process::geteuid;

use vs_core::Time;
use vs_core::ident::{GroupName, ProcessId};
use vs_core::trace::{Event, Header, Tracer};
use vs_core::trace_json::{Reader, encode_event, encode_header};

/// Longest first line of a file that is still looked at, in bytes.
const HEADER_BYTES_MAX: u64 = 4096;
/// Bytes that are read at a time when the last line feed is looked for.
const TAIL_BYTES: usize = 64 << 10;

/// Why a trace cannot be begun or appended to. The file is unchanged.
#[derive(Debug)]
pub enum TraceError {
    /// The system refuses.
    Io(io::Error),
    /// Another process is writing the file at this moment.
    InUse,
    /// The file is the trace of another process.
    OfAnother(ProcessId),
    /// The file is not empty and not a trace.
    NotATrace,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::InUse => f.write_str("another process is writing it"),
            Self::OfAnother(process) => write!(f, "it is the trace of process {process}"),
            Self::NotATrace => f.write_str("there is something else in it"),
        }
    }
}

impl core::error::Error for TraceError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for TraceError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A trace that is being written.
///
/// Nothing is buffered in the process, so that a `kill -9` loses no line. What the disk refuses
/// must not stop the group: the first error ends the trace and is kept for [`TraceFile::error`].
#[derive(Debug)]
pub struct TraceFile {
    file: File,
    /// UNIX time at the node's time zero, in nanoseconds.
    unix_offset: u64,
    line: Vec<u8>,
    /// Where the last line begins, and where it ends.
    last: (u64, u64),
    error: Option<io::Error>,
}

impl TraceFile {
    /// Begins a trace at `path`, or appends to the one that an earlier incarnation of the same
    /// process left there, under its header: a process that recovers has a new incarnation.
    /// `unix_offset`: [`crate::clock::Clock::unix_offset`] of the clock whose times the node is
    /// given, one that goes on above what the trace has reached ([`reached_ms`]).
    ///
    /// Nobody but the user may read a file that is made. A symbolic link that another user made is
    /// not followed: it could lead to any file of this one.
    ///
    /// # Errors
    /// The file cannot be written, is being written, or holds something else.
    pub fn open(path: &Path, header: &Header, unix_offset: u64) -> Result<Self, TraceError> {
        let mut file = open_file(path)?;
        let mut line = Vec::new();
        if !file.metadata()?.is_file() || !take_up(&mut file, header.process)? {
            encode_header(header, &mut line);
            file.write_all(&line)?;
        }
        let end = if file.metadata()?.is_file() { file.seek(SeekFrom::End(0))? } else { 0 };
        Ok(Self { file, unix_offset, line, last: (end, end), error: None })
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
        if let Err(error) = self.file.write_all(&self.line) {
            self.error = Some(error);
            self.break_off(now, process, group);
            return;
        }
        self.last = (self.last.1, self.last.1 + self.line.len() as u64);
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).append(true).create(true).mode(0o600);
    let is_link = |at: &Metadata| at.file_type().is_symlink();
    // Like /dev/stdout.
    let is_trusted = |link: &Metadata| [0, geteuid().as_raw()].contains(&link.uid());
    let link = fs::symlink_metadata(path).ok().filter(is_link);
    if link.as_ref().is_some_and(|link| !is_trusted(link)) {
        return Err(io::Error::other("it is a symbolic link of another user"));
    }
    if link.is_none() {
        options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    }
    options.open(path)
}

impl TraceFile {
    /// Says in the trace that it breaks off, so that nobody takes its end for that of the process.
    /// The room for it is that of the line that could not be finished or, if that is too little, of
    /// the line before.
    fn break_off(&mut self, now: Time, process: ProcessId, group: &GroupName) {
        self.line.clear();
        let at = now + self.unix_offset;
        encode_event(at, process, group, &Event::BrokenOff, &mut self.line);
        for end in [self.last.1, self.last.0] {
            // Where that fails, too, half a line is left out by who reads the trace.
            if self.file.set_len(end).is_ok() && self.file.write_all(&self.line).is_ok() {
                return;
            }
        }
    }
}

/// Prepares a trace of earlier incarnations of `process` for appending; false if there is none.
fn take_up(file: &mut File, process: ProcessId) -> Result<bool, TraceError> {
    // Held until the file is closed: two that write one trace would make nonsense of it. A file
    // system without locks has to do.
    #[cfg(unix)]
    if let Err(rustix::io::Errno::WOULDBLOCK) =
        rustix::fs::flock(&*file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
    {
        return Err(TraceError::InUse);
    }
    let mut first = Vec::new();
    BufReader::new(&*file).take(HEADER_BYTES_MAX).read_until(b'\n', &mut first)?;
    if first.is_empty() {
        return Ok(false);
    }
    let mut reader = Reader::new();
    let header = reader.read(&first).ok().and_then(|_| reader.header());
    match header.filter(|_| first.ends_with(b"\n")) {
        None => return Err(TraceError::NotATrace),
        Some(header) if header.process != process => {
            return Err(TraceError::OfAnother(header.process));
        }
        Some(_) => {}
    }
    // A line that was not finished is of an event that nobody saw the effect of.
    let end = end_of_lines(file)?;
    file.set_len(end)?;
    Ok(true)
}

/// The length of `file` up to its last line feed.
fn end_of_lines(file: &mut File) -> io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut bytes = vec![0; TAIL_BYTES];
    while end > 0 {
        let len = usize::try_from(end).map_or(TAIL_BYTES, |end| end.min(TAIL_BYTES));
        let start = end - len as u64;
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut bytes[..len])?;
        if let Some(at) = bytes[..len].iter().rposition(|&byte| byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Bytes at the end of a trace in which the numbers of an earlier incarnation are looked for.
const REACHED_BYTES_MAX: u64 = 64 << 20;

/// How far the trace at `path` has come, in ms of UNIX time: its last time, and the highest numbers
/// of changes and views that its process was given, which servers count in milliseconds. The last
/// 64 MiB of the trace are looked at. 0 if there is none. A process that starts later has to start
/// above (M2, M6), whatever its clock says: see [`crate::clock::Clock::above`].
///
/// # Errors
/// The file cannot be read.
pub fn reached_ms(path: &Path) -> io::Result<u64> {
    // To open a pipe would wait for its other end.
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => {}
        Ok(_) => return Ok(0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    }
    let mut file = File::open(path)?;
    let mut reader = Reader::new();
    let mut first = Vec::new();
    BufReader::new(&file).take(HEADER_BYTES_MAX).read_until(b'\n', &mut first)?;
    if reader.read(&first).is_err() {
        return Ok(0); // What is wrong with it is said when it is opened.
    }
    let len = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(len.saturating_sub(REACHED_BYTES_MAX).max(first.len() as u64)))?;
    let (mut reached_ms, mut line) = (0, Vec::new());
    let mut lines = BufReader::new(file);
    while lines.read_until(b'\n', &mut line)? > 0 {
        // The first line may be cut off at its beginning, the last one at its end.
        if let Ok(Some(read)) = reader.read(&line) {
            reached_ms = reached_ms.max(read.record.reached_ms());
        }
        line.clear();
    }
    Ok(reached_ms)
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
    use vs_core::ident::{Cid, IDS_PER_MS, Incarnation};

    use super::*;

    /// A clock that was set back an hour made a restarted process be given lower local ids (M2).
    #[test]
    fn what_a_trace_has_reached_bounds_the_next_start() {
        let path = std::env::temp_dir().join(format!("vs-reached-{}.jsonl", std::process::id()));
        let _ = std::fs::remove_file(&path);
        assert_eq!(reached_ms(&path).unwrap(), 0, "there is none");
        let header = Header {
            process: ProcessId(7),
            incarnation: Incarnation::new(5000),
            runtime: "std".into(),
        };
        let group = GroupName::new("g").unwrap();
        let mut trace = TraceFile::open(&path, &header, 5_000_000_000).unwrap();
        trace.record(Time::from_millis(20), ProcessId(7), &group, Event::Block);
        assert_eq!(reached_ms(&path).unwrap(), 5020, "its last time");
        let set = [ProcessId(7)].into_iter().collect();
        let change = Event::StartChange { cid: Cid(9000 * IDS_PER_MS + 3), set };
        trace.record(Time::from_millis(30), ProcessId(7), &group, change);
        trace.record(Time::from_millis(31), ProcessId(7), &group, Event::Block);
        assert_eq!(reached_ms(&path).unwrap(), 9000, "a number of a server that is ahead");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_full_disk_ends_the_trace() {
        let file = File::options().write(true).open("/dev/full").unwrap();
        let mut trace =
            TraceFile { file, unix_offset: 0, line: Vec::new(), last: (0, 0), error: None };
        assert!(trace.enabled());
        trace.record(Time(5), ProcessId(7), &GroupName::new("g").unwrap(), Event::Block);
        assert_eq!(trace.error().unwrap().kind(), io::ErrorKind::StorageFull);
        assert!(!trace.enabled());
    }
}
