//! A file with options: its keys are the options of the verb, and count as if they were typed. What
//! is typed wins.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command};
use toml::de::{DeTable, DeValue};

use crate::failure::{Failure, in_one_sentence};

/// The option that names the file.
const OPTION: &str = "--config";
/// The longest file that is read, in bytes.
const BYTES_MAX: u64 = 1 << 20;
/// The longest part of the file that is shown with what is wrong with it, in bytes.
const SHOWN_BYTES_MAX: usize = 60;

/// The file that this process was started with.
static LOADED: OnceLock<Loaded> = OnceLock::new();

/// The option itself.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Named {
    /// Read options from this file, in TOML: `peer-ms = 500`, `server = ["a:7000", "b:7000"]`,
    /// `unicast = true`. What is typed wins. SIGHUP reads it again
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// An option of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    line: usize,
    /// As they would be typed, the option included.
    words: Vec<OsString>,
}

/// Options by their names.
type Entries = BTreeMap<String, Entry>;

/// A file, and what it said last.
#[derive(Debug)]
struct Loaded {
    path: PathBuf,
    command: Command,
    verb: Command,
    /// The command line, and where the verb stands in it.
    args: (Vec<OsString>, usize),
    /// Options that were typed, and what excludes them: the file does not count for these.
    typed: Vec<String>,
    entries: Mutex<Entries>,
}

/// The command line with what the file says that it names, if it names one.
pub(crate) fn expand(command: &Command, args: Vec<OsString>) -> Result<Vec<OsString>, Failure> {
    let Some(path) = named(&args) else { return Ok(args) };
    let at = verb_at(&args);
    let verb = args.get(at).and_then(|verb| command.find_subcommand(verb)).cloned();
    // Who does not take a file says so.
    let Some(verb) = verb.filter(|verb| find(verb, "config").is_some()) else { return Ok(args) };
    let typed = typed(&verb, &args);
    let (command, entries) = (command.clone(), Mutex::default());
    let loaded = Loaded { path, command, verb, args: (args.clone(), at), typed, entries };
    let entries = loaded.read()?;
    let mut all = args;
    all.splice(at + 1..at + 1, entries.values().flat_map(|entry| entry.words.clone()));
    *loaded.entries.lock().unwrap_or_else(PoisonError::into_inner) = entries;
    // Only the first command line of a process counts.
    let _ = LOADED.set(loaded);
    Ok(all)
}

/// Whether a file was named.
pub(crate) fn is_there() -> bool {
    LOADED.get().is_some()
}

/// What another reading of the file has changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// The key file that it names now.
    pub(crate) key_file: Option<PathBuf>,
    /// The levels of lines, if they have changed.
    pub(crate) log_level: Option<String>,
    /// What holds only once the process is started again.
    pub(crate) later: Vec<String>,
}

/// Reads the file again, if there is one.
///
/// # Errors
/// Why it cannot be used. Everything stays as it was.
pub(crate) fn read_again() -> Result<Changes, Failure> {
    let Some(loaded) = LOADED.get() else { return Ok(Changes::default()) };
    let entries = loaded.read()?;
    let mut before = loaded.entries.lock().unwrap_or_else(PoisonError::into_inner);
    let value = |entry: &Entry| {
        let word = entry.words.last().map(|word| word.to_string_lossy().into_owned());
        OsString::from(word.unwrap_or_default().split_once('=').map_or("", |(_, value)| value))
    };
    let mut changes = Changes {
        key_file: entries.get("key-file").map(|entry| PathBuf::from(value(entry))),
        ..Changes::default()
    };
    let names = before.keys().chain(entries.keys()).cloned();
    for name in names.collect::<std::collections::BTreeSet<_>>() {
        let (was, is) = (before.get(&name), entries.get(&name));
        if was.map(|entry| &entry.words) == is.map(|entry| &entry.words) {
            continue;
        }
        match (name.as_str(), is) {
            ("log-level", Some(entry)) => {
                changes.log_level = Some(value(entry).to_string_lossy().into_owned());
            }
            ("key-file", Some(_)) if was.is_some() => {}
            _ => changes.later.push(name),
        }
    }
    *before = entries;
    Ok(changes)
}

/// Where the verb stands: behind the options that all verbs take, each with its value.
fn verb_at(args: &[OsString]) -> usize {
    let mut at = 1;
    while let Some(option) = args.get(at).and_then(|arg| arg.to_str())
        && option.starts_with("--")
    {
        at += if option.contains('=') { 1 } else { 2 };
    }
    at
}

/// The file that the command line names.
fn named(args: &[OsString]) -> Option<PathBuf> {
    let at = args.iter().position(|arg| arg == OPTION);
    let behind = at.and_then(|at| args.get(at + 1)).map(PathBuf::from);
    let joined = || {
        let joined = args.iter().filter_map(|arg| arg.to_str());
        joined.filter_map(|arg| arg.strip_prefix("--config=")).next().map(PathBuf::from)
    };
    behind.or_else(joined)
}

