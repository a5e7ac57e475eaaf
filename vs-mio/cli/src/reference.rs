//! The page of the manual that lists every option, from what the command itself says.

use core::fmt::Write;
use std::path::Path;

use clap::{Arg, Command};

const HEAD: &str = "\
# Every option of the command

What `vs VERB --help` says, on one page. A test of `vs-cli` compares it with the command, and writes
it anew with `VS_GOLDEN=write cargo test -p vs-cli reference`.

A size is in bytes, a time in the unit that ends its name. Options that may be repeated say so.
Status 0 means that all is well, 1 that something failed, 2 that the command line cannot be used.
";

/// Options of builds that measure or test, with the feature `mutants`.
const OF_MUTANTS: [&str; 2] = ["sync-after-view", "leave-out"];

/// The page, of all verbs of `command`.
fn page(command: &Command) -> String {
    let mut page = HEAD.to_string();
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = write!(page, "\n# `vs {}`\n\n{}.\n", verb.get_name(), in_a_cell(&about));
        let is_meant = |arg: &&Arg| {
            !arg.is_hide_set() && arg.get_long().is_none_or(|name| !OF_MUTANTS.contains(&name))
        };
        let args = || verb.get_arguments().filter(is_meant);
        if args().all(|arg| arg.get_id() == "help") {
            continue;
        }
        page.push_str("\n| option | what it does | by default |\n|---|---|---|\n");
        for arg in args().filter(|arg| arg.get_id() != "help") {
            let _ = writeln!(page, "| {} | {} | {} |", shown(arg), help(arg), default(arg));
        }
    }
    page
}

/// As it is typed.
fn shown(arg: &Arg) -> String {
    let values = arg.get_value_names().unwrap_or_default();
    let takes_value = arg.get_action().takes_values();
    let values: Vec<String> = values.iter().map(|name| format!("<{name}>")).collect();
    let values = if takes_value { values.join(" ") } else { String::new() };
    let typed = match (arg.get_long(), arg.get_short()) {
        (Some(long), _) => format!("--{long} {values}"),
        (None, Some(short)) => format!("-{short} {values}"),
        (None, None) => values,
    };
    format!("`{}`", typed.trim())
}

fn help(arg: &Arg) -> String {
    let help = arg.get_long_help().or(arg.get_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    // The default has a column of its own.
    let told = help.split(" [default: ").next().unwrap_or_default();
    let choices: Vec<_> = arg.get_possible_values();
    let is_choice = arg.get_action().takes_values() && !choices.is_empty();
    let names: Vec<_> = choices.iter().map(|choice| format!("`{}`", choice.get_name())).collect();
    let choices = if is_choice { format!(": {}", names.join(", ")) } else { String::new() };
    in_a_cell(&format!("{told}{choices}"))
}

fn default(arg: &Arg) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let told = help.split_once(" [default: ").map(|(_, told)| told.trim_end_matches(']'));
    let values = arg.get_default_values().iter().map(|value| value.to_string_lossy());
    match told {
        Some(told) => in_a_cell(told),
        None if !arg.get_action().takes_values() => String::new(),
        None => in_a_cell(&values.collect::<Vec<_>>().join(" ")),
    }
}

/// In one line, and without what a table, a link or a tag begins with.
fn in_a_cell(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = line.trim_end_matches('.');
    let mut out = String::new();
    let mut is_code = false;
    for c in line.chars() {
        is_code ^= c == '`';
        match c {
            '|' => out.push_str("\\|"),
            '<' | '[' | ']' | '*' if !is_code => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

#[test]
fn reference_lists_every_option() {
    use clap::CommandFactory;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vs-core/src/manual/options.md");
    let mut command = super::Cli::command();
    command.build();
    let page = page(&command);
    if std::env::var("VS_GOLDEN").is_ok_and(|word| word == "write") {
        std::fs::write(&path, &page).expect("the page can be written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "{} is old: VS_GOLDEN=write writes it anew", path.display());
}
