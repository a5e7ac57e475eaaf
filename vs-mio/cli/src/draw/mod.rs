//! `vs draw`: the space-time diagram of a run, as one HTML file that needs nothing else.

mod columns;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::check;
use crate::failure::Failure;
use crate::traces::{self, Read};
use columns::Columns;

/// The page, and what goes into it.
const PAGE: &str = include_str!("page.html");
const CSS: &str = include_str!("page.css");
const SCRIPTS: [&str; 4] = [
    include_str!("model.js"),
    include_str!("paint.js"),
    include_str!("words.js"),
    include_str!("act.js"),
];

/// Draws the traces of one run: processes, views, messages, and who went on together
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: vs demo --traces run && vs draw run -o run.html\n\n\
                  The file needs no network and no other file. Exit status 0: it is written; 1: a trace cannot be read, or \
                  the file cannot be written.")]
pub(crate) struct Args {
    /// Trace files, or directories whose files *.jsonl are read
    #[arg(required = true, value_name = "TRACE")]
    traces: Vec<PathBuf>,
    /// Where to write the page; `-` writes it to standard output
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// One JSON object that says what is drawn
    #[arg(long)]
    json: bool,
}

/// Draws the traces.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let files = check::files(&args.traces)?;
    let drawn = draw(&files, &args.out)?;
    if args.out == Path::new("-") {
        return Ok(());
    }
    let name = args.out.display().to_string();
    if args.json {
        let Drawn { processes, events } = drawn;
        let object = serde_json::json!({"file": name, "processes": processes, "events": events});
        crate::output::say(format_args!("{object}"));
    } else {
        crate::output::say(format_args!(
            "{name} shows {} of {}",
            drawn.events(),
            drawn.processes()
        ));
    }
    Ok(())
}

/// How much a page shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drawn {
    processes: usize,
    events: usize,
}

impl Drawn {
    fn events(&self) -> String {
        format!("{} event{}", self.events, if self.events == 1 { "" } else { "s" })
    }

    fn processes(&self) -> String {
        format!("{} process{}", self.processes, if self.processes == 1 { "" } else { "es" })
    }
}

/// Draws `files` into the file `out`.
pub(crate) fn draw(files: &[PathBuf], out: &Path) -> Result<Drawn, Failure> {
    let columns = read(files)?;
    if columns.is_empty() {
        return Err(Failure("the traces hold no event: there is nothing to draw".into()));
    }
    let drawn = Drawn { processes: columns.processes(), events: columns.events() };
    refuse_trace(files, out)?;
    let unwritten = |e| Failure(format!("{}: the page cannot be written: {e}", out.display()));
    if out == Path::new("-") {
        let mut out = BufWriter::new(std::io::stdout().lock());
        return write(columns, &mut out).map(|()| drawn).map_err(unwritten);
    }
    let mut file = BufWriter::new(File::create(out).map_err(unwritten)?);
    write(columns, &mut file).map_err(unwritten)?;
    Ok(drawn)
}

/// Reads all traces.
fn read(files: &[PathBuf]) -> Result<Columns, Failure> {
    let mut columns = Columns::default();
    for file in files {
        traces::read(file, |read| match read {
            Read::Header(header) => columns.begin(header),
            Read::Line(_, record) => columns.push(record),
        })?;
    }
    Ok(columns)
}

/// The page takes the place of what `out` was: that must not be one of the traces.
fn refuse_trace(files: &[PathBuf], out: &Path) -> Result<(), Failure> {
    let Ok(meant) = out.canonicalize() else { return Ok(()) };
    if files.iter().any(|file| file.canonicalize().is_ok_and(|file| file == meant)) {
        return Err(Failure(format!(
            "{}: this is one of the traces: name another file for the page",
            out.display()
        )));
    }
    Ok(())
}

/// Writes the page around what is drawn.
fn write(columns: Columns, out: &mut impl Write) -> std::io::Result<()> {
    let (head, rest) = PAGE.split_once("/*CSS*/").unwrap_or((PAGE, ""));
    let (body, rest) = rest.split_once("/*DATA*/").unwrap_or((rest, ""));
    let (middle, end) = rest.split_once("/*JS*/").unwrap_or((rest, ""));
    let data = columns.into_json().to_string();
    // Nothing in it can end the element that it stands in, whatever a group is called.
    let data = data.replace('<', "\\u003c");
    for part in [head, CSS, body, &data, middle] {
        out.write_all(part.as_bytes())?;
    }
    for script in SCRIPTS {
        out.write_all(script.as_bytes())?;
    }
    out.write_all(end.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests;