/// The options that are typed, and those that they exclude.
fn typed(verb: &Command, args: &[OsString]) -> Vec<String> {
    let mut names: Vec<String> = args.iter().filter_map(|arg| long_of(arg)).collect();
    for arg in verb.get_arguments() {
        let excluded = verb.get_arg_conflicts_with(arg).into_iter().filter_map(Arg::get_long);
        let (excluded, name) = (excluded.collect::<Vec<_>>(), arg.get_long().unwrap_or_default());
        let is_typed = |name: &str| args.iter().any(|arg| long_of(arg).as_deref() == Some(name));
        if is_typed(name) {
            names.extend(excluded.iter().map(ToString::to_string));
        } else if excluded.iter().any(|other| is_typed(other)) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The name of an option that is typed.
fn long_of(arg: &OsStr) -> Option<String> {
    let name = arg.to_str()?.strip_prefix("--")?;
    Some(name.split('=').next().unwrap_or(name).to_owned())
}

fn find<'a>(verb: &'a Command, name: &str) -> Option<&'a Arg> {
    verb.get_arguments().find(|arg| arg.get_long() == Some(name) && !arg.is_hide_set())
}

impl Loaded {
    /// What the file says, besides what was typed.
    fn read(&self) -> Result<Entries, Failure> {
        let name = self.path.display();
        let unreadable = |e| Failure(format!("{name}: the file with options cannot be read: {e}"));
        let mut text = String::new();
        // A device may say that it is empty, and never end.
        let file = File::open(&self.path).map_err(unreadable)?;
        file.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > BYTES_MAX {
            return Err(Failure(format!(
                "{name}: a file with options has at most {BYTES_MAX} bytes"
            )));
        }
        let line = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
        let failure = |at: usize, what: &str| Failure(format!("{name}:{}: {what}", line(at)));
        let table = DeTable::parse(&text).map_err(|error| {
            let span = error.span().unwrap_or_default();
            let what = text.get(span.clone()).filter(|what| what.len() <= SHOWN_BYTES_MAX);
            let what = what.filter(|what| !what.trim().is_empty() && !what.contains('\n'));
            let what = what.map_or(String::new(), |what| format!(": {what}"));
            failure(span.start, &format!("{}{what}", error.message()))
        })?;
        let mut entries = Entries::new();
        for (key, value) in table.get_ref() {
            let (at, key) = (key.span().start, key.get_ref().as_ref());
            let Some(arg) = find(&self.verb, key).filter(|_| key != "config" && key != "help")
            else {
                let verb = self.verb.get_name();
                return Err(failure(
                    at,
                    &format!("vs {verb} has no option {key}: see vs {verb} --help"),
                ));
            };
            let words = words(arg, value.get_ref()).map_err(|what| failure(at, &what))?;
            if !self.typed.iter().any(|typed| typed == key) {
                entries.insert(key.to_owned(), Entry { line: line(at), words });
            }
        }
        check(&self.command, (&self.args.0, self.args.1), &entries, &self.path)?;
        Ok(entries)
    }
}

/// An option as it would be typed.
pub(crate) fn words(arg: &Arg, value: &DeValue<'_>) -> Result<Vec<OsString>, String> {
    let name = format!("--{}", arg.get_long().unwrap_or_default());
    let one = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        _ => None,
    };
    let is_list =
        matches!(arg.get_action(), ArgAction::Append) || arg.get_value_delimiter().is_some();
    match (arg.get_action().takes_values(), value) {
        (false, DeValue::Boolean(true)) => Ok(vec![name.into()]),
        (false, DeValue::Boolean(false)) => Ok(Vec::new()),
        (false, _) => Err(format!("{} is true or false", &name[2..])),
        (true, DeValue::Array(items)) if is_list => {
            let items = items.iter().map(|item| one(item.get_ref()));
            let items = items.collect::<Option<Vec<_>>>();
            let items = items.ok_or(format!("{} is a list of texts or numbers", &name[2..]))?;
            Ok(items.into_iter().map(|item| format!("{name}={item}").into()).collect())
        }
        (true, value) => match one(value) {
            Some(value) => Ok(vec![format!("{name}={value}").into()]),
            None if is_list => Err(format!("{} is a list, a text or a number", &name[2..])),
            None => Err(format!("{} is one text or number", &name[2..])),
        },
    }
}

/// Names the line of the file whose value the option does not take.
fn check(
    command: &Command,
    (args, at): (&[OsString], usize),
    entries: &Entries,
    path: &Path,
) -> Result<(), Failure> {
    for entry in entries.values() {
        let mut args = args.to_vec();
        args.splice(at + 1..at + 1, entry.words.clone());
        let Err(error) = command.clone().try_get_matches_from(args) else { continue };
        if matches!(
            error.kind(),
            ErrorKind::ValueValidation | ErrorKind::InvalidValue | ErrorKind::ArgumentConflict
        ) {
            let what = in_one_sentence(&error.render().to_string());
            return Err(Failure(format!("{}:{}: {what}", path.display(), entry.line)));
        }
    }
    Ok(())
}
