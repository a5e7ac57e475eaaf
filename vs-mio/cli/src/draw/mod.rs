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
    let mut columns = Columns::default();
    for file in files {
        traces::read(file, |read| match read {
            Read::Header(_) => {}
            Read::Line(_, record) => columns.push(record),
        })?;
    }
    if columns.is_empty() {
        return Err(Failure("the traces hold no event: there is nothing to draw".into()));
    }
    let drawn = Drawn { processes: columns.processes(), events: columns.events() };
    let unwritten = |e| Failure(format!("{}: the page cannot be written: {e}", out.display()));
    if out == Path::new("-") {
        let mut out = BufWriter::new(std::io::stdout().lock());
        return write(columns, &mut out).map(|()| drawn).map_err(unwritten);
    }
    let mut file = BufWriter::new(File::create(out).map_err(unwritten)?);
    write(columns, &mut file).map_err(unwritten)?;
    Ok(drawn)
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
mod tests {
    use vs_core::Time;
    use vs_core::ident::{GroupName, Incarnation, ProcessId};
    use vs_core::trace::{Event, Record};

    use super::*;

    #[test]
    fn data_cannot_end_its_element() {
        let mut columns = Columns::default();
        let group = GroupName::new("</script><script>alert(1)</script>").unwrap();
        let event = Event::Start { incarnation: Incarnation::new(1) };
        columns.push(&Record { ts: Time(5), process: ProcessId(1), group, event });
        let mut page = Vec::new();
        write(columns, &mut page).unwrap();
        let page = String::from_utf8(page).unwrap();
        assert_eq!(page.matches("</script>").count(), 2, "that of the data, that of the program");
        assert!(page.contains("\\u003c/script>"));
        assert!(
            !page.contains("/*CSS*/") && !page.contains("/*JS*/") && !page.contains("/*DATA*/")
        );
        for outside in ["http://", "https://", "import(", "src="] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn golden_traces_are_drawn() {
        let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vs-core/tests/traces");
        let files = check::files(&[traces.join("good-11")]).unwrap();
        let mut columns = Columns::default();
        for file in &files {
            let read = traces::read(file, |read| {
                if let Read::Line(_, record) = read {
                    columns.push(record);
                }
            });
            read.unwrap();
        }
        assert_eq!(columns.processes(), 5);
        let (events, json) = (columns.events(), columns.into_json());
        let of = |name: &str| json["events"][name].as_array().unwrap().len();
        for name in ["p", "g", "t", "k", "a", "b", "c"] {
            assert_eq!(of(name), events, "{name}");
        }
        assert!(!json["views"].as_array().unwrap().is_empty());
        assert_eq!(
            json["events"]["t"].as_array().unwrap().iter().filter_map(|t| t.as_u64()).min(),
            Some(0)
        );
    }
}
