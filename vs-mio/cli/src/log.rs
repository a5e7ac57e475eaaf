//! Lines of operation, on standard error: what is said of the network, of keys, of what is lost.
//! Results go to standard output, see [`crate::output`].

use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::ffi::OsStr;
use std::io::{self, Write};
use std::sync::OnceLock;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::failure::Failure;

/// The levels if none are asked for: the command speaks, and the libraries are silent. The command
/// itself says what somebody should know of the libraries. `vs` alone would mean all names that
/// begin so.
const DEFAULT: &str = "vs=info,vs_core=off,vs_mio=off,vs_std=off";

/// Lines that nobody read, since the last one that was written.
static DROPPED: AtomicUsize = AtomicUsize::new(0);

/// Changes the levels while the process runs.
static LEVELS: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Lines of the levels in `text` are written from now on.
///
/// # Errors
/// Why not. The levels stay as they were.
pub(crate) fn set_levels(text: &str) -> Result<(), Failure> {
    let levels = levels(text).map_err(|why| Failure(format!("log-level: {why}")))?;
    let set = LEVELS.get().map(|handle| handle.reload(levels));
    set.transpose().map(drop).map_err(|e| Failure(format!("log-level cannot be changed: {e}")))
}

/// How lines of operation are written.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Lines on standard error")]
pub(crate) struct Options {
    /// How lines of operation are written: for people, behind a timestamp, or as one JSON object a
    /// line
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    log: Format,
    /// Which ones: error, warn, info, debug or trace; or of parts, such as vs=info,vs_std=debug
    /// [default: what the command itself says] [env VS_LOG: the same]
    #[arg(long, global = true, value_name = "LEVELS", env = "VS_LOG", hide_env = true, value_parser = levels)]
    log_level: Option<Targets>,
}

/// How a line looks.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// `vs: ` and a sentence.
    Text,
    /// The same behind the time, in UTC.
    Dated,
    /// An object with `timestamp`, `level`, `target`, `message` and further fields.
    Json,
}

fn levels(text: &str) -> Result<Targets, String> {
    let how = "write error, warn, info, debug, trace or off, or PART=LEVEL";
    if text.trim().is_empty() {
        return DEFAULT.parse().map_err(|e| format!("{e}: {how}"));
    }
    // A word that is no level would be taken for the name of a part, and silence all others.
    let is_level =
        |part: &str| part.contains('=') || !part.is_empty() && part.parse::<LevelFilter>().is_ok();
    if let Some(part) = text.split(',').find(|part| !is_level(part.trim())) {
        return Err(format!("\"{part}\" is no level: {how}"));
    }
    // Where parts alone are named, the others stay as they are.
    let is_of_parts = text.split(',').all(|part| part.contains('='));
    let all = if is_of_parts { format!("{DEFAULT},{text}") } else { text.to_owned() };
    all.parse().map_err(|e| format!("{e}: {how}"))
}

impl Options {
    /// Lines are written so from here on.
    pub(crate) fn begin(&self) {
        begin(self.log, self.log_level.clone());
    }
}

/// The command line cannot be followed: what it says of lines holds all the same.
pub(crate) fn begin_unparsed() {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let is = |value: &str| {
        let joined = format!("--log={value}");
        let parts = args.windows(2).any(|pair| pair[0] == "--log" && pair[1] == OsStr::new(value));
        parts || args.iter().any(|arg| *arg == OsStr::new(&joined))
    };
    let format = match (is("json"), is("dated")) {
        (true, _) => Format::Json,
        (_, true) => Format::Dated,
        _ => Format::Text,
    };
    begin(format, None);
}

fn begin(format: Format, levels: Option<Targets>) {
    let levels = levels.unwrap_or_else(|| DEFAULT.parse().unwrap_or_default());
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(Stderr { is_json: format == Format::Json })
        .log_internal_errors(false);
    let (levels, handle) = reload::Layer::new(levels);
    let _ = LEVELS.set(handle);
    let registry = tracing_subscriber::registry().with(levels);
    // It fails only if it was done before.
    let _ = match format {
        Format::Json => registry.with(layer.json().flatten_event(true)).try_init(),
        Format::Text => registry.with(layer.event_format(Plain { dated: false })).try_init(),
        Format::Dated => registry.with(layer.event_format(Plain { dated: true })).try_init(),
    };
}

/// A sentence, for people.
struct Plain {
    dated: bool,
}

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if self.dated {
            SystemTime.format_time(&mut out)?;
            match *event.metadata().level() {
                Level::INFO => out.write_str(" ")?,
                level => write!(out, " {level} ")?,
            }
        }
        out.write_str("vs: ")?;
        context.field_format().format_fields(out.by_ref(), event)?;
        writeln!(out)
    }
}

/// Standard error. A line that it does not take at once is dropped, so that a reader who stops does
/// not stop the protocol; the next line that it takes says so.
#[derive(Clone, Copy)]
struct Stderr {
    is_json: bool,
}

/// Says how many lines nobody read.
fn of_dropped(dropped: usize, is_json: bool) -> String {
    let message = format!("{dropped} lines were not read");
    if !is_json {
        return format!("vs: {message}\n");
    }
    let mut timestamp = String::new();
    let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
    let (level, target) = ("WARN", module_path!());
    let line = serde_json::json!({ "timestamp": timestamp, "level": level, "message": message, "target": target });
    format!("{line}\n")
}

impl MakeWriter<'_> for Stderr {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut stderr = io::stderr().lock();
        if !takes_a_line(&stderr) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
            return Ok(line.len());
        }
        let dropped = DROPPED.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let _ = stderr.write_all(of_dropped(dropped, self.is_json).as_bytes());
        }
        // What nobody can be told is no reason to end.
        let _ = stderr.write_all(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a write does not have to wait. What cannot be asked is written to.
fn takes_a_line(stderr: &io::StderrLock<'_>) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut fds = [PollFd::new(stderr, PollFlags::OUT)];
    !matches!(poll(&mut fds, Some(&now)), Ok(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_nobody_read_are_told_as_the_others_are() {
        assert_eq!(of_dropped(7, false), "vs: 7 lines were not read\n");
        let said: serde_json::Value = serde_json::from_str(&of_dropped(7, true)).unwrap();
        assert_eq!(said["message"], "7 lines were not read");
        assert!(said["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{said}");
    }

    #[test]
    fn levels_are_of_all_or_of_parts() {
        for good in ["debug", "vs=info,vs_std=trace", "off"] {
            assert!(levels(good).is_ok(), "{good}");
        }
        for bad in ["vs=loud", "warning", "info,loud", "info,"] {
            let refused = levels(bad).unwrap_err();
            assert!(refused.contains("write error, warn"), "{bad}: {refused}");
        }
        assert!(levels(DEFAULT).is_ok());
    }
}
